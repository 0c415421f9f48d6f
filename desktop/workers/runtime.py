"""The job runtime: a queue that survives a crash, worked off on an asyncio loop in a thread of its own.

A job is a row in the store before `submit` returns, says "running" there before it begins, and its result is there
before anyone is told. What was running when the program went is "interrupted" at the next start and offered again.
Any thread may call the public methods. Not here: child processes (`children.py`), what jobs do (the studios).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import secrets
import shutil
import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from desktop.core.clock import Clock, SystemClock
from desktop.core.config import SettingsStore
from desktop.core.errors import AppError
from desktop.core.events import EventBus, JobChanged
from desktop.core.jobs import Job, JobError, JobRecord, JobState, Studio, resolve
from desktop.core.paths import Paths
from desktop.core.ports import Net, Sandbox
from desktop.core.trace import SpanBuffer, Trace, span
from desktop.store import jobs as rows
from desktop.store import spans
from desktop.store.db import Database
from desktop.workers.children import Children
from desktop.workers.context import Context
from desktop.workers.errors import BadParamsError, JobStateError, StillRunningError, UnknownJobError
from desktop.workers.live import LiveJob, read_log

T = TypeVar("T")
_CANCEL_GRACE_S = 1.5  # a job that has not ended by then is called cancelled all the same
_STOP_GRACE_S = 3.0
_TICK_S = 1.0
_BACKUP_EVERY_S = 3600.0
_log = logging.getLogger(__name__)


class JobRuntime:
    """Queue, lanes and loop. `start` it once, `stop` it on the way out."""

    def __init__(
        self,
        store: Database,
        jobs: Mapping[str, tuple[Studio, Job]],
        *,
        sandbox: Sandbox,
        net: Net,
        settings: SettingsStore,
        bus: EventBus,
        paths: Paths,
        clock: Clock | None = None,
    ) -> None:
        self._store, self._jobs, self._sandbox, self._net = store, jobs, sandbox, net
        self._settings, self._bus, self._paths, self._clock = settings, bus, paths, clock or SystemClock()
        self._cores = os.cpu_count() or 2
        self._free = {"io": 16, "cpu": self._cores, "sandbox": 2}
        self._waiting: dict[str, JobRecord] = {}  # this and what follows belong to the loop's thread
        self._queued: set[str] = set()  # every id that was ever put into `_waiting`
        self._live: dict[str, LiveJob] = {}
        self._states: dict[str, JobState] = {}
        self._spans = SpanBuffer()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._children: Children | None = None
        self._stopping: asyncio.Event | None = None
        self._ended = threading.Condition()

    # ---- for the front ends, on any thread -----------------------------------------------------------------------

    def submit(
        self, kind: str, params: Mapping[str, Any] | BaseModel, *, project: str = "default", after: Collection[str] = ()
    ) -> str:
        """Queue a job; returns its id once the row is durable.

        params   what the job's schema takes
        after    ids of jobs that must be done first; when one of them fails, so does this
        raises   UnknownJobError, BadParamsError, and the store's errors
        """
        given = params.model_dump(mode="json") if isinstance(params, BaseModel) else dict(params)
        for dependency in after:
            self._known(dependency)
        return self._add(kind, given, project=project, after=tuple(after), attempt=1, rerun_of=None)

    def rerun(self, job_id: str) -> str:
        """Queue an ended job again with the same parameters; returns the new id.

        Jobs that wait for the old one wait for the new one from now on.
        """
        old = self._known(job_id)
        if not old.state.is_final:
            raise JobStateError("This job has not ended yet.", hint="Wait for it, or stop it first.")
        return self._add(old.kind, old.params, project=old.project, after=(), attempt=old.attempt + 1, rerun_of=old.id)

    def cancel(self, job_id: str) -> None:
        """Stop a job, waiting or running; within two seconds it is cancelled. Nothing happens to an ended one."""
        job = self._known(job_id)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._cancel, job_id)
        elif job.state is JobState.WAITING:
            self._finish_now(replace(job, state=JobState.CANCELLED, ended_s=self._clock.now_s()))

    def job(self, job_id: str) -> JobRecord | None:
        """The job as it is this moment."""
        live = self._live.get(job_id)
        return live.record if live else rows.read_one(self._store, job_id)

    def jobs(
        self, states: Collection[JobState] = (), *, project: str | None = None, limit: int = 500
    ) -> list[JobRecord]:
        """Jobs in these states (all when empty), newest first."""
        found = rows.read_many(self._store, states=states, project=project, limit=limit)
        live = dict(self._live)
        return [live[job.id].record if job.id in live and not job.state.is_final else job for job in found]

    def interrupted(self) -> list[JobRecord]:
        """Jobs that a crash or a quit cut off and nobody has run again yet; `rerun` takes them."""
        return rows.read_interrupted(self._store)

    def log_lines(self, job_id: str, tail: int = 500) -> list[str]:
        """The last lines of a job's log."""
        self._known(job_id)
        return read_log(self._log_path(job_id), tail)

    def wait(self, job_id: str, timeout_s: float | None = None) -> JobRecord:
        """Block until the job has ended; StillRunningError when it takes longer. Not for the GUI thread."""
        with self._ended:
            if not self._ended.wait_for(lambda: self._known(job_id).state.is_final, timeout_s):
                raise StillRunningError("The job is still running.", hint="Wait longer, or stop it.")
        return self._known(job_id)

    def call(self, fn: Callable[..., T], /, *args: Any) -> concurrent.futures.Future[T]:
        """Run a module-level function in a child process; cancelling the future kills the child."""
        loop, children = self._running()
        return asyncio.run_coroutine_threadsafe(children.run(fn, *args), loop)

    def start(self) -> None:
        """Mark what a crash cut off, empty the scratch folder, and begin to work off the queue."""
        if self._thread is not None:
            msg = "the runtime is started already"
            raise RuntimeError(msg)
        now_s = self._clock.now_s()
        self._store.write_now(lambda db: rows.write_interrupted(db, now_s))
        shutil.rmtree(self._paths.scratch, ignore_errors=True)
        self._paths.scratch.mkdir(parents=True, exist_ok=True)
        ready: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run_loop, args=(ready,), name="workers", daemon=True)
        self._thread.start()
        ready.result()

    def stop(self) -> None:
        """Interrupt what runs, kill every child, end the thread. Harmless when called twice."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        stopping = self._stopping
        if stopping is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(stopping.set)
        thread.join()
        self._thread = None

    # ---- the queue -----------------------------------------------------------------------------------------------

    def _known(self, job_id: str) -> JobRecord:
        job = self.job(job_id)
        if job is None:
            raise UnknownJobError(f"There is no job {job_id}.", hint="`benchtop jobs list` shows the jobs there are.")
        return job

    def _add(
        self,
        kind: str,
        given: dict[str, Any],
        *,
        project: str,
        after: tuple[str, ...],
        attempt: int,
        rerun_of: str | None,
    ) -> str:
        studio, job = self._job(kind)
        record = JobRecord(
            id=secrets.token_hex(6),
            kind=kind,
            title=job.title,
            studio=studio.key,
            project=project,
            lane=job.lane,
            state=JobState.WAITING,
            params=_params(job, given).model_dump(mode="json"),
            created_s=self._clock.now_s(),
            attempt=attempt,
            rerun_of=rerun_of,
            after=after,
        )
        self._store.write_now(lambda db: rows.write_new(db, record))
        self._bus.publish(JobChanged(record))
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # stopping: the row waits for the next start
                self._loop.call_soon_threadsafe(self._enqueue, record)
        return record.id

    def _job(self, kind: str) -> tuple[Studio, Job]:
        if kind not in self._jobs:
            raise UnknownJobError(f"There is no kind of job called {kind}.", hint=f"Known: {', '.join(self._jobs)}.")
        return self._jobs[kind]

    def _enqueue(self, record: JobRecord) -> None:
        if record.id in self._queued:
            return
        self._queued.add(record.id)
        self._waiting[record.id] = record
        if record.rerun_of:
            for other in tuple(self._waiting.values()):
                if record.rerun_of in other.after:
                    after = tuple(record.id if one == record.rerun_of else one for one in other.after)
                    self._waiting[other.id] = replace(other, after=after)
        self._schedule()

    def _schedule(self) -> None:
        """Start whatever may start now, in the order of submission. On the loop's thread."""
        if self._stopping is None or self._stopping.is_set():
            return
        for record in tuple(self._waiting.values()):
            states = [self._state(one) for one in record.after]
            broken = [one for one, state in zip(record.after, states, strict=True) if state in _BROKEN]
            if broken:
                del self._waiting[record.id]
                self._spawn(self._refuse(record, broken[0]))
            elif all(state is JobState.DONE for state in states) and self._free[record.lane] > 0:
                del self._waiting[record.id]
                self._free[record.lane] -= 1
                live = LiveJob(record, log=self._log_path(record.id), bus=self._bus, clock=self._clock)
                self._live[record.id] = live
                live.task = self._spawn(self._run(live))

    def _state(self, job_id: str) -> JobState:
        if job_id in self._live or job_id in self._waiting:
            return JobState.RUNNING
        if job_id not in self._states:
            job = rows.read_one(self._store, job_id)
            if job is None or not job.state.is_final:
                return JobState.WAITING
            self._states[job_id] = job.state
        return self._states[job_id]

    async def _refuse(self, record: JobRecord, dependency: str) -> None:
        error = JobError(
            "jobs.dependency_failed",
            f"It needs job {dependency}, which {self._state(dependency).value}.",
            "Run that job again first, then this one.",
        )
        await self._finish(replace(record, state=JobState.FAILED, error=error, ended_s=self._clock.now_s()))

    # ---- one job -------------------------------------------------------------------------------------------------

    async def _run(self, live: LiveJob) -> None:
        record = live.record
        try:
            record = live.begin(self._clock.now_s())
            await self._store.write(lambda db: rows.write_record(db, record))
            self._bus.publish(JobChanged(record))
            with Trace(self._spans, record.id), span(f"job.{record.kind}"):
                result = await self._work(live)
            changes: dict[str, Any] = {"state": JobState.DONE, "result": result, "done_frac": 1.0, "note": ""}
        except asyncio.CancelledError:
            if live.is_cancelled_by_user:
                changes = {"state": JobState.CANCELLED}
            elif self._stopping is not None and self._stopping.is_set():
                changes = {"state": JobState.INTERRUPTED}
            else:
                changes = {"state": JobState.FAILED, "error": _bug(record, None)}
        except AppError as error:
            details = {name: str(value) for name, value in error.facts.items()}
            changes = {
                "state": JobState.FAILED,
                "error": JobError(error.code, str(error), error.hint, error.retryable, details),
            }
        except Exception as error:
            changes = {"state": JobState.FAILED, "error": _bug(record, error)}
        finally:
            self._free[record.lane] += 1
        if not live.is_ended:
            await asyncio.shield(self._spawn(self._finish(live.end(**changes, ended_s=self._clock.now_s()))))
        self._schedule()

    async def _work(self, live: LiveJob) -> dict[str, Any] | None:
        record = live.record
        _, job = self._job(record.kind)
        run = await asyncio.to_thread(resolve, job.run)  # may import much; the loop goes on meanwhile
        children = self._running()[1]
        context = Context(
            record.id,
            record.project,
            self._paths,
            self._clock,
            self._store,
            self._net,
            self._sandbox,
            self._settings,
            live,
            children,
        )
        result = await run(context, _params(job, record.params))
        return result.model_dump(mode="json") if isinstance(result, BaseModel) else None

    def _cancel(self, job_id: str) -> None:
        """On the loop's thread."""
        waiting, live = self._waiting.pop(job_id, None), self._live.get(job_id)
        if waiting is not None:
            self._spawn(self._finish(replace(waiting, state=JobState.CANCELLED, ended_s=self._clock.now_s())))
        elif live is not None and live.task is not None and not live.is_cancelled_by_user:
            live.is_cancelled_by_user = True
            live.task.cancel()
            self._spawn(self._insist(live))

    async def _insist(self, live: LiveJob) -> None:
        """A job that clings on after it was cancelled is called cancelled; its lane stays taken until it ends."""
        if live.task is None:
            return
        await asyncio.wait({live.task}, timeout=_CANCEL_GRACE_S)
        if not live.task.done() and not live.is_ended:
            _log.warning("job %s did not end when cancelled", live.record.id)
            await self._finish(live.end(state=JobState.CANCELLED, ended_s=self._clock.now_s()))
            live.task.cancel()

    async def _finish(self, record: JobRecord) -> None:
        """Store the end of a job, then tell everyone."""
        try:
            await self._store.write(lambda db: rows.write_record(db, record))
        except AppError as error:  # its row stays as it was, so the next start offers it again
            _log.exception("the end of job %s could not be stored", record.id)
            record = replace(
                record, state=JobState.FAILED, result=None, error=JobError(error.code, str(error), error.hint, True)
            )
        self._tell(record)
        self._schedule()

    def _finish_now(self, record: JobRecord) -> None:
        self._store.write_now(lambda db: rows.write_record(db, record))
        self._tell(record)

    def _tell(self, record: JobRecord) -> None:
        self._states[record.id] = record.state
        self._live.pop(record.id, None)
        self._bus.publish(JobChanged(record))
        with self._ended:
            self._ended.notify_all()

    # ---- the loop ------------------------------------------------------------------------------------------------

    def _running(self) -> tuple[asyncio.AbstractEventLoop, Children]:
        if self._loop is None or self._children is None:
            msg = "the runtime is not started"
            raise RuntimeError(msg)
        return self._loop, self._children

    def _run_loop(self, ready: concurrent.futures.Future[None]) -> None:
        try:
            asyncio.run(self._main(ready))
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            _log.exception("the workers' loop ended")
        finally:
            self._loop = self._children = self._stopping = None

    async def _main(self, ready: concurrent.futures.Future[None]) -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(max_workers=32, thread_name_prefix="workers-io"))
        self._tasks: set[asyncio.Task[Any]] = set()
        self._paths.logs.mkdir(parents=True, exist_ok=True)
        self._children = Children(limit=self._cores, log=self._paths.logs / "children.log")
        self._stopping = stopping = asyncio.Event()
        self._loop = loop
        for record in rows.read_many(self._store, states={JobState.WAITING}, limit=1_000_000, newest_first=False):
            self._queued.add(record.id)
            self._waiting[record.id] = record
        ready.set_result(None)
        self._schedule()
        self._children.warm_up()
        upkeep = asyncio.create_task(self._keep_up())
        try:
            await stopping.wait()
        finally:
            upkeep.cancel()
            running = [live.task for live in self._live.values() if live.task is not None]
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running, timeout=_STOP_GRACE_S)
            self._children.close()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            with contextlib.suppress(AppError):
                await self._store_progress()

    async def _keep_up(self) -> None:
        """Once a second: spans and progress into the store, settings read again if changed, backups when due."""
        backup_at_s = self._clock.monotonic_s() + 10
        while True:
            await asyncio.sleep(_TICK_S)
            try:
                self._settings.poll()
                await self._store_progress()
                if self._clock.monotonic_s() >= backup_at_s:
                    backup_at_s = self._clock.monotonic_s() + _BACKUP_EVERY_S
                    await asyncio.to_thread(self._store.backup_if_due)
            except AppError as error:
                _log.warning("upkeep: %s", error)

    async def _store_progress(self) -> None:
        """One write for everything that is new."""
        taken = self._spans.drain()
        moved = [live for live in self._live.values() if not live.is_stored]
        if not taken and not moved:
            return
        records = [live.stored() for live in moved]

        def write(db: Any) -> None:
            if taken:
                spans.write_spans(db, taken)
            for record in records:
                rows.write_progress(db, record)

        await self._store.write(write)

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a task of the runtime failed", exc_info=error)

    def _log_path(self, job_id: str) -> Path:
        return self._paths.logs / "jobs" / f"{job_id}.log"


_BROKEN = (JobState.FAILED, JobState.CANCELLED)


def _params(job: Job, given: Mapping[str, Any]) -> BaseModel:
    schema: type[BaseModel] = resolve(job.params)
    try:
        return schema.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "parameters"
        raise BadParamsError(
            f"{job.id}: {where}: {first['msg']}.", hint="Correct that parameter and try again.", parameter=where
        ) from error


def _bug(record: JobRecord, error: BaseException | None) -> JobError:
    """A failure nobody expected: the traceback goes to the log file, a sentence to the person."""
    _log.error("job %s (%s) failed unexpectedly", record.id, record.kind, exc_info=error)
    what = f" ({type(error).__name__})" if error is not None else ""
    return JobError(
        "app.bug",
        f"Benchtop made a mistake{what}. Nothing was changed.",
        "Try again; if it happens again, please report it with the log file (Help › Show Logs).",
    )
