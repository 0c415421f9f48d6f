"""From the first paint to the end: attach, offer what was cut off, hand-over, closing, quitting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QEvent, Qt, QUrl
from PySide6.QtGui import QFileOpenEvent
from PySide6.QtWidgets import QMessageBox, QToolButton

from desktop import app as composition
from desktop import studios
from desktop.core.errors import AppError
from desktop.core.jobs import JobState
from desktop.core.paths import Paths
from desktop.store import jobs as rows
from desktop.ui.first_paint import Window
from desktop.ui.life import Life
from desktop.ui.main_window import Application
from desktop.ui.single_instance import Instance
from desktop.ui.widgets.banner import Banner, Notice
from desktop.ui.window_state import WindowState
from desktop.workers.workbench import Workbench
from tests.ui.conftest import Run, until
from tests.ui.quick_jobs import QUICK_STUDIO


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    known = studios.jobs()
    monkeypatch.setattr(studios, "jobs", lambda: known | {job.id: (QUICK_STUDIO, job) for job in QUICK_STUDIO.jobs})
    return tmp_path / "home"


def lived(
    qapp: Application,
    home: Path,
    scenario: Callable[[Life], Coroutine[Any, Any, None]],
    build: Callable[[], Workbench] | None = None,
) -> Coroutine[Any, Any, int]:
    """A whole life with a scenario in it; its end is the scenario's affair."""

    async def live() -> int:
        instance = Instance(home)
        assert instance.acquire()
        state = WindowState(home / "window.json")
        window = Window(state)
        life = Life(qapp, window, state, instance, build or (lambda: composition.build(Paths(home))))
        window.show()
        living = asyncio.ensure_future(life.live([]))
        try:
            await scenario(life)
            return await asyncio.wait_for(living, 30)
        finally:
            living.cancel()
            await asyncio.gather(living, return_exceptions=True)
            window.deleteLater()
            await asyncio.sleep(0.02)

    return live()


def test_quitting_an_idle_window_asks_nothing(qapp: Application, run: Run[Any], home: Path) -> None:
    async def scenario(life: Life) -> None:
        await until(lambda: life.frame.bridge.is_attached)
        await until(lambda: life.frame.status_words[1], "the machine's state")
        assert "network on request" in life.frame.status_words[1]
        life.frame.actions["ui.quit"].trigger()

    assert run(lived(qapp, home, scenario)) == 0
    again = Instance(home)
    assert again.acquire(), "the lock is free"
    again.release()


def sheet(life: Life) -> QMessageBox | None:
    return next((box for box in life.frame.window.findChildren(QMessageBox) if box.isVisible()), None)


def press(box: QMessageBox, text: str) -> None:
    next(button for button in box.buttons() if button.text().replace("&", "") == text).click()


def test_quitting_asks_only_for_what_cannot_resume(qapp: Application, run: Run[Any], home: Path) -> None:
    async def scenario(life: Life) -> None:
        frame = life.frame
        await until(lambda: frame.bridge.is_attached)
        job_id = await frame.bridge.submit("quick.hold", {"upto": 2, "pause_s": 60})
        await until(lambda: job_id in frame.jobs and frame.jobs[job_id].state is JobState.RUNNING)
        frame.actions["ui.quit"].trigger()
        await until(lambda: sheet(life), "the question")
        box = sheet(life)
        assert box is not None
        assert box.windowModality() == Qt.WindowModality.WindowModal
        assert "Hold" in box.text()
        press(box, "Cancel")
        await until(lambda: sheet(life) is None)
        await asyncio.sleep(0.1)
        assert frame.jobs[job_id].state is JobState.RUNNING
        frame.actions["ui.quit"].trigger()
        await until(lambda: sheet(life), "the question again")
        box = sheet(life)
        assert box is not None
        press(box, "Quit")

    assert run(lived(qapp, home, scenario)) == 0


