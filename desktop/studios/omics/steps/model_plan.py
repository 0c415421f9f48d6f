"""A sentence the rules cannot read, put to a language model: what it is asked, and a plan from what it answers.

The schema names nothing that is not in the sample table, so an enforced answer cannot either; the answer is checked
all the same. What comes out is a proposal: its plan carries a caution that a person has to accept. Which model, and
whether there is one, is not known here.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from desktop.core.errors import AppError
from desktop.core.models import Message, Prompt, Task
from desktop.core.paths import resources_dir
from desktop.studios.omics.errors import UnclearQuestionError
from desktop.studios.omics.schema import Caution, Contrast, Plan, Reason, SampleTable
from desktop.studios.omics.steps.prompt_text import LONGEST_QUESTION, in_prompt

TASK = Task(kind="omics.read_question", is_private=True)
CODE = "omics.read_by_model"  # with a mark of the reading behind it: who accepts one has not accepted another
_MOST_LEVELS = 40  # a column with more names samples, not groups
_MOST_FACTORS = 30
_LONGEST_LEVEL = 200  # characters; a column with longer ones holds prose
_OVER = (
    r"(?:vs\.?|versus|over|against|minus|than|relative to|compared (?:to|with|against)|in comparison (?:to|with)"
    r"|with respect to)"
)


class _Comparison(BaseModel):
    model_config = ConfigDict(extra="forbid")
    factor: str
    treated: str
    control: str


class _Level(BaseModel):
    model_config = ConfigDict(extra="forbid")
    factor: str
    level: str


class _Reading(BaseModel):
    model_config = ConfigDict(extra="forbid")
    comparison: _Comparison
    adjust_for: list[str] = Field(default_factory=list)
    only: list[_Level] = Field(default_factory=list)


def plan_prompt(question: str, samples: SampleTable) -> Prompt:
    """What a model is asked. Raises UnclearQuestionError where no factor has levels to compare."""
    factors = comparable_factors(samples)
    if not factors:
        raise UnclearQuestionError(
            "No column of the sample table has groups to compare.", hint="Add a column that says each sample's group."
        )
    listed = "\n".join(
        f"- {in_prompt(name)}: " + ", ".join(f"{in_prompt(level)} ({n})" for level, n in levels.items())
        for name, levels in factors.items()
    )
    words = _words()
    messages = (
        Message("system", words["system"]),
        Message("user", words["user"].format(question=in_prompt(question, LONGEST_QUESTION), factors=listed)),
    )
    return Prompt(messages, TASK, schema=reading_schema(factors), max_tokens=300)


def comparable_factors(samples: SampleTable) -> dict[str, dict[str, int]]:
    """Factors with 2 to 40 levels, at least one of them held by two samples: factor → level → number of samples."""
    found = {name: samples.levels(name) for name in samples.factors if "`" not in name}
    kept = {
        name: levels
        for name, levels in found.items()
        if 2 <= len(levels) <= _MOST_LEVELS
        and max(levels.values()) > 1
        and max(map(len, (name, *levels))) <= _LONGEST_LEVEL
    }
    return dict(list(kept.items())[:_MOST_FACTORS])


def reading_schema(factors: dict[str, dict[str, int]]) -> dict[str, Any]:
    """The JSON Schema of an answer: one branch a factor, with this factor's own levels."""

    def branch(factor: str, **levels: list[str]) -> dict[str, Any]:
        properties: dict[str, Any] = {"factor": {"type": "string", "enum": [factor]}}
        properties |= {name: {"type": "string", "enum": given} for name, given in levels.items()}
        return _closed(properties)

    every = {name: list(levels) for name, levels in factors.items()}
    return _closed(
        {
            "comparison": {"anyOf": [branch(n, treated=levels, control=levels) for n, levels in every.items()]},
            "adjust_for": {"type": "array", "maxItems": 3, "items": {"type": "string", "enum": list(every)}},
            "only": {
                "type": "array",
                "maxItems": 3,
                "items": {"anyOf": [branch(n, level=levels) for n, levels in every.items()]},
            },
        }
    )


