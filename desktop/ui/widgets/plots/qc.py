"""The small figures of sample quality: library sizes, genes, the samples' tree, the shape of p, dispersions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QWidget

from desktop.ui.theme import PlotColours
from desktop.ui.widgets.plots.figure import PlotFigure
from desktop.ui.widgets.plots.point_cloud import Mark, PointCloudItem

Floats = NDArray[np.float64]
_MOST_NAMES = 40  # names on an axis before they are thinned
_NAME_WIDTH = 140  # pixels a name may take


class SampleBars(PlotFigure):
    """One bar a sample, names at the left, in the samples' order from the top."""

    def __init__(self, title: str, file_stem: str, *, unit: str, parent: QWidget | None = None) -> None:
        self._bars = pg.BarGraphItem(x0=[0], y=[0], height=0.7, width=[0])
        self._groups: list[str] = []
        self._unit = unit
        super().__init__(title, file_stem, x=unit, y="", parent=parent)
        self.plot.addItem(self._bars)
        self.plot.getViewBox().invertY(True)

    def set_results(self, samples: Sequence[str], values: Floats, groups: Sequence[str]) -> None:
        """values (S,) ≥ 0; groups (S,) colour the bars."""
        self._groups = list(groups)
        at = np.arange(len(samples))
        room = max(self.plot.height() - 50, 60) / (self.fontMetrics().height() + 1)
        every = max(1, math.ceil(len(samples) / min(room, _MOST_NAMES)))
        metrics = self.fontMetrics()
        names = [metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, _NAME_WIDTH) for name in samples]
        axis = self.plot.getAxis("left")
        axis.setTicks([[(i, names[i]) for i in range(0, len(names), every)]])
        axis.setWidth(max((metrics.horizontalAdvance(name) for name in names), default=0) + 16)
        self._bars.setOpts(x0=np.zeros(len(samples)), y=at, height=0.7, width=values)
        self._colour()
        self.show_all()
        middle = float(np.median(values)) if len(values) else 0.0
        low = [samples[i] for i in np.flatnonzero(values < middle / 2).tolist()]
        spread = "no samples"
        if len(values):
            least, most, usual = (
                f"{v:,.0f}" if values.max() >= 10 else f"{v:.2g}" for v in (values.min(), values.max(), middle)
            )
            spread = f"{least} to {most} {self._unit}, median {usual}"
        self.set_summary(spread + (f". Less than half the median: {', '.join(low[:6])}" if low else "") + ".")

    def apply_colours(self, colours: PlotColours) -> None:
        super().apply_colours(colours)
        self._colour()

    def _colour(self) -> None:
        levels = list(dict.fromkeys(self._groups))
        many = len(self.colours.categories)
        colours = [QColor(self.colours.categories[levels.index(group) % many]) for group in self._groups]
        self._bars.setOpts(brushes=colours or None, pen=pg.mkPen(None))


class SampleTree(PlotFigure):
    """The samples' clustering: like ones together, the distance at which they are joined to the left."""

    def __init__(self, parent: QWidget | None = None) -> None:
        self._lines = pg.PlotDataItem(connect="finite")
        super().__init__("Sample clustering", "sample_clustering", x="distance", y="", parent=parent)
        self.plot.addItem(self._lines)
        self.plot.getViewBox().invertX(True)
        self.plot.getViewBox().invertY(True)
        self.plot.hideAxis("left")
        self.plot.showAxis("right")

    def set_results(self, joins: Floats, samples: Sequence[str]) -> None:
        """joins (S - 1, 4) as `RunResults` has them."""
        order = leaf_order(joins, len(samples))
        place = {sample: float(row) for row, sample in enumerate(order)}
        height = dict.fromkeys(place, 0.0)
        x: list[float] = []
        y: list[float] = []
        for number, (left, right, distance, _size) in enumerate(joins.tolist()):
            ends = [(place[int(side)], height[int(side)]) for side in (left, right)]
            x += [ends[0][1], distance, distance, ends[1][1], math.nan]
            y += [ends[0][0], ends[0][0], ends[1][0], ends[1][0], math.nan]
            made = len(samples) + number
            place[made], height[made] = (ends[0][0] + ends[1][0]) / 2, distance
        self._lines.setData(x, y)
        metrics = self.fontMetrics()
        room = max(self.plot.height() - 50, 60) / (metrics.height() + 1)
        every = max(1, math.ceil(len(order) / min(room, _MOST_NAMES)))
        names = [metrics.elidedText(samples[at], Qt.TextElideMode.ElideMiddle, _NAME_WIDTH) for at in order]
        axis = self.plot.getAxis("right")
        axis.setTicks([[(row, names[row]) for row in range(0, len(names), every)]])
        axis.setWidth(max((metrics.horizontalAdvance(name) for name in names), default=0) + 16)
        self.show_all()
        shown = ", ".join(samples[at] for at in order[:12]) + (" …" if len(order) > 12 else "")
        self.set_summary(f"Average linkage on Euclidean distance. Order: {shown}.")

    def apply_colours(self, colours: PlotColours) -> None:
        super().apply_colours(colours)
        self._lines.setPen(pg.mkPen(colours.foreground, width=1))
        names = self.plot.getAxis("right")
        names.setPen(pg.mkPen(colours.grid))
        names.setTextPen(colours.foreground)


