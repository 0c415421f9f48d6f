"""Retries wait as told and stop in time; the breaker opens, probes and closes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.core.errors import AppError, InputError
from desktop.core.resilience import Breaker, BreakerOpenError, Retries, with_retries


class BusyError(AppError):
    code = "test.busy"
    retryable = True


def busy(**facts: object) -> BusyError:
    return BusyError("busy", hint="wait", **facts)


def failing(*errors: Exception) -> Callable[[], Awaitable[str]]:
    left = list(errors)

    async def work() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return work


async def attempt(
    work: Callable[[], Awaitable[str]], retries: Retries = Retries()
) -> tuple[str | Exception, list[float]]:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    try:
        return await with_retries(work, retries, sleep=sleep, chance=lambda: 0.0), waits
    except AppError as error:
        return error, waits


@pytest.mark.parametrize(
    ("errors", "outcome", "waits"),
    [
        pytest.param([], "done", [], id="at once"),
        pytest.param([busy(), busy()], "done", [0.5, 1.0], id="third time"),
        pytest.param([busy()] * 4, "busy", [0.5, 1.0, 2.0], id="never"),
        pytest.param([busy(retry_after_s=7)], "done", [7.0], id="as the server asked"),
        pytest.param([busy(retry_after_s=0.1)], "done", [0.5], id="not sooner than ours"),
        pytest.param([busy(retry_after_s=3600)], "busy", [], id="too long to wait here"),
        pytest.param([InputError("no", hint="x")], "no", [], id="for good"),
    ],
)
async def test_retries(errors: list[Exception], outcome: str, waits: list[float]) -> None:
    result, waited = await attempt(failing(*errors))
    assert (str(result), waited) == (outcome, waits)


@given(st.integers(1, 200), st.floats(0, 1))
def test_waits_are_bounded(failed: int, chance: float) -> None:
    assert 0.25 <= Retries().wait_s(failed, chance) <= 30


class SetClock:
    time_s = 0.0

    def now_s(self) -> float:
        return self.time_s

    def monotonic_s(self) -> float:
        return self.time_s


async def outcome(breaker: Breaker, work: Callable[[], Awaitable[str]]) -> str:
    try:
        return await breaker.call(work)
    except AppError as error:
        return error.code


async def test_the_breaker_opens_after_three_failures_and_one_probe_closes_it() -> None:
    clock = SetClock()
    breaker = Breaker("server", clock, pause_s=30)
    for _ in range(2):
        assert await outcome(breaker, failing(busy())) == "test.busy"
    assert await outcome(breaker, failing()) == "done"  # a success starts the count anew
    for _ in range(3):
        assert await outcome(breaker, failing(busy())) == "test.busy"
    assert breaker.state == "open"
    clock.time_s = 10
    with pytest.raises(BreakerOpenError) as caught:
        await breaker.call(failing())
    assert caught.value.facts["retry_after_s"] == 20
    clock.time_s = 31
    assert breaker.state == "probing"
    assert await outcome(breaker, failing(busy())) == "test.busy"
    assert breaker.state == "open"
    clock.time_s = 62
    assert await outcome(breaker, failing()) == "done"
    assert breaker.state == "closed"


async def test_only_one_probe_at_a_time_and_a_cancelled_one_does_not_count() -> None:
    clock = SetClock()
    breaker = Breaker("server", clock, limit=1, pause_s=5)
    await outcome(breaker, failing(busy()))
    clock.time_s = 6

    async def hang() -> str:
        await asyncio.Event().wait()
        return "never"

    probe = asyncio.create_task(breaker.call(hang))
    await asyncio.sleep(0)
    assert await outcome(breaker, failing()) == "app.breaker_open"
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    assert breaker.state == "probing"
    assert await outcome(breaker, failing()) == "done"


async def test_what_does_not_count_leaves_the_breaker_as_it_was() -> None:
    clock = SetClock()
    breaker = Breaker("server", clock, limit=2, pause_s=5, counts=lambda error: not isinstance(error, InputError))
    for _ in range(5):
        assert await outcome(breaker, failing(InputError("no", hint="x"))) == "app.bad_input"
    assert breaker.state == "closed"
    for _ in range(2):
        await outcome(breaker, failing(busy()))
    clock.time_s = 6
    assert await outcome(breaker, failing(InputError("no", hint="x"))) == "app.bad_input"
    assert breaker.state == "probing"


@pytest.mark.parametrize(("asked_s", "left_s"), [(7, 7), (3600, 600)])
async def test_a_service_that_asks_for_a_pause_gets_it_at_once(asked_s: float, left_s: float) -> None:
    clock = SetClock()
    breaker = Breaker("server", clock, pause_s=30)
    await outcome(breaker, failing(busy(retry_after_s=asked_s)))
    clock.time_s = left_s - 0.1
    assert (breaker.state, breaker.is_admitting) == ("open", False)
    clock.time_s = left_s + 0.1
    assert breaker.is_admitting
    assert await outcome(breaker, failing()) == "done"
    assert breaker.state == "closed"


async def test_calls_from_before_it_opened_change_nothing_afterwards() -> None:
    clock = SetClock()
    breaker = Breaker("server", clock, limit=1, pause_s=5)
    gate = asyncio.Event()

    async def slow(*errors: Exception) -> str:
        await gate.wait()
        return await failing(*errors)()

    early = [asyncio.create_task(outcome(breaker, slow)), asyncio.create_task(outcome(breaker, lambda: slow(busy())))]
    await asyncio.sleep(0)
    await outcome(breaker, failing(busy()))
    clock.time_s = 4
    gate.set()
    assert await asyncio.gather(*early) == ["done", "test.busy"]
    assert breaker.state == "open"  # neither closed by the success nor kept open longer by the failure
    clock.time_s = 5.1
    assert breaker.state == "probing"
