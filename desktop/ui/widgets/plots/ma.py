"""The MA plot: change against how strongly the gene is read. Computes nothing but the logarithm."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtWidgets import QWidget

from desktop.ui.theme import PlotColours
from desktop.ui.widgets.plots.gene_plot import DOWN, UP, GenePlot, classify

Floats = NDArray[np.float64]


class MAPlot(GenePlot):
    """Mean expression (log₁₀) across, log₂ fold change up."""

    def __init__(self, parent: QWidget | None = None) -> None:
        self._fold_change: Floats = np.empty(0)
        self._padj: Floats = np.empty(0)
        self._suspect = "the sizes"
        self._zero = pg.InfiniteLine(pos=0, angle=0)
        super().__init__("MA", "ma", x="mean of normalised counts (log₁₀)", y="log₂ fold change", parent=parent)
        self.plot.addItem(self._zero, ignoreBounds=True)
        self._zero.setZValue(-5)

    def set_results(
        self, base_mean: Floats, log2_fold_change: Floats, padj: Floats, *, already_log: bool = False
    ) -> None:
        """(G,) each, in the results' order. `already_log`: base_mean is a log2 value and is shown as it is."""
        self.set_axis_label("bottom", "mean log₂ value" if already_log else "mean of normalised counts (log₁₀)")
        self._suspect = "how the values were normalised" if already_log else "the sizes"
        with np.errstate(divide="ignore", invalid="ignore"):
            across = base_mean if already_log else np.log10(base_mean)
        shown = np.isfinite(across) & np.isfinite(log2_fold_change)
        self._fold_change, self._padj = log2_fold_change[shown], padj[shown]
        kinds = np.zeros(int(shown.sum()), dtype=np.uint8)
        self.set_points(np.flatnonzero(shown), across[shown], self._fold_change, kinds)

    def set_thresholds(self, alpha: float, lfc: float) -> None:
        """Recolour by these thresholds."""
        kinds = classify(self._fold_change, self._padj, alpha, lfc)
        self.set_kinds(kinds)
        changed = np.flatnonzero(kinds)
        best = changed[np.argsort(self._padj[changed], kind="stable")[:12]]
        self.label_rows([int(row) for row in self._rows[best]])
        up, down = int(np.count_nonzero(kinds == UP)), int(np.count_nonzero(kinds == DOWN))
        middle = round(float(np.median(self._fold_change)), 2) + 0.0 if self._fold_change.size else 0.0
        self.set_summary(
            f"{len(kinds):,} genes; {up:,} up and {down:,} down. The median log₂ fold change is {middle:+.2f}"
            + (
                ": the normalisation is centred."
                if abs(middle) < 0.3
                else f": most genes shift, look at {self._suspect}."
            )
        )

    def apply_colours(self, colours: PlotColours) -> None:
        super().apply_colours(colours)
        self._zero.setPen(pg.mkPen(colours.grid))
