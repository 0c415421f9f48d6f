"""What a span costs: CPU microseconds each, inside a trace and outside. Prints one JSON object."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

from desktop.core.trace import SpanBuffer, Trace, span

_N = 100_000


def _us(work: Callable[[], None]) -> float:
    took = []
    for _ in range(5):
        began = time.process_time_ns()
        for _ in range(_N):
            work()
        took.append((time.process_time_ns() - began) / 1000 / _N)
    return round(statistics.median(took), 2)


def _empty() -> None:
    pass


def _one() -> None:
    with span("net.fetch"):
        pass


def main() -> int:
    loop_us = _us(_empty)
    outside_us = _us(_one)
    with Trace(SpanBuffer(), "job"):
        inside_us = _us(_one)
    print(
        json.dumps(
            {"span_us": round(inside_us - loop_us, 2), "span_outside_a_trace_us": round(outside_us - loop_us, 2)}
        )
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
