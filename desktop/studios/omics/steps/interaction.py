"""Whether a sentence asks how the effect of one factor differs between the levels of another, and of which."""

from __future__ import annotations

import re
from collections.abc import Sequence

from desktop.studios.omics.errors import UnclearQuestionError
from desktop.studios.omics.schema import Caution, Contrast, Reason, SampleTable
from desktop.studios.omics.steps import factors as facts
from desktop.studios.omics.steps.direction import Comparison, find_direction
from desktop.studios.omics.steps.factors import Factor, differing
from desktop.studios.omics.steps.mentions import Mention

_SURE = (
    r"\binteract|\b(effects?|respon\w+|changes?)\b.{0,80}\b(differs?|depends?|var(y|ies)|modif\w+)\b|\bdifferently\b"
)


def find_interaction(
    question: str,
    samples: SampleTable,
    factors: dict[str, Factor],
    mentions: Sequence[Mention],
) -> Comparison | None:
    """Whether one factor changes the effect of another: both factors, each with its reference level."""
    strong = [m for m in mentions if m.strength >= 1.0 and factors[m.factor].role not in ("constant",)]
    names = list(dict.fromkeys(m.factor for m in strong))
    if len(names) == 1 and re.search(
        r"\b(treatment|drug|compound|agent|stimul|genotype|strain|mutation)", question, re.IGNORECASE
    ):
        rest = [
            name
            for name, factor in factors.items()
            if factor.role in ("group", "sex")
            and name not in names
            and factor.same_as is None
            and facts.crosses(samples.factors[name], samples.factors[names[0]])
        ]
        names += rest[:1] if len(rest) == 1 else []
    if len(names) > 2:
        ranked = sorted(names, key=lambda name: -sum(m.strength for m in strong if m.factor == name))
        names = [name for name in names if name in ranked[:2]]
    if len(names) < 2:
        if re.search(_SURE, question, re.IGNORECASE):
            raise UnclearQuestionError(
                "The sentence asks how an effect differs between groups; name the two factors.",
                hint=f"Factors are: {', '.join(differing(factors))}.",
                choices=differing(factors),
            )
        return None
    effect, modifier = _effect_and_modifier(question, names, strong)
    if not facts.crosses(samples.factors[modifier], samples.factors[effect]):
        raise UnclearQuestionError(
            (
                f"{effect} does not differ within every level of {modifier}, so its effect cannot be compared "
                f"between them."
            ),
            hint="Both levels of the one factor are needed in both levels of the other.",
            choices=differing(factors),
        )
    reasons: list[Reason] = []
    cautions: list[Caution] = []
    sides = []
    for name in (modifier, effect):
        own = [m for m in strong if m.factor == name and m.level is not None]
        sides.append(find_direction(question, name, list(samples.levels(name)), _pairs_only(own), reasons, cautions))
    (treated_m, control_m), (treated_e, control_e) = sides
    reasons.append(
        Reason(
            about="contrast",
            text=f"The sentence asks how the effect of {effect} ({treated_e} over {control_e}) differs between "
            f"{modifier} {treated_m} and {control_m}: the interaction. "
            f"Positive means a larger effect in {treated_m}.",
            by="rule:interaction",
        )
    )
    contrast = Contrast(
        factor=f"{modifier}:{effect}", treated=f"{treated_m}:{treated_e}", control=f"{control_m}:{control_e}"
    )
    return Comparison(contrast, {}, reasons, cautions, is_interaction=True)


def _pairs_only(mentions: Sequence[Mention]) -> list[Mention]:
    levels = list(dict.fromkeys(m.level for m in mentions))
    return list(mentions) if len(levels) <= 2 else []


def _effect_and_modifier(question: str, names: Sequence[str], mentions: Sequence[Mention]) -> tuple[str, str]:
    """Which factor's effect, and between the levels of which other."""
    scores = {name: 0.4 * _is_given(name) - 0.4 * _is_inborn(name) for name in names}
    for m in mentions:
        if m.factor not in scores:
            continue
        before, after = question[: m.start].lower(), question[m.end :].lower()
        if re.search(r"(effects?|response|influence|impact) (?:of|to) (?:the )?[^,;]{0,25}$", before) or re.match(
            r"('s|s')?\s*(effects?|responses?|treatment effect)", after
        ):
            scores[m.factor] += 1
        if re.search(
            r"\b(between|depend\w* on|across|by|in|with|than in|modif\w+ by)\s+(?:the |each )?(?:\w+ (?:and|or) )?$",
            before,
        ):
            scores[m.factor] -= 1
        if re.match(r"[- ]dependent", after):
            scores[m.factor] -= 1
    effect = max(names, key=lambda name: scores[name])
    return effect, next(name for name in names if name != effect)


def _is_given(name: str) -> bool:
    return bool(re.search(r"treat|drug|compound|agent|stimul|dose|infect|diet|exposure|time", name, re.IGNORECASE))


def _is_inborn(name: str) -> bool:
    return bool(
        re.search(r"geno|strain|sex|gender|tissue|cell|line|age|disease|mutat|patient|donor", name, re.IGNORECASE)
    )
