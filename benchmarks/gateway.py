"""The gateway: 10,000 requests with faults, hangs and cancels (virtual time), and what it costs itself."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from desktop.core.models import Message, Prompt, Task
from desktop.gateway.metrics import percentiles
from desktop.gateway.weight import decide, weigh
from tests.stand_ins.fleet import make_house
from tests.unit.gateway.soak import soak

REQUESTS, ROUNDS = 10_000, 2_000
SCHEMA = {"type": "object", "properties": {f"field{i}": {"type": "string"} for i in range(30)}}


def main() -> None:
    for seed in (1, 2, 3):
        print(f"seed {seed}, 20 % faults, 5 % hangs, a tenth cancelled: {soak(REQUESTS, seed)}")
    prompt = Prompt((Message("user", "text " * 2_000),), Task("bench.ask"), schema=SCHEMA)
    print(f"weigh and decide, processor time: {_milliseconds(lambda: decide(prompt.task, weigh(prompt)))}")
    asyncio.run(_requests())


async def _requests() -> None:
    with tempfile.TemporaryDirectory() as folder:
        house = make_house(Path(folder))
        house.fleet.add("small", "small", is_loaded=True, piece_s=0)
        fresh, cached = [], []
        for number in range(ROUNDS):
            prompt = Prompt((Message("user", f"text {number}"),), Task("bench.ask"), max_tokens=50)
            for taken_s in (fresh, cached):
                began_s = time.perf_counter()
                await house.gateway.generate(prompt)
                taken_s.append(time.perf_counter() - began_s)
        house.fleet.add("other", "medium", is_loaded=True, piece_s=0)
        house.fleet.models["small"].faults = [_lost() for _ in range(3)]
        fallback = []
        for number in range(3):
            began_s = time.perf_counter()
            await house.gateway.generate(
                Prompt((Message("user", f"again {number}"),), Task("bench.ask"), max_tokens=50)
            )
            fallback.append(time.perf_counter() - began_s)
        for name, taken_s in (("whole request", fresh), ("from the cache", cached), ("with a fallback", fallback)):
            p = percentiles(taken_s)
            print(f"{name}: p50 {p.p50 * 1e3:.2f} ms, p99 {p.p99 * 1e3:.2f} ms")


def _lost() -> Exception:
    from desktop.engines.errors import EngineLostError

    return EngineLostError("gone", hint="again")


def _milliseconds(work: object) -> str:
    assert callable(work)
    taken_s = []
    for _ in range(ROUNDS):
        began_s = time.thread_time()
        work()
        taken_s.append(time.thread_time() - began_s)
    p = percentiles(taken_s)
    return f"p50 {p.p50 * 1e3:.3f} ms, p99 {p.p99 * 1e3:.3f} ms"


if __name__ == "__main__":
    main()
