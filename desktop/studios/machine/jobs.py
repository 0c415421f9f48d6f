"""Build the image scripts run in; try on this machine what must not work. A front end starts them as jobs."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from desktop.core.ports import IsolationWish, JobContext, ProofStep

_STEPS_ABOUT = 45  # how many a proof has, for its progress alone


class BuildImageParams(BaseModel):
    """`base`: an image to build on, where no registry can be reached; empty is the official Python."""

    model_config = ConfigDict(extra="forbid")

    base: str = ""


class BuiltImage(BaseModel):
    """The id the engine gave it."""

    image_id: str


class TestIsolationParams(BaseModel):
    """Which isolation to try."""

    __test__ = False
    model_config = ConfigDict(extra="forbid")

    isolation: IsolationWish = "auto"


class TriedStep(BaseModel):
    """One thing that must not have worked, and whether it was held."""

    name: str
    passed: bool
    detail: str = ""


class IsolationProof(BaseModel):
    """Where the proof ran and what it found."""

    isolation: str
    steps: list[TriedStep]


async def run_build_image(ctx: JobContext, params: BuildImageParams) -> BuiltImage:
    """Build the image. Raises NoSandboxError, RunFailedError."""
    with ctx.step("Building", upto=1.0):
        return BuiltImage(image_id=await ctx.sandbox.build_image(base=params.base, on_line=ctx.log))


async def run_test_isolation(ctx: JobContext, params: TestIsolationParams) -> IsolationProof:
    """Run every probe. One that was not held is in the result and a warning, not an error. Raises NoSandboxError."""
    found: list[ProofStep] = []

    def on_step(step: ProofStep) -> None:
        found.append(step)
        ctx.log(f"{'held' if step.passed else 'NOT HELD'}: {step.name}{f' ({step.detail})' if step.detail else ''}")
        ctx.progress(min(0.99, len(found) / _STEPS_ABOUT), step.name)

    with ctx.step("Trying what must not work", upto=1.0):
        choice, steps = await ctx.sandbox.self_test(params.isolation, on_step=on_step)
    open_ones = [step.name for step in steps if not step.passed]
    if open_ones:
        ctx.warn(f"Not held: {', '.join(open_ones)}.")
    return IsolationProof(
        isolation=choice.detail,
        steps=[TriedStep(name=step.name, passed=step.passed, detail=step.detail) for step in steps],
    )
