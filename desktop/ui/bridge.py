"""The only crossing between the window's thread and the workers' threads.

Events come in on any thread and leave as Qt signals on the window's thread, at most one delivery a frame and never
more at once than a frame has room for. Requests go out as jobs, as calls in a child process, or as quick reads in a
thread. Imports neither asyncio nor numerics until it is used: it is part of the first paint.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from PySide6.QtCore import QObject, QTimer, Signal

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    from desktop.core.events import Event
    from desktop.core.jobs import JobRecord
    from desktop.core.models import Models
    from desktop.workers.workbench import Workbench

T = TypeVar("T")

FRAME_MS = 33  # between two deliveries
BUDGET_S = 0.008  # spent in one delivery before the rest waits for the next
SWITCH_S = 0.001  # a busy thread gives way this often; Python's own 5 ms add up over the calls of one repaint
LOG_LINES = 2000  # kept between two deliveries for one job; a flood loses its oldest lines


class Bridge(QObject):
    """Signals from the workers, requests to them.

    jobChanged(JobRecord)          the latest state of a job; states between two frames are skipped
    jobLogged(job_id, list[str])   log lines since the last delivery
    tablesChanged(frozenset[str])  tables that a committed write touched
    settingsChanged(str | None)    settings were read again; the text is the fault of the file, if it has one
    attached()                     the workbench is built; before it, submit, call and read may not be used
    faulted(object)                a task of the window failed: an AppError, or a bug
    """

    jobChanged = Signal(object)
    jobLogged = Signal(str, object)
    tablesChanged = Signal(object)
    settingsChanged = Signal(object)
    attached = Signal()
    faulted = Signal(object)
    _woken = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._workbench: Workbench | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._lock = threading.Lock()
        self._jobs: dict[str, JobRecord] = {}
        self._lines: dict[str, deque[str]] = {}
        self._tables: set[str] = set()
        self._settings: list[str | None] = []
        self._is_due = self._is_closed = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._readers: ThreadPoolExecutor | None = None
        self._asker: ThreadPoolExecutor | None = None
        self._timer = QTimer(self, singleShot=True, interval=FRAME_MS)
        self._timer.timeout.connect(self._deliver)
        self._woken.connect(self._on_woken)

    # ---- the workbench ------------------------------------------------------------------------------------------

    @property
    def is_attached(self) -> bool:
        return self._workbench is not None

    @property
    def workbench(self) -> Workbench:
        """The headless half. Ask only after `attached`."""
        if self._workbench is None:
            raise RuntimeError("the workbench is not built yet")
        return self._workbench

    def attach(self, workbench: Workbench) -> None:
        """Start listening to a workbench and announce it."""
        sys.setswitchinterval(SWITCH_S)
        self._workbench = workbench
        self._unsubscribe = workbench.bus.subscribe(self.receive)
        self.attached.emit()

    async def close(self) -> None:
        """Stop listening, end what was started, let the reader threads end. The workbench stays open."""
        import asyncio

        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        self._is_closed = True
        self._timer.stop()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        threads, self._readers, self._asker = (self._readers, self._asker), None, None
        for executor in filter(None, threads):
            await asyncio.to_thread(executor.shutdown, cancel_futures=True)

    # ---- out: requests ------------------------------------------------------------------------------------------

    async def submit(self, kind: str, params: dict[str, Any]) -> str:
        """Queue a job; returns its id once it is in the store. Raises AppError for bad parameters."""
        return await self._ask(self.workbench.runtime.submit, kind, params)

    async def cancel(self, job_id: str) -> None:
        """Stop a job, now."""
        await self._ask(self.workbench.runtime.cancel, job_id)

    async def rerun(self, job_id: str) -> str:
        """Queue the same job again; returns the new id."""
        return await self._ask(self.workbench.runtime.rerun, job_id)

    async def _ask(self, fn: Callable[..., T], /, *args: Any) -> T:
        """On a thread of its own, one after the other: the order of the calls is the order of the jobs.

        The store answers once the disk has it, which this thread must not wait for.
        """
        import asyncio
        from concurrent.futures import ThreadPoolExecutor

        if self._is_closed:
            raise asyncio.CancelledError
        if self._asker is None:
            self._asker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="window-ask")
        return await asyncio.wrap_future(self._asker.submit(fn, *args))

    async def call(self, fn: Callable[..., T], /, *args: Any) -> T:
        """Run a module-level function in a child process: for parsing, fitting and anything above a few ms."""
        import asyncio

        if self._is_closed:
            raise asyncio.CancelledError
        return await asyncio.wrap_future(self.workbench.runtime.call(fn, *args))

    async def ask_models(self, fn: Callable[[Models], T]) -> T:
        """Ask the models something quick on the loop they live on."""
        import asyncio

        async def answer() -> T:
            return fn(self.workbench.models)

        if self._is_closed:
            raise asyncio.CancelledError
        return await asyncio.wrap_future(self.workbench.runtime.host(answer()))

    async def read(self, fn: Callable[..., T], /, *args: Any) -> T:
        """Run a short blocking read (a query, a small file) in a thread."""
        import asyncio
        from concurrent.futures import ThreadPoolExecutor

        if self._is_closed:
            raise asyncio.CancelledError
        if self._readers is None:
            self._readers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="window-read")
        return await asyncio.wrap_future(self._readers.submit(fn, *args))

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine as a task that is kept, and whose failure is shown through `faulted`."""
        import asyncio

        task = asyncio.ensure_future(work)
        if self._is_closed:
            task.cancel()  # before its first line: nobody would end what it starts
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        from desktop.core.errors import AppError

        error = task.exception()
        if error is None:
            return
        if not isinstance(error, AppError):
            import logging

            logging.getLogger(__name__).error("a task of the window failed", exc_info=error)
        self.faulted.emit(error)

    # ---- in: events, on any thread ------------------------------------------------------------------------------

    def receive(self, event: Event) -> None:
        """Take an event on whatever thread it comes; returns at once."""
        from desktop.core.events import JobChanged, JobLogged, SettingsChanged, TablesChanged

        with self._lock:
            match event:
                case JobChanged(job):
                    self._jobs[job.id] = job
                case JobLogged(job_id, line):
                    self._lines.setdefault(job_id, deque(maxlen=LOG_LINES)).append(line)
                case TablesChanged(tables):
                    self._tables |= tables
                case SettingsChanged(fault):
                    self._settings = [fault]
            is_first, self._is_due = not self._is_due, True
        if is_first:
            self._woken.emit()

    def _on_woken(self) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _deliver(self) -> None:
        until = time.perf_counter() + BUDGET_S
        with self._lock:
            jobs, self._jobs = self._jobs, {}
            lines, self._lines = self._lines, {}
            tables, self._tables = self._tables, set()
            settings, self._settings = self._settings, []
            self._is_due = False
        if tables:
            self.tablesChanged.emit(frozenset(tables))
        for fault in settings:
            self.settingsChanged.emit(fault)
        while jobs and time.perf_counter() < until:
            self.jobChanged.emit(jobs.pop(next(iter(jobs))))
        while lines and time.perf_counter() < until:
            job_id = next(iter(lines))
            self.jobLogged.emit(job_id, list(lines.pop(job_id)))
        if jobs or lines:
            self._put_back(jobs, lines)

    def _put_back(self, jobs: dict[str, JobRecord], lines: dict[str, deque[str]]) -> None:
        with self._lock:
            self._jobs = jobs | self._jobs
            for job_id, newer in self._lines.items():
                lines.setdefault(job_id, deque(maxlen=LOG_LINES)).extend(newer)
            self._lines = lines
            self._is_due = True
        self._timer.start()
