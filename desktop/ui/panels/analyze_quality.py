"""The QC tab: the small figures of sample quality and the table behind them, built one at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QAbstractItemView, QGridLayout, QScrollArea, QTableWidget, QTableWidgetItem, QWidget

from desktop.ui import theme
from desktop.ui.itemmodels.run_results import RunResults
from desktop.ui.widgets.plots.figure import Figure
from desktop.ui.widgets.plots.heatmap import HeatmapFigure, Matrix
from desktop.ui.widgets.plots.qc import PValueHistogram, SampleBars, SampleTree, SpreadPlot, leaf_order

_COLUMNS = (
    ("sample", "Sample"),
    ("library_size", "Reads"),
    ("genes_detected", "Genes detected"),
    ("size_factor", "Size factor"),
    ("median_correlation", "Median correlation"),
    ("closest_sample", "Closest sample"),
    ("reason", "Remark"),
)
_OF_READS = ("library_size", "genes_detected", "size_factor")
_HEIGHT = 300  # pixels of a figure at least


class QualityTab(QScrollArea):
    """Figures in two columns; each is made in its own turn of the event loop."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setAccessibleName("Sample quality")
        self._page = QWidget()
        self._grid = QGridLayout(self._page)
        self._grid.setContentsMargins(theme.GAP, theme.GAP, theme.GAP, theme.GAP)
        self._grid.setSpacing(theme.GAP)
        self.setWidget(self._page)
        self.figures: list[Figure] = []
        self._left: list[Callable[[], QWidget]] = []
        self._timer = QTimer(self, interval=0)
        self._timer.timeout.connect(self._build_next)

    def set_results(self, results: RunResults) -> None:
        """Show a run's quality figures."""
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        self.figures = []
        self._left = []
        if results.are_reads:
            self._left.append(lambda: self._bars(results, "library_size", "Library sizes", "million reads", 1e-6))
            self._left.append(lambda: self._bars(results, "genes_detected", "Genes detected", "genes", 1.0))
        self._left.append(lambda: self._distances(results))
        if len(results.joins) > 1:
            self._left.append(lambda: self._tree(results))
        if results.has_test:
            self._left.append(lambda: self._pvalues(results))
        if results.spread is not None:
            self._left.append(lambda: self._spread(results))
        self._left.append(lambda: quality_table(results))
        self._timer.start()

    def is_complete(self) -> bool:
        """Whether every figure is there."""
        return not self._left

    def _build_next(self) -> None:
        if not self._left:
            self._timer.stop()
            return
        widget = self._left.pop(0)()
        at = self._grid.count()
        if isinstance(widget, Figure):
            widget.setMinimumHeight(_HEIGHT)
            self.figures.append(widget)
            self._grid.addWidget(widget, at // 2, at % 2)
        else:
            self._grid.addWidget(widget, (at + 1) // 2, 0, 1, 2)

    def _bars(self, results: RunResults, key: str, title: str, unit: str, scale: float) -> Figure:
        figure = SampleBars(title, key, unit=unit)
        values = np.array([float(row.get(key, 0) or 0) for row in results.quality]) * scale
        groups = results.factors.get(results.colour_by, [""] * len(results.samples))
        figure.set_results([str(row["sample"]) for row in results.quality], values, groups)
        return figure

    def _distances(self, results: RunResults) -> Figure:
        figure = HeatmapFigure("Distances between samples", "sample_distances")
        order = leaf_order(results.joins, len(results.samples))
        levels = results.factors.get(results.colour_by)
        bars = {results.colour_by: [levels[at] for at in order]} if levels else {}
        names = [results.samples[at] for at in order]
        matrix = Matrix(results.distances[np.ix_(order, order)], names, names, bars, centred=False, unit="distance")
        flagged = [str(row["sample"]) for row in results.quality if row.get("is_outlier")]
        words = f"Remarks on {', '.join(flagged)}: see the table." if flagged else "No sample stands apart."
        ordered = "in clustered order" if len(results.joins) > 1 else "in the table's order"
        figure.set_matrix(matrix, f"{len(names)} samples {ordered}. {words}")
        return figure

    def _tree(self, results: RunResults) -> Figure:
        figure = SampleTree()
        figure.set_results(results.joins, results.samples)
        return figure

    def _pvalues(self, results: RunResults) -> Figure:
        figure = PValueHistogram()
        figure.set_results(results.genes.columns["pvalue"])
        if results.pvalue_reading:
            figure.set_summary(results.pvalue_reading)
        return figure

    def _spread(self, results: RunResults) -> Figure:
        found = results.spread
        assert found is not None
        figure = SpreadPlot(found.kind)
        figure.set_results(found.base_mean, found.genewise, found.final, found.trend)
        return figure


def quality_table(results: RunResults) -> QTableWidget:
    """One line a sample, with what was remarked."""
    columns = [pair for pair in _COLUMNS if results.are_reads or pair[0] not in _OF_READS]
    table = QTableWidget(len(results.quality), len(columns))
    table.setAccessibleName("Quality of each sample")
    table.setHorizontalHeaderLabels([title for _key, title in columns])
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setTabKeyNavigation(False)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(theme.ROW - 4)
    table.setAlternatingRowColors(True)
    for line, row in enumerate(results.quality):
        for column, (key, title) in enumerate(columns):
            value = row.get(key, "")
            is_number = isinstance(value, int | float)
            text = f"{value:,.0f}" if is_number and abs(value) >= 100 else f"{value:.3f}" if is_number else str(value)
            item = QTableWidgetItem(text)
            if is_number:
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{title}: {text}")
            table.setItem(line, column, item)
    table.resizeColumnsToContents()
    table.horizontalHeader().setStretchLastSection(True)
    rows = min(len(results.quality), 24)
    table.setFixedHeight(table.horizontalHeader().sizeHint().height() + rows * (theme.ROW - 4) + 6)
    return table
