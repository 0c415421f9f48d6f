"""Where scripts are taken from and run: the script of a run, of a plan, of a run that failed. Asks jobs and queries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QStackedWidget, QWidget

from desktop.core.errors import AppError
from desktop.core.jobs import JobError, JobRecord, JobState
from desktop.core.ports import Finding
from desktop.studios.omics import queries
from desktop.studios.omics.schema import Inspection, Plan, SampleTable, ScriptDraft
from desktop.ui.bridge import Bridge
from desktop.ui.itemmodels.plan_review import to_fault
from desktop.ui.panels.analyze_drafts import Drafts

if TYPE_CHECKING:
    from desktop.studios.omics.failed_run import FailedRun
    from desktop.ui.itemmodels.run_results import RunResults
    from desktop.ui.panels.analyze_script import ScriptPage

SCRIPT = "omics.run_script"
_LONGEST_GIVEN = 20_000  # characters of a script that is given to a model to change
_MENDABLE = (
    "omics.script_refused", "omics.analysis_failed", "omics.timed_out", "omics.out_of_memory", "omics.no_outputs",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Work:
    """What the script of the page runs on. `data` may be a finished run's folder."""

    data: str
    samples: str = ""
    plan: Plan | None = None
    table: SampleTable | None = None
    allow_net: bool = False


