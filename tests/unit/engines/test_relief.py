"""Pressure: the steps in their order, each one event with bytes before and after; none when memory is ample."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from desktop.engines.errors import MemoryPressureError
from tests.unit.engines.memory_rig import GIB, FakeModel, Rig, held


@pytest.fixture
async def rig(tmp_path: Path) -> Rig:
    rig = Rig(tmp_path, {"a": 3, "b": 2, "c": 1})
    await rig.load("a", "b")
    rig.events.clear()
    return rig


def models(rig: Rig) -> dict[str, FakeModel]:
    return {model.id: model for model in rig.engine.living}


async def fill_caches(rig: Rig) -> None:
    for name in ("a", "b"):
        async with held(rig, name) as model:
            model.caches = model.buffers = GIB
        await rig.clock.advance(1)


async def test_nothing_happens_with_ample_memory(rig: Rig) -> None:
    await fill_caches(rig)
    await rig.idle(60)
    assert rig.events == []


async def test_the_first_step_that_suffices_is_the_last(rig: Rig) -> None:
    await fill_caches(rig)
    rig.machine.others = int(7.9 * GIB)  # 16.9 of 16 with models: 14.4 is the line
    rig.machine.total = 18 * GIB  # now 16.9 of 18, line 16.2
    await rig.idle(5)
    assert rig.steps() == ["buffers_cleared"]
    assert rig.events[0].models == ("a", "b")
    assert rig.events[0].before_bytes - rig.events[0].after_bytes == 2 * GIB
    assert models(rig)["a"].caches == GIB


async def test_every_step_in_its_order(rig: Rig) -> None:
    await fill_caches(rig)
    rig.engine.limit_frees = 1
    stopped: list[str] = []
    bulk = rig.budget.lease(rig.wanted("c"), on_revoke=lambda: stopped.append("c"))
    await rig.during(bulk.__aenter__())
    rig.events.clear()
    rig.machine.level = "critical"
    await rig.idle(5)
    assert rig.steps() == [
        "buffers_cleared",
        "caches_dropped",
        "buffers_limited",
        "unloaded",
        "unloaded",
        "idle_evicted",
        "work_refused",
    ]
    assert stopped == []
    evicted = rig.events[5]
    assert evicted.models == ("a", "b")
    assert evicted.before_bytes > evicted.after_bytes == GIB
    with pytest.raises(MemoryPressureError):
        await rig.during(rig.budget.load(rig.wanted("a")))
    await rig.idle(5)
    assert rig.steps()[7:] == ["bulk_cancelled"]
    assert stopped == ["c"]
    await bulk.__aexit__(None, None, None)
    rig.machine.level = "normal"
    await rig.idle(5)
    assert rig.steps()[-1] == "work_accepted"
    await rig.load("a")


async def test_a_model_in_use_and_a_pinned_one_keep_everything(rig: Rig) -> None:
    await fill_caches(rig)
    rig.budget.pin(rig.wanted("b"))
    rig.machine.level = "critical"
    async with held(rig, "a") as model:
        await rig.idle(20)
        assert model.asked == []
    assert rig.states().keys() == {"a", "b"}


async def test_a_model_that_does_not_answer_is_passed_by(rig: Rig) -> None:
    async def never(keep_bytes: int = 0) -> int:
        await asyncio.Event().wait()
        return 0

    await fill_caches(rig)
    models(rig)["a"].drop_caches = never  # type: ignore[method-assign]
    rig.machine.others = int(8.9 * GIB)
    rig.machine.total = 18 * GIB
    await rig.clock.advance(5)
    ticking = asyncio.ensure_future(rig.budget.tick())
    for _ in range(100):
        await asyncio.sleep(0.05)
        await rig.clock.advance(0.5)
        if ticking.done():
            break
    await ticking
    assert rig.events[0].step == "buffers_cleared"
    assert rig.events[0].models == ("b",)
