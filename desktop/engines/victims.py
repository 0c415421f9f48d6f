"""Which idle models go when room is needed: the smallest set, least recently finished first. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Candidate:
    """An idle model that may go: what it takes and when its last request ended (monotonic seconds)."""

    key: Path
    bytes: int
    finished_s: float


def smallest_victims(candidates: Iterable[Candidate], needed_bytes: int) -> tuple[Candidate, ...] | None:
    """The models to unload so that at least `needed_bytes` come free, least recently finished first.

    Takes them in that order (of two that finished together the larger first) until they suffice, then spares every one
    the others suffice without, the most recent first: no member can be left out. None when all together are too small.
    """
    in_order = sorted(candidates, key=lambda one: (one.finished_s, -one.bytes, one.key))
    taken: list[Candidate] = []
    freed = 0
    for one in in_order:
        if freed >= needed_bytes:
            break
        taken.append(one)
        freed += one.bytes
    if freed < needed_bytes:
        return None
    for one in reversed(tuple(taken)):
        if freed - one.bytes >= needed_bytes:
            taken.remove(one)
            freed -= one.bytes
    return tuple(taken)
