"""Models: what there is, what is in memory and by how much, whether one fits; download, import, load, unload, keep.

Shows what the gateway and the catalogue say; decides nothing. What is in memory is asked for once a second while the
panel is in front. Servers are named in Settings; whether they are asked is decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QHeaderView, QLabel, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from desktop.core.errors import AppError
from desktop.core.jobs import JobRecord, JobState
from desktop.core.models import FitAnswer, ModelRoom
from desktop.core.sizes import size_words
from desktop.studios.machine import queries
from desktop.ui import theme
from desktop.ui.bridge import Bridge
from desktop.ui.itemmodels.model_lines import DOWNLOAD, Fetch, ModelLine, fetches_of, to_lines
from desktop.ui.itemmodels.models import ENGINES, HEADINGS, SIZE, SPEED, TITLE, ModelsTableModel
from desktop.ui.panels import Panel
from desktop.ui.panels.consent import allow_server, ask_consent, can_ask, withdraw_server
from desktop.ui.widgets.banner import Notice
from desktop.ui.widgets.budget_bar import BudgetBar
from desktop.ui.widgets.fitting import FittedColumns
from desktop.ui.widgets.inspector import Inspected
from desktop.ui.widgets.routing_view import FeaturesView, RequestsView
from desktop.ui.widgets.segments import Segments
from desktop.ui.widgets.sheet import ask_choice, ask_path, ask_yes
from desktop.ui.widgets.table_view import TableView

_EVERY_MS = 1000
_JOBS = (DOWNLOAD, "machine.import_model", "machine.quantise_model")
_NO_MODEL = (
    "No model on this machine yet. Benchtop works without one; with one it plans from freer sentences and writes "
    "report text. Select a model to see whether it fits, or import one of your own."
)
_ONLY_WHEN_NEEDED = ("stop", "empty", "allow", "withdraw")
_TIERS = (("small", "Small"), ("medium", "Medium"), ("large", "Large"))


class ModelsPanel(Panel):
    """The models of this machine and the servers that were named."""

    def __init__(self, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._status: dict[str, Any] = {}
        self._rows: list[queries.ModelRow] = []
        self._fetches: dict[str, Fetch] = {}
        self._fit_words: dict[str, str] = {}  # of the selected model
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
        self.words, self.slots, self.fit = QLabel(), QLabel(), QLabel()
        self.slots.setAccessibleName("Who answers in each tier")
        self.fit.setWordWrap(True)
        self.fit.setMinimumHeight(2 * self.fit.fontMetrics().lineSpacing())
        self.fit.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self.requests, self.features = RequestsView(), FeaturesView()
        self.pages = Segments("Pages of Models", ("Models", "Requests", "Features"))
        self._stack = QStackedWidget()
        self.fit.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.buttons = {
            name: self._button(title, tip, do)
            for name, title, tip, do in (
                ("download", "Download…", "Fetch the selected model from its publisher", self._download),
                ("stop", "Stop", "What was downloaded so far is kept", self._stop),
                ("load", "Load", "Take it into memory ahead of use", partial(self._on_loop, "load")),
                ("unload", "Unload", "Give its memory back", partial(self._on_loop, "unload")),
                ("keep", "Keep in Memory", "Never unload it to make room", partial(self._on_loop, "keep")),
                ("release", "Let Go", "Let it be unloaded when idle", partial(self._on_loop, "release")),
                ("trash", "Move to Trash", "", self._trash),
                ("restore", "Put Back", "", self._restore),
                ("empty", "Empty Trash…", "Remove the models in the Trash for good", self._empty_trash),
                ("allow", "Allow…", "Let texts go to this server; says first what would leave", self._allow),
                ("withdraw", "Withdraw", "Send nothing to this server any more", self._withdraw),
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
        top, below, row, page = QHBoxLayout(), QVBoxLayout(), QHBoxLayout(), QWidget()
        top.setContentsMargins(theme.MARGIN, theme.GAP, theme.MARGIN, 0)
        top.setSpacing(theme.MARGIN)
        top.addWidget(self.pages)
        top.addWidget(self.bar, 1)
        top.addWidget(self.words)
        self.slots.setContentsMargins(theme.MARGIN, theme.GAP, theme.MARGIN, theme.GAP)
        below.setContentsMargins(theme.MARGIN, theme.GAP, theme.MARGIN, theme.GAP)
        below.setSpacing(theme.GAP)
        for button in self.buttons.values():
            row.addWidget(button)
        row.addStretch(1)
        row.addWidget(self.import_button)
        below.addWidget(self.fit)
        below.addLayout(row)
        first = QVBoxLayout(page)
        first.setContentsMargins(0, 0, 0, 0)
        first.setSpacing(0)
        first.addWidget(self.table, 1)
        first.addLayout(below)
        for one in (page, self.requests, self.features):
            self._stack.addWidget(one)
        self.pages.currentChanged.connect(self._stack.setCurrentIndex)
        layout.addLayout(top)
        layout.addWidget(self.slots)
        layout.addWidget(self._stack, 1)
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
        """The catalogue, the disk and downloads, then what is in memory."""
        bench = self._bridge.workbench
        self._rows = await self._bridge.read(queries.list_models, bench.paths)
        self._fetches = fetches_of(await self._bridge.read(bench.runtime.jobs))
        await self._refresh()

    async def _refresh(self) -> None:
        bench = self._bridge.workbench
        self._status = await asyncio.wrap_future(bench.runtime.host(_status(bench.models)))
        self._show()
        if self.selected is not None:
            await self._ask_fit(self.selected)

    def _show(self) -> None:
        """What was last heard, in every part of the panel."""
        chosen = self.selected
        servers = self._bridge.workbench.settings.get("servers").known
        self.model.load(to_lines(self._rows, self._status, servers, self._fetches))
        memory = self._status.get("memory") or {}
        slots = [(str(slot["id"]), int(slot["bytes"])) for slot in memory.get("slots", ())]
        limit = int(memory.get("limit_bytes", 0))
        self.bar.show_pieces(slots, limit)
        held = sum(size for _, size in slots)
        self.words.setText(
            f"{size_words(held) if held else 'Nothing'} of {size_words(limit)} for models"
            if limit
            else "No local models"
        )
        self.slots.setText(self._tier_words())
        self.requests.show_status(self._status)
        self.features.show_status(self._status)
        if chosen is not None and (row := self.model.row_of(chosen.id)) is not None:
            if not self.table.selected_lines():
                self.table.selectRow(row)
            if self.model.line(row) != chosen:
                self._inspect(self.model.line(row))
        self._show_buttons()

    def _tier_words(self) -> str:
        """Who would answer in each tier."""
        said = []
        for tier, title in _TIERS:
            model = str((self._status.get("tiers") or {}).get(tier, ""))
            row = self.model.row_of(model) if model else None
            line = self.model.line(row) if row is not None else None
            said.append(
                f"{title}: {line.title if line else 'none'}" + (" (in memory)" if line and line.is_loaded else "")
            )
        return "     ".join(said)

    def _on_selected(self) -> None:
        line = self.selected
        self.actionsChanged.emit()
        self._fit_words = {}
        self._show_buttons()
        self.inspected.emit(None)
        if line is not None:
            self._inspect(line)
            self._bridge.start(self._ask_fit(line))

    async def _ask_fit(self, line: ModelLine) -> None:
        """Whether it would go into memory beside what is there now."""
        if line.is_server or line.place in ("not set up", "in Trash", "on its way"):
            return
        bench = self._bridge.workbench
        try:
            answer = await asyncio.wrap_future(bench.runtime.host(_fit(bench.models, line.id)))
            self._fit_words = {line.id: answer.words}
        except AppError as error:
            self._fit_words = {line.id: f"{error} {error.hint}"}
        self._tell(self.selected)

    def _tell(self, line: ModelLine | None) -> None:
        """What there is to know before anything is pressed."""
        if line is None:
            is_bare = not any(row.state in ("on disk", "linked") for row in self._rows)
            self.fit.setText(_NO_MODEL if is_bare and self._rows else "")
            return
        said = [self._fit_words.get(line.id, ""), line.measured]
        if line.place == "not set up":
            said = ["Name its server under Settings → Models to use it."]
        elif line.place == "not allowed":
            said = [f"Nothing goes to {line.facts['Address']} now. Allow… says what would leave this machine."]
        elif line.place == "on a server":
            said = [f"Prompts sent to it by name go to {line.facts['Address']}; analyses never do.", line.measured]
        elif line.fetch is not None and not line.is_here:
            kept = "What came is kept; the download goes on where it was."
            said.append(line.fetch.note if line.fetch.is_running else kept)
        self.fit.setText(" ".join(filter(None, said)))

    def _show_buttons(self) -> None:
        line = self.selected
        fetch = line.fetch if line is not None else None
        fetches = fetch is not None and fetch.is_running
        is_server = line is not None and line.is_server
        states = {
            "download": line is not None and line.place == "available" and bool(line.facts.get("From")),
            "stop": fetches,
            "load": line is not None and line.is_here and not line.live,
            "unload": line is not None and line.is_loaded,
            "keep": line is not None and line.is_here and not line.live.get("is_pinned"),
            "release": line is not None and bool(line.live.get("is_pinned")),
            "trash": line is not None and line.is_here and not line.live,
            "restore": line is not None and line.place == "in Trash",
            "empty": line is not None and line.place == "in Trash",
            "allow": line is not None and line.place == "not allowed",
            "withdraw": line is not None and line.place == "on a server",
        }
        for name, is_on in states.items():
            self.buttons[name].setEnabled(is_on)
            self.buttons[name].setVisible(is_on if is_server or name in _ONLY_WHEN_NEEDED else True)
        if not is_server:
            for one, other in (("load", "unload"), ("keep", "release"), ("trash", "restore")):
                self.buttons[one].setVisible(not states[other])
                self.buttons[other].setVisible(states[other])
            self.buttons["download"].setVisible((line is None or not line.is_here) and not fetches)
        self.buttons["download"].setText("Resume Download" if fetch is not None and not fetches else "Download…")
        self._tell(line)

    def _inspect(self, line: ModelLine) -> None:
        facts = [("State", line.state), ("Engine", ENGINES.get(line.engine, line.engine)), ("Id", line.id)]
        facts += [(name, text) for name, text in line.facts.items() if text]
        if line.figures.get("requests"):
            first, total = line.figures["first_token_s"], line.figures["total_s"]
            facts += [
                ("Requests", f"{line.figures['requests']:,}"),
                ("First word", _percentiles(first)),
                ("Whole answer", _percentiles(total)),
                ("Speed", f"{line.figures['tokens_per_s']:.0f} tokens/s"),
                ("Tokens", f"{line.figures['prompt_tokens']:,} read, {line.figures['completion_tokens']:,} written"),
            ]
            facts += [("Failed", f"{count} × {code}") for code, count in line.figures["failures"].items()]
            if line.figures.get("last_fault"):
                facts.append(("Last failure", line.figures["last_fault"]))
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
        for name in ("download", "load", "unload", "allow"):
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

    async def _download(self) -> None:
        line = self.selected
        if line is None:
            return
        await self._bridge.submit(DOWNLOAD, {"model": line.id})

    async def _stop(self) -> None:
        line = self.selected
        if line is not None and line.fetch is not None:
            await self._bridge.cancel(line.fetch.job)

    async def _allow(self) -> None:
        line = self.selected
        if line is not None:
            await allow_server(self, self._bridge, line.id, line.facts["Address"])

    async def _withdraw(self) -> None:
        line = self.selected
        if line is not None:
            await withdraw_server(self._bridge, line.id)

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
            await self._bridge.submit("machine.import_model", {"source": path})

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
        if not job.state.is_final:
            self._fetches |= fetches_of([job])
            self._show()
            return
        self._bridge.start(self._load())
        if job.state is JobState.FAILED and job.error is not None:
            if can_ask(self._bridge, job.error) and self.isVisible():
                self._bridge.start(self._told(self._ask_to_download(str(job.params["model"]), job)))
            else:
                self.noticed.emit(Notice(job.error.message, job.error.hint, "warning"))

    async def _ask_to_download(self, model_id: str, job: JobRecord) -> None:
        assert job.error is not None
        row = self.model.row_of(model_id)
        title = self.model.line(row).title if row is not None else model_id
        if await ask_consent(self, self._bridge, title, job.error, leaves="the model's name"):
            await self._bridge.submit(DOWNLOAD, {"model": model_id, "allow_net": True})

    async def _empty_trash(self) -> None:
        """Delete what is in the Trash of models for good, after a yes."""
        if await ask_yes(self, "Delete the models in the Trash?", "Their files are removed for good.", "Delete"):
            await self._bridge.read(queries.empty_trash, self._bridge.workbench.paths)

    def _as_text(self, lines: Sequence[int]) -> str:
        rows = [[str(self.model.index(line, n).data() or "") for n in range(len(HEADINGS))] for line in lines]
        return "\n".join("\t".join(row) for row in rows)


async def _status(models: ModelRoom) -> dict[str, Any]:
    return models.status()


async def _fit(models: ModelRoom, model_id: str) -> FitAnswer:
    return models.fit(model_id)


def _percentiles(of: dict[str, float]) -> str:
    return f"{of['p50']:.2f} s (95 % within {of['p95']:.2f} s, 99 % within {of['p99']:.2f} s)"


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
