"""Whether a sentence asks how the effect of one factor differs between the levels of another, and of which."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from desktop.studios.omics.errors import UnclearQuestionError
from desktop.studios.omics.schema import Caution, Contrast, Reason, SampleTable, join_levels
from desktop.studios.omics.steps import factors as facts
from desktop.studios.omics.steps.across import in_order
from desktop.studios.omics.steps.contrasts import in_words
from desktop.studios.omics.steps.direction import Comparison, find_direction
from desktop.studios.omics.steps.factors import Factor, differing
from desktop.studios.omics.steps.mentions import Mention
from desktop.studios.omics.steps.slope import wants_slope

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
    if factors[modifier].role == "numeric":
        effect, modifier = modifier, effect
    if factors[effect].role != "numeric" and not facts.crosses(samples.factors[modifier], samples.factors[effect]):
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
    is_whole = False
    for name in (modifier, effect):
        levels = list(samples.levels(name))
        own = [m for m in strong if m.factor == name and m.level is not None]
        is_slope = factors[name].role == "numeric" or (wants_slope(question) and len(levels) > 2)
        if not own and is_slope and facts.is_measured(samples.factors[name]):
            sides.append(("", ""))
        elif len(levels) > 2 and len({m.level for m in own}) != 2 and not (name == effect and own):
            ordered, is_whole = in_order(levels), True
            sides.append((ordered[-1], ordered[0]))
        else:
            sides.append(find_direction(question, name, levels, _pairs_only(own), reasons, cautions))
    if sides[0] == ("", ""):
        sides, modifier, effect = sides[::-1], effect, modifier
    (treated_m, control_m), (treated_e, control_e) = sides
    contrast = Contrast(
        factor=f"{modifier}:{effect}",
        treated=join_levels([treated_m, treated_e]),
        control=join_levels([control_m, control_e]),
    )
    text = f"The sentence asks {in_words(contrast, samples)} It is their interaction."
    if is_whole:
        text = (
            f"The sentence asks whether the effect of {effect} differs between any levels of {modifier}: their whole "
            f"interaction is tested at once (likelihood-ratio or F test). The change that is reported is one part of "
            f"it, {in_words(contrast, samples)}"
        )
    reasons.append(Reason(about="contrast", text=text, by="rule:interaction"))
    return Comparison(contrast, {}, reasons, cautions, is_whole=is_whole)


def is_effect_in_two(question: str, mentions: Sequence[Mention]) -> bool:
    """ "drug effect in WT versus KO": the effect of one factor, and two levels of another to compare it between."""
    levels = [m for m in mentions if m.level is not None]
    for one, other in pairwise(levels):
        before, between = question[: one.start], question[one.end : other.start]
        is_pair = one.factor == other.factor and one.level != other.level
        is_versus = re.fullmatch(
            r"\W*(?:\w+\s+)?(?:vs\.?|versus|against|compared (?:to|with)|relative to|than)\s+(?:in\s+)?(?:the\s+)?",
            between,
            re.IGNORECASE,
        )
        has_effect = re.search(
            r"\b(?:effects?|respon\w+|induction)\b[^.;?]{0,50}\bin\s+(?:the\s+)?$", before, re.IGNORECASE
        )
        if is_pair and is_versus and has_effect and any(m.factor != one.factor for m in mentions if m.end < one.start):
            return True
    return False


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
