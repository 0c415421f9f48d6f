"""Models beside the rules in the window: a proposal to look over, a script to read, and what is said without a model.

The models are stand-ins that say what the test tells them; gateway, checks, jobs and window are the real ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from desktop import app as composition
from desktop.core.paths import Paths
from desktop.ui.frame import Frame
from desktop.ui.panels.analyze import AnalyzePanel
from desktop.ui.panels.models import ModelsPanel
from desktop.workers.workbench import Workbench
from tests.e2e.tables import rows, sheet, text, write
from tests.stand_ins.fleet import PretendFleet
from tests.ui.conftest import Run, until
from tests.ui.test_analyze import panel_of

FACTORS = {"agent": ["veh", "veh", "veh", "cpd-7", "cpd-7", "cpd-7"], "run_day": "abcabc"}
READING = {
    "comparison": {"factor": "agent", "treated": "cpd-7", "control": "veh"},
    "adjust_for": ["run_day"],
    "only": [],
}
UNCLEAR = "does the new molecule do anything at all?"
REFUSED = "import socket\nx = 1\n"
GOOD = "import pandas as pd\nx = 2\n"


@pytest.fixture
def data(tmp_path: Path) -> tuple[str, str]:
    write(tmp_path, text(rows()), sheet(FACTORS))
    return str(tmp_path / "counts.csv"), str(tmp_path / "samples.csv")


@pytest.fixture
def fleet() -> PretendFleet:
    return PretendFleet()


@pytest.fixture
def workbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fleet: PretendFleet) -> Iterator[Workbench]:
    monkeypatch.setattr(composition, "_make_fleet", lambda *_: fleet)
    made = composition.build(Paths(tmp_path / "home"))
    yield made
    made.close()


async def ask(panel: AnalyzePanel, data: tuple[str, str]) -> None:
    panel.setup.question.setText(UNCLEAR)
    panel.open_data(*data)


def test_a_reading_is_a_proposal_to_be_looked_over(
    frame: Frame, run: Run[Any], fleet: PretendFleet, data: tuple[str, str]
) -> None:
    fleet.add("reader-1", "small").says = lambda call: json.dumps(READING)
    panel = panel_of(frame)

    async def look() -> None:
        await ask(panel, data)
        await until(lambda: panel.reader.job_id, "the model to be asked")
        assert "ui.stop" in panel.actions()
        await until(lambda: panel.setup.has_plan, "a plan")
        await until(lambda: panel.setup.design.counts.isVisibleTo(panel), "the review")
        said = panel.setup.cautions.accessibleDescription()
        assert "The model reader-1 reads it as cpd-7 over veh in agent, allowing for run_day" in said
        assert panel.setup.confirm.isVisibleTo(panel)
        assert not panel.setup.can_run()
        panel.setup.confirm.setChecked(True)
        assert panel.setup.can_run()
        plan = panel.setup.plan
        assert any("Proposed by the model reader-1" in label.text() for label in plan._why.values())
        plan.contrasts.swap.click()  # theirs now; the rest is still the model's
        assert not panel.setup.can_run()
        await until(lambda: "reads it as" in panel.setup.cautions.accessibleDescription(), "the review")
        plan.design.setText("~ agent")
        plan.design.textEdited.emit("~ agent")
        contrast = plan.plan().contrast
        assert contrast is not None
        assert (contrast.treated, contrast.control) == ("veh", "cpd-7")

    run(look())


def test_without_a_model_it_says_how_to_get_one(frame: Frame, run: Run[Any], data: tuple[str, str]) -> None:
    panel = panel_of(frame)

    async def look() -> None:
        await ask(panel, data)
        await until(panel.setup.failure.text, "the failure")
        assert "nothing would leave the machine" in panel.setup.failure.text()
        assert panel.setup.script_button.isEnabled()
        panel.setup.script_button.click()
        page = panel.desk.page
        assert page is not None
        await until(lambda: "No model" in page.request.words.text(), "the empty state")
        assert not page.request.wish.isEnabled()
        page.back.click()
        panel.setup.failure.models.click()
        await until(lambda: isinstance(frame.stack.currentWidget(), ModelsPanel), "the models")

    run(look())


def test_a_model_that_takes_too_long_is_stopped(
    frame: Frame, run: Run[Any], fleet: PretendFleet, data: tuple[str, str]
) -> None:
    model = fleet.add("reader-1", "small", hang=0)
    panel = panel_of(frame)

    async def look() -> None:
        await ask(panel, data)
        await until(lambda: model.running, "the model")
        assert not panel.setup.ask.isEnabled()
        panel.setup.progress.stop.click()
        await until(panel.setup.failure.text, "the end")
        assert "stopped" in panel.setup.failure.text()
        assert model.running == 0
        assert panel.setup.ask.isEnabled()

    run(look())


def test_a_script_is_written_shown_and_taken_back(
    frame: Frame, run: Run[Any], fleet: PretendFleet, data: tuple[str, str]
) -> None:
    said = [REFUSED, GOOD, REFUSED]
    model = fleet.add("writer-1", "medium")
    model.says = lambda call: said.pop(0) if len(said) > 1 else said[0]
    panel = panel_of(frame)

    async def look() -> None:
        panel.open_data(*data)
        await until(panel.setup.script_button.isEnabled, "the data")
        panel.setup.script_button.click()
        page = panel.desk.page
        assert page is not None
        await until(page.request.wish.isEnabled, "the model")
        page.editor.set_code("mine = 1\n")
        page.request.wish.setText("write a script for the depth of each sample")
        page.request.write.click()
        await until(lambda: panel.desk.is_working, "the model at work")
        await until(lambda: not panel.desk.is_working, "the draft")
        assert page.editor.code() == GOOD
        assert page.editor.refused_lines() == []
        shown = page.tries.toPlainText()
        assert "Try 1" in shown
        assert "not taken" in shown
        assert "-mine = 1" in shown
        assert "+import pandas as pd" in shown
        assert "writer-1 at try 2" in page.request.words.text()
        assert "mine = 1" in model.calls[0].messages[-1].content
        assert "ui.run" in panel.actions()

        page.request.take_back.click()
        assert page.editor.code() == "mine = 1\n"
        page.request.wish.setText("something else")
        page.request.write.click()  # the same script again and again: refused, marked at its line
        await until(lambda: page.editor.refused_lines() == [1], "the refusal")
        assert "policy refuses it" in page.request.words.text()
        assert len(model.calls) == 4
        page.back.click()
        assert panel.pages.currentWidget() is panel.setup

    run(look())
