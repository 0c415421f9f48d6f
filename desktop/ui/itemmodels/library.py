"""The Library's table: ★ title | kind | source | year | state. Rows can be dragged out as their files."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from PySide6.QtCore import (
    QAbstractTableModel,
    QMimeData,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QSortFilterProxyModel,
    Qt,
    QUrl,
)

from desktop.ui import theme
from desktop.ui.itemmodels.library_items import LibraryItem
from desktop.ui.itemmodels.names import home_words

STAR, TITLE, KIND, SOURCE, DATE, STATE = range(6)
HEADINGS = ("", "Title", "Kind", "Source", "Date", "State")
Scope = Literal["All", "Datasets", "Runs", "Trash"]
SCOPES: tuple[Scope, ...] = ("All", "Datasets", "Runs", "Trash")
SORT_ROLE = Qt.ItemDataRole.UserRole + 2

_Index = QModelIndex | QPersistentModelIndex
_NO_INDEX = QModelIndex()


class LibraryTableModel(QAbstractTableModel):
    """Rows are library items."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.items: list[LibraryItem] = []

    def load(self, items: Iterable[LibraryItem]) -> None:
        """Replace all rows."""
        self.beginResetModel()
        self.items = list(items)
        self.endResetModel()

    def rowCount(self, parent: _Index = _NO_INDEX) -> int:
        return 0 if parent.isValid() else len(self.items)

    def columnCount(self, parent: _Index = _NO_INDEX) -> int:
        return 0 if parent.isValid() else len(HEADINGS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return HEADINGS[section]
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return HEADINGS[section] or "Star"
        return None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        item = self.items[index.row()]
        column = index.column()
        text = self._text(item, column)
        if role == Qt.ItemDataRole.DisplayRole:
            return text if column != STAR else ""
        if role == Qt.ItemDataRole.DecorationRole and column == STAR:
            return theme.icon("star-on" if item.is_starred else "star") if item.is_starred else None
        if role == Qt.ItemDataRole.DecorationRole and column == TITLE:
            return theme.icon("dataset" if item.kind == "Dataset" else "analyze")
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{HEADINGS[column] or 'Star'}: {text}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{item.title}\n{home_words(item.place)}"
        if role == SORT_ROLE:
            return item.when_s if column == DATE else text.casefold()
        return None

    def _text(self, item: LibraryItem, column: int) -> str:
        match column:
            case 0:
                return "starred" if item.is_starred else "not starred"
            case 1:
                return f"{item.title}  ·  {item.about}" if item.about else item.title
            case 2:
                return item.kind
            case 3:
                return item.source
            case 4:
                return day_words(item.when_s)
            case _:
                return item.state

    def flags(self, index: _Index) -> Qt.ItemFlag:
        return super().flags(index) | Qt.ItemFlag.ItemIsDragEnabled

    def supportedDragActions(self) -> Qt.DropAction:
        return Qt.DropAction.CopyAction

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:
        """The items' folders and files, as the file manager takes them."""
        rows = sorted({index.row() for index in indexes})
        places = [Path(self.items[row].place) for row in rows]
        mime = QMimeData()
        mime.setUrls([QUrl.fromLocalFile(str(place)) for place in places if place.is_absolute() and place.exists()])
        mime.setText("\n".join(self.items[row].place for row in rows))
        return mime


class LibraryFilterModel(QSortFilterProxyModel):
    """A scope and a search over title, source and everything else known; every word must be there."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._scope: Scope = "All"
        self._words: list[str] = []
        self.setSortRole(SORT_ROLE)

    def show_scope(self, scope: Scope) -> None:
        """Which items, before the search."""
        self.beginFilterChange()
        self._scope = scope
        self.endFilterChange(QSortFilterProxyModel.Direction.Rows)

    def search(self, text: str) -> None:
        """Narrow to the items that have every word."""
        self.beginFilterChange()
        self._words = text.casefold().split()
        self.endFilterChange(QSortFilterProxyModel.Direction.Rows)

    def filterAcceptsRow(self, source_row: int, source_parent: _Index) -> bool:
        model = self.sourceModel()
        assert isinstance(model, LibraryTableModel)
        item = model.items[source_row]
        if item.is_trashed != (self._scope == "Trash"):
            return False
        if self._scope in ("Datasets", "Runs") and f"{item.kind}s" != self._scope:
            return False
        everything = f"{item.title} {item.source} {item.kind} {item.state} {item.words}".casefold()
        return all(word in everything for word in self._words)


def day_words(epoch_s: float) -> str:
    """The time if it was today, the day if it was this year, else the month, in the person's zone."""
    moment, now = (datetime.fromtimestamp(at_s).astimezone() for at_s in (epoch_s, time.time()))
    if moment.date() == now.date():
        return f"{moment:%H:%M}"
    return f"{moment.day} {moment:%b}" if moment.year == now.year else f"{moment:%b %Y}"
