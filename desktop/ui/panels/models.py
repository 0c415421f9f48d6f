"""Models: what there is, what is in memory and by how much, whether one fits; download, import, load, unload, keep.

Shows what the gateway and the catalogue say; decides nothing. What is in memory is asked for once a second while the
panel is in front. Servers are named, allowed and taken back in Settings.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QHeaderView, QLabel, QPushButton, QVBoxLayout, QWidget

from desktop.core.errors import AppError
from desktop.core.jobs import JobRecord, JobState
from desktop.core.models import ModelRoom
from desktop.core.sizes import GIB, size_words
from desktop.studios.machine import queries
from desktop.ui import theme
from desktop.ui.bridge import Bridge
from desktop.ui.itemmodels.models import (
    ENGINES,
    HEADINGS,
    SIZE,
    SPEED,
    TITLE,
    ModelLine,
    ModelsTableModel,
)
from desktop.ui.panels import Panel
from desktop.ui.panels.consent import ask_consent, can_ask
from desktop.ui.widgets.banner import Notice
from desktop.ui.widgets.budget_bar import BudgetBar
from desktop.ui.widgets.fitting import FittedColumns
from desktop.ui.widgets.inspector import Inspected
from desktop.ui.widgets.sheet import ask_choice, ask_path, ask_yes
from desktop.ui.widgets.table_view import TableView

_EVERY_MS = 1000
_JOBS = ("machine.download_model", "machine.import_model", "machine.quantise_model")


class ModelsPanel(Panel):
    """The models of this machine and the servers that were named."""

    def __init__(self, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._status: dict[str, Any] = {}
        self._rows: list[queries.ModelRow] = []
        self._working: dict[str, str] = {}  # job → model, or the words for it
        self.model = ModelsTableModel(self)
        self.table = TableView("Models", self._as_text)
        self.table.setModel(self.model)
        self.table.setSelectionMode(TableView.SelectionMode.SingleSelection)
        self.table.verticalHeader().setDefaultSectionSize(theme.ROW)
        header = self.table.horizontalHeader()
        header.setStretchLastSection(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(TITLE, QHeaderView.ResizeMode.Stretch)
        for column, width in ((1, 84), (2, 76), (SIZE, 84), (4, 170), (SPEED, 100)):
            self.table.setColumnWidth(column, width)
        FittedColumns(self.table, TITLE, (SPEED, 1))
        self.bar = BudgetBar("Memory for models")
        self.words, self.fit = QLabel(), QLabel()
        self.fit.setWordWrap(True)
        self.fit.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.buttons = {
            name: self._button(title, tip, do)
            for name, title, tip, do in (
                ("download", "Download…", "Fetch the selected model from its publisher", self._download),
                ("load", "Load", "Take it into memory ahead of use", partial(self._on_loop, "load")),
                ("unload", "Unload", "Give its memory back", partial(self._on_loop, "unload")),
                ("keep", "Keep in Memory", "Never unload it to make room", partial(self._on_loop, "keep")),
                ("release", "Let Go", "Let it be unloaded when idle", partial(self._on_loop, "release")),
                ("trash", "Move to Trash", "", self._trash),
                ("restore", "Put Back", "", self._restore),
            )
        }
        self.import_button = self._button("Import…", "Take in a model of your own: a folder or a GGUF", self._import)
        self._lay_out()
        self._timer = QTimer(self)
        self._timer.setInterval(_EVERY_MS)
        self._timer.timeout.connect(lambda: bridge.start(self._refresh()))
        self.table.linesSelected.connect(self._on_selected)
        self.table.activated.connect(lambda _index: self._act_on_selected())
        bridge.jobChanged.connect(self._on_job)
        bridge.start(self._load())

    def _button(self, title: str, tip: str, do: Callable[[], Coroutine[Any, Any, None]]) -> QPushButton:
        button = QPushButton(title)
        button.setToolTip(tip)
        button.clicked.connect(lambda: self._bridge.start(self._told(do())))
        return button

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        top, below, row = QHBoxLayout(), QVBoxLayout(), QHBoxLayout()
        top.setContentsMargins(theme.MARGIN, theme.GAP, theme.MARGIN, theme.GAP)
        top.setSpacing(theme.GAP)
        top.addWidget(self.bar, 1)
        top.addWidget(self.words)
        below.setContentsMargins(theme.MARGIN, theme.GAP, theme.MARGIN, theme.GAP)
        below.setSpacing(theme.GAP)
        for button in self.buttons.values():
            row.addWidget(button)
        row.addStretch(1)
        row.addWidget(self.import_button)
        below.addWidget(self.fit)
        below.addLayout(row)
        layout.addLayout(top)
        layout.addWidget(self.table, 1)
        layout.addLayout(below)
        self._show_buttons()

    # ---- what the frame asks ------------------------------------------------------------------------------------

    def actions(self) -> dict[str, Callable[[], object]]:  # type: ignore[override]
        line = self.selected
        found: dict[str, Callable[[], object]] = {}
        if line is not None and line.is_here and not line.live:
            found["ui.move_to_trash"] = self.buttons["trash"].click
        if line is not None and line.place == "in Trash":
            found["ui.restore_item"] = self.buttons["restore"].click
        return found

    @property
    def selected(self) -> ModelLine | None:
        """The selected model."""
        lines = self.table.selected_lines()
        return self.model.line(lines[0]) if lines else None

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._timer.start()
        self._bridge.start(self._load())

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._timer.stop()

    # ---- what is shown ------------------------------------------------------------------------------------------

    async def _load(self) -> None:
        """The catalogue and the disk, then what is in memory."""
        self._rows = await self._bridge.read(queries.list_models, self._bridge.workbench.paths)
        await self._refresh()

    async def _refresh(self) -> None:
        workbench = self._bridge.workbench
        self._status = await asyncio.wrap_future(workbench.runtime.host(_status(workbench.models)))
        chosen = self.selected
        self.model.load(to_lines(self._rows, self._status))
        memory = self._status.get("memory") or {}
        slots = [(str(slot["id"]), int(slot["bytes"])) for slot in memory.get("slots", ())]
        limit = int(memory.get("limit_bytes", 0))
        self.bar.show_pieces(slots, limit)
        held = sum(size for _, size in slots)
        self.words.setText(f"{size_words(held)} of {limit / GIB:.1f} GiB for models" if limit else "No local models")
        if chosen is not None and (row := self.model.row_of(chosen.id)) is not None:
            if not self.table.selected_lines():
                self.table.selectRow(row)
            if self.model.line(row) != chosen:
                self._inspect(self.model.line(row))
        self._show_buttons()

    def _on_selected(self) -> None:
        line = self.selected
        self.actionsChanged.emit()
        self._show_buttons()
        self.fit.setText("")
        if line is None:
            self.inspected.emit(None)
            return
        self._inspect(line)
        if line.place == "not set up":
            self.fit.setText("Name its server under Settings → Models to use it.")
        elif line.place != "on a server":
            self._bridge.start(self._show_fit(line.id))

    async def _show_fit(self, model_id: str) -> None:
        settings = self._bridge.workbench.settings.get("memory")
        answer = await self._bridge.read(queries.fit, self._bridge.workbench.paths, model_id, settings)
        line = self.selected
        if line is not None and line.id == model_id:
            self.fit.setText("It is in memory." if line.is_loaded else answer.words)

    def _show_buttons(self) -> None:
        line = self.selected
        busy = line is not None and line.id in self._working.values()
        states = {
            "download": line is not None and line.place == "available" and bool(line.facts.get("From")) and not busy,
            "load": line is not None and line.is_here and not line.live,
            "unload": line is not None and line.is_loaded,
            "keep": line is not None and line.is_here and not line.live.get("is_pinned"),
            "release": line is not None and bool(line.live.get("is_pinned")),
            "trash": line is not None and line.is_here and not line.live,
            "restore": line is not None and line.place == "in Trash",
        }
        for name, is_on in states.items():
            self.buttons[name].setEnabled(is_on)
        for one, other in (("load", "unload"), ("keep", "release"), ("trash", "restore")):
            self.buttons[one].setVisible(not states[other])
            self.buttons[other].setVisible(states[other])
        self.buttons["download"].setVisible(line is None or not line.is_here)

    def _inspect(self, line: ModelLine) -> None:
        facts = [("State", line.state), ("Engine", ENGINES.get(line.engine, line.engine)), ("Id", line.id)]
        facts += [(name, text) for name, text in line.facts.items() if text]
        if line.figures.get("requests"):
            first, total = line.figures["first_token_s"], line.figures["total_s"]
            facts += [
                ("Requests", f"{line.figures['requests']:,}"),
                ("First word", f"{first['p50']:.2f} s (95 % within {first['p95']:.2f} s)"),
                ("Whole answer", f"{total['p50']:.1f} s (95 % within {total['p95']:.1f} s)"),
                ("Speed", f"{line.figures['tokens_per_s']:.0f} tokens/s"),
            ]
            facts += [("Failed", f"{count} × {code}") for code, count in line.figures["failures"].items()]
        if line.breaker != "closed":
            facts.append(("Left alone", "It failed repeatedly; it is tried again in a moment."))
        self.inspected.emit(Inspected(line.title, tuple(facts)))

    # ---- what is done -------------------------------------------------------------------------------------------

    async def _told(self, work: Awaitable[None]) -> None:
        """Do it; what goes wrong is a banner, and the list is up to date afterwards."""
        try:
            await work
        except AppError as error:
            self.noticed.emit(Notice.of(error))
        await self._load()

    def _act_on_selected(self) -> None:
        for name in ("download", "load", "unload"):
            if self.buttons[name].isVisible() and self.buttons[name].isEnabled():
                self.buttons[name].click()
                return

    async def _on_loop(self, what: str) -> None:
        """load, unload, keep, release: on the loop where models live."""
        line = self.selected
        if line is None:
            return
        work = self._bridge.workbench.runtime.host(_do(self._bridge.workbench.models, what, line.id))
        await asyncio.gather(asyncio.wrap_future(work), self._refresh())

    async def _download(self, *, allow: bool = False) -> None:
        line = self.selected
        if line is None:
            return
        job = await self._bridge.submit("machine.download_model", {"model": line.id, "allow_net": allow})
        self._working[job] = line.id
        self._show_buttons()

    async def _import(self) -> None:
        kind = await ask_choice(
            self,
            "Import a model",
            "A GGUF file, or a folder with its config.json.",
            ("GGUF File", "Folder"),
        )
        if not kind:
            return
        folder = kind == "Folder"
        path = await ask_path(self, "Import a model", folder=folder, filters="" if folder else "GGUF (*.gguf)")
        if path:
            job = await self._bridge.submit("machine.import_model", {"source": path})
            self._working[job] = path

    async def _trash(self) -> None:
        line = self.selected
        if line is not None:
            await self._bridge.read(queries.trash_model, self._bridge.workbench.paths, line.id)

    async def _restore(self) -> None:
        line = self.selected
        if line is not None:
            await self._bridge.read(queries.restore_model, self._bridge.workbench.paths, line.id)

    def _on_job(self, job: JobRecord) -> None:
        if job.kind not in _JOBS:
            return
        subject = self._working.setdefault(job.id, str(job.params.get("model") or job.params.get("source") or ""))
        if not job.state.is_final:
            return
        self._working.pop(job.id, None)
        self._bridge.start(self._load())
        if job.state is JobState.FAILED and job.error is not None:
            if can_ask(self._bridge, job.error) and self.isVisible():
                self._bridge.start(self._told(self._ask_to_download(subject, job)))
            else:
                self.noticed.emit(Notice(job.error.message, job.error.hint, "warning"))

    async def _ask_to_download(self, model_id: str, job: JobRecord) -> None:
        assert job.error is not None
        row = self.model.row_of(model_id)
        title = self.model.line(row).title if row is not None else model_id
        if await ask_consent(self, self._bridge, title, job.error, leaves="the model's name"):
            again = await self._bridge.submit("machine.download_model", {"model": model_id, "allow_net": True})
            self._working[again] = model_id

    async def empty_trash(self) -> None:
        """Delete what is in the Trash of models for good, after a yes."""
        if await ask_yes(self, "Delete the models in the Trash?", "Their files are removed for good.", "Delete"):
            await self._bridge.read(queries.empty_trash, self._bridge.workbench.paths)
            await self._load()

    def _as_text(self, lines: Sequence[int]) -> str:
        rows = [[str(self.model.index(line, n).data() or "") for n in range(len(HEADINGS))] for line in lines]
        return "\n".join("\t".join(row) for row in rows)


async def _status(models: ModelRoom) -> dict[str, Any]:
    return models.status()


async def _do(models: ModelRoom, what: str, model_id: str) -> None:
    if what == "unload":
        await models.unload(model_id)
        return
    if what == "release":
        models.pin(model_id, is_pinned=False)
        return
    if what == "keep":
        models.pin(model_id, is_pinned=True)
    try:
        await models.load(model_id)
    except BaseException:
        if what == "keep":
            models.pin(model_id, is_pinned=False)
        raise


def to_lines(rows: Sequence[queries.ModelRow], status: dict[str, Any]) -> list[ModelLine]:
    """Catalogue and disk, joined with what is in memory and on servers; here first, then servers, then the rest."""
    live = {str(slot["id"]): slot for slot in (status.get("memory") or {}).get("slots", ())}
    known = {str(one["id"]): one for one in status.get("models", ())}
    lines = [
        ModelLine(
            row.id,
            row.title,
            row.engine,
            "embedding" if "embed" in row.capabilities else row.tier,
            "not set up" if row.state == "on a server" and row.id not in known else row.state,
            row.bytes,
            facts={
                "Context": f"{row.context_tokens:,} tokens",
                "Precision": f"{row.bits} bit",
                "Can": ", ".join(row.capabilities),
                "Licence": row.licence,
                "From": row.source or row.repository,
            },
            live=live.get(row.id, {}),
            figures=known.get(row.id, {}).get("figures") or {},
            breaker=str(known.get(row.id, {}).get("breaker", "closed")),
        )
        for row in rows
    ]
    listed = {line.id for line in lines}
    lines += [
        ModelLine(
            str(one["id"]),
            str(one["id"]),
            str(one["engine"]),
            str(one.get("tier") or "embedding"),
            "on a server",
            facts={"Context": f"{one['context_tokens']:,} tokens"},
            figures=one.get("figures") or {},
            breaker=str(one.get("breaker", "closed")),
        )
        for one in known.values()
        if one["id"] not in listed and one.get("is_remote")
    ]
    order = {"on disk": 0, "linked": 0, "on a server": 1, "available": 2, "not set up": 3, "in Trash": 4}
    return sorted(lines, key=lambda line: order[line.place])
