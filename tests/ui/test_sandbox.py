"""The Sandbox page: says what is in force, tests the isolation as a job, shows refusals at their lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QListWidget

from desktop.core.jobs import JobState
from desktop.core.ports import Limits
from desktop.sandbox import bubblewrap
from desktop.ui.frame import Frame
from desktop.ui.panels.sandbox import SandboxPage, ScriptUnreadableError, state_rows
from desktop.workers.workbench import Workbench
from tests.ui.conftest import Run, until
from tests.ui.test_settings import opened

NOWHERE = {"engine": "unix:///nowhere.sock"}


def texts(shown: QListWidget) -> list[str]:
    return [shown.item(row).text() for row in range(shown.count())]


async def page_of(frame: Frame) -> SandboxPage:
    window = opened(frame)
    page = window.findChildren(SandboxPage)[0]
    window.list.choose("Sandbox")
    await until(lambda: any(label.text() == "In force:" for label in page.findChildren(QLabel)), "the state")
    return page


def test_the_page_says_what_is_in_force_and_what_to_do(frame: Frame, run: Run[Any], workbench: Workbench) -> None:
    workbench.settings.change("sandbox", **NOWHERE)

    async def scenario() -> None:
        page = await page_of(frame)
        said = " ".join(label.text() for label in page.findChildren(QLabel))
        assert "No Docker engine answers" in said
        assert "benchtop sandbox build" in said
        assert "processors" in said
        assert not page.build.isEnabled()
        assert texts(page.runs) == ["No script ran yet."]
        page.window().close()

    run(scenario())


@pytest.mark.skipif(bubblewrap.version() is None, reason="no working bubblewrap here")
def test_the_isolation_is_tested_with_progress_and_a_list(frame: Frame, run: Run[Any], workbench: Workbench) -> None:
    workbench.settings.change("sandbox", **NOWHERE)

    async def scenario() -> None:
        page = await page_of(frame)
        await until(page.test.isEnabled, "the button")
        QTest.mouseClick(page.test, Qt.MouseButton.LeftButton)
        await until(lambda: not page.stop.isHidden(), "the start")
        assert not page.test.isEnabled()
        await until(lambda: "things were tried" in page.said.text(), "the end", 90)
        assert "everything held" in page.said.text(), texts(page.steps)
        assert len(texts(page.steps)) > 20
        assert all(text.startswith("✓") for text in texts(page.steps))
        page.window().close()

    run(scenario())


@pytest.mark.skipif(bubblewrap.version() is None, reason="no working bubblewrap here")
def test_a_test_can_be_stopped(frame: Frame, run: Run[Any], workbench: Workbench) -> None:
    workbench.settings.change("sandbox", **NOWHERE)

    async def scenario() -> None:
        page = await page_of(frame)
        await until(page.test.isEnabled, "the button")
        page.test.click()
        await until(lambda: page.steps.count() > 0, "the first step", 60)
        page.stop.click()
        await until(lambda: page.said.text() == "Stopped.", "the stop", 30)
        assert page.stop.isHidden()
        assert workbench.runtime.jobs()[0].state is JobState.CANCELLED
        page.window().close()

    run(scenario())


def test_refusals_stand_at_their_lines_with_the_remedy(frame: Frame, run: Run[Any], tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text("import pandas as pd\nimport os\nos.system('ls')\n", encoding="utf-8")

    async def scenario() -> None:
        page = await page_of(frame)
        await page.show_script(script)
        assert 3 in page.code.refused_lines()
        assert "os" in texts(page.findings)[0]
        assert all(text.startswith("Line ") for text in texts(page.findings))
        page.findings.setCurrentRow(page.findings.count() - 1)
        assert page.code.textCursor().blockNumber() == 2
        assert "refused" in page.said.text()
        script.write_text("import pandas as pd\n", encoding="utf-8")
        await page.show_script(script)
        assert page.code.refused_lines() == []
        assert page.findings.isHidden()
        assert page.said.text() == "mine.py: allowed."
        with pytest.raises(ScriptUnreadableError):
            await page.show_script(tmp_path / "absent.py")
        page.window().close()

    run(scenario())


def test_an_older_image_is_said_to_be_older() -> None:
    status = {
        "isolation": "docker",
        "detail": "",
        "engine": {"url": "unix:///x", "found_by": "setting", "version": "1", "architecture": "arm64"},
        "image": "i:1",
        "has_image": True,
        "image_age": "older",
        "warm": 1,
        "os_sandbox": None,
        "limits": {
            name: getattr(Limits(), name)
            for name in ("wall_s", "memory_mb", "cpus", "pids", "output_bytes", "output_entries")
        },
        "hint": "",
    }
    rows = dict(state_rows(status))
    assert rows["Image"] == "i:1; older than this Benchtop: rebuild it"
    assert rows["In force"].startswith("Container")
    assert "What to do" not in rows
