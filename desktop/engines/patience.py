"""How long a model may keep a request waiting: for the first piece, between two, and in all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

from desktop.engines.engine import Piece
from desktop.engines.errors import EngineTimeoutError


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. `first_s` covers the reading of the prompt, which takes long for long prompts on a small machine."""

    first_s: float = 60.0
    stall_s: float = 30.0
    total_s: float = 600.0


async def patiently(pieces: AsyncIterator[Piece], patience: Patience, name: str) -> AsyncGenerator[Piece]:
    """The pieces, or EngineTimeoutError (facts: `phase` "first", "stall" or "total") when one does not come in time.

    What writes them is closed before this ends, however it ends.
    """
    now_s = asyncio.get_running_loop().time
    began_s, phase = now_s(), "first"
    try:
        while True:
            phase_s = patience.first_s if phase == "first" else patience.stall_s
            left_s = began_s + patience.total_s - now_s()
            try:
                async with asyncio.timeout(min(phase_s, left_s)):
                    piece = await anext(pieces)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise out_of_patience(name, "total" if left_s < phase_s else phase, now_s() - began_s) from None
            phase = "stall"
            yield piece
    finally:
        if isinstance(pieces, AsyncGenerator):
            with contextlib.suppress(RuntimeError):
                await pieces.aclose()


def out_of_patience(name: str, phase: str, waited_s: float) -> EngineTimeoutError:
    """The error of waiting too long."""
    what = {"first": "did not begin to answer", "stall": "stopped in the middle of its answer"}
    return EngineTimeoutError(
        f"{name} {what.get(phase, 'did not end its answer')} in time.",
        hint="Try again, shorten the text, or choose another model.",
        phase=phase,
        waited_s=round(waited_s, 1),
    )
