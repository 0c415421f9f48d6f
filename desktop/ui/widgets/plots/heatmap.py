"""A matrix in colours with names, annotation bars and a scale: the clustered heatmap, and distances between samples.

Orders come with the matrix; nothing is clustered here. Painted by hand, because names must be turned and thinned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QHelpEvent, QImage, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QToolTip, QWidget

from desktop.ui.theme import PlotColours
from desktop.ui.widgets.plots.colours import diverging, sequential
from desktop.ui.widgets.plots.figure import Figure

Floats = NDArray[np.float64]
_BAR = 11.0  # height of an annotation bar


@dataclass(slots=True)
class Matrix:
    """What is drawn. values (R, C) already in order; `centred`: 0 is the middle of a diverging scale."""

    values: Floats
    rows: Sequence[str]
    columns: Sequence[str]
    bars: Mapping[str, Sequence[str]] = field(default_factory=dict)  # factor → (C,) levels
    centred: bool = True
    unit: str = ""


class MatrixCanvas(QWidget):
    """Draws one Matrix. `cellClicked(row, column)`."""

    cellClicked = Signal(int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.matrix = Matrix(np.empty((0, 0)), (), ())
        self._colours: PlotColours | None = None
        self._image = QImage()
        self._buffer: NDArray[np.uint8] = np.empty(0, dtype=np.uint8)
        self._grid = QRectF()
        self.setMinimumSize(200, 140)

    def sizeHint(self) -> QSize:
        return QSize(520, 360)

    def set_matrix(self, matrix: Matrix, colours: PlotColours) -> None:
        """Draw this, in these colours."""
        self.matrix, self._colours = matrix, colours
        if not matrix.values.size:
            self.update()
            return
        finite = matrix.values[np.isfinite(matrix.values)]
        if matrix.centred:
            high = float(np.percentile(np.abs(finite), 99)) if finite.size else 1.0
            low = -high
        else:
            low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        self._range = (low, high if high > low else low + 1.0)
        scaled = (matrix.values - self._range[0]) / (self._range[1] - self._range[0])
        index = np.clip(np.nan_to_num(scaled, nan=0.5) * 255, 0, 255).astype(np.uint8)
        table = diverging(colours) if matrix.centred else sequential(colours)
        self._table = table
        self._buffer = np.ascontiguousarray(table[index])
        height, width = index.shape
        self._image = QImage(self._buffer.data, width, height, 4 * width, QImage.Format.Format_RGBA8888)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        self.draw(painter, QRectF(self.rect()))
        painter.end()

    def draw(self, painter: QPainter, rect: QRectF) -> None:
        """Paint everything into a rectangle."""
        colours = self._colours
        if colours is None or not self.matrix.values.size:
            return
        painter.fillRect(rect, QColor(colours.background))
        painter.setPen(QColor(colours.foreground))
        font = QFont(self.font())
        font.setPointSizeF(max(7.0, font.pointSizeF() * 0.86))
        painter.setFont(font)
        metrics = QFontMetricsF(font)
        n_rows, n_columns = self.matrix.values.shape
        legend = self._legend_width(metrics)
        right = min(max((metrics.horizontalAdvance(name) for name in self.matrix.rows), default=0.0), 130.0) + 10
        longest = max((metrics.horizontalAdvance(name) for name in self.matrix.columns), default=0.0)
        free = rect.width() - right - legend - 16
        turned = longest + 8 > free / max(n_columns, 1)
        bottom = min(longest, 110.0) + 10 if turned else metrics.height() + 8
        bars = self.matrix.bars
        top = len(bars) * (_BAR + 3) + 6
        self._grid = QRectF(rect.left() + 8, rect.top() + top, free, rect.height() - top - bottom)
        if self._grid.width() < 10 or self._grid.height() < 10:
            return
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
        painter.drawImage(self._grid, self._image)
        self._draw_bars(painter, colours, metrics, right)
        self._draw_row_names(painter, metrics, n_rows, right)
        self._draw_column_names(painter, metrics, n_columns, turned=turned, room=bottom)
        left = self._grid.right() + right + 4
        self._draw_legend(painter, metrics, colours, QRectF(left, rect.top() + 6, legend, rect.height() - 12))

    def cell_at(self, position: QPointF) -> tuple[int, int] | None:
        """(row, column) under a place, None outside the matrix."""
        if not self._grid.contains(position) or not self.matrix.values.size:
            return None
        n_rows, n_columns = self.matrix.values.shape
        row = int((position.y() - self._grid.top()) / self._grid.height() * n_rows)
        column = int((position.x() - self._grid.left()) / self._grid.width() * n_columns)
        return min(row, n_rows - 1), min(column, n_columns - 1)

    def describe(self, row: int, column: int) -> str:
        """A cell in words."""
        value = self.matrix.values[row, column]
        unit = f" {self.matrix.unit}" if self.matrix.unit else ""
        return f"{self.matrix.rows[row]} · {self.matrix.columns[column]}: {value:.3g}{unit}"

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            cell = self.cell_at(QPointF(event.pos()))
            if cell is None:
                QToolTip.hideText()
            else:
                QToolTip.showText(event.globalPos(), self.describe(*cell), self)
            return True
        return super().event(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        cell = self.cell_at(event.position())
        if cell is not None and event.button() == Qt.MouseButton.LeftButton:
            self.cellClicked.emit(*cell)
        super().mouseReleaseEvent(event)

    def _draw_bars(self, painter: QPainter, colours: PlotColours, metrics: QFontMetricsF, room: float) -> None:
        width = self._grid.width() / max(self.matrix.values.shape[1], 1)
        for line, (factor, levels) in enumerate(self.matrix.bars.items()):
            y = self._grid.top() - (len(self.matrix.bars) - line) * (_BAR + 3)
            palette = self._level_colours(factor, colours)
            for column, level in enumerate(levels):
                cell = QRectF(self._grid.left() + column * width, y, width + 0.5, _BAR)
                painter.fillRect(cell, palette[level])
            if len(self.matrix.bars) > 1:  # one bar is named by the legend
                name = metrics.elidedText(factor, Qt.TextElideMode.ElideRight, room - 8)
                painter.drawText(QPointF(self._grid.right() + 6, y + _BAR - 1), name)

    def _draw_row_names(self, painter: QPainter, metrics: QFontMetricsF, n_rows: int, room: float) -> None:
        height = self._grid.height() / n_rows
        every = max(1, int(np.ceil(metrics.height() * 0.92 / height)))
        for row in range(0, n_rows, every):
            y = self._grid.top() + (row + 0.5) * height
            name = metrics.elidedText(self.matrix.rows[row], Qt.TextElideMode.ElideRight, room - 8)
            box = QRectF(self._grid.right() + 6, y - metrics.height() / 2, room, metrics.height())
            painter.drawText(box, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), name)

    def _draw_column_names(
        self, painter: QPainter, metrics: QFontMetricsF, n_columns: int, *, turned: bool, room: float
    ) -> None:
        width = self._grid.width() / n_columns
        every = max(1, int(np.ceil(metrics.height() * 0.92 / width))) if turned else 1
        for column in range(0, n_columns, every):
            x = self._grid.left() + (column + 0.5) * width
            name = self.matrix.columns[column]
            painter.save()
            if turned:
                painter.translate(x, self._grid.bottom() + 5)
                painter.rotate(90)
                text = metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, room - 8)
                box = QRectF(0, -metrics.height() / 2, room, metrics.height())
                painter.drawText(box, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), text)
            else:
                box = QRectF(x - width / 2, self._grid.bottom() + 3, width, metrics.height())
                painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), name)
            painter.restore()

    def _legend_width(self, metrics: QFontMetricsF) -> float:
        words = [level for levels in self.matrix.bars.values() for level in levels] + [self.matrix.unit, "−10.0"]
        words += list(self.matrix.bars)
        return min(max(metrics.horizontalAdvance(word) for word in words) + 26, 150.0)

    def _draw_legend(self, painter: QPainter, metrics: QFontMetricsF, colours: PlotColours, box: QRectF) -> None:
        y = box.top()
        line = metrics.height() + 2
        for factor in self.matrix.bars:
            painter.drawText(QRectF(box.left(), y, box.width(), line), factor)
            y += line
            for level, colour in list(self._level_colours(factor, colours).items())[:8]:
                painter.fillRect(QRectF(box.left(), y + 3, _BAR, _BAR), colour)
                text = metrics.elidedText(level, Qt.TextElideMode.ElideRight, box.width() - 18)
                painter.drawText(QRectF(box.left() + 16, y, box.width() - 16, line), text)
                y += line
            y += 6
        height = min(110.0, box.bottom() - y - 2 * line)
        if height < 24:
            return
        painter.drawText(QRectF(box.left(), y, box.width(), line), self.matrix.unit)
        y += line * 1.5
        steps = QImage(np.ascontiguousarray(self._table[::-1]).data, 1, 256, 4, QImage.Format.Format_RGBA8888).copy()
        painter.drawImage(QRectF(box.left(), y, 12, height), steps)
        low, high = self._range
        for value, at in ((high, y), ((low + high) / 2, y + height / 2), (low, y + height)):
            label = QRectF(box.left() + 17, at - line / 2, box.width(), line)
            painter.drawText(label, int(Qt.AlignmentFlag.AlignVCenter), f"{value:.3g}".replace("-", "−"))

    def _level_colours(self, factor: str, colours: PlotColours) -> dict[str, QColor]:
        """Colours of a factor's levels; factors start at different places of the list, so that they differ."""
        shift = 2 * list(self.matrix.bars).index(factor)
        names = list(dict.fromkeys(self.matrix.bars[factor]))
        many = len(colours.categories)
        return {name: QColor(colours.categories[(number + shift) % many]) for number, name in enumerate(names)}


class HeatmapFigure(Figure):
    """A matrix as a figure. `rowClicked(row)` is the position in the given, ordered rows."""

    rowClicked = Signal(int)

    def __init__(self, title: str, file_stem: str, parent: QWidget | None = None) -> None:
        super().__init__(title, file_stem, parent)
        self.canvas = MatrixCanvas()
        self.set_canvas(self.canvas)
        self.canvas.cellClicked.connect(lambda row, _column: self.rowClicked.emit(row))

    def set_matrix(self, matrix: Matrix, summary: str) -> None:
        """values (R, C) in drawing order, with names and annotation bars."""
        self.canvas.set_matrix(matrix, self.colours)
        self.set_summary(summary)

    def apply_colours(self, colours: PlotColours) -> None:
        super().apply_colours(colours)
        if hasattr(self, "canvas"):
            self.canvas.set_matrix(self.canvas.matrix, colours)

    def paint_figure(self, painter: QPainter, rect: QRectF) -> None:
        self.canvas.draw(painter, QRectF(QRect(rect.toRect())))
