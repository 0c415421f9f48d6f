"""Gene sets of the person's own in the window: dropped, chosen, in the plan, removed; a bad file is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytestqt.qtbot import QtBot

from desktop.studios.omics.schema import Contrast, OwnGeneSets, Plan, SampleTable
from desktop.ui.frame import Frame
from desktop.ui.panels.analyze import AnalyzePanel
from desktop.ui.widgets.gene_sets_button import GeneSetsButton
from desktop.ui.widgets.plan_editor import PlanEditor
from tests.ui.conftest import Run, until

SAMPLES = SampleTable(samples=["a", "b", "c", "d"], factors={"arm": ["x", "x", "y", "y"], "donor": list("1212")})
PLAN = Plan(design="~ arm", contrast=Contrast(factor="arm", treated="y", control="x"))


def names_of(button: GeneSetsButton) -> list[str]:
    return [action.text() for action in button.menu().actions() if action.isCheckable()]


def test_a_dropped_file_is_kept_and_goes_into_the_plan(frame: Frame, run: Run[Any], tmp_path: Path) -> None:
    async def scenario() -> None:
        panel = frame.show_section("analyze")
        assert isinstance(panel, AnalyzePanel)
        panel.setup.plan.set_plan(PLAN, SAMPLES)
        told: list[str] = []
        panel.noticed.connect(lambda notice: told.append(notice.text))
        file = tmp_path / "mine.gmt"
        file.write_text("SET\tna\tTP53\tACTB\n")
        frame.open_data(str(file))
        await until(lambda: told, "the notice")
        assert told == ["Gene sets added: mine."]
        editor = panel.setup.plan
        assert [one.name for one in editor.plan().gene_sets] == ["mine"]
        assert names_of(editor.gene_sets) == ["mine"]
        assert "mine" in editor.gene_sets.text()
        bad = tmp_path / "bad.gmt"
        bad.write_text("no tabs here\n")
        frame.open_data(str(bad))
        await until(lambda: len(told) == 2, "the fault")
        assert "has no tabs" in told[1]
        editor.gene_sets.removeRequested.emit("mine")
        await until(lambda: not names_of(editor.gene_sets), "the removal")
        assert editor.plan().gene_sets == []

    run(scenario())


def test_files_are_chosen_in_the_menu_and_a_missing_one_is_named(qtbot: QtBot) -> None:
    editor = PlanEditor()
    qtbot.addWidget(editor)
    here, gone = OwnGeneSets(name="here", sha256="1"), OwnGeneSets(name="gone", sha256="2")
    editor.set_plan(PLAN.model_copy(update={"gene_sets": [gone]}), SAMPLES)
    editor.gene_sets.set_kept([(here, "3 sets")])
    assert "gone (not here)" in editor.gene_sets.text()
    with qtbot.waitSignal(editor.planEdited):
        next(action for action in editor.gene_sets.menu().actions() if action.text() == "here").setChecked(True)
    assert editor.plan().gene_sets == [gone, here]


def test_blocks_and_robust_prior_are_offered_for_log_values_only(qtbot: QtBot) -> None:
    editor = PlanEditor()
    qtbot.addWidget(editor)
    editor.show()
    editor.set_plan(PLAN, SAMPLES)
    assert not editor.block.isVisible()
    assert editor.min_count.isVisible()
    editor.set_plan(PLAN.model_copy(update={"values": "log_intensity", "block": "donor"}), SAMPLES)
    assert editor.block.isVisible()
    assert not editor.min_count.isVisible()
    assert editor.block.currentText() == "donor"
    with qtbot.waitSignal(editor.planEdited):
        editor.robust.setChecked(True)
    editor.block.setCurrentText("")
    assert (editor.plan().block, editor.plan().robust) == ("", True)