class ScriptDesk(QObject):
    """Adds its page to a stack when it is first needed.

    shown(str)       the page is in front now; its title
    finished(str)    a script ran to its end; the run's folder
    failed(object)   an AppError: there is nothing to show
    closed()         back to where one came from
    changed()        what can be done now has changed
    modelsRequested()  a model to write scripts is wanted, and there is none
    """

    shown = Signal(str)
    finished = Signal(str)
    failed = Signal(object)
    closed = Signal()
    changed = Signal()
    modelsRequested = Signal()

    def __init__(self, bridge: Bridge, pages: QStackedWidget, parent: QWidget) -> None:
        super().__init__(parent)
        self._bridge, self._pages = bridge, pages
        self._work = _Work("")
        self._page: ScriptPage | None = None
        self.job_id = ""
        self._accepted: list[str] = []
        self._problem = ""  # why the script in the page failed
        self._before, self._drafted = "", ""  # the script before a model wrote, and what it wrote
        self._drafts = Drafts(bridge, self)
        self._drafts.drafted.connect(self._on_drafted)
        self._drafts.failed.connect(self._on_draft_failed)
        self._drafts.moved.connect(self._on_draft_moved)
        bridge.jobChanged.connect(self._on_job)
        bridge.jobLogged.connect(self._on_logged)

    @property
    def page(self) -> ScriptPage | None:
        return self._page

    @property
    def is_working(self) -> bool:
        """Whether a script runs or is being written."""
        return bool(self.job_id or self._drafts.job_id)

    @property
    def is_in_front(self) -> bool:
        return self._page is not None and self._pages.currentWidget() is self._page

    def edit_run(self, run: RunResults) -> None:
        """A copy of a finished run's script, on the inputs that run had."""
        self._work = _Work(str(run.out_dir))
        about = "A copy of the run’s script, on the same data. What you change runs as a script of your own."
        self._show("Edit the script of a run", about, run.plan.question, run.code)

    def write_new(self, question: str, table: SampleTable, work: tuple[str, str, bool]) -> None:
        """An empty script on data without a plan; `work` as in `edit_plan`."""
        data, samples, allow_net = work
        self._work = _Work(data, samples, None, table, allow_net)
        self._show("Write a script", "It starts empty. Type it, or ask a model for it.", question, "")
        assert self._page is not None
        self._page.request.wish.setText(question)
        self._page.request.wish.setFocus()

    async def edit_plan(self, plan: Plan, found: Inspection, table: SampleTable, work: tuple[str, str, bool]) -> None:
        """The script that a plan leads to, as a beginning; `work` is data, sample sheet and consent for the net."""
        data, samples, allow_net = work
        try:
            code = await self._bridge.call(queries.make_script, plan, found, table)
        except AppError as error:
            self.failed.emit(error)
            return
        self._work = _Work(data, samples, plan, table, allow_net)
        about = "Made from the plan. What you change runs as a script of your own."
        self._show("Write a script", about, plan.question, code)

    async def show_failed(self, record: str, job: JobRecord | None = None) -> None:
        """The record of a run that failed: script, refusals, log, diagnosis, repairs."""
        try:
            failed = await self._bridge.read(queries.load_failed_run, Path(record))
            if job is None:
                job = await self._bridge.read(self._bridge.workbench.runtime.job, failed.run_id)
        except AppError as error:
            self.failed.emit(error)
            return
        given: dict[str, Any] = job.params if job is not None else {}
        data = str(given.get("stored_run") or given.get("data") or "")
        self._work = _Work(data, str(given.get("samples") or ""), failed.plan)
        if given.get("sample_table"):
            self._work = _Work(data, self._work.samples, failed.plan, SampleTable.model_validate(given["sample_table"]))
        about = "The record of a run that failed. What you change runs as a script of your own."
        self._show("A run that failed", about, failed.question, failed.code)
        assert self._page is not None
        self._page.log.set_lines(failed.log.splitlines())
        fault = job.error if job is not None and job.error is not None else _fault(failed)
        self._show_fault(fault, failed.verdict.findings, failed.repairs)

    def run(self, accept: str = "") -> None:
        """Run the script as it stands in the page; `accept` is what the person agrees to beside what they agreed to."""
        self._accepted = [*self._accepted, accept] if accept else []
        page = self._page
        if page is None or self.is_working or not page.editor.code().strip():
            return
        work = self._work
        params = self._given() | {
            "script": page.editor.code(),
            "plan": work.plan.model_dump(mode="json") if work.plan else None,
            "question": page.question.text().strip(),
            "origin": "model" if page.editor.code() == self._drafted else "person",
            "isolation": page.isolation_wish(),
            "accept": self._accepted,
        }
        self._bridge.start(self._submit(params))

    def write(self, wish: str, problem: str = "") -> None:
        """Have a model write what is wished, or mend the script in the page; the person runs it."""
        page = self._page
        if page is None or self.is_working or not wish:
            return
        self._before = page.editor.code()
        is_short = (
            len(self._before) <= _LONGEST_GIVEN
        )  # a whole template's is for people to change; a model begins anew
        page.failure.hide()
        page.request.set_busy(is_busy=True)
        script = self._before if is_short else ""
        params = self._given() | {"question": wish[:4000], "script": script, "problem": problem[:8000]}
        self._bridge.start(self._drafts.ask(params))

    def _mend(self) -> None:
        page = self._page
        if page is not None:
            self.write(page.question.text().strip() or page.request.wish.text().strip() or "Mend it.", self._problem)

    def _take_back(self) -> None:
        if self._page is not None:
            self._page.take_back(self._before)
            self._drafted = ""

    def _given(self) -> dict[str, Any]:
        """What a script of the page is of, as jobs take it."""
        work = self._work
        return {
            "data": work.data,
            "samples": work.samples or None,
            "sample_table": work.table.model_dump(mode="json") if work.table else None,
            "allow_net": work.allow_net,
        }

    def stop(self) -> None:
        """Stop the script that runs, or the model that writes one."""
        self._drafts.stop()
        if self.job_id:
            self._bridge.start(self._bridge.cancel(self.job_id))

    async def _submit(self, params: dict[str, Any]) -> None:
        assert self._page is not None
        self._page.run_button.setEnabled(False)
        self._page.failure.hide()
        self._page.log.set_lines(())
        try:
            self.job_id = await self._bridge.submit(SCRIPT, params)
        except AppError as error:
            self._page.show_failure(to_fault(error))
            return
        self.changed.emit()
        record = await self._bridge.read(self._bridge.workbench.runtime.job, self.job_id)
        if record is not None:
            self._on_job(record)

    def _on_job(self, job: JobRecord) -> None:
        if job.id != self.job_id or self._page is None:
            return
        if not job.state.is_final:
            self._page.show_job(job)
            return
        self.job_id = ""
        self._page.show_idle()
        self.changed.emit()
        if job.state is JobState.DONE and job.result is not None:
            self.finished.emit(str(job.result["out_dir"]))
        elif job.state is JobState.CANCELLED:
            self._page.show_failure(JobError("app.cancelled", "Stopped.", "Nothing was kept of it.", retryable=True))
        else:
            fault = job.error or JobError("app.interrupted", "The job was interrupted.", "Run it again.")
            self._show_fault(fault, *_told(fault))

    def _show_fault(
        self, fault: JobError, findings: Sequence[Finding] = (), repairs: Sequence[dict[str, Any]] = ()
    ) -> None:
        """Why a script did not run to its end; a model may mend what is the script's fault."""
        assert self._page is not None
        self._page.show_failure(fault, findings, repairs)
        said = [f"line {one.line}: {one.message} {one.remedy}" for one in findings[:8]]
        self._problem = "\n".join([f"{fault.message} {fault.hint}", *said])
        is_short = len(self._page.editor.code()) <= _LONGEST_GIVEN
        self._page.request.set_failed(can_mend=fault.code in _MENDABLE and is_short)

    def _on_draft_moved(self, job: JobRecord) -> None:
        if self._page is not None:
            self._page.show_job(job)
            self.changed.emit()

    def _on_drafted(self, draft: ScriptDraft) -> None:
        if self._page is not None:
            self.changed.emit()
            self._page.show_draft(self._before, draft.tries)
            self._drafted = self._page.editor.code()
            if not self._page.question.text().strip():
                self._page.question.setText(self._page.request.wish.text().strip())

    def _on_draft_failed(self, error: JobError) -> None:
        if self._page is not None:
            self.changed.emit()
            self._page.show_failure(error)

    async def _look_for_model(self) -> None:
        has_model = await self._drafts.can_write()
        if self._page is not None:
            self._page.request.set_model(is_there=has_model)

    def _on_logged(self, job_id: str, lines: list[str]) -> None:
        if job_id == self.job_id and self._page is not None:
            self._page.log.add_lines(lines)
            self._page.progress.note_lines(lines)

    def _show(self, heading: str, about: str, question: str, code: str) -> None:
        if self._page is None:
            from desktop.ui.panels.analyze_script import ScriptPage

            self._page = ScriptPage()
            self._page.runRequested.connect(self.run)
            self._page.stopRequested.connect(self.stop)
            self._page.closed.connect(self._drafts.forget)
            self._page.closed.connect(self.closed)
            self._page.offerAccepted.connect(self.run)
            self._page.request.writeRequested.connect(self.write)
            self._page.request.mendRequested.connect(self._mend)
            self._page.request.takeBackRequested.connect(self._take_back)
            self._page.request.modelsRequested.connect(self.modelsRequested)
            self._pages.addWidget(self._page)
        self._drafts.forget()
        self._drafted, self._problem = "", ""
        self._page.show_script(heading, about, question, code)
        self._bridge.start(self._look_for_model())
        self._pages.setCurrentWidget(self._page)
        self._page.editor.setFocus()
        self.shown.emit(question or heading)


def _told(fault: JobError) -> tuple[list[Finding], list[dict[str, Any]]]:
    """Refusals and repairs out of an error's details."""
    findings = json.loads(fault.details.get("findings", "[]"))
    repairs = json.loads(fault.details.get("repairs", "[]"))
    return [Finding(**one) for one in findings], repairs


def _fault(failed: FailedRun) -> JobError:
    """The diagnosis as kept, where the job itself is not known here."""
    code, message, hint = (str(failed.error.get(name, "")) for name in ("code", "message", "hint"))
    return JobError(code, message, hint)