def read_answer(value: Any, question: str, samples: SampleTable, *, model: str, why: str, design: str = "") -> Plan:
    """The plan an answer means, with a blocking caution for the person.

    why      what the rules said when they could not read the sentence
    design   one that was given: it stands, and what the answer allows for does not count
    raises   UnclearQuestionError: it is no reading, compares a level with itself, names what is not in the table, or
             turns a comparison round that the sentence states
    """
    try:
        reading = _Reading.model_validate(value)
    except ValidationError as error:
        raise _refused(f"it is not of the form asked for ({error.error_count()} faults)") from error
    compared = reading.comparison
    _known(samples, compared.factor, compared.treated, compared.control)
    if compared.treated == compared.control:
        raise _refused(f"it compares {compared.treated!r} with itself")
    if is_turned_round(question, compared.treated, compared.control):
        raise _refused(f"the sentence compares {compared.control!r} with {compared.treated!r}, and it turns that round")
    keep: dict[str, list[str]] = {}
    for one in reading.only:
        _known(samples, one.factor, one.level)
        if one.factor != compared.factor:
            keep.setdefault(one.factor, []).append(one.level)
    adjust = [name for name in dict.fromkeys(reading.adjust_for) if name != compared.factor]
    for name in adjust:
        _known(samples, name)
    from desktop.studios.omics.steps.repairs.likeness import quoted

    contrast = Contrast(factor=compared.factor, treated=compared.treated, control=compared.control)
    terms = [quoted(name) for name in (*adjust, compared.factor)]
    inside = "".join(f", in samples with {name} {' or '.join(levels)}" for name, levels in keep.items())
    beside = f", allowing for {' and '.join(adjust)}" if adjust else ""
    beside = f" with the design {design}" if design else beside
    said = f"{contrast.treated} over {contrast.control} in {contrast.factor}{beside}{inside}"
    mark = hashlib.sha256(said.encode()).hexdigest()[:6]
    doubt = f"The rules could not read the sentence ({why.rstrip('.')}). The model {model} reads it as {said}."
    parts = ("contrast", *(() if design else ("design",)), *(("subset",) if keep else ()))
    return Plan.model_validate(
        {
            "question": question,
            "design": design or f"~ {' + '.join(terms)}",
            "contrast": contrast,
            "keep": keep,
            "reasons": [Reason(about=a, text=f"Proposed by the model {model}.", by=f"model:{model}") for a in parts],
            "warnings": [Caution(code=f"{CODE}:{mark}", text=f"{doubt} Is that what is meant?", blocks=True)],
        }
    )


def is_turned_round(question: str, treated: str, control: str) -> bool:
    """Whether the sentence states "CONTROL versus TREATED" or "from TREATED to CONTROL", and not the other way too."""
    return _states(question, control, treated) and not _states(question, treated, control)


def problem_of(error: AppError) -> str:
    """What the model is told of a reading that cannot be run."""
    return f"This reading cannot be run: {error} {error.hint} Answer with a JSON object for a comparison that can be."


def reader_of(plan: Plan) -> str:
    """Who read the sentence: "model:…" where a part of the plan is still a model's, else ""."""
    return next((reason.by for reason in plan.reasons if reason.by.startswith("model:")), "")


def _states(question: str, first: str, second: str) -> bool:
    """Whether a sentence puts the first level over the second one."""
    one, other = (rf"(?<!\w){re.escape(level)}(?!\w)" for level in (first, second))
    filler = r"(?:\s+[\w-]+){0,3}?"
    over = rf"{one}{filler}\s+{_OVER}{filler}\s+{other}|\bfrom{filler}\s+{other}{filler}\s+to{filler}\s+{one}"
    return re.search(over, re.sub(r"\s+", " ", question), re.IGNORECASE) is not None


def _known(samples: SampleTable, factor: str, *levels: str) -> None:
    if factor not in samples.factors:
        raise _refused(f"it names a factor {factor!r} that is not in the table of samples")
    for level in levels:
        if level not in samples.levels(factor):
            raise _refused(f"it names {level!r}, which is no level of {factor}")


def _refused(why: str) -> UnclearQuestionError:
    return UnclearQuestionError(
        f"A model's reading of the sentence was not taken: {why}.",
        hint="Name the factor and its two levels in the sentence, such as: treated versus control.",
        reason=why,
    )


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


@lru_cache(maxsize=1)
def _words() -> dict[str, str]:
    path = resources_dir() / "prompts" / "omics" / "read_question.yaml"
    words: dict[str, str] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return words
