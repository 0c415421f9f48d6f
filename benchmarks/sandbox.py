"""The sandbox's bars on a real engine: python -m benchmarks.sandbox [--runs 100]. Prints a Markdown table.

Overhead is the wall time of a whole service call for an empty script less that of the same interpreter on this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from desktop.core.paths import Paths
from desktop.core.ports import Limits, RunOutcome, RunSpec
from desktop.sandbox.config import SandboxSettings
from desktop.sandbox.container import LABEL
from desktop.sandbox.outputs import collect_folder
from desktop.sandbox.service import SandboxService

LIMITS = Limits(wall_s=30, memory_mb=1024, cpus=2)


def bare_s() -> float:
    times = []
    for _ in range(7):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-I", "-B", "-c", "pass"], check=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


class Bench:
    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "given").mkdir()
        self.count = 0

    def service(self, warm: int) -> SandboxService:
        return SandboxService(lambda: SandboxSettings(warm=warm), Paths(self.home))

    async def run(self, service: SandboxService, script: str, limits: Limits = LIMITS) -> tuple[RunOutcome, float]:
        self.count += 1
        spec = RunSpec(
            "b", script.encode(), self.home / "given", self.home / f"o{self.count}", "model", "docker", limits
        )
        start = time.perf_counter()
        outcome = await service.run(spec, on_line=lambda _: None, is_checked=False)
        return outcome, time.perf_counter() - start


async def overhead(bench: Bench, warm: int, n: int) -> tuple[float, float]:
    service = bench.service(warm)
    if warm:
        service.stay_warm()
        await service.warm_up(LIMITS)
    times = []
    for _ in range(n):
        outcome, took = await bench.run(service, "open('a', 'w').write('x')")
        assert outcome.status == "ok", outcome
        times.append(took)
        await asyncio.sleep(1.5 if warm else 0)  # a person's second run, not a loop's
    await service.aclose()
    times.sort()
    return statistics.median(times), times[int(0.95 * (len(times) - 1))]


async def left(home: Path) -> int:
    from desktop.sandbox.docker import home_mark
    from desktop.sandbox.engine import find_engine

    engine = find_engine()
    assert engine is not None
    client = engine.client()
    label = {"label": [f"{LABEL}.home={home_mark(home)}"]}
    try:
        return len(client.containers(all=True, filters=label)) + len(client.volumes(filters=label)["Volumes"] or [])
    finally:
        client.close()


async def in_a_row(bench: Bench, n: int) -> str:
    service = bench.service(0)
    await bench.run(service, "pass")
    await service.aclose()
    gc.collect()
    me = psutil.Process()
    threads, files = threading.active_count(), me.num_fds()
    for _ in range(n):
        outcome, _ = await bench.run(service, "open('a', 'w').write('x')")
        assert outcome.status == "ok", outcome
    await service.aclose()
    gc.collect()
    more = (await left(bench.home), threading.active_count() - threads, me.num_fds() - files)
    scratch = len(list((bench.home / "scratch").iterdir()))
    return f"{more[0]} containers and volumes, {more[1]} threads, {more[2]} open files, {scratch} folders"


async def kill(bench: Bench) -> tuple[float, int]:
    service = bench.service(0)
    over = []
    for script in (
        "while True: pass",
        "x = 3 ** 10 ** 9",
        "import signal\nsignal.signal(15, signal.SIG_IGN)\nwhile True: pass",
    ):
        outcome, _ = await bench.run(service, script, Limits(wall_s=2, memory_mb=512, cpus=1))
        assert outcome.status == "timeout"
        over.append(outcome.wall_s - 2)
    await asyncio.sleep(5)
    remaining = await left(bench.home)
    await service.aclose()
    return max(over), remaining


async def stall(bench: Bench) -> float:
    service = bench.service(0)
    worst = 0.0

    async def watch() -> None:
        nonlocal worst
        while True:
            start = time.perf_counter()
            await asyncio.sleep(0.005)
            worst = max(worst, time.perf_counter() - start - 0.005)

    watcher = asyncio.create_task(watch())
    await bench.run(service, "while True: print('A' * 4000)", Limits(wall_s=4, memory_mb=512, cpus=1))
    watcher.cancel()
    await service.aclose()
    return worst


async def scientific(bench: Bench) -> float:
    service = bench.service(0)
    _, took = await bench.run(service, "import pandas, scipy.stats, matplotlib.pyplot, sklearn, pydeseq2.dds")
    await service.aclose()
    return took


def collector(bench: Bench) -> tuple[float, int]:
    """Many files, a deep tree, holes and a long name, collected from a folder; seconds and growth of memory."""
    source = bench.home / "traps"
    source.mkdir()
    for number in range(20_000):
        (source / f"{number}").touch()
    deep = source
    for _ in range(100):
        deep = deep / "d"
        deep.mkdir()
    with (source / "hole").open("wb") as file:
        file.truncate(1 << 40)
    (source / "real.bin").write_bytes(os.urandom(200 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    collect_folder(source, bench.home / "collected", Limits(output_entries=20_000))
    return time.perf_counter() - start, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        bare = bare_s()
        status = await bench.service(0).status()
        print(f"{status['detail']}; load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores; bare Python {bare:.3f} s\n")
        print("| what | bar | measured |\n| --- | --- | --- |", flush=True)
        cold, warm = await overhead(bench, 0, 15), await overhead(bench, 1, 12)
        print(f"| cold overhead p50 (p95) | ≤ 0.5 s | {cold[0] - bare:.2f} s ({cold[1] - bare:.2f} s) |")
        print(f"| warm overhead p50 (p95) | ≤ 0.15 s | {warm[0] - bare:.2f} s ({warm[1] - bare:.2f} s) |", flush=True)
        print(f"| import of the scientific stack, cold | – | {await scientific(bench):.1f} s |")
        over, remaining = await kill(bench)
        print(
            f"| killed after the limit, longest of 3 | ≤ 1 s | {over:.2f} s |\n| left 5 s later | 0 | {remaining} |",
            flush=True,
        )
        print(f"| loop stall in a flood of text | ≤ 100 ms | {await stall(bench) * 1000:.0f} ms |", flush=True)
        seconds, mib = collector(bench)
        print(f"| collector: 20,000 files, 1 TiB of holes, 200 MiB | ≤ 10 s, ≤ 512 MiB | {seconds:.1f} s, +{mib} MiB |")
        print(f"| {options.runs} runs in a row leave | nothing | {await in_a_row(bench, options.runs)} |")


if __name__ == "__main__":
    asyncio.run(main())
