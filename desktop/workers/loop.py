"""What happens on the workers' asyncio loop: jobs start, run, are cancelled and end; progress and spans are stored.

Everything here runs on that loop's thread. `runtime.py` is the door to it from other threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from desktop.core.clock import Clock
from desktop.core.config import SettingsStore
from desktop.core.errors import AppError
from desktop.core.events import EventBus, JobChanged
from desktop.core.jobs import Job, JobError, JobRecord, JobState, Studio, resolve
from desktop.core.misfit import misfit
from desktop.core.models import ModelRoom
from desktop.core.paths import Paths
from desktop.core.ports import Net, Sandbox
from desktop.core.trace import SpanBuffer, Trace, span
from desktop.store import jobs as rows
from desktop.store.db import Database
from desktop.workers.children import Children
from desktop.workers.context import Context
from desktop.workers.door import Door
from desktop.workers.errors import BadParamsError, UnknownJobError
from desktop.workers.live import LiveJob
from desktop.workers.queue import Broken, Queue
from desktop.workers.upkeep import Upkeep

T = TypeVar("T")
_CANCEL_GRACE_S = 1.5  # a job that has not ended by then is called cancelled all the same
_STOP_GRACE_S = 3.0
_IO_THREADS = 32
_ASIDE = 4  # children that may mostly wait at once
LANES = {"io": 16, "cpu": os.cpu_count() or 2, "sandbox": 2}  # how many jobs run at once in each
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the runtime is built from."""

    store: Database
    jobs: Mapping[str, tuple[Studio, Job]]
    sandbox: Sandbox
    net: Net
    models: ModelRoom
    settings: SettingsStore
    bus: EventBus
    paths: Paths
    clock: Clock


