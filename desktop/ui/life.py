"""The window's life after its first paint: fill it, build the workbench, offer what was left over, quit.

Everything here runs under asyncio on Qt's loop; there is no nested event loop anywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import qasync
from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QIcon

from desktop import __version__, studios
from desktop.core.errors import AppError
from desktop.core.jobs import JobRecord, JobState
from desktop.core.paths import resources_dir
from desktop.ui import notify, theme
from desktop.ui.bridge import Bridge
from desktop.ui.frame import Frame
from desktop.ui.garbage import WindowCollector
from desktop.ui.widgets.banner import Notice
from desktop.ui.widgets.sheet import ask_yes

if TYPE_CHECKING:
    from desktop.ui.first_paint import Window
    from desktop.ui.main_window import Application, Build
    from desktop.ui.single_instance import Instance
    from desktop.ui.window_state import WindowState
    from desktop.workers.workbench import Workbench

T = TypeVar("T")


class Life(QObject):
    """From the first paint to the end."""

    def __init__(self, app: Application, window: Window, state: WindowState, instance: Instance, build: Build) -> None:
        super().__init__(window)  # its connections to the application end with the window
        self._app, self._instance, self._build = app, instance, build
        self.frame = Frame(window, Bridge(app), state)
        self._collector = WindowCollector(app)
        self._done: asyncio.Future[int]
        self._is_quitting = False
        self._badge = 0

    def run(self, given: Sequence[str]) -> int:
        """Open what was given, then run until the person quits; returns the exit code."""
        loop = qasync.QEventLoop(self._app)
        loop.set_default_executor(ThreadPoolExecutor(2, "window"))
        asyncio.set_event_loop(loop)
        with loop:
            return int(loop.run_until_complete(self.live(given)))

    async def live(self, given: Sequence[str]) -> int:
        """The whole life, on the running loop."""
        frame, app, loop = self.frame, self._app, asyncio.get_running_loop()
        theme.apply_theme(app, theme.wish_of(frame.state.text("appearance")))
        self._done = loop.create_future()
        for data in given:
            frame.open_data(data)
        self._instance.listen()
        self._instance.handedOver.connect(self._on_handed_over)
        app.fileOpened.connect(frame.open_data)
        app.setWindowIcon(QIcon(str(resources_dir() / "icons" / "benchtop.svg")))
        app.applicationStateChanged.connect(self._on_active)
        app.styleHints().colorSchemeChanged.connect(self._on_scheme)
        if hasattr(app.styleHints(), "accessibility"):
            app.styleHints().accessibility().contrastPreferenceChanged.connect(self._on_scheme)
        frame.closed.connect(self._on_closed)
        frame.bridge.jobChanged.connect(self._on_job)
        frame.actions.handle({"ui.quit": self._on_quit, "ui.show_about": self._on_about})
        with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
            loop.add_signal_handler(signal.SIGINT, self._on_quit)
            loop.add_signal_handler(signal.SIGTERM, self._end)
        building = asyncio.wrap_future(_in_thread(self._build))
        frame.bridge.start(self._attach(building))
        try:
            return await self._done
        finally:
            await self._close(building)
            with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
                loop.remove_signal_handler(signal.SIGINT)
                loop.remove_signal_handler(signal.SIGTERM)

    # ---- the workbench ------------------------------------------------------------------------------------------

    async def _attach(self, building: asyncio.Future[Workbench]) -> None:
        try:
            workbench = await asyncio.shield(building)
        except AppError as error:
            self.frame.show_machine("Cannot start")
            self.frame.banner.show_notice(Notice.of(error))
            return
        bridge, frame = self.frame.bridge, self.frame
        workbench.sandbox.stay_warm()
        bridge.attach(workbench)
        bridge.settingsChanged.connect(self._on_settings)
        await bridge.read(workbench.settings.fields)  # each section is checked when it is first asked for
        self._on_settings(workbench.settings.fault)
        for told in workbench.store.notices:
            frame.banner.queue_notice(Notice(told.message, told.hint, "warning", details=told.code))
        frame.seed_jobs(await bridge.read(workbench.runtime.jobs))
        self._offer_interrupted(await bridge.read(workbench.runtime.interrupted))

    def _offer_interrupted(self, jobs: Sequence[JobRecord]) -> None:
        if not jobs:
            return
        names = jobs[0].title if len(jobs) == 1 else f"{len(jobs)} jobs"
        were = "was" if len(jobs) == 1 else "were"

        async def rerun_each() -> None:
            for job in jobs:
                await self.frame.bridge.rerun(job.id)

        def run_again() -> None:
            self.frame.bridge.start(rerun_each())
            self.frame.show_section("activity")

        self.frame.banner.queue_notice(
            Notice(
                f"{names} {were} interrupted when Benchtop last ended.",
                "Nothing that was finished is lost.",
                "warning",
                "Run Again",
                run_again,
            )
        )

    async def _close(self, building: asyncio.Future[Workbench]) -> None:
        self.frame.remember()
        self.frame.window.hide()
        await self.frame.bridge.close()
        with contextlib.suppress(AppError):  # of the building, which was shown when it happened
            workbench = await building
            await asyncio.wrap_future(_in_thread(workbench.close))
        self._instance.release()
        self._collector.stop()

    # ---- quitting -----------------------------------------------------------------------------------------------

    def _on_quit(self) -> None:
        if not self._is_quitting:
            self._is_quitting = True
            self.frame.bridge.start(self._quit())

    async def _quit(self) -> None:
        try:
            lost = [job.title for job in self.frame.jobs.values() if is_lost_by_quitting(job)]
            if lost:
                self.frame.bring_to_front()
                text = f"“{lost[0]}” is running." if len(lost) == 1 else f"{len(lost)} jobs are running."
                if not await ask_yes(self.frame.window, text, "Quitting stops it, and it cannot resume.", "Quit"):
                    return
            self._end()
        finally:
            self._is_quitting = False

    def _end(self) -> None:
        if not self._done.done():
            self._done.set_result(0)

    def _on_closed(self) -> None:
        """Closing keeps jobs. Where there is no Dock to come back from, the last job's end quits."""
        if sys.platform != "darwin" and not self._is_busy():
            self._end()

    def _is_busy(self) -> bool:
        return any(not job.state.is_final for job in self.frame.jobs.values())

    # ---- what happens meanwhile ---------------------------------------------------------------------------------

    def _on_job(self, job: JobRecord) -> None:
        running = sum(known.state == JobState.RUNNING for known in self.frame.jobs.values())
        if running != self._badge:
            self._badge = running
            notify.show_badge(self._app, running)
        if job.state.is_final:
            general = self.frame.bridge.workbench.settings.get("general")
            if general.notify:
                notify.call(self._app, self.frame.window, job, after_s=general.notify_after_s)
            if self.frame.window.isHidden() and sys.platform != "darwin" and not self._is_busy():
                self._end()

    def _on_handed_over(self, given: list[str]) -> None:
        self.frame.bring_to_front()
        for data in given:
            self.frame.open_data(data)

    def _on_active(self, state: Qt.ApplicationState) -> None:
        if state == Qt.ApplicationState.ApplicationActive and self.frame.window.isHidden() and sys.platform == "darwin":
            self.frame.window.show()

    def _on_scheme(self) -> None:
        theme.apply_theme(self._app, theme.wish_of(self.frame.state.text("appearance")))

    def _on_settings(self, fault: str | None) -> None:
        bridge = self.frame.bridge
        general = bridge.workbench.settings.get("general")
        if general.theme != self.frame.state.text("appearance", "system"):
            self.frame.state.put("appearance", general.theme)
            theme.apply_theme(self._app, theme.wish_of(general.theme))
        if fault:
            self.frame.banner.show_notice(Notice(fault, "The last good settings stay in force.", "warning"))
        bridge.start(self._show_machine())

    async def _show_machine(self) -> None:
        self.frame.show_machine(*await self.frame.bridge.read(machine_words, self.frame.bridge.workbench))

    def _on_about(self) -> None:
        self.frame.banner.show_notice(
            Notice(f"Benchtop {__version__}", "Answers out of data that should not leave your Mac. Apache-2.0.")
        )


NETWORK_WORDS = {"never": "offline", "ask": "network on request", "allow": "network allowed"}
ISOLATION_WORDS = {"docker": "Docker sandbox", "os": "system sandbox", "process": "no sandbox"}


def machine_words(workbench: Workbench) -> tuple[str, str]:
    """Isolation and network for the status bar: in a few words, and in full. For a thread: it may ask Docker."""
    mode = workbench.settings.get("net").mode
    try:
        choice = asyncio.run(workbench.sandbox.choose("auto", "template"))
        words, detail = ISOLATION_WORDS[choice.kind], choice.detail
    except AppError as error:
        words, detail = "no sandbox", str(error)
    return f"{words} · {NETWORK_WORDS.get(mode, mode)}", detail


def is_lost_by_quitting(job: JobRecord) -> bool:
    """Whether quitting now would lose work: it runs, and its kind cannot start again by itself."""
    if job.state != JobState.RUNNING:
        return False
    known = studios.jobs().get(job.kind)
    return known is None or not known[1].resumable


def _in_thread(fn: Callable[[], T]) -> Future[T]:
    """Run a blocking call in a thread of its own."""
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(fn())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, name="window-build", daemon=True).start()
    return future
