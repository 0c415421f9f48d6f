"""Two runs compared, from the results of one to a page in the window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtTest import QTest

from desktop.studios.omics import repo
from desktop.ui.frame import Frame
from desktop.ui.itemmodels.comparison import DamagedComparisonError, load_comparison
from desktop.ui.panels.analyze import AnalyzePanel
from desktop.ui.widgets.comparison_view import ComparisonView
from desktop.ui.widgets.run_picker import RunPicker
from desktop.workers.workbench import Workbench
from tests.stand_ins.finished_run import drug_plan, finished_run, some_counts, two_groups
from tests.ui.conftest import Run, until


def kept(workbench: Workbench, run_id: str, seed: int) -> Path:
    """A finished run in the library."""
    folder = finished_run(workbench.paths.runs / run_id, some_counts(seed=seed), two_groups(), drug_plan())
    row = repo.RunRow(
        id=run_id, job_id=run_id, project="default", kind="differential_expression", title=f"{run_id}.csv: drug",
        question="Does the drug matter?", headline="Genes change.", accession="", source=f"{run_id}.csv",
        out_dir=str(folder), script_sha256="", script_origin="template", created_s=1.7e9, published_s=1.7e9,
        summary={"n_significant": 60},
    )  # fmt: skip
    workbench.store.write_now(lambda db: repo.write_run(db, row))
    return folder


async def picker_of(frame: Frame) -> RunPicker:
    def found() -> list[RunPicker]:
        return [one for one in frame.window.findChildren(RunPicker) if one.isVisible()]

    await until(found, "the list of runs")
    return found()[0]


@pytest.mark.slow
def test_a_run_is_compared_with_another_of_the_library(frame: Frame, run: Run[Any], workbench: Workbench) -> None:
    async def scenario() -> None:
        folder, other = kept(workbench, "liver", 1), kept(workbench, "kidney", 2)
        panel = frame.show_section("analyze")
        assert isinstance(panel, AnalyzePanel)
        panel.open_run(str(folder))
        await until(lambda: panel.results, "the results")
        frame.actions["ui.compare_runs"].trigger()
        picker = await picker_of(frame)
        QTest.keyClicks(picker.search, "nothing such")
        assert not picker.compare.isEnabled()
        picker.search.clear()
        QTest.keyClicks(picker.search, "kidney")
        assert picker.chosen is not None
        assert picker.chosen.place == str(other)
        picker.compare.click()
        await until(lambda: isinstance(panel.pages.currentWidget(), ComparisonView), "the comparison")
        view = panel.pages.currentWidget()
        assert isinstance(view, ComparisonView)
        assert "called by both runs" in view.headline.text()
        words = view.browser.toPlainText()
        assert "Genes tested by both" in words
        assert "called by both runs" not in words, "the answer is not said twice"
        assert not view.browser.loadResource(2, "lfc.png").isNull()
        assert frame.toolbar.title == "Two runs compared"
        view.done.click()
        assert panel.pages.currentWidget() is panel.results
        assert view.out_dir is not None
        frame.show_run(str(view.out_dir))
        await until(lambda: panel.pages.currentWidget() is view, "the comparison, opened by its folder")

    run(scenario())


@pytest.mark.parametrize("numbers", [None, "{", "[]", '{"headline": "x"}'])
def test_a_damaged_comparison_is_told(tmp_path: Path, numbers: str | None) -> None:
    if numbers is not None:
        (tmp_path / "comparison.json").write_text(numbers, encoding="utf-8")
    with pytest.raises(DamagedComparisonError):
        load_comparison(tmp_path)
