"""The results of a run: headline, thresholds, tabs, and the folds for code, log and validation.

A tab is built when it is first looked at, so that a result of 60,000 genes is on the screen in one frame. One set of
selected rows and one pair of thresholds hold for all tabs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSplitter, QStackedWidget, QTabWidget, QVBoxLayout, QWidget

from desktop.ui import theme
from desktop.ui.itemmodels.gene_results import format_p
from desktop.ui.itemmodels.gene_set_results import GeneSetResults
from desktop.ui.itemmodels.outputs import Shown
from desktop.ui.itemmodels.run_results import Output, RunResults
from desktop.ui.panels.analyze_folds import Folds
from desktop.ui.panels.analyze_gene_sets import GeneSetsTab
from desktop.ui.panels.analyze_header import ResultHeader, ThresholdStrip, button
from desktop.ui.panels.analyze_quality import QualityTab
from desktop.ui.widgets.gene_table import GeneTable
from desktop.ui.widgets.outputs_view import OutputsView
from desktop.ui.widgets.plots.figure import Figure
from desktop.ui.widgets.plots.gene_plot import UP, classify
from desktop.ui.widgets.plots.heatmap import HeatmapFigure, Matrix
from desktop.ui.widgets.plots.ma import MAPlot
from desktop.ui.widgets.plots.pca import PCAPlot
from desktop.ui.widgets.plots.volcano import VolcanoPlot
from desktop.ui.widgets.report_view import ReportView

TABS = ("Volcano", "MA", "PCA", "Heatmap", "Table", "Gene sets", "QC", "Files", "Report")


class ResultsView(QWidget):
    """`exportRequested()`: the shown genes as CSV. `compareRequested()`: with another run. `planRequested()`: back.
    `geneSetsRequested()`: the tab of gene sets is looked at for the first time; `set_gene_sets` brings them.
    `contrastRequested(int)`: another contrast of the run, from 0; `set_results` brings it.
    `outputRequested(Output)`: a script's file is looked at; `show_output` brings it. `scriptRequested()`: edit it."""

    exportRequested = Signal()
    compareRequested = Signal()
    planRequested = Signal()
    geneSetsRequested = Signal()
    contrastRequested = Signal(int)
    outputRequested = Signal(object)
    scriptRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._results: RunResults | None = None
        self._alpha, self._lfc = 0.05, 0.0
        self._selected: list[int] = []
        self._built: dict[str, QStackedWidget] = {}
        self._filled: set[str] = set()
        self.header = ResultHeader()
        self.header.planRequested.connect(self.planRequested)
        self.header.compareRequested.connect(self.compareRequested)
        self.header.contrastChosen.connect(self._on_contrast)
        self.strip = ThresholdStrip()
        self.strip.thresholdsChanged.connect(self.set_thresholds)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.setAccessibleName("Results")
        self.tabs.currentChanged.connect(lambda _at: self._fill_current())
        self.selection = QLabel(textFormat=Qt.TextFormat.RichText)
        self.selection.setAccessibleName("Selected genes")
        self.selection.setMinimumWidth(10)
        self.selection.setContentsMargins(theme.MARGIN, 3, theme.MARGIN, 3)
        self.folds = Folds()
        self.folds.editRequested.connect(self.scriptRequested)
        self.copy_names = button("Copy Names", "Copy the names of the selected genes", self._copy_names)
        self.copy_names.hide()
        self._splitter = QSplitter(Qt.Orientation.Vertical)
        self._splitter.addWidget(self.tabs)
        self._splitter.addWidget(self.folds)
        self._splitter.setStretchFactor(0, 3)
        self._splitter.setStretchFactor(1, 2)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.header)
        column.addWidget(self.strip)
        column.addWidget(self._splitter, 1)
        foot = QHBoxLayout()
        foot.setContentsMargins(theme.GAP, 2, theme.GAP, 2)
        for opener in self.folds.buttons.values():
            foot.addWidget(opener)
        foot.addWidget(self.selection, 1)
        foot.addWidget(self.copy_names)
        column.addLayout(foot)

    def prepare(self) -> None:
        """Make the first tab ahead of the results, while there is time."""
        self._add_tabs()
        page = self._built["Volcano"]
        if page.currentWidget() is None:
            page.addWidget(self._make("Volcano"))

    # ---- what the panel asks ------------------------------------------------------------------------------------

    def set_results(self, results: RunResults, log: Sequence[str] = ()) -> None:
        """Show a run and the lines it logged."""
        self._selected = []
        self._alpha, self._lfc = results.plan.alpha, results.plan.lfc_threshold
        self.folds.set_results(results, log)
        self._show(results)

    def set_contrast(self, results: RunResults) -> None:
        """Show another contrast of the run that is shown; thresholds and selected genes stay."""
        chosen = [self._results.genes.gene_ids[row] for row in self._selected] if self._results else []
        row_of = {gene: row for row, gene in enumerate(results.genes.gene_ids)} if chosen else {}
        self._selected = [row_of[gene] for gene in chosen if gene in row_of]
        self._show(results)

    def _show(self, results: RunResults) -> None:
        self._results = results
        self._filled.clear()
        self.header.set_results(results)
        self.strip.set_own(results.plan.alpha, results.plan.lfc_threshold)
        current = self.current_tab()
        self.tabs.blockSignals(True)
        self._add_tabs()
        for name in TABS:
            self.tabs.setTabVisible(TABS.index(name), results.has_tab(name))
        first = next(name for name in ("Volcano", "PCA", "Files", "Report") if results.has_tab(name))
        self.show_tab(current if current and results.has_tab(current) else first)
        self.tabs.blockSignals(False)
        self.strip.setVisible(results.has_test)
        self._show_thresholds()
        self._show_selection()
        self._fill_current()

    def set_gene_sets(self, results: RunResults, sets: GeneSetResults | str) -> None:
        """The gene sets of a run, or why they could not be read; another run's than the one shown are dropped."""
        page = self.page("Gene sets")
        if results is self._results and isinstance(page, GeneSetsTab):
            if isinstance(sets, str):
                page.show_fault(sets)
            else:
                page.set_gene_sets(sets, results.genes)

    def show_output(self, results: RunResults, output: Output, shown: Shown) -> None:
        """What was found in a file of a run; another run's than the one shown is dropped."""
        page = self.page("Files")
        if results is self._results and isinstance(page, OutputsView):
            page.show_output(output, shown)

    @property
    def results(self) -> RunResults | None:
        return self._results

    def current_tab(self) -> str:
        """The name of the tab in front, "" before there are any."""
        return TABS[self.tabs.currentIndex()] if self.tabs.count() else ""

    def show_tab(self, name: str) -> None:
        """Bring a tab to the front."""
        if name in TABS and self.tabs.count() and self.tabs.isTabVisible(TABS.index(name)):
            self.tabs.setCurrentIndex(TABS.index(name))

    def page(self, name: str) -> QWidget | None:
        """What a tab shows, once it has been looked at."""
        page = self._built.get(name)
        return page.currentWidget() if page is not None else None

    def select_rows(self, rows: Sequence[int]) -> None:
        """Select genes by their rows in the results, in every tab."""
        self._selected = list(rows)
        for name in ("Volcano", "MA"):
            if name in self._filled and isinstance(plot := self.page(name), VolcanoPlot | MAPlot):
                plot.select(self._selected)
        if "Table" in self._filled and isinstance(table := self.page("Table"), GeneTable):
            table.select_rows(self._selected)
        self._show_selection()

    def selected_rows(self) -> list[int]:
        """Rows of the results that are selected."""
        return list(self._selected)

    def set_thresholds(self, alpha: float, lfc: float) -> None:
        """What counts as changed, in plots, table and counts; the run itself stays as it is."""
        self._alpha, self._lfc = alpha, lfc
        self._show_thresholds()
        for name in ("Volcano", "MA", "Table"):
            if name in self._filled:
                self._apply_thresholds(name)

    def shown_genes(self) -> tuple[list[str], list[int]]:
        """Column keys and rows of the results as the table shows them: what an export writes."""
        if not isinstance(table := self._ensure("Table"), GeneTable):
            return [], []
        return table.model.keys, [int(row) for row in table.model.lines()]

    def copy(self) -> None:
        """Copy what is in front: the figure, or the selected lines of the table."""
        page = self.page(self.current_tab())
        if isinstance(page, Figure):
            page.copy_picture()
        elif isinstance(page, GeneSetsTab):
            page.view.copy() if page.view.hasFocus() else page.figure().copy_picture()
        elif isinstance(page, GeneTable):
            page.view.copy()

    def find_genes(self) -> None:
        """Go to the filter box."""
        if isinstance(sets := self.page(self.current_tab()), GeneSetsTab):
            sets.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
            return
        self.show_tab("Table")
        if isinstance(table := self.page("Table"), GeneTable):
            table.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
            table.search.selectAll()

    def open_fold(self, name: str) -> None:
        """Show or hide code, log or validation."""
        self.folds.buttons[name].click()

    def _on_contrast(self, number: int) -> None:
        if self._results is not None and number != self._results.number:
            self.contrastRequested.emit(number)

    # ---- tabs ---------------------------------------------------------------------------------------------------

    def _add_tabs(self) -> None:
        for name in TABS:
            if name not in self._built:
                self._built[name] = QStackedWidget()
                self.tabs.addTab(self._built[name], name)

    def _fill_current(self) -> None:
        if self._results is not None and (name := self.current_tab()):
            self._ensure(name)

    def _ensure(self, name: str) -> QWidget | None:
        if self._results is None:
            return None
        page = self._built[name]
        widget = page.currentWidget()
        if widget is None:
            widget = self._make(name)
            page.addWidget(widget)
        if name not in self._filled:
            self._filled.add(name)
            self._fill(widget, self._results)
            if name in ("Volcano", "MA", "Table"):
                self._apply_thresholds(name)
                self._apply_selection(widget)
        return widget

    def _make(self, name: str) -> QWidget:
        if name == "Table":
            table = GeneTable()
            table.rowsSelected.connect(self._on_table_selected)
            table.exportRequested.connect(self.exportRequested)
            return table
        if name == "Heatmap":
            heatmap = HeatmapFigure("Heatmap", "heatmap")
            heatmap.rowClicked.connect(self._on_heatmap_row)
            return heatmap
        if name == "Gene sets":
            sets = GeneSetsTab()
            sets.rowsChosen.connect(self._on_set_chosen)
            sets.genesOpened.connect(self._on_set_opened)
            return sets
        if name in ("Volcano", "MA"):
            plot = VolcanoPlot() if name == "Volcano" else MAPlot()
            plot.rowClicked.connect(self._on_point)
            if isinstance(plot, VolcanoPlot):
                plot.thresholdsChanged.connect(self._on_dragged)
            return plot
        if name == "Files":
            files = OutputsView()
            files.outputChosen.connect(self.outputRequested)
            return files
        makers: dict[str, Callable[[], QWidget]] = {"PCA": PCAPlot, "QC": QualityTab, "Report": ReportView}
        return makers[name]()

    def _fill(self, widget: QWidget, results: RunResults) -> None:
        genes = results.genes
        match widget:
            case VolcanoPlot():
                widget.set_words(name=genes.name, describe=self._describe)
                widget.set_results(genes.columns["log2_fold_change"], genes.columns["padj"])
            case MAPlot():
                widget.set_words(name=genes.name, describe=self._describe)
                columns = genes.columns
                mean = columns["base_mean"]
                widget.set_results(mean, columns["log2_fold_change"], columns["padj"], already_log=genes.is_log)
            case PCAPlot():
                scores, factors = results.pca_scores, results.factors
                widget.set_results(
                    scores, results.samples, results.pca_frac, factors, results.colour_by, results.loadings
                )
            case HeatmapFigure():
                widget.set_matrix(*_heatmap(results))
            case GeneTable():
                widget.set_results(genes)
            case GeneSetsTab():
                widget.show_reading()
                self.geneSetsRequested.emit()
            case QualityTab():
                widget.set_results(results)
            case OutputsView():
                widget.set_outputs(results.outputs)
            case ReportView():
                widget.set_report(results.report, results.out_dir)

    def _apply_thresholds(self, name: str) -> None:
        page = self.page(name)
        if isinstance(page, VolcanoPlot | MAPlot):
            page.set_thresholds(self._alpha, self._lfc)
        elif isinstance(page, GeneTable) and self._results is not None:
            page.set_changed(self._kinds() > 0)

    def _apply_selection(self, widget: QWidget) -> None:
        if isinstance(widget, VolcanoPlot | MAPlot):
            widget.select(self._selected)
        elif isinstance(widget, GeneTable):
            widget.select_rows(self._selected)

    # ---- selection and thresholds -------------------------------------------------------------------------------

    def _on_point(self, row: int, extend: bool) -> None:
        if not extend:
            self.select_rows([row])
        elif row in self._selected:
            self.select_rows([one for one in self._selected if one != row])
        else:
            self.select_rows([*self._selected, row])

    def _on_heatmap_row(self, line: int) -> None:
        if self._results is not None and self._results.heatmap_rows[line] >= 0:
            self.select_rows([self._results.heatmap_rows[line]])

    def _on_set_chosen(self, rows: list[int], name: str) -> None:
        self.select_rows(rows)
        self._show_selection(of=name)

    def _on_set_opened(self, rows: list[int], name: str) -> None:
        self._on_set_chosen(rows, name)
        self.show_tab("Table")
        if isinstance(table := self.page("Table"), GeneTable):
            table.narrow_to(rows, name)

    def _on_table_selected(self, rows: list[int]) -> None:
        self._selected = list(rows)
        for name in ("Volcano", "MA"):
            if name in self._filled and isinstance(plot := self.page(name), VolcanoPlot | MAPlot):
                plot.select(self._selected)
        self._show_selection()

    def _on_dragged(self, alpha: float, lfc: float) -> None:
        self._alpha, self._lfc = alpha, lfc
        self._show_thresholds()
        for name in ("MA", "Table"):
            if name in self._filled:
                self._apply_thresholds(name)

    def _kinds(self) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        assert self._results is not None
        columns = self._results.genes.columns
        return classify(columns["log2_fold_change"], columns["padj"], self._alpha, self._lfc)

    def _show_thresholds(self) -> None:
        if self._results is not None and self._results.has_test:
            kinds = self._kinds()
            up, changed = int(np.count_nonzero(kinds == UP)), int(np.count_nonzero(kinds))
            self.strip.show_thresholds(self._alpha, self._lfc, up, changed - up)

    def _describe(self, row: int) -> str:
        """A gene as rich text."""
        assert self._results is not None
        genes = self._results.genes
        columns = genes.columns
        symbol, gene = genes.gene_symbols[row], genes.gene_ids[row]
        head = f"<b>{escape(symbol or gene)}</b>" + (f" &nbsp;{escape(gene)}" if symbol else "")
        mean = float(columns["base_mean"][row])
        mean_words = f"mean log₂ value {mean:.2f}" if genes.is_log else f"mean {mean:,.1f}"
        padj = genes.reason(row) or format_p(float(columns["padj"][row]))
        return (
            f"{head}<br>log₂ FC {columns['log2_fold_change'][row]:+.2f} &nbsp; adjusted p {escape(padj)}"
            f"<br>{mean_words}"
        ).replace("-", "−")

    def _show_selection(self, of: str = "") -> None:
        results, rows = self._results, self._selected
        self.copy_names.setVisible(bool(rows))
        if results is None or not rows:
            self.selection.setText("")
        elif len(rows) == 1:
            self.selection.setText(self._describe(rows[0]).replace("<br>", " &nbsp;·&nbsp; "))
        else:
            names = ", ".join(escape(results.genes.name(row)) for row in rows[:6])
            told = f"<b>{len(rows):,} genes{' of ' + escape(of) if of else ''}</b>"
            self.selection.setText(f"{told} &nbsp;{names}{' …' if len(rows) > 6 else ''}")

    def _copy_names(self) -> None:
        if self._results is not None:
            names = [self._results.genes.name(row) for row in self._selected]
            QGuiApplication.clipboard().setText("\n".join(names))


def _heatmap(results: RunResults) -> tuple[Matrix, str]:
    at = {sample: number for number, sample in enumerate(results.samples)}
    order = [at[sample] for sample in results.heatmap_samples if sample in at]
    in_design = [name for name in results.factors if name in results.plan.design or name == results.colour_by]
    bars = {name: [results.factors[name][number] for number in order] for name in in_design[-3:]}
    matrix = Matrix(results.heatmap, results.heatmap_names, results.heatmap_samples, bars, unit="z-score")
    which = "lowest p" if results.has_test else "largest variation"
    summary = (
        f"{len(results.heatmap_names)} genes with the {which} by {len(results.heatmap_samples)} samples, "
        "each gene scaled to its own mean, like beside like."
    )
    return matrix, summary
