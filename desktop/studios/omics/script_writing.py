"""Scripts that a model writes: written and run as a job, or drafted for a person who runs them.

A script that is refused or fails goes back to the model with the reason: three scripts in all, each kept; the same
script or the same failure twice ends it sooner. Policy and sandbox stand before every one, and no limit is raised for
one. Neither task leaves this machine.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from desktop.core.errors import InputError, RunFailedError
from desktop.core.models import Answer, Message, Prompt
from desktop.core.ports import JobContext
from desktop.studios.omics import script_run_parts
from desktop.studios.omics.errors import ScriptRefusedError
from desktop.studios.omics.running import inspected
from desktop.studios.omics.schema import (
    DraftParams,
    Inspection,
    Repair,
    ScriptDraft,
    ScriptParams,
    ScriptResult,
    ScriptTry,
    WriteScriptParams,
)
from desktop.studios.omics.script_run import run_script, stored_run
from desktop.studios.omics.steps import model_script

MOST_TRIES = 3


@dataclass(slots=True)
class _Writing:
    """A conversation about one script: what was written so far, and what to ask next."""

    prompt: Prompt
    tries: list[ScriptTry] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether another script is no use: three were written, or the last one or its failure was there before."""
        *earlier, last = self.tries
        is_old = any(one.script == last.script or one.problem == last.problem for one in earlier)
        return len(self.tries) >= MOST_TRIES or is_old

    def failed(self, script: str, model: str, error: InputError | RunFailedError) -> None:
        """Note a script that did not do, and ask for another."""
        found = error.facts.get("findings")
        findings = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        self.tries.append(ScriptTry(script=script, model=model, problem=str(error), findings=findings))
        again = (Message("assistant", script), Message("user", model_script.problem_of(error)))
        warmer = 0.3 * len(self.tries)  # the likeliest script again would fail again
        messages = (*self.prompt.messages[:2], *again)
        self.prompt = replace(self.prompt, messages=messages, temperature=warmer, seed=len(self.tries))

    def repairs(self) -> list[Repair]:
        """What the model wrote anew, as reports tell repairs."""
        return [
            Repair(
                code=f"write_again:{number}",
                what=f"{one.model} wrote the script again.",
                why=one.problem,
                before=f"script {_sha256(one.script)[:12]}",
                after=f"try {number + 1}",
            )
            for number, one in enumerate(self.tries, start=1)
        ]


async def run_write_script(ctx: JobContext, params: WriteScriptParams) -> ScriptResult:
    """Have a model write a script that answers the question, and run it; a failure goes back to it, twice at most.

    raises   NoModelError and its kinds; the last try's own error (facts: `tries`)
    """
    with ctx.step("Read the data", upto=0.05):
        inspection = await inspected(ctx, params.data, params.samples, allow_net=params.allow_net)
        if params.sample_table is not None:
            inspection = inspection.model_copy(update={"samples": params.sample_table})
    writing = _Writing(model_script.script_prompt(params.question, inspection))
    while True:
        with ctx.step(f"Write the script, try {len(writing.tries) + 1}", upto=0.1 + 0.05 * len(writing.tries)):
            script, answer = await _written(ctx, writing.prompt, params.question)
        try:
            done = await run_script(ctx, _as_script(params, script), made=writing.repairs())
        except (InputError, RunFailedError) as error:
            if not model_script.is_of_the_script(error):
                raise
            writing.failed(script, answer.model, error)
            record = Path(str(error.facts.get("record", "")))
            if error.facts.get("record"):
                error.facts["record"] = str(await ctx.io(_kept_as_try, record, len(writing.tries)))
            ctx.log(f"try {len(writing.tries)} of at most {MOST_TRIES}: {error}")
            if writing.is_over:
                error.facts["tries"] = [one.model_dump() for one in writing.tries]
                raise
        else:
            last = ScriptTry(script=script, model=answer.model)
            return done.model_copy(update={"tries": [*writing.tries, last]})


async def run_draft_script(ctx: JobContext, params: DraftParams) -> ScriptDraft:
    """Have a model write, change or mend a script until the policy lets it pass, three times at most. Runs nothing.

    raises   NoModelError and its kinds, and those of reading the data
    """
    with ctx.step("Read the data", upto=0.2):
        inspection = await _looked_at(ctx, params)
    asked = model_script.script_prompt(params.question, inspection)
    writing = _Writing(model_script.with_script(asked, params.script, params.problem))
    while True:
        n_before = len(writing.tries)
        with ctx.step(f"Write the script, try {n_before + 1}", upto=0.4 + 0.2 * n_before):
            script, answer = await _written(ctx, writing.prompt, params.question)
        verdict = await ctx.cpu(ctx.sandbox.check, script.encode())
        if verdict.allowed:
            return ScriptDraft(tries=[*writing.tries, ScriptTry(script=script, model=answer.model)])
        findings = [asdict(one) for one in verdict.findings]
        said = "; ".join(f"line {one.line}: {one.message.rstrip('.')}" for one in verdict.findings[:3])
        error = ScriptRefusedError(
            f"The policy check refused the script: {said}.", hint=verdict.findings[0].remedy, findings=findings
        )
        writing.failed(script, answer.model, error)
        ctx.log(f"try {len(writing.tries)} of at most {MOST_TRIES}: {error}")
        if writing.is_over:
            return ScriptDraft(tries=writing.tries)


async def _written(ctx: JobContext, prompt: Prompt, question: str) -> tuple[str, Answer]:
    """One script and who wrote it, on record."""
    answer = await ctx.models.generate(prompt)
    script = model_script.script_in(answer.text)
    inputs = {"prompt": prompt.digest(), "script": _sha256(script)}
    await ctx.decide("wrote a script", by=f"model:{answer.model}", because=question, inputs=inputs)
    return script, answer


async def _looked_at(ctx: JobContext, params: DraftParams) -> Inspection:
    """What is known of the data, a finished run's included."""
    stored = await ctx.io(stored_run, ctx, params.data)
    if stored is not None:
        return await ctx.io(script_run_parts.inspect_inputs, stored)
    found = await inspected(ctx, params.data, params.samples, allow_net=params.allow_net)
    return found.model_copy(update={"samples": params.sample_table or found.samples})


def _as_script(params: WriteScriptParams, script: str) -> ScriptParams:
    given = params.model_dump(exclude={"question"})
    return ScriptParams.model_validate({**given, "script": script, "question": params.question, "origin": "model"})


def _kept_as_try(record: Path, number: int) -> Path:
    """Set a failed try's record aside, so that the next one's does not replace it."""
    kept = record.with_name(f"{record.name}-try{number}")
    if record.is_dir() and not kept.exists():
        record.rename(kept)
        return kept
    return record


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
