"""Library: runs and datasets in one list, with scopes, search, preview, Trash with undo, and drag in and out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, QUrl
from PySide6.QtGui import QDesktopServices, QUndoCommand, QUndoStack
from PySide6.QtWidgets import (
    QApplication,
    QLineEdit,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from desktop.core.clock import SystemClock
from desktop.core.errors import AppError
from desktop.core.jobs import JobRecord, JobState
from desktop.studios.omics import queries
from desktop.ui.bridge import Bridge
from desktop.ui.incoming import brought
from desktop.ui.itemmodels.jobs import when_words
from desktop.ui.itemmodels.library_items import Details, LibraryItem, Marks, dataset_items, read_details, run_item
from desktop.ui.palette import Entry
from desktop.ui.panels import Panel
from desktop.ui.panels.library_batch import start_batch
from desktop.ui.panels.library_geo import GeoSearch
from desktop.ui.widgets.banner import Notice
from desktop.ui.widgets.batch_sheet import BatchSheet
from desktop.ui.widgets.inspector import Inspected, Operation
from desktop.ui.widgets.library_list import LibraryList
from desktop.ui.widgets.sheet import ask

PREVIEWS = ("right", "below", "off")
LIMIT = 2000  # runs listed
_SETTLE_MS = 120  # between a selection or a write and reading about it


class LibraryPanel(Panel):
    """The person's runs and datasets."""

    def __init__(self, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._marks = Marks.load(bridge.workbench.paths.home / "library.json")
        self._undo = QUndoStack(self)
        self._details: tuple[str, Details] = ("", Details())
        self._recalled, self._was_loaded = "", False
        self._turn = 0
        self.list = LibraryList()
        self._geo: GeoSearch | None = None
        self.pages = QStackedWidget()
        self.pages.addWidget(self.list)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.pages)
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(_SETTLE_MS)
        self._settle.timeout.connect(lambda: bridge.start(self._load()))
        self._look = QTimer(self)
        self._look.setSingleShot(True)
        self._look.setInterval(_SETTLE_MS)
        self._look.timeout.connect(lambda: bridge.start(self._load_details()))
        self.list.selectionChanged.connect(self._on_selected)
        self.list.opened.connect(self.open_selected)
        self.list.starClicked.connect(self._toggle_star)
        self.list.trashPressed.connect(self._move_to_trash)
        self.list.openAsked.connect(lambda: self.commanded.emit("ui.open_file"))
        self.list.geoAsked.connect(self.search_geo)
        self.list.sampleAsked.connect(lambda: self.commanded.emit("ui.try_sample"))
        bridge.tablesChanged.connect(self._on_tables)
        bridge.jobChanged.connect(self._on_job)
        bridge.start(self._load())

    # ---- reading ------------------------------------------------------------------------------------------------

    async def _load(self) -> None:
        self._turn += 1
        turn = self._turn
        items = await self._bridge.read(self._read)
        if turn != self._turn:
            return  # two threads read: the older answer may come last
        self.list.load(items)
        if not self._was_loaded and self.list.model.items:
            self._was_loaded = True
            self.list.select({self._recalled})
            if not self.list.selected:
                self.list.select_first()

    def _read(self) -> list[LibraryItem]:
        """In a thread."""
        workbench, marks = self._bridge.workbench, self._marks
        jobs = workbench.runtime.jobs({JobState.DONE}, limit=LIMIT)
        places = {job.id: str(job.params.get("data", "")) for job in jobs}
        found = [
            run_item(run, marks, places.get(run.job_id, ""))
            for in_trash in (False, True)
            for run in queries.list_runs(workbench.store, in_trash=in_trash, limit=LIMIT)
        ]
        return found + dataset_items(jobs, marks)

    async def _load_details(self) -> None:
        item = self._one
        if item is None or not item.run_id:
            return
        details = await self._bridge.read(read_details, Path(item.place))
        if self._one == item:
            self._details = (item.key, details)
            self._show_item(item)

    def _on_tables(self, tables: frozenset[str]) -> None:
        if any(name.startswith("omics_") for name in tables):
            self._settle.start()

    def _on_job(self, job: JobRecord) -> None:
        if job.state is JobState.DONE and job.params.get("data"):
            self._settle.start()

    # ---- what the frame asks ------------------------------------------------------------------------------------

    def actions(self) -> dict[str, Callable[[], object]]:  # type: ignore[override]
        if self._geo is not None and self.pages.currentWidget() is self._geo.view:
            return {"ui.find": self._geo.view.words.setFocus, "ui.paste": self._paste}
        found: dict[str, Callable[[], object]] = {
            "ui.search_geo": self.search_geo,
            "ui.ask_several": self.ask_several,
            "ui.find": self.list.search.setFocus,
            "ui.cycle_preview": self.list.cycle_preview,
            "ui.paste": self._paste,
            "ui.undo": partial(self._edit_or, "undo", self._undo.undo),
            "ui.redo": partial(self._edit_or, "redo", self._undo.redo),
        }
        chosen = self.list.selected
        if chosen:
            found["ui.toggle_star"] = self._toggle_star
            if all(item.is_trashed for item in chosen):
                found["ui.restore_item"] = self._restore
            else:
                found["ui.move_to_trash"] = self._move_to_trash
            if "/" in chosen[0].place:
                found["ui.reveal_files"] = self._reveal
        return found

    def palette_entries(self) -> list[Entry]:
        """Every item that is not in the Trash, for Find Anything."""
        icons = {"Run": "analyze", "Dataset": "dataset"}
        return [
            Entry(item.title, partial(self._open, item), item.kind, icons[item.kind], item.words)
            for item in self.list.model.items
            if not item.is_trashed
        ]

    def keep_note(self, key: str, text: str) -> None:
        """Keep a note that was written in the inspector."""
        if key.startswith(("run:", "data:")) and self._marks.notes.get(key, "") != text:
            self._marks.notes[key] = text
            if not text:
                del self._marks.notes[key]
            self._save_marks()

    def remembered(self) -> dict[str, str]:
        """What the next start shows again."""
        return self.list.remembered()

    def recall(self, values: dict[str, str]) -> None:
        """Show again what an earlier window remembered; the selection once the items are read."""
        self.list.recall(values)
        self._recalled = values.get("key", "")

    # ---- several at once ------------------------------------------------------------------------------------------

    def ask_several(self) -> None:
        """Ask one or more questions of several datasets, as one job."""
        self._bridge.start(self._ask_several())

    async def _ask_several(self) -> None:
        datasets = [item for item in self.list.model.items if item.kind == "Dataset" and not item.is_trashed]
        if not datasets:
            hint = "Open a counts table or a folder first; it is in the library from then on."
            self.noticed.emit(Notice("There is no dataset in the library yet.", hint))
            return
        sheet = BatchSheet(self.window(), datasets, {item.key for item in self.list.selected})
        if await ask(sheet) != BatchSheet.DialogCode.Accepted:
            return
        try:
            job_id = await start_batch(self.window(), self._bridge, sheet.places, sheet.questions)
        except AppError as error:
            self.noticed.emit(Notice.of(error))
            return
        if job_id:
            self.runRequested.emit(job_id)

    # ---- GEO ----------------------------------------------------------------------------------------------------

    @property
    def geo(self) -> GeoSearch:
        """The search of GEO, made when it is first wanted."""
        if self._geo is None:
            self._geo = GeoSearch(self._bridge, self)
            self._geo.opened.connect(self.openRequested)
            self._geo.closed.connect(self._show_list)
            self.pages.addWidget(self._geo.view)
        return self._geo

    def search_geo(self) -> None:
        """Look in GEO, with what was typed into the search as its words."""
        if text := self.list.search.text().strip():
            self.geo.view.words.setText(text)
        self.pages.setCurrentWidget(self.geo.view)
        self.geo.view.words.setFocus(Qt.FocusReason.OtherFocusReason)
        self.titleChanged.emit("Search GEO")
        self.inspected.emit(None)
        self.actionsChanged.emit()

    def _show_list(self) -> None:
        self.pages.setCurrentWidget(self.list)
        self.titleChanged.emit("Library")
        self._on_selected()

    # ---- selection ----------------------------------------------------------------------------------------------

    @property
    def _one(self) -> LibraryItem | None:
        chosen = self.list.selected
        return chosen[0] if len(chosen) == 1 else None

    def _on_selected(self) -> None:
        self.actionsChanged.emit()
        item = self._one
        if item is None:
            self.list.show_page("")
            self.inspected.emit(None)
            return
        self._details = (item.key, Details())
        self._show_item(item)
        self._look.start()

    def _show_item(self, item: LibraryItem) -> None:
        details = self._details[1]
        folder = Path(item.place) if item.run_id else None
        self.list.show_page(details.report or facts_page(item), folder)
        operation = Operation(
            "Analysed" if item.run_id else "Looked at",
            when_words(item.when_s),
            details.parameters,
            details.versions,
            details.inputs,
        )
        note = self._marks.notes.get(item.key, "")
        self.inspected.emit(Inspected(item.title, item.facts, (operation,), item.key, note))

    def open_selected(self) -> None:
        """Open what is selected in Analyze."""
        if (item := self._one) is not None:
            self._open(item)

    def _open(self, item: LibraryItem) -> None:
        if item.run_id:
            self.runRequested.emit(item.place)
        else:
            self.openRequested.emit(item.place)

    # ---- changing -----------------------------------------------------------------------------------------------

    def _toggle_star(self) -> None:
        chosen = self.list.selected
        keys = {item.key for item in chosen}
        stars = not all(item.is_starred for item in chosen)
        self._marks.stars = self._marks.stars | keys if stars else self._marks.stars - keys
        self._save_marks()
        self._settle.start()

    def _move_to_trash(self) -> None:
        items = [item for item in self.list.selected if not item.is_trashed]
        if not items:
            return
        words = f"“{items[0].title}”" if len(items) == 1 else f"{len(items)} items"
        self._push(f"Move {words} to Trash", items, to_trash=True)
        self.noticed.emit(Notice(f"Moved {words} to the Trash.", button="Undo", on_button=self._undo.undo))

    def _restore(self) -> None:
        items = [item for item in self.list.selected if item.is_trashed]
        if items:
            self._push("Put Back", items, to_trash=False)

    def _push(self, words: str, items: Sequence[LibraryItem], *, to_trash: bool) -> None:
        self._undo.push(
            _Command(words, partial(self._trash, items, to_trash), partial(self._trash, items, not to_trash))
        )

    def _trash(self, items: Sequence[LibraryItem], to_trash: bool) -> None:
        self._bridge.start(self._trash_each(items, to_trash=to_trash))

    async def _trash_each(self, items: Sequence[LibraryItem], *, to_trash: bool) -> None:
        datasets = {item.key for item in items if not item.run_id}
        if datasets:
            self._marks.removed = self._marks.removed | datasets if to_trash else self._marks.removed - datasets
            self._save_marks()
        store = self._bridge.workbench.store
        for run_id in filter(None, (item.run_id for item in items)):
            if to_trash:
                await queries.trash_run(store, run_id, SystemClock())
            else:
                await queries.restore_run(store, run_id)
        await self._load()

    def _save_marks(self) -> None:
        try:
            self._marks.save()
        except OSError as error:
            hint = "Check the data folder's permissions and the free space."
            self.noticed.emit(Notice.of(AppError(f"The mark could not be kept: {error.strerror}.", hint=hint)))

    # ---- small things -------------------------------------------------------------------------------------------

    def _paste(self) -> None:
        mime = QApplication.clipboard().mimeData()
        focused = QApplication.focusWidget()
        if isinstance(focused, QLineEdit):
            focused.paste()
        elif data := brought(mime):
            self.openRequested.emit(data[0])

    def _edit_or(self, name: str, do: Callable[[], object]) -> None:
        focused = QApplication.focusWidget()
        if isinstance(focused, QLineEdit):
            getattr(focused, name)()
        else:
            do()

    def _reveal(self) -> None:
        place = Path(self.list.selected[0].place)
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(place if place.is_dir() else place.parent)))


class _Command(QUndoCommand):
    def __init__(self, words: str, do: Callable[[], object], undo: Callable[[], object]) -> None:
        super().__init__(words)
        self._do, self._undo = do, undo

    def redo(self) -> None:
        self._do()

    def undo(self) -> None:
        self._undo()


def facts_page(item: LibraryItem) -> str:
    """A dataset, or a run whose report is not there, as Markdown."""
    lines = [f"## {_plain(item.title)}", ""]
    lines += [f"**{label}:** {_plain(value)}\n" for label, value in item.facts]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text that Markdown takes as it is."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+!|~" else c for c in " ".join(text.split()))
