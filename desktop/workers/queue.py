"""Which job may start next: order of submission, room in the lanes, and what must be done before. Values only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from desktop.core.jobs import JobRecord, JobState

_BROKEN = (JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Broken:
    """A job that can never start, and the dependency that ended badly."""

    job: JobRecord
    dependency: str
    state: JobState


class Queue:
    """Waiting jobs and the lanes they wait for. Belongs to one thread."""

    def __init__(self, lanes: Mapping[str, int], lookup: Callable[[str], JobState | None]) -> None:
        """lanes: how many may run at once in each; lookup: the stored state of a job that is not in this queue."""
        self._free = dict(lanes)
        self._lookup = lookup
        self._waiting: dict[str, JobRecord] = {}
        self._running: dict[str, str] = {}  # id → lane
        self._ended: dict[str, JobState] = {}

    def add(self, job: JobRecord) -> None:
        """Let a job wait its turn; one that is known already is left as it is."""
        if job.id in self._waiting or job.id in self._running or job.id in self._ended:
            return
        self._waiting[job.id] = job
        if job.rerun_of:
            for other in tuple(self._waiting.values()):
                after = tuple(job.id if one == job.rerun_of else one for one in other.after)
                self._waiting[other.id] = replace(other, after=after)

    def withdraw(self, job_id: str) -> JobRecord | None:
        """Take a waiting job out; None when it is not waiting (any more)."""
        job = self._waiting.pop(job_id, None)
        if job is not None:
            self._ended[job_id] = JobState.CANCELLED
        return job

    def take(self) -> tuple[list[JobRecord], list[Broken]]:
        """Every job that may start now, its place in the lane taken; and those that never can."""
        ready: list[JobRecord] = []
        broken: list[Broken] = []
        is_settled = False
        while not is_settled:
            is_settled = True
            for job in tuple(self._waiting.values()):
                states = {one: self._state(one) for one in job.after}
                bad = next((one for one, state in states.items() if state in _BROKEN), None)
                if bad is not None:
                    del self._waiting[job.id]
                    self._ended[job.id] = JobState.FAILED
                    broken.append(Broken(job, bad, self._ended[bad]))
                    is_settled = False  # others may wait for this one
                elif self._free[job.lane] > 0 and all(state is JobState.DONE for state in states.values()):
                    del self._waiting[job.id]
                    self._free[job.lane] -= 1
                    self._running[job.id] = job.lane
                    ready.append(job)
        return ready, broken

    def ended(self, job_id: str, state: JobState) -> None:
        """A job's outcome is known; those that wait for it can tell."""
        self._ended[job_id] = state

    def leave(self, job_id: str) -> None:
        """A job's work is really over: its place in the lane is free again."""
        self._free[self._running.pop(job_id)] += 1

    def _state(self, job_id: str) -> JobState | None:
        if job_id not in self._ended and job_id not in self._running and job_id not in self._waiting:
            state = self._lookup(job_id)
            if state is None or not state.is_final:
                return state
            self._ended[job_id] = state
        return self._ended.get(job_id)