def test_a_resumable_job_does_not_hold_the_window(qapp: Application, run: Run[Any], home: Path) -> None:
    async def first(life: Life) -> None:
        frame = life.frame
        await until(lambda: frame.bridge.is_attached)
        job_id = await frame.bridge.submit("quick.count", {"upto": 2, "pause_s": 60})
        await until(lambda: job_id in frame.jobs and frame.jobs[job_id].state is JobState.RUNNING)
        frame.actions["ui.quit"].trigger()
        await asyncio.sleep(0.05)
        assert sheet(life) is None

    async def second(life: Life) -> None:
        frame = life.frame
        await until(lambda: frame.banner.notice.button == "Run Again", "the offer")
        assert "was interrupted" in frame.banner.notice.text
        assert frame.banner.notice.on_button is not None
        frame.banner.notice.on_button()
        await until(lambda: any(job.rerun_of for job in frame.jobs.values()), "the second attempt")
        assert frame.sidebar.current == "activity"
        for job in frame.jobs.values():
            if not job.state.is_final:
                await frame.bridge.cancel(job.id)
        await until(lambda: all(job.state.is_final for job in frame.jobs.values()))
        frame.actions["ui.quit"].trigger()

    run(lived(qapp, home, first))
    run(lived(qapp, home, second))
    store = composition.build(Paths(home))
    assert rows.read_interrupted(store.store) == []
    store.close()


def test_closing_the_window_keeps_a_running_job(
    qapp: Application, run: Run[Any], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")

    async def scenario(life: Life) -> None:
        frame = life.frame
        await until(lambda: frame.bridge.is_attached)
        job_id = await frame.bridge.submit("quick.count", {"upto": 20, "pause_s": 0.05})
        await until(lambda: job_id in frame.jobs and frame.jobs[job_id].state is JobState.RUNNING)
        frame.window.close()
        await until(lambda: frame.jobs[job_id].state.is_final)
        assert frame.jobs[job_id].state is JobState.DONE

    assert run(lived(qapp, home, scenario)) == 0, "the end of the last job ends the program where there is no Dock"


class NoDiskError(AppError):
    code = "test.no_disk"


def test_a_store_that_cannot_be_opened_is_explained(qapp: Application, run: Run[Any], home: Path) -> None:
    def build() -> Workbench:
        raise NoDiskError("The store cannot be opened.", hint="Free some space.")

    async def scenario(life: Life) -> None:
        await until(lambda: life.frame.banner.isVisible())
        assert life.frame.banner.notice.text == "The store cannot be opened."
        assert life.frame.banner.notice.hint == "Free some space."
        assert life.frame.banner.notice.tone == "error"
        life.frame.actions["ui.quit"].trigger()

    assert run(lived(qapp, home, scenario, build)) == 0


def test_files_from_the_dock_are_opened(qapp: Application, run: Run[Any], home: Path) -> None:
    async def scenario(life: Life) -> None:
        await until(lambda: life.frame.bridge.is_attached)
        event = QFileOpenEvent(QUrl.fromLocalFile(str(home / "counts.csv")))
        assert event.type() == QEvent.Type.FileOpen
        qapp.sendEvent(qapp, event)
        await until(lambda: life.frame.jobs, "the job that looks at the file")
        (job,) = life.frame.jobs.values()
        assert job.params["data"] == str(home / "counts.csv")
        await until(lambda: life.frame.jobs[job.id].state.is_final)
        life.frame.actions["ui.quit"].trigger()

    assert run(lived(qapp, home, scenario)) == 0


def test_the_appearance_setting_is_obeyed(qapp: Application, run: Run[Any], home: Path) -> None:
    async def scenario(life: Life) -> None:
        await until(lambda: life.frame.bridge.is_attached)
        life.frame.bridge.workbench.settings.change("general", theme="dark")
        await until(lambda: life.frame.state.text("appearance") == "dark")
        assert qapp.palette().base().color().lightness() < 80
        life.frame.bridge.workbench.settings.change("general", theme="light")
        await until(lambda: qapp.palette().base().color().lightness() > 200)
        life.frame.actions["ui.quit"].trigger()

    assert run(lived(qapp, home, scenario)) == 0


def test_what_is_wrong_at_the_start_is_told_one_after_the_other(qapp: Application, run: Run[Any], home: Path) -> None:
    home.mkdir()
    (home / "config.yaml").write_text("general:\n  thme: dark\n", encoding="utf-8")

    async def scenario(life: Life) -> None:
        banner = life.frame.banner
        await until(lambda: "line 2" in banner.notice.text, "the fault of the settings file")
        banner.queue_notice(Notice("The store was restored.", tone="warning"))
        assert "line 2" in banner.notice.text
        button(banner, "Close this notice").click()
        assert banner.notice.text == "The store was restored."
        button(banner, "Close this notice").click()
        assert banner.isHidden()
        life.frame.actions["ui.quit"].trigger()

    assert run(lived(qapp, home, scenario)) == 0


def button(banner: Banner, name: str) -> QToolButton:
    return next(one for one in banner.findChildren(QToolButton) if one.accessibleName() == name)
