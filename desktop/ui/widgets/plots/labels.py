"""Names beside points, none over another: as many of the first as find room. Paints text, knows no genes."""

from __future__ import annotations

from collections.abc import Sequence

import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPainterPath
from PySide6.QtWidgets import QStyleOptionGraphicsItem, QWidget

_GAP = 6.0  # pixels between a point and its name


class LabelItem(pg.GraphicsObject):  # type: ignore[misc]
    """Names at places in data units, laid out anew at each paint so that they follow pan and zoom."""

    def __init__(self) -> None:
        super().__init__()
        self._labels: tuple[tuple[float, float, str], ...] = ()
        self._ink, self._ground = QColor("black"), QColor("white")
        self.setZValue(20)

    def setLabels(self, labels: Sequence[tuple[float, float, str]]) -> None:
        """(x, y, text), the most important first."""
        self._labels = tuple(labels)
        self.update()

    def setColours(self, ink: QColor, ground: QColor) -> None:
        self._ink, self._ground = ink, ground
        self.update()

    def boundingRect(self) -> QRectF:
        view = self.getViewBox()
        return QRectF() if view is None else QRectF(view.viewRect())

    def viewTransformChanged(self) -> None:
        self.prepareGeometryChange()
        super().viewTransformChanged()

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        view = self.getViewBox()
        if not self._labels or view is None:
            return
        transform = painter.worldTransform()
        window = transform.mapRect(QRectF(view.viewRect()))
        painter.save()
        painter.resetTransform()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics = QFontMetricsF(painter.font())
        points = [transform.map(QPointF(x, y)) for x, y, _text in self._labels]
        halo = QColor(self._ground)
        halo.setAlpha(215)
        for text, box in place(points, [text for *_place, text in self._labels], metrics, window):
            outline = QPainterPath()
            outline.addRoundedRect(box, 2, 2)
            painter.fillPath(outline, halo)
            painter.setPen(self._ink)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
        painter.restore()


def place(
    points: Sequence[QPointF], texts: Sequence[str], metrics: QFontMetricsF, window: QRectF
) -> list[tuple[str, QRectF]]:
    """The names that find room, each with its box: inside the window, over no other name and no named point."""
    taken = [QRectF(p.x() - 3, p.y() - 3, 6, 6) for p in points]
    placed: list[tuple[str, QRectF]] = []
    for index, (point, text) in enumerate(zip(points, texts, strict=True)):
        if not window.contains(point):
            continue
        width, height = metrics.horizontalAdvance(text) + 4, metrics.height()
        for across, down in ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1)):
            centre = QPointF(point.x() + across * (_GAP + width / 2), point.y() + down * (_GAP + height / 2))
            box = QRectF(centre.x() - width / 2, centre.y() - height / 2, width, height)
            free = all(not box.intersects(other) for at, other in enumerate(taken) if at != index)
            if free and window.contains(box):
                taken.append(box)
                placed.append((text, box))
                break
    return placed
