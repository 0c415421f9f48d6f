"""Turns, batches, flags and figures, each by itself."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.core.errors import InputError
from desktop.core.models import Answer
from desktop.gateway.batching import Batcher
from desktop.gateway.cache import AnswerCache
from desktop.gateway.errors import FlagsError
from desktop.gateway.flags import Flags
from desktop.gateway.metrics import Metrics, percentiles
from desktop.gateway.slots import Slots
from tests.conftest import ROOT
from tests.stand_ins.virtual_time import run_virtual

DECLARED = ROOT / "resources" / "config" / "gateway" / "flags.yaml"


@given(st.integers(1, 4), st.integers(0, 2**32))
def test_turns_are_never_more_than_there_are_and_none_is_lost(count: int, seed: int) -> None:
    chance = random.Random(seed)

    async def work() -> None:
        slots, running, most = Slots(count), 0, 0

        async def one(number: int) -> None:
            nonlocal running, most
            await asyncio.sleep(chance.uniform(0, 1))
            async with slots.turn(is_bulk=number % 2 == 0):
                running += 1
                most = max(most, running)
                try:
                    await asyncio.sleep(chance.uniform(0, 0.3))
                finally:
                    running -= 1

        async def cancelled(number: int) -> None:
            task = asyncio.ensure_future(one(number))
            await asyncio.sleep(chance.uniform(0, 1.5))
            task.cancel()
            await asyncio.wait([task])

        await asyncio.gather(*(one(n) if n % 3 else cancelled(n) for n in range(30)), return_exceptions=True)
        await asyncio.wait_for(asyncio.gather(*(one(n) for n in range(count * 3))), 60)
        assert most <= count

    run_virtual(work())


@pytest.mark.parametrize("is_alone", [True, False])
def test_a_batch_waits_only_while_others_come(is_alone: bool) -> None:
    sizes: list[int] = []

    async def work(calls: Sequence[int]) -> Sequence[int | Exception]:
        sizes.append(len(calls))
        return [call * 10 for call in calls]

    async def main() -> float:
        batcher = Batcher(work, wait_s=lambda: 0.2, most=100)
        now_s = asyncio.get_running_loop().time
        began_s = now_s()

        async def late(number: int) -> int:
            await asyncio.sleep(number * 0.015)
            return await batcher.ask(number)

        results = await asyncio.gather(*(late(n) for n in range(1 if is_alone else 40)))
        assert results == [n * 10 for n in range(len(results))]
        return now_s() - began_s

    took_s = run_virtual(main())
    if is_alone:
        assert took_s == pytest.approx(0.02)
    else:
        assert sizes[0] == 14  # what came within 200 ms
        assert sum(sizes) == 40


def test_a_batch_loses_only_who_failed_or_left() -> None:
    seen: list[Sequence[str]] = []

    async def work(calls: Sequence[str]) -> Sequence[str | Exception]:
        seen.append(calls)
        await asyncio.sleep(1)
        return [InputError(call, hint="x") if call == "bad" else call.upper() for call in calls]

    async def main() -> None:
        batcher = Batcher(work, wait_s=lambda: 0.2, most=100)
        tasks = [asyncio.ensure_future(batcher.ask(name)) for name in ("early", "a", "bad", "late", "b")]
        await asyncio.sleep(0.01)
        tasks[0].cancel()
        await asyncio.sleep(0.5)
        tasks[3].cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert seen == [["a", "bad", "late", "b"]]
        assert [str(one) for one in done if not isinstance(one, asyncio.CancelledError)] == ["A", "bad", "B"]
        tasks = [asyncio.ensure_future(batcher.ask(name)) for name in ("x", "y")]
        await asyncio.sleep(0.5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(asyncio.all_tasks()) <= 2  # this one, and the batch as it ends

    run_virtual(main())


def test_a_share_is_stable_and_only_grows(tmp_path: Path) -> None:
    file = tmp_path / "flags.yaml"
    flags = Flags(DECLARED, file)
    keys = [f"person {n}" for n in range(5000)]
    on: set[str] = set()
    for number, percent in enumerate((10, 30, 100)):
        file.write_text(f"batching: {{percent: {percent}}}\n")
        os.utime(file, ns=(number, number))
        now = {key for key in keys if flags.is_on("batching", key)}
        assert on <= now
        assert len(now) == pytest.approx(50 * percent, rel=0.15)
        elsewhere = Flags(DECLARED, file)
        assert now == {key for key in keys if elsewhere.is_on("batching", key)}
        on = now
    file.unlink()
    assert flags.is_on("batching")


@pytest.mark.parametrize(
    "text",
    [
        "batching: {enabled: maybe}",
        "batchin: {enabled: false}",
        "- x",
        "batching: {percent: 200}",
        "{",
        "\0",
        "batching: 3",
    ],
)
def test_a_broken_flags_file_changes_nothing_and_is_said(tmp_path: Path, text: str) -> None:
    file = tmp_path / "flags.yaml"
    file.write_text("batching: {enabled: false}\n")
    flags = Flags(DECLARED, file)
    assert not flags.is_on("batching")
    file.write_text(text)
    os.utime(file, ns=(1, 1))
    assert not flags.is_on("batching")
    assert isinstance(flags.fault, FlagsError)
    assert flags.fault.hint
    file.write_text("batching: {enabled: true}\n")
    os.utime(file, ns=(2, 2))
    assert flags.is_on("batching")
    assert flags.fault is None


def test_every_declared_flag_says_what_it_does(tmp_path: Path) -> None:
    assert all(flag.help for flag in Flags(DECLARED, tmp_path / "none").all().values())


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 3000)), max_size=40))
def test_the_cache_keeps_to_its_size_and_forgets_the_oldest(puts: list[tuple[str, int]]) -> None:
    cache, latest = AnswerCache(lambda: 10_000), Counter[str]()
    for number, (key, size) in enumerate(puts):
        cache.put(key, Answer("x" * size, f"model {key}", "gguf", "small"))
        latest[key] = number
        kept = {key for key in latest if cache.get(key)}
        assert sum(len(answer.text) for k in kept if (answer := cache.get(k))) * 2 <= 10_000
        assert key in kept  # the largest still fits
    for key in latest:
        cache.invalidate(f"model {key}")
    assert cache.invalidate() == 0


def test_percentiles_and_labels() -> None:
    assert percentiles(range(1, 101)).p95 == 96
    assert percentiles([]).p99 == 0
    metrics = Metrics()
    metrics.note_begin('odd "name"\n')
    metrics.note_end('odd "name"\n', "engines.lost")
    assert '{model="odd \\"name\\"\\n"} 1' in metrics.to_prometheus({}, {})
