"""The memory budget over 100,000 random steps and 1,000 crowds: violations, loads, and how long a decision takes.

python -m benchmarks.memory_traces [STEPS]

The same traces as in the tests, at full length. A violation ends the run with its seed.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.unit.engines.traces import Trace

STEPS_EACH = 1000


def main() -> int:
    n_steps = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    counts: Counter[str] = Counter()
    begun_s = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(n_steps // STEPS_EACH):
            trace = Trace(Path(folder), 10_000 + seed)
            try:
                asyncio.run(trace.run(STEPS_EACH))
            except AssertionError as fault:
                print(f"seed {10_000 + seed}: {fault}")
                return 1
            counts += trace.counts
    took_s = time.perf_counter() - begun_s
    print(f"{n_steps} steps in {took_s:.0f} s: 0 violations")
    for name, n in sorted(counts.items()):
        print(f"  {name.strip('_'):24} {n}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
