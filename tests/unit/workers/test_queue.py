"""The queue against a model of it, and the whole runtime against random use, restarts included."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from desktop.core.jobs import JobRecord, JobState
from desktop.workers.queue import Queue
from tests.unit.workers.rig import Rig

LANES = {"io": 3, "sandbox": 1}
ENDS = st.sampled_from([JobState.DONE, JobState.FAILED, JobState.CANCELLED])


def job(job_id: str, lane: str, after: tuple[str, ...] = (), rerun_of: str | None = None) -> JobRecord:
    return JobRecord(
        id=job_id,
        kind="k",
        title="t",
        studio="s",
        project="p",
        lane=lane,
        state=JobState.WAITING,
        params={},
        created_s=0.0,
        after=after,
        rerun_of=rerun_of,
    )


class QueueMachine(RuleBasedStateMachine):
    """Jobs come, start, end and are withdrawn; the model knows which may be where."""

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[str, JobState] = {}  # what a lookup in the store would say
        self.queue = Queue(LANES, self.stored.get)
        self.jobs: dict[str, JobRecord] = {}
        self.started: list[str] = []
        self.running: set[str] = set()

    @rule(target=ids, lane=st.sampled_from(sorted(LANES)), before=st.lists(ids, max_size=2, unique=True))
    def add(self, lane: str, before: list[str]) -> str:
        job_id = f"j{len(self.jobs)}"
        self.jobs[job_id] = job(job_id, lane, tuple(before))
        self.stored[job_id] = JobState.WAITING
        self.queue.add(self.jobs[job_id])
        self.queue.add(self.jobs[job_id])  # told twice, waits once
        return job_id

    @rule(target=ids, state=ENDS)
    def ended_in_an_earlier_life(self, state: JobState) -> str:
        job_id = f"j{len(self.jobs)}"
        self.jobs[job_id] = job(job_id, "io")
        self.stored[job_id] = state
        return job_id

    @rule()
    def take(self) -> None:
        ready, broken = self.queue.take()
        for one in ready:
            assert one.id not in self.started, "a job started twice"
            assert all(self.stored[dependency] is JobState.DONE for dependency in self.jobs[one.id].after)
            self.started.append(one.id)
            self.running.add(one.id)
            self.stored[one.id] = JobState.RUNNING
        for two in broken:
            assert two.dependency in self.jobs[two.job.id].after
            self.stored[two.job.id] = JobState.FAILED
        for two in broken:
            assert self.stored[two.dependency] in (JobState.FAILED, JobState.CANCELLED)
        for job_id, state in self.stored.items():  # nothing that could run was left
            if state is JobState.WAITING:
                lane = self.jobs[job_id].lane
                is_full = sum(self.jobs[one].lane == lane for one in self.running) == LANES[lane]
                unmet = [one for one in self.jobs[job_id].after if self.stored[one] is not JobState.DONE]
                assert is_full or unmet
                assert not [one for one in unmet if self.stored[one] in (JobState.FAILED, JobState.CANCELLED)], (
                    "a job that can never run still waits"
                )

    @rule(job_id=ids, state=ENDS)
    def end(self, job_id: str, state: JobState) -> None:
        if job_id in self.running:
            self.running.discard(job_id)
            self.stored[job_id] = state
            self.queue.ended(job_id, state)
            self.queue.leave(job_id)

    @rule(job_id=ids)
    def withdraw(self, job_id: str) -> None:
        taken = self.queue.withdraw(job_id)
        assert (taken is not None) == (self.stored[job_id] is JobState.WAITING)
        if taken is not None:
            self.stored[job_id] = JobState.CANCELLED

    @invariant()
    def lanes_are_never_overfull(self) -> None:
        for lane, most in LANES.items():
            assert sum(self.jobs[one].lane == lane for one in self.running) <= most


QueueMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestQueue = QueueMachine.TestCase


class RuntimeMachine(RuleBasedStateMachine):
    """Submit, chain, cancel, rerun, restart: every acknowledged job has one row and a state that makes sense."""

    ids = Bundle("jobs")

    @initialize()
    def begin(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="benchtop-queue-"))
        self.rig = Rig(self.home)
        self.expected: dict[str, set[JobState]] = {}

    @rule(target=ids, kind=st.sampled_from(["quick", "failing", "forever"]), before=st.lists(ids, max_size=1))
    def submit(self, kind: str, before: list[str]) -> str:
        job_id = self.rig.runtime.submit(f"toy.{kind}", {"name": kind}, after=before)
        good = {"quick": JobState.DONE, "failing": JobState.FAILED, "forever": JobState.CANCELLED}[kind]
        self.expected[job_id] = {good} | ({JobState.FAILED} if before else set())
        return job_id

    @rule(job_id=ids)
    def cancel(self, job_id: str) -> None:
        self.rig.runtime.cancel(job_id)
        self.expected[job_id] |= {JobState.CANCELLED}

    @rule()
    def restart(self) -> None:
        self.rig.close()
        self.rig = Rig(self.home)
        for found in self.rig.runtime.interrupted():
            self.expected[found.id] |= {JobState.INTERRUPTED}

    @rule(target=ids)
    def rerun_what_was_cut_off(self) -> object:
        new = []
        for old in self.rig.runtime.interrupted():
            new.append(self.rig.runtime.rerun(old.id))
            self.expected[new[-1]] = self.expected[old.id] - {JobState.INTERRUPTED}
        assert self.rig.runtime.interrupted() == []
        return multiple(*new)

    @invariant()
    def every_job_has_its_row(self) -> None:
        assert {one.id for one in self.rig.runtime.jobs()} == set(self.expected)

    def teardown(self) -> None:
        if not hasattr(self, "rig"):
            return
        try:
            for _ in range(3):  # what waits for a "forever" ends once that is cancelled
                for one in self.rig.runtime.jobs([JobState.RUNNING, JobState.WAITING]):
                    if one.kind == "toy.forever" or any(
                        self.rig.runtime.job(other).state is JobState.INTERRUPTED for other in one.after
                    ):
                        self.expected[one.id] |= {JobState.CANCELLED}
                        self.rig.runtime.cancel(one.id)
            for job_id, states in self.expected.items():
                state = self.rig.runtime.wait(job_id, 20).state
                dependants = self.rig.runtime.job(job_id).after
                assert state in states or (dependants and state is JobState.CANCELLED)
            assert self.rig.store.checkup() == []
        finally:
            self.rig.close()
            shutil.rmtree(self.home)


RuntimeMachine.TestCase.settings = settings(
    max_examples=15, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRuntime = RuntimeMachine.TestCase
