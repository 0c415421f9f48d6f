"""Very many points as one pyqtgraph item: painted from numpy in one pass, looked up by distance in pixels.

Points that fall on the same pixel are drawn once, so 60,000 points cost what the pixels cost. Not a scatter plot with
a style for each point: a point has one of a few marks. A picture that is written as vectors gets vectors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPaintEngine, QPainter, QPolygonF, QTransform
from PySide6.QtWidgets import QStyleOptionGraphicsItem, QWidget

Floats = NDArray[np.float64]
_MARGIN = 0.25  # of the window's size, on each side, drawn ahead while panning
_VECTOR_ENGINES = (QPaintEngine.Type.SVG, QPaintEngine.Type.Pdf, QPaintEngine.Type.Picture)


@dataclass(frozen=True, slots=True)
class Mark:
    """How one class of points looks; `radius` in logical pixels."""

    colour: QColor
    radius: float = 2.5
    opacity: float = 1.0
    triangle: bool = False


class PointCloudItem(pg.GraphicsObject):  # type: ignore[misc]
    """Points of a few classes, later classes on top."""

    def __init__(self) -> None:
        super().__init__()
        self._x: Floats = np.empty(0)
        self._y: Floats = np.empty(0)
        self._kind: NDArray[np.uint8] = np.empty(0, dtype=np.uint8)
        self._marks: tuple[Mark, ...] = ()
        self._picture: QImage | None = None
        self._scale: tuple[object, ...] = ()
        self._offset = QPointF()  # of the transform the picture was made with
        self._covered = QRectF()  # what the picture shows, in the painter's coordinates then

    def setPoints(self, x: Floats, y: Floats, kind: NDArray[np.uint8], marks: Sequence[Mark]) -> None:
        """x, y (N,) finite, data units; kind (N,) index into `marks`."""
        self.prepareGeometryChange()
        self._x, self._y, self._kind, self._marks = x, y, kind, tuple(marks)
        self._forget_picture()
        self.informViewBoundsChanged()

    def setKinds(self, kind: NDArray[np.uint8], marks: Sequence[Mark] | None = None) -> None:
        """Other classes or looks for the same points."""
        self._kind = kind
        if marks is not None:
            self._marks = tuple(marks)
        self._forget_picture()

    def nearest(self, where: QPointF, within: float) -> int | None:
        """The point nearest to a place in data units, if it is within so many pixels."""
        if not self._x.size:
            return None
        width, height = self.pixelVectors()
        if width is None or height is None:
            return None
        across, up = max(width.length(), 1e-300), max(height.length(), 1e-300)
        distance = np.square((self._x - where.x()) / across) + np.square((self._y - where.y()) / up)
        index = int(np.argmin(distance))
        return index if distance[index] <= within * within else None

    def boundingRect(self) -> QRectF:
        if not self._x.size:
            return QRectF()
        width, height = self.pixelVectors()
        margin = self.pixelPadding()
        across = margin * (width.length() if width is not None else 0.0)
        up = margin * (height.length() if height is not None else 0.0)
        left, right = float(self._x.min()), float(self._x.max())
        low, high = float(self._y.min()), float(self._y.max())
        return QRectF(left - across, low - up, right - left + 2 * across, high - low + 2 * up)

    def dataBounds(
        self, ax: int, frac: float = 1.0, orthoRange: tuple[float, float] | None = None
    ) -> tuple[float | None, float | None]:
        values = self._x if ax == 0 else self._y
        if not values.size:
            return None, None
        return float(values.min()), float(values.max())

    def pixelPadding(self) -> float:
        return max((mark.radius for mark in self._marks), default=0.0) + 1.0

    def viewTransformChanged(self) -> None:
        self.prepareGeometryChange()
        super().viewTransformChanged()

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        view = self.getViewBox()
        if not self._x.size or view is None:
            return
        transform = painter.worldTransform()
        window = transform.mapRect(view.viewRect()).toAlignedRect()
        painter.save()
        painter.resetTransform()
        if painter.paintEngine().type() in _VECTOR_ENGINES:
            self._paint_vectors(painter, transform, QRectF(window))
        else:
            self._paint_picture(painter, transform, QRectF(window), painter.device().devicePixelRatioF())
        painter.restore()

    def _paint_picture(self, painter: QPainter, transform: QTransform, window: QRectF, ratio: float) -> None:
        """Draw the kept picture where it belongs now; at another scale, or beyond its edge, make a new one.

        While the scale stays, the person is panning: then the new one has a margin, to last for some frames.
        """
        parts = (transform.m11(), transform.m12(), transform.m21(), transform.m22())
        scale = (ratio, window.size().toTuple(), *(f"{part:.9g}" for part in parts))  # panning disturbs the last digits
        is_panning = self._picture is not None and scale == self._scale
        moved = QPointF(transform.dx(), transform.dy()) - self._offset
        if self._picture is None or not is_panning or not self._covered.translated(moved).contains(window):
            margin = _MARGIN if is_panning else 0.0
            across, down = round(window.width() * margin), round(window.height() * margin)
            self._covered = window.adjusted(-across, -down, across, down)
            self._offset = QPointF(transform.dx(), transform.dy())
            self._picture, self._scale = self._raster(transform, self._covered, ratio), scale
            moved = QPointF()
        corner = self._covered.topLeft() + moved
        painter.drawImage(QPointF(round(corner.x() * ratio) / ratio, round(corner.y() * ratio) / ratio), self._picture)

    def _forget_picture(self) -> None:
        self._picture = None
        self.update()

    def _pixels(self, transform: QTransform, window: QRectF, ratio: float) -> tuple[Floats, Floats]:
        """Places of all points in device pixels from the window's top left."""
        across = (transform.m11() * self._x + transform.m21() * self._y + transform.dx() - window.left()) * ratio
        down = (transform.m12() * self._x + transform.m22() * self._y + transform.dy() - window.top()) * ratio
        return across, down

    def _raster(self, transform: QTransform, window: QRectF, ratio: float) -> QImage:
        """All points as one picture of the window, `ratio` device pixels to a logical one."""
        width, height = max(1, math.ceil(window.width() * ratio)), max(1, math.ceil(window.height() * ratio))
        picture = QImage(width, height, QImage.Format.Format_ARGB32_Premultiplied)
        picture.fill(Qt.GlobalColor.transparent)
        across, down = self._pixels(transform, window, ratio)
        inside = (across >= 0) & (across < width) & (down >= 0) & (down < height)
        cell = (np.where(inside, down, 0).astype(np.int64) * width) + np.where(inside, across, 0).astype(np.int64)
        painter = QPainter(picture)
        for index, mark in enumerate(self._marks):
            mine = inside & (self._kind == index)
            if not mine.any():
                continue
            layer, reach = _stamp(cell[mine], width, height, mark, ratio)
            rows, columns = layer.shape
            image = QImage(layer.data, columns, rows, layer.strides[0], QImage.Format.Format_ARGB32_Premultiplied)
            painter.setOpacity(mark.opacity)
            painter.drawImage(-reach, -reach, image)
        painter.end()
        picture.setDevicePixelRatio(ratio)
        return picture

    def _paint_vectors(self, painter: QPainter, transform: QTransform, window: QRectF) -> None:
        across, down = self._pixels(transform, window, 1.0)
        inside = (across >= 0) & (across < window.width()) & (down >= 0) & (down < window.height())
        painter.setPen(Qt.PenStyle.NoPen)
        for index, mark in enumerate(self._marks):
            mine = inside & (self._kind == index)
            places = np.unique(np.round(np.column_stack([across[mine], down[mine]]), 1), axis=0)
            painter.setOpacity(mark.opacity)
            painter.setBrush(mark.colour)
            for x, y in places + np.array([window.left(), window.top()]):
                if mark.triangle:
                    painter.drawPolygon(_triangle(x, y, mark.radius))
                else:
                    painter.drawEllipse(QPointF(x, y), mark.radius, mark.radius)


