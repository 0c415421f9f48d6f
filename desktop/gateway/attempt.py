"""One prompt at one model: ask, check the answer, have it repaired once; and what becomes of it as an answer."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from desktop.core.errors import AppError
from desktop.core.models import Answer, Message, Prompt, Usage
from desktop.core.resilience import BreakerOpenError
from desktop.engines.engine import Call
from desktop.engines.errors import InvalidAnswerError
from desktop.engines.rules import Rules
from desktop.engines.schema import parse_answer
from desktop.engines.thinking import without_thoughts
from desktop.gateway.backend import Written
from desktop.gateway.roster import Candidate
from desktop.gateway.weight import TIERS, Decision

_FENCE = re.compile(r"\A\s*```[a-zA-Z]*\n(.*?)\n?```\s*\Z", re.DOTALL)
_MOST_WORDS = 600
Write = Callable[[Call], Awaitable[Written]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A checked answer: its text, its value where there is a schema, and what it took."""

    text: str
    value: Any
    written: Written
    attempts: int


@dataclass(frozen=True, slots=True)
class Failed:
    """A model that was asked in vain."""

    model: str
    error: AppError


async def ask(call: Call, prompt: Prompt, write: Write) -> Outcome:
    """The model's answer, or its second one when the first breaks the schema or the prompt's own check.

    raises   InvalidAnswerError (facts: `problem`, `attempts`) when both do, and what `write` raises
    """
    written = await write(call)
    try:
        return Outcome(*_checked(written, prompt), written, 1)
    except InvalidAnswerError as error:
        problem = str(error.facts.get("problem", error))
    again = replace(call, id=f"{call.id}r", messages=_with_problem(call, written.text, problem))
    repaired = await write(again)
    total = Usage(*(a + b for a, b in zip(_counts(written.usage), _counts(repaired.usage), strict=True)))
    try:
        return Outcome(*_checked(repaired, prompt), replace(repaired, usage=total), 2)
    except InvalidAnswerError as error:
        error.facts["attempts"] = 2
        raise


def to_answer(decision: Decision, candidate: Candidate, outcome: Outcome, failed: Sequence[Failed]) -> Answer:
    """What the studio gets."""
    written, backend = outcome.written, candidate.backend
    is_less = TIERS.index(candidate.tier) < TIERS.index(decision.tier)
    reason = str(failed[0].error) if failed else "no larger model is there"
    return Answer(
        outcome.text,
        backend.id,
        backend.engine,
        candidate.tier,
        written.finish,
        outcome.value,
        written.enforced,
        written.usage,
        written.timing,
        outcome.attempts + sum(map(_attempts, failed)),
        degraded=f"answered by a {candidate.tier} model instead of a {decision.tier} one: {reason}" if is_less else "",
        why=(*decision.why, *(f"{one.model}: {one.error}" for one in failed), f"answered by {backend.id}"),
    )


def rule_answer(rules: Rules, prompt: Prompt, decision: Decision, failed: Sequence[Failed]) -> Answer:
    """The rule's answer, checked like a model's. Raises the rule's own AppErrors, and InvalidAnswerError."""
    said = rules.answer(prompt)
    text = said if isinstance(said, str) and prompt.schema is None else json.dumps(said, ensure_ascii=False)
    value = None if prompt.schema is None else parse_answer(text, prompt.schema)
    if prompt.check is not None and (problem := prompt.check(text if prompt.schema is None else value)):
        raise _invalid(problem)
    reason = str(failed[-1].error) if failed else "there is no model"
    return Answer(
        text,
        "rules",
        "rules",
        decision.tier,
        value=value,
        attempts=1 + sum(map(_attempts, failed)),
        degraded=f"answered by a rule: {reason}",
        why=(*decision.why, *(f"{one.model}: {one.error}" for one in failed), "answered by the task's rule"),
    )


def _attempts(one: Failed) -> int:
    attempts = one.error.facts.get("attempts", 1)
    return 0 if isinstance(one.error, BreakerOpenError) else int(str(attempts))


def _checked(written: Written, prompt: Prompt) -> tuple[str, Any]:
    """Text and value. Raises InvalidAnswerError."""
    text, value = written.text, None
    if prompt.schema is not None:
        text = without_thoughts(text).strip()
        if fenced := _FENCE.match(text):
            text = fenced.group(1)
        if written.finish == "length":
            raise _invalid(f"it was cut off after {prompt.max_tokens} tokens; answer more briefly")
        value = parse_answer(text, prompt.schema)
    if prompt.check is not None and (problem := prompt.check(text if prompt.schema is None else value)):
        raise _invalid(problem)
    return text, value


def _invalid(problem: str) -> InvalidAnswerError:
    return InvalidAnswerError(
        f"The model's answer cannot be used: {problem}.", hint="Try again, or choose a larger model.", problem=problem
    )


def _with_problem(call: Call, text: str, problem: str) -> tuple[Message, ...]:
    shape = "the corrected JSON and nothing else" if call.schema is not None else "the corrected text and nothing else"
    said = f"This answer cannot be used: {problem[:_MOST_WORDS]}\nAnswer again with {shape}."
    return (*call.messages, Message("assistant", text or "(nothing)"), Message("user", said))


def _counts(usage: Usage) -> tuple[int, int, int]:
    return usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens
