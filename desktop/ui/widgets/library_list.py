"""The Library's page: scopes, search, the list, the preview beside or below it, and what stands there when it is empty.

Shows items and tells what was done with the mouse and the keyboard; where items come from and what becomes of them is
the panel's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from desktop.ui import theme
from desktop.ui.itemmodels.library import (
    DATE,
    HEADINGS,
    KIND,
    SCOPES,
    SOURCE,
    STAR,
    STATE,
    TITLE,
    LibraryFilterModel,
    LibraryTableModel,
)
from desktop.ui.itemmodels.library_items import LibraryItem
from desktop.ui.widgets.empty_state import EmptyState
from desktop.ui.widgets.fitting import FittedColumns
from desktop.ui.widgets.preview import Preview
from desktop.ui.widgets.segments import Segments
from desktop.ui.widgets.table_view import TableView

PREVIEWS = ("right", "below", "off")


class LibraryList(QWidget):
    """The list of library items.

    selectionChanged()   other items are selected, or the preview was turned on
    opened()             Return or a double click on the selection
    starClicked()        the star of the selected row
    trashPressed()       Delete
    openAsked()          the empty state's button; sampleAsked() its sample
    geoAsked()           the button beside the search: look in GEO
    """

    selectionChanged = Signal()
    opened = Signal()
    starClicked = Signal()
    trashPressed = Signal()
    openAsked = Signal()
    sampleAsked = Signal()
    geoAsked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._preview_at = "right"
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
        self.table.sortByColumn(DATE, Qt.SortOrder.DescendingOrder)
        header = self.table.horizontalHeader()
        header.setStretchLastSection(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setMinimumSectionSize(28)
        header.setSectionResizeMode(TITLE, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(STAR, QHeaderView.ResizeMode.Fixed)
        for column, width in ((STAR, 30), (KIND, 68), (SOURCE, 150), (DATE, 72), (STATE, 68)):
            self.table.setColumnWidth(column, width)
        self.preview = Preview()
        FittedColumns(self.table, TITLE, (DATE, KIND, STATE, SOURCE))
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
        self.geo = QPushButton("Search GEO…", autoDefault=False)
        self.geo.setToolTip("Look for series of GEO by words and filters")
        self.geo.clicked.connect(self.geoAsked)
        top.addWidget(self.geo)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(top)
        layout.addWidget(self._pages, 1)
        self.scopes.currentChanged.connect(self._on_scope)
        self.search.textChanged.connect(self._on_search)
        self.table.linesSelected.connect(self.selectionChanged)
        self.table.activated.connect(lambda _index: self.opened.emit())
        self.table.clicked.connect(lambda index: self.starClicked.emit() if index.column() == STAR else None)
        self.table.deletePressed.connect(self.trashPressed)
        self.table.previewPressed.connect(self.cycle_preview)
        self._empty.chosen.connect(self.openAsked)
        self._empty.sampleChosen.connect(self.sampleAsked)
        self._show_page()

    @property
    def selected(self) -> list[LibraryItem]:
        """The selected items, from the top."""
        rows = [self._shown.mapToSource(self._shown.index(line, 0)).row() for line in self.table.selected_lines()]
        return [self.model.items[row] for row in rows]

    def load(self, items: Iterable[LibraryItem]) -> None:
        """Show these items; what was selected stays selected."""
        kept = {item.key for item in self.selected}
        self.model.load(items)
        self.select(kept)
        self._show_page()

    def select(self, keys: set[str]) -> None:
        """Select the first item that has one of these keys."""
        for line in range(self._shown.rowCount()):
            row = self._shown.mapToSource(self._shown.index(line, 0)).row()
            if self.model.items[row].key in keys:
                self.table.selectRow(line)
                return

    def select_first(self) -> None:
        """Select the topmost item, if there is one."""
        if self._shown.rowCount():
            self.table.selectRow(0)

    @property
    def page_words(self) -> str:
        """The sentence of the empty state in front, or ""."""
        page = self._pages.currentWidget()
        return page.accessibleName() if isinstance(page, EmptyState) else ""

    # ---- the preview --------------------------------------------------------------------------------------------

    def show_page(self, markdown: str, folder: Path | None = None) -> None:
        """Fill the preview, if it is on."""
        if self._preview_at != "off":
            self.preview.show_markdown(markdown, folder)

    def cycle_preview(self) -> None:
        """Right, below, off."""
        self.set_preview(PREVIEWS[(PREVIEWS.index(self._preview_at) + 1) % len(PREVIEWS)])

    def set_preview(self, where: str) -> None:
        """One of PREVIEWS."""
        self._preview_at = where
        self.preview.setVisible(where != "off")
        self.split.setOrientation(Qt.Orientation.Vertical if where == "below" else Qt.Orientation.Horizontal)
        self.selectionChanged.emit()

    def remembered(self) -> dict[str, str]:
        """What the next start shows again."""
        sizes = ",".join(map(str, self.split.sizes()))
        key = next((item.key for item in self.selected), "")
        return {"preview": self._preview_at, "sizes": sizes, "scope": str(self.scopes.currentIndex()), "key": key}

    def recall(self, values: dict[str, str]) -> None:
        """Show again what an earlier window remembered."""
        if values.get("preview") in PREVIEWS:
            self.set_preview(values["preview"])
        sizes = [int(part) for part in values.get("sizes", "").split(",") if part.isdigit()]
        if len(sizes) == 2:
            self.split.setSizes(sizes)
        if values.get("scope", "").isdigit():
            self.scopes.setCurrentIndex(min(int(values["scope"]), len(SCOPES) - 1))

    # ---- which page ---------------------------------------------------------------------------------------------

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
