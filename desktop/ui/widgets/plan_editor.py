"""The plan as a form: every part with its reason beside it, each editable. Says what was asked, never checks it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from desktop.core.ports import IsolationWish
from desktop.studios.omics.schema import AnalysisKind, Contrast, OwnGeneSets, Plan, Reason, SampleTable
from desktop.ui import theme
from desktop.ui.widgets.gene_sets_button import GeneSetsButton
from desktop.ui.widgets.number_fields import AlphaField, FoldChangeField

_KINDS: dict[AnalysisKind, str] = {
    "differential_expression": "Differential expression",
    "pca": "Principal components",
    "clustering": "Clustering",
    "sample_qc": "Sample quality",
}
_ISOLATIONS: dict[IsolationWish, str] = {
    "auto": "The strongest there is",
    "docker": "Docker container",
    "os": "Operating system's sandbox",
    "process": "Limited process (reduced isolation)",
}
_BY_HAND = Reason(about="", text="Set by hand.", by="person")


class PlanEditor(QWidget):
    """`planEdited()` after every change by the person."""

    planEdited = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._plan = Plan.model_validate({})
        self._samples = SampleTable(samples=[])
        self._is_filling = False
        self._why: dict[str, QLabel] = {}
        self.kind = _combo("Kind of analysis")
        for key, title in _KINDS.items():
            self.kind.addItem(title, key)
        self.design = QLineEdit(placeholderText="~ batch + condition")
        self.design.setAccessibleName("Design formula")
        self.design.setFont(theme.fixed_font())
        self.factor = _combo("Factor compared")
        self.treated, self.control = _combo("Treated level"), _combo("Control level")
        self.swap = QPushButton("⇄ Swap", autoDefault=False)
        self.swap.setAccessibleName("Swap direction")
        self.swap.setToolTip("Compare the other way round: what was up is down")
        self.alpha = AlphaField("Adjusted p below")
        self.lfc = FoldChangeField("Fold change tested against")
        self.min_count = _number("Fewest reads of a gene over all samples", 0, 1_000_000)
        self.n_top = _number("Genes for the principal components", 2, 100_000)
        self.n_heatmap = _number("Genes in the heatmap", 2, 2_000)
        self.keep = QToolButton(popupMode=QToolButton.ToolButtonPopupMode.InstantPopup)
        self.keep.setAccessibleName("Samples kept")
        self.gene_sets = GeneSetsButton()
        self.block = _combo("Samples correlated within")
        self.block.setToolTip("Samples of one level count as correlated: for pairs of which some lack a partner")
        self.robust = QCheckBox("robust prior")
        self.robust.setToolTip("Let few genes that vary wildly not move the variance expected of the others")
        self.weigh = QCheckBox("weigh samples")
        self.weigh.setToolTip("Let samples that fit poorly count for less")
        self.isolation = _combo("Isolation of the run")
        for wish, title in _ISOLATIONS.items():
            self.isolation.addItem(title, wish)
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._form.setLabelAlignment(Qt.AlignmentFlag.AlignRight)
        self._form.setVerticalSpacing(7)
        self._add("Kind", ("kind",), self.kind)
        self._add("Design", ("design", "pairing", "batch"), self.design)
        contrast = _line(self.factor, self.treated, QLabel("over"), self.control, self.swap)
        self._add("Contrast", ("contrast", "direction"), contrast)
        thresholds = _line(QLabel("adjusted p <"), self.alpha, QLabel("  |log₂ fold change| >"), self.lfc)
        self._add("Changed means", ("alpha", "lfc_threshold"), thresholds)
        self._of_reads = (QLabel("at least"), self.min_count, QLabel("reads;"))
        genes = _line(*self._of_reads, QLabel("PCA"), self.n_top, QLabel("heatmap"), self.n_heatmap)
        self._add("Genes", ("min_total_count", "genes"), genes)
        self._add("Samples", ("subset", "keep"), self.keep)
        self._add("Gene sets", ("gene_sets",), self.gene_sets)
        self._variance = self._add(
            "Variance",
            ("block", "robust", "weigh_samples"),
            _line(QLabel("samples alike within"), self.block, self.robust, self.weigh),
        )
        self._add("Isolation", ("isolation",), self.isolation)
        self._listen()

    # ---- in and out ---------------------------------------------------------------------------------------------

    def set_plan(self, plan: Plan, samples: SampleTable) -> None:
        """Show a plan over these samples; does not signal."""
        self._plan, self._samples = plan, samples
        self._is_filling = True
        self.kind.setCurrentIndex(self.kind.findData(plan.kind))
        if self.design.text() != plan.design:
            self.design.setText(plan.design)
        self._fill_factors(plan.contrast)
        self.alpha.setValue(plan.alpha)
        self.lfc.setValue(plan.lfc_threshold)
        self.min_count.setValue(plan.min_total_count)
        for part in self._of_reads:
            part.setVisible(plan.values in ("counts", "expected_counts"))
        self.n_top.setValue(plan.n_top_genes)
        self.n_heatmap.setValue(plan.n_heatmap_genes)
        self._fill_keep()
        self.gene_sets.set_chosen(plan.gene_sets)
        _refill(self.block, ["", *self._samples.factors], plan.block)
        self.robust.setChecked(plan.robust)
        self.weigh.setChecked(plan.weigh_samples)
        self._form.setRowVisible(self._variance, plan.values in ("log_intensity", "linear_intensity"))
        self._show_reasons()
        self._is_filling = False

    def set_samples(self, samples: SampleTable) -> None:
        """The sample table was edited; the plan stays."""
        self.set_plan(self._plan, samples)

    def plan(self) -> Plan:
        """The plan as shown."""
        return self._plan

    def add_gene_sets(self, added: OwnGeneSets) -> None:
        """Test these as well, as if the person had chosen them."""
        if added not in self._plan.gene_sets:
            self._edit(("gene_sets",), gene_sets=[*self._plan.gene_sets, added])
            self.gene_sets.set_chosen(self._plan.gene_sets)

    def remove_gene_sets(self, name: str) -> None:
        """Test those of this name no longer."""
        left = [one for one in self._plan.gene_sets if one.name != name]
        if left != self._plan.gene_sets:
            self._edit(("gene_sets",), gene_sets=left)
            self.gene_sets.set_chosen(left)

    def isolation_wish(self) -> IsolationWish:
        """The isolation asked for."""
        wish: IsolationWish = self.isolation.currentData()
        return wish

    # ---- inside -------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        self.kind.currentIndexChanged.connect(lambda _at: self._edit(("kind",), kind=self.kind.currentData()))
        self.design.textEdited.connect(lambda text: self._edit(("design",), design=text.strip()))
        self.factor.currentIndexChanged.connect(self._on_factor)
        for box in (self.treated, self.control):
            box.currentIndexChanged.connect(self._on_levels)
        self.swap.clicked.connect(self._on_swap)
        self.alpha.valueChanged.connect(lambda value: self._edit(("alpha",), alpha=value))
        self.lfc.valueChanged.connect(lambda value: self._edit(("lfc_threshold",), lfc_threshold=value))
        self.min_count.valueChanged.connect(lambda value: self._edit(("min_total_count",), min_total_count=value))
        self.gene_sets.chosenChanged.connect(lambda chosen: self._edit(("gene_sets",), gene_sets=chosen))
        self.block.currentIndexChanged.connect(lambda _at: self._edit(("block",), block=self.block.currentText()))
        self.weigh.toggled.connect(lambda on: self._edit(("weigh_samples",), weigh_samples=on))
        self.robust.toggled.connect(lambda on: self._edit(("robust",), robust=on))
        self.n_top.valueChanged.connect(lambda value: self._edit((), n_top_genes=value))
        self.n_heatmap.valueChanged.connect(lambda value: self._edit((), n_heatmap_genes=value))

    def _edit(self, about: tuple[str, ...], **parts: object) -> None:
        if self._is_filling:
            return
        reasons = [reason for reason in self._plan.reasons if reason.about not in about]
        reasons += [_BY_HAND.model_copy(update={"about": key}) for key in about[:1]]
        self._plan = self._plan.model_copy(update={**parts, "reasons": reasons})
        self._show_reasons()
        self.planEdited.emit()

    def _on_factor(self) -> None:
        if self._is_filling or not self.factor.currentText():
            return
        levels = self._levels(self.factor.currentText())
        if len(levels) < 2:
            return
        contrast = Contrast(factor=self.factor.currentText(), treated=levels[1], control=levels[0])
        self._edit(("contrast", "direction"), contrast=contrast)
        self._refill(self._plan.contrast)

    def _on_levels(self) -> None:
        if self._is_filling or not self.treated.currentText() or not self.control.currentText():
            return
        contrast = Contrast(
            factor=self.factor.currentText(), treated=self.treated.currentText(), control=self.control.currentText()
        )
        self._edit(("contrast", "direction"), contrast=contrast)

    def _on_swap(self) -> None:
        now = self._plan.contrast
        if now is not None:
            swapped = Contrast(factor=now.factor, treated=now.control, control=now.treated)
            self._edit(("direction",), contrast=swapped)
            self._refill(swapped)

    def _refill(self, contrast: Contrast | None) -> None:
        self._is_filling = True
        self._fill_factors(contrast)
        self._is_filling = False

    def _levels(self, factor: str) -> list[str]:
        if factor in self._samples.factors:
            return list(self._samples.levels(factor))
        parts = factor.split(":")  # an interaction: levels are combinations, as the plan writes them
        if len(parts) < 2 or any(part not in self._samples.factors for part in parts):
            return []
        rows = zip(*(self._samples.factors[part] for part in parts), strict=True)
        return list(dict.fromkeys(":".join(row) for row in rows))

    def _fill_factors(self, contrast: Contrast | None) -> None:
        names = list(self._samples.factors)
        if contrast is not None and contrast.factor not in names:
            names.append(contrast.factor)
        _refill(self.factor, names, contrast.factor if contrast else "")
        levels = self._levels(contrast.factor) if contrast else []
        for box, level in ((self.treated, contrast.treated if contrast else ""),
                           (self.control, contrast.control if contrast else "")):  # fmt: skip
            _refill(box, levels if not level or level in levels else [*levels, level], level)
        controls: tuple[QWidget, ...] = (self.treated, self.control, self.swap)
        for control in controls:
            control.setEnabled(contrast is not None)

    def _fill_keep(self) -> None:
        menu = QMenu(self.keep)
        for factor in self._samples.factors:
            levels = self._samples.levels(factor)
            if not 2 <= len(levels) <= 40:
                continue
            part = menu.addMenu(factor)
            for level, number in levels.items():
                action = part.addAction(f"{level or '(empty)'}  ({number})")
                action.setCheckable(True)
                action.setChecked(factor not in self._plan.keep or level in self._plan.keep[factor])
                action.toggled.connect(lambda on, f=factor, one=level: self._on_keep(f, one, on=on))
        self.keep.setMenu(menu)
        self._name_keep()

    def _on_keep(self, factor: str, level: str, *, on: bool) -> None:
        every = list(self._samples.levels(factor))
        kept = [one for one in self._plan.keep.get(factor, every) if one != level]
        kept = [one for one in every if one in kept or (on and one == level)]
        keep = {name: levels for name, levels in self._plan.keep.items() if name != factor}
        if kept != every:
            keep[factor] = kept
        self._edit(("subset",), keep=keep)
        self._name_keep()

    def _name_keep(self) -> None:
        kept = "; ".join(f"{name}: {', '.join(levels) or 'none'}" for name, levels in self._plan.keep.items())
        self.keep.setText(kept if kept else "All samples")

    def _add(self, title: str, about: tuple[str, ...], field: QWidget | QHBoxLayout) -> QVBoxLayout:
        why = QLabel(wordWrap=True)
        why.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        why.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        why.hide()
        for key in about:
            self._why[key] = why
        column = QVBoxLayout()
        column.setSpacing(1)
        if isinstance(field, QWidget):
            column.addWidget(field)
        else:
            column.addLayout(field)
        column.addWidget(why)
        self._form.addRow(title, column)
        return column

    def _show_reasons(self) -> None:
        texts: dict[QLabel, list[str]] = {label: [] for label in self._why.values()}
        for reason in self._plan.reasons:
            if reason.about in self._why:
                texts[self._why[reason.about]].append(reason.text)
        for label, lines in texts.items():
            label.setText(" ".join(dict.fromkeys(lines)))
            label.setVisible(bool(lines))


def _line(*parts: QWidget) -> QHBoxLayout:
    line = QHBoxLayout()
    line.setSpacing(theme.GAP)
    for part in parts:
        line.addWidget(part)
    line.addStretch()
    return line


def _combo(name: str) -> QComboBox:
    box = QComboBox()
    box.setAccessibleName(name)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
    box.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
    return box


def _number(name: str, low: int, high: int) -> QSpinBox:
    box = QSpinBox()
    box.setAccessibleName(name)
    box.setRange(low, high)
    box.setGroupSeparatorShown(True)
    box.setKeyboardTracking(False)
    return box


def _refill(box: QComboBox, items: list[str], current: str) -> None:
    box.clear()
    box.addItems(items)
    box.setCurrentIndex(box.findText(current, Qt.MatchFlag.MatchExactly))
