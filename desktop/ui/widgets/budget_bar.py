"""A bar of memory by owner: one piece a model, the rest free; the words beside it say the same."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QSizePolicy, QWidget

from desktop.core.sizes import size_words
from desktop.ui import theme

_HEIGHT = 16


class BudgetBar(QWidget):
    """Takes its colours from the palette; pieces differ by shade and by a gap, never by colour alone."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pieces: list[tuple[str, int]] = []
        self._limit = 0
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_pieces(self, pieces: Sequence[tuple[str, int]], limit: int) -> None:
        """pieces: (model, bytes) in order; limit: bytes of the whole bar."""
        if (list(pieces), limit) == (self._pieces, self._limit):
            return
        self._pieces, self._limit = list(pieces), limit
        said = ", ".join(f"{name} {size_words(size)}" for name, size in pieces) or "no model in memory"
        self.setAccessibleDescription(said)
        self.setToolTip(said)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(240, _HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        palette = self.palette()
        window, accent = palette.color(QPalette.ColorRole.Window), palette.color(QPalette.ColorRole.Highlight)
        painter.setBrush(theme.mix(window, palette.color(QPalette.ColorRole.Text), 0.12))
        painter.drawRoundedRect(QRectF(0, 0, self.width(), self.height()), 4, 4)
        left = 0.0
        for number, (_, size) in enumerate(self._pieces):
            width = self.width() * min(size / self._limit, 1.0) if self._limit else 0.0
            painter.setBrush(theme.mix(accent, window, 0.25 * (number % 3)))
            painter.drawRoundedRect(QRectF(left, 0, max(width - 1.0, 2.0), self.height()), 4, 4)
            left += width
        painter.end()
