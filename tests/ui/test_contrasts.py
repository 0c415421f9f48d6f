"""Several contrasts in the window: put together in the plan, then looked at one by one in the results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from desktop.studios.omics.schema import Contrast, Plan, SampleTable
from desktop.ui.frame import Frame
from desktop.ui.itemmodels.plan_review import review_plan
from desktop.ui.panels.analyze import AnalyzePanel
from desktop.ui.panels.analyze_exports import write_genes
from desktop.ui.panels.analyze_gene_sets import GeneSetsTab
from desktop.ui.panels.analyze_results import ResultsView
from desktop.ui.widgets.gene_table import GeneTable
from desktop.ui.widgets.plan_editor import PlanEditor
from tests.stand_ins.finished_run import finished_run
from tests.ui.conftest import Run, until

TABLE = SampleTable(
    samples=[f"s{k}" for k in range(12)],
    factors={
        "drug": ["ctrl", "A", "B"] * 4,
        "sex": ["F"] * 6 + ["M"] * 6,
        "age": [str(30 + 3 * k) for k in range(12)],
    },
)
A, B = (Contrast(factor="drug", treated=level, control="ctrl") for level in "AB")


def plan(*contrasts: Contrast, design: str = "~ sex + drug", **parts: Any) -> Plan:
    return Plan(design=design, contrast=contrasts[0], other_contrasts=list(contrasts[1:]), **parts)


@pytest.fixture
def editor(qtbot: QtBot) -> PlanEditor:
    made = PlanEditor()
    qtbot.addWidget(made)
    made.show()
    made.set_plan(plan(A), TABLE)
    made.contrasts.set_measured(["age"])
    return made


def test_a_contrast_is_added_chosen_edited_and_removed(qtbot: QtBot, editor: PlanEditor) -> None:
    shown = editor.contrasts
    assert not shown.list.isVisible()
    with qtbot.waitSignal(editor.planEdited):
        shown.add.click()
    assert editor.plan().contrasts == (A, B)
    assert shown.list.isVisible()
    assert (shown.list.currentRow(), shown.treated.currentText()) == (1, "B")
    shown.control.setCurrentText("A")
    shown.within.setCurrentText("sex: F")
    within = Contrast(factor="drug", treated="B", control="A", within={"sex": "F"})
    assert editor.plan().contrasts == (A, within)
    assert editor.plan().design == "~ sex + drug + sex:drug", "the design lets the effect differ between the sexes"
    assert review_plan(editor.plan(), TABLE).fault is None
    shown.list.setCurrentRow(0)
    assert (shown.treated.currentText(), shown.within.currentText()) == ("A", "no level of its own")
    shown.remove.click()
    assert editor.plan().contrasts == (within,)
    assert not shown.remove.isVisible()


def test_a_slope_and_an_interaction_are_chosen_like_any_factor(editor: PlanEditor) -> None:
    shown = editor.contrasts
    shown.factor.setCurrentText("age")
    assert editor.plan().contrast == Contrast(factor="age")
    assert shown.treated.currentText() == "per unit"
    assert not shown.control.isVisible()
    shown.treated.setCurrentText("63")
    assert editor.plan().contrast == Contrast(factor="age", treated="63", control="30")
    shown.treated.setCurrentText("per unit")
    assert editor.plan().contrast == Contrast(factor="age")
    shown.factor.setCurrentText("sex × age")
    assert editor.plan().contrast == Contrast(factor="sex:age", treated="M:", control="F:")
    assert editor.plan().design == "~ sex + drug + sex:age"
    assert shown.treated.currentText() == "M, per unit"
    shown.factor.setCurrentText("drug × sex")
    shown.treated.setCurrentText("A, M")
    assert editor.plan().contrast == Contrast(factor="drug:sex", treated="A:M", control="ctrl:F")
    assert review_plan(editor.plan(), TABLE).fault is None


def test_a_test_of_all_levels_is_given_up_where_another_contrast_begins(editor: PlanEditor) -> None:
    editor.set_plan(plan(B, reduced="~ sex"), TABLE)
    assert editor.whole.isVisible()
    editor.whole.setChecked(False)
    assert editor.plan().reduced == ""
    editor.whole.setChecked(True)
    assert editor.plan().reduced == "~ sex"
    editor.contrasts.treated.setCurrentText("A")
    assert editor.plan().reduced == "~ sex", "the same levels are tested, another fold change is reported"
    editor.contrasts.factor.setCurrentText("sex")
    assert (editor.plan().reduced, editor.whole.isChecked()) == ("", False)
    editor.set_plan(plan(B, reduced="~ sex"), TABLE)
    editor.contrasts.add.click()
    assert editor.plan().reduced == ""
    assert review_plan(editor.plan(), TABLE).fault is None


def test_measurements_are_read_as_numbers_and_never_counted_as_labels() -> None:
    slope = Contrast(factor="age", within={"sex": "F"})
    review = review_plan(plan(slope, design="~ drug + sex + age + sex:age"), TABLE)
    assert review.fault is None
    assert review.factors == ("drug", "sex")
    assert sum(review.counts.values()) == 12
    assert "rise or fall steadily with age" in review.reading
    assert "the change with age may differ between levels of sex" in review.reading
    assert "age is taken as a number, from 30 to 63 (12 values)." in review.reading
    assert "log2 fold change per unit of age, in sex F" in review.reading
    assert review.measured == ("age",)
    several = review_plan(plan(A, B, keep={"sex": ["F"]}, design="~ drug"), TABLE)
    assert sum(several.counts.values()) == 6, "samples that the plan leaves out are not counted"
    assert "1. A against ctrl (drug)" in several.reading
    assert "2. B against ctrl (drug)" in several.reading


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    fold = np.ones((12, 200))
    fold[1::3, :30] = 6
    fold[2::3, 30:90] = 6
    reads = rng.negative_binomial(8, 8 / (8 + rng.lognormal(4.5, 1.2, 200) * fold))
    return finished_run(tmp_path / "run", reads, TABLE, plan(A, B, question="A, B?"))


@pytest.mark.slow
def test_the_results_follow_the_contrast_that_is_chosen(
    folder: Path, frame: Frame, run: Run[Any], tmp_path: Path
) -> None:
    async def scenario() -> None:
        panel = frame.show_section("analyze")
        assert isinstance(panel, AnalyzePanel)
        panel.open_run(str(folder))
        await until(lambda: panel.results, "the results")
        view = panel.results
        assert isinstance(view, ResultsView)
        shown = view.header.contrasts
        assert [shown.itemText(at) for at in range(shown.count())] == [
            "1  ·  A against ctrl (drug)",
            "2  ·  B against ctrl (drug)",
        ]
        first = view.results
        assert first is not None
        assert "lower in A than in ctrl" in view.header.headline.text()
        view.show_tab("Gene sets")
        view.show_tab("Table")
        view.set_thresholds(0.01, 1.0)
        gene = first.genes.gene_ids[0]
        view.select_rows([0])
        shown.setCurrentIndex(1)
        shown.activated.emit(1)
        await until(lambda: view.results is not None and view.results.number == 1, "the second contrast")
        second = view.results
        assert second is not None
        assert second.counts is not None
        assert first.counts is not None
        assert second.counts[1] > first.counts[1]
        assert "lower in B than in ctrl" in view.header.headline.text()
        assert view.current_tab() == "Table"
        assert [second.genes.gene_ids[row] for row in view.selected_rows()] == [gene]
        assert (view.strip.alpha.value(), view.strip.lfc.value()) == (0.01, 1.0)
        table = view.page("Table")
        assert isinstance(table, GeneTable)
        keys, rows = view.shown_genes()
        assert panel.exports._run is second
        write_genes(tmp_path / "genes.csv", second, keys, rows)
        assert (tmp_path / "genes.csv").read_text().count("\n") == 201
        view.show_tab("Gene sets")
        sets = view.page("Gene sets")
        assert isinstance(sets, GeneSetsTab)
        view.show_tab("QC")
        view.show_tab("Heatmap")
        shown.activated.emit(0)
        await until(lambda: view.results is not None and view.results.number == 0, "the first contrast again")
        assert view.results is not None
        assert view.results.headline == first.headline

    run(scenario())
