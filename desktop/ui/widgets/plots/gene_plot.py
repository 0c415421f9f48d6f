"""One point a gene: hover names it, a click selects it, the changed ones are coloured and the first few labelled.

The ground of the volcano and the MA plot. Rows are positions in the run's results, never positions in the drawing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt, Signal
from PySide6.QtGui import QColor, QPen
from PySide6.QtWidgets import QFrame, QLabel, QWidget

from desktop.ui.theme import PlotColours
from desktop.ui.widgets.plots.figure import PlotFigure
from desktop.ui.widgets.plots.labels import LabelItem
from desktop.ui.widgets.plots.point_cloud import Mark, PointCloudItem

Floats = NDArray[np.float64]
_REACH = 9.0  # pixels within which a point answers the mouse
_N_LABELS = 14
_N_RINGS = 500
_FEW = 25  # rings that may be large

# classes of a gene, also the order of painting
MUTED, DOWN, UP = 0, 1, 2


def classify(log2_fold_change: Floats, padj: Floats, alpha: float, lfc: float) -> NDArray[np.uint8]:
    """(G,) MUTED, DOWN or UP: changed means padj < alpha and |log2 fold change| >= lfc; NaN is never changed."""
    with np.errstate(invalid="ignore"):
        changed = (padj < alpha) & (np.abs(log2_fold_change) >= lfc)
    kinds = np.zeros(len(padj), dtype=np.uint8)
    kinds[changed & (log2_fold_change < 0)] = DOWN
    kinds[changed & (log2_fold_change > 0)] = UP
    return kinds


class GenePlot(PlotFigure):
    """A scatter of genes. `rowClicked(row, extend)`: extend is true with ⌘ or Shift held."""

    rowClicked = Signal(int, bool)

    def __init__(self, title: str, file_stem: str, *, x: str, y: str, parent: QWidget | None = None) -> None:
        self._rows: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._x: Floats = np.empty(0)
        self._y: Floats = np.empty(0)
        self._kind: NDArray[np.uint8] = np.empty(0, dtype=np.uint8)
        self._at: NDArray[np.int64] = np.empty(0, dtype=np.int64)  # row → point, -1 where a row has none
        self._describe: Callable[[int], str] = str
        self._name: Callable[[int], str] = str
        self._selected: tuple[int, ...] = ()
        self.cloud = PointCloudItem()
        self._labels = LabelItem()
        self._rings = pg.ScatterPlotItem(size=13, useCache=False)
        self._pointer = pg.ScatterPlotItem(size=13, useCache=False)
        super().__init__(title, file_stem, x=x, y=y, parent=parent)
        for item in (self.cloud, self._labels, self._rings, self._pointer):
            self.plot.addItem(item, ignoreBounds=item is not self.cloud)
        self._rings.setZValue(15)
        self._pointer.setZValue(16)
        self.tip = QLabel(self.plot)
        self.tip.setFrameShape(QFrame.Shape.StyledPanel)
        self.tip.setAutoFillBackground(True)
        self.tip.setMargin(4)
        self.tip.setTextFormat(Qt.TextFormat.RichText)
        self.tip.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.tip.setAccessibleName("Gene under the pointer")
        self.tip.hide()
        self.plot.viewport().installEventFilter(self)
        self.plot.scene().sigMouseMoved.connect(self._on_moved)
        self.plot.scene().sigMouseClicked.connect(self._on_clicked)
        self.plot.getViewBox().sigRangeChanged.connect(lambda *_args: self.tip.hide())

    def set_words(self, *, name: Callable[[int], str], describe: Callable[[int], str]) -> None:
        """How a row is called on the plot, and what its tooltip says (rich text, already escaped)."""
        self._name, self._describe = name, describe

    def set_points(self, rows: NDArray[np.int64], x: Floats, y: Floats, kinds: NDArray[np.uint8]) -> None:
        """rows (N,) positions in the results; x, y (N,) finite; kinds (N,) index into `marks`."""
        self._rows, self._x, self._y, self._kind = rows, x, y, kinds
        self._at = np.full(int(rows.max(initial=-1)) + 1, -1, dtype=np.int64)
        self._at[rows] = np.arange(len(rows))
        self._selected = ()
        self._rings.clear()
        self._pointer.clear()
        self.cloud.setPoints(x, y, kinds, self.marks())
        self.show_all()

    def set_kinds(self, kinds: NDArray[np.uint8]) -> None:
        """Recolour: kinds (N,) in the order of the points."""
        self._kind = kinds
        self.cloud.setKinds(kinds)

    def label_rows(self, rows: Sequence[int]) -> None:
        """Name these rows on the plot, the most important first."""
        at = [(self._at[row], row) for row in rows if self._has(row)][:_N_LABELS]
        self._labels.setLabels([(float(self._x[i]), float(self._y[i]), self._name(row)) for i, row in at])

    def select(self, rows: Sequence[int]) -> None:
        """Ring these rows; a single one is brought into view."""
        self._selected = tuple(row for row in rows if self._has(row))
        at = [int(self._at[row]) for row in self._selected[:_N_RINGS]]
        self._rings.setData(x=self._x[at], y=self._y[at])
        self._rings.setSize(13 if len(at) <= _FEW else 7)
        self._rings.setPen(self._ring())
        if len(at) == 1:
            self._bring_into_view(float(self._x[at[0]]), float(self._y[at[0]]))

    def selected_rows(self) -> tuple[int, ...]:
        """The rows ringed now."""
        return self._selected

    def viewport_position(self, row: int) -> QPoint:
        """Where a row's point is, in the viewport's pixels."""
        index = self._at[row]
        scene = self.plot.getViewBox().mapViewToScene(QPointF(self._x[index], self._y[index]))
        return QPoint(self.plot.mapFromScene(scene))

    def marks(self) -> tuple[Mark, ...]:
        """How each class looks in the present colours."""
        colours = self.colours
        return (
            Mark(QColor(colours.neutral), 2.0, 0.6),
            Mark(QColor(colours.down), 2.6),
            Mark(QColor(colours.up), 2.6),
        )

    def apply_colours(self, colours: PlotColours) -> None:
        super().apply_colours(colours)
        self.cloud.setKinds(self._kind, self.marks())
        self._labels.setColours(QColor(colours.foreground), QColor(colours.background))
        self._rings.setPen(self._ring())
        self._pointer.setPen(pg.mkPen(colours.highlight, width=1.4))
        for item in (self._rings, self._pointer):
            item.setBrush(pg.mkBrush(None))

    def _ring(self) -> QPen:
        """Of many rings each is thin, and in a colour that no gene has."""
        few = len(self._selected) <= _FEW
        pen = QPen(QColor(self.colours.highlight if few else self.colours.foreground), 2.2 if few else 1.2)
        pen.setCosmetic(True)
        return pen

    def eventFilter(self, watched: object, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Leave and watched is self.plot.viewport():
            self._point_at(None)
        return super().eventFilter(watched, event)

    def _has(self, row: int) -> bool:
        return 0 <= row < len(self._at) and self._at[row] >= 0

    def _row_at(self, scene_position: QPointF) -> int | None:
        view = self.plot.getViewBox()
        if not view.sceneBoundingRect().contains(scene_position):
            return None
        index = self.cloud.nearest(view.mapSceneToView(scene_position), _REACH)
        return None if index is None else int(self._rows[index])

    def _on_moved(self, scene_position: QPointF) -> None:
        self._point_at(self._row_at(scene_position))

    def _point_at(self, row: int | None) -> None:
        if row is None:
            self._pointer.clear()
            self.tip.hide()
            return
        index = self._at[row]
        self._pointer.setData(x=self._x[[index]], y=self._y[[index]])
        self.tip.setText(self._describe(row))
        self.tip.adjustSize()
        spot = self.viewport_position(row)
        room = self.plot.viewport().rect()
        left = spot.x() + 14 if spot.x() + 14 + self.tip.width() < room.width() else spot.x() - 14 - self.tip.width()
        top = max(2, min(spot.y() - self.tip.height() // 2, room.height() - self.tip.height() - 2))
        self.tip.move(max(2, left), top)
        self.tip.show()

    def _on_clicked(self, event: pg.GraphicsScene.mouseEvents.MouseClickEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        if event.double():
            self.show_all()
            return
        row = self._row_at(event.scenePos())
        if row is not None:
            extend = event.modifiers() & (Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
            self.rowClicked.emit(row, bool(extend))

    def _bring_into_view(self, x: float, y: float) -> None:
        view = self.plot.getViewBox()
        (left, right), (low, high) = view.viewRange()
        across = 0.0 if left <= x <= right else x - (left + right) / 2
        up = 0.0 if low <= y <= high else y - (low + high) / 2
        if across or up:
            view.translateBy((across, up))
