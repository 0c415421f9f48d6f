"""The plan as a form: every part with its reason beside it, each editable. Says what was asked, never checks it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QBoxLayout,
    QCheckBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QSizePolicy,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from desktop.core.ports import IsolationWish
from desktop.studios.omics.schema import AnalysisKind, Contrast, OwnGeneSets, Plan, Reason, SampleTable
from desktop.ui import theme
from desktop.ui.widgets.contrast_editor import ContrastEditor, combo, line, with_products
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
        self._reduced = self._reduced_of = ""  # the reduced design, also while it is not asked for; and its full one
        self.kind = combo("Kind of analysis")
        for key, title in _KINDS.items():
            self.kind.addItem(title, key)
        self.design = QLineEdit(placeholderText="~ batch + condition")
        self.design.setAccessibleName("Design formula")
        self.design.setFont(theme.fixed_font())
        self.contrasts = ContrastEditor()
        self.whole = QCheckBox("test all levels at once (likelihood-ratio or F test)")
        self.whole.setToolTip("Whether anything differs between the levels; the contrast is only reported")
        self.alpha = AlphaField("Adjusted p below")
        self.lfc = FoldChangeField("Fold change tested against")
        self.min_count = _number("Fewest reads of a gene over all samples", 0, 1_000_000)
        self.n_top = _number("Genes for the principal components", 2, 100_000)
        self.n_heatmap = _number("Genes in the heatmap", 2, 2_000)
        self.keep = QToolButton(popupMode=QToolButton.ToolButtonPopupMode.InstantPopup)
        self.keep.setAccessibleName("Samples kept")
        self.collapse = combo("Column that names the sample of each run")
        self.collapse.setToolTip("Reads of columns with the same value are added up: runs of one sample")
        self.lengths = QCheckBox("allow for lengths of genes that differ between samples")
        self.lengths.setToolTip("As tximport: for whole transcripts, not for kits that read one end of each")
        self.gene_sets = GeneSetsButton()
        self.block = combo("Samples correlated within")
        self.block.setToolTip("Samples of one level count as correlated: for pairs of which some lack a partner")
        self.robust = QCheckBox("robust prior")
        self.robust.setToolTip("Let few genes that vary wildly not move the variance expected of the others")
        self.weigh = QCheckBox("weigh samples")
        self.weigh.setToolTip("Let samples that fit poorly count for less")
        self.isolation = combo("Isolation of the run")
        for wish, title in _ISOLATIONS.items():
            self.isolation.addItem(title, wish)
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._form.setLabelAlignment(Qt.AlignmentFlag.AlignRight)
        self._form.setVerticalSpacing(7)
        self._add("Kind", ("kind",), self.kind)
        self._add("Design", ("design", "pairing", "batch"), self.design)
        contrast = QVBoxLayout()
        contrast.addWidget(self.contrasts)
        contrast.addWidget(self.whole)
        self._add("Contrast", ("contrast", "direction"), contrast)
        thresholds = line(QLabel("adjusted p <"), self.alpha, QLabel("  |log₂ fold change| >"), self.lfc)
        self._add("Changed means", ("alpha", "lfc_threshold"), thresholds)
        self._of_reads = (QLabel("at least"), self.min_count, QLabel("reads;"))
        genes = line(*self._of_reads, QLabel("PCA"), self.n_top, QLabel("heatmap"), self.n_heatmap)
        self._add("Genes", ("min_total_count", "genes"), genes)
        self._add("Samples", ("subset", "keep"), self.keep)
        self._runs = self._add("Runs", ("collapse",), line(QLabel("added up by"), self.collapse))
        self._lengths = self._add("Lengths", ("lengths",), self.lengths)
        self._add("Gene sets", ("gene_sets",), self.gene_sets)
        self._variance = self._add(
            "Variance",
            ("block", "robust", "weigh_samples"),
            line(QLabel("samples alike within"), self.block, self.robust, self.weigh),
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
        self.contrasts.set_contrasts(plan.contrasts, samples)
        self._reduced = plan.reduced or (self._reduced if plan.design == self._reduced_of else "")
        self._reduced_of = plan.design
        self.whole.setChecked(bool(plan.reduced))
        self.whole.setVisible(bool(self._reduced))
        self.alpha.setValue(plan.alpha)
        self.lfc.setValue(plan.lfc_threshold)
        self.min_count.setValue(plan.min_total_count)
        for part in self._of_reads:
            part.setVisible(plan.values in ("counts", "expected_counts"))
        self.n_top.setValue(plan.n_top_genes)
        self.n_heatmap.setValue(plan.n_heatmap_genes)
        self._fill_keep()
        self.gene_sets.set_chosen(plan.gene_sets)
        choices = ((self.collapse, filter(self._repeats, self._samples.factors), plan.collapse),
                   (self.block, self._samples.factors, plan.block))  # fmt: skip
        for box, names, chosen in choices:
            box.clear()
            box.addItems(["", *names])
            box.setCurrentIndex(box.findText(chosen, Qt.MatchFlag.MatchExactly))
        are_reads = plan.values in ("counts", "expected_counts")
        self.lengths.setChecked(plan.lengths)
        self._form.setRowVisible(self._lengths, any(reason.about == "lengths" for reason in plan.reasons))
        self._form.setRowVisible(self._runs, are_reads and self.collapse.count() > 1)
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
        self.contrasts.contrastsEdited.connect(self._on_contrasts)
        self.whole.toggled.connect(lambda on: self._edit(("test",), reduced=self._reduced if on else ""))
        self.alpha.valueChanged.connect(lambda value: self._edit(("alpha",), alpha=value))
        self.lfc.valueChanged.connect(lambda value: self._edit(("lfc_threshold",), lfc_threshold=value))
        self.min_count.valueChanged.connect(lambda value: self._edit(("min_total_count",), min_total_count=value))
        self.gene_sets.chosenChanged.connect(lambda chosen: self._edit(("gene_sets",), gene_sets=chosen))
        self.block.currentIndexChanged.connect(lambda _at: self._edit(("block",), block=self.block.currentText()))
        self.collapse.currentIndexChanged.connect(
            lambda _at: self._edit(("collapse",), collapse=self.collapse.currentText())
        )
        self.lengths.toggled.connect(lambda on: self._edit(("lengths",), lengths=on))
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

    def _on_contrasts(self, contrasts: tuple[Contrast, ...]) -> None:
        before, design = self._plan.contrasts, with_products(self._plan.design, contrasts)
        is_whole = len(contrasts) == 1 == len(before) and contrasts[0].factor == before[0].factor
        turned = [{**one.model_dump(), "treated": one.control, "control": one.treated} for one in before]
        is_turned = len(before) == len(contrasts) and all(
            new in (old, Contrast(**other)) for new, old, other in zip(contrasts, before, turned, strict=True)
        )
        parts = {"contrast": contrasts[0], "other_contrasts": list(contrasts[1:]), "design": design}
        self._is_filling = True
        self.design.setText(design)
        self.whole.setChecked(bool(self._plan.reduced) and is_whole)
        self._is_filling = False
        about = ("direction",) if is_turned else ("contrast", "direction")
        self._edit(about, **parts, reduced=self._plan.reduced if is_whole else "")

    def _repeats(self, factor: str) -> bool:
        """Some samples share a value, but few to a value, and it is not compared: it may name the samples of runs."""
        n_levels, n_samples = len(self._samples.levels(factor)), len(self._samples.samples)
        is_named = any(factor in one.factors for one in self._plan.contrasts) or factor in self._plan.design
        return factor == self._plan.collapse or (n_samples / 4 <= n_levels < n_samples and not is_named)

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

    def _add(self, title: str, about: tuple[str, ...], field: QWidget | QBoxLayout) -> QVBoxLayout:
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


def _number(name: str, low: int, high: int) -> QSpinBox:
    box = QSpinBox()
    box.setAccessibleName(name)
    box.setRange(low, high)
    box.setGroupSeparatorShown(True)
    box.setKeyboardTracking(False)
    return box
