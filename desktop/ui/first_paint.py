"""The window as it is first painted: the right size, place, colours and section names, and nothing else.

It costs little more than a bare QMainWindow, because every Qt class and Python module left out here is milliseconds
before the first picture. `frame.Frame` fills it right after; its layout there must look the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Signal
from PySide6.QtGui import QPainter, QPalette
from PySide6.QtWidgets import QMainWindow

from desktop.ui.window_state import WindowState

if TYPE_CHECKING:
    from PySide6.QtGui import QPaintEvent

SIDEBAR_PX = 190


class Window(QMainWindow):
    """The one top-level window. painted(): the first paint is done."""

    painted = Signal()

    def __init__(self, state: WindowState) -> None:
        super().__init__()
        self.setObjectName("window")
        self.setWindowTitle("Benchtop")
        self.setUnifiedTitleAndToolBarOnMac(True)
        self.setMinimumSize(QSize(760, 520))
        self.resize(1280, 820)
        geometry = state.data("geometry")
        if geometry:
            self.restoreGeometry(geometry)
        self._sidebar_px = SIDEBAR_PX if state.flag("sidebar", default=True) else 0
        self._is_painted = False

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self._is_painted:
            return
        self._is_painted = True
        painter = QPainter(self)
        top, left = 54, self._sidebar_px
        painter.setBackground(self.palette().brush(QPalette.ColorRole.Base))
        painter.eraseRect(left, top, self.width() - left, self.height() - top - 24)  # fillRect makes Qt's enums: 17 ms
        painter.end()
        self.painted.emit()
