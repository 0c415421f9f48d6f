"""Ranges of a measurement that a sentence restricts the samples to: "older than 50", "BMI above 30", "age <= 40".

Answers with the values kept. Thresholds of the test ("fold change above 2", "FDR < 0.05") are none of this.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from desktop.studios.omics.errors import OneGroupError, UnclearQuestionError
from desktop.studios.omics.schema import SampleTable
from desktop.studios.omics.steps import factors as facts
from desktop.studios.omics.steps.design_matrix import to_number
from desktop.studios.omics.steps.mentions import Mention
from desktop.studios.omics.steps.vocabulary import vocabulary, words

_NUMBER = r"(?P<number>\d+(?:\.\d+)?)(?!\s*-?\s*fold)(?![\w.]*\d)"
_SIGNS: dict[str, Callable[[float, float], bool]] = {">": operator.gt, "<": operator.lt, "≥": operator.ge}
_SIGNS |= {"≤": operator.le, ">=": operator.ge, "<=": operator.le}
_WORDS = {
    ">": r"above|over|older than|greater than|more than|larger than|higher than|exceeding",
    "<": r"below|under|younger than|less than|smaller than|lower than|fewer than",
    "≥": r"at least|no less than|not below",
    "≤": r"at most|up to|no more than|not above",
}
_COMPARES = "|".join([r"[<>]=?|[≤≥]", *_WORDS.values()])
_AFTER_NAME = re.compile(rf"\s*(?:is|was|of|being|values?)?\s*(?P<how>{_COMPARES})\s*{_NUMBER}", re.IGNORECASE)
_BEFORE_NAME = re.compile(rf"\b(?P<how>{_COMPARES})\s*{_NUMBER}\s*$", re.IGNORECASE)
_OF_AGE = re.compile(
    rf"\b(?P<how>older than|younger than)\s+{_NUMBER}|\b(?:patients|donors|subjects|women|men|people|individuals"
    rf"|participants|volunteers|aged)\s+(?:aged\s+)?"
    rf"(?P<how2>over|above|under|below)\s+(?:the age of\s+)?(?P<number2>\d+)\b"
    rf"|\b(?:in|among)\s+(?:the\s+)?(?P<how3>over|under)[- ]?(?P<number3>\d+)s\b",
    re.IGNORECASE,
)
_OF_TIME = re.compile(rf"\b(?P<how>{_COMPARES})\s*{_NUMBER}\s*(?P<unit>[a-zA-Z]+)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Range:
    """Where the sentence says it, the factor, the values kept."""

    start: int
    end: int
    factor: str
    kept: list[str]


def find_ranges(question: str, samples: SampleTable, mentions: Sequence[Mention]) -> list[Range]:
    """The ranges a sentence names.

    raises   UnclearQuestionError (facts: choices) if it speaks of an age and no column is one; OneGroupError if a range
             keeps no sample
    """
    found: list[Range] = []
    for name, values in samples.factors.items():
        if not facts.is_measured(values) or len(set(values)) < 2:
            continue
        places = [(m.start, m.end) for m in mentions if m.factor == name and m.level is None]
        said = r"[\s_-]*".join(map(re.escape, re.findall(r"[^\W_]+", name)))
        places += [match.span() for match in re.finditer(rf"(?<!\w){said}(?!\w)", question, re.IGNORECASE)]
        for start, end in dict.fromkeys(places):
            after, before = _AFTER_NAME.match(question, end), _BEFORE_NAME.search(question[:start])
            if (match := after or before) and not any(one.start <= start < one.end for one in found):
                span = (start, after.end()) if after else (match.start(), end)
                found.append(_range(samples, name, match["how"], float(match["number"]), *span))
    for match in _OF_TIME.finditer(question):
        if any(one.start < match.end() and match.start() < one.end for one in found):
            continue
        unit = vocabulary().time_units.get(match["unit"].lower())
        timed = [name for name, values in samples.factors.items() if unit and _unit_of_time(name, values) == unit]
        if len(timed) == 1 and not re.search(r"\b(?:older|younger) than\s*$", match["how"], re.IGNORECASE):
            start, end = match.span()
            found.append(_range(samples, timed[0], match["how"], float(match["number"]), start, end))
    for match in _OF_AGE.finditer(question):
        if any(one.start < match.end() and match.start() < one.end for one in found):
            continue
        ages = [name for name, values in samples.factors.items() if "age" in words(name) and facts.is_measured(values)]
        if len(ages) != 1:
            raise UnclearQuestionError(
                f"The sentence asks for samples {match.group(0)!r}, and the table of samples has no column of ages.",
                hint="Leave the samples out in the table of samples, or add a column with the ages.",
                choices=list(samples.factors),
            )
        how = match["how"] or match["how2"] or match["how3"]
        number = float(match["number"] or match["number2"] or match["number3"])
        found.append(_range(samples, ages[0], how, number, match.start(), match.end()))
    return found


def _unit_of_time(factor: str, values: Sequence[str]) -> str | None:
    """The unit of a measurement of times, by its values or its name."""
    if not facts.is_measured(values) or len(set(values)) < 2:
        return None
    known = vocabulary().time_units
    named = [known[part] for part in (facts.unit_of(values) or "", *words(factor)) if part in known]
    return named[0] if named else None


def _range(samples: SampleTable, factor: str, how: str, limit: float, start: int, end: int) -> Range:
    sign = next((sign for sign, said in _WORDS.items() if re.fullmatch(said, how, re.IGNORECASE)), how)
    kept = [value for value in samples.levels(factor) if _SIGNS[sign](to_number(value), limit)]
    if not kept:
        raise OneGroupError(
            f"No sample has a {factor} of {how} {limit:g}.",
            hint=f"{factor} is: {', '.join(list(samples.levels(factor))[:12])}.",
            factor=factor,
        )
    return Range(start, end, factor, kept)
