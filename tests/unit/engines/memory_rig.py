"""A memory budget over fake engines, a fake machine and a clock that only moves when told. For the tests beside it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from desktop.core.models import EngineName, Message, Tier
from desktop.engines.engine import Call, Health, ModelFiles, Piece
from desktop.engines.errors import EngineLostError, OutOfMemoryError
from desktop.engines.estimate import Need
from desktop.engines.footprint import Pressure
from desktop.engines.memory import MemoryBudget
from desktop.engines.memory_settings import MemorySettings
from desktop.engines.slots import MemoryEvent, Wanted

GIB = 1024**3


class VirtualClock:
    """Time that moves by `advance`; whoever sleeps wakes in order."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = itertools.count()

    def now_s(self) -> float:
        return self.now

    def monotonic_s(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._number), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        until = self.now + seconds
        while self._sleepers and self._sleepers[0][0] <= until:
            self.now, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
            await settle()
        self.now = until
        await settle()


async def settle(rounds: int = 12) -> None:
    """Let every task run until it waits for something that is not there."""
    for _ in range(rounds):
        await asyncio.sleep(0)


@dataclass
class FakeMachine:
    """16 GiB, of which other programs use some. What models hold is added by the engine."""

    total: int = 16 * GIB
    others: int = 2 * GIB
    recommended: int | None = None
    level: Pressure = "normal"
    models: Callable[[], int] = lambda: 0

    def total_bytes(self) -> int:
        return self.total

    def available_bytes(self) -> int:
        return max(0, self.total - self.others - self.models())

    def recommended_bytes(self) -> int | None:
        return self.recommended

    def pressure(self) -> Pressure:
        return self.level

    def footprint_bytes(self, pid: int) -> int:
        return 0


class FakeModel:
    """Holds bytes until closed. `die` makes it a crashed child."""

    parallel = 1

    def __init__(self, engine: FakeEngine, files: ModelFiles, base: int) -> None:
        self.id, self.files, self._fake, self.engine = files.id, files, engine, engine.name
        self.base, self.caches, self.buffers = base, 0, 0
        self.is_closed = self.is_dead = False
        self.asked: list[str] = []

    @property
    def bytes(self) -> int:
        return 0 if self.is_dead else self.base + self.caches + self.buffers

    def die(self) -> None:
        self.is_dead = True

    def use(self) -> None:
        """What a request does: fails when the child is gone."""
        if self.is_dead:
            raise EngineLostError("gone", hint="")
        assert not self.is_closed, f"{self.id} was unloaded while in use"

    async def memory_bytes(self) -> int:
        if self.is_dead:
            raise EngineLostError("gone", hint="")
        return self.bytes

    async def health(self) -> Health:
        return Health("down" if self.is_dead else "ok")

    async def drop_caches(self, keep_bytes: int = 0) -> int:
        self.asked.append("clear" if keep_bytes > 2**60 else f"drop:{keep_bytes}")
        before, self.buffers = self.bytes, 0
        self.caches = min(self.caches, keep_bytes)
        return before - self.bytes

    async def limit_buffers(self, max_bytes: int) -> int:
        self.asked.append("limit")
        return self._fake.limit_frees

    async def aclose(self) -> None:
        await self._fake.clock.sleep(self._fake.unload_s)
        self.is_closed = True
        self._fake.living.remove(self)

    def generate(self, call: Call) -> AsyncIterator[Piece]:
        raise NotImplementedError

    async def generate_many(self, calls: Sequence[Call]) -> list[tuple[Piece, ...] | Exception]:
        raise NotImplementedError

    async def embed(self, texts: Sequence[str]) -> Any:
        return np.zeros((len(texts), 1), np.float32)

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        return 0


