"""The memory budget under random lives and under crowds: what must never happen does not."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from tests.unit.engines.memory_rig import FakeModel, Rig, settle
from tests.unit.engines.traces import Trace


@pytest.mark.parametrize("seed", range(20))
async def test_random_lives(tmp_path: Path, seed: int) -> None:
    trace = Trace(tmp_path, seed)
    await trace.run(500)
    assert trace.counts["served"] > 10


async def test_a_thousand_crowds_load_nothing_twice_and_lose_nothing_in_use(tmp_path: Path) -> None:
    """Eight callers at once want three models of which two fit; fakes fail on a second copy and on use after unload."""
    n_loads = 0
    for seed in range(1000):
        rig, chance = Rig(tmp_path, {"a": 5, "b": 5, "c": 5}), random.Random(seed)

        async def use(name: str, hold_s: float, rig: Rig = rig) -> None:
            async with rig.budget.lease(rig.wanted(name)) as lease:
                model = lease.model
                assert isinstance(model, FakeModel)
                await rig.clock.sleep(hold_s)
                model.use()

        crowd = [asyncio.ensure_future(use(chance.choice("abc"), chance.random() * 3)) for _ in range(8)]
        await settle(2)
        for _ in range(100):
            if all(task.done() for task in crowd):
                break
            await rig.clock.advance(1)
        await asyncio.gather(*crowd)
        n_loads += len(rig.engine.loads)
    assert 2000 < n_loads < 4500
