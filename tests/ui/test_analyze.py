"""The Analyze panel over the real runtime: from dropped files to results, and every way it can go wrong on the way."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication

from desktop.core.jobs import JobError
from desktop.studios.omics.schema import Caution, Plan
from desktop.ui.frame import Frame
from desktop.ui.itemmodels.plan_review import PlanReview
from desktop.ui.panels.analyze import AnalyzePanel
from desktop.ui.panels.analyze_exports import write_genes
from desktop.ui.widgets.gene_table import GeneTable
from desktop.ui.widgets.plots.volcano import VolcanoPlot
from desktop.ui.widgets.run_progress import RunProgress
from tests.ui.analyze_data import make_results
from tests.ui.conftest import Run, until

QUESTION = "Which genes change with dex, allowing for cell?"


def panel_of(frame: Frame) -> AnalyzePanel:
    panel = frame.show_section("analyze")
    assert isinstance(panel, AnalyzePanel)
    return panel


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, Path]:
    """Counts of 400 genes in 8 samples of 4 cells, a tenth changed by dex, and their sample sheet."""
    rng = np.random.default_rng(11)
    names = [f"s{number}" for number in range(8)]
    dex = ["untrt", "trt"] * 4
    mean = 10 ** rng.uniform(1, 3.5, 400)
    effect = np.ones((400, 8))
    effect[:40, 1::2] = 6.0
    counts = rng.negative_binomial(10, 10 / (10 + mean[:, None] * effect))
    rows = ["\t".join([f"GENE{gene}", *map(str, counts[gene])]) for gene in range(400)]
    table, sheet = tmp_path / "counts.tsv", tmp_path / "samples.csv"
    table.write_text("gene\t" + "\t".join(names) + "\n" + "\n".join(rows) + "\n", encoding="utf-8")
    lines = [f"{name},{level},c{number // 2}" for number, (name, level) in enumerate(zip(names, dex, strict=True))]
    sheet.write_text("sample,dex,cell\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return table, sheet


async def planned(panel: AnalyzePanel, data: tuple[Path, Path]) -> None:
    panel.setup.question.setText(QUESTION)
    panel.open_data(str(data[0]), str(data[1]))
    await until(lambda: panel.setup.can_run() or panel.setup.failure.text(), "a plan")
    assert not panel.setup.failure.text()
    await until(lambda: panel.setup.design.counts.isVisibleTo(panel), "the review")


def test_importing_the_panel_imports_no_numerics() -> None:
    code = (
        "import sys, desktop.ui.panels.analyze\n"
        "print([name for name in ('numpy', 'pandas', 'scipy', 'pyqtgraph', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_from_files_and_a_sentence_to_results(
    frame: Frame, run: Run[Any], data: tuple[Path, Path], tmp_path: Path
) -> None:
    async def scenario() -> None:
        panel = panel_of(frame)
        steps: list[str] = []
        frame.bridge.jobChanged.connect(lambda job: steps.append(job.note or job.step))
        drop(frame, [data[1], data[0]])
        await until(lambda: panel.setup.ask.isEnabled(), "the data")
        panel.setup.question.setText(QUESTION)
        panel.setup.ask.click()
        await until(panel.setup.can_run, "a plan")
        plan = panel.setup.plan.plan()
        assert plan.contrast is not None
        assert (plan.contrast.factor, plan.contrast.treated, plan.contrast.control) == ("dex", "trt", "untrt")
        assert "cell" in plan.design
        assert frame.actions["ui.run"].isEnabled()
        frame.actions["ui.run"].trigger()
        await until(lambda: panel.results or panel.setup.failure.text(), "results", 120)
        assert not panel.setup.failure.text()
        view = panel.results
        assert view is not None
        assert view.results is not None
        results = view.results
        assert results.counts is not None
        assert len(results.genes.gene_ids) == 400
        assert results.counts[2] > 20
        assert len(set(steps)) > 2
        view.open_fold("Code")
        view.open_fold("Log")
        assert view.folds.log.toPlainText().startswith("[step 1/")
        assert "def main" in view.folds.code.toPlainText()
        volcano = view.page("Volcano")
        assert isinstance(volcano, VolcanoPlot)
        assert sum(volcano.counts()) == results.counts[1]
        view.show_tab("Table")
        table = view.page("Table")
        assert isinstance(table, GeneTable)
        await panel.exports.export_genes(tmp_path / "genes.csv")
        assert (tmp_path / "genes.csv").read_text(encoding="utf-8").count("\n") == 401
        (tmp_path / "out").mkdir()
        await panel.exports.export_run(tmp_path / "out")
        await panel.exports.export_run(tmp_path / "out", as_zip=True)
        out = tmp_path / "out"
        await until(lambda: list(out.glob("*/manifest.json")) and list(out.glob("*.zip")), "the copies")
        remembered = panel.remembered()
        assert remembered["run"] == str(results.out_dir)
        panel.new_analysis()
        assert panel.setup.empty.isVisibleTo(panel)
        panel.recall(remembered)
        panel.open_data(str(data[0]))
        await until(lambda: panel.setup.ask.isEnabled(), "data that were given, not the run of last time")
        await asyncio.sleep(0.5)
        assert panel.pages.currentWidget() is panel.setup
        panel.recall(remembered)
        await until(lambda: panel.pages.currentWidget() is view, "the run again")
        assert view.current_tab() == "Table"
        view.header.planRequested.emit()
        await until(panel.setup.can_run, "its plan again")
        assert panel.setup.plan.plan().contrast == plan.contrast

    run(scenario())


def test_a_run_is_stopped_in_its_tracks_and_offered_again(frame: Frame, run: Run[Any], data: tuple[Path, Path]) -> None:
    async def scenario() -> None:
        panel = panel_of(frame)
        await planned(panel, data)
        panel.run()
        await until(lambda: panel.setup.progress.isVisibleTo(panel), "progress")
        assert not panel.setup.can_run()
        panel.setup.progress.stop.click()
        await until(lambda: "Stopped" in panel.setup.failure.text(), "the end")
        assert panel.setup.can_run()
        assert panel.results is None
        assert not list(frame.bridge.workbench.paths.runs.glob("*"))

    run(scenario())


def test_a_table_that_cannot_be_read_is_explained_and_tried_again(
    frame: Frame, run: Run[Any], data: tuple[Path, Path], tmp_path: Path
) -> None:
    async def scenario() -> None:
        panel = panel_of(frame)
        broken = tmp_path / "later.tsv"
        broken.write_bytes(b"")
        panel.open_data(str(broken))
        await until(lambda: panel.setup.failure.text(), "the failure")
        assert "empty" in panel.setup.failure.text().lower()
        assert not panel.setup.can_run()
        broken.write_bytes(data[0].read_bytes())
        panel.setup.failure.retry.click()
        await until(lambda: panel.setup.ask.isEnabled(), "the data")
        assert not panel.setup.failure.text()

    run(scenario())


def test_a_question_about_nothing_there_is_answered_with_a_hint(
    frame: Frame, run: Run[Any], data: tuple[Path, Path]
) -> None:
    async def scenario() -> None:
        panel = panel_of(frame)
        panel.open_data(str(data[0]), str(data[1]))
        await until(lambda: panel.setup.ask.isEnabled(), "the data")
        panel.setup.question.setText("Compare smokers with non-smokers by tumour stage")
        panel.setup.ask.click()
        await until(lambda: panel.setup.failure.text() or panel.setup.can_run(), "an answer")
        assert panel.setup.failure.text()
        assert panel.setup.ask.isEnabled()

    run(scenario())


def test_a_plan_never_runs_under_another_question(frame: Frame, run: Run[Any], data: tuple[Path, Path]) -> None:
    async def scenario() -> None:
        panel = panel_of(frame)
        await planned(panel, data)
        panel.setup.question.setText("Compare smokers with non-smokers by tumour stage")
        assert not panel.setup.run_button.isEnabled()
        assert "ui.run" not in panel.actions()
        assert panel.setup.anew.isVisibleTo(panel)
        panel.setup.ask.click()
        await until(panel.setup.failure.text, "the answer")
        assert not panel.setup.can_run(), "the old plan is no answer to it"
        panel.setup.question.setText(QUESTION)
        assert panel.setup.can_run()

    run(scenario())


def test_edits_are_reviewed_at_once_and_undone_by_the_menu(
    frame: Frame, run: Run[Any], data: tuple[Path, Path]
) -> None:
    async def scenario() -> None:
        panel = panel_of(frame)
        await planned(panel, data)
        model = panel.setup.design.model
        model.set_used([1, 3, 5, 7], used=False)
        assert not panel.setup.can_run(), "not before the edit is looked over"
        await until(lambda: panel.setup.fault.text(), "the fault")
        assert "ui.run" not in panel.actions()
        frame.actions["ui.undo"].trigger()
        await until(panel.setup.can_run, "a good plan again")
        panel.setup.plan.design.setFocus()
        panel.setup.plan.design.setText("~ nothing + dex")
        panel.setup.plan.design.textEdited.emit("~ nothing + dex")
        await until(lambda: panel.setup.fault.text(), "the fault of the formula")
        assert "nothing" in panel.setup.fault.text()
        panel.setup.plan.design.textEdited.emit("~ dex")
        await until(panel.setup.can_run, "a good formula")
        panel.setup.plan.contrasts.swap.click()
        await until(panel.setup.can_run, "the plan looked over")
        contrast = panel.setup.plan.plan().contrast
        assert contrast is not None
        assert contrast.treated == "untrt"

    run(scenario())


def test_a_blocking_caution_stops_the_run_until_it_is_answered(frame: Frame, run: Run[Any]) -> None:
    async def scenario() -> None:
        setup = panel_of(frame).setup
        setup.show_plan(Plan.model_validate({}))
        assert not setup.run_button.isEnabled(), "not before it is looked over"
        setup.show_review(PlanReview((Caution(code="omics.few_replicates", text="Only two samples.", blocks=True),)))
        assert not setup.run_button.isEnabled()
        setup.confirm.click()
        assert setup.run_button.isEnabled()
        setup.show_review(PlanReview(fault=JobError("omics.confounded", "Batch and group are the same.", "Drop one.")))
        assert not setup.run_button.isEnabled()
        assert "Batch and group are the same." in setup.fault.text()

    run(scenario())


def test_a_damaged_or_unknown_run_is_told_inline(frame: Frame, run: Run[Any], tmp_path: Path) -> None:
    async def scenario() -> None:
        panel = panel_of(frame)
        (tmp_path / "manifest.json").write_text("{", encoding="utf-8")
        panel.open_data(str(tmp_path))
        await until(lambda: panel.setup.failure.text(), "the failure")
        assert "manifest.json" in panel.setup.failure.text()
        panel.open_run("no-such-run")
        await until(lambda: "no-such-run" in panel.setup.failure.text(), "the other failure")

    run(scenario())


def test_nothing_is_lost_where_files_cannot_be_written(tmp_path: Path) -> None:
    results = make_results(tmp_path / "run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "results.csv").write_text("x", encoding="utf-8")
    with pytest.raises(OSError):
        write_genes(tmp_path / "missing" / "genes.csv", results, ["gene_id"], [0])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_progress_says_step_share_and_time(qapp: QApplication) -> None:
    from desktop.core.jobs import JobRecord, JobState

    progress = RunProgress()
    job = JobRecord(
        id="j", kind="omics.run_analysis", title="Analyse", studio="omics", project="default", lane="sandbox",
        state=JobState.RUNNING, params={}, created_s=0.0, step="Run", note="Fit the model", done_frac=0.62,
        time_left_s=125.0,
    )  # fmt: skip
    progress.show_job(job)
    progress.note_lines(["[step 4/8] Principal components", "[step 5/8] Fit the model", "other"])
    progress.show_job(job)
    assert progress.words.text() == "step 5/8 · Fit the model · 62% · about 2 min"
    assert progress.bar.value() == 620


def drop(frame: Frame, files: list[Path]) -> None:
    """Files let go over the window."""
    carried = QMimeData()
    carried.setUrls([QUrl.fromLocalFile(str(file)) for file in files])
    action, button, keys = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(20, 20), action, carried, button, keys)
    QApplication.sendEvent(frame.window, enter)
    assert enter.isAccepted()
    event = QDropEvent(QPointF(20, 20), action, carried, button, keys)
    QApplication.sendEvent(frame.window, event)
    assert event.isAccepted()
