"""A real runtime over a real store in a temporary folder, with toy jobs. Shared by the tests of this folder."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ConfigDict

from desktop.core.config import SECTIONS, SettingsStore
from desktop.core.errors import InputError
from desktop.core.events import Event, EventBus
from desktop.core.jobs import Job, Studio
from desktop.core.paths import Paths
from desktop.core.ports import JobContext
from desktop.core.progress import report_progress
from desktop.sandbox.config import SandboxSettings
from desktop.sandbox.service import SandboxService
from desktop.store.db import Database
from desktop.workers.runtime import JobRuntime
from tests.stand_ins.fleet import make_house


class ToyParams(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str = "toy"
    seconds: float = 0.0


class ToyResult(BaseModel):
    text: str
    pid: int = 0


class NoSheepError(InputError):
    code = "toy.no_sheep"


async def run_quick(ctx: JobContext, params: ToyParams) -> ToyResult:
    with ctx.step("one", upto=0.5):
        ctx.log(f"hello {params.name}")
        await asyncio.sleep(params.seconds)
    with ctx.step("two", upto=1.0):
        ctx.progress(0.5, "half")
    return ToyResult(text=params.name)


async def run_forever(ctx: JobContext, params: ToyParams) -> ToyResult:
    ctx.log("began")
    await asyncio.Event().wait()
    raise AssertionError


async def run_stubborn(ctx: JobContext, params: ToyParams) -> ToyResult:
    until = time.monotonic() + params.seconds
    while time.monotonic() < until:
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            ctx.log("no")
    return ToyResult(text="late")


async def run_failing(ctx: JobContext, params: ToyParams) -> ToyResult:
    raise NoSheepError("There is no sheep.", hint="Bring one.", field="meadow")


async def run_buggy(ctx: JobContext, params: ToyParams) -> ToyResult:
    raise KeyError("secret-looking-thing")


def whoami(name: str) -> tuple[str, int]:
    report_progress(0.25, "a quarter")
    print("noise that must not reach a person's terminal")
    report_progress(1.0, "all")
    return name.upper(), os.getpid()


def sleep_and_write(path: str, seconds: float) -> None:
    Path(path + ".pid").write_text(str(os.getpid()))
    time.sleep(seconds)
    Path(path).write_text("must not be there")


def die() -> None:
    os._exit(7)


def fail_typed() -> None:
    raise NoSheepError("No sheep in the child.", hint="Bring one.", field="stall")


def fail_untyped() -> None:
    raise ZeroDivisionError("oops")


class AwkwardError(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one}-{two}")


def fail_awkwardly() -> None:
    raise AwkwardError(1, 2)


def give_back_a_lambda() -> object:
    return lambda: None


def loaded(names: tuple[str, ...]) -> list[str]:
    return [name for name in names if name in sys.modules]


def sleep_long(note: str) -> None:
    Path(note).write_text("x")
    time.sleep(600)


def spin(note: str) -> None:
    Path(note).write_text("x")
    while True:
        pass


def hold_the_interpreter(note: str) -> None:
    Path(note).write_text("x")
    sum(range(10**13))


def start_sleeper(note: str) -> None:
    sleeper = subprocess.Popen(["sleep", "600"])
    Path(note).write_text(str(sleeper.pid))
    sleeper.wait()


def add(a: int, b: int) -> int:
    return a + b


async def run_child(ctx: JobContext, params: ToyParams) -> ToyResult:
    text, pid = await ctx.cpu(whoami, params.name)
    await ctx.decide("greeted", by="rule:toy", because="it asked", inputs={"name": "0" * 64})
    ctx.warn("mind the step")
    return ToyResult(text=text, pid=pid)


async def run_sleeping_child(ctx: JobContext, params: ToyParams) -> ToyResult:
    await ctx.cpu(sleep_and_write, params.name, params.seconds)
    return ToyResult(text="woke")


async def run_slow(ctx: JobContext, params: ToyParams) -> ToyResult:
    with ctx.step("first", upto=0.1):
        ctx.warn("careful")
    with ctx.step("middle", upto=0.5):
        ctx.progress(0.5, "half")
        await asyncio.Event().wait()
    raise AssertionError


async def run_big_result(ctx: JobContext, params: ToyParams) -> ToyResult:
    while not (ctx.paths.home / "go").exists():
        await asyncio.sleep(0.02)
    return ToyResult(text="x" * 2_000_000)


def _job(name: str, lane: str = "io", *, resumable: bool = False) -> Job:
    return Job(
        f"toy.{name}", f"{__name__}:run_{name}", f"{__name__}:ToyParams", lane, f"Toy {name}", resumable=resumable
    )


STUDIO = Studio(
    "toy",
    "Toy",
    settings="",
    migrations="",
    jobs=(
        _job("quick", resumable=True),
        _job("forever"),
        _job("stubborn"),
        _job("failing"),
        _job("buggy"),
        _job("child", "cpu"),
        _job("sleeping_child", "sandbox"),
        _job("slow"),
        _job("big_result"),
    ),
)
JOBS = {job.id: (STUDIO, job) for job in STUDIO.jobs}


class Rig:
    """Store, bus and runtime as `app.py` would build them, and every event published."""

    def __init__(self, home: Path, *, start: bool = True) -> None:
        self.paths = Paths(home)
        self.bus = EventBus()
        self.events: list[Event] = []
        self.bus.subscribe(self.events.append)
        self.settings = SettingsStore(self.paths.settings, SECTIONS, self.bus, environ={})
        self.store = Database.open(self.paths.store, {}, backups_dir=self.paths.backups, bus=self.bus)
        self.runtime = JobRuntime(
            self.store,
            JOBS,
            sandbox=SandboxService(SandboxSettings, self.paths),
            net=cast(Any, None),
            models=make_house(self.paths.home).gateway,
            settings=self.settings,
            bus=self.bus,
            paths=self.paths,
        )
        if start:
            self.runtime.start()

    def close(self) -> None:
        self.runtime.stop()
        self.store.close()


@contextmanager
def rig(home: Path, *, start: bool = True) -> Any:
    built = Rig(home, start=start)
    try:
        yield built
    finally:
        built.close()