class WorkLoop:
    """One life of the loop, from `main` to its end."""

    def __init__(self, parts: Parts, on_end: Callable[[], None]) -> None:
        """on_end: called after a job's end is stored and published. Build it inside the running loop."""
        self.live: dict[str, LiveJob] = {}
        self._unstored: dict[str, JobRecord] = {}  # ended, but the disk would not take it
        self.loop = asyncio.get_running_loop()
        self._parts, self._on_end = parts, on_end
        self.children = Children(limit=LANES["cpu"], log=parts.paths.logs / "children.log")
        self.aside = Children(limit=_ASIDE, log=parts.paths.logs / "children.log", keep_warm=False)
        self._queue = Queue(LANES, self._stored_state)
        self._spans = SpanBuffer()
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._guests: set[asyncio.Task[Any]] = set()

    async def main(self, started: Callable[[WorkLoop], None]) -> None:
        """Work until `stop`; tells `started` once jobs can be added."""
        parts = self._parts
        self.loop.set_default_executor(ThreadPoolExecutor(_IO_THREADS, thread_name_prefix="workers-io"))
        started(self)
        for job in rows.read_many(parts.store, states={JobState.WAITING}, limit=1_000_000, newest_first=False):
            self._admit(job)
        self._schedule()
        upkeep = Upkeep(parts.store, parts.settings, parts.paths, parts.clock, self._spans, self.live)
        door = Door(parts.models, parts.paths)
        ticking = [self._spawn(work) for work in (upkeep.run(), parts.models.run(), door.run())]
        self.loop.call_soon(self.children.warm_up)
        try:
            await self._stopping.wait()
        finally:
            for one in ticking:
                one.cancel()
            running = [live.task for live in self.live.values() if live.task is not None] + [*self._guests]
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running, timeout=_STOP_GRACE_S)
            self.children.close()
            self.aside.close()
            clinging = [live for live in self.live.values() if live.task is not None and not live.task.done()]
            if not clinging:
                await asyncio.gather(*self._tasks, return_exceptions=True)
            for live in clinging:  # its row says "running": the next start makes that "interrupted"
                _log.warning("job %s did not end when stopped", live.record.id)
            for close in (parts.models.aclose, parts.sandbox.aclose):
                with contextlib.suppress(TimeoutError):  # an engine that hangs: the next start removes what is left
                    await asyncio.wait_for(close(), _STOP_GRACE_S)
            with contextlib.suppress(AppError):
                await upkeep.store_all()

    def newer(self, job_id: str) -> JobRecord | None:
        """The job as it is this moment, when that is newer than its row. Any thread."""
        live = self.live.get(job_id)
        return live.record if live else self._unstored.get(job_id)

    def stop(self) -> None:
        """End `main`: what runs is interrupted, what waits stays in the store."""
        self._stopping.set()

    def add(self, job: JobRecord) -> None:
        """A job that is in the store waits its turn from now on."""
        self._admit(job)
        self._schedule()

    async def host(self, work: Coroutine[Any, Any, T]) -> T:
        """Work that is no job, such as the local API: cancelled when the loop ends."""
        task = asyncio.ensure_future(work)
        self._guests.add(task)
        try:
            return await task
        finally:
            self._guests.discard(task)
            task.cancel()

    def cancel(self, job_id: str) -> None:
        """Stop a job, waiting or running."""
        waiting, live = self._queue.withdraw(job_id), self.live.get(job_id)
        if waiting is not None:
            self._spawn(self._finish(replace(waiting, state=JobState.CANCELLED, ended_s=self._parts.clock.now_s())))
        elif live is not None and live.task is not None and not live.is_cancelled_by_user:
            live.is_cancelled_by_user = True
            live.task.cancel()
            self._spawn(self._insist(live))

    def _admit(self, job: JobRecord) -> None:
        """Queue it in the lane its kind has now; a kind that is gone fails when it is run."""
        known = self._parts.jobs.get(job.kind)
        self._queue.add(replace(job, lane=known[1].lane if known else "io"))

    # ---- starting ------------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        """Start whatever may start now."""
        if self._stopping.is_set():
            return
        ready, broken = self._queue.take()
        for one in broken:
            self._spawn(self._refuse(one))
        for job in ready:
            live = LiveJob(job, log=log_path(self._parts.paths, job.id), bus=self._parts.bus, clock=self._parts.clock)
            self.live[job.id] = live
            live.task = self.loop.create_task(self._outcome(live), name=f"job {job.id}")
            self._spawn(self._run(live, live.task))

    def _stored_state(self, job_id: str) -> JobState | None:
        job = rows.read_one(self._parts.store, job_id)
        return job.state if job else None

    async def _refuse(self, broken: Broken) -> None:
        error = JobError(
            "jobs.dependency_failed",
            f"It needs job {broken.dependency}, which {_ENDED[broken.state]}.",
            "Run that job again first, then this one.",
        )
        await self._finish(replace(broken.job, state=JobState.FAILED, error=error, ended_s=self._parts.clock.now_s()))

    # ---- one job -------------------------------------------------------------------------------------------------

    async def _run(self, live: LiveJob, task: asyncio.Task[dict[str, Any]]) -> None:
        """See a job through to its end. Only `task` is ever cancelled, and it may be before its first line ran."""
        await asyncio.wait({task})
        changes = {"state": JobState.CANCELLED} if task.cancelled() else task.result()
        self._queue.leave(live.record.id)
        if live.is_ended or (task.cancelled() and not live.is_cancelled_by_user):
            self._schedule()  # called cancelled already; or stopping before it began: it waits for the next start
        else:
            await self._finish(live.end(**changes, ended_s=self._parts.clock.now_s()))

    async def _outcome(self, live: LiveJob) -> dict[str, Any]:
        """Do the job; what its record says of the end."""
        record = live.begin(self._parts.clock.now_s())
        try:
            await self._parts.store.write(lambda db: rows.write_record(db, record))
            self._parts.bus.publish(JobChanged(record))
            with Trace(self._spans, record.id), span(f"job.{record.kind}"):
                result = await self._work(live)
        except asyncio.CancelledError:
            if live.is_cancelled_by_user:
                return {"state": JobState.CANCELLED}
            if self._stopping.is_set():
                return {"state": JobState.INTERRUPTED}
            return {"state": JobState.FAILED, "error": _bug(record, None)}
        except AppError as error:
            told = JobError(error.code, str(error), error.hint, error.retryable, error.details())
            return {"state": JobState.FAILED, "error": told}
        except Exception as error:
            return {"state": JobState.FAILED, "error": _bug(record, error)}
        return {"state": JobState.DONE, "result": result, "done_frac": 1.0, "note": ""}

    async def _work(self, live: LiveJob) -> dict[str, Any] | None:
        parts, record = self._parts, live.record
        if record.kind not in parts.jobs:
            raise UnknownJobError(
                f"This Benchtop has no job called {record.kind}.",
                hint="It was queued by another version; start it anew.",
            )
        _, job = parts.jobs[record.kind]
        run = await asyncio.to_thread(resolve, job.run)  # may import much; the loop goes on meanwhile
        context = Context(
            job_id=record.id,
            project=record.project,
            paths=parts.paths,
            clock=parts.clock,
            store=parts.store,
            net=parts.net,
            sandbox=parts.sandbox,
            models=parts.models,
            _settings=parts.settings,
            _live=live,
            _children=self.children,
            _aside=self.aside,
        )
        result = await run(context, checked_params(job, record.params))
        return result.model_dump(mode="json") if isinstance(result, BaseModel) else None

    async def _insist(self, live: LiveJob) -> None:
        """A job that clings on after it was cancelled is called cancelled; its lane stays taken until it ends."""
        if live.task is None:
            return
        await asyncio.wait({live.task}, timeout=_CANCEL_GRACE_S)
        if not live.task.done() and not live.is_ended:
            _log.warning("job %s did not end when cancelled", live.record.id)
            await self._finish(live.end(state=JobState.CANCELLED, ended_s=self._parts.clock.now_s()))

    async def _finish(self, record: JobRecord) -> None:
        """Store the end of a job, then tell everyone."""
        try:
            await self._parts.store.write(lambda db: rows.write_record(db, record))
        except AppError as error:  # its row stays as it was, so the next start offers it again
            _log.error("the end of job %s could not be stored: %s", record.id, error)
            told = JobError(error.code, str(error), error.hint, retryable=True)
            record = replace(record, state=JobState.FAILED, result=None, error=told)
            self._unstored[record.id] = record
        self._queue.ended(record.id, record.state)
        self.live.pop(record.id, None)
        self._parts.bus.publish(JobChanged(record))
        self._on_end()
        self._schedule()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a task of the runtime failed", exc_info=error)


_ENDED = {JobState.FAILED: "failed", JobState.CANCELLED: "was cancelled"}


def log_path(paths: Paths, job_id: str) -> Path:
    """Where a job's log is."""
    return paths.logs / "jobs" / f"{job_id}.log"


def checked_params(job: Job, given: Mapping[str, Any]) -> BaseModel:
    """The parameters as the job's schema. Raises BadParamsError."""
    schema: type[BaseModel] = resolve(job.params)
    try:
        return schema.model_validate(given)
    except ValidationError as error:
        where, what = misfit(error, schema.model_fields)
        raise BadParamsError(
            f"{job.id}: {where or 'parameters'}: {what}.", hint="Correct that parameter and try again.", parameter=where
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
