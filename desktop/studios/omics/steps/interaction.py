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
from desktop.studios.omics.steps.places import named_places
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
    kinds = re.finditer(r"\b(treatment|drug|compound|agent|stimul|genotype|strain|mutation)", question, re.IGNORECASE)
    if len(names) == 1 and any(not any(m.start <= kind.start() < m.end for m in strong) for kind in kinds):
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
        placed = [name for name in names if _is_place(question, [m for m in strong if m.factor == name])]
        names = [name for name in names if name not in placed] if len(names) - len(placed) >= 2 else names
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
            apart = _without(question, [m for m in strong if m.factor != name])
            sides.append(find_direction(apart, name, levels, _pairs_only(own), reasons, cautions))
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
    keep, why = named_places(mentions, contrast.factors, samples, factors)
    return Comparison(contrast, keep, [*reasons, *why], cautions, is_whole=is_whole)


_VERSUS = re.compile(
    r"\W*(?:\w+\s+)?(?:vs\.?|versus|against|compared (?:to|with)|relative to|than)\s+(?:in\s+)?(?:the\s+)?",
    re.IGNORECASE,
)
_JOINED = re.compile(r"\W*(?:\w+\s+)?(?:and|or)\s+(?:in\s+|of\s+)?(?:the\s+)?", re.IGNORECASE)
_EFFECT = r"(?:effects?|respon\w+|induction|changes?|differ\w*|stronger|weaker|larger|smaller)"


def is_effect_in_two(question: str, mentions: Sequence[Mention]) -> bool:
    """ "drug effect in WT versus KO", "24 h vs 0 h in KO versus WT", "compare the drought response of Ler and Col": the
    effect of one factor, and two levels of another to compare it between."""
    levels = [m for m in mentions if m.level is not None]
    for one, other in pairwise(levels):
        before, between = question[: one.start], question[one.end : other.start]
        if one.factor != other.factor or one.level == other.level:
            continue
        is_compared = _JOINED.fullmatch(between) and re.search(r"\b(?:compar|differ)\w*\b", before, re.IGNORECASE)
        if not _VERSUS.fullmatch(between) and not is_compared:
            continue
        others = [m for m in mentions if m.factor != one.factor and m.end < one.start]
        if others and re.search(
            r"\b(?:effects?|respon\w+|induction)\b[^.;?]{0,50}\b(?:in|at)\s+(?:the\s+)?$", before, re.IGNORECASE
        ):
            return True
        if is_effect_of(question, mentions, one) or _is_pair_in(question, mentions, one):
            return True
    return False


def is_effect_of(question: str, mentions: Sequence[Mention], level: Mention) -> bool:
    """Right before the level stands the effect of another factor: "the drought response of Ler"."""
    before = [m for m in mentions if m.factor != level.factor and m.end <= level.start]
    words = rf"[\s-]*(?:\w+\s+)?{_EFFECT}\s+(?:in|of|at|after|between|for)\s+(?:the\s+|both\s+)?"
    return bool(before and re.fullmatch(words, question[before[-1].end : level.start], re.IGNORECASE))


def _is_pair_in(question: str, mentions: Sequence[Mention], level: Mention) -> bool:
    """Right before the level stands a comparison of another factor: "24 h vs 0 h in KO"."""
    before = [m for m in mentions if m.factor != level.factor and m.end <= level.start and m.level is not None][-2:]
    if len(before) < 2 or before[0].factor != before[1].factor or before[0].level == before[1].level:
        return False
    words = r"\W*(?:\w+\s+)?(?:in|between)\s+(?:the\s+|both\s+)?"
    is_versus = _VERSUS.fullmatch(question[before[0].end : before[1].start])
    return bool(is_versus and re.fullmatch(words, question[before[1].end : level.start], re.IGNORECASE))


def _is_place(question: str, mentions: Sequence[Mention]) -> bool:
    """One level, named as where to look: "in females", "at 24 h", "males only"."""
    levels = {m.level for m in mentions}
    return (
        len(levels) == 1
        and None not in levels
        and any(
            re.search(
                r"\b(?:in|among|within|for|at|from|of)\s+(?:the\s+|only\s+)?$", question[: m.start], re.IGNORECASE
            )
            or re.match(r"\s*(?:\w+\s+)?only\b", question[m.end :], re.IGNORECASE)
            for m in mentions
        )
    )


def _without(question: str, mentions: Sequence[Mention]) -> str:
    """The question with dots where these stand, so that "than in NR on treatment" says nothing of "on"."""
    text = question
    for m in mentions:
        text = text[: m.start] + "." * (m.end - m.start) + text[m.end :]
    return text


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
        if re.match(r"[- ](?:dependent|specific)", after):
            scores[m.factor] -= 1
        if m.level is not None and is_effect_of(question, mentions, m):
            scores[m.factor] -= 2
    effect = max(names, key=lambda name: scores[name])
    return effect, next(name for name in names if name != effect)


def _is_given(name: str) -> bool:
    return bool(re.search(r"treat|drug|compound|agent|stimul|dose|infect|diet|exposure|time", name, re.IGNORECASE))


def _is_inborn(name: str) -> bool:
    return bool(
        re.search(r"geno|strain|sex|gender|tissue|cell|line|age|disease|mutat|patient|donor", name, re.IGNORECASE)
    )
