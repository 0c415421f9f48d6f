"""What durable writes, reads, submits and a backup cost on this disk. Prints one JSON object.

python -m benchmarks.store [--rows N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, cast

from benchmarks.crash import build
from desktop.store import audit, backup
from desktop.store.db import Database

_SAMPLES = 200


def _ms(samples: list[float]) -> dict[str, float]:
    ranked = sorted(samples)
    return {
        "p50_ms": round(1000 * statistics.median(ranked), 3),
        "p99_ms": round(1000 * ranked[int(0.99 * (len(ranked) - 1))], 3),
    }


def _timed(work: Any, n: int = _SAMPLES) -> dict[str, float]:
    samples = []
    for k in range(n):
        began = time.perf_counter()
        work(k)
        samples.append(time.perf_counter() - began)
    return _ms(samples)


def _insert(name: str) -> Any:
    return lambda db: db.conn.execute("INSERT INTO crash_rows VALUES (?, 'x')", (name,))


async def _together(store: Database, n: int) -> float:
    began = time.perf_counter()
    await asyncio.gather(*(store.write(_insert(f"together-{k}")) for k in range(n)))
    return n / (time.perf_counter() - began)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000, help="rows in the store when it is backed up and checked")
    arguments, _ = parser.parse_known_args()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        store, runtime, _ = build(home)
        figures["write_one"] = _timed(lambda k: store.write_now(_insert(f"one-{k}")))
        figures["writes_per_s_together"] = round(asyncio.run(_together(store, 5000)))
        figures["read_one"] = _timed(lambda k: store.read("SELECT * FROM crash_rows WHERE name = ?", (f"one-{k}",)))
        figures["submit"] = _timed(lambda _: runtime.submit("crash.nap", {}))
        entry = {"at_s": 0.0, "what": "w", "by": "rule:x", "because": "b", "inputs": {"a": "0" * 64}}

        def thousand(db: Any) -> None:
            for _ in range(1000):
                audit.write_entry(db, **cast(Any, entry))

        began = time.perf_counter()
        store.write_now(thousand)
        figures["audit_append_us"] = round((time.perf_counter() - began) * 1000, 1)
        store.write_now(
            lambda db: db.conn.executemany(
                "INSERT INTO crash_rows VALUES (?, ?)", ((f"bulk-{k}", "x" * 900) for k in range(arguments.rows))
            )
        )
        began = time.perf_counter()
        made = backup.make(store.path, store.backups_dir, runtime._clock, reason="daily")
        figures["backup_s"] = round(time.perf_counter() - began, 2)
        figures["backup_mb"] = round(made.stat().st_size / 1e6)
        store.close()
        began = time.perf_counter()
        store, _, _ = build(home)
        figures["open_s"] = round(time.perf_counter() - began, 2)
        store.close()
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
