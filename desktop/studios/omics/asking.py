"""What an analysis asks of language models: to read a sentence, to put a run into words.

Every answer is checked by rules before anything is done with it, and neither task leaves this machine. Without a model
nothing here happens, and everything else works. What is asked and what of an answer is taken is in
`steps/model_plan.py` and `report_told.py`; scripts that a model writes are `script_writing.py`'s.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

from desktop.core.errors import AppError, InputError
from desktop.core.models import Message
from desktop.core.ports import JobContext
from desktop.studios.omics import run_parts
from desktop.studios.omics.errors import UnclearQuestionError, UnknownFactorError
from desktop.studios.omics.run_folder import RunFolder
from desktop.studios.omics.schema import AnalysisParams, Inspection, Plan, QuestionParams
from desktop.studios.omics.steps import model_plan

_MOST_READINGS = 2  # beside the second chance the gateway gives an answer of the wrong form


async def run_plan_question(ctx: JobContext, params: QuestionParams) -> Plan:
    """The plan of a sentence: by the rules, else by a model, which a person then looks over. Runs nothing.

    raises   the rules' own error where no model helps
    """
    given = AnalysisParams(data=params.inspection.source, question=params.question)
    with ctx.step("Read the sentence", upto=0.2):
        try:
            return await ctx.cpu(run_parts.plan_for, given, params.inspection)
        except (UnclearQuestionError, UnknownFactorError) as error:
            unclear = error
    with ctx.step("Ask the model", upto=1.0):
        return await plan_by_model(ctx, given, params.inspection, unclear)


async def plan_by_model(ctx: JobContext, params: AnalysisParams, inspection: Inspection, unclear: InputError) -> Plan:
    """The plan a model reads where the rules could not; its caution stops the run until a person answers it.

    raises   `unclear` itself when there is no model, when the comparison was given and is no matter of reading, or when
             none of its readings can be run (facts: `model`, what it read and why not)
    """
    is_given = params.plan is not None or params.contrast is not None
    if is_given or not params.question.strip() or not ctx.models.has_model(model_plan.TASK):
        raise unclear
    try:
        return await _read(ctx, params, inspection, str(unclear))
    except AppError as error:
        ctx.log(f"no model read the sentence: {error}")
        unclear.facts["model"] = str(error)
        unclear.hint = f"{unclear.hint} A model was asked, too, in vain: {error}"
        raise unclear from error


async def _read(ctx: JobContext, params: AnalysisParams, inspection: Inspection, why: str) -> Plan:
    """A reading that can be run; one that cannot goes back to the model with the reason, once."""
    question, samples, design = params.question, inspection.samples, params.design or ""

    def problem(value: Any) -> str | None:
        try:
            model_plan.read_answer(value, question, samples, model="", why="", design=design)
        except UnclearQuestionError as error:
            return str(error.facts.get("reason", error))
        return None

    prompt = replace(model_plan.plan_prompt(question, samples), check=problem)
    before = ""
    for left in reversed(range(_MOST_READINGS)):
        answer = await ctx.models.generate(prompt)
        by, inputs = f"model:{answer.model}", {"prompt": prompt.digest(), "answer": _sha256(answer.text)}
        plan = model_plan.read_answer(
            answer.value, question, samples, model=answer.model, why=why + before, design=design
        )
        try:
            checked = await ctx.cpu(run_parts.plan_for, params.model_copy(update={"plan": plan}), inspection)
        except AppError as error:
            said = f"{plan.contrast}, design {plan.design}"
            await ctx.decide(f"refused a reading: {said}", by="rule:plan", because=f"{by}: {error}", inputs=inputs)
            ctx.log(f"{answer.model} read the sentence as {said}, which cannot be run: {error}")
            if not left:
                raise
            before = f"; a first reading as {said} could not be run: {error}"
            again = (Message("assistant", answer.text), Message("user", model_plan.problem_of(error)))
            prompt = replace(prompt, messages=(*prompt.messages, *again))
        else:
            said = f"{checked.contrast}, design {checked.design}"
            await ctx.decide(f"read the sentence as {said}", by=by, because=question, inputs=inputs)
            return checked
    raise AssertionError("the last reading is taken or raises")


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
    manifest, n_struck = await ctx.cpu(run_parts.add_words, folder.finished, told)
    await ctx.decide(
        "put the results into words",
        by=f"model:{answer.model}",
        because=f"its numbers are held to the results; struck: {n_struck}",
        inputs={"prompt": prompt.digest(), "answer": _sha256(json.dumps(told["sentences"]))},
    )
    return manifest


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
