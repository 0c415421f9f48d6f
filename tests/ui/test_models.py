"""The Models panel over the real gateway, catalogue and, where it is installed, a real runtime."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMessageBox

from desktop.core.errors import AppError
from desktop.core.jobs import JobRecord, JobState
from desktop.core.models import Message, Prompt, Task
from desktop.gateway.config import ServerSettings
from desktop.studios.machine.queries import ModelRow
from desktop.ui.frame import Frame
from desktop.ui.itemmodels.model_lines import Fetch, ModelLine, fetches_of, to_lines
from desktop.ui.panels.models import ModelsPanel
from desktop.workers.workbench import Workbench
from tests.stand_ins.hub import HubServer, Trouble
from tests.ui.conftest import Run, until
from tests.unit.engines.model_files import folder_files

NO_FETCH = Fetch("", JobState.WAITING, 0.0)
MODEL, REPOSITORY = "qwen2.5-1.5b-instruct", "mlx-community/Qwen2.5-1.5B-Instruct-4bit"


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

        await until(panel.buttons["trash"].isEnabled, "the Trash to be possible")
        QTest.mouseClick(panel.buttons["trash"], Qt.MouseButton.LeftButton)
        await until(lambda: select(panel, "tiny").state == "in Trash", "the Trash again")
        QTest.mouseClick(panel.buttons["empty"], Qt.MouseButton.LeftButton)
        await until(lambda: panel.findChildren(QMessageBox), "the question")
        (box,) = panel.findChildren(QMessageBox)
        next(button for button in box.buttons() if button.text().replace("&", "") == "Delete").click()
        await until(lambda: panel.model.row_of("tiny") is None, "its end")

    run(scenario())


@pytest.mark.parametrize(
    ("live", "breaker", "said"),
    [
        pytest.param({}, "closed", "on disk", id="on disk"),
        pytest.param({"state": "loading"}, "closed", "loading…", id="loading"),
        pytest.param({"state": "loaded", "leases": 1}, "closed", "answering", id="in use"),
        pytest.param({"state": "loaded", "leases": 0, "idle_s": 185.0}, "closed", "loaded, idle 3 min", id="idle"),
        pytest.param({"state": "loaded", "leases": 0, "is_pinned": True}, "closed", "loaded, kept", id="kept"),
        pytest.param({}, "open", "resting after failures, 0 s", id="breaker"),
    ],
)
def test_a_model_s_state_in_words(live: dict[str, Any], breaker: str, said: str) -> None:
    assert ModelLine("m", "M", "gguf", "small", "on disk", live=live, breaker=breaker).state == said


def test_servers_are_listed_with_what_is_known_of_them() -> None:
    lab = ServerSettings(id="lab", url="https://gpu.example.org/v1", model="m-1")
    figures = {
        "requests": 3,
        "failures": {"engines.busy": 1},
        "first_token_s": {"p50": 0.25, "p95": 0.5},
        "total_s": {"p50": 1.5, "p95": 2.0},
        "last_fault": "lab is busy.",
    }
    one = {"id": "lab", "is_remote": True, "breaker": "open", "rests_s": 12.0, "figures": figures}
    (line,) = to_lines([], {"models": [one], "memory": None}, [lab])
    assert (line.title, line.state) == ("lab", "resting after failures, 12 s")
    assert line.facts["Context"] == "32,768 tokens"
    assert line.measured == (
        "3 requests, 1 failed or stopped; first word in 250 ms (95 % within 500 ms); "
        "whole answer in 1.5 s (95 % within 2.0 s). Last failure: lab is busy."
    )
    (line,) = to_lines([], {"models": [], "memory": None}, [lab])
    assert (line.state, line.measured) == ("not allowed", "")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer() as running:
        running.repositories[REPOSITORY] = folder_files(30_000_000)
        running.trouble["model.safetensors"] = Trouble(chunk=1 << 18, pause_s=0.015)
        monkeypatch.setenv("BENCHTOP_NET__HUGGINGFACE_URL", running.base)
        monkeypatch.setenv("BENCHTOP_NET__ALLOWED", "[huggingface]")
        yield running


def test_a_download_shows_how_far_it_is_stops_and_goes_on(
    hub: HubServer, frame: Frame, run: Run[Any], workbench: Workbench
) -> None:
    async def scenario() -> None:
        panel = await panel_of(frame)
        select(panel, MODEL)
        QTest.mouseClick(panel.buttons["download"], Qt.MouseButton.LeftButton)
        await until(lambda: "downloading" in select(panel, MODEL).state, "the download")
        await until(lambda: (select(panel, MODEL).fetch or NO_FETCH).done_frac > 0.3, "a part of it")
        assert "MB of 30 MB" in panel.fit.text()
        assert panel.buttons["stop"].isVisible()
        assert not panel.buttons["download"].isVisible()
        QTest.mouseClick(panel.buttons["stop"], Qt.MouseButton.LeftButton)
        await until(lambda: "stopped at" in select(panel, MODEL).state, "the stop")
        assert panel.buttons["download"].text() == "Resume Download"
        assert "goes on where it was" in panel.fit.text()
        del hub.trouble["model.safetensors"]
        QTest.mouseClick(panel.buttons["download"], Qt.MouseButton.LeftButton)
        await until(lambda: select(panel, MODEL).state == "on disk", "the rest of it")
        assert any(asked.startswith("bytes=") for asked in hub.ranges("model.safetensors"))

    run(scenario())


def test_a_server_is_asked_only_after_a_yes_that_says_what_leaves(
    frame: Frame, run: Run[Any], workbench: Workbench
) -> None:
    known = [{"id": "lab", "url": "https://gpu.example.org/v1", "model": "m-1"}]
    workbench.settings.change("servers", known=known)

    async def scenario() -> None:
        panel = await panel_of(frame)
        await until(lambda: panel.model.row_of("lab") is not None, "the server")
        assert select(panel, "lab").state == "not allowed"
        assert "Nothing goes to https://gpu.example.org/v1" in panel.fit.text()
        for answer, state in ((None, "not allowed"), ("Allow", "on a server")):
            QTest.mouseClick(panel.buttons["allow"], Qt.MouseButton.LeftButton)
            await until(lambda: panel.findChildren(QMessageBox), "the question")
            (box,) = panel.findChildren(QMessageBox)
            assert "What leaves this machine for https://gpu.example.org/v1" in box.informativeText()
            press = next(b for b in box.buttons() if b.text().replace("&", "") == (answer or "Cancel"))
            press.click()
            await until(lambda: not panel.findChildren(QMessageBox), "its end")
            await until(lambda state=state: select(panel, "lab").state == state, state)
        assert workbench.settings.get("net").allowed == ("lab",)
        assert "Large: lab" in panel.slots.text()
        QTest.mouseClick(panel.buttons["withdraw"], Qt.MouseButton.LeftButton)
        await until(lambda: select(panel, "lab").state == "not allowed", "the withdrawal")
        assert workbench.settings.get("net").allowed == ()

    run(scenario())


def test_requests_and_features_are_explained(frame: Frame, run: Run[Any], workbench: Workbench) -> None:
    async def scenario() -> None:
        panel = await panel_of(frame)
        assert "Benchtop works without one" in panel.fit.text()
        panel.pages.setCurrentIndex(1)
        assert "No model was asked" in panel.requests.why.text()
        prompt = Prompt((Message("user", "hi"),), Task("omics.read_question"), max_tokens=9)
        with pytest.raises(AppError):
            await asyncio.wrap_future(workbench.runtime.host(workbench.models.generate(prompt)))
        await until(panel.requests.model.rowCount, "the request")
        assert panel.requests.model.row(0)[1:4] == ("Read question (omics)", "Small", "nobody")
        panel.requests.table.selectRow(0)
        assert "Private: only models on this machine are asked." in panel.requests.why.text()
        assert "There is no model" in panel.requests.why.text()
        panel.pages.setCurrentIndex(2)
        assert ("escalation", "on") in {panel.features.model.row(n)[:2] for n in range(3)}
        (workbench.paths.flags).write_text("escalation: {percent: 25}\n")
        await until(lambda: "on for 25 %" in str([panel.features.model.row(n) for n in range(3)]), "the change")
        (workbench.paths.flags).write_text("nonsense: {}\n")
        await until(lambda: "no flag nonsense" in panel.features.words.text(), "the fault")

    run(scenario())


@pytest.mark.parametrize(
    ("kind", "params", "state", "said"),
    [
        pytest.param("download", {"model": "m"}, JobState.WAITING, "waiting (downloading)", id="waiting"),
        pytest.param("download", {"model": "m"}, JobState.RUNNING, "downloading 40 %", id="downloading"),
        pytest.param("download", {"model": "m"}, JobState.INTERRUPTED, "stopped at 40 %", id="cut off by a crash"),
        pytest.param("import", {"source": "/x/own.gguf"}, JobState.RUNNING, "importing 40 %", id="importing"),
    ],
)
def test_a_model_on_its_way_in_words(kind: str, params: dict[str, str], state: JobState, said: str) -> None:
    row = ModelRow("m", "M", "small", "mlx", "available", 1, 4, 8, ("text",), "MIT", "a/m", "")
    job = JobRecord("j1", f"machine.{kind}_model", "", "machine", "default", "io", state, params, 1.0, done_frac=0.4)
    lines = {line.title: line for line in to_lines([row], {}, (), fetches_of([job]))}
    line = lines["own.gguf" if kind == "import" else "M"]
    assert line.state == said
    assert line.fetch is not None
    assert line.fetch.is_running == (state is not JobState.INTERRUPTED)
