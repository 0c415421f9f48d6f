"""A row of choices of which one is on: QTabBar's behaviour and accessibility, drawn flat from the palette."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QTabBar, QWidget

from desktop.ui import theme

_PAD = 12
_HEIGHT = 26


class Segments(QTabBar):
    """Made from titles. Where the native style draws good tabs (macOS) this one looks like a segmented control too."""

    def __init__(self, name: str, titles: Iterable[str] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setDrawBase(False)
        self.setExpanding(False)
        self.setUsesScrollButtons(True)
        self.setElideMode(Qt.TextElideMode.ElideNone)
        for title in titles:
            self.addTab(title)

    def tabSizeHint(self, index: int) -> QSize:
        return QSize(self.fontMetrics().horizontalAdvance(self.tabText(index)) + 2 * _PAD, _HEIGHT + 6)

    def minimumTabSizeHint(self, index: int) -> QSize:
        return self.tabSizeHint(index)

    def paintEvent(self, event: QPaintEvent) -> None:
        palette = self.palette()
        text = palette.color(QPalette.ColorRole.WindowText)
        pill = theme.mix(palette.color(QPalette.ColorRole.Window), text, 0.12)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for index in range(self.count()):
            box = self.tabRect(index).adjusted(2, 3, -2, -3)
            is_current = index == self.currentIndex()
            if is_current:
                is_focused = self.hasFocus()
                accent = QPen(palette.color(QPalette.ColorRole.Accent), 1.5)
                painter.setPen(accent if is_focused else QPen(Qt.PenStyle.NoPen))
                painter.setBrush(pill)
                painter.drawRoundedRect(box, 6, 6)
            painter.setPen(text if is_current else theme.secondary(palette))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, self.tabText(index))
