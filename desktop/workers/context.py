"""What a job's function is given: the ports, and its own progress, log, settings and child processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from desktop.core.clock import Clock
from desktop.core.config import SettingsStore
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
    _settings: SettingsStore
    _live: LiveJob
    _children: Children

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

    async def io(self, fn: Callable[..., T], /, *args: Any) -> T:
        with span(f"io.{fn.__name__}"):
            return await asyncio.to_thread(fn, *args)