def leaf_order(joins: Floats, n_samples: int) -> list[int]:
    """The samples in the order in which the tree has them, from top to bottom."""
    if len(joins) != n_samples - 1:
        return list(range(n_samples))
    found: list[int] = []
    open_ones = [n_samples + len(joins) - 1]
    while open_ones:
        at = open_ones.pop()
        if at < n_samples:
            found.append(at)
        else:
            open_ones += [int(joins[at - n_samples, 1]), int(joins[at - n_samples, 0])]
    return found


class PValueHistogram(PlotFigure):
    """How the raw p-values are spread: flat with a peak at 0 is what a sound test gives."""

    def __init__(self, parent: QWidget | None = None) -> None:
        self._bars = pg.BarGraphItem(x0=[0], x1=[1], height=[0])
        super().__init__("p-values", "pvalues", x="p", y="genes", parent=parent)
        self.plot.addItem(self._bars)

    def set_results(self, pvalue: Floats) -> None:
        """(G,) raw p, NaN allowed."""
        p = pvalue[np.isfinite(pvalue)]
        counts, edges = np.histogram(p, bins=40, range=(0, 1))
        self._bars.setOpts(x0=edges[:-1], x1=edges[1:], height=counts)
        self.show_all()
        if not p.size:
            self.set_summary("No p-values.")
            return
        first, rest = counts[0], float(np.median(counts[20:]))
        if first > 1.5 * rest:
            words = "flat with a peak near 0, as a sound test with real changes gives"
        elif counts[-4:].mean() > 1.5 * max(counts[10:20].mean(), 1):
            words = "piled up near 1: the model may not fit, or many genes have few reads"
        else:
            words = "about flat: little or nothing changes"
        self.set_summary(f"{p.size:,} p-values, {words}.")

    def apply_colours(self, colours: PlotColours) -> None:
        super().apply_colours(colours)
        self._bars.setOpts(brush=pg.mkBrush(colours.categories[0]), pen=pg.mkPen(colours.background))


class SpreadPlot(PlotFigure):
    """How much each gene varies against its mean, with what is expected and what the test used.

    kind   "dispersion" of reads, or "variance" of log2 values, whose mean is on a log scale already
    """

    def __init__(self, kind: str, parent: QWidget | None = None) -> None:
        self._kind_of = kind
        self._cloud = PointCloudItem()
        self._kind: NDArray[np.uint8] = np.empty(0, dtype=np.uint8)
        self._trend = pg.PlotDataItem()
        across = "mean log₂ value" if kind == "variance" else "mean of normalised counts (log₁₀)"
        super().__init__(kind.capitalize(), kind, x=across, y=f"{kind} (log₁₀)", parent=parent)
        self.plot.addItem(self._cloud)
        self.plot.addItem(self._trend)

    def set_results(self, base_mean: Floats, genewise: Floats, final: Floats, trend: Floats) -> None:
        """(G,) each; zeros and NaN are left out."""
        with np.errstate(divide="ignore", invalid="ignore"):
            first, used, fitted = (np.log10(part) for part in (genewise, final, trend))
            mean = base_mean if self._kind_of == "variance" else np.log10(base_mean)
        has_first, has_used = (np.isfinite(mean) & np.isfinite(part) for part in (first, used))
        low = float(np.percentile(first[has_first], 0.5)) if has_first.any() else -8.0
        has_first &= first >= low
        x = np.concatenate([mean[has_first], mean[has_used]])
        y = np.concatenate([first[has_first], used[has_used]])
        self._kind = np.repeat(np.array([0, 1], dtype=np.uint8), [has_first.sum(), has_used.sum()])
        self._cloud.setPoints(x, y, self._kind, self._marks())
        drawn = np.flatnonzero(np.isfinite(mean) & np.isfinite(fitted))
        drawn = drawn[np.argsort(mean[drawn])][:: max(1, len(drawn) // 400)]
        self._trend.setData(mean[drawn], fitted[drawn])
        self.show_all()
        middle = float(np.median(final[has_used])) if has_used.any() else float("nan")
        if self._kind_of == "variance":
            meant = f"a standard deviation of {np.sqrt(middle):.2g} log₂ units"
        else:
            meant = f"a biological variation of about {np.sqrt(middle):.0%}"
        self.set_summary(
            f"Estimates of {int(has_first.sum()):,} genes, what is expected at their mean, and what the test used "
            f"(median {middle:.3g}, {meant})."
        )

    def apply_colours(self, colours: PlotColours) -> None:
        super().apply_colours(colours)
        self._cloud.setKinds(self._kind, self._marks())
        self._trend.setPen(pg.mkPen(colours.categories[1], width=2))

    def _marks(self) -> tuple[Mark, ...]:
        return Mark(QColor(self.colours.neutral), 1.6, 0.7), Mark(QColor(self.colours.categories[0]), 1.6, 0.8)
