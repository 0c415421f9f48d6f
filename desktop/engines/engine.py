"""The port every engine answers to, and the values that cross it. Knows no runtime, no routing and no budget."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from desktop.core.models import Enforced, EngineName, Finish, FitAnswer, Message, Tier, Usage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HealthState = Literal["ok", "loading", "degraded", "down"]


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model on this disk, as the catalogue resolved it: never a path that came from outside.

    path            folder of an MLX model, or a GGUF file
    context_tokens  longest prompt and answer together this load must hold
    kv_bits         16, 8 or 4: precision of the key/value cache
    pooling         how token vectors become one: "mean", "cls", "last"; "" for a model that only generates
    """

    id: str
    engine: EngineName
    path: Path
    context_tokens: int
    kv_bits: int = 16
    pooling: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One request as an engine gets it: routed, with every default filled in. `id` names it in logs and cancels."""

    id: str
    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an answer as it is written; the last one carries `finish` and `usage`."""

    text: str
    finish: Finish | None = None
    usage: Usage | None = None
    enforced: Enforced = "none"


@dataclass(frozen=True, slots=True)
class Health:
    """Readiness, not just life: "ok" means that a request would be answered now."""

    state: HealthState
    detail: str = ""


class LoadedModel(Protocol):
    """A model that is ready: a child process with its weights in memory, or a server's endpoint.

    One request at a time unless `parallel` is above 1. Cancelling the task that iterates stops within a token.
    """

    id: str
    engine: EngineName
    parallel: int

    def generate(self, call: Call) -> AsyncIterator[Piece]:
        """Write an answer piece by piece. Raises typed errors of `engines.errors`; the last piece has `finish`."""

    async def generate_many(self, calls: Sequence[Call]) -> list[tuple[Piece, ...] | Exception]:
        """Write several answers in one batch where the runtime can; one that fails does not fail the others."""

    async def stop_call(self, call_id: str) -> None:
        """Stop one call of a running `generate_many`: it ends with finish "cancelled", the others are unchanged."""

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors (N, D) of texts. Raises NotAnEmbeddingModelError."""

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the messages in this model's own template, the opening of the answer included."""

    async def health(self) -> Health:
        """Readiness now; never wakes, loads or resets an idle timer."""

    async def memory_bytes(self) -> int:
        """What this model holds now: weights, key/value and prompt caches; 0 for a remote one."""

    async def drop_caches(self, keep_bytes: int = 0) -> int:
        """Give prompt caches and buffer pools back, least recently used first; returns the bytes freed."""

    async def limit_buffers(self, max_bytes: int) -> int:
        """Keep at most this much freed memory for reuse from now on; returns the bytes freed. 0 for a remote one."""

    async def aclose(self) -> None:
        """Unload: the memory is back with the machine when this returns."""


class Engine(Protocol):
    """A runtime that can load models."""

    name: EngineName

    def is_available(self) -> bool:
        """Whether the runtime is installed and can run on this machine; cheap, imports nothing heavy."""

    async def load(self, files: ModelFiles) -> LoadedModel:
        """Start and make ready. Cancelling ends the child. Raises BadModelError, EngineLostError, OutOfMemoryError."""


@dataclass(frozen=True, slots=True)
class FleetModel:
    """A local model as routing sees it: on this disk, its runtime installed.

    tier            the slot it answers in; None for a model that only embeds
    context_tokens  the longest context it can be loaded with
    family          models of one family are the same weights for different runtimes; empty for one of its own kind
    pooling         how an embedding model makes one vector of many; empty for one that generates
    query_prefix    what an embedding model wants in front of a question
    is_loaded       in memory now: a request would not wait for a load
    version         another one when other files have taken this id
    """

    id: str
    engine: EngineName
    tier: Tier | None
    context_tokens: int
    family: str = ""
    pooling: str = ""
    query_prefix: str = ""
    is_loaded: bool = False
    version: str = ""


class Fleet(Protocol):
    """The local models of this machine within their memory budget."""

    def status(self) -> Sequence[FleetModel]:
        """Every model that could be leased, best of its tier first. Cheap: asked for each request."""

    def lease(self, model_id: str, *, context_tokens: int) -> AbstractAsyncContextManager[LoadedModel]:
        """A loaded model that is not evicted inside the block; loads it first where needed.

        Entering raises BudgetExceededError, BadModelError, EngineMissingError, EngineLostError or OutOfMemoryError.
        """

    async def load(self, model_id: str) -> None:
        """Load ahead of use; it goes when idle like any other."""

    async def unload(self, model_id: str) -> int:
        """Unload and wait for the memory; the bytes it was charged. Raises ModelInUseError."""

    def pin(self, model_id: str, *, is_pinned: bool) -> None:
        """Keep it once it is loaded, or no longer. Raises PinRefusedError."""

    def fit(self, model_id: str, *, context_tokens: int | None = None) -> FitAnswer:
        """Whether it would go in beside the loaded ones, also before it is downloaded. Raises UnknownModelError."""

    def memory(self) -> dict[str, Any]:
        """The budget now, as JSON values (see `slots.MemoryStatus`); unlimited is None."""

    async def run(self) -> None:
        """Look after idle times and memory pressure until cancelled."""

    async def aclose(self) -> None:
        """Unload everything and wait for it."""
