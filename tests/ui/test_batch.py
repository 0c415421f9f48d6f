"""Several datasets asked one question in the window: the sheet, the table while it grows, what its rows open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from desktop.core.jobs import JobState
from desktop.studios.omics.batch_schema import BatchOutcome, BatchResult, ItemError
from desktop.studios.omics.batch_table import write_table
from desktop.ui.frame import Frame
from desktop.ui.panels.analyze import AnalyzePanel
from desktop.ui.panels.library import LibraryPanel
from desktop.ui.widgets.batch_sheet import BatchSheet
from desktop.ui.widgets.batch_view import BatchView
from desktop.workers.workbench import Workbench
from tests.e2e.tables import GROUPS, rows, sheet, text, write
from tests.ui.conftest import Run, until


async def in_library(frame: Frame, workbench: Workbench, *folders: Path) -> LibraryPanel:
    """The library with these folders as datasets."""
    for folder in folders:
        folder.mkdir()
        write(folder, text(rows(n_genes=80)), sheet({"treatment": GROUPS}))
        job = await frame.bridge.submit("omics.inspect_data", {"data": str(folder)})
        await until(lambda job=job: _is_done(workbench, job), "the look")
    panel = frame.show_section("library")
    assert isinstance(panel, LibraryPanel)
    await until(lambda: panel.list.model.rowCount() == len(folders), "the datasets")
    return panel


def _is_done(workbench: Workbench, job_id: str) -> bool:
    job = workbench.runtime.job(job_id)
    return job is not None and job.state is JobState.DONE


async def sheet_of(frame: Frame) -> BatchSheet:
    def found() -> list[BatchSheet]:
        return [one for one in frame.window.findChildren(BatchSheet) if one.isVisible()]

    await until(found, "the sheet")
    return found()[0]


def view_of(frame: Frame) -> BatchView:
    panel = frame.panel("analyze")
    assert isinstance(panel, AnalyzePanel)
    view = panel.pages.currentWidget()
    assert isinstance(view, BatchView)
    return view


@pytest.mark.slow
def test_two_datasets_are_asked_and_a_row_opens_its_run(
    frame: Frame, run: Run[Any], workbench: Workbench, tmp_path: Path
) -> None:
    async def scenario() -> None:
        panel = await in_library(frame, workbench, tmp_path / "liver", tmp_path / "kidney")
        panel.list.table.selectRow(0)
        frame.actions["ui.ask_several"].trigger()
        asked = await sheet_of(frame)
        assert len(asked.places) == 1, "what was selected is ticked"
        assert not asked.run.isEnabled()
        for row in range(asked.list.count()):
            asked.list.item(row).setCheckState(Qt.CheckState.Checked)
        QTest.keyClicks(asked.text, "Which genes differ between treated and control?")
        assert asked.standing.text() == "2 datasets × 1 question = 2 analyses"
        asked.run.click()
        await until(lambda: isinstance(frame.panel("analyze").pages.currentWidget(), BatchView), "the page")  # type: ignore[attr-defined]
        view = view_of(frame)
        await until(lambda: len(view.model.items) == 2, "the table while it runs", 30)
        assert frame.toolbar.title == "2 analyses"
        await until(lambda: "2 of 2 analyses are done" in view.headline.text(), "the end", 120)
        assert not view.stop.isVisibleTo(view)
        assert view.chosen is not None
        assert view.chosen.up
        QTest.keyClick(view.table, Qt.Key.Key_Return)
        analyze = frame.panel("analyze")
        assert isinstance(analyze, AnalyzePanel)
        await until(lambda: analyze.results is not None and analyze.runs.is_in_front, "the run")
        assert analyze.runs.folder == view.out_dir / view.chosen.folder if view.out_dir else False
        frame.show_run(str(view.out_dir))
        await until(lambda: analyze.pages.currentWidget() is view, "the batch again, by its folder")

    run(scenario())


def test_a_failed_row_says_why_and_opens_its_data(frame: Frame, run: Run[Any], tmp_path: Path) -> None:
    async def scenario() -> None:
        error = ItemError(code="omics.one_group", message="There is one group only.", hint="Name two groups.")
        items = [
            BatchOutcome(number=1, dataset="x", data="/nowhere/x.csv", question="Why?", status="failed", error=error)
        ]
        (tmp_path / "batch").mkdir()
        write_table(BatchResult(out_dir=tmp_path / "batch", headline="0 of 1 analyses are done.", items=items))
        frame.show_run(str(tmp_path / "batch"))
        await until(lambda: isinstance(frame.panel("analyze").pages.currentWidget(), BatchView), "the page")  # type: ignore[attr-defined]
        view = view_of(frame)
        assert view.told.text() == "There is one group only.\nName two groups."
        assert view.open_button.text() == "Open Data"
        view.open_button.click()
        analyze = frame.panel("analyze")
        assert isinstance(analyze, AnalyzePanel)
        assert analyze.setup.question.text() == "Why?"
        assert analyze.remembered()["data"] == "/nowhere/x.csv"
        await until(lambda: analyze.setup.failure.text(), "what is wrong with the data")

    run(scenario())


def test_a_library_without_datasets_says_so(frame: Frame, run: Run[Any]) -> None:
    async def scenario() -> None:
        frame.show_section("library")
        frame.actions["ui.ask_several"].trigger()
        await until(lambda: "no dataset" in frame.banner.notice.text, "the notice")

    run(scenario())
