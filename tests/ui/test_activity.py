"""Activity shows real jobs as they run, and stops, repeats and explains them."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QPlainTextEdit

from desktop.core.jobs import JobState
from desktop.ui.frame import Frame
from desktop.ui.itemmodels.jobs import PROGRESS
from desktop.ui.panels.activity import ActivityPanel
from desktop.workers.workbench import Workbench
from tests.ui.conftest import Run, until


def panel_of(frame: Frame) -> ActivityPanel:
    panel = frame.show_section("activity")
    assert isinstance(panel, ActivityPanel)
    return panel


def test_a_job_appears_runs_and_is_done(frame: Frame, run: Run[Any]) -> None:
    async def scenario() -> None:
        panel = panel_of(frame)
        job_id = await frame.bridge.submit("quick.count", {"upto": 5, "pause_s": 0.02})
        await until(lambda: panel.model.row_of(job_id) == 0)
        await until(lambda: panel.model.job(0).state is JobState.DONE)
        assert panel.model.index(0, PROGRESS).data() == "Done"
        panel.select_job(job_id)
        await until(lambda: frame.inspector.shown.log, "the log")
        assert frame.inspector.shown.log[-1] == "line 4"
        assert ("State", "Done") in frame.inspector.shown.facts

    run(scenario())


def test_a_running_job_is_stopped_and_run_again(frame: Frame, run: Run[Any]) -> None:
    async def scenario() -> None:
        panel = panel_of(frame)
        job_id = await frame.bridge.submit("quick.count", {"upto": 3, "pause_s": 30})
        await until(lambda: panel.model.row_of(job_id) == 0 and panel.model.job(0).state is JobState.RUNNING)
        panel.select_job(job_id)
        assert frame.actions["ui.stop"].isEnabled()
        assert not frame.actions["ui.rerun"].isEnabled()
        frame.actions["ui.stop"].trigger()
        await until(lambda: panel.model.job(0).state is JobState.CANCELLED)
        await until(frame.actions["ui.rerun"].isEnabled)
        frame.actions["ui.rerun"].trigger()
        await until(lambda: panel.model.rowCount() == 2)
        again = panel.model.job(0)
        assert again.rerun_of == job_id
        await frame.bridge.cancel(again.id)
        await until(lambda: panel.model.job(0).state is JobState.CANCELLED)

    run(scenario())


def test_a_failure_is_explained_in_words(frame: Frame, run: Run[Any]) -> None:
    async def scenario() -> None:
        panel = panel_of(frame)
        job_id = await frame.bridge.submit("quick.fail", {})
        await until(lambda: panel.model.row_of(job_id) == 0 and panel.model.job(0).state is JobState.FAILED)
        panel.select_job(job_id)
        facts = dict(frame.inspector.shown.facts)
        assert facts["What happened"] == "The count cannot be made."
        assert facts["What to try"] == "Count something else."

    run(scenario())


def test_groups_show_their_own_jobs_and_count_them(frame: Frame, run: Run[Any]) -> None:
    async def scenario() -> None:
        panel = panel_of(frame)
        await frame.bridge.submit("quick.count", {"upto": 1})
        await frame.bridge.submit("quick.fail", {})
        await until(lambda: panel.model.rowCount() == 2 and all(panel.model.job(n).state.is_final for n in (0, 1)))
        assert [panel.groups.tabText(tab) for tab in range(5)] == [
            "All  2",
            "Running",
            "Waiting",
            "Done  1",
            "Failed  1",
        ]
        panel.groups.setCurrentIndex(4)
        assert panel.table.model().rowCount() == 1
        assert panel.table.model().index(0, 0).data() == "Fail"

    run(scenario())


def test_the_log_is_plain_text(frame: Frame, run: Run[Any]) -> None:
    async def scenario() -> None:
        panel = panel_of(frame)
        job_id = await frame.bridge.submit("quick.count", {"upto": 2})
        await until(lambda: panel.model.row_of(job_id) == 0 and panel.model.job(0).state is JobState.DONE)
        panel.select_job(job_id)
        await until(lambda: frame.inspector.shown.log, "the log")
        log = next(w for w in frame.inspector.findChildren(QPlainTextEdit) if w.accessibleName() == "Log")
        assert log.isReadOnly()
        assert log.toPlainText().splitlines() == ["line 0", "line 1"]

    run(scenario())


def test_the_steps_of_a_job_of_another_time_are_read_from_the_store(
    frame: Frame, run: Run[Any], workbench: Workbench
) -> None:
    async def scenario() -> None:
        job_id = await frame.bridge.submit("quick.count", {"upto": 2})
        await until(lambda: frame.jobs.get(job_id) and frame.jobs[job_id].state is JobState.DONE)
        panel = panel_of(frame)  # made only now: it has seen nothing of the job
        await until(lambda: panel.model.row_of(job_id) == 0)
        panel.select_job(job_id)
        await until(lambda: dict(frame.inspector.shown.facts).get("Steps", "").startswith("Counting, "), "the step")

    run(scenario())
