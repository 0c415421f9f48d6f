"""What a call into a child process costs: a cold one, a warm one, and its cancel. Prints one JSON object."""

from __future__ import annotations

import asyncio
import json
import statistics
import time

from desktop.workers.children import Children


def _nothing() -> None:
    pass


async def _measure() -> dict[str, float]:
    children = Children(limit=2)
    cold, warm, cancel = [], [], []
    try:
        for _ in range(5):
            fresh = Children(limit=1, keep_warm=False)
            began = time.perf_counter()
            await fresh.run(_nothing)
            cold.append(time.perf_counter() - began)
            fresh.close()
        children.warm_up()
        await children.run(_nothing)
        for _ in range(100):
            began = time.perf_counter()
            await children.run(_nothing)
            warm.append(time.perf_counter() - began)
        for _ in range(5):
            task = asyncio.create_task(children.run(time.sleep, 60))
            await asyncio.sleep(0.5)
            began = time.perf_counter()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            cancel.append(time.perf_counter() - began)
    finally:
        children.close()
    return {
        "cold_call_ms": round(1000 * statistics.median(cold), 1),
        "warm_call_ms": round(1000 * statistics.median(warm), 2),
        "cancel_ms": round(1000 * statistics.median(cancel), 1),
    }


def main() -> int:
    print(json.dumps(asyncio.run(_measure())))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
