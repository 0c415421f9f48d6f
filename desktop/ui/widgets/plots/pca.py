"""Samples in the plane of two principal components, and beside it the genes that make them. Does no decomposition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QAbstractItemView, QComboBox, QLabel, QSplitter, QTableWidget, QTableWidgetItem, QWidget

from desktop.ui import theme
from desktop.ui.theme import PlotColours
from desktop.ui.widgets.plots.figure import PlotFigure
from desktop.ui.widgets.plots.labels import LabelItem

Floats = NDArray[np.float64]
_SYMBOLS = ("o", "s", "t1", "d", "p", "h", "star", "+")  # shape as well as colour tells the levels apart
_GENE_WIDTH = 140  # pixels of a gene's name at most
_TABLE_FRAC = 0.42  # of the figure's width that the table of genes may take
_MANY_SAMPLES = 60  # above this, names are shown on hover only


class PCAPlot(PlotFigure):
    """Scores (S, K ≥ 2) with a choice of the factor that colours them and of the components."""

    def __init__(self, parent: QWidget | None = None) -> None:
        self._scores: Floats = np.empty((0, 2))
        self._samples: tuple[str, ...] = ()
        self._factors: dict[str, list[str]] = {}
        self._explained: Floats = np.empty(0)
        self._points: list[pg.ScatterPlotItem] = []
        self._names = LabelItem()
        self._hover = QLabel()
        self._loadings: dict[str, list[tuple[str, float]]] = {}
        super().__init__("PCA", "pca", x="PC1", y="PC2", parent=parent)
        self.loadings = _loadings_table()
        self._beside = beside = QSplitter(Qt.Orientation.Horizontal)
        self._layout.removeWidget(self.plot)
        beside.addWidget(self.plot)
        beside.addWidget(self.loadings)
        beside.setStretchFactor(0, 1)
        beside.setChildrenCollapsible(True)
        self._layout.addWidget(beside, 1)
        self._legend = self.plot.addLegend(offset=(-12, 12))
        self.plot.addItem(self._names, ignoreBounds=True)
        self.factor = QComboBox()
        self.factor.setAccessibleName("Colour samples by")
        self.factor.currentIndexChanged.connect(self._draw)
        self.axes = QComboBox()
        self.axes.setAccessibleName("Components shown")
        self.axes.currentIndexChanged.connect(self._draw)
        self._header.insertWidget(2, self._hover)
        self._header.insertWidget(3, QLabel("Colour by"))
        self._header.insertWidget(4, self.factor)
        self._header.insertWidget(5, self.axes)
        self.plot.scene().sigMouseMoved.connect(self._on_moved)

    def set_results(
        self,
        scores: Floats,
        samples: Sequence[str],
        explained: Floats,
        factors: Mapping[str, Sequence[str]],
        by: str,
        loadings: Mapping[str, Sequence[tuple[str, float]]] | None = None,
    ) -> None:
        """scores (S, K); explained (K,) fractions of variance; factors: name → (S,) levels; `by` colours first.

        loadings   component ("PC1") → its genes and their loadings, largest first
        """
        self._loadings = {name: list(genes) for name, genes in (loadings or {}).items()}
        self._scores, self._samples, self._explained = scores, tuple(samples), explained
        self._factors = {name: list(values) for name, values in factors.items()}
        for box in (self.factor, self.axes):
            box.blockSignals(True)
            box.clear()
        self.factor.addItems(list(self._factors) or ["nothing"])
        self.factor.setCurrentText(by)
        pairs = [(0, 1), (0, 2), (1, 2)] if scores.shape[1] > 2 else [(0, 1)]
        for first, second in pairs:
            self.axes.addItem(f"PC{first + 1} · PC{second + 1}", (first, second))
        for box in (self.factor, self.axes):
            box.blockSignals(False)
        self._draw()

    def legend_entries(self) -> list[str]:
        """The levels the legend names, in its order."""
        return [label.text for _sample, label in self._legend.items]

    def apply_colours(self, colours: PlotColours) -> None:
        super().apply_colours(colours)
        self._names.setColours(QColor(colours.foreground), QColor(colours.background))
        if self._samples:
            self._draw()

    def _draw(self) -> None:
        if not len(self._scores):
            return
        first, second = self.axes.currentData() or (0, 1)
        across, up = self._scores[:, first], self._scores[:, second]
        for item in self._points:
            self.plot.removeItem(item)
        self._legend.clear()
        self._legend.setLabelTextColor(self.colours.foreground)
        self._points = []
        values = self._factors.get(self.factor.currentText(), [""] * len(self._samples))
        levels = list(dict.fromkeys(values))
        for number, level in enumerate(levels):
            here = np.array([value == level for value in values])
            item = pg.ScatterPlotItem(
                x=across[here],
                y=up[here],
                size=11,
                symbol=_SYMBOLS[number % len(_SYMBOLS)],
                pen=pg.mkPen(self.colours.background, width=1),
                brush=pg.mkBrush(self.colours.categories[number % len(self.colours.categories)]),
                name=level or None,
                useCache=False,
            )
            self.plot.addItem(item)
            self._points.append(item)
        for side, component in (("bottom", first), ("left", second)):
            share = f" ({self._explained[component]:.0%} of variance)" if component < len(self._explained) else ""
            self.set_axis_label(side, f"PC{component + 1}{share}")
        if len(self._samples) <= _MANY_SAMPLES:
            self._names.setLabels([(float(x), float(y), n) for x, y, n in zip(across, up, self._samples, strict=True)])
        else:
            self._names.setLabels([])
        self.show_all()
        self._fill_loadings(f"PC{first + 1}", f"PC{second + 1}")
        self._summarise(levels)

    def _summarise(self, levels: list[str]) -> None:
        shares = ", ".join(f"PC{i + 1} {share:.0%}" for i, share in enumerate(self._explained[:3]))
        shown = ", ".join(level for level in levels[:8] if level) + (" …" if len(levels) > 8 else "")
        self.set_summary(
            f"{len(self._samples)} samples" + (f"; {shares} of the variance" if shares else "")
            + (f"; coloured by {self.factor.currentText()}: {shown}." if shown else ".")
        )  # fmt: skip

    def _fill_loadings(self, *components: str) -> None:
        """The genes of the two components that are shown."""
        sides = [self._loadings.get(component, []) for component in components]
        self.loadings.setVisible(any(sides))
        self.loadings.setRowCount(max(map(len, sides)))
        self.loadings.setHorizontalHeaderLabels([part for name in components for part in (f"{name}: gene", "loading")])
        for side, genes in enumerate(sides):
            for row in range(self.loadings.rowCount()):
                gene, number = genes[row] if row < len(genes) else ("", 0.0)
                for column, text in ((2 * side, gene), (2 * side + 1, f"{number:+.3f}" if gene else "")):
                    item = QTableWidgetItem(text)
                    item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{components[side]}, {gene}: {text}")
                    if column % 2:
                        item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                    self.loadings.setItem(row, column, item)
        self.loadings.resizeColumnsToContents()
        for column in (0, 2):
            self.loadings.setColumnWidth(column, min(self.loadings.columnWidth(column), _GENE_WIDTH))
        wanted = self.loadings.horizontalHeader().length() + 24
        self.loadings.setMaximumWidth(wanted)
        wanted = min(wanted, int(_TABLE_FRAC * self.width()))
        self._beside.setSizes([max(self.width() - wanted, 1), wanted])

    def _on_moved(self, position: QPointF) -> None:
        if len(self._samples) <= _MANY_SAMPLES or not self._samples:
            return
        view = self.plot.getViewBox()
        where = view.mapSceneToView(position)
        width, height = view.viewPixelSize()
        first, second = self.axes.currentData() or (0, 1)
        distance = np.hypot(
            (self._scores[:, first] - where.x()) / width, (self._scores[:, second] - where.y()) / height
        )
        nearest = int(np.argmin(distance))
        self._hover.setText(self._samples[nearest] if distance[nearest] < 10 else "")


def _loadings_table() -> QTableWidget:
    table = QTableWidget(0, 4)
    table.setAccessibleName("Genes with the largest loadings")
    table.setToolTip("Genes that make the components shown: a sample with a high score has more of those above 0")
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setTabKeyNavigation(False)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(theme.ROW - 4)
    table.setAlternatingRowColors(True)
    table.hide()
    return table
