"""The Models panel over the real gateway, catalogue and, where it is installed, a real runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from desktop.core.jobs import JobState
from desktop.ui.frame import Frame
from desktop.ui.itemmodels.models import ModelLine
from desktop.ui.panels.models import ModelsPanel, to_lines
from desktop.workers.workbench import Workbench
from tests.ui.conftest import Run, until


async def panel_of(frame: Frame) -> ModelsPanel:
    panel = frame.show_section("models")
    assert isinstance(panel, ModelsPanel)
    await until(panel.model.rowCount, "the catalogue")
    return panel


def select(panel: ModelsPanel, model_id: str) -> ModelLine:
    row = panel.model.row_of(model_id)
    assert row is not None
    panel.table.selectRow(row)
    assert panel.selected is not None
    return panel.selected


def test_the_catalogue_says_what_fits_before_anything_is_fetched(frame: Frame, run: Run[Any]) -> None:
    async def scenario() -> None:
        panel = await panel_of(frame)
        await until(lambda: "GiB for models" in panel.words.text(), "the budget")
        line = select(panel, "qwen2.5-1.5b-instruct")
        assert line.state == "available"
        await until(panel.fit.text, "the answer")
        assert "it needs" in panel.fit.text()
        assert panel.buttons["download"].isEnabled()
        assert not panel.buttons["load"].isEnabled()
        text = panel.table.model().index(0, 0).data()
        assert text

    run(scenario())


def test_nothing_is_fetched_without_a_yes(frame: Frame, run: Run[Any], workbench: Workbench) -> None:
    workbench.settings.change("net", mode="never")

    async def scenario() -> None:
        panel = await panel_of(frame)
        select(panel, "qwen2.5-1.5b-instruct")
        said: list[Any] = []
        panel.noticed.connect(said.append)
        QTest.mouseClick(panel.buttons["download"], Qt.MouseButton.LeftButton)
        await until(lambda: said, "the notice")
        (job,) = [job for job in workbench.runtime.jobs() if job.kind == "machine.download_model"]
        assert job.state is JobState.FAILED
        assert said[0].hint

    run(scenario())


def test_a_model_is_imported_loaded_kept_unloaded_and_put_in_the_trash(
    frame: Frame, run: Run[Any], workbench: Workbench, tiny_gguf: Path
) -> None:
    async def scenario() -> None:
        panel = await panel_of(frame)
        job = await frame.bridge.submit("machine.import_model", {"source": str(tiny_gguf), "name": "tiny"})
        await until(lambda: panel.model.row_of("tiny") is not None, "the import")
        assert workbench.runtime.wait(job, 30).state is JobState.DONE
        assert select(panel, "tiny").state == "on disk"
        assert panel.model.row_of("tiny") == 0  # what is here comes first

        for press, state in (("load", "loaded"), ("keep", "kept"), ("release", "loaded"), ("unload", "on disk")):
            await until(panel.buttons[press].isEnabled, f"{press} to be possible")
            assert panel.buttons[press].isVisible()
            QTest.mouseClick(panel.buttons[press], Qt.MouseButton.LeftButton)
            await until(lambda state=state: state in select(panel, "tiny").state, state)
            if press == "load":
                assert "tiny" in panel.bar.accessibleDescription()
                assert "MiB of" in panel.words.text()
        assert panel.bar.accessibleDescription() == "no model in memory"

        QTest.mouseClick(panel.buttons["trash"], Qt.MouseButton.LeftButton)
        await until(lambda: select(panel, "tiny").state == "in Trash", "the Trash")
        QTest.mouseClick(panel.buttons["restore"], Qt.MouseButton.LeftButton)
        await until(lambda: select(panel, "tiny").state == "on disk", "the way back")

    run(scenario())


@pytest.mark.parametrize(
    ("live", "breaker", "said"),
    [
        pytest.param({}, "closed", "on disk", id="on disk"),
        pytest.param({"state": "loading"}, "closed", "loading…", id="loading"),
        pytest.param({"state": "loaded", "leases": 1}, "closed", "answering", id="in use"),
        pytest.param({"state": "loaded", "leases": 0, "idle_s": 185.0}, "closed", "loaded, idle 3 min", id="idle"),
        pytest.param({"state": "loaded", "leases": 0, "is_pinned": True}, "closed", "loaded, kept", id="kept"),
        pytest.param({}, "open", "resting after failures", id="breaker"),
    ],
)
def test_a_model_s_state_in_words(live: dict[str, Any], breaker: str, said: str) -> None:
    assert ModelLine("m", "M", "gguf", "small", "on disk", live=live, breaker=breaker).state == said


def test_servers_are_listed_with_what_is_known_of_them() -> None:
    one = {"id": "lab", "engine": "openai", "tier": "large", "is_remote": True, "context_tokens": 32768}
    (line,) = to_lines([], {"models": [one | {"breaker": "closed", "figures": None}], "memory": None})
    assert (line.title, line.state, line.facts["Context"]) == ("lab", "on a server", "32,768 tokens")
