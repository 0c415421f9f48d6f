"""What crosses the pipe between the window's process and a model's process: frames of JSON, each of a known type.

JSON and not pickle: a model file is foreign data, and what a process that read one says must not run code here.
A frame is four bytes of length, big end first, and UTF-8 JSON.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from desktop.core.errors import AppError
from desktop.core.models import Message
from desktop.engines import errors
from desktop.engines.engine import Call, ModelFiles, Piece

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Verb = Literal["generate", "generate_many", "embed", "count_tokens", "memory", "drop_caches", "limit_buffers"]
MAX_FRAME_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class CacheLimits:
    """Where prompt caches are kept on disk (None: nowhere) and how many bytes memory and disk may hold."""

    folder: Path | None = None
    ram_bytes: int = 1 << 30
    disk_bytes: int = 4 << 30


@dataclass(frozen=True, slots=True)
class Start:
    """The first frame to a child: what to load."""

    files: ModelFiles
    caches: CacheLimits
    kind: Literal["start"] = "start"


@dataclass(frozen=True, slots=True)
class Ask:
    """A request; what it does not need stays empty."""

    id: int
    do: Verb
    calls: tuple[Call, ...] = ()
    texts: tuple[str, ...] = ()
    messages: tuple[Message, ...] = ()
    n_bytes: int = 0
    kind: Literal["ask"] = "ask"


@dataclass(frozen=True, slots=True)
class Stop:
    """Give up a request, or with `call_id` one call of a batch."""

    id: int
    call_id: str = ""
    kind: Literal["stop"] = "stop"


@dataclass(frozen=True, slots=True)
class Close:
    """Finish up and end."""

    kind: Literal["close"] = "close"


@dataclass(frozen=True, slots=True)
class Ready:
    """The model is loaded and has answered one token."""

    parallel: int
    kind: Literal["ready"] = "ready"


@dataclass(frozen=True, slots=True)
class Wrote:
    """A piece of the answer to call `index` of request `id`."""

    id: int
    index: int
    piece: Piece
    kind: Literal["wrote"] = "wrote"


@dataclass(frozen=True, slots=True)
class Done:
    """A request ended well; `number` or `vectors` (base64 of float32, `rows` of them) is its value."""

    id: int
    number: int = 0
    vectors: str = ""
    rows: int = 0
    kind: Literal["done"] = "done"


@dataclass(frozen=True, slots=True)
class Failed:
    """A request, or with `index` ≥ 0 one call of it, ended in a typed error. `id` -1: the load."""

    id: int
    index: int
    code: str
    message: str
    hint: str
    facts: Mapping[str, str]
    kind: Literal["failed"] = "failed"


Down = Start | Ask | Stop | Close
Up = Ready | Wrote | Done | Failed
_DOWN: TypeAdapter[Down] = TypeAdapter(Annotated[Down, Field(discriminator="kind")])
_UP: TypeAdapter[Up] = TypeAdapter(Annotated[Up, Field(discriminator="kind")])
_ERRORS: dict[str, type[AppError]] = {
    found.code: found for found in vars(errors).values() if isinstance(found, type) and issubclass(found, AppError)
}


def to_frame(message: Down | Up) -> bytes:
    """The message as it goes through the pipe."""
    adapter: TypeAdapter[Any] = _UP if isinstance(message, Ready | Wrote | Done | Failed) else _DOWN
    # not `dump_json`: half of a surrogate pair in a person's text is no reason to fail
    body = json.dumps(adapter.dump_python(message, mode="json"), ensure_ascii=False).encode("utf-8", "replace")
    return len(body).to_bytes(4, "big") + body


def frame_length(head: bytes) -> int:
    """Bytes of body announced by the four bytes before it. Raises ValueError when absurd."""
    length = int.from_bytes(head, "big")
    if length > MAX_FRAME_BYTES:
        msg = f"a frame of {length} bytes"
        raise ValueError(msg)
    return length


def read_down(body: bytes) -> Down:
    """What the parent said. Raises ValueError."""
    return _DOWN.validate_json(body)


def read_up(body: bytes) -> Up:
    """What the child said. Raises ValueError."""
    return _UP.validate_json(body)


def failure(request: int, error: AppError, index: int = -1) -> Failed:
    """An error as it goes through the pipe."""
    facts = {key: str(value) for key, value in error.facts.items()}
    return Failed(id=request, index=index, code=error.code, message=str(error), hint=error.hint, facts=facts)


def to_error(failed: Failed) -> AppError:
    """The error that `failed` tells of; numbers among its facts are numbers again."""
    facts: dict[str, object] = {key: int(text) if text.isdecimal() else text for key, text in failed.facts.items()}
    return _ERRORS.get(failed.code, errors.EngineLostError)(failed.message, hint=failed.hint, **facts)


def pack_vectors(request: int, values: NDArray[np.float32]) -> Done:
    """Embeddings (N, D) as they go through the pipe."""
    packed = base64.b64encode(values.astype("<f4").tobytes()).decode("ascii")
    return Done(id=request, vectors=packed, rows=len(values))


def unpack_vectors(done: Done) -> NDArray[np.float32]:
    """Embeddings (N, D) float32."""
    import numpy as np

    flat = np.frombuffer(base64.b64decode(done.vectors), dtype="<f4").astype(np.float32)
    return flat.reshape(done.rows, -1) if done.rows else flat.reshape(0, 0)
