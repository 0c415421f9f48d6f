"""What a job's function is given: the ports, and its own progress, log, settings and child processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from desktop.core.clock import Clock
from desktop.core.config import SettingsStore
from desktop.core.models import Models
from desktop.core.paths import Paths
from desktop.core.ports import Net, Sandbox
from desktop.core.trace import span
from desktop.store import audit
from desktop.store.db import Database
from desktop.workers.children import Children
from desktop.workers.live import LiveJob

T = TypeVar("T")


@dataclass(slots=True)
class Context:
    """`desktop.core.ports.JobContext` over the running application."""

    job_id: str
    project: str
    paths: Paths
    clock: Clock
    store: Database
    net: Net
    sandbox: Sandbox
    models: Models
    _settings: SettingsStore
    _live: LiveJob
    _children: Children
    _aside: Children

    def settings(self, studio: str) -> Any:
        return self._settings.get(studio)

    def step(self, name: str, *, upto: float) -> AbstractContextManager[None]:
        return self._step(name, upto)

    @contextmanager
    def _step(self, name: str, upto: float) -> Iterator[None]:
        outer = self._live.span
        self._live.enter(name, self._live.record.done_frac, upto)
        try:
            with span(f"step.{name}"):
                yield
            self._live.move(1.0, "")
        finally:
            self._live.resume(*outer)

    def progress(self, done_frac: float, note: str = "") -> None:
        self._live.move(done_frac, note)

    def log(self, line: str) -> None:
        self._live.log(line)

    def warn(self, text: str) -> None:
        self._live.warn(text)

    async def decide(self, what: str, *, by: str, because: str, inputs: Mapping[str, str] | None = None) -> None:
        at_s = self.clock.now_s()
        await self.store.write(
            lambda db: audit.write_entry(
                db,
                at_s=at_s,
                what=what,
                by=by,
                because=because,
                inputs=inputs,
                job_id=self.job_id,
                project=self.project,
            )
        )

    async def cpu(self, fn: Callable[..., T], /, *args: Any) -> T:
        with span(f"cpu.{fn.__name__}"):
            return await self._children.run(fn, *args, on_progress=self.progress)

    async def aside(self, fn: Callable[..., T], /, *args: Any) -> T:
        with span(f"aside.{fn.__name__}"):
            return await self._aside.run(fn, *args, on_progress=self.progress)

    async def io(self, fn: Callable[..., T], /, *args: Any) -> T:
        with span(f"io.{fn.__name__}"):
            return await asyncio.to_thread(fn, *args)

    def part(self, name: str, on_progress: Callable[[float, str], None]) -> Part:
        """See `desktop.core.ports.JobContext.part`."""
        shared = {field.name: getattr(self, field.name) for field in fields(self)}
        return Part(**shared | {"job_id": f"{self.job_id}-{name}"}, _name=name, _on_progress=on_progress)


@dataclass(slots=True)
class Part(Context):
    """The context of one of several runs inside a job: what it tells of itself goes to that job."""

    _name: str = ""
    _on_progress: Callable[[float, str], None] = lambda _frac, _note: None
    _done_frac: float = 0.0
    _floor: float = 0.0
    _ceiling: float = 1.0
    _step_name: str = ""

    @contextmanager
    def _step(self, name: str, upto: float) -> Iterator[None]:
        self._floor, self._ceiling, self._step_name = self._done_frac, max(self._done_frac, min(1.0, upto)), name
        self.progress(0.0)
        yield
        self.progress(1.0)

    def progress(self, done_frac: float, note: str = "") -> None:
        whole = self._floor + min(1.0, max(0.0, done_frac)) * (self._ceiling - self._floor)
        self._done_frac = max(self._done_frac, whole)
        self._on_progress(self._done_frac, ": ".join(filter(None, (self._step_name, note))))

    def log(self, line: str) -> None:
        self._live.log(f"{self._name}: {line}")

    def warn(self, text: str) -> None:
        self.log(f"warning: {text}")
