"""The results of a run: headline, thresholds, tabs, and the folds for code, log and validation.

A tab is built when it is first looked at, so that a result of 60,000 genes is on the screen in one frame. One set of
selected rows and one pair of thresholds hold for all tabs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QGuiApplication, QPalette
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QTabWidget,
    QTextBrowser,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from desktop.ui import theme
from desktop.ui.itemmodels.gene_results import format_p
from desktop.ui.itemmodels.run_results import RunResults
from desktop.ui.panels.analyze_quality import QualityTab
from desktop.ui.widgets.code_view import CodeView, LogView
from desktop.ui.widgets.file_chip import FileChip
from desktop.ui.widgets.gene_table import GeneTable
from desktop.ui.widgets.number_fields import AlphaField, FoldChangeField
from desktop.ui.widgets.plots.figure import Figure
from desktop.ui.widgets.plots.gene_plot import UP, classify
from desktop.ui.widgets.plots.heatmap import HeatmapFigure, Matrix
from desktop.ui.widgets.plots.ma import MAPlot
from desktop.ui.widgets.plots.pca import PCAPlot
from desktop.ui.widgets.plots.volcano import VolcanoPlot
from desktop.ui.widgets.report_view import ReportView

TABS = ("Volcano", "MA", "PCA", "Heatmap", "Table", "QC", "Report")
_TESTED_ONLY = ("Volcano", "MA")
FOLDS = ("Code", "Log", "Validation")


class ResultsView(QWidget):
    """`exportRequested()`: the shown genes as CSV. `compareRequested()`: with another run. `planRequested()`: back."""

    exportRequested = Signal()
    compareRequested = Signal()
    planRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._results: RunResults | None = None
        self._alpha, self._lfc = 0.05, 0.0
        self._selected: list[int] = []
        self._built: dict[str, QWidget] = {}
        self._filled: set[str] = set()
        self._build_header()
        self._build_thresholds()
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.setAccessibleName("Results")
        self.tabs.currentChanged.connect(lambda _at: self._fill_current())
        self.selection = QLabel(textFormat=Qt.TextFormat.RichText)
        self.selection.setAccessibleName("Selected genes")
        self.selection.setMinimumWidth(10)
        self.selection.setContentsMargins(theme.MARGIN, 3, theme.MARGIN, 3)
        self._build_folds()
        self._splitter = QSplitter(Qt.Orientation.Vertical)
        self._splitter.addWidget(self.tabs)
        self._splitter.addWidget(self._fold_pages)
        self._splitter.setStretchFactor(0, 3)
        self._splitter.setStretchFactor(1, 2)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(self._header)
        column.addWidget(self._strip)
        column.addWidget(self._splitter, 1)
        foot = QHBoxLayout()
        foot.setContentsMargins(theme.GAP, 2, theme.GAP, 2)
        for button in self.folds.values():
            foot.addWidget(button)
        foot.addWidget(self.selection, 1)
        foot.addWidget(self.copy_names)
        column.addLayout(foot)

    # ---- what the panel asks ------------------------------------------------------------------------------------

    def set_results(self, results: RunResults, log: Sequence[str] = ()) -> None:
        """Show a run and the lines it logged."""
        self._results = results
        self._selected = []
        self._filled.clear()
        self._alpha, self._lfc = results.plan.alpha, results.plan.lfc_threshold
        self._show_header(results)
        current = self.current_tab()
        self.tabs.blockSignals(True)
        for name in TABS:
            if name not in self._built:
                page = QStackedWidget()
                self._built[name] = page
                self.tabs.addTab(page, name)
            self.tabs.setTabVisible(TABS.index(name), results.has_test or name not in _TESTED_ONLY)
        wanted = current if current and (results.has_test or current not in _TESTED_ONLY) else ""
        self.show_tab(wanted or ("Volcano" if results.has_test else "PCA"))
        self.tabs.blockSignals(False)
        self._strip.setVisible(results.has_test)
        self.code.set_code(results.code, results.findings)
        self.log.set_lines(log)
        self._validation.setHtml(_validation_html(results))
        self._show_thresholds()
        self._show_selection()
        self._fill_current()

    @property
    def results(self) -> RunResults | None:
        return self._results

    def current_tab(self) -> str:
        """The name of the tab in front, "" before there are any."""
        return TABS[self.tabs.currentIndex()] if self.tabs.count() else ""

    def show_tab(self, name: str) -> None:
        """Bring a tab to the front."""
        if name in TABS and self.tabs.count():
            self.tabs.setCurrentIndex(TABS.index(name))

    def page(self, name: str) -> QWidget | None:
        """What a tab shows, once it has been looked at."""
        page = self._built.get(name)
        return page.currentWidget() if isinstance(page, QStackedWidget) else None

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
        elif isinstance(page, GeneTable):
            page.view.copy()

    def find_genes(self) -> None:
        """Go to the filter box."""
        self.show_tab("Table")
        if isinstance(table := self.page("Table"), GeneTable):
            table.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
            table.search.selectAll()

    def open_fold(self, name: str) -> None:
        """Show or hide code, log or validation."""
        self.folds[name].click()

    # ---- tabs ---------------------------------------------------------------------------------------------------

    def _fill_current(self) -> None:
        if self._results is not None and (name := self.current_tab()):
            self._ensure(name)

    def _ensure(self, name: str) -> QWidget | None:
        if self._results is None:
            return None
        page = self._built[name]
        assert isinstance(page, QStackedWidget)
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
        if name in ("Volcano", "MA"):
            plot = VolcanoPlot() if name == "Volcano" else MAPlot()
            plot.rowClicked.connect(self._on_point)
            if isinstance(plot, VolcanoPlot):
                plot.thresholdsChanged.connect(self._on_dragged)
            return plot
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
                widget.set_results(columns["base_mean"], columns["log2_fold_change"], columns["padj"])
            case PCAPlot():
                widget.set_results(
                    results.pca_scores, results.samples, results.pca_frac, results.factors, results.colour_by
                )
            case HeatmapFigure():
                widget.set_matrix(*_heatmap(results))
            case GeneTable():
                widget.set_results(genes)
            case QualityTab():
                widget.set_results(results)
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

    def _on_fields(self) -> None:
        self.set_thresholds(self.alpha.value(), self.lfc.value())

    def _on_reset(self) -> None:
        if self._results is not None:
            self.set_thresholds(self._results.plan.alpha, self._results.plan.lfc_threshold)

    def _kinds(self) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        assert self._results is not None
        columns = self._results.genes.columns
        return classify(columns["log2_fold_change"], columns["padj"], self._alpha, self._lfc)

    def _show_thresholds(self) -> None:
        for field, value in ((self.alpha, self._alpha), (self.lfc, self._lfc)):
            field.blockSignals(True)
            field.setValue(value)
            field.blockSignals(False)
        if self._results is None or not self._results.has_test:
            return
        plan = self._results.plan
        kinds = self._kinds()
        up, changed = int(np.count_nonzero(kinds == UP)), int(np.count_nonzero(kinds))
        is_own = (self._alpha, self._lfc) == (plan.alpha, plan.lfc_threshold)
        note = "" if is_own else "  (not the run’s own)"
        self.live.setText(f"{changed:,} genes: {up:,} up, {changed - up:,} down{note}")
        self.reset.setEnabled(not is_own)

    def _describe(self, row: int) -> str:
        """A gene as rich text."""
        assert self._results is not None
        genes = self._results.genes
        columns = genes.columns
        symbol, gene = genes.gene_symbols[row], genes.gene_ids[row]
        head = f"<b>{escape(symbol or gene)}</b>" + (f" &nbsp;{escape(gene)}" if symbol else "")
        padj = genes.reason(row) or format_p(float(columns["padj"][row]))
        return (
            f"{head}<br>log₂ FC {columns['log2_fold_change'][row]:+.2f} &nbsp; adjusted p {escape(padj)}"
            f"<br>mean {columns['base_mean'][row]:,.1f}"
        ).replace("-", "−")

    def _show_selection(self) -> None:
        results, rows = self._results, self._selected
        self.copy_names.setVisible(bool(rows))
        if results is None or not rows:
            self.selection.setText("")
        elif len(rows) == 1:
            self.selection.setText(self._describe(rows[0]).replace("<br>", " &nbsp;·&nbsp; "))
        else:
            names = ", ".join(escape(results.genes.name(row)) for row in rows[:6])
            self.selection.setText(f"<b>{len(rows):,} genes</b> &nbsp;{names}{' …' if len(rows) > 6 else ''}")

    def _copy_names(self) -> None:
        if self._results is not None:
            names = [self._results.genes.name(row) for row in self._selected]
            QGuiApplication.clipboard().setText("\n".join(names))

    # ---- parts --------------------------------------------------------------------------------------------------

    def _build_header(self) -> None:
        self.headline = QLabel(wordWrap=True, textInteractionFlags=Qt.TextInteractionFlag.TextSelectableByMouse)
        self.headline.setFont(theme.scaled(self.font(), 1.2, bold=True))
        self.headline.setAccessibleName("Answer")
        self.numbers = QLabel(textFormat=Qt.TextFormat.RichText)
        self.numbers.setAccessibleName("Answer in numbers")
        self.reduced = QLabel("⚠ reduced isolation")
        self.reduced.setToolTip("This run was only a limited process. See Validation.")
        self.files = FileChip()
        self.back = _button("Plan…", "Change the plan and run again", self.planRequested.emit)
        self.compare = _button("Compare with…", "Compare this run with another", self.compareRequested.emit)
        below = QHBoxLayout()
        below.setSpacing(theme.GAP)
        below.addWidget(self.numbers, 1)
        for widget in (self.reduced, self.back, self.compare, self.files):
            below.addWidget(widget)
        self._header = QVBoxLayout()
        self._header.setContentsMargins(theme.MARGIN, theme.GAP, theme.MARGIN, 4)
        self._header.setSpacing(4)
        self._header.addWidget(self.headline)
        self._header.addLayout(below)

    def _build_thresholds(self) -> None:
        self._strip = QFrame()
        self.alpha, self.lfc = AlphaField("Adjusted p below"), FoldChangeField("Fold change at least")
        self.alpha.valueChanged.connect(lambda _value: self._on_fields())
        self.lfc.valueChanged.connect(lambda _value: self._on_fields())
        self.live = QLabel()
        self.live.setAccessibleName("Genes beyond the thresholds")
        self.live.setMinimumWidth(10)
        self.reset = _button("Reset", "Back to the thresholds of the run", self._on_reset)
        row = QHBoxLayout(self._strip)
        row.setContentsMargins(theme.MARGIN, 2, theme.MARGIN, 4)
        for widget in (QLabel("Show adjusted p <"), self.alpha, QLabel("|log₂ FC| ≥"), self.lfc, self.reset):
            row.addWidget(widget)
        row.addWidget(self.live, 1)

    def _build_folds(self) -> None:
        self.code, self.log = CodeView(), LogView()
        self._validation = QTextBrowser()
        self._validation.setOpenLinks(False)
        self._validation.setAccessibleName("Validation")
        self._fold_pages = QStackedWidget()
        self.folds: dict[str, QToolButton] = {}
        for name, page in zip(FOLDS, (self.code, self.log, self._validation), strict=True):
            self._fold_pages.addWidget(page)
            button = QToolButton(autoRaise=True)
            button.setCheckable(True)
            button.setText(name)
            button.setArrowType(Qt.ArrowType.RightArrow)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.setAccessibleName(f"{name} of this run")
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(lambda on, name=name: self._on_fold(name, on=on))
            self.folds[name] = button
        self._fold_pages.hide()
        self.copy_names = _button("Copy Names", "Copy the names of the selected genes", self._copy_names)
        self.copy_names.hide()

    def _on_fold(self, name: str, *, on: bool) -> None:
        for other, button in self.folds.items():
            button.setChecked(on and other == name)
            arrow = Qt.ArrowType.DownArrow if button.isChecked() else Qt.ArrowType.RightArrow
            button.setArrowType(arrow)
        self._fold_pages.setCurrentIndex(FOLDS.index(name))
        self._fold_pages.setVisible(on)

    def _show_header(self, results: RunResults) -> None:
        self.headline.setText(results.headline or results.plan.question or "Result")
        if results.counts is None:
            self.numbers.setText(f"{len(results.samples)} samples · {len(results.genes.gene_ids):,} genes")
        else:
            words = ("tested", "significant", "up", "down")
            pairs = zip(results.counts, words, strict=True)
            self.numbers.setText(" &nbsp;·&nbsp; ".join(f"<b>{number:,}</b> {word}" for number, word in pairs))
        self.reduced.setVisible(results.is_reduced)
        amber = QPalette(self.palette())
        amber.setColor(QPalette.ColorRole.WindowText, QColor("#e6b450" if theme.is_dark(self.palette()) else "#8f5a00"))
        self.reduced.setPalette(amber)
        self.files.set_path(results.out_dir)


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


def _validation_html(results: RunResults) -> str:
    reduced = " <b>Reduced isolation.</b> Only scripts of our own templates run this way." if results.is_reduced else ""
    parts = [
        f"<p><b>Policy</b> &nbsp;{escape(results.validation)}</p>",
        f"<p><b>Isolation</b> &nbsp;{escape(results.isolation)}.{reduced}</p>",
    ]
    parts += [
        f"<p>Line {finding.line}: {escape(finding.message)} <i>{escape(finding.remedy)}</i></p>"
        for finding in results.findings
    ]
    if results.cautions:
        items = "".join(f"<li>{escape(text)}</li>" for text in results.cautions)
        parts.append(f"<p><b>Cautions</b></p><ul>{items}</ul>")
    if results.timings:
        times = " · ".join(f"{escape(step)} {seconds:.1f} s" for step, seconds in results.timings.items())
        parts.append(f"<p><b>Time</b> &nbsp;{times}</p>")
    return "".join(parts)


def _button(text: str, tip: str, act: Callable[[], object]) -> QPushButton:
    button = QPushButton(text, autoDefault=False)
    button.setToolTip(tip)
    button.clicked.connect(lambda _checked=False: act())
    return button
