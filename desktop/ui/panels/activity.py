"""Activity: every job there is, by state, with progress in its own cell; stop, run again, log, result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QHeaderView, QStackedWidget, QVBoxLayout, QWidget

from desktop import studios
from desktop.core.jobs import JobRecord, JobState
from desktop.ui import theme
from desktop.ui.bridge import Bridge
from desktop.ui.itemmodels.jobs import (
    GROUPS,
    HEADINGS,
    PROGRESS,
    STUDIO,
    TITLE,
    WHEN,
    WORDS,
    JobsFilterModel,
    JobsTableModel,
    duration_words,
    subject_of,
    when_words,
)
from desktop.ui.panels import Panel
from desktop.ui.widgets.empty_state import EmptyState
from desktop.ui.widgets.fitting import FittedColumns
from desktop.ui.widgets.inspector import Inspected, Operation
from desktop.ui.widgets.progress import ProgressDelegate
from desktop.ui.widgets.segments import Segments
from desktop.ui.widgets.table_view import TableView

LOG_TAIL = 200
SPANS_AFTER_S = (1.0, 3.0)  # after a job's end, until its last step is in the store
_GROUP_KEYS = ("", *GROUPS)


class ActivityPanel(Panel):
    """The jobs of all studios."""

    def __init__(self, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._kinds = studios.jobs()
        self._log: tuple[str, list[str]] = ("", [])
        self._steps: dict[str, dict[str, float | None]] = {}  # job → step → seconds, once known
        self.model = JobsTableModel({studio.key: studio.title for studio in studios.studios()}, self)
        self._shown = JobsFilterModel(self)
        self._shown.setSourceModel(self.model)
        self.groups = Segments("Which jobs", [key or "All" for key in _GROUP_KEYS])
        self.table = TableView("Jobs", self._as_text)
        self.table.setModel(self._shown)
        self.table.setSelectionMode(TableView.SelectionMode.SingleSelection)
        self.table.verticalHeader().setDefaultSectionSize(theme.ROW)
        self.table.setItemDelegateForColumn(PROGRESS, ProgressDelegate(self))
        header = self.table.horizontalHeader()
        header.setStretchLastSection(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(TITLE, QHeaderView.ResizeMode.Stretch)
        for column, width in ((1, 84), (PROGRESS, 230), (3, 100), (4, 96)):
            self.table.setColumnWidth(column, width)
        FittedColumns(self.table, TITLE, (WHEN, STUDIO))
        self._empty = EmptyState("Nothing has run yet. Jobs show up here as soon as they start.", icon="activity")
        self._pages = QStackedWidget()
        self._pages.addWidget(self.table)
        self._pages.addWidget(self._empty)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        top = QHBoxLayout()
        top.setContentsMargins(theme.GAP, 4, theme.GAP, 4)
        top.addWidget(self.groups)
        top.addStretch(1)
        layout.addLayout(top)
        layout.addWidget(self._pages, 1)
        self.groups.currentChanged.connect(self._on_group)
        self.table.linesSelected.connect(self._on_selected)
        self.table.activated.connect(lambda _index: self._show_result())
        bridge.jobChanged.connect(self._on_job)
        bridge.jobLogged.connect(self._on_logged)
        bridge.start(self._load())

    async def _load(self) -> None:
        stored = {job.id: job for job in await self._bridge.read(self._bridge.workbench.runtime.jobs)}
        heard = {job.id: job for job in map(self.model.job, range(self.model.rowCount()))}
        self.model.load((stored | heard).values())  # what was heard meanwhile is newer
        self._count()

    # ---- what the frame asks ------------------------------------------------------------------------------------

    def actions(self) -> dict[str, Callable[[], object]]:  # type: ignore[override]
        job = self.selected
        if job is None:
            return {}
        found: dict[str, Callable[[], object]] = {}
        if not job.state.is_final:
            found["ui.stop"] = partial(self._try, self._bridge.cancel, job.id)
        else:
            found["ui.rerun"] = partial(self._try, self._bridge.rerun, job.id)
        if result_folder(job):
            found["ui.show_result"] = self._show_result
        return found

    def select_job(self, job_id: str) -> None:
        """Select a job, showing all groups if it is not in the one shown."""
        row = self.model.row_of(job_id)
        if row is None:
            return
        index = self._shown.mapFromSource(self.model.index(row, 0))
        if not index.isValid():
            self.groups.setCurrentIndex(0)
            index = self._shown.mapFromSource(self.model.index(row, 0))
        self.table.setCurrentIndex(index)
        self.table.setFocus()

    @property
    def selected(self) -> JobRecord | None:
        """The selected job."""
        lines = self.table.selected_lines()
        if not lines:
            return None
        return self.model.job(self._shown.mapToSource(self._shown.index(lines[0], 0)).row())

    # ---- what happens -------------------------------------------------------------------------------------------

    def _on_job(self, job: JobRecord) -> None:
        before_row = self.model.row_of(job.id)
        before = self.model.job(before_row) if before_row is not None else None
        self.model.put(job)
        if job.step:
            self._steps.setdefault(job.id, {}).setdefault(job.step, None)
        has_new_state = before is None or before.state != job.state
        if has_new_state:
            self._count()
        selected = self.selected
        if selected is not None and selected.id == job.id and (has_new_state or (before and before.step != job.step)):
            self._inspect(job)
            self.actionsChanged.emit()
            if job.state.is_final:
                self._bridge.start(self._load_steps(job.id))

    def _on_logged(self, job_id: str, lines: list[str]) -> None:
        if self._log[0] == job_id:
            self._log[1].extend(lines)
            del self._log[1][:-LOG_TAIL]
            selected = self.selected
            if selected is not None and selected.id == job_id:
                self._inspect(selected)

    def _on_group(self, index: int) -> None:
        self._shown.show_group(_GROUP_KEYS[index])
        self._count()

    def _on_selected(self) -> None:
        job = self.selected
        self.actionsChanged.emit()
        if job is None:
            self.inspected.emit(None)
            return
        self._log = (job.id, [])
        self._inspect(job)
        self._bridge.start(self._load_log(job.id))
        self._bridge.start(self._load_steps(job.id))

    async def _load_steps(self, job_id: str) -> None:
        """How long each step took; spans come to the store in batches, so the last ones are asked for again."""
        for pause_s in (0.0, *SPANS_AFTER_S):
            await asyncio.sleep(pause_s)
            found = await self._bridge.read(self._bridge.workbench.runtime.steps, job_id)
            steps = self._steps.setdefault(job_id, {})
            for name, seconds in found:
                steps[name] = seconds
            job = self.selected
            if job is None or job.id != job_id:
                return
            self._inspect(job)
            if not job.state.is_final or (steps and None not in steps.values()):
                return

    async def _load_log(self, job_id: str) -> None:
        lines = await self._bridge.read(self._bridge.workbench.runtime.log_lines, job_id, LOG_TAIL)
        if self._log[0] == job_id:
            self._log = (job_id, lines)
            job = self.selected
            if job is not None and job.id == job_id:
                self._inspect(job)

    def _inspect(self, job: JobRecord) -> None:
        self.inspected.emit(inspected(job, self._steps.get(job.id, {}), tuple(self._log[1])))

    def _show_result(self) -> None:
        job = self.selected
        if job is not None and (folder := result_folder(job)):
            self.runRequested.emit(folder)

    def _try(self, do: Callable[[str], Coroutine[Any, Any, object]], job_id: str) -> None:
        self._bridge.start(do(job_id))

    def _count(self) -> None:
        """Numbers on the tabs; the empty state when nothing has ever run."""
        jobs = [self.model.job(row) for row in range(self.model.rowCount())]
        for tab, key in enumerate(_GROUP_KEYS):
            count = sum(job.state in GROUPS[key] for job in jobs) if key else len(jobs)
            self.groups.setTabText(tab, f"{key or 'All'}  {count}" if count else key or "All")
        self._pages.setCurrentWidget(self.table if jobs else self._empty)

    def _as_text(self, lines: Sequence[int]) -> str:
        rows = [[str(self._shown.index(line, n).data() or "") for n in range(len(HEADINGS))] for line in lines]
        return "\n".join("\t".join(row) for row in rows)


def result_folder(job: JobRecord) -> str:
    """The folder a finished job left, the record of one whose run failed, or ""."""
    if job.state is JobState.FAILED and job.error is not None:
        return job.error.details.get("record", "")
    return str((job.result or {}).get("out_dir", "")) if job.state is JobState.DONE else ""


def inspected(job: JobRecord, steps: Mapping[str, float | None], log: tuple[str, ...]) -> Inspected:
    """A job as the inspector shows it: what happened, what to try, its steps and the end of its log."""
    facts = [("State", WORDS[job.state])]
    if job.error is not None:
        facts += [("What happened", job.error.message), ("What to try", job.error.hint)]
    if job.note:
        facts.append(("Now", job.note))
    if job.result and job.result.get("headline"):
        facts.append(("Result", str(job.result["headline"])))
    if job.started_s is not None:
        facts.append(("Started", when_words(job.started_s)))
    if job.started_s is not None and job.ended_s is not None:
        facts.append(("Took", duration_words(job.ended_s - job.started_s)))
    if steps:
        facts.append(("Steps", "\n".join(_step_words(name, took_s) for name, took_s in steps.items())))
    facts += [("Attempt", str(job.attempt)), ("Id", job.id)]
    parameters = {name: _plain(value) for name, value in job.params.items() if value not in (None, "", [], {}, False)}
    origins = ((f"job {job.rerun_of}", job.rerun_of),) if job.rerun_of else ()
    operation = Operation(job.title, when_words(job.created_s), parameters, {}, origins)
    subject = subject_of(job)
    return Inspected(f"{job.title}: {subject}" if subject else job.title, tuple(facts), (operation,), log=log)


def _step_words(name: str, took_s: float | None) -> str:
    return name if took_s is None else f"{name}, {duration_words(took_s)}"


def _plain(value: object) -> str:
    text = str(value)
    return text if len(text) <= 300 else f"{text[:300]}…"
