"""The queue from submit to end: states, errors, dependencies, cancel, reruns, what a restart finds."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop.core.events import JobChanged, JobLogged
from desktop.core.jobs import JobState
from desktop.store import audit
from desktop.store.spans import read_latencies, read_trace
from desktop.workers.errors import BadParamsError, ChildDiedError, JobStateError, StillRunningError, UnknownJobError
from tests.unit.workers import rig as toys
from tests.unit.workers.family import is_alive
from tests.unit.workers.rig import NoSheepError, Rig, rig


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path) as built:
        yield built


def until(condition: object, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def test_a_job_ends_with_its_result_log_and_full_progress(bench: Rig) -> None:
    job = bench.runtime.wait(bench.runtime.submit("toy.quick", {"name": "ada"}), 20)
    assert job.state is JobState.DONE
    assert job.result == {"text": "ada", "pid": 0}
    assert (job.done_frac, job.time_left_s, job.error) == (1.0, None, None)
    assert job.started_s is not None
    assert job.ended_s is not None
    assert job.created_s <= job.started_s <= job.ended_s
    assert bench.runtime.log_lines(job.id) == ["hello ada"]
    states = [event.job.state for event in bench.events if isinstance(event, JobChanged)]
    assert states[0] is JobState.WAITING
    assert states[-1] is JobState.DONE
    assert JobLogged(job.id, "hello ada") in bench.events


def test_the_row_is_in_the_store_before_submit_returns(tmp_path: Path) -> None:
    with rig(tmp_path, start=False) as bench:
        job_id = bench.runtime.submit("toy.quick", {})
        assert bench.store.read("SELECT state FROM jobs WHERE id = ?", (job_id,)) == [{"state": "waiting"}]
    with rig(tmp_path) as later:
        assert later.runtime.wait(job_id, 20).state is JobState.DONE


@pytest.mark.parametrize(
    ("kind", "params", "error"),
    [
        pytest.param("toy.nothing", {}, UnknownJobError, id="unknown kind"),
        pytest.param("toy.quick", {"seconds": "long"}, BadParamsError, id="wrong type"),
        pytest.param("toy.quick", {"colour": "red"}, BadParamsError, id="unknown parameter"),
    ],
)
def test_a_bad_request_is_refused_and_leaves_no_row(
    bench: Rig, kind: str, params: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        bench.runtime.submit(kind, params)
    assert bench.runtime.jobs() == []


def test_an_expected_failure_keeps_code_message_and_hint(bench: Rig) -> None:
    job = bench.runtime.wait(bench.runtime.submit("toy.failing", {}), 20)
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert (job.error.code, job.error.message, job.error.hint) == ("toy.no_sheep", "There is no sheep.", "Bring one.")
    assert job.error.details == {"field": "meadow"}


def test_a_bug_shows_a_sentence_and_logs_the_traceback(bench: Rig, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="desktop.workers.loop"):
        job = bench.runtime.wait(bench.runtime.submit("toy.buggy", {}), 20)
    assert job.error is not None
    assert job.error.code == "app.bug"
    assert "Traceback" not in job.error.message + job.error.hint
    assert not any("Traceback" in line for line in bench.runtime.log_lines(job.id))
    assert any(record.exc_info for record in caplog.records)


def test_a_child_job_decides_warns_and_is_traced(bench: Rig) -> None:
    job = bench.runtime.wait(bench.runtime.submit("toy.child", {"name": "bob"}, project="p1"), 30)
    assert job.result is not None
    assert job.result["text"] == "BOB"
    assert job.result["pid"] != os.getpid()
    assert job.warnings == ("mind the step",)
    (entry,) = audit.read_entries(bench.store)
    assert (entry["job_id"], entry["project"], entry["by"]) == (job.id, "p1", "rule:toy")
    until(lambda: read_trace(bench.store, job.id))
    spans = {one.name: one for one in read_trace(bench.store, job.id)}
    assert set(spans) == {"job.toy.child", "cpu.whoami"}
    assert spans["cpu.whoami"].parent_id == spans["job.toy.child"].span_id
    assert {one.name: one.count for one in read_latencies(bench.store)} == {"job.toy.child": 1, "cpu.whoami": 1}


def test_cancelling_a_child_kills_it_before_it_writes(bench: Rig, tmp_path: Path) -> None:
    target = tmp_path / "half"
    job_id = bench.runtime.submit("toy.sleeping_child", {"name": str(target), "seconds": 60})
    note = Path(f"{target}.pid")
    until(lambda: note.exists() and note.read_text())
    bench.runtime.cancel(job_id)
    assert bench.runtime.wait(job_id, 10).state is JobState.CANCELLED
    until(lambda: not is_alive(int(note.read_text())))
    assert not target.exists()


def test_a_job_that_ignores_cancel_is_cancelled_all_the_same(bench: Rig) -> None:
    job_id = bench.runtime.submit("toy.stubborn", {"seconds": 4})
    until(lambda: bench.runtime.job(job_id).state is JobState.RUNNING)  # type: ignore[union-attr]
    bench.runtime.cancel(job_id)
    assert bench.runtime.wait(job_id, 3.5).state is JobState.CANCELLED


def test_cancelling_a_waiting_or_an_ended_job(bench: Rig) -> None:
    blocker = bench.runtime.submit("toy.forever", {})
    waiting = bench.runtime.submit("toy.quick", {}, after=[blocker])
    bench.runtime.cancel(waiting)
    assert bench.runtime.wait(waiting, 10).state is JobState.CANCELLED
    done = bench.runtime.wait(bench.runtime.submit("toy.quick", {}), 10)
    bench.runtime.cancel(done.id)
    bench.runtime.cancel(blocker)
    bench.runtime.wait(blocker, 10)
    assert bench.runtime.job(done.id) == done


def test_dependants_run_after_and_fail_with_what_they_need(bench: Rig) -> None:
    first = bench.runtime.submit("toy.quick", {"seconds": 0.2})
    second = bench.runtime.submit("toy.quick", {}, after=[first])
    ended = bench.runtime.wait(second, 20)
    before = bench.runtime.job(first)
    assert before is not None
    assert before.ended_s is not None
    assert ended.started_s is not None
    assert ended.started_s >= before.ended_s
    broken = bench.runtime.submit("toy.failing", {})
    chained = bench.runtime.submit("toy.quick", {}, after=[broken])
    further = bench.runtime.submit("toy.quick", {}, after=[chained])
    job = bench.runtime.wait(further, 20)
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error.code == "jobs.dependency_failed"
    assert chained in job.error.message
    with pytest.raises(UnknownJobError):
        bench.runtime.submit("toy.quick", {}, after=["nobody"])


def test_quitting_interrupts_and_the_next_start_offers_it_again(tmp_path: Path) -> None:
    with rig(tmp_path) as bench:
        job_id = bench.runtime.submit("toy.forever", {"name": "again"}, project="p")
        waiting = bench.runtime.submit("toy.quick", {}, after=[job_id])
        until(lambda: bench.runtime.job(job_id).state is JobState.RUNNING)
    with rig(tmp_path) as later:
        assert [job.id for job in later.runtime.interrupted()] == [job_id]
        new_id = later.runtime.rerun(job_id)
        again = later.runtime.job(new_id)
        assert again is not None
        assert (again.params["name"], again.project, again.rerun_of, again.attempt) == ("again", "p", job_id, 2)
        assert later.runtime.interrupted() == []
        moved = later.runtime.job(waiting)
        assert moved is not None
        assert moved.after == (new_id,)
        with pytest.raises(JobStateError):
            later.runtime.rerun(new_id)


def test_waiting_too_short_says_so(bench: Rig) -> None:
    job_id = bench.runtime.submit("toy.forever", {})
    with pytest.raises(StillRunningError):
        bench.runtime.wait(job_id, 0.05)


def test_a_front_end_can_call_into_a_child(bench: Rig) -> None:
    assert bench.runtime.call(toys.add, 2, 3).result(20) == 5
    with pytest.raises(NoSheepError) as caught:
        bench.runtime.call(toys.fail_typed).result(20)
    assert (caught.value.hint, caught.value.facts) == ("Bring one.", {"field": "stall"})
    with pytest.raises(ZeroDivisionError):
        bench.runtime.call(toys.fail_untyped).result(20)
    with pytest.raises(ChildDiedError) as died:
        bench.runtime.call(toys.die).result(20)
    assert died.value.facts["exit_code"] == "7"
    assert bench.runtime.call(toys.add, 1, 1).result(20) == 2


def test_cancelling_a_call_kills_its_child(bench: Rig, tmp_path: Path) -> None:
    note = tmp_path / "t.pid"
    future = bench.runtime.call(toys.sleep_and_write, str(tmp_path / "t"), 60)
    until(lambda: note.exists() and note.read_text())
    future.cancel()
    until(lambda: not is_alive(int(note.read_text())))


def test_lanes_bound_how_many_run_at_once(bench: Rig, tmp_path: Path) -> None:
    ids = [
        bench.runtime.submit("toy.sleeping_child", {"name": str(tmp_path / str(n)), "seconds": 60}) for n in range(4)
    ]
    until(lambda: len(bench.runtime.jobs([JobState.RUNNING])) == 2)
    assert len(bench.runtime.jobs([JobState.WAITING])) == 2
    for job_id in reversed(ids):
        bench.runtime.cancel(job_id)
    assert {bench.runtime.wait(job_id, 10).state for job_id in ids} == {JobState.CANCELLED}


def test_cancelling_at_once_is_never_too_early(bench: Rig) -> None:
    for _ in range(20):
        job_id = bench.runtime.submit("toy.forever", {})
        bench.runtime.cancel(job_id)
        assert bench.runtime.wait(job_id, 10).state is JobState.CANCELLED
