"""Small real jobs for the tests of the window: one counts, one fails, one waits, one floods."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel, ConfigDict

from desktop.core.errors import InputError
from desktop.core.jobs import Job, Studio
from desktop.core.ports import JobContext

_HERE = "tests.ui.quick_jobs"


class CountParams(BaseModel):
    model_config = ConfigDict(extra="forbid")

    upto: int = 3
    pause_s: float = 0.0


class CountResult(BaseModel):
    counted: int


class BadCountError(InputError):
    code = "quick.bad_count"


async def run_count(ctx: JobContext, params: CountParams) -> CountResult:
    """Count, with a step, progress and a log line each."""
    with ctx.step("Counting", upto=1.0):
        for n in range(params.upto):
            ctx.log(f"line {n}")
            ctx.progress((n + 1) / params.upto)
            await asyncio.sleep(params.pause_s)
    return CountResult(counted=params.upto)


async def run_fail(ctx: JobContext, params: CountParams) -> CountResult:
    """Fail as expected."""
    raise BadCountError("The count cannot be made.", hint="Count something else.")


QUICK_STUDIO = Studio(
    key="quick",
    title="Quick",
    settings="desktop.studios.omics.config:OmicsSettings",
    migrations="",
    jobs=(
        Job("quick.count", f"{_HERE}:run_count", f"{_HERE}:CountParams", "io", "Count", resumable=True),
        Job("quick.fail", f"{_HERE}:run_fail", f"{_HERE}:CountParams", "io", "Fail"),
        Job("quick.hold", f"{_HERE}:run_count", f"{_HERE}:CountParams", "io", "Hold"),
    ),
)
