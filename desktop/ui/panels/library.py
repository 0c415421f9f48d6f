"""Library: runs and datasets in one list, with scopes, search, preview, Trash with undo, and drag in and out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QKeyEvent, QUndoCommand, QUndoStack
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from desktop.core.clock import SystemClock
from desktop.core.errors import AppError
from desktop.core.jobs import JobRecord, JobState
from desktop.studios.omics import queries
from desktop.ui import theme
from desktop.ui.bridge import Bridge
from desktop.ui.incoming import brought
from desktop.ui.itemmodels.jobs import when_words
from desktop.ui.itemmodels.library import (
    HEADINGS,
    KIND,
    SCOPES,
    SOURCE,
    STAR,
    STATE,
    TITLE,
    YEAR,
    LibraryFilterModel,
    LibraryTableModel,
)
from desktop.ui.itemmodels.library_items import Details, LibraryItem, Marks, dataset_items, read_details, run_item
from desktop.ui.palette import Entry
from desktop.ui.panels import Panel
from desktop.ui.widgets.banner import Notice
from desktop.ui.widgets.empty_state import EmptyState
from desktop.ui.widgets.inspector import Inspected, Operation
from desktop.ui.widgets.preview import Preview
from desktop.ui.widgets.segments import Segments
from desktop.ui.widgets.table_view import TableView

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
        self._preview_at = "right"
        self._details: tuple[str, Details] = ("", Details())
        self.model = LibraryTableModel(self)
        self._shown = LibraryFilterModel(self)
        self._shown.setSourceModel(self.model)
        self.scopes = Segments("Scope", SCOPES)
        self.search = QLineEdit()
        self.search.setAccessibleName("Search the library")
        self.search.setPlaceholderText("Search the library")
        self.search.setClearButtonEnabled(True)
        self.search.setMaximumWidth(260)
        self.search.setTextMargins(4, 2, 4, 2)
        self.table = _LibraryTable(self._as_text)
        self.table.setModel(self._shown)
        self.table.setSortingEnabled(True)
        self.table.sortByColumn(YEAR, Qt.SortOrder.DescendingOrder)
        header = self.table.horizontalHeader()
        header.setStretchLastSection(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setMinimumSectionSize(28)
        header.setSectionResizeMode(TITLE, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(STAR, QHeaderView.ResizeMode.Fixed)
        for column, width in ((STAR, 30), (KIND, 68), (SOURCE, 104), (YEAR, 56), (STATE, 68)):
            self.table.setColumnWidth(column, width)
        self.preview = Preview()
        self.split = QSplitter(Qt.Orientation.Horizontal)
        self.split.setHandleWidth(1)
        self.split.setChildrenCollapsible(False)
        self.split.addWidget(self.table)
        self.split.addWidget(self.preview)
        self.split.setStretchFactor(0, 3)
        self.split.setStretchFactor(1, 2)
        self._empty = EmptyState(
            "Drop a counts table or a GEO folder, or paste an accession.",
            icon="drop",
            button="Open…",
            sample="Try the Sample",
            is_drop_zone=True,
        )
        self._nothing = EmptyState("Nothing here.", icon="search")
        self._pages = QStackedWidget()
        for page in (self.split, self._empty, self._nothing):
            self._pages.addWidget(page)
        top = QHBoxLayout()
        top.setContentsMargins(theme.GAP, 4, theme.MARGIN, 4)
        top.addWidget(self.scopes)
        top.addStretch(1)
        top.addWidget(self.search, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(top)
        layout.addWidget(self._pages, 1)
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(_SETTLE_MS)
        self._settle.timeout.connect(lambda: bridge.start(self._load()))
        self._look = QTimer(self)
        self._look.setSingleShot(True)
        self._look.setInterval(_SETTLE_MS)
        self._look.timeout.connect(lambda: bridge.start(self._load_details()))
        self.scopes.currentChanged.connect(self._on_scope)
        self.search.textChanged.connect(self._on_search)
        self.table.linesSelected.connect(self._on_selected)
        self.table.activated.connect(lambda _index: self.open_selected())
        self.table.clicked.connect(lambda index: self._toggle_star() if index.column() == STAR else None)
        self.table.deletePressed.connect(self._move_to_trash)
        self.table.previewPressed.connect(self._cycle_preview)
        self._empty.chosen.connect(lambda: self.commanded.emit("ui.open_file"))
        self._empty.sampleChosen.connect(lambda: self.commanded.emit("ui.try_sample"))
        bridge.tablesChanged.connect(self._on_tables)
        bridge.jobChanged.connect(self._on_job)
        self._show_page()
        bridge.start(self._load())

    # ---- reading ------------------------------------------------------------------------------------------------

    async def _load(self) -> None:
        kept = {item.key for item in self.selected}
        items = await self._bridge.read(self._read)
        self.model.load(items)
        self._select(kept)
        self._show_page()

    def _read(self) -> list[LibraryItem]:
        """In a thread."""
        workbench, marks = self._bridge.workbench, self._marks
        found = [
            run_item(run, marks)
            for in_trash in (False, True)
            for run in queries.list_runs(workbench.store, in_trash=in_trash, limit=LIMIT)
        ]
        return found + dataset_items(workbench.runtime.jobs({JobState.DONE}), marks)

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
        found: dict[str, Callable[[], object]] = {
            "ui.find": self.search.setFocus,
            "ui.cycle_preview": self._cycle_preview,
            "ui.paste": self._paste,
            "ui.undo": partial(self._edit_or, "undo", self._undo.undo),
            "ui.redo": partial(self._edit_or, "redo", self._undo.redo),
        }
        chosen = self.selected
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
            for item in self.model.items
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
        sizes = ",".join(map(str, self.split.sizes()))
        chosen = self.selected
        scope = str(self.scopes.currentIndex())
        return {"preview": self._preview_at, "sizes": sizes, "scope": scope, "key": chosen[0].key if chosen else ""}

    def recall(self, values: dict[str, str]) -> None:
        """Show again what an earlier window remembered."""
        if values.get("preview") in PREVIEWS:
            self._set_preview(values["preview"])
        sizes = [int(part) for part in values.get("sizes", "").split(",") if part.isdigit()]
        if len(sizes) == 2:
            self.split.setSizes(sizes)
        if values.get("scope", "").isdigit():
            self.scopes.setCurrentIndex(min(int(values["scope"]), len(SCOPES) - 1))

    # ---- selection ----------------------------------------------------------------------------------------------

    @property
    def selected(self) -> list[LibraryItem]:
        """The selected items, from the top."""
        rows = [self._shown.mapToSource(self._shown.index(line, 0)).row() for line in self.table.selected_lines()]
        return [self.model.items[row] for row in rows]

    @property
    def _one(self) -> LibraryItem | None:
        chosen = self.selected
        return chosen[0] if len(chosen) == 1 else None

    def _select(self, keys: set[str]) -> None:
        for line in range(self._shown.rowCount()):
            row = self._shown.mapToSource(self._shown.index(line, 0)).row()
            if self.model.items[row].key in keys:
                self.table.selectRow(line)
                return

    def _on_selected(self) -> None:
        self.actionsChanged.emit()
        item = self._one
        if item is None:
            self.preview.show_markdown("")
            self.inspected.emit(None)
            return
        self._details = (item.key, Details())
        self._show_item(item)
        self._look.start()

    def _show_item(self, item: LibraryItem) -> None:
        details = self._details[1]
        folder = Path(item.place) if item.run_id else None
        if self._preview_at != "off":
            self.preview.show_markdown(details.report or facts_page(item), folder)
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
        chosen = self.selected
        keys = {item.key for item in chosen}
        stars = not all(item.is_starred for item in chosen)
        self._marks.stars = self._marks.stars | keys if stars else self._marks.stars - keys
        self._save_marks()
        self._settle.start()

    def _move_to_trash(self) -> None:
        items = [item for item in self.selected if not item.is_trashed]
        if not items:
            return
        words = f"“{items[0].title}”" if len(items) == 1 else f"{len(items)} items"
        self._push(f"Move {words} to Trash", items, to_trash=True)
        self.noticed.emit(Notice(f"Moved {words} to the Trash.", button="Undo", on_button=self._undo.undo))

    def _restore(self) -> None:
        items = [item for item in self.selected if item.is_trashed]
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

    # ---- looks --------------------------------------------------------------------------------------------------

    def _cycle_preview(self) -> None:
        self._set_preview(PREVIEWS[(PREVIEWS.index(self._preview_at) + 1) % len(PREVIEWS)])

    def _set_preview(self, where: str) -> None:
        self._preview_at = where
        self.preview.setVisible(where != "off")
        self.split.setOrientation(Qt.Orientation.Vertical if where == "below" else Qt.Orientation.Horizontal)
        self._on_selected()

    def _on_scope(self, index: int) -> None:
        self._shown.show_scope(SCOPES[index])
        self._show_page()

    def _on_search(self, text: str) -> None:
        self._shown.search(text)
        self._show_page()

    def _show_page(self) -> None:
        scope = SCOPES[self.scopes.currentIndex()]
        if self._shown.rowCount():
            self._pages.setCurrentWidget(self.split)
        elif scope == "Trash" or self.search.text():
            what = (
                f"Nothing in the library matches “{self.search.text()}”."
                if self.search.text()
                else "The Trash is empty."
            )
            self._nothing.set_sentence(what)
            self._pages.setCurrentWidget(self._nothing)
        else:
            self._pages.setCurrentWidget(self._empty)

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
        place = Path(self.selected[0].place)
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(place if place.is_dir() else place.parent)))

    def _as_text(self, lines: Sequence[int]) -> str:
        rows = [[str(self._shown.index(line, n).data() or "") for n in range(1, len(HEADINGS))] for line in lines]
        return "\n".join("\t".join(row) for row in rows)


class _LibraryTable(TableView):
    """Delete moves to the Trash, Space shows or hides the preview, Return opens; rows drag out as files."""

    deletePressed = Signal()
    previewPressed = Signal()

    def __init__(self, to_text: Callable[[Sequence[int]], str]) -> None:
        super().__init__("Library", to_text)
        self.verticalHeader().setDefaultSectionSize(theme.ROW)
        self.setDragEnabled(True)
        self.setDragDropMode(TableView.DragDropMode.DragOnly)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.deletePressed.emit()
        elif event.key() == Qt.Key.Key_Space:
            self.previewPressed.emit()
        else:
            super().keyPressEvent(event)


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
