"""A table as the window shows tables: whole rows, tidy headers, copy as text. Knows nothing of what is in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from desktop.ui import theme


class TableView(QTableView):
    """`to_text(lines)` gives the clipboard text of chosen lines. `linesSelected()` after the selection changed."""

    linesSelected = Signal()

    def __init__(self, name: str, to_text: Callable[[Sequence[int]], str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._to_text = to_text
        self.setAccessibleName(name)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setAlternatingRowColors(True)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setFrameShape(QTableView.Shape.NoFrame)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)  # never measured: tables may have 60,000 lines
        rows.setDefaultSectionSize(theme.ROW - 4)
        rows.hide()
        columns.setHighlightSections(False)
        columns.setDefaultSectionSize(108)
        columns.setStretchLastSection(True)

    def selected_lines(self) -> list[int]:
        """Lines selected, from the top."""
        parts = self.selectionModel().selection()
        ranges = [parts.at(number) for number in range(parts.count())]
        return sorted({line for part in ranges for line in range(part.top(), part.bottom() + 1)})

    def copy(self) -> None:
        """Put the selected lines on the clipboard as tab-separated text."""
        lines = self.selected_lines()
        if lines:
            QGuiApplication.clipboard().setText(self._to_text(lines))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        else:
            super().keyPressEvent(event)

    def selectionChanged(self, selected: object, deselected: object) -> None:
        super().selectionChanged(selected, deselected)  # type: ignore[arg-type]
        self.linesSelected.emit()

    def show_line(self, line: int) -> None:
        """Scroll a line into view."""
        index = self.model().index(line, 0)
        self.scrollTo(index, QAbstractItemView.ScrollHint.EnsureVisible)
        self.setAccessibleDescription(f"Line {line + 1} of {self.model().rowCount()}")

    def focusNextPrevChild(self, is_next: bool) -> bool:
        """Tab leaves the table; arrows move in it."""
        return QWidget.focusNextPrevChild(self, is_next)

    def sort_indicator(self, column: int, order: Qt.SortOrder) -> None:
        """Show which column sorts, without sorting."""
        header = self.horizontalHeader()
        header.blockSignals(True)
        header.setSortIndicator(column, order)
        header.blockSignals(False)
