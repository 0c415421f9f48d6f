"""A real window over a real workbench in a temporary folder, with a few small jobs of our own; no display needed."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import qasync
from PySide6.QtWidgets import QApplication

from desktop import app as composition
from desktop import studios
from desktop.core.paths import Paths
from desktop.ui import theme
from desktop.ui.bridge import Bridge
from desktop.ui.first_paint import Window
from desktop.ui.frame import Frame
from desktop.ui.main_window import Application
from desktop.ui.window_state import WindowState
from desktop.workers.workbench import Workbench
from tests.ui.quick_jobs import QUICK_STUDIO

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]


@pytest.fixture(autouse=True)
def no_leaked_threads() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    until = time.monotonic() + 5
    while time.monotonic() < until:
        left = [thread for thread in threading.enumerate() if thread not in before and thread.is_alive()]
        if not left:
            return
        time.sleep(0.02)
    pytest.fail(f"threads left running: {left}")


@pytest.fixture(autouse=True)
def collected_on_this_thread() -> Iterator[None]:
    """As in the window: Python's collector never frees a Qt object on another thread."""
    gc.disable()
    yield
    gc.collect()
    gc.enable()


@pytest.fixture(scope="session")
def qapp_cls() -> type[QApplication]:
    """The window's own application class."""
    return Application


@pytest.fixture
def loop(qapp: QApplication) -> Iterator[qasync.QEventLoop]:
    qapp.setQuitOnLastWindowClosed(False)
    made = qasync.QEventLoop(qapp)
    executor = ThreadPoolExecutor(2, "test-window")
    made.set_default_executor(executor)
    asyncio.set_event_loop(made)
    yield made
    executor.shutdown()
    made.close()
    asyncio.set_event_loop(None)


@pytest.fixture
def run(loop: qasync.QEventLoop) -> Run[Any]:
    """Run a coroutine on Qt's loop to its end, as the window does."""
    return lambda work: loop.run_until_complete(asyncio.wait_for(work, 240))


@pytest.fixture
def workbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    """The real headless half; its runtime also knows the quick jobs."""
    known = studios.jobs()
    monkeypatch.setattr(studios, "jobs", lambda: known | {job.id: (QUICK_STUDIO, job) for job in QUICK_STUDIO.jobs})
    made = composition.build(Paths(tmp_path / "home"))
    yield made
    made.close()


@pytest.fixture
def frame(qapp: QApplication, run: Run[Any], tmp_path: Path, workbench: Workbench) -> Iterator[Frame]:
    """The window, shown and attached."""
    theme.apply_fonts(qapp)
    theme.apply_theme(qapp, "light")
    made = make_frame(qapp, tmp_path)

    async def attach() -> None:
        made.bridge.attach(workbench)
        await asyncio.sleep(0.05)

    run(attach())
    yield made
    close_frame(made, run)


def make_frame(qapp: QApplication, folder: Path) -> Frame:
    """A window that remembers in `folder`, shown, without a workbench."""
    state = WindowState(folder / "window.json")
    window = Window(state)
    made = Frame(window, Bridge(qapp), state)
    window.show()
    return made


def close_frame(made: Frame, run: Run[Any]) -> None:
    """Close it and let Qt delete it."""

    async def close() -> None:
        await made.bridge.close()
        made.window.close()
        made.window.deleteLater()
        await asyncio.sleep(0.02)

    run(close())


async def until(condition: Callable[[], object], what: str = "the condition", limit_s: float = 60) -> None:
    """Wait on Qt's loop until something is so."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, f"{what} did not come true"
        await asyncio.sleep(0.01)


async def settled(awaitable: Awaitable[T]) -> T:
    """The value, after the window has taken notice."""
    value = await awaitable
    await asyncio.sleep(0.1)
    return value
