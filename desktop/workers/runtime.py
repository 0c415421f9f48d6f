"""The job runtime: a queue that survives a crash, worked off on an asyncio loop in a thread of its own.

A job is a row in the store before `submit` returns, says "running" there before it begins, and its result is there
before anyone is told. What was running when the program went is "interrupted" at the next start and offered again.
Any thread may call these methods; what happens on the loop is in `loop.py`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import secrets
import shutil
import threading
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel

from desktop.core.clock import Clock, SystemClock
from desktop.core.config import SettingsStore
from desktop.core.events import EventBus, JobChanged
from desktop.core.jobs import Job, JobRecord, JobState, Studio
from desktop.core.models import ModelRoom
from desktop.core.paths import Paths
from desktop.core.ports import Net, Sandbox
from desktop.store import jobs as rows
from desktop.store.db import Database
from desktop.store.spans import read_trace
from desktop.workers.errors import JobStateError, StillRunningError, UnknownJobError
from desktop.workers.live import read_log
from desktop.workers.loop import LANES, Parts, WorkLoop, checked_params, log_path

T = TypeVar("T")
_STOP_S = 10.0
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
        models: ModelRoom,
        settings: SettingsStore,
        bus: EventBus,
        paths: Paths,
        clock: Clock | None = None,
    ) -> None:
        strange = [job.id for _, job in jobs.values() if job.lane not in LANES]
        if strange:
            raise ValueError(f"jobs in a lane that does not exist: {strange}")
        self._parts = Parts(store, jobs, sandbox, net, models, settings, bus, paths, clock or SystemClock())
        self._store, self._bus, self._clock = store, bus, self._parts.clock
        self._work: WorkLoop | None = None
        self._thread: threading.Thread | None = None
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

    def rerun(self, job_id: str, params: dict[str, Any] | None = None) -> str:
        """Queue an ended job again with the same parameters, or with `params` instead; returns the new id.

        Jobs that wait for the old one wait for the new one from now on.
        """
        old = self._known(job_id)
        if not old.state.is_final:
            raise JobStateError("This job has not ended yet.", hint="Wait for it, or stop it first.")
        given = old.params if params is None else params
        return self._add(old.kind, given, project=old.project, after=(), attempt=old.attempt + 1, rerun_of=old.id)

    def cancel(self, job_id: str) -> None:
        """Stop a job, waiting or running; within two seconds it is cancelled. Nothing happens to an ended one."""
        job = self._known(job_id)
        work = self._work
        if work is not None:
            with contextlib.suppress(RuntimeError):  # stopping: it is interrupted anyway
                work.loop.call_soon_threadsafe(work.cancel, job_id)
        elif job.state is JobState.WAITING:
            ended = replace(job, state=JobState.CANCELLED, ended_s=self._clock.now_s())
            self._store.write_now(lambda db: rows.write_record(db, ended))
            self._bus.publish(JobChanged(ended))

    def job(self, job_id: str) -> JobRecord | None:
        """The job as it is this moment."""
        work = self._work
        return (work and work.newer(job_id)) or rows.read_one(self._store, job_id)

    def jobs(
        self, states: Collection[JobState] = (), *, project: str | None = None, limit: int = 500
    ) -> list[JobRecord]:
        """Jobs in these states (all when empty), newest first."""
        found = rows.read_many(self._store, states=states, project=project, limit=limit)
        work = self._work
        return [(work and not job.state.is_final and work.newer(job.id)) or job for job in found]

    def interrupted(self) -> list[JobRecord]:
        """Jobs that a crash or a quit cut off and nobody has run again yet; `rerun` takes them."""
        return rows.read_interrupted(self._store)

    def log_lines(self, job_id: str, tail: int = 500) -> list[str]:
        """The last lines of a job's log."""
        self._known(job_id)
        return read_log(log_path(self._parts.paths, job_id), tail)

    def steps(self, job_id: str) -> list[tuple[str, float]]:
        """The named steps of a job that ended, in order, with the seconds each took. The latest may follow a little
        after the job's end."""
        spans = read_trace(self._store, job_id)
        steps = [one for one in spans if one.name.startswith("step.")]
        return [(one.name.removeprefix("step."), one.duration_us / 1e6) for one in steps]

    def wait(self, job_id: str, timeout_s: float | None = None) -> JobRecord:
        """Block until the job has ended; StillRunningError when it takes longer. Not for the GUI thread."""
        with self._ended:
            self._ended.wait_for(lambda: self._work is None or self._known(job_id).state.is_final, timeout_s)
        job = self._known(job_id)
        if not job.state.is_final:
            raise StillRunningError("The job has not ended.", hint="Wait longer, or stop it.")
        return job

    def call(self, fn: Callable[..., T], /, *args: Any) -> concurrent.futures.Future[T]:
        """Run a module-level function in a child process; cancelling the future kills the child."""
        work = self._work
        if work is None:
            raise RuntimeError("the runtime is not started")
        return asyncio.run_coroutine_threadsafe(work.children.run(fn, *args), work.loop)

    def host(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run a coroutine on the runtime's loop, where models are; cancelling the future cancels it."""
        loop_work = self._work
        if loop_work is None:
            work.close()
            raise RuntimeError("the runtime is not started")
        return asyncio.run_coroutine_threadsafe(loop_work.host(work), loop_work.loop)

    def start(self) -> None:
        """Mark what a crash cut off, empty the scratch folder, and begin to work off the queue."""
        if self._thread is not None:
            raise RuntimeError("the runtime is started already")
        now_s = self._clock.now_s()
        self._store.write_now(lambda db: rows.write_interrupted(db, now_s))
        shutil.rmtree(self._parts.paths.scratch, ignore_errors=True)
        for folder in (self._parts.paths.scratch, self._parts.paths.logs / "jobs"):
            folder.mkdir(parents=True, exist_ok=True)
        ready: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run_loop, args=(ready,), name="workers", daemon=True)
        self._thread.start()
        ready.result()

    def stop(self) -> None:
        """Interrupt what runs, kill every child, end the thread. Harmless when called twice."""
        work, thread = self._work, self._thread
        if thread is None:
            return
        if work is not None:
            with contextlib.suppress(RuntimeError):  # the loop ended by itself
                work.loop.call_soon_threadsafe(work.stop)
        thread.join(_STOP_S)
        if thread.is_alive():
            _log.error("the workers' loop did not end within %s s; it is left behind", _STOP_S)
        self._thread = None

    # ---- inside --------------------------------------------------------------------------------------------------

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
            params=checked_params(job, given).model_dump(mode="json"),
            created_s=self._clock.now_s(),
            attempt=attempt,
            rerun_of=rerun_of,
            after=after,
        )
        self._store.write_now(lambda db: rows.write_new(db, record))
        self._bus.publish(JobChanged(record))
        work = self._work
        if work is not None:
            with contextlib.suppress(RuntimeError):  # stopping: the row waits for the next start
                work.loop.call_soon_threadsafe(work.add, record)
        return record.id

    def _job(self, kind: str) -> tuple[Studio, Job]:
        if kind not in self._parts.jobs:
            raise UnknownJobError(
                f"There is no kind of job called {kind}.", hint=f"Known: {', '.join(self._parts.jobs)}."
            )
        return self._parts.jobs[kind]

    def _run_loop(self, ready: concurrent.futures.Future[None]) -> None:
        def started(work: WorkLoop) -> None:
            self._work = work
            ready.set_result(None)

        async def main() -> None:
            await WorkLoop(self._parts, self._on_end).main(started)

        try:
            asyncio.run(main())
        except BaseException as error:
            _log.exception("the workers' loop ended")
            if not ready.done():
                ready.set_exception(error)
        finally:
            self._work = None
            self._on_end()

    def _on_end(self) -> None:
        with self._ended:
            self._ended.notify_all()
