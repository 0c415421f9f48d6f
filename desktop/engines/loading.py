"""Loading one model, with what is tried again when memory runs out while it loads.

First a shorter context (unless a person chose it), then once more after every idle model has gone; then it fails.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from desktop.core.models import EngineName
from desktop.engines.engine import Engine, LoadedModel
from desktop.engines.errors import EngineMissingError, OutOfMemoryError
from desktop.engines.slots import Slot, Wanted

SHORTEST_CONTEXT = 1024  # tokens; halving stops here


async def load_patiently(
    slot: Slot,
    engines: Mapping[EngineName, Engine],
    *,
    evict_idle: Callable[[], Awaitable[None]],
    on_halved: Callable[[], Awaitable[None]],
) -> LoadedModel:
    """Load what the slot wants; its context may have been halved afterwards.

    raises  EngineMissingError, BadModelError, EngineLostError, OutOfMemoryError
    """
    engine = engines.get(slot.wanted.files.engine)
    if engine is None or not engine.is_available():
        raise EngineMissingError(
            f"{slot.id} needs the {slot.wanted.files.engine} runtime, which is not available on this machine.",
            hint="`benchtop doctor` says which runtimes there are and how to add one.",
            engine=slot.wanted.files.engine,
        )
    try:
        return await engine.load(slot.wanted.files)
    except OutOfMemoryError:
        halved = _halved(slot.wanted)
        if halved is None:
            await evict_idle()
            return await engine.load(slot.wanted.files)
    slot.wanted, slot.is_halved = halved, True
    await on_halved()
    try:
        return await engine.load(halved.files)
    except OutOfMemoryError:
        await evict_idle()
        return await engine.load(halved.files)


def _halved(wanted: Wanted) -> Wanted | None:
    """With half the context; None where a person chose it or less would be of no use."""
    tokens = wanted.files.context_tokens // 2
    if wanted.is_context_fixed or tokens < SHORTEST_CONTEXT:
        return None
    need = replace(wanted.need, kv_bytes=wanted.need.kv_bytes // 2)
    return replace(wanted, files=replace(wanted.files, context_tokens=tokens), need=need)
