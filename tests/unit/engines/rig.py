"""How the tests of this folder load models and ask them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from desktop.core.models import EngineName, Message
from desktop.engines.engine import Call, ModelFiles, Piece
from desktop.engines.host import LocalEngine, LocalModel
from desktop.engines.protocol import CacheLimits


def files(kind: EngineName, path: Path, **more: Any) -> ModelFiles:
    return ModelFiles(id=f"tiny-{kind}", engine=kind, path=path, **({"context_tokens": 4096} | more))


def call(text: str = "Which genes change?", n: int = 24, **more: Any) -> Call:
    return Call(**({"id": f"call {text[:20]} {n}", "messages": (Message("user", text),), "max_tokens": n} | more))


@contextlib.asynccontextmanager
async def loaded(
    kind: EngineName, path: Path, caches: CacheLimits = CacheLimits(), **more: Any
) -> AsyncIterator[LocalModel]:
    model = await LocalEngine(kind, caches).load(files(kind, path, **more))
    try:
        yield model
    finally:
        await model.aclose()


async def answer(model: LocalModel, asked: Call) -> tuple[str, Piece]:
    """The whole text and the last piece."""
    pieces = [piece async for piece in model.generate(asked)]
    assert [piece.finish for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
    return "".join(piece.text for piece in pieces), pieces[-1]


async def until(condition: Callable[[], object], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.02)


async def write_for_ever(kind: EngineName, path: str, note: str) -> None:
    """For a process of its own: load a model, note its process id and write for ever."""
    async with loaded(kind, Path(path)) as model:
        Path(note).write_text(str(model.pid))
        while True:
            await answer(model, call(n=3900, temperature=1.0))
