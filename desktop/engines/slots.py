"""What the memory budget knows of each model, and the values it takes and tells. No decisions here: see `memory`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from desktop.core.models import EngineName, Tier
from desktop.engines.engine import LoadedModel, ModelFiles
from desktop.engines.estimate import Need

SlotState = Literal["loading", "loaded", "unloading"]
Step = Literal[
    "loaded",
    "unloaded",
    "lost",
    "load_failed",
    "context_halved",
    "buffers_cleared",
    "caches_dropped",
    "buffers_limited",
    "idle_evicted",
    "work_refused",
    "work_accepted",
    "bulk_cancelled",
]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model somebody wants to use, with what it will take.

    is_context_fixed  a person chose the context length: it is never shortened to make a load succeed
    """

    files: ModelFiles
    tier: Tier
    need: Need
    is_context_fixed: bool = False

    @property
    def key(self) -> Path:
        """The file or folder itself, so that two names of one model are one model."""
        return self.files.path.resolve()

    @property
    def size_key(self) -> str:
        """What a measured size is kept under: another context or precision is another size."""
        files = self.files
        return f"{files.id}|{files.engine}|{files.context_tokens}|{files.kv_bits}|{self.need.weights_bytes}"


@dataclass(frozen=True, slots=True)
class MemoryEvent:
    """One thing the budget did, for the audit trail. Bytes are what all models together hold, as last measured.

    because  in words: who asked, which rule
    """

    step: Step
    models: tuple[str, ...]
    before_bytes: int
    after_bytes: int
    because: str


class MeasuredSizes(Protocol):
    """Where measured sizes outlive the process."""

    def find(self, size_key: str) -> int | None:
        """Bytes measured right after the last load under this key."""

    async def keep(self, size_key: str, measured_bytes: int) -> None:
        """Remember them."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A loaded model, held: it is not unloaded before the lease ends.

    files  as they were loaded; the context may be shorter than asked for when memory was short
    """

    model: LoadedModel
    files: ModelFiles


@dataclass(eq=False, slots=True)
class Waiter:
    """One caller that waits for a lease.

    may_wait   also for other requests to end; otherwise only for loads and unloads
    on_revoke  called when bulk work must stop because memory ran out; None for work that is never stopped
    """

    wanted: Wanted
    granted: asyncio.Future[Slot]
    may_wait: bool
    on_revoke: Callable[[], None] | None


@dataclass(eq=False, slots=True)
class Request:
    """Callers that wait for one model that is not there, in one place of the queue since `since_s` (monotonic)."""

    key: Path
    waiters: list[Waiter]
    since_s: float

    @property
    def wanted(self) -> Wanted:
        """With the longest context any of them asked for."""
        return max((one.wanted for one in self.waiters), key=lambda wanted: wanted.files.context_tokens)


@dataclass(eq=False, slots=True)
class Slot:
    """One model in memory, or on its way in or out.

    charge_bytes   what counts against the budget: the estimate until it was measured
    held_bytes     what it was last measured to hold; 0 while loading
    floor_bytes    the charge never falls below this while loaded: measured size and room for its key/value cache
    finished_s     monotonic time when its last request ended, or when it was loaded
    """

    key: Path
    wanted: Wanted
    charge_bytes: int
    state: SlotState = "loading"
    model: LoadedModel | None = None
    held_bytes: int = 0
    floor_bytes: int = 0
    loaded_bytes: int = 0
    leases: int = 0
    finished_s: float = 0.0
    is_measured: bool = False
    is_halved: bool = False
    waiting: list[Waiter] = field(default_factory=list)
    revokes: list[Callable[[], None]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        return self.wanted.files.id

    @property
    def untouched_bytes(self) -> int:
        """Charged, but not yet taken from the machine."""
        return max(0, self.charge_bytes - self.held_bytes)

    def serves(self, wanted: Wanted) -> bool:
        """Whether its context is long enough for what is wanted (or was shortened because no more would go in)."""
        is_long_enough = self.wanted.files.context_tokens >= wanted.files.context_tokens
        return is_long_enough or (self.is_halved and not wanted.is_context_fixed)


@dataclass(frozen=True, slots=True)
class SlotStatus:
    """One model as the front ends see it. `idle_s` None while in use or loading; `idle_limit_s` inf for never."""

    id: str
    engine: EngineName
    tier: Tier
    state: SlotState
    bytes: int
    is_measured: bool
    context_tokens: int
    leases: int
    is_pinned: bool
    idle_s: float | None
    idle_limit_s: float


@dataclass(frozen=True, slots=True)
class MemoryStatus:
    """The budget at one moment. `charged_bytes` over all models; `machine_used_bytes` by all programs, live."""

    limit_bytes: int
    charged_bytes: int
    machine_total_bytes: int
    machine_used_bytes: int
    is_refusing: bool
    slots: tuple[SlotStatus, ...]


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a model would go in. "after": once `unload` (ids) are gone; "busy": once requests under way end."""

    verdict: Literal["fits", "after", "busy", "never"]
    need_bytes: int
    free_bytes: int
    evictable_bytes: int
    unload: tuple[str, ...] = ()
    is_loaded: bool = False
