"""What this studio asks of language models: to read a sentence, to put a run into words, to write a script.

Every answer is checked by rules before anything is done with it, and none of these tasks leaves this machine. Without a
model nothing here happens, and everything else works. What is asked and what of an answer is taken is in
`steps/model_plan.py`, `steps/model_script.py` and `report_told.py`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from desktop.core.errors import AppError, InputError, RunFailedError
from desktop.core.models import Message, Models
from desktop.core.ports import JobContext
from desktop.studios.omics import run_parts
from desktop.studios.omics.errors import UnclearQuestionError
from desktop.studios.omics.run_folder import RunFolder
from desktop.studios.omics.running import inspected
from desktop.studios.omics.schema import AnalysisParams, Inspection, Plan, ScriptParams, ScriptResult, WriteScriptParams
from desktop.studios.omics.script_run import run_script
from desktop.studios.omics.steps import model_plan, model_script

MOST_TRIES = 3


async def read_question(models: Models, question: str, inspection: Inspection) -> Plan:
    """The plan a model reads a sentence as, its caution still to be answered by a person.

    raises   UnclearQuestionError, and what `Models.generate` raises
    """
    samples = inspection.samples

    def problem(value: Any) -> str | None:
        try:
            model_plan.read_answer(value, question, samples, model="")
        except UnclearQuestionError as error:
            return str(error)
        return None

    answer = await models.generate(replace(model_plan.plan_prompt(question, samples), check=problem))
    return model_plan.read_answer(answer.value, question, samples, model=answer.model)


async def plan_by_model(ctx: JobContext, params: AnalysisParams, inspection: Inspection, unclear: InputError) -> Plan:
    """The plan a model reads where the rules could not; its caution stops the run until a person answers it.

    raises   `unclear` itself when there is no model, or none of its readings can be run
    """
    if params.plan is not None or not params.question.strip() or not ctx.models.has_model(model_plan.TASK):
        raise unclear
    try:
        plan = await read_question(ctx.models, params.question, inspection)
        return await ctx.cpu(run_parts.plan_for, params.model_copy(update={"plan": plan}), inspection)
    except AppError as error:
        ctx.log(f"no model read the sentence: {error}")
        raise unclear from error


async def tell_results(ctx: JobContext, folder: RunFolder, manifest: dict[str, Any]) -> dict[str, Any]:
    """Have a finished folder put into words where there is a model for it; the manifest, new if it was.

    A model that fails costs the words and nothing else: the log says why.
    """
    from desktop.studios.omics.report_told import TASK

    if not ctx.models.has_model(TASK):
        return manifest
    try:
        prompt = await ctx.cpu(run_parts.words_prompt, folder.finished)
        if prompt is None:
            return manifest
        answer = await ctx.models.generate(prompt)
    except AppError as error:
        ctx.log(f"no model put the results into words: {error}")
        return manifest
    told = {"model": answer.model, "sentences": list(answer.value["sentences"])}
    await ctx.decide(
        "put the results into words", by=f"model:{answer.model}", because="its numbers are held to the results"
    )
    return await ctx.cpu(run_parts.add_words, folder.finished, told)


async def run_write_script(ctx: JobContext, params: WriteScriptParams) -> ScriptResult:
    """Have a model write a script that answers the question, and run it; a failure goes back to it, twice at most.

    Every try goes through policy and sandbox like any script; each that failed is kept among the logs.

    raises   NoModelError and its kinds; the last try's own error (facts: `tries`)
    """
    with ctx.step("Read the data", upto=0.05):
        inspection = await inspected(ctx, params.data, params.samples, allow_net=params.allow_net)
        if params.sample_table is not None:
            inspection = inspection.model_copy(update={"samples": params.sample_table})
    prompt = model_script.script_prompt(params.question, inspection)
    tries: list[str] = []
    while True:
        with ctx.step(f"Write the script, try {len(tries) + 1}", upto=0.1 + 0.05 * len(tries)):
            answer = await ctx.models.generate(prompt)
        script = model_script.script_in(answer.text)
        await ctx.decide("wrote a script", by=f"model:{answer.model}", because=params.question)
        try:
            return await run_script(ctx, _as_script(params, script))
        except (InputError, RunFailedError) as error:
            tries.append(f"{error}")
            record = Path(str(error.facts.get("record", "")))
            if error.facts.get("record"):
                error.facts["record"] = str(await ctx.io(_kept_as_try, record, len(tries)))
            if len(tries) == MOST_TRIES or not model_script.is_of_the_script(error):
                error.facts["tries"] = tries
                raise
            ctx.log(f"try {len(tries)} of {MOST_TRIES}: {error}")
            said = model_script.problem_of(error)
            again = (Message("assistant", script), Message("user", said))
            warmer = 0.3 * len(tries)  # the likeliest script again would fail again
            prompt = replace(prompt, messages=(*prompt.messages[:2], *again), temperature=warmer, seed=len(tries))


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
