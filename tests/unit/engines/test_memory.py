"""The memory budget's rules, each a test: limits, victims, leases, queue, idle times, loss, out of memory, pins."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from desktop.core.errors import AppError
from desktop.engines.errors import (
    BadModelError,
    BudgetExceededError,
    EngineLostError,
    EngineMissingError,
    ModelInUseError,
    OutOfMemoryError,
    PinRefusedError,
)
from desktop.engines.slots import Wanted
from tests.unit.engines.memory_rig import GIB, Rig, held, out_of_memory, settle


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path, {"a": 4, "b": 3, "c": 2, "d": 5, "tiny": 0.5, "huge": 20})


# ---- limits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cap_gib", "recommended_gib", "expected_gib"),
    [(0, None, 12), (6, None, 6), (0, 10.7, 10.7), (20, 11, 11), (3, 10, 3)],
)
def test_the_budget_is_the_least_of_cap_ram_and_working_set(
    tmp_path: Path, cap_gib: float, recommended_gib: float | None, expected_gib: float
) -> None:
    rig = Rig(tmp_path, {}, budget_gib=cap_gib)
    rig.machine.recommended = int(recommended_gib * GIB) if recommended_gib else None
    assert rig.budget.status().limit_bytes == pytest.approx(expected_gib * GIB, abs=1)


async def test_other_programs_count_live(rig: Rig) -> None:
    rig.machine.others = int(10.2 * GIB)  # 13.6 is the line: 3.4 left
    assert rig.budget.fit(rig.wanted("b")).verdict == "fits"
    assert rig.budget.fit(rig.wanted("a")).verdict == "never"
    with pytest.raises(BudgetExceededError):
        await rig.during(rig.budget.load(rig.wanted("a")))
    rig.machine.others = 2 * GIB
    await rig.load("a")


async def test_room_promised_to_a_loaded_model_is_not_given_away(rig: Rig) -> None:
    rig.machine.others = 6 * GIB
    await rig.during(rig.budget.load(rig.wanted("b", kv_gib=3)))
    assert rig.budget.status().machine_used_bytes == 9 * GIB
    assert rig.budget.fit(rig.wanted("c")).verdict == "after"


async def test_measured_replaces_estimated_and_is_remembered(rig: Rig) -> None:
    wanted = rig.wanted("a", estimate_gib=6, kv_gib=1)
    assert rig.budget.fit(wanted).need_bytes == 7 * GIB
    await rig.during(rig.budget.load(wanted))
    (slot,) = rig.budget.status().slots
    assert (slot.bytes, slot.is_measured) == (5 * GIB, True)
    assert rig.new_budget().fit(wanted).need_bytes == 5 * GIB
    assert rig.new_budget().fit(rig.wanted("a", estimate_gib=6, kv_gib=2, context=8192)).need_bytes == 8 * GIB


async def test_a_model_larger_than_thought_makes_idle_ones_go_and_fails_when_that_is_not_enough(rig: Rig) -> None:
    rig.settings = rig.settings.model_copy(update={"budget_gib": 6})
    await rig.load("b")
    await rig.during(rig.budget.load(rig.wanted("d", estimate_gib=2)))
    assert rig.states() == {"d": "loaded"}
    rig.engine.sizes["a"] = 7 * GIB
    with pytest.raises(BudgetExceededError) as raised:
        await rig.during(rig.budget.load(rig.wanted("a", estimate_gib=1)))
    assert raised.value.facts["needs_bytes"] == 7 * GIB
    await settle()
    assert rig.engine.living == []


# ---- victims ------------------------------------------------------------------------------------------------------


async def test_the_least_recently_finished_goes_first(rig: Rig) -> None:
    await rig.load("a", "b", "c")
    async with held(rig, "a"):
        await rig.clock.advance(1)
    await rig.load("tiny")
    await rig.load("b")
    await rig.load("a")
    rig.engine.sizes["new"] = 3 * GIB
    await rig.load("new")
    assert rig.states().keys() == {"a", "b", "tiny", "new"}


async def test_no_more_go_than_needed_and_none_with_ample_room(rig: Rig) -> None:
    await rig.load("tiny", "a", "c")
    await rig.load("b")
    assert rig.states().keys() == {"tiny", "a", "c", "b"}
    await rig.load("d")  # 5 more: tiny is the oldest, but a alone makes the room it needs with the 2 free
    assert rig.states().keys() == {"tiny", "c", "b", "d"}


async def test_a_victim_is_gone_before_the_load_begins(rig: Rig) -> None:
    await rig.load("a", "d")
    rig.engine.on_load = lambda files: order.append([model.id for model in rig.engine.living])
    order: list[list[str]] = []
    await rig.load("b")
    assert order == [["d"]]
    assert rig.steps()[-2:] == ["unloaded", "loaded"]
    unloaded = rig.events[-2]
    assert (unloaded.models, unloaded.before_bytes, unloaded.after_bytes) == (("a",), 9 * GIB, 5 * GIB)
    assert unloaded.because == "room for b"


async def test_leased_pinned_and_loading_models_stay(rig: Rig) -> None:
    await rig.load("a")
    rig.budget.pin(rig.wanted("a"))
    async with held(rig, "b"):
        loading = asyncio.ensure_future(rig.budget.load(rig.wanted("c")))
        await settle()
        with pytest.raises(BudgetExceededError) as raised:
            await rig.during(rig.budget.lease(rig.wanted("d"), may_wait=False).__aenter__())
        assert raised.value.facts["needs_bytes"] == 5 * GIB
        assert raised.value.facts["evictable_bytes"] == 0
        assert rig.states() == {"a": "loaded", "b": "loaded", "c": "loading"}
        await rig.during(loading)
    await rig.load("d")
    assert rig.states().keys() == {"a", "d"} | (rig.states().keys() & {"b", "c"})


async def test_one_that_can_never_fit_changes_nothing(rig: Rig) -> None:
    await rig.load("a", "b")
    before = (rig.states(), len(rig.events))
    with pytest.raises(BudgetExceededError) as raised:
        await rig.during(rig.budget.load(rig.wanted("huge")))
    assert (rig.states(), len(rig.events)) == before
    assert raised.value.facts["evictable_bytes"] == 7 * GIB
    assert "huge needs 20.0 GiB; 4.6 GiB are free and 7.0 GiB could be freed." in str(raised.value)


async def test_fit_says_what_would_go(rig: Rig) -> None:
    await rig.load("a", "b")
    assert rig.budget.fit(rig.wanted("c")).verdict == "fits"
    answer = rig.budget.fit(rig.wanted("d"))
    assert (answer.verdict, answer.unload) == ("after", ("a",))
    async with held(rig, "a"), held(rig, "b"):
        assert rig.budget.fit(rig.wanted("d")).verdict == "busy"
    assert rig.budget.fit(rig.wanted("huge")).verdict == "never"
    assert rig.budget.fit(rig.wanted("a")).verdict == "fits"


async def test_the_machine_may_notice_an_unload_late(rig: Rig) -> None:
    """Memory that is on its way back is waited for; no second model goes for it."""
    await rig.load("a", "b", "c")
    lag: list[int] = []
    rig.machine.models = lambda: rig.engine.bytes + sum(lag)
    loading = asyncio.ensure_future(rig.budget.load(rig.wanted("d")))
    await settle()
    lag.append(4 * GIB)
    await rig.clock.advance(1.0)
    assert rig.states().keys() == {"b", "c"}
    lag.clear()
    await rig.during(loading)
    assert rig.states().keys() == {"b", "c", "d"}


# ---- single flight, leases, queue, cancel -------------------------------------------------------------------------


async def test_one_load_for_all_who_ask_and_for_every_name_of_one_file(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "alias").symlink_to(tmp_path / "a")
    wishes = [rig.wanted("a") for _ in range(10)] + [rig.wanted("a", path=tmp_path / "alias")]
    await rig.during(asyncio.gather(*(rig.budget.load(wish) for wish in wishes)))
    assert len(rig.engine.loads) == 1


async def test_a_request_waits_for_others_to_end(rig: Rig) -> None:
    async with held(rig, "a"), held(rig, "d"):
        waiting = asyncio.ensure_future(rig.budget.load(rig.wanted("b")))
        await rig.clock.advance(60)
        assert not waiting.done()
    await rig.during(waiting)
    assert "b" in rig.states()


async def test_who_waits_long_is_not_passed_for_ever(rig: Rig) -> None:
    async with held(rig, "d"):
        big = asyncio.ensure_future(rig.budget.load(rig.wanted("huge", estimate_gib=11)))
        rig.engine.sizes["huge"] = 11 * GIB
        await settle()
        await rig.clock.advance(11)
        late = asyncio.ensure_future(rig.budget.load(rig.wanted("d")))
        await settle()
        assert not late.done()
    await rig.during(big)
    await rig.during(late)
    assert rig.states() == {"d": "loaded"}


async def test_a_cancelled_waiter_is_forgotten(rig: Rig) -> None:
    async with held(rig, "a"), held(rig, "d"):
        waiting = asyncio.ensure_future(rig.budget.load(rig.wanted("b")))
        await settle()
        waiting.cancel()
        await settle()
    await rig.clock.advance(30)
    assert rig.states().keys() == {"a", "d"}
    assert len(rig.engine.loads) == 2


@pytest.mark.parametrize("others", [0, 1])
async def test_cancel_while_loading_lets_it_finish_only_for_another(rig: Rig, others: int) -> None:
    first = asyncio.ensure_future(rig.budget.load(rig.wanted("a")))
    second = [asyncio.ensure_future(rig.budget.load(rig.wanted("a"))) for _ in range(others)]
    await settle()
    first.cancel()
    await rig.clock.advance(5)
    assert rig.states() == ({"a": "loaded"} if others else {})
    assert len(rig.engine.living) == others
    assert all(task.done() for task in second)


async def test_asking_again_while_an_abandoned_load_stops(rig: Rig) -> None:
    first = asyncio.ensure_future(rig.budget.load(rig.wanted("a")))
    await settle()
    first.cancel()
    await asyncio.sleep(0)
    await rig.load("a")
    assert rig.states() == {"a": "loaded"}


async def test_a_longer_context_loads_anew_once_nobody_uses_the_short_one(rig: Rig) -> None:
    async with held(rig, "a"):
        longer = asyncio.ensure_future(rig.budget.load(rig.wanted("a", context=8192)))
        await settle()
        assert rig.states() == {"a": "loaded"}
    await rig.during(longer)
    assert [files.context_tokens for files in rig.engine.loads] == [4096, 8192]
    await rig.load("a")  # the long one serves short requests too
    assert len(rig.engine.loads) == 2


async def test_unload_by_hand(rig: Rig) -> None:
    async with held(rig, "a"):
        with pytest.raises(ModelInUseError):
            await rig.budget.unload("a")
    assert await rig.during(rig.budget.unload("a")) == 4 * GIB
    assert rig.engine.living == []
    assert await rig.budget.unload("a") == 0


# ---- idle times ---------------------------------------------------------------------------------------------------


async def test_idle_models_go_after_their_tiers_time_and_looking_does_not_keep_them(rig: Rig) -> None:
    await rig.load("a")
    await rig.load("c", tier="small")
    for _ in range(29):
        await rig.idle(10)
        rig.budget.status()
        rig.budget.fit(rig.wanted("a"))
    assert rig.states().keys() == {"a", "c"}
    await rig.idle(15)
    assert rig.states().keys() == {"c"}
    await rig.idle(24 * 60)
    assert rig.states().keys() == {"c"}
    await rig.idle(2 * 60)
    assert rig.states() == {}
    assert rig.events[-1].because.startswith("idle for 30 min")


async def test_a_model_in_use_is_not_idle(rig: Rig) -> None:
    async with held(rig, "a") as model:
        await rig.idle(3600)
        model.use()
    await rig.idle(4 * 60)
    assert rig.states() == {"a": "loaded"}


async def test_idle_at_once_and_never(tmp_path: Path) -> None:
    rig = Rig(tmp_path, {"a": 1, "c": 1}, medium_idle_min=0, small_idle_min=-1)
    async with held(rig, "a"):
        pass
    await rig.load("c", tier="small")
    await rig.clock.advance(1)
    await rig.idle(10 * 3600)
    assert rig.states() == {"c": "loaded"}


async def test_sleep_of_the_machine_is_not_idle_time(rig: Rig) -> None:
    await rig.load("a")
    await rig.idle(200)
    await rig.clock.advance(8 * 3600)  # no looks meanwhile: the machine slept
    await rig.during(rig.budget.tick())
    assert rig.states() == {"a": "loaded"}
    await rig.idle(110)
    assert rig.states() == {}


# ---- loss, out of memory, failures --------------------------------------------------------------------------------


async def crash(rig: Rig, name: str) -> None:
    """The child goes in the middle of a request."""
    async with held(rig, name) as model:
        model.die()
        model.use()


async def test_a_crash_frees_its_charge_and_the_restart_waits_longer_each_time(rig: Rig) -> None:
    pauses = []
    for _ in range(4):
        begun_s = rig.clock.now
        with pytest.raises(EngineLostError):
            await crash(rig, "a")
        pauses.append(rig.clock.now - begun_s - 2.0)
        assert rig.charged_gib == 0
    for pause_s, (least_s, most_s) in zip(pauses, [(0, 0), (0.25, 0.5), (0.5, 1), (1, 2)], strict=True):
        assert least_s - 0.01 <= pause_s <= most_s + 0.11
    await rig.load("a")
    assert rig.steps().count("lost") == 4


async def test_a_crash_of_an_idle_model_is_noticed(rig: Rig) -> None:
    await rig.load("a")
    rig.engine.living[0].die()
    await rig.idle(5)
    assert rig.states() == {}
    await rig.clock.advance(1)
    assert rig.steps()[-1] == "lost"


async def test_a_failed_load_reaches_everyone_and_leaves_nothing(rig: Rig) -> None:
    rig.engine.outcomes["a"] = [BadModelError("broken", hint="")]
    tries = [rig.budget.load(rig.wanted("a")) for _ in range(3)]
    got = await rig.during(asyncio.gather(*tries, return_exceptions=True))
    assert [type(one) for one in got] == [BadModelError] * 3
    assert rig.states() == {}
    await rig.load("a")


async def test_a_runtime_that_is_not_there(rig: Rig, tmp_path: Path) -> None:
    wanted = rig.wanted("a")
    files = wanted.files.__class__("a", "gguf", tmp_path / "a", 4096)
    with pytest.raises(EngineMissingError):
        await rig.during(rig.budget.load(Wanted(files, "small", wanted.need)))
    assert rig.charged_gib == 0


async def test_out_of_memory_halves_an_automatic_context_then_evicts_all_idle_then_fails(rig: Rig) -> None:
    await rig.load("c", "tiny")
    rig.engine.outcomes["a"] = [out_of_memory(), out_of_memory(), None]
    await rig.load("a")
    assert [files.context_tokens for files in rig.engine.loads[2:]] == [4096, 2048, 2048]
    assert rig.states() == {"a": "loaded"}
    assert rig.steps()[2:] == ["context_halved", "unloaded", "unloaded", "loaded"]
    await rig.load("a")  # the shortened one serves: no second load for the same wish
    assert len(rig.engine.loads) == 5
    rig.engine.outcomes["b"] = [out_of_memory()] * 3
    with pytest.raises(OutOfMemoryError):
        await rig.load("b")
    assert rig.states() == {}


async def test_out_of_memory_never_shortens_a_context_a_person_chose(rig: Rig) -> None:
    await rig.load("c")
    rig.engine.outcomes["a"] = [out_of_memory(), None]
    await rig.during(rig.budget.load(rig.wanted("a", fixed=True)))
    assert [files.context_tokens for files in rig.engine.loads[1:]] == [4096, 4096]
    assert rig.states() == {"a": "loaded"}


# ---- pins, caches, end --------------------------------------------------------------------------------------------


async def test_pins_are_bounded_and_hold(rig: Rig) -> None:
    await rig.load("a")
    rig.budget.pin(rig.wanted("a"))
    rig.budget.pin(rig.wanted("d"))
    with pytest.raises(PinRefusedError) as raised:
        rig.budget.pin(rig.wanted("b"))
    assert raised.value.facts == {"pinned_bytes": 12 * GIB, "most_bytes": int(9.6 * GIB)}
    await rig.idle(3600)
    assert rig.states() == {"a": "loaded"}
    rig.budget.unpin(rig.wanted("a"))
    await rig.idle(5)
    await rig.clock.advance(1)
    assert rig.states() == {}


async def test_caches_count_and_are_trimmed_when_they_exceed_the_budget(rig: Rig) -> None:
    await rig.load("b", "c")
    async with held(rig, "b") as model:
        model.caches = 2 * GIB
    assert rig.charged_gib == 7
    await rig.clock.advance(1)
    async with held(rig, "c") as other:
        other.caches = 6 * GIB
    await settle()
    assert rig.charged_gib == 12
    assert (model.caches, other.caches) == (1 * GIB, 6 * GIB)
    event = rig.events[-1]
    assert (event.step, event.models) == ("caches_dropped", ("b",))
    assert event.before_bytes - event.after_bytes == 1 * GIB


async def test_closing_ends_loads_and_waiters_and_unloads_all(rig: Rig) -> None:
    await rig.load("a")
    loading = asyncio.ensure_future(rig.budget.load(rig.wanted("b")))
    waiting = asyncio.ensure_future(rig.budget.load(rig.wanted("d", context=9000)))
    await settle()
    await rig.during(rig.budget.aclose())
    got = await asyncio.gather(loading, waiting, return_exceptions=True)
    assert all(isinstance(one, asyncio.CancelledError | AppError) for one in got)
    assert rig.engine.living == []
    assert rig.engine.loading == []


async def test_an_event_that_cannot_be_kept_stops_nothing(rig: Rig, caplog: Any) -> None:
    rig.is_disk_full = True
    await rig.load("a")
    assert rig.states() == {"a": "loaded"}
    assert "could not be kept" in caplog.text
