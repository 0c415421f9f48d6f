"""The volcano: size of a change against its evidence, with both thresholds as lines to drag.

A p-value too small for a float is 0; its gene is drawn as a triangle at the top edge, never at infinity.
"""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QWidget

from desktop.ui.theme import PlotColours
from desktop.ui.widgets.plots.gene_plot import DOWN, UP, GenePlot, classify
from desktop.ui.widgets.plots.point_cloud import Mark

Floats = NDArray[np.float64]
_CAPPED = 3  # added to a class: the same colours, as triangles


class VolcanoPlot(GenePlot):
    """`thresholdsChanged(alpha, lfc)` while a line is dragged."""

    thresholdsChanged = Signal(float, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        self._alpha, self._lfc = 0.05, 0.0
        self._fold_change: Floats = np.empty(0)
        self._padj: Floats = np.empty(0)
        self._capped: NDArray[np.bool_] = np.empty(0, dtype=bool)
        self._n_without = 0
        self.alpha_line = pg.InfiniteLine(angle=0, movable=True)
        self.lfc_lines = (pg.InfiniteLine(angle=90, movable=True), pg.InfiniteLine(angle=90, movable=True))
        super().__init__("Volcano", "volcano", x="log₂ fold change", y="−log₁₀ adjusted p", parent=parent)
        for line in (self.alpha_line, *self.lfc_lines):
            self.plot.addItem(line, ignoreBounds=True)
            line.setZValue(10)
        self.alpha_line.sigPositionChanged.connect(self._on_alpha_dragged)
        for line in self.lfc_lines:
            line.sigPositionChanged.connect(self._on_lfc_dragged)
        self._place_lines()

    def set_results(self, log2_fold_change: Floats, padj: Floats) -> None:
        """(G,) each, in the results' order; NaN padj (not tested, outlier, filtered) has no place on the plot."""
        shown = np.isfinite(log2_fold_change) & np.isfinite(padj)
        rows = np.flatnonzero(shown)
        self._fold_change, self._padj = log2_fold_change[shown], padj[shown]
        self._capped = self._padj <= 0
        self._n_without = len(padj) - len(rows)
        with np.errstate(divide="ignore"):
            height = -np.log10(self._padj)
        highest = float(height[~self._capped].max(initial=1.0))
        height[self._capped] = highest * 1.06
        self.set_points(rows, self._fold_change, height, self._kinds())
        self._relabel()

    def set_thresholds(self, alpha: float, lfc: float) -> None:
        """Move the lines and recolour; does not signal."""
        self._alpha, self._lfc = alpha, lfc
        self._place_lines()
        self.set_kinds(self._kinds())
        self._relabel()

    def counts(self) -> tuple[int, int]:
        """(up, down) at the present thresholds."""
        kinds = self._kind % _CAPPED
        return int(np.count_nonzero(kinds == UP)), int(np.count_nonzero(kinds == DOWN))

    def marks(self) -> tuple[Mark, ...]:
        discs = super().marks()
        return (*discs, *(Mark(mark.colour, 4.0, mark.opacity, triangle=True) for mark in discs))

    def apply_colours(self, colours: PlotColours) -> None:
        super().apply_colours(colours)
        for line in (self.alpha_line, *self.lfc_lines):
            line.setPen(pg.mkPen(colours.foreground, width=1, style=Qt.PenStyle.DashLine))
            line.setHoverPen(pg.mkPen(colours.highlight, width=3))

    def _kinds(self) -> NDArray[np.uint8]:
        kinds = classify(self._fold_change, self._padj, self._alpha, self._lfc)
        kinds[self._capped] += _CAPPED
        return kinds

    def _relabel(self) -> None:
        changed = np.flatnonzero(self._kind % _CAPPED)
        best = changed[np.lexsort((-np.abs(self._fold_change[changed]), self._padj[changed]))[:20]]
        self.label_rows([int(row) for row in self._rows[best]])
        up, down = self.counts()
        words = [
            f"{up:,} genes up and {down:,} down at adjusted p < {self._alpha:.3g}"
            + (f" and |log₂ fold change| ≥ {self._lfc:.3g}" if self._lfc else "")
            + f", of {len(self._rows):,} shown."
        ]
        if best.size:
            words.append("Strongest: " + ", ".join(self._name(int(row)) for row in self._rows[best[:5]]) + ".")
        if self._capped.any():
            words.append(f"Triangles: {int(self._capped.sum()):,} with p below what a number can hold.")
        if self._n_without:
            words.append(f"{self._n_without:,} genes have no adjusted p.")
        self.set_summary(" ".join(words))

    def _place_lines(self) -> None:
        for line, value in (
            (self.alpha_line, -np.log10(self._alpha)),
            (self.lfc_lines[0], -self._lfc),
            (self.lfc_lines[1], self._lfc),
        ):
            line.blockSignals(True)
            line.setValue(float(value))
            line.blockSignals(False)

    def _on_alpha_dragged(self) -> None:
        height = min(max(float(self.alpha_line.value()), 0.0), 300.0)
        self._dragged_to(min(10.0**-height, 0.999), self._lfc)

    def _on_lfc_dragged(self, line: pg.InfiniteLine) -> None:
        sign = -1.0 if line is self.lfc_lines[0] else 1.0
        self._dragged_to(self._alpha, max(sign * float(line.value()), 0.0))

    def _dragged_to(self, alpha: float, lfc: float) -> None:
        self.set_thresholds(alpha, lfc)
        self.thresholdsChanged.emit(alpha, lfc)
