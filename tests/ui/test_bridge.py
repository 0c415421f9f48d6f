"""The bridge delivers everything that matters, in order, on the window's thread, and never floods it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtWidgets import QApplication

from desktop.core.errors import InputError
from desktop.core.events import EventBus, JobChanged, JobLogged, SettingsChanged, TablesChanged
from desktop.core.jobs import JobRecord, JobState
from desktop.ui.bridge import LOG_LINES, Bridge
from desktop.workers.workbench import Workbench
from tests.ui.conftest import Run, until


def record(job_id: str, frac: float) -> JobRecord:
    return JobRecord(job_id, "k", "t", "s", "p", "io", JobState.RUNNING, {}, 0.0, done_frac=frac)


class Heard:
    """What came out of a bridge."""

    def __init__(self, bridge: Bridge) -> None:
        self.jobs: list[JobRecord] = []
        self.lines: dict[str, list[str]] = {}
        self.tables: set[str] = set()
        self.faults: list[str | None] = []
        self.threads: set[int] = set()
        bridge.jobChanged.connect(self._on_job)
        bridge.jobLogged.connect(lambda key, lines: self.lines.setdefault(key, []).extend(lines))
        bridge.tablesChanged.connect(self.tables.update)
        bridge.settingsChanged.connect(self.faults.append)

    def _on_job(self, job: JobRecord) -> None:
        self.jobs.append(job)
        self.threads.add(threading.get_ident())


def publish_from_a_thread(bridge: Bridge, events: list[Any]) -> None:
    bus = EventBus()
    bus.subscribe(bridge.receive)
    thread = threading.Thread(target=lambda: [bus.publish(event) for event in events])
    thread.start()
    thread.join()


def test_a_flood_is_delivered_as_its_latest_states(qapp: QApplication, run: Run[Any]) -> None:
    async def scenario() -> None:
        bridge = Bridge()
        heard = Heard(bridge)
        publish_from_a_thread(bridge, [JobChanged(record(f"j{n % 3}", n / 30_000)) for n in range(30_000)])
        await until(lambda: len(heard.jobs) >= 3)
        await asyncio.sleep(0.1)
        assert {job.id: job.done_frac for job in heard.jobs} == {f"j{n % 3}": n / 30_000 for n in range(29_997, 30_000)}
        assert len(heard.jobs) < 30, "states between two frames are skipped"
        assert heard.threads == {threading.get_ident()}
        await bridge.close()

    run(scenario())


def test_log_lines_come_in_order_and_a_flood_keeps_its_end(qapp: QApplication, run: Run[Any]) -> None:
    async def scenario() -> None:
        bridge = Bridge()
        heard = Heard(bridge)
        publish_from_a_thread(bridge, [JobLogged("j", f"{n}") for n in range(LOG_LINES * 3)])
        await until(lambda: heard.lines.get("j"))
        assert heard.lines["j"] == [f"{n}" for n in range(LOG_LINES * 2, LOG_LINES * 3)]
        await bridge.close()

    run(scenario())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.builds(lambda n, f: JobChanged(record(f"j{n}", f)), st.integers(0, 4), st.floats(0, 1)),
            st.builds(lambda n, t: JobLogged(f"j{n}", t), st.integers(0, 4), st.text(max_size=5)),
            st.builds(lambda t: TablesChanged(frozenset(t)), st.sets(st.sampled_from("abc"))),
            st.builds(SettingsChanged, st.one_of(st.none(), st.just("line 3"))),
        ),
        max_size=60,
    )
)
def test_nothing_that_matters_is_lost(qapp: QApplication, run: Run[Any], events: list[Any]) -> None:
    async def scenario() -> None:
        bridge = Bridge()
        heard = Heard(bridge)
        publish_from_a_thread(bridge, events)
        latest = {event.job.id: event.job for event in events if isinstance(event, JobChanged)}
        lines: dict[str, list[str]] = {}
        for event in events:
            if isinstance(event, JobLogged):
                lines.setdefault(event.job_id, []).append(event.line)
        tables = {name for event in events if isinstance(event, TablesChanged) for name in event.tables}
        faults = [event.fault for event in events if isinstance(event, SettingsChanged)]
        await until(
            lambda: (
                {job.id: job for job in heard.jobs} == latest
                and heard.lines == lines
                and heard.tables == tables
                and heard.faults[-1:] == faults[-1:]
            ),
            limit_s=5,
        )
        await bridge.close()

    run(scenario())


def test_calls_run_in_a_child_and_reads_in_a_thread(qapp: QApplication, run: Run[Any], workbench: Workbench) -> None:
    import os

    async def scenario() -> None:
        bridge = Bridge()
        bridge.attach(workbench)
        assert await bridge.call(os.getpid) != os.getpid()
        assert await bridge.read(threading.get_ident) != threading.get_ident()
        await bridge.close()

    run(scenario())


def _fail() -> None:
    raise InputError("It is empty.", hint="Choose another file.")


def test_a_failing_task_is_told(qapp: QApplication, run: Run[Any], workbench: Workbench) -> None:
    async def scenario() -> None:
        bridge = Bridge()
        bridge.attach(workbench)
        faults: list[BaseException] = []
        bridge.faulted.connect(faults.append)
        bridge.start(bridge.call(_fail))
        await until(lambda: faults)
        assert isinstance(faults[0], InputError)
        assert faults[0].hint == "Choose another file."
        await bridge.close()

    run(scenario())


def test_before_a_workbench_there_is_nothing_to_ask(qapp: QApplication, run: Run[Any]) -> None:
    bridge = Bridge()
    assert not bridge.is_attached
    with pytest.raises(RuntimeError, match="not built yet"):
        run(bridge.submit("quick.count", {}))