@dataclass
class FakeEngine:
    """Loads what `sizes` says of an id. `outcomes[id]`: errors the next loads meet, in order (None: success)."""

    clock: VirtualClock
    sizes: dict[str, int]
    name: EngineName = "mlx"
    load_s: float = 2.0
    unload_s: float = 0.5
    limit_frees: int = 0
    on_load: Callable[[ModelFiles], None] = lambda files: None
    outcomes: dict[str, list[Exception | None]] = field(default_factory=dict)
    living: list[FakeModel] = field(default_factory=list)
    loading: list[ModelFiles] = field(default_factory=list)
    loads: list[ModelFiles] = field(default_factory=list)
    ran_out: set[str] = field(default_factory=set)

    def is_available(self) -> bool:
        return True

    @property
    def bytes(self) -> int:
        return sum(model.bytes for model in self.living) + sum(self.sizes[files.id] for files in self.loading)

    async def load(self, files: ModelFiles) -> FakeModel:
        paths = [model.files.path for model in self.living if not model.is_dead]
        paths += [other.path for other in self.loading]
        assert files.path.resolve() not in [path.resolve() for path in paths], f"{files.id} is loaded twice"
        self.on_load(files)
        self.loading.append(files)
        self.loads.append(files)
        try:
            await self.clock.sleep(self.load_s)
            outcome = self.outcomes[files.id].pop(0) if self.outcomes.get(files.id) else None
            if outcome is not None:
                if isinstance(outcome, OutOfMemoryError):
                    self.ran_out.add(files.id)
                raise outcome
            model = FakeModel(self, files, self.sizes[files.id])
            self.living.append(model)
            return model
        finally:
            self.loading.remove(files)


def out_of_memory() -> OutOfMemoryError:
    return OutOfMemoryError("no memory", hint="")


class FakeSizes:
    """Measured sizes that outlive a budget."""

    def __init__(self) -> None:
        self.kept: dict[str, int] = {}

    def find(self, size_key: str) -> int | None:
        return self.kept.get(size_key)

    async def keep(self, size_key: str, measured_bytes: int) -> None:
        self.kept[size_key] = measured_bytes


class Rig:
    """`gib` maps model ids to their size; estimates are right unless `estimates` says otherwise."""

    def __init__(self, folder: Path, gib: dict[str, float], **settings: float) -> None:
        self.folder = folder
        self.clock, self.machine, self.kept = VirtualClock(), FakeMachine(), FakeSizes()
        self.engine = FakeEngine(self.clock, {name: int(size * GIB) for name, size in gib.items()})
        self.machine.models = lambda: self.engine.bytes
        self.settings = MemorySettings.model_validate(settings)
        self.events: list[MemoryEvent] = []
        self.is_disk_full = False
        self.budget = self.new_budget()

    def new_budget(self) -> MemoryBudget:
        async def keep(event: MemoryEvent) -> None:
            if self.is_disk_full:
                raise OSError("disk full")
            self.events.append(event)

        return MemoryBudget(
            {"mlx": self.engine},
            machine=self.machine,
            settings=lambda: self.settings,
            sizes=self.kept,
            clock=self.clock,
            on_event=keep,
            sleep=self.clock.sleep,
        )

    def wanted(
        self,
        name: str,
        *,
        tier: Tier = "medium",
        context: int = 4096,
        fixed: bool = False,
        estimate_gib: float | None = None,
        kv_gib: float = 0,
        path: Path | None = None,
    ) -> Wanted:
        weights = self.engine.sizes[name] if estimate_gib is None else int(estimate_gib * GIB)
        files = ModelFiles(name, "mlx", path or self.folder / name, context)
        return Wanted(files, tier, Need(weights, int(kv_gib * GIB), 0), fixed)

    def steps(self) -> list[str]:
        return [event.step for event in self.events]

    def states(self) -> dict[str, str]:
        return {slot.id: slot.state for slot in self.budget.status().slots}

    @property
    def charged_gib(self) -> float:
        return self.budget.status().charged_bytes / GIB

    async def load(self, *names: str, tier: Tier = "medium") -> None:
        for name in names:
            await self.during(self.budget.load(self.wanted(name, tier=tier)))

    async def during(self, work: Any) -> Any:
        """Let time pass, a tenth of a second at a time, until `work` has ended."""
        task = asyncio.ensure_future(work)
        await settle()
        for _ in range(2000):
            if task.done():
                break
            await self.clock.advance(0.1)
        assert task.done(), "it never ends"
        return await task

    async def idle(self, seconds: float) -> None:
        """Time passes with the regular looks at idle models."""
        until = self.clock.now + seconds
        while self.clock.now < until:
            await self.clock.advance(min(5.0, until - self.clock.now))
            await self.during(self.budget.tick())


@asynccontextmanager
async def held(rig: Rig, name: str, **how: Any) -> AsyncIterator[FakeModel]:
    """A lease, with time passing while it is waited for."""
    lease = rig.budget.lease(rig.wanted(name), **how)
    one = await rig.during(lease.__aenter__())
    try:
        yield one.model
    except BaseException as fault:
        if not await lease.__aexit__(type(fault), fault, fault.__traceback__):
            raise
    else:
        await lease.__aexit__(None, None, None)
    await settle()
