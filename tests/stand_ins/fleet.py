"""Local models without weights behind the gateway's ports: they answer by rule, take virtual time, and fail as told."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop.core.errors import AppError, OfflineError
from desktop.core.models import EngineName, FitAnswer, Message, Tier, Usage
from desktop.engines.engine import Call, FleetModel, Health, LoadedModel, Piece
from desktop.engines.rules import Rules
from desktop.gateway.config import ModelsSettings, ServersSettings
from desktop.gateway.flags import Flags
from desktop.gateway.gateway import Gateway
from desktop.gateway.metrics import Metrics
from desktop.gateway.roster import Roster
from tests.conftest import ROOT
from tests.stand_ins.virtual_time import LoopClock

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Says = Callable[[Call], str]


def echo(call: Call) -> str:
    return f"echo {call.messages[-1].content}"


@dataclass
class PretendModel:
    """A `LoadedModel`. `faults` are raised before the first piece, or after it where `fault_after` says so.

    hang   wait for ever at this piece (None: never)
    """

    id: str
    engine: EngineName = "gguf"
    parallel: int = 1
    says: Says = echo
    piece_s: float = 0.01
    faults: list[Exception] = field(default_factory=list)
    fault_after: int = 0
    hang: int | None = None
    calls: list[Call] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    running: int = 0
    most_running: int = 0

    async def generate(self, call: Call) -> AsyncIterator[Piece]:
        self.calls.append(call)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            fault = self.faults.pop(0) if self.faults else None
            words = self.says(call).split(" ")
            for number, word in enumerate(words):
                if fault is not None and number == self.fault_after:
                    raise fault
                if self.hang == number:
                    await asyncio.Event().wait()
                await asyncio.sleep(self.piece_s)
                yield Piece(word if number == 0 else f" {word}")
            yield Piece("", "stop", Usage(7, len(words)), "grammar" if call.schema else "none")
        finally:
            self.running -= 1

    async def generate_many(self, calls: Sequence[Call]) -> list[tuple[Piece, ...] | Exception]:
        self.batches.append(len(calls))
        results: list[tuple[Piece, ...] | Exception] = []
        for call in calls:
            try:
                results.append(tuple([piece async for piece in self.generate(call)]))
            except AppError as error:
                results.append(error)
        return results

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np

        self.batches.append(len(texts))
        return np.asarray([[len(text), 0.0] for text in texts], dtype=np.float32)

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content.split()) for message in messages)

    async def health(self) -> Health:
        return Health("ok")

    async def memory_bytes(self) -> int:
        return 0

    async def drop_caches(self, keep_bytes: int = 0) -> int:
        return 0

    async def stop_call(self, call_id: str) -> None:
        self.stopped.append(call_id)

    async def limit_buffers(self, max_bytes: int) -> int:
        return 0

    async def aclose(self) -> None:
        """Nothing to give back."""


class PretendFleet:
    """A `Fleet` without a budget: everything fits, loading takes a second of virtual time."""

    def __init__(self) -> None:
        self.models: dict[str, PretendModel] = {}
        self.leases: Counter[str] = Counter()
        self._known: dict[str, FleetModel] = {}

    def add(self, model_id: str, tier: Tier | None, **how: Any) -> PretendModel:
        about = {
            name: how.pop(name)
            for name in ("context_tokens", "family", "pooling", "query_prefix", "version")
            if name in how
        }
        is_loaded = how.pop("is_loaded", False)
        model = self.models[model_id] = PretendModel(model_id, **how)
        self._known[model_id] = FleetModel(
            model_id, model.engine, tier, about.pop("context_tokens", 100_000), is_loaded=is_loaded, **about
        )
        return model

    def status(self) -> Sequence[FleetModel]:
        return tuple(self._known.values())

    @asynccontextmanager
    async def lease(self, model_id: str, *, context_tokens: int) -> AsyncIterator[LoadedModel]:
        self.leases[model_id] += 1
        try:
            if not self._known[model_id].is_loaded:
                await asyncio.sleep(1)
                self._known[model_id] = replace(self._known[model_id], is_loaded=True)
            yield self.models[model_id]
        finally:
            self.leases[model_id] -= 1

    async def load(self, model_id: str) -> None:
        async with self.lease(model_id, context_tokens=0):
            pass

    async def unload(self, model_id: str) -> int:
        self._known[model_id] = replace(self._known[model_id], is_loaded=False)
        return 0

    def pin(self, model_id: str, *, is_pinned: bool) -> None:
        """Nothing to hold on to."""

    def fit(self, model_id: str, *, context_tokens: int | None = None) -> FitAnswer:
        return FitAnswer(model_id, context_tokens or 1, "fits", 0, 0, 0, 0, (), f"{model_id} fits.")

    def memory(self) -> dict[str, Any]:
        return {"limit_bytes": 10**9, "charged_bytes": 0, "slots": []}

    async def run(self) -> None:
        """Nothing to look after."""

    async def aclose(self) -> None:
        """Nothing to unload."""


class PretendOutside:
    """The way out: lets through what is in `allowed`, and notes it."""

    def __init__(self, *allowed: str) -> None:
        self.allowed = set(allowed)
        self.departed: list[str] = []

    def is_allowed(self, destination: str) -> bool:
        return destination in self.allowed

    async def depart(self, destination: str, *, method: str, url: str, size_bytes: int) -> None:
        if destination not in self.allowed:
            raise OfflineError("Not allowed.", hint="Allow it.")
        self.departed.append(destination)


@dataclass
class House:
    """A gateway and what it stands on."""

    gateway: Gateway
    fleet: PretendFleet
    outside: PretendOutside
    flags_file: Path
    power: dict[str, bool]


def make_house(
    folder: Path,
    *,
    allowed: Sequence[str] = (),
    servers: Sequence[dict[str, Any]] = (),
    rules: dict[str, str] | None = None,
    **settings: Any,
) -> House:
    """Build it; on a running loop when time matters."""
    fleet, outside, metrics, clock = PretendFleet(), PretendOutside(*allowed), Metrics(), LoopClock()
    chosen = ModelsSettings(**settings)
    known = ServersSettings.model_validate({"known": list(servers)})
    roster = Roster(
        fleet=fleet,
        outside=outside,
        secret=lambda name: None,
        settings=lambda: chosen,
        servers=lambda: known,
        clock=clock,
        metrics=metrics,
    )
    power = {"on_battery": False}
    gateway = Gateway(
        roster,
        rules=Rules(rules or {}),
        flags=Flags(ROOT / "resources" / "config" / "gateway" / "flags.yaml", folder / "flags.yaml"),
        metrics=metrics,
        cache_bytes=lambda: chosen.cache_mb * 1_000_000,
        is_on_battery=lambda: power["on_battery"],
        clock=clock,
    )
    return House(gateway, fleet, outside, folder / "flags.yaml", power)


def as_json(value: Any) -> Says:
    return lambda call: json.dumps(value)
