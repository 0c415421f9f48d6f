"""kill -9 at random moments while rows are written and jobs are submitted and finished: what was lost?

    python -m benchmarks.crash [--kills 200] [--seed 1] [--json]

One store lives through all kills. A victim process acknowledges each durable row, submitted job and finished job on a
pipe; after each kill the store is opened again and must be sound, hold everything acknowledged, and offer every job
that had not ended. The victim's own child processes must be gone. A kill does not test power loss.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import psutil
import sqlite_utils
from pydantic import BaseModel

from desktop.core.config import SECTIONS, SettingsStore
from desktop.core.events import Event, EventBus, JobChanged
from desktop.core.jobs import Job, JobState, Studio
from desktop.core.paths import Paths
from desktop.core.ports import JobContext
from desktop.store.db import Database
from desktop.workers.runtime import JobRuntime
from tests.stand_ins.fleet import make_house

_WRITERS = 3
_GONE_S = 5.0
_ROOT = Path(__file__).resolve().parents[1]


class NapParams(BaseModel):
    seconds: float = 0.0


class NapResult(BaseModel):
    napped: bool


async def run_nap(ctx: JobContext, params: NapParams) -> NapResult:
    with ctx.step("nap", upto=1.0):
        await asyncio.sleep(params.seconds)
    await ctx.decide("woke up", by="rule:nap", because="it was time")
    return NapResult(napped=True)


async def run_child_nap(ctx: JobContext, params: NapParams) -> NapResult:
    await ctx.cpu(time.sleep, params.seconds)
    return NapResult(napped=True)


def m001_rows(db: sqlite_utils.Database) -> None:
    db.conn.execute("CREATE TABLE crash_rows (name TEXT PRIMARY KEY, ballast TEXT NOT NULL) STRICT")


STUDIO = Studio(
    "crash",
    "Crash",
    settings="",
    migrations="",
    jobs=tuple(
        Job(f"crash.{name}", f"benchmarks.crash:run_{name}", "benchmarks.crash:NapParams", lane, name)
        for name, lane in (("nap", "io"), ("child_nap", "cpu"))
    ),
)


def build(home: Path) -> tuple[Database, JobRuntime, EventBus]:
    paths, bus = Paths(home), EventBus()
    store = Database.open(paths.store, {"crash": (("m001_rows", m001_rows),)}, backups_dir=paths.backups, bus=bus)
    runtime = JobRuntime(
        store,
        {job.id: (STUDIO, job) for job in STUDIO.jobs},
        sandbox=cast(Any, None),
        net=cast(Any, None),
        models=make_house(paths.home).gateway,
        settings=SettingsStore(paths.settings, SECTIONS, bus, environ={}),
        bus=bus,
        paths=paths,
    )
    return store, runtime, bus


# ---- the victim --------------------------------------------------------------------------------------------------


def be_victim(home: Path, seed: int) -> None:
    """Work until killed; say each thing that is durable."""
    store, runtime, bus = build(home)

    def say(*words: str) -> None:
        os.write(1, (" ".join(words) + "\n").encode())

    def hear(event: Event) -> None:
        if isinstance(event, JobChanged) and event.job.state is JobState.DONE:
            say("done", event.job.id)

    bus.subscribe(hear)
    runtime.start()
    say("ready")

    def write_rows(n: int) -> None:
        chance, k = random.Random(seed * 10 + n), 0
        while True:
            name, ballast = f"{seed}-{n}-{k}", "x" * chance.choice((1, 200, 5000))
            store.write_now(
                lambda db, name=name, ballast=ballast: db.conn.execute(
                    "INSERT INTO crash_rows VALUES (?, ?)", (name, ballast)
                )
            )
            say("row", name)
            k += 1

    for n in range(_WRITERS):
        threading.Thread(target=write_rows, args=(n,), daemon=True).start()
    chance, last = random.Random(seed), ""
    while True:
        kind = "crash.child_nap" if chance.random() < 0.2 else "crash.nap"
        after = [last] if last and chance.random() < 0.2 else []
        last = runtime.submit(kind, {"seconds": chance.choice((0, 0.01, 0.05, 30))}, after=after)
        say("job", last)
        time.sleep(chance.random() * 0.03)


# ---- the judge ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Tally:
    """What the victims acknowledged, and what was found missing or wrong afterwards."""

    kills: int = 0
    rows: set[str] = field(default_factory=set)
    jobs: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    reopen_s: list[float] = field(default_factory=list)

    def hear(self, line: str) -> None:
        kind, _, name = line.strip().partition(" ")
        known = {"row": self.rows, "job": self.jobs, "done": self.done}
        if kind in known and name:
            known[kind].add(name)


def run(home: Path, kills: int, seed: int) -> Tally:
    """Kill `kills` victims over one store; `faults` is empty when nothing was lost."""
    tally, chance = Tally(), random.Random(seed)
    for n in range(kills):
        kill_one(home, seed * 100_000 + n, chance, tally)
        judge(home, tally)
        tally.kills += 1
    return tally


def kill_one(home: Path, seed: int, chance: random.Random, tally: Tally) -> None:
    """Start a victim, let it work for a random while, kill it; then all it had started must end too."""
    victim = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.crash", "--victim", str(home), "--seed", str(seed)],
        stdout=subprocess.PIPE,
        cwd=_ROOT,
    )
    assert victim.stdout is not None
    stdout = victim.stdout
    is_ready = threading.Event()

    def listen() -> None:
        whole = ""
        for raw in stdout:
            whole = raw.decode()
            if whole.startswith("ready"):
                is_ready.set()
            elif whole.endswith("\n"):
                tally.hear(whole)

    listener = threading.Thread(target=listen)
    listener.start()
    if chance.random() > 0.15:  # the others are killed while they start
        is_ready.wait(60)
    time.sleep(chance.random() * 0.8)
    offspring = psutil.Process(victim.pid).children(recursive=True)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    listener.join()
    stdout.close()
    _, alive = psutil.wait_procs(offspring, timeout=_GONE_S)
    for process in alive:
        tally.faults.append(f"kill {tally.kills}: child process outlived its parent by {_GONE_S} s")
        process.kill()


def judge(home: Path, tally: Tally) -> None:
    """Open the store again and compare it with what was acknowledged."""
    began = time.perf_counter()
    store, runtime, _ = build(home)
    tally.reopen_s.append(time.perf_counter() - began)
    try:
        where = f"kill {tally.kills}"
        tally.faults += [f"{where}: {notice.message}" for notice in store.notices]
        tally.faults += [f"{where}: {fault}" for fault in store.checkup()]
        rows = {row["name"] for row in store.read("SELECT name FROM crash_rows")}
        tally.faults += [f"{where}: row {name} lost" for name in tally.rows - rows]
        runtime.start()
        states = {row["id"]: row["state"] for row in store.read("SELECT id, state FROM jobs")}
        offered = {job.id for job in runtime.interrupted()}
        runtime.stop()
        for job_id in tally.jobs:
            state = states.get(job_id, "lost")
            if job_id in tally.done and state != "done":
                tally.faults.append(f"{where}: job {job_id} was done and is {state}")
            elif state not in ("done", "waiting", "running") and job_id not in offered:
                tally.faults.append(f"{where}: job {job_id} is {state} and not offered again")
    finally:
        runtime.stop()
        store.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--victim", type=Path)
    arguments, _ = parser.parse_known_args()
    if arguments.victim:
        be_victim(arguments.victim, arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        tally = run(Path(folder), arguments.kills, arguments.seed)
    figures = {
        "kills": tally.kills,
        "rows_acknowledged": len(tally.rows),
        "jobs_acknowledged": len(tally.jobs),
        "jobs_done_acknowledged": len(tally.done),
        "faults": len(tally.faults),
        "reopen_s_median": round(statistics.median(tally.reopen_s), 3),
        "reopen_s_max": round(max(tally.reopen_s), 3),
    }
    print(json.dumps(figures) if arguments.json else "\n".join(f"{name:24} {value}" for name, value in figures.items()))
    for fault in tally.faults[:20]:
        print(fault, file=sys.stderr)
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
