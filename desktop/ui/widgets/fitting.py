"""Columns that step back when a table gets narrow, the least needed first, so that the titles stay readable."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QTableView


class FittedColumns(QObject):
    """Hides `columns` of a table from the first on, until the stretched column has `room` px."""

    def __init__(self, table: QTableView, stretched: int, columns: Sequence[int], room: int = 190) -> None:
        super().__init__(table)
        self._table, self._stretched, self._columns, self._room = table, stretched, columns, room
        self._widths: dict[int, int] = {}
        table.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self.fit()
        return False

    def fit(self) -> None:
        """Hide and show for the width there is now."""
        table = self._table
        for column in range(table.model().columnCount()):
            if not table.isColumnHidden(column):
                self._widths[column] = table.columnWidth(column)
        room = table.width() - sum(width for column, width in self._widths.items() if column != self._stretched)
        for column in self._columns:
            hides = room < self._room
            table.setColumnHidden(column, hides)
            if hides:
                room += self._widths[column]
