"""Memory, time and an engine that went away. A limit that somebody set is raised only with a yes."""

from __future__ import annotations

from desktop.core.errors import AppError
from desktop.studios.omics.schema import (
    Repair,
)
from desktop.studios.omics.steps.repairs.circumstances import Circumstances

_TIMES_LONGER = 3


def memory_repairs(error: AppError, found: Circumstances) -> list[Repair]:
    before = found.limits.memory_mb
    after = min(before * 2, int(found.free_memory_mb * 0.8))
    if after < before * 1.25:
        return []
    return [
        Repair(
            code="more_memory",
            what=f"Run again with {after:,} MB of memory.",
            why=f"{found.free_memory_mb:,} MB of this machine are free.",
            before=f"memory limit {before:,} MB",
            after=f"memory limit {after:,} MB",
            asks=found.is_limit_chosen or found.origin != "template",
            limits={"memory_mb": after},
        )
    ]


def time_repairs(error: AppError, found: Circumstances) -> list[Repair]:
    before = found.limits.wall_s
    after = before * _TIMES_LONGER
    return [
        Repair(
            code="more_time",
            what=f"Run again with up to {after:,.4g} s.",
            why="It was still at work when its time was over.",
            before=f"time limit {before:,.4g} s",
            after=f"time limit {after:,.4g} s",
            asks=found.is_limit_chosen or found.origin != "template",
            limits={"wall_s": after},
        )
    ]


def engine_repairs(error: AppError, found: Circumstances) -> list[Repair]:
    return [
        Repair(
            code="run_again",
            what="Run it again.",
            why="The sandbox engine went away; the analysis itself did nothing wrong.",
            before="engine lost",
            after="a new start",
        )
    ]