def _stamp(
    cells: NDArray[np.int64], width: int, height: int, mark: Mark, ratio: float
) -> tuple[NDArray[np.uint32], int]:
    """(height + 2r, width + 2r) premultiplied ARGB and r: the mark at every cell, soft at its rim, overlapping once."""
    reach = math.ceil(mark.radius * ratio) + 1
    if cells.size > 5000:  # a mask is quicker than sorting
        hit = np.zeros(width * height, dtype=bool)
        hit[cells] = True
        centres = np.flatnonzero(hit)
    else:
        ordered = np.sort(cells)  # np.unique would import masked arrays, a stall at the first paint
        centres = ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])]
    padded_width = width + 2 * reach
    padded = (centres // width + reach) * padded_width + centres % width + reach
    layer = np.zeros((height + 2 * reach) * padded_width, dtype=np.uint32)
    shades = _shades(mark.colour)
    for dx, dy, alpha in _stencil(mark, ratio, reach):  # faint rims first, so that a full centre wins
        layer[padded + (dy * padded_width + dx)] = shades[alpha]
    return layer.reshape(height + 2 * reach, padded_width), reach


def _stencil(mark: Mark, ratio: float, reach: int) -> list[tuple[int, int, int]]:
    """(dx, dy, alpha 1..255) of one mark in device pixels, by rising alpha."""
    radius = mark.radius * ratio
    fine = (np.arange(8) + 0.5) / 8 - 0.5
    grid = np.arange(-reach, reach + 1)
    x = (grid[None, :, None, None] + fine[None, None, None, :]).astype(float)
    y = (grid[:, None, None, None] + fine[None, None, :, None]).astype(float)
    if mark.triangle:
        inside = (y <= radius * 0.8) & (np.abs(x) <= (y + radius) * 0.62)
    else:
        inside = x * x + y * y <= radius * radius
    alpha = np.round(inside.mean(axis=(2, 3)) * 255).astype(int)
    steps = [
        (int(grid[col]), int(grid[row]), int(alpha[row, col]))
        for row in range(len(grid))
        for col in range(len(grid))
        if alpha[row, col]
    ]
    return sorted(steps, key=lambda step: step[2])


def _shades(colour: QColor) -> NDArray[np.uint32]:
    """(256,) premultiplied ARGB of the colour at every alpha."""
    alpha = np.arange(256, dtype=np.uint32)
    red, green, blue = ((alpha * part + 127) // 255 for part in (colour.red(), colour.green(), colour.blue()))
    shades: NDArray[np.uint32] = ((alpha << 24) | (red << 16) | (green << 8) | blue).astype(np.uint32)
    return shades


def _triangle(x: float, y: float, radius: float) -> QPolygonF:
    half = radius * 1.1
    return QPolygonF([QPointF(x, y - radius), QPointF(x + half, y + radius * 0.8), QPointF(x - half, y + radius * 0.8)])
