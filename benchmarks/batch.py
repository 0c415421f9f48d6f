"""A batch of 12 contrasts: are all cores busy, and is a stop quick and clean?

python -m benchmarks.batch

Busy means: of the processor time that other programs left over, how much was used. That is this program's own time over
its own and what stayed idle, which other load on the machine does not change. The share of the whole machine, which it
does, is told beside it, and the mean number of processes that can run (they run, or wait for nothing but a core).
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from desktop.app import build
from desktop.core.jobs import JobState
from desktop.core.paths import Paths
from desktop.studios.omics import queries
from desktop.workers.workbench import Workbench

EVERY_S = 0.05


class Watch:
    """Looks at this process and its descendants until stopped."""

    def __init__(self) -> None:
        self.runnable: list[int] = []
        self.cpu_s: dict[tuple[int, float], float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._began_s, self._own_s, self._idle_s = time.monotonic(), time.process_time(), idle_s()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall_s = time.monotonic() - self._began_s
        self.idle_s = idle_s() - self._idle_s
        self._stop.set()
        self._thread.join()
        self.total_s = time.process_time() - self._own_s + sum(self.cpu_s.values())

    def _look(self) -> None:
        own = psutil.Process()
        while not self._stop.wait(EVERY_S):
            n_runnable = 0
            for child in own.children(recursive=True):
                try:
                    spent = child.cpu_times()
                    self.cpu_s[child.pid, child.create_time()] = spent.user + spent.system
                    n_runnable += child.status() == psutil.STATUS_RUNNING
                except psutil.Error:
                    continue
            self.runnable.append(n_runnable)


def idle_s() -> float:
    """Seconds all cores together have had nothing to do since the machine started; waiting for a disk counts."""
    times = psutil.cpu_times()
    return float(times.idle + getattr(times, "iowait", 0.0))


@contextmanager
def workbench() -> Iterator[tuple[Workbench, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        built = build(Paths(Path(folder) / "home"))
        try:
            yield built, Path(folder)
        finally:
            built.close()


def twelve() -> list[dict[str, object]]:
    """Every pair of the airway sample's four cell lines, allowing for the drug, either way round."""
    sample = queries.sample_dataset()
    lines = Path(sample.samples).read_text(encoding="utf-8").splitlines()
    column = lines[0].split(",").index("cell")
    cells = sorted({line.split(",")[column] for line in lines[1:]})
    pairs = list(itertools.permutations(cells, 2))
    common = {"data": str(sample.data), "samples": str(sample.samples), "design": "~ dex + cell"}
    return [{**common, "contrast": {"factor": "cell", "treated": a, "control": b}} for a, b in pairs]


def main() -> int:
    cores = os.cpu_count() or 1
    with workbench() as (bench, folder), Watch() as watch:
        job = bench.runtime.submit("omics.run_batch", {"items": twelve(), "out_dir": str(folder / "out")})
        ended = bench.runtime.wait(job)
    assert ended.state is JobState.DONE, ended.error
    assert ended.result is not None
    assert ended.result["n_done"] == 12, ended.result
    able = sum(min(n, cores) for n in watch.runnable) / (cores * len(watch.runnable))
    print(f"12 contrasts, {cores} cores, load {os.getloadavg()[0]:.1f}: {watch.wall_s:.1f} s wall")
    left_over_s = watch.total_s + watch.idle_s
    print(f"processor time {watch.total_s:.1f} s: {watch.total_s / left_over_s:.0%} of what other programs left over,")
    print(f"{watch.total_s / watch.wall_s / cores:.0%} of the cores")
    print(f"processes that could run: {able:.0%} of the cores")
    with workbench() as (bench, folder):
        job = bench.runtime.submit("omics.run_batch", {"items": twelve(), "out_dir": str(folder / "out")})
        time.sleep(watch.wall_s / 3)
        began_s = time.monotonic()
        bench.runtime.cancel(job)
        assert bench.runtime.wait(job).state is JobState.CANCELLED
        stopped_s = time.monotonic() - began_s
        folders = [path for path in (folder / "out").iterdir() if path.is_dir()]
        left = [*bench.paths.scratch.iterdir(), *(path for path in folders if not (path / "manifest.json").exists())]
    print(f"stopped in {stopped_s:.2f} s; left half done: {len(left)}")
    return int(stopped_s > 2 or bool(left))


if __name__ == "__main__":
    sys.exit(main())
