"""The life of the window: one instance, first paint, workbench, jobs left over, quitting.

Stage one shows the frame with nothing but Qt. Stage two, after that paint, starts asyncio on Qt's loop, builds the
workbench in a thread and fills the panels. There is no nested event loop anywhere.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QFileOpenEvent, QIcon
from PySide6.QtWidgets import QApplication

from desktop import studios
from desktop.core.errors import AppError
from desktop.core.jobs import JobRecord, JobState
from desktop.core.paths import Paths, resources_dir
from desktop.ui import notify, theme
from desktop.ui.bridge import Bridge
from desktop.ui.frame import Frame
from desktop.ui.single_instance import Instance
from desktop.ui.widgets.banner import Notice
from desktop.ui.window_state import WindowState

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

    from desktop.workers.workbench import Workbench

T = TypeVar("T")
Build = Callable[[], "Workbench"]


class Application(QApplication):
    """The QApplication. fileOpened(str): the Dock or the file manager gave us a file."""

    fileOpened = Signal(str)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QFileOpenEvent):
            self.fileOpened.emit(event.file())
            return True
        return super().event(event)


def open_window(build: Build, argv: Sequence[str]) -> int:
    """Open the window, or hand `argv` (paths, accessions) to the one that is open; returns the exit code."""
    paths = Paths.default()
    app = Application([sys.argv[0]])
    app.setApplicationName("Benchtop")
    app.setDesktopFileName("benchtop")
    app.setQuitOnLastWindowClosed(False)
    instance = Instance(paths.home, app)
    given = [str(Path(item).resolve()) if Path(item).exists() else item for item in argv]
    if not instance.acquire():
        if instance.hand_over(given):
            return 0
        sys.stderr.write("Benchtop is already open but does not answer. Quit it, then try again.\n")
        return 1
    state = WindowState(paths.home / "window.json")
    theme.apply_fonts(app)
    theme.apply_theme(app, theme.wish_of(state.text("appearance")))
    bridge = Bridge(app)
    frame = Frame(bridge, state)
    app.fileOpened.connect(frame.open_data)
    for data in given:
        frame.open_data(data)
    frame.painted.connect(lambda: QTimer.singleShot(0, app.exit))
    frame.show()
    app.exec()  # until the first paint; the rest runs under asyncio on Qt's loop
    life = Life(app, frame, instance, build)
    return life.run()


class Life(QObject):
    """From the first paint to the end."""

    def __init__(self, app: Application, frame: Frame, instance: Instance, build: Build) -> None:
        super().__init__(app)
        self._app, self._frame, self._instance, self._build = app, frame, instance, build
        self._is_quitting = False
        self._badge = 0

    def run(self) -> int:
        """Run until the person quits."""
        import asyncio
        from concurrent.futures import ThreadPoolExecutor

        import qasync

        loop = qasync.QEventLoop(self._app)
        loop.set_default_executor(ThreadPoolExecutor(2, "window"))
        asyncio.set_event_loop(loop)
        self._done: asyncio.Future[int] = loop.create_future()
        with loop:
            return int(loop.run_until_complete(self._live()))

    async def _live(self) -> int:
        import asyncio

        frame, app = self._frame, self._app
        self._instance.listen()
        self._instance.handedOver.connect(self._on_handed_over)
        app.setWindowIcon(QIcon(str(resources_dir() / "icons" / "benchtop.svg")))
        app.applicationStateChanged.connect(self._on_active)
        app.styleHints().colorSchemeChanged.connect(self._on_scheme)
        frame.closed.connect(self._on_closed)
        frame.bridge.jobChanged.connect(self._on_job)
        frame.actions_.handle({"ui.quit": self._on_quit, "ui.show_about": self._on_about})
        with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._on_quit)
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._end)
        building = asyncio.wrap_future(_in_thread(self._build))
        frame.bridge.start(self._attach(building))
        try:
            return await self._done
        finally:
            await self._close(building)

    # ---- the workbench ------------------------------------------------------------------------------------------

    async def _attach(self, building: asyncio.Future[Workbench]) -> None:
        import asyncio

        try:
            workbench = await asyncio.shield(building)
        except AppError as error:
            self._frame.show_machine("Cannot start")
            self._frame.banner.show_notice(Notice.of(error))
            return
        bridge, frame = self._frame.bridge, self._frame
        bridge.attach(workbench)
        bridge.settingsChanged.connect(self._on_settings)
        self._on_settings(None)
        frame.seed_jobs(await bridge.read(workbench.runtime.jobs))
        self._offer_interrupted(await bridge.read(workbench.runtime.interrupted))

    def _offer_interrupted(self, jobs: Sequence[JobRecord]) -> None:
        if not jobs:
            return
        names = jobs[0].title if len(jobs) == 1 else f"{len(jobs)} jobs"
        were = "was" if len(jobs) == 1 else "were"

        def run_again() -> None:
            for job in jobs:
                self._frame.bridge.rerun(job.id)
            self._frame.show_section("activity")

        self._frame.banner.show_notice(
            Notice(
                f"{names} {were} interrupted when Benchtop last ended.",
                "Nothing that was finished is lost.",
                "warning",
                "Run Again",
                run_again,
            )
        )

    async def _close(self, building: asyncio.Future[Workbench]) -> None:
        import asyncio

        self._frame.remember()
        self._frame.hide()
        with contextlib.suppress(Exception):
            workbench = await building
            self._frame.bridge.close()
            await asyncio.wrap_future(_in_thread(workbench.close))
        self._frame.bridge.close()
        self._instance.release()

    # ---- quitting -----------------------------------------------------------------------------------------------

    def _on_quit(self) -> None:
        if not self._is_quitting:
            self._is_quitting = True
            self._frame.bridge.start(self._quit())

    async def _quit(self) -> None:
        from desktop.ui.widgets.sheet import ask_yes

        try:
            lost = [job.title for job in self._frame.jobs.values() if is_lost_by_quitting(job)]
            if lost:
                self._frame.bring_to_front()
                text = f"“{lost[0]}” is running." if len(lost) == 1 else f"{len(lost)} jobs are running."
                if not await ask_yes(self._frame, text, "Quitting stops it, and it cannot resume.", "Quit"):
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
        return any(not job.state.is_final for job in self._frame.jobs.values())

    # ---- what happens meanwhile ---------------------------------------------------------------------------------

    def _on_job(self, job: JobRecord) -> None:
        running = sum(known.state == JobState.RUNNING for known in self._frame.jobs.values())
        if running != self._badge:
            self._badge = running
            notify.show_badge(self._app, running)
        if job.state.is_final:
            notify.call(self._app, self._frame, job)
            if self._frame.isHidden() and sys.platform != "darwin" and not self._is_busy():
                self._end()

    def _on_handed_over(self, given: list[str]) -> None:
        self._frame.bring_to_front()
        for data in given:
            self._frame.open_data(data)

    def _on_active(self, state: Qt.ApplicationState) -> None:
        if state == Qt.ApplicationState.ApplicationActive and self._frame.isHidden() and sys.platform == "darwin":
            self._frame.show()

    def _on_scheme(self) -> None:
        theme.apply_theme(self._app, theme.wish_of(self._frame.state.text("appearance")))

    def _on_settings(self, fault: str | None) -> None:
        if fault:
            self._frame.banner.show_notice(Notice(fault, "The last good settings stay in force.", "warning"))

    def _on_about(self) -> None:
        from desktop import __version__

        self._frame.banner.show_notice(
            Notice(f"Benchtop {__version__}", "Answers out of data that should not leave your Mac. Apache-2.0.")
        )


def is_lost_by_quitting(job: JobRecord) -> bool:
    """Whether quitting now would lose work: it runs, and its kind cannot start again by itself."""
    if job.state != JobState.RUNNING:
        return False
    known = studios.jobs().get(job.kind)
    return known is None or not known[1].resumable


def _in_thread(fn: Callable[[], T]) -> Future[T]:
    """Run a blocking call in a thread of its own."""
    from concurrent.futures import Future

    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(fn())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, name="window-build", daemon=True).start()
    return future
