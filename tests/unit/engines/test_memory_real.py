"""The memory budget over real engine processes: lent, killed, loaded again, unloaded; the memory is the machine's again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from desktop.core.clock import SystemClock
from desktop.core.models import EngineName
from desktop.engines.engine import ModelFiles
from desktop.engines.errors import EngineLostError
from desktop.engines.estimate import need
from desktop.engines.footprint import this_machine
from desktop.engines.headers import read_facts
from desktop.engines.host import LocalEngine, LocalModel
from desktop.engines.memory import MemoryBudget
from desktop.engines.memory_settings import MemorySettings
from desktop.engines.slots import MemoryEvent, Wanted
from tests.unit.engines.memory_rig import FakeSizes
from tests.unit.engines.rig import answer, call


@pytest.fixture
def events() -> list[MemoryEvent]:
    return []


@pytest.fixture
async def budget(kind: EngineName, events: list[MemoryEvent]) -> AsyncIterator[MemoryBudget]:
    async def keep(event: MemoryEvent) -> None:
        events.append(event)

    made = MemoryBudget(
        {kind: LocalEngine(kind)},
        machine=this_machine(),
        settings=MemorySettings,
        sizes=FakeSizes(),
        clock=SystemClock(),
        on_event=keep,
    )
    yield made
    await made.aclose()


async def test_a_life(kind: EngineName, tiny_path: Path, budget: MemoryBudget, events: list[MemoryEvent]) -> None:
    facts = read_facts(tiny_path)
    files = ModelFiles("tiny", kind, tiny_path, 1024)
    wanted = Wanted(files, "small", need(facts.shape, facts.weights_bytes, 1024, has_kv_upfront=kind == "gguf"))

    async def die_while_writing() -> None:
        async with budget.lease(wanted) as lease:
            assert isinstance(lease.model, LocalModel)
            os.kill(lease.model.pid, signal.SIGKILL)
            await answer(lease.model, call())

    with pytest.raises(EngineLostError):
        await die_while_writing()
    assert budget.status().charged_bytes == 0

    async def use() -> int:
        async with budget.lease(wanted) as lease:
            assert isinstance(lease.model, LocalModel)
            text, _ = await answer(lease.model, call())
            assert text
            return lease.model.pid

    pids = await asyncio.gather(*(use() for _ in range(3)))
    assert len(set(pids)) == 1
    (slot,) = budget.status().slots
    assert slot.is_measured
    assert slot.bytes >= facts.weights_bytes * 0.9
    assert await budget.unload("tiny") == slot.bytes
    assert this_machine().footprint_bytes(pids[0]) == 0
    assert [event.step for event in events] == ["loaded", "lost", "loaded", "unloaded"]
