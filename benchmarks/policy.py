"""Time and verdicts of the policy: python -m benchmarks.policy [FOLDER with attacks/ and benign/]."""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

from desktop.sandbox.policy import check
from tests.unit.sandbox.hostile import BREAKING, HOSTILE
from tests.unit.sandbox.hostile_more import HOSTILE_MORE
from tests.unit.sandbox.hostile_reach import HOSTILE_REACH
from tests.unit.sandbox.ordinary import ORDINARY
from tests.unit.sandbox.ordinary_idioms import ORDINARY_IDIOMS
from tests.unit.sandbox.ordinary_more import ORDINARY_MORE


def timed_ms(source: bytes) -> tuple[bool, float]:
    best = float("inf")
    allowed = False
    for _ in range(3):
        start = time.perf_counter()
        allowed = check(source).allowed
        best = min(best, time.perf_counter() - start)
    return allowed, best * 1000


def as_bytes(source: str | bytes) -> bytes:
    return source if isinstance(source, bytes) else source.encode()


def main() -> None:
    start = time.perf_counter()
    check(b"x = 1")
    print(f"first check, rules read: {(time.perf_counter() - start) * 1000:.0f} ms")
    rows: list[tuple[str, int, int, list[float]]] = []
    for name, sources, want in (
        ("own hostile", [as_bytes(s) for s in (HOSTILE | HOSTILE_MORE | HOSTILE_REACH).values()], False),
        ("own ordinary", [as_bytes(s) for s in (ORDINARY | ORDINARY_MORE | ORDINARY_IDIOMS).values()], True),
        ("own checker breakers", [as_bytes(s) for s in BREAKING.values()], None),
    ):
        results = [timed_ms(s) for s in sources]
        rows.append((name, sum(a == want for a, _ in results), len(results), [ms for _, ms in results]))
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "shared" / "data"
    for kind, verdict, want in (("attacks", "reject", False), ("benign", "pass", True)):
        manifest = folder / kind / "manifest.json"
        if manifest.exists():
            programs = json.loads(manifest.read_text(encoding="utf-8"))["programs"]
            files = [folder / kind / p["file"] for p in programs if p["validator"] == verdict]
            results = [timed_ms(f.read_bytes()) for f in files]
            rows.append((f"shared {kind}", sum(a == want for a, _ in results), len(results), [ms for _, ms in results]))
    print("| set | as wanted | median ms | longest ms |\n| --- | --- | --- | --- |")
    for name, right, total, times in rows:
        wanted = "a verdict each" if name == "own checker breakers" else f"{right}/{total}"
        print(f"| {name} | {wanted} | {statistics.median(times):.1f} | {max(times):.1f} |")


if __name__ == "__main__":
    main()
