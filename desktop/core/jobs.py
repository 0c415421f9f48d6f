"""What a job and a studio are, as data. Strings where code is meant, so that reading a manifest imports nothing."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class JobState(StrEnum):
    """waiting → running → done | failed | cancelled; a crash turns running into interrupted."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def is_final(self) -> bool:
        """Nothing more happens to it by itself."""
        return self not in (JobState.WAITING, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class Job:
    """One kind of job a studio offers.

    run      "module:function" of `async def run_x(ctx: JobContext, params: P) -> pydantic.BaseModel`
    params   "module:Class" of the pydantic schema P
    lane     "io" (many at once), "cpu" (one a core), "sandbox" (few at once, each in isolation)
    title    what a person sees in Activity
    resumable  may be started again by itself after a crash: it has no effect outside its own folder
    """

    id: str
    run: str
    params: str
    lane: str
    title: str
    resumable: bool = False


@dataclass(frozen=True, slots=True)
class Studio:
    """A studio's manifest. `migrations` is "module:TUPLE" of (name, function) pairs; `settings` "module:Class".

    rules   kind of model task → "module:function" of Prompt → answer: what holds when no model can answer
    """

    key: str
    title: str
    settings: str
    migrations: str
    jobs: tuple[Job, ...]
    rules: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed, as shown to a person; never a traceback."""

    code: str
    message: str
    hint: str
    retryable: bool = False
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One row of the queue. Times are UTC epoch seconds; `done_frac` is 0..1; `time_left_s` None until known."""

    id: str
    kind: str
    title: str
    studio: str
    project: str
    lane: str
    state: JobState
    params: dict[str, Any]
    created_s: float
    started_s: float | None = None
    ended_s: float | None = None
    step: str = ""
    done_frac: float = 0.0
    time_left_s: float | None = None
    note: str = ""
    result: dict[str, Any] | None = None
    error: JobError | None = None
    attempt: int = 1
    rerun_of: str | None = None
    after: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def resolve(reference: str) -> Any:
    """The object a "module:name" string means."""
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)
