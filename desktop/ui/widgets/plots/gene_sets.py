"""Gene sets as pictures: the surest sets as dots, and the running score of chosen ones. Computes no statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QResizeEvent
from PySide6.QtWidgets import QWidget

from desktop.ui.theme import PlotColours
from desktop.ui.widgets.plots.figure import PlotFigure

Floats = NDArray[np.float64]
N_DOTS = 15
N_CURVES = 6
_NAME_SHARE = 0.42  # of the figure's width that names may take
_SMALLEST, _LARGEST = 6.0, 22.0  # pixels across a dot


@dataclass(frozen=True, slots=True)
class Dot:
    """One set: `effect` across, `n_genes` as size, `padj` as depth of colour; `direction` (1, −1, 0) as its hue."""

    at: int
    name: str
    effect: float
    n_genes: int
    padj: float
    direction: int


@dataclass(frozen=True, slots=True)
class Curve:
    """One set's running score: corners across (places in the ranking) and up, the places of its genes."""

    name: str
    across: Floats
    up: Floats
    places: NDArray[np.int64]
    nes: float
    padj: float


class GeneSetDots(PlotFigure):
    """The sets the table shows first, one line each. `setClicked(at)` names the place of a set in its test."""

    setClicked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        self._dots: list[Dot] = []
        self._ringed: set[int] = set()
        self._points = pg.ScatterPlotItem(useCache=False)
        self._even = pg.InfiniteLine(pos=1, angle=90)
        super().__init__("Gene sets", "gene_sets", x="fold enrichment", y="", parent=parent)
        self._legend = self.plot.addLegend(offset=(-8, -8), labelTextSize="8pt")
        self.plot.addItem(self._points)
        self.plot.addItem(self._even, ignoreBounds=True)
        self._even.setZValue(-5)
        self.plot.getViewBox().invertY(True)
        self.plot.getViewBox().setMouseEnabled(x=True, y=False)
        self._points.sigClicked.connect(self._on_clicked)

    def set_dots(self, dots: Sequence[Dot], *, effect: str, unity: float, summary: str) -> None:
        """Draw the first N_DOTS; `effect` names the axis, `unity` is where nothing is enriched."""
        self._dots = list(dots[:N_DOTS])
        self.set_axis_label("bottom", effect)
        self._even.setValue(unity)
        self.set_summary(summary)
        self._draw()
        self.show_all()

    def select(self, at: Sequence[int]) -> None:
        """Ring these sets."""
        self._ringed = set(at)
        self._draw()

    def apply_colours(self, colours: PlotColours) -> None:
        super().apply_colours(colours)
        self._even.setPen(pg.mkPen(colours.grid, style=Qt.PenStyle.DashLine))
        if self._dots:
            self._draw()

    def show_all(self) -> None:
        if not self._dots:
            return
        effects = [dot.effect for dot in self._dots] + [float(self._even.value())]
        low, high = min(effects), max(effects)
        room = 0.08 * max(high - low, 0.5)
        self.plot.getViewBox().setRange(
            xRange=(low - room, high + room), yRange=(-0.7, max(len(self._dots) - 0.3, 3.0)), padding=0
        )

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._name_lines()

    def _draw(self) -> None:
        most = max((dot.n_genes for dot in self._dots), default=1)
        depth = [-np.log10(max(dot.padj, 1e-300)) for dot in self._dots]
        deepest = max(max(depth, default=0.0), 1.0)
        spots = []
        for line, (dot, deep) in enumerate(zip(self._dots, depth, strict=True)):
            fill = QColor((self.colours.categories[2], self.colours.up, self.colours.down)[dot.direction])
            fill.setAlphaF(0.25 + 0.75 * min(1.0, deep / deepest))
            is_ringed = dot.at in self._ringed
            pen = pg.mkPen(self.colours.highlight, width=2.2) if is_ringed else pg.mkPen(None)
            spots.append(
                {
                    "pos": (dot.effect, line),
                    "size": _across(dot.n_genes, most),
                    "brush": fill,
                    "pen": pen,
                    "data": dot.at,
                }
            )
        self._points.setData(spots=spots)
        self._legend.clear()
        self._legend.setLabelTextColor(self.colours.foreground)
        for number in sorted({max(1, most // 4), most}):
            mark = pg.ScatterPlotItem(size=_across(number, most), brush=self.colours.neutral, pen=pg.mkPen(None))
            self._legend.addItem(mark, f"{number:,} genes")
        self._name_lines()

    def _name_lines(self) -> None:
        axis = self.plot.getAxis("left")
        metrics = QFontMetricsF(self.font())
        room = max(80.0, self.width() * _NAME_SHARE)
        names = [metrics.elidedText(dot.name, Qt.TextElideMode.ElideRight, room) for dot in self._dots]
        axis.setTicks([list(enumerate(names))])
        axis.setStyle(tickLength=0)
        axis.setWidth(int(max((metrics.horizontalAdvance(name) for name in names), default=0.0)) + 16)

    def _on_clicked(self, _item: object, points: Sequence[pg.SpotItem], _event: object) -> None:
        if len(points):
            self.setClicked.emit(int(points[0].data()))


class RunningScorePlot(PlotFigure):
    """Running scores over the ranked genes with the places of each set's genes below."""

    def __init__(self, parent: QWidget | None = None) -> None:
        self._curves: list[Curve] = []
        self._items: list[pg.PlotDataItem] = []
        self._zero = pg.InfiniteLine(pos=0, angle=0)
        super().__init__(
            "Running score", "running_score", x="genes by test statistic, highest first", y="running score",
            parent=parent,
        )  # fmt: skip
        self._legend = self.plot.addLegend(offset=(-8, 8), labelTextSize="8pt")
        self.plot.addItem(self._zero, ignoreBounds=True)
        self._zero.setZValue(-5)

    def set_curves(self, curves: Sequence[Curve], n_ranked: int) -> None:
        """Draw the first N_CURVES sets over `n_ranked` genes."""
        self._curves = list(curves[:N_CURVES])
        words = [f"{one.name}: NES {one.nes:+.2f}, adjusted p {one.padj:.2g}" for one in self._curves]
        said = "; ".join(words).replace("-", "−") if words else "No set is chosen"
        self.set_summary(f"{said}. {n_ranked:,} genes are ranked.")
        self._draw()
        self.show_all()

    def apply_colours(self, colours: PlotColours) -> None:
        super().apply_colours(colours)
        self._zero.setPen(pg.mkPen(colours.grid))
        if self._curves:
            self._draw()

    def _draw(self) -> None:
        for item in self._items:
            self.plot.removeItem(item)
        self._items = []
        self._legend.clear()
        self._legend.setLabelTextColor(self.colours.foreground)
        low = min((float(one.up.min()) for one in self._curves), default=0.0)
        high = max((float(one.up.max()) for one in self._curves), default=0.0)
        step = 0.09 * max(high - low, 0.1)
        for number, one in enumerate(self._curves):
            colour = self.colours.categories[number % len(self.colours.categories)]
            line = pg.PlotDataItem(one.across, one.up, pen=pg.mkPen(colour, width=1.8), name=one.name)
            base = low - (number + 0.5) * step
            ticks = np.column_stack([np.full(len(one.places), base), np.full(len(one.places), base - 0.75 * step)])
            rug = pg.PlotDataItem(
                np.repeat(one.places, 2).astype(float), ticks.ravel(), connect="pairs", pen=pg.mkPen(colour, width=1)
            )
            for item in (line, rug):
                self.plot.addItem(item)
                self._items.append(item)


def _across(n_genes: int, most: int) -> float:
    """Pixels across a dot whose area stands for a number of genes."""
    return _SMALLEST + (_LARGEST - _SMALLEST) * float(np.sqrt(n_genes / max(1, most)))
