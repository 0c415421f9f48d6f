"""Sentences that ask for any change across all levels of a factor: "over time", "across the conditions".

Answers with the comparison to report (last level over first), and with the design without the factor, which a
likelihood-ratio test is made against. A sentence that names levels of the factor asks for those and is none of this.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from desktop.studios.omics.errors import UnclearQuestionError
from desktop.studios.omics.schema import Contrast, DesignProposal, Reason, SampleTable
from desktop.studios.omics.steps.direction import Comparison
from desktop.studios.omics.steps.factors import Factor, control_level
from desktop.studios.omics.steps.formula import Formula, parse_formula
from desktop.studios.omics.steps.mentions import Mention

_GROUPS = r"(?:conditions?|groups?|levels?|treatments?|genotypes?|stages?|doses?|concentrations?|tissues?|strains?)"
_TIME = r"(?:time(?:[ -]?(?:points?|courses?|series))?)"
_ACROSS = re.compile(
    rf"\b(?:across|throughout|among|amongst|between any(?: two)?(?: of)?|in any(?: of)?|at any(?: of)?|along|over"
    rf"|with(?=[\w\s]{{0,20}}\b(?:doses?|concentrations?|stages?|levels?|time)\b))"
    rf"\s+(?:all\s+|the\s+|these\s+|those\s+|three\s+|four\s+|five\s+|different\s+|several\s+)*+(?P<what>{_GROUPS}|{_TIME})\b"
    rf"|\b(?P<course>time[ -](?:course|series))\b|\b(?:anova|likelihood[- ]ratio|lrt|f[- ]test)\b",
    re.IGNORECASE,
)
_TIME_NAME = re.compile(
    r"(^|_)(time|hours?|days?|weeks?|minutes?|age|stage|tp|timepoint|hpi|dpi|hpf|dpf)(_|$)", re.IGNORECASE
)
_UNITS = {"s": 1 / 60, "sec": 1 / 60, "m": 1.0, "min": 1.0, "h": 60.0, "hr": 60.0, "d": 1440.0, "day": 1440.0}
_UNITS |= {"hour": 60.0, "w": 10080.0, "wk": 10080.0, "week": 10080.0}


def find_across(
    question: str,
    samples: SampleTable,
    factors: dict[str, Factor],
    mentions: Sequence[Mention],
    proposal: DesignProposal,
) -> Comparison | None:
    """The comparison last over first of the factor across whose levels the sentence asks for changes; None if it does
    not, or if the factor has two levels only.

    raises   UnclearQuestionError (facts: choices) when the sentence asks for it and the table leaves the factor open
    """
    asked = _ACROSS.search(question)
    if asked is None:
        return None
    open_ones = {name: f for name, f in factors.items() if f.role not in ("constant", "identity", "technical")}
    named = [m.factor for m in mentions if m.level is None and m.factor in open_ones]
    is_time = bool(re.match(_TIME, asked["what"] or asked["course"] or "", re.IGNORECASE))
    timed = [name for name in open_ones if is_time_name(name)] if is_time else []
    likely = [*timed, *named, *([] if is_time or proposal.groups is None else [proposal.groups])]
    factor = next((name for name in likely if name in open_ones), None)
    if factor is None and is_time:
        raise UnclearQuestionError(
            "The sentence asks for changes over time, and no column of the table of samples is one of times.",
            hint="Say which factor holds the times, or name the groups to compare.",
            choices=list(open_ones),
        )
    if factor is None or len(samples.levels(factor)) < 3:
        return None
    if any(m.level is not None and m.factor == factor for m in mentions):
        return None
    others: dict[str, list[str]] = {}
    for mention in mentions:
        if (
            mention.level is not None
            and mention.factor in open_ones
            and mention.level not in others.get(mention.factor, [])
        ):
            others.setdefault(mention.factor, []).append(mention.level)
    if any(len(levels) > 1 for levels in others.values()):
        return None
    levels = in_order(list(samples.levels(factor)))
    first, last = levels[0], levels[-1]
    reasons = [
        Reason(
            about="contrast",
            text=(
                f"The sentence asks for any change across the {len(levels)} levels of {factor}: all of them are tested "
                f"together (likelihood-ratio or F test). The fold change that is reported is {last} over {first}."
            ),
            by="rule:across",
        )
    ]
    for name, kept in others.items():
        text = f"The sentence asks about {name} {kept[0]}, so only those samples are used."
        reasons.append(Reason(about="subset", text=text, by="rule:subset"))
    return Comparison(Contrast(factor=factor, treated=last, control=first), others, reasons, is_whole=True)


def is_time_name(name: str) -> bool:
    """Whether a factor's name is one of times."""
    return _TIME_NAME.search(name) is not None


def in_order(levels: Sequence[str]) -> list[str]:
    """Levels by the one number (and unit of time) in them when each has one, else as given; the control first."""
    parsed = [re.fullmatch(r"[^\d]*?(\d+(?:\.\d+)?)[ _-]?([a-zA-Z]*)", level.strip()) for level in levels]
    ordered = list(levels)
    if all(match is not None for match in parsed):
        size = {
            level: float(match[1]) * _UNITS.get(match[2].lower().rstrip("s") or match[2].lower(), 1.0)
            for level, match in zip(levels, parsed, strict=True)
            if match is not None
        }
        ordered.sort(key=size.__getitem__)
    control = control_level(levels)
    return [control, *(level for level in ordered if level != control)] if control is not None else ordered


def without_factor(design: str, factor: str, samples: SampleTable) -> str:
    """The design without a factor and its products: "~ batch + time" without time is "~ batch"."""
    formula = parse_formula(design, samples)
    kept = tuple(term for term in formula.terms if factor not in term)
    return str(Formula(kept, formula.wrapped, formula.has_intercept or not kept))


def without_product(design: str, names: Sequence[str], samples: SampleTable) -> str:
    """The design without a product: "~ genotype + drug + genotype:drug" is "~ genotype + drug"."""
    formula = parse_formula(design, samples)
    kept = tuple(term for term in formula.terms if set(term) != set(names))
    if not {name for name in names if any(name in term for term in kept)} >= set(names):
        raise UnclearQuestionError(
            f"The design {design} holds {' and '.join(names)} only together.",
            hint="Name two levels of each factor.",
        )
    return str(Formula(kept, formula.wrapped, formula.has_intercept or not kept))
