"""The outcomes of a batch as a table: number, dataset, question, state, genes up and down."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from desktop.studios.omics.batch_schema import BatchOutcome
from desktop.ui import theme

NUMBER, DATASET, QUESTION, STATE, UP, DOWN = range(6)
HEADINGS = ("#", "Dataset", "Question", "State", "Up", "Down")
_STATES = {"waiting": "Waiting", "running": "Running", "done": "Done", "failed": "Failed"}
_ICONS = {"waiting": "waiting", "running": "activity", "done": "done", "failed": "failed"}
_Index = QModelIndex | QPersistentModelIndex
_NO_INDEX = QModelIndex()


class BatchTableModel(QAbstractTableModel):
    """Rows are items of the batch, in its order."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.items: list[BatchOutcome] = []

    def load(self, items: Iterable[BatchOutcome]) -> None:
        """Show these; the selection stays where only what is told of the rows is new."""
        new = list(items)
        if [item.number for item in new] == [item.number for item in self.items]:
            self.items = new
            if new:
                self.dataChanged.emit(self.index(0, 0), self.index(len(new) - 1, len(HEADINGS) - 1))
            return
        self.beginResetModel()
        self.items = new
        self.endResetModel()

    def rowCount(self, parent: _Index = _NO_INDEX) -> int:
        return 0 if parent.isValid() else len(self.items)

    def columnCount(self, parent: _Index = _NO_INDEX) -> int:
        return 0 if parent.isValid() else len(HEADINGS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        shown = (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole)
        return HEADINGS[section] if orientation == Qt.Orientation.Horizontal and role in shown else None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        item, column = self.items[index.row()], index.column()
        text = cell(item, column)
        if role == Qt.ItemDataRole.DisplayRole:
            return text
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{HEADINGS[column]}: {text}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return item.error.message if item.error else item.headline or item.question
        if role == Qt.ItemDataRole.DecorationRole and column == STATE:
            return theme.icon(_ICONS[item.status])
        if role == Qt.ItemDataRole.TextAlignmentRole and column in (NUMBER, UP, DOWN):
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def text(self, lines: Iterable[int]) -> str:
        """Rows for the clipboard."""
        return "\n".join("\t".join(cell(self.items[n], column) for column in range(len(HEADINGS))) for n in lines)


def cell(item: BatchOutcome, column: int) -> str:
    """What stands in a cell."""
    numbers = {UP: item.up, DOWN: item.down}
    if column in numbers:
        return "" if numbers[column] is None else f"{numbers[column]:,}"
    return (str(item.number), item.dataset, item.question or item.contrast, _STATES[item.status])[column]
