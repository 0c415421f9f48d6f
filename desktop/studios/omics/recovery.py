"""Error recovery by rules: what failed is tried again with one thing changed, at most three times, each change shown.

A repair that leaves the question as it is happens by itself; one that would change it (another level, a factor or
samples left out), or go beyond a limit that somebody set, waits for the person, who is told what to pass. What fails
for a reason no rule knows ends as it is. The rules are in `steps/repairs/`; this is no place for them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from desktop.core.errors import AppError, InputError, RunFailedError
from desktop.core.ports import JobContext, Limits, Origin
from desktop.studios.omics.config import OmicsSettings
from desktop.studios.omics.failed_run import add_diagnosis
from desktop.studios.omics.schema import AnalysisParams, Inspection, Plan, Repair, ScriptParams
from desktop.studios.omics.steps.repairs import repairs_for
from desktop.studios.omics.steps.repairs.circumstances import Circumstances

MOST_REPAIRS = 3
P = TypeVar("P", AnalysisParams, ScriptParams)
T = TypeVar("T")


@dataclass(slots=True)
class Attempt(Generic[P]):
    """What one attempt works with, and what became known while it ran.

    origin    who wrote the script; limits are raised by themselves only for a template's
    repairs   made so far, in order
    """

    params: P
    limits: Limits
    origin: Origin = "template"
    inspection: Inspection | None = None
    plan: Plan | None = None
    repairs: list[Repair] = field(default_factory=list)

    @property
    def told(self) -> list[str]:
        """The repairs as the report and the manifest tell them."""
        return [f"Repaired: {one.what} {one.why} Before: {one.before}; now: {one.after}." for one in self.repairs]


async def with_repairs(ctx: JobContext, first: Attempt[P], run: Callable[[Attempt[P]], Awaitable[T]]) -> T:
    """The result of `run`, tried again after each repair.

    raises   the last error; its facts say what was repaired before (`repairs`) and what waits for a yes (`offers`)
    """
    attempt = first
    while True:
        try:
            return await run(attempt)
        except (InputError, RunFailedError) as error:
            offers = await _offers(ctx, attempt, error) if len(attempt.repairs) < MOST_REPAIRS else []
            agreed = [one for one in offers if not one.asks or one.code in attempt.params.accept]
            if not agreed:
                await _give_up(ctx, attempt, error, offers)
                raise
            attempt = await _changed(ctx, attempt, agreed[0], error)


async def _offers(ctx: JobContext, attempt: Attempt[P], error: AppError) -> list[Repair]:
    """What could be changed, nothing that was changed to the same before."""
    found = Circumstances(
        params=attempt.params,
        limits=attempt.limits,
        is_limit_chosen=_is_limit_chosen(ctx),
        origin=attempt.origin,
        free_memory_mb=await ctx.io(_free_memory_mb),
        inspection=attempt.inspection,
        plan=attempt.plan,
    )
    made = {(one.code, one.after) for one in attempt.repairs}
    return [one for one in await ctx.cpu(repairs_for, error, found) if (one.code, one.after) not in made]


async def _changed(ctx: JobContext, attempt: Attempt[P], repair: Repair, error: AppError) -> Attempt[P]:
    by = "person" if repair.asks else "rule:recovery"
    await ctx.decide(f"repair {repair.code}: {repair.what}", by=by, because=f"{error} {repair.why}")
    ctx.log(f"{error}")
    ctx.log(f"repair {len(attempt.repairs) + 1} of at most {MOST_REPAIRS}: {repair.what} {repair.why}")
    ctx.log(f"  before: {repair.before}; now: {repair.after}")
    return replace(
        attempt,
        params=type(attempt.params).model_validate(attempt.params.model_dump() | repair.params),
        limits=replace(
            attempt.limits,
            wall_s=repair.limits.get("wall_s", attempt.limits.wall_s),
            memory_mb=int(repair.limits.get("memory_mb", attempt.limits.memory_mb)),
        ),
        repairs=[*attempt.repairs, repair],
    )


async def _give_up(ctx: JobContext, attempt: Attempt[P], error: AppError, offers: list[Repair]) -> None:
    """Say in the error and in the kept record what was tried, and what could be tried with a yes."""
    made = [_told(repair) for repair in attempt.repairs]
    if made:
        error.facts["repairs"] = made
        error.hint = f"{error.hint} Tried before: {' '.join(one.what for one in attempt.repairs)}"
    if offers:
        error.facts["offers"] = [_told(repair) for repair in offers]
    if record := error.facts.get("record"):
        await ctx.io(add_diagnosis, Path(str(record)), error, made)


def _told(repair: Repair) -> dict[str, Any]:
    """A repair as told to a person: without what it sets, which may be a whole script."""
    return repair.model_dump(mode="json", exclude={"params", "limits"})


def _is_limit_chosen(ctx: JobContext) -> bool:
    """Whether somebody set the limits of a run, so that they are not ours to raise."""
    settings, own = ctx.settings("omics"), OmicsSettings.model_validate({})
    return (settings.run_timeout_s, settings.run_memory_mb) != (own.run_timeout_s, own.run_memory_mb)


def _free_memory_mb() -> int:
    import psutil

    return int(psutil.virtual_memory().available // 2**20)
