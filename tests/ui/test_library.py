"""The Library lists real runs and datasets; search, scopes, stars, notes, Trash with undo, drag out, preview."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from desktop.core.jobs import JobRecord, JobState
from desktop.studios.omics import repo
from desktop.ui.frame import Frame
from desktop.ui.itemmodels.library_items import Marks, dataset_items, read_details
from desktop.ui.panels.library import LibraryPanel
from desktop.workers.workbench import Workbench
from tests.ui.conftest import Run, make_frame, until


def add_run(workbench: Workbench, run_id: str, title: str, *, created_s: float = 1.7e9) -> Path:
    """A finished run as the pipeline leaves it: a row and a folder."""
    folder = workbench.paths.runs / run_id
    folder.mkdir(parents=True)
    (folder / "report.md").write_text(
        f"# {title}\n\nThe answer.\n\n![x](https://example.org/x.png)\n", encoding="utf-8"
    )
    plan = {"design": "~ dex", "contrast": {"factor": "dex", "treated": "trt", "control": "untrt"}, "alpha": 0.05}
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    (folder / "manifest.json").write_text(json.dumps({"versions": {"numpy": "2.2"}}), encoding="utf-8")
    row = repo.RunRow(
        id=run_id,
        job_id=f"job-{run_id}",
        project="default",
        kind="differential_expression",
        title=title,
        question="Which genes change?",
        headline="12 genes change.",
        accession="",
        source="/data/counts.csv",
        out_dir=str(folder),
        script_sha256="",
        script_origin="template",
        created_s=created_s,
        published_s=created_s,
        summary={"n_genes": 100, "n_significant": 12, "up": 7, "down": 5},
    )
    workbench.store.write_now(lambda db: repo.write_run(db, row))
    return folder


async def library_of(frame: Frame, count: int) -> LibraryPanel:
    panel = frame.show_section("library")
    assert isinstance(panel, LibraryPanel)
    await until(lambda: panel.list.model.rowCount() == count, f"{count} items")
    return panel


def titles(panel: LibraryPanel) -> list[str]:
    shown = panel.list.table.model()
    return [shown.index(row, 1).data().removeprefix("Which genes change?  ·  ") for row in range(shown.rowCount())]


def test_an_empty_library_invites(frame: Frame, run: Run[Any]) -> None:
    async def scenario() -> None:
        panel = await library_of(frame, 0)
        assert "Drop a counts table" in panel.list.page_words

    run(scenario())


def test_runs_appear_newest_first_and_can_be_narrowed(frame: Frame, run: Run[Any], workbench: Workbench) -> None:
    async def scenario() -> None:
        add_run(workbench, "r1", "Pasilla knockdown", created_s=1.6e9)
        add_run(workbench, "r2", "Airway and dexamethasone", created_s=1.7e9)
        panel = await library_of(frame, 2)
        assert titles(panel) == ["Airway and dexamethasone", "Pasilla knockdown"]
        QTest.keyClicks(panel.list.search, "which pasilla")
        assert titles(panel) == ["Pasilla knockdown"]
        panel.list.search.setText("nothing such")
        assert "matches “nothing such”" in panel.list.page_words
        panel.list.search.clear()
        panel.list.scopes.setCurrentIndex(1)
        assert titles(panel) == []

    run(scenario())


def test_delete_moves_to_the_trash_and_undo_brings_back(frame: Frame, run: Run[Any], workbench: Workbench) -> None:
    async def scenario() -> None:
        folder = add_run(workbench, "r1", "Airway")
        panel = await library_of(frame, 1)
        panel.list.table.selectRow(0)
        QTest.keyClick(panel.list.table, Qt.Key.Key_Delete)
        await until(lambda: titles(panel) == [])
        assert folder.is_dir(), "the Trash keeps the files"
        assert frame.banner.notice.button == "Undo"
        panel.list.scopes.setCurrentIndex(3)
        assert titles(panel) == ["Airway"]
        panel.list.scopes.setCurrentIndex(0)
        frame.actions["ui.undo"].trigger()
        await until(lambda: titles(panel) == ["Airway"])
        frame.actions["ui.redo"].trigger()
        await until(lambda: titles(panel) == [])

    run(scenario())


def test_the_selection_is_previewed_and_inspected(frame: Frame, run: Run[Any], workbench: Workbench) -> None:
    async def scenario() -> None:
        add_run(workbench, "r1", "Airway")
        panel = await library_of(frame, 1)
        panel.list.table.selectRow(0)
        await until(lambda: "The answer." in panel.list.preview.toPlainText())
        shown = frame.inspector.shown
        assert ("Answer", "12 genes change.") in shown.facts
        assert shown.history[0].parameters["Contrast"] == "dex: trt vs untrt"
        assert shown.history[0].versions == {"numpy": "2.2"}
        frame.show_section("activity")
        assert frame.inspector.shown.title == ""
        frame.show_section("library")
        assert frame.inspector.shown.title == "Which genes change?"
        for where in ("below", "off", "right"):
            frame.actions["ui.cycle_preview"].trigger()
            assert panel.list.remembered()["preview"] == where

    run(scenario())


def test_notes_and_stars_outlive_the_window(frame: Frame, run: Run[Any], workbench: Workbench) -> None:
    async def scenario() -> None:
        add_run(workbench, "r1", "Airway")
        panel = await library_of(frame, 1)
        panel.list.table.selectRow(0)
        frame.actions["ui.toggle_star"].trigger()
        panel.keep_note("run:r1", "look again")
        await until(lambda: panel.list.model.items[0].is_starred)
        marks = Marks.load(workbench.paths.home / "library.json")
        assert marks.stars == {"run:r1"}
        assert marks.notes == {"run:r1": "look again"}
        panel.keep_note("run:r1", "")
        assert Marks.load(workbench.paths.home / "library.json").notes == {}

    run(scenario())


def test_a_run_is_dragged_out_as_its_folder(frame: Frame, run: Run[Any], workbench: Workbench) -> None:
    async def scenario() -> None:
        folder = add_run(workbench, "r1", "Airway")
        panel = await library_of(frame, 1)
        mime = panel.list.model.mimeData([panel.list.model.index(0, column) for column in range(6)])
        assert [url.toLocalFile() for url in mime.urls()] == [str(folder)]

    run(scenario())


def test_return_opens_the_run_in_analyze(frame: Frame, run: Run[Any], workbench: Workbench) -> None:
    async def scenario() -> None:
        folder = add_run(workbench, "r1", "Airway")
        panel = await library_of(frame, 1)
        asked: list[str] = []
        panel.runRequested.connect(asked.append)
        panel.list.table.selectRow(0)
        panel.list.table.setFocus()
        QTest.keyClick(panel.list.table, Qt.Key.Key_Return)
        assert asked == [str(folder)]
        await asyncio.sleep(0.2)

    run(scenario())


def test_pasting_an_accession_asks_to_open_it(frame: Frame, run: Run[Any]) -> None:
    async def scenario() -> None:
        panel = await library_of(frame, 0)
        panel.openRequested.disconnect()
        asked: list[str] = []
        panel.openRequested.connect(asked.append)
        panel.setFocus()
        for text, wanted in (("gse52778", ["GSE52778"]), ("just words", ["GSE52778"])):
            QApplication.clipboard().setText(text)
            panel.actions()["ui.paste"]()
            assert asked == wanted

    run(scenario())


def test_datasets_come_from_the_jobs_that_looked_at_them(tmp_path: Path) -> None:
    def job(job_id: str, state: JobState, created_s: float, result: dict[str, Any] | None) -> JobRecord:
        params = {"data": str(tmp_path)}
        return JobRecord(job_id, "k", "t", "omics", "p", "cpu", state, params, created_s, result=result)

    found = {"files": [{}], "title": "Airway", "accession": "GSE1", "n_genes": 9, "samples": {"samples": ["a", "b"]}}
    jobs = [
        job("1", JobState.DONE, 1.0, found),
        job("2", JobState.FAILED, 2.0, None),
        job("3", JobState.DONE, 3.0, {"run_id": "x"}),
    ]
    (item,) = dataset_items(jobs, Marks(tmp_path / "m.json"))
    assert (item.title, item.source, item.state, item.place) == ("Airway", "GSE1", "Ready", str(tmp_path))
    assert ("Size", "9 genes × 2 samples") in item.facts


@pytest.mark.parametrize("broken", ["", "[]", "{", '{"stars": 3}', '{"stars": [], "removed": [], "notes": []}'])
def test_broken_marks_are_set_aside(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "library.json"
    path.write_text(broken, encoding="utf-8")
    assert Marks.load(path).stars == set()
    assert (tmp_path / "library.broken.json").read_text(encoding="utf-8") == broken
    assert not path.exists()


def test_details_of_a_damaged_folder_are_empty(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("[1]", encoding="utf-8")
    (tmp_path / "manifest.json").write_bytes(b"\xff\xfe")
    details = read_details(tmp_path)
    assert (details.report, details.parameters, details.versions) == ("", {}, {})


def test_the_selection_is_there_again_at_the_next_start(
    qapp: QApplication, frame: Frame, run: Run[Any], workbench: Workbench, tmp_path: Path
) -> None:
    async def scenario() -> None:
        add_run(workbench, "r1", "One", created_s=1.6e9)
        add_run(workbench, "r2", "Two", created_s=1.7e9)
        panel = await library_of(frame, 2)
        panel.list.select({"run:r1"})
        frame.actions["ui.cycle_preview"].trigger()
        frame.remember()
        again = make_frame(qapp, tmp_path)
        again.bridge.attach(workbench)
        other = await library_of(again, 2)
        await until(lambda: [item.about for item in other.list.selected] == ["One"])
        assert other.list.remembered()["preview"] == "below"
        await again.bridge.close()
        again.window.deleteLater()

    run(scenario())
