"""Progress, time left and logs of a running job: smooth, bounded, never going back, safe to show."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.core.events import Event, EventBus, JobChanged, JobLogged
from desktop.core.jobs import JobRecord, JobState
from desktop.workers.live import LiveJob, Pace, read_log


class SetClock:
    time_s = 100.0

    def now_s(self) -> float:
        return self.time_s

    def monotonic_s(self) -> float:
        return self.time_s


def live_job(tmp_path: Path, clock: SetClock, events: list[Event]) -> LiveJob:
    bus = EventBus()
    bus.subscribe(events.append)
    record = JobRecord(
        id="j",
        kind="k",
        title="t",
        studio="s",
        project="p",
        lane="io",
        state=JobState.RUNNING,
        params={},
        created_s=0.0,
    )
    return LiveJob(record, log=tmp_path / "j.log", bus=bus, clock=clock)


def test_time_left_is_unknown_at_first_then_near_the_truth() -> None:
    pace = Pace(0.0)
    pace.move(0.01, 0.5)
    assert pace.time_left_s is None
    for second in range(1, 51):
        pace.move(second / 100, float(second))
    assert pace.time_left_s == pytest.approx(50, rel=0.05)


def test_time_left_follows_a_change_of_pace_without_jumping() -> None:
    pace, shown = Pace(0.0), []
    for second in range(1, 31):
        pace.move(second / 100, float(second))
    for second in range(31, 91):  # half as fast
        pace.move(0.3 + (second - 30) / 200, float(second))
        assert pace.time_left_s is not None
        shown.append(pace.time_left_s)
    assert max(abs(a - b) for a, b in itertools.pairwise(shown)) < 15
    assert shown[-1] == pytest.approx(80, rel=0.3)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1000)), max_size=30))
def test_time_left_is_never_negative(moves: list[tuple[float, float]]) -> None:
    pace, now_s = Pace(0.0), 0.0
    for frac, passed_s in moves:
        now_s += passed_s
        pace.move(frac, now_s)
        assert pace.time_left_s is None or pace.time_left_s >= 0


async def test_a_flood_of_progress_is_published_ten_times_a_second_with_the_latest_last(tmp_path: Path) -> None:
    clock, events = SetClock(), list[Event]()
    live = live_job(tmp_path, clock, events)
    for n in range(10_000):
        live.move(n / 10_000, str(n))
    await asyncio.sleep(0.01)
    assert len(events) == 1
    live.move(0.99999, "last")
    clock.time_s += 0.2
    await asyncio.sleep(0.25)
    assert len(events) == 2
    assert isinstance(events[-1], JobChanged)
    assert events[-1].job.note == "last"


async def test_steps_share_out_the_whole_and_it_never_goes_back(tmp_path: Path) -> None:
    live = live_job(tmp_path, SetClock(), [])
    live.enter("first", 0.0, 0.4)
    live.move(0.5, "")
    assert live.record.done_frac == pytest.approx(0.2)
    live.move(0.1, "")
    assert live.record.done_frac == pytest.approx(0.2)
    live.move(7.0, "")
    live.enter("second", 0.4, 1.0)
    live.move(0.5, "")
    assert live.record.done_frac == pytest.approx(0.7)
    assert live.record.step == "second"


async def test_nothing_is_published_after_the_end(tmp_path: Path) -> None:
    events: list[Event] = []
    live = live_job(tmp_path, SetClock(), events)
    live.move(0.5, "")
    live.end(state=JobState.CANCELLED)
    live.move(0.9, "late")
    live.log("late")
    await asyncio.sleep(0.15)
    assert events == []


async def test_log_lines_are_safe_to_show_and_the_log_is_capped(tmp_path: Path) -> None:
    events: list[Event] = []
    live = live_job(tmp_path, SetClock(), events)
    live.log("a\tb\x1b[31mred\x07 \u202eevil\nsecond \ud800")
    live.log("x" * 1_000_000)
    for _ in range(300):
        live.log("y" * 5000)
    lines = read_log(tmp_path / "j.log", 10_000)
    assert lines[:2] == ["a\tb\\x1b[31mred\\x07 \\u202eevil", "second \\ud800"]
    assert len(lines[2]) < 5000
    assert lines[-1].startswith("… the log is full")
    assert (tmp_path / "j.log").stat().st_size < 1_100_000
    assert [event.line for event in events if isinstance(event, JobLogged)] == lines
    assert read_log(tmp_path / "j.log", 3) == lines[-3:]
    assert read_log(tmp_path / "none.log", 3) == []
