"""The longest time the window's thread was away from its events while real work went on.

    python -m benchmarks.stall [--json] [--seconds N]

Three scenes in one window: idle (what the machine itself costs), a job that floods progress and log with Activity in
front, and the bundled analysis from question to results in Analyze. The bar is 50 ms above nothing: a machine that is
busy with something else shows in the idle figure, and `longest_work_ms` is what the thread itself computed in a gap,
whoever else wanted the processor.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from desktop.core.jobs import Job, JobState, Studio
from desktop.core.ports import JobContext

BAR_MS = 50.0
TICK_MS = 1


class FloodParams(BaseModel):
    seconds: float = 5.0


class FloodResult(BaseModel):
    lines: int


async def run_flood(ctx: JobContext, params: FloodParams) -> FloodResult:
    """Progress and log lines as fast as they can be made."""
    lines, end = 0, time.monotonic() + params.seconds
    with ctx.step("Flooding", upto=1.0):
        while (left := end - time.monotonic()) > 0:
            for _ in range(200):
                ctx.log(f"line {lines} of a flood that goes on and on")
                ctx.progress(1 - left / params.seconds)
                lines += 1
            await asyncio.sleep(0)
    return FloodResult(lines=lines)


FLOOD = Studio(
    key="flood",
    title="Flood",
    settings="",
    migrations="",
    jobs=(Job("flood.run", f"{__name__}:run_flood", f"{__name__}:FloodParams", "io", "Flood", resumable=True),),
)


class Pulse:
    """Ticks on the window's thread and keeps the longest gap."""

    def __init__(self) -> None:
        from PySide6.QtCore import Qt, QTimer

        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._on_tick)
        self.longest_ms, self._last_s, self.gaps = 0.0, 0.0, 0
        self.longest_work_ms, self._last_work_s = 0.0, 0.0

    def start(self) -> None:
        self.longest_ms, self._last_s, self.gaps = 0.0, time.perf_counter(), 0
        self.longest_work_ms, self._last_work_s = 0.0, time.thread_time()
        self._timer.start()

    def stop(self) -> dict[str, float]:
        self._timer.stop()
        return {
            "longest_ms": round(self.longest_ms, 1),
            "longest_work_ms": round(self.longest_work_ms, 1),
            "gaps_above_bar": self.gaps,
        }

    def _on_tick(self) -> None:
        now_s, work_s = time.perf_counter(), time.thread_time()
        self.longest_work_ms = max(self.longest_work_ms, (work_s - self._last_work_s) * 1000)
        self._last_work_s = work_s
        gap_ms = (now_s - self._last_s) * 1000
        self.longest_ms, self._last_s = max(self.longest_ms, gap_ms), now_s
        self.gaps += gap_ms > BAR_MS


async def scenes(frame: Any, seconds: float) -> dict[str, dict[str, float]]:
    pulse, found = Pulse(), {}

    async def measure(name: str, work: Coroutine[Any, Any, Any]) -> None:
        pulse.start()
        await work
        found[name] = pulse.stop()

    async def until(condition: Any, limit_s: float = 300) -> None:
        end = time.monotonic() + limit_s
        while not condition() and time.monotonic() < end:
            await asyncio.sleep(0.02)

    async def flood() -> None:
        job_id = await frame.bridge.submit("flood.run", {"seconds": seconds})
        await until(lambda: frame.jobs.get(job_id) is not None)
        frame.show_job(job_id)
        await until(lambda: frame.jobs[job_id].state.is_final)

    async def analyse() -> None:
        frame.actions["ui.try_sample"].trigger()
        await until(frame.actions["ui.run"].isEnabled)
        frame.actions["ui.run"].trigger()

        def done() -> bool:
            return any(j.kind == "omics.run_analysis" and j.state.is_final for j in frame.jobs.values())

        await until(done)

    async def show_results() -> None:
        await asyncio.sleep(6)

    for key in ("library", "activity", "analyze"):  # made once, before the clock runs: their imports are start-up
        frame.show_section(key)
        await asyncio.sleep(0.3)
    await measure("idle", asyncio.sleep(seconds))
    await measure("flood", flood())
    await measure("analyse", analyse())
    await measure("show results", show_results())
    failed = [job.error for job in frame.jobs.values() if job.state is not JobState.DONE]
    if failed:
        print(f"a job failed: {failed}", file=sys.stderr)
    return found


def measure(seconds: float) -> dict[str, dict[str, float]]:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    import qasync

    from desktop import app as composition
    from desktop import studios
    from desktop.core.paths import Paths
    from desktop.ui import theme
    from desktop.ui.bridge import Bridge
    from desktop.ui.first_paint import Window
    from desktop.ui.frame import Frame
    from desktop.ui.garbage import WindowCollector
    from desktop.ui.main_window import Application
    from desktop.ui.window_state import WindowState

    known = studios.jobs()
    studios.jobs = lambda: known | {job.id: (FLOOD, job) for job in FLOOD.jobs}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        workbench = composition.build(Paths(home))
        qt = Application([])
        qt.setQuitOnLastWindowClosed(False)
        theme.apply_fonts(qt)
        theme.apply_theme(qt)
        window = Window(WindowState(home / "window.json"))
        frame = Frame(window, Bridge(qt), WindowState(home / "window.json"))
        window.show()
        loop = qasync.QEventLoop(qt)
        loop.set_default_executor(ThreadPoolExecutor(2))
        asyncio.set_event_loop(loop)

        async def main() -> dict[str, dict[str, float]]:
            collector = WindowCollector()
            frame.bridge.attach(workbench)
            found = await scenes(frame, seconds)
            await frame.bridge.close()
            collector.stop()
            return found

        try:
            return dict(loop.run_until_complete(main()))
        finally:
            workbench.close()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = measure(given.seconds)
    if given.json:
        print(json.dumps(figures))
    else:
        for name, figure in figures.items():
            print(
                f"{name:14} longest {figure['longest_ms']:6.1f} ms,"
                f" {figure['gaps_above_bar']:.0f} above {BAR_MS:.0f} ms"
            )
    return int(any(figure["longest_ms"] > BAR_MS for name, figure in figures.items() if name != "idle"))


if __name__ == "__main__":
    from benchmarks import stall  # the job's own module, also for the child processes

    sys.exit(stall.main())
