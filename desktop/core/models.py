"""What a studio asks of a language or embedding model and what it gets back. "Model" means a machine-learning model.

Values and one protocol only: routing is `gateway`'s, running is `engines`'.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from desktop.core.errors import AppError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Role = Literal["system", "user", "assistant"]
Tier = Literal["small", "medium", "large"]
EngineName = Literal["mlx", "gguf", "coreml", "openai", "databricks", "rules"]
Enforced = Literal["grammar", "server", "none"]  # who held the answer to the schema while it was written
Finish = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Task:
    """What a request is for, declared by the studio that asks; routing reads this and nothing else of the studio.

    kind        "studio.verb_noun", such as "omics.plan_analysis"
    is_private  the content may not leave this machine, whatever the settings allow
    is_bulk     many of a kind, nobody waits for the single one: may be batched
    lowest      the smallest tier that may answer
    """

    kind: str
    is_private: bool = True
    is_bulk: bool = False
    has_code: bool = False
    lowest: Tier = "small"


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request to generate text.

    schema       JSON Schema (the dialect of `engines.schema`) the answer must satisfy; None for free text
    max_tokens   most tokens of the answer
    temperature  0 takes the likeliest token each time: the same answer for the same model and prompt
    tier         a person's own choice; None lets routing decide
    model        one model by its id and no other; empty lets routing decide
    check        what else the answer must be: given the value (or the text, without a schema) it says what is wrong, or
                 None. What it says goes to the model once for repair, then the next larger model is asked
    """

    messages: tuple[Message, ...]
    task: Task
    schema: Mapping[str, Any] | None = None
    max_tokens: int = 1024
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    tier: Tier | None = None
    model: str = ""
    check: Callable[[Any], str | None] | None = field(default=None, compare=False)

    def digest(self) -> str:
        """SHA-256 of what is asked, messages and schema: names a prompt in the audit trail without keeping it."""
        asked = {"messages": [[one.role, one.content] for one in self.messages], "schema": self.schema}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer. `cached_tokens`: the part of the prompt that was not computed again."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Timing:
    """Where the time of one answer went, in seconds; `first_token_s` counts from the request, waiting included."""

    queue_s: float = 0.0
    load_s: float = 0.0
    first_token_s: float = 0.0
    total_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer. `value` is the parsed JSON where a schema was given, and has been validated against it.

    degraded  why this is less than what was asked for (a smaller model, a rule); empty when it is not
    why       the routing decision in words, one reason an entry
    """

    text: str
    model: str
    engine: EngineName
    tier: Tier
    finish: Finish = "stop"
    value: Any = None
    enforced: Enforced = "none"
    usage: Usage = Usage()
    timing: Timing = Timing()
    attempts: int = 1
    is_from_cache: bool = False
    degraded: str = ""
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Vectors:
    """Embeddings of texts. values (N, D) float32, rows of unit length; model and pooling travel with every vector."""

    values: NDArray[np.float32]
    model: str
    pooling: str
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FitAnswer:
    """Whether a model would go into memory, with `words` for a person.

    verdict  "fits" now · "after" the models `unload` (ids) are gone · "busy": once requests under way end · "never"
    """

    model: str
    context_tokens: int
    verdict: Literal["fits", "after", "busy", "never"]
    need_bytes: int
    free_bytes: int
    evictable_bytes: int
    limit_bytes: int
    unload: tuple[str, ...]
    words: str


class Models(Protocol):
    """The one way to a model for every studio."""

    def has_model(self, task: Task) -> bool:
        """Whether a model, and not only a rule, could be asked now. Quick; loads and asks nothing."""

    async def generate(self, prompt: Prompt, *, on_text: Callable[[str], None] | None = None) -> Answer:
        """Answer a prompt; `on_text` gets the text piece by piece. Cancel the task to stop within one token.

        With a schema or a check, `on_text` gets the whole text once it has passed: what was shown is never taken back.
        Raises AppErrors with codes `models.…` and `engines.…`; never an answer that breaks its schema.
        """

    async def generate_many(self, prompts: Sequence[Prompt]) -> list[Answer | AppError]:
        """Answer many; one that fails does not fail the others. In the order of the prompts."""

    async def embed(self, texts: Sequence[str], *, is_query: bool = False) -> Vectors:
        """Unit vectors of texts; `is_query` adds the model's instruction for queries where it has one."""


class ModelRoom(Models, Protocol):
    """The same with what the program itself needs of it: its life, and what there is to show."""

    async def run(self) -> None:
        """Look after idle models and memory until cancelled."""

    async def aclose(self) -> None:
        """Unload everything."""

    async def load(self, model_id: str) -> None:
        """Load a local model ahead of its use. Raises NoModelError and what a load can raise."""

    async def unload(self, model_id: str) -> int:
        """Unload a local model and wait for its memory, in bytes. Raises ModelInUseError."""

    def pin(self, model_id: str, *, is_pinned: bool) -> None:
        """Keep a local model once it is loaded, or no longer. Raises PinRefusedError."""

    def fit(self, model_id: str, *, context_tokens: int | None = None) -> FitAnswer:
        """Whether a model of the catalogue or of this disk would go in beside those in memory. Changes nothing.

        Raises UnknownModelError, BadModelError.
        """

    def status(self) -> dict[str, Any]:
        """Models with states and figures, memory, flags, counters, the latest decisions: JSON values."""

    def to_prometheus(self) -> str:
        """The figures in Prometheus' text format."""
