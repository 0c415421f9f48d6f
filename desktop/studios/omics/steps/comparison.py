"""Which levels of which factor a sentence compares, in which direction, and on which samples.

The direction is treated over control: by the words of the sentence ("relative to"), then by the control vocabulary,
then by order. What the sentence names and the table does not have is an error, never a fallback.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from desktop.studios.omics.errors import OneGroupError, UnclearQuestionError, UnknownFactorError
from desktop.studios.omics.schema import Caution, Contrast, DesignProposal, Reason, SampleTable
from desktop.studios.omics.steps import factors as facts
from desktop.studios.omics.steps.factors import Factor
from desktop.studios.omics.steps.mentions import Mention, is_ordinary, tokens_of
from desktop.studios.omics.steps.question_text import wants_interaction
from desktop.studios.omics.steps.vocabulary import vocabulary


@dataclass
class Comparison:
    """The contrast, the samples kept for it, and why."""

    contrast: Contrast
    keep: dict[str, list[str]] = field(default_factory=dict)
    reasons: list[Reason] = field(default_factory=list)
    cautions: list[Caution] = field(default_factory=list)
    is_interaction: bool = False


_SUBSET = re.compile(
    r"(?:\b(?:in|within|among|amongst|for|at|from|using|inside|on|after|only)\s+(?:the\s+|only\s+|just\s+)*|\bonly\s+(?:the\s+)?)$",
    re.IGNORECASE,
)
_STRONG_SUBSET = re.compile(
    r"^\s*(?:cells?|samples?|mice|patients?|animals|individuals|tissues?|lines?)?\s*(?:only|alone)\b", re.IGNORECASE
)


def find_comparison(
    question: str,
    samples: SampleTable,
    factors: dict[str, Factor],
    mentions: Sequence[Mention],
    proposal: DesignProposal,
    only: Sequence[str] | None = None,
) -> Comparison:
    """The comparison a sentence asks for.

    mentions  factors and levels named outside phrases that adjust or leave out
    only      factors of a design given by hand; the compared one must be among them
    raises    UnclearQuestionError (facts: choices), UnknownFactorError, OneGroupError
    """
    usable = [m for m in mentions if only is None or m.factor in only]
    if wants_interaction(question):
        found = _interaction(question, samples, factors, usable, proposal)
        if found is not None:
            return found
    subset = _subset_mentions(question, usable, factors)
    named = [m for m in usable if m not in subset]
    factor = _compared_factor(question, samples, factors, named, proposal, only)
    if factor is None and subset:  # "genes up in tumour": the only level named is what is compared
        named, subset = usable, []
        factor = _compared_factor(question, samples, factors, named, proposal, only)
    if factor is None:
        factor = _by_default(question, samples, factors, usable, proposal, only)
    own_subset = [m for m in subset if m.factor == factor]
    if own_subset:
        named += own_subset
        subset = [m for m in subset if m.factor != factor]
    if factors[factor].role == "constant":
        level = next(iter(samples.levels(factor)), "")
        raise OneGroupError(
            f"Every sample has the same {factor}: {level}. There is nothing to compare.",
            hint=f"Factors that differ are: {', '.join(_differing(factors)) or 'none'}.",
            factor=factor,
        )
    reasons: list[Reason] = []
    cautions: list[Caution] = []
    _refuse_unknown_topics(question, samples, factors, mentions, factor, cautions)
    keep: dict[str, list[str]] = {}
    for mention in subset:
        if mention.level is not None and factors[mention.factor].role != "constant":
            keep.setdefault(mention.factor, []).append(mention.level)
    for name, levels in keep.items():
        reasons.append(
            Reason(
                about="subset",
                text=f"The sentence asks about {name} {', '.join(levels)}, so only those samples are used.",
                by="rule:subset",
            )
        )
    inside = [
        at
        for at in range(len(samples.samples))
        if all(samples.factors[name][at] in levels for name, levels in keep.items())
    ]
    present = list(dict.fromkeys(samples.factors[factor][at] for at in inside))
    levels = [m for m in named if m.factor == factor and m.level is not None]
    treated, control = _direction(question, factor, present, levels, reasons, cautions)
    reasons.append(Reason(about="contrast", text=_why(factor, levels, question), by="rule:mentions"))
    return Comparison(Contrast(factor=factor, treated=treated, control=control), keep, reasons, cautions)


def _why(factor: str, levels: Sequence[Mention], question: str) -> str:
    if levels:
        shown = ", ".join(dict.fromkeys(f"{question[m.start : m.end]!r} ({m.level})" for m in levels))
        return f"The sentence names {shown} of {factor}."
    return f"The sentence is about {factor}."


def _differing(factors: dict[str, Factor]) -> list[str]:
    return [name for name, factor in factors.items() if factor.role not in ("constant", "identity", "technical")]


def _subset_mentions(question: str, mentions: Sequence[Mention], factors: dict[str, Factor]) -> list[Mention]:
    """Levels named as where to look ("in males", "at 24 h") rather than as what to compare."""
    named = {m.factor for m in mentions}
    found = []
    for mention in mentions:
        if mention.level is None:
            continue
        others = [m for m in mentions if m.factor == mention.factor and m.level not in (None, mention.level)]
        before, after = question[: mention.start], question[mention.end :]
        if others and not _STRONG_SUBSET.match(after):
            continue
        if _STRONG_SUBSET.match(after) or re.search(
            r"\bonly (?:in|at|among|within|for|on|use|the)\s*(?:the\s+)?$", before, re.IGNORECASE
        ):
            found.append(mention)
        elif (
            len(named) > 1
            and _SUBSET.search(before)
            and not re.search(
                r"(regulated|higher|lower|up|down|increased|decreased|elevated|reduced|expressed)\s+(?:in|at|on|after)\s+(?:the\s+)?$",
                before,
                re.IGNORECASE,
            )
        ):
            found.append(mention)
        elif (
            len(named) > 1
            and factors[mention.factor].role in ("pairing", "sex")
            and re.match(r"\s*(cells?|samples?|mice|patients?)\b", after, re.IGNORECASE)
        ):
            found.append(mention)
    return found


def _compared_factor(
    question: str,
    samples: SampleTable,
    factors: dict[str, Factor],
    named: Sequence[Mention],
    proposal: DesignProposal,
    only: Sequence[str] | None,
) -> str | None:
    """The factor with two named levels; else the one named most surely; None if the sentence names none."""
    scores: dict[str, float] = {}
    for name in dict.fromkeys(m.factor for m in named):
        own = [m for m in named if m.factor == name]
        levels = {m.level for m in own if m.level is not None}
        score = max(m.strength for m in own)
        score += 3.0 * (len(levels) >= 2) + 0.5 * bool(levels)
        role = factors[name].role
        if not levels and role in ("pairing", "replicate", "batch"):
            if not _is_topic(question, own):
                continue
            score -= 1
        if role == "constant":
            score -= 1.0
        if not levels and max(m.strength for m in own) < 1.0:
            continue
        score += 0.3 * (name == proposal.groups)
        scores[name] = score
    if not scores:
        return None
    ranked = sorted(scores, key=lambda name: -scores[name])
    best = ranked[0]
    rivals = [
        name
        for name in ranked[1:]
        if scores[name] > scores[best] - 0.25
        and facts.partition(samples.factors[name]) != facts.partition(samples.factors[best])
    ]
    if rivals and proposal.groups != best:
        raise UnclearQuestionError(
            f"The sentence may compare {best} or {', '.join(rivals)}.",
            hint="Name the two groups to compare, for example: "
            + " or ".join(f'"{_pair_text(samples, name)}"' for name in [best, *rivals][:3])
            + ".",
            choices=[best, *rivals],
        )
    return best


def _is_topic(question: str, mentions: Sequence[Mention]) -> bool:
    return any(
        re.search(
            r"\b(effects?|impact|influence|differences?|differ|between|by|across|compare)\b[^,;.?]{0,30}$",
            question[: m.start],
            re.IGNORECASE,
        )
        for m in mentions
    )


def _pair_text(samples: SampleTable, factor: str) -> str:
    levels = list(samples.levels(factor))
    return f"{levels[-1]} versus {levels[0]}"


def _by_default(
    question: str,
    samples: SampleTable,
    factors: dict[str, Factor],
    mentions: Sequence[Mention],
    proposal: DesignProposal,
    only: Sequence[str] | None,
) -> str:
    """The one factor that can be meant when the sentence names none."""
    if only is not None:
        last = [name for name in only if name in factors]
        if last:
            return last[-1]
    groups = [
        name
        for name, factor in factors.items()
        if factor.role == "group" and factor.same_as is None and factor.n_levels > 1
    ]
    likely = [name for name in groups if factors[name].n_levels <= len(samples.samples) / 2]
    if proposal.groups is None or not _differing(factors):
        only_one = [name for name, factor in factors.items() if factor.role == "constant"]
        if samples.factors and only_one and not _differing(factors):
            raise OneGroupError(
                "All samples are of one group: no factor differs between them.",
                hint="Give a table of samples with a column that tells the groups apart.",
                factors=list(samples.factors),
            )
        raise UnclearQuestionError(
            "The samples are not described, so there are no groups to compare.",
            hint="Give a table of samples: one row a sample, a column with the names used in the counts table, and a column with the groups.",
            choices=[],
        )
    others = [name for name in likely if name != proposal.groups and not _is_block(samples, factors, name, proposal)]
    if others and not _is_standing_out(samples, proposal.groups, others):
        raise UnclearQuestionError(
            f"The sentence does not say which of {', '.join([proposal.groups, *others])} to compare.",
            hint="Name the two groups to compare, for example: "
            + " or ".join(f'"{_pair_text(samples, name)}"' for name in [proposal.groups, *others][:3])
            + ".",
            choices=[proposal.groups, *others],
        )
    return proposal.groups


def _is_block(samples: SampleTable, factors: dict[str, Factor], name: str, proposal: DesignProposal) -> bool:
    return name in (proposal.pairing, *proposal.batch)


def _is_standing_out(samples: SampleTable, groups: str, others: Sequence[str]) -> bool:
    """The proposed factor has a reference by name and no other has."""
    return facts.control_level(list(samples.levels(groups))) is not None and all(
        facts.control_level(list(samples.levels(name))) is None for name in others
    )


_OVER = r"(?:relative to|compared (?:to|with|against)|in comparison (?:to|with)|over|against|as opposed to|normali[sz]ed to|than (?:in|for|at)?|with respect to|vs\.? the (?:baseline|reference|control)\b)"


def _direction(
    question: str,
    factor: str,
    present: Sequence[str],
    levels: Sequence[Mention],
    reasons: list[Reason],
    cautions: list[Caution],
) -> tuple[str, str]:
    """(treated, control)."""
    named = list(dict.fromkeys(m.level for m in sorted(levels, key=lambda m: m.start) if m.level is not None))
    if len(present) < 2:
        raise OneGroupError(
            f"The samples asked about all have the same {factor}: {', '.join(present)}.",
            hint="Leave out the restriction, or compare another factor.",
            factor=factor,
        )
    gone = [level for level in named if level not in present]
    if gone:
        raise OneGroupError(
            f"None of the samples asked about has {factor} {gone[0]}.",
            hint=f"There are: {', '.join(present)}.",
            factor=factor,
        )
    if len(named) > 2:
        named = _two_of(named, levels, factor, present)
    if len(named) == 1:
        named = _partner(named[0], factor, present, reasons)
    if not named:
        if len(present) > 2:
            control = facts.control_level(present)
            raise UnclearQuestionError(
                f"{factor} has {len(present)} levels ({', '.join(present[:8])}), and the sentence does not say which two to compare.",
                hint=f'Name two of them, for example "{next(level for level in present if level != (control or present[0]))} versus {control or present[0]}".',
                choices=list(present),
            )
        named = list(present)
        return _by_vocabulary(named, reasons, cautions)
    explicit = _explicit(question, levels, named)
    if explicit is not None:
        treated, control = explicit
        reasons.append(
            Reason(about="direction", text=f"The sentence takes {control!r} as the reference.", by="rule:relative_to")
        )
        by_name = facts.control_level(named)
        if by_name == treated:
            cautions.append(
                Caution(
                    code="omics.direction",
                    text=f"Positive changes are higher in {treated!r}, as the sentence asks, though its name is that of a control.",
                )
            )
        return treated, control
    return _by_vocabulary(named, reasons, cautions, is_versus=_is_versus(question, levels, named))


def _two_of(named: list[str], levels: Sequence[Mention], factor: str, present: Sequence[str]) -> list[str]:
    strong = [
        m.level for m in levels if m.level in named and m.strength >= max(other.strength for other in levels) - 0.3
    ]
    pair = list(dict.fromkeys(level for level in strong if level is not None))
    if len(pair) == 2:
        return pair
    raise UnclearQuestionError(
        f"The sentence names {len(named)} levels of {factor}: {', '.join(named)}. One comparison has two.",
        hint=f'Ask for two at a time, for example "{named[1]} versus {named[0]}".',
        choices=list(present),
    )


def _partner(level: str, factor: str, present: Sequence[str], reasons: list[Reason]) -> list[str]:
    others = [other for other in present if other != level]
    if len(others) == 1:
        return [level, others[0]]
    control = facts.control_level(present)
    if control is not None and control != level:
        reasons.append(
            Reason(
                about="contrast",
                text=f"{level!r} is compared with {control!r}, the control by its name.",
                by="rule:control_vocabulary",
            )
        )
        return [level, control]
    raise UnclearQuestionError(
        f"The sentence names {level!r} of {factor}, and not what to compare it with.",
        hint=f'Say so, for example "{others[0]} versus {level}". {factor} also has: {", ".join(others)}.',
        choices=others,
    )


def _explicit(question: str, levels: Sequence[Mention], named: Sequence[str]) -> tuple[str, str] | None:
    """The sentence itself says which is the reference."""
    order = sorted((m for m in levels if m.level in named), key=lambda m: m.start)
    for one, other in zip(order, order[1:], strict=False):
        if one.level == other.level or one.level is None or other.level is None:
            continue
        between = question[one.end : other.start]
        if re.search(rf"\b{_OVER}", between, re.IGNORECASE):
            return one.level, other.level
        if re.search(r"^\s*(?:\w+\s+){0,2}(?:to|into|→|->)\s+(?:\w+\s+){0,2}$", between) and re.search(
            r"\bfrom\s+(?:the\s+)?(?:\w+\s+)?$", question[: one.start], re.IGNORECASE
        ):
            return other.level, one.level
    for mention in order:  # "compared to control, which genes …", "with untreated as the reference"
        before, after = question[: mention.start], question[mention.end :]
        rest = [level for level in named if level != mention.level]
        is_reference = re.search(
            rf"\b(?:{_OVER}|(?:reference|baseline|control)(?: group| level)?\s*(?:is|:|=))\s+(?:the\s+)?(?:\w+\s+)?$",
            before,
            re.IGNORECASE,
        )
        if (
            (
                is_reference
                or re.match(
                    r"\W*(?:\w+\s+)?(?:as|is|being) (?:the |a |our )?(?:reference|baseline|control)\b",
                    after,
                    re.IGNORECASE,
                )
            )
            and len(rest) == 1
            and mention.level
        ):
            return rest[0], mention.level
    return None


def _is_versus(question: str, levels: Sequence[Mention], named: Sequence[str]) -> bool:
    """The two levels stand on both sides of "versus"."""
    order = sorted((m for m in levels if m.level in named), key=lambda m: m.start)
    return any(
        one.level != other.level and re.search(r"\b(vs|versus)\b", question[one.end : other.start], re.IGNORECASE)
        for one, other in zip(order, order[1:], strict=False)
    )


def _by_vocabulary(
    named: list[str], reasons: list[Reason], cautions: list[Caution], *, is_versus: bool = False
) -> tuple[str, str]:
    control = facts.control_level(named)
    if control is not None:
        treated = next(level for level in named if level != control)
        reasons.append(
            Reason(
                about="direction",
                text=f"{control!r} is the control by its name, so positive means higher in {treated!r}.",
                by="rule:control_vocabulary",
            )
        )
        return treated, control
    ordered = sorted(named, key=_natural)
    if is_versus:
        text = f"The sentence puts {named[0]!r} before {named[1]!r}."
        reasons.append(Reason(about="direction", text=text, by="rule:versus"))
        return named[0], named[1]
    if re.sub(r"\d+(\.\d+)?", "#", named[0].lower()) == re.sub(r"\d+(\.\d+)?", "#", named[1].lower()) and _natural(
        named[0]
    ) != _natural(named[1]):
        control, treated = ordered[0], ordered[1]
        text = f"Neither {named[0]!r} nor {named[1]!r} is a control by name; the one with the lower number is the reference."
        by = "rule:number_order"
    else:
        treated, control = named[0], named[1]
        text = (
            f"Neither {named[0]!r} nor {named[1]!r} is a control by name; the one named first is shown over the other."
        )
        by = "rule:order"
    reasons.append(Reason(about="direction", text=text, by=by))
    cautions.append(Caution(code="omics.direction", text=f"{text} Positive changes are higher in {treated!r}."))
    return treated, control


def _natural(text: str) -> list[tuple[int, float, str]]:
    return [
        (0, float(part), "") if re.fullmatch(r"\d+(\.\d+)?", part) else (1, 0.0, part)
        for part in re.findall(r"\d+(?:\.\d+)?|\D+", text.lower())
    ]


def _interaction(
    question: str,
    samples: SampleTable,
    factors: dict[str, Factor],
    mentions: Sequence[Mention],
    proposal: DesignProposal,
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
        if re.search(r"\binteract", question, re.IGNORECASE):
            raise UnclearQuestionError(
                "The sentence asks for an interaction; name the two factors.",
                hint=f"Factors are: {', '.join(_differing(factors))}.",
                choices=_differing(factors),
            )
        return None
    effect, modifier = _effect_and_modifier(question, names, strong)
    if not facts.crosses(samples.factors[modifier], samples.factors[effect]):
        raise UnclearQuestionError(
            f"{effect} does not differ within every level of {modifier}, so its effect cannot be compared between them.",
            hint="Both levels of the one factor are needed in both levels of the other.",
            choices=_differing(factors),
        )
    reasons: list[Reason] = []
    cautions: list[Caution] = []
    sides = []
    for name in (modifier, effect):
        own = [m for m in strong if m.factor == name and m.level is not None]
        sides.append(_direction(question, name, list(samples.levels(name)), _pairs_only(own), reasons, cautions))
    (treated_m, control_m), (treated_e, control_e) = sides
    reasons.append(
        Reason(
            about="contrast",
            text=f"The sentence asks how the effect of {effect} ({treated_e} over {control_e}) differs between {modifier} {treated_m} and {control_m}: the interaction. "
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
    scores = dict.fromkeys(names, 0.0)
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


_TOPICS = (
    r"\b(?:effects?|impact|influence|consequences?|role)\s+of\s+(?:the\s+)?(.+?)(?=\s+(?:on|in|at|between|after|across|upon|over|versus|vs|compared|relative|using|adjust|account|control|with|for|within|among)\b|[,;.?!(]|$)",
    r"\b(?:respon\w+|reacts?)\s+to\s+(?:the\s+)?(.+?)(?=\s+(?:in|at|between|after|across|compared|relative|using|adjust|account|control|with|for|within|among|and)\b|[,;.?!(]|$)",
    r"\b(?:do|does|did)\s+(?:the\s+)?(.+?)\s+(?:change|alter|affect|regulate|induce|repress|activate|influence|modulate|up|down|increase|decrease|cause|perturb)",
    r"\bbetween\s+(?:the\s+)?(.+?)\s+and\s+(?:the\s+)?(.+?)(?=\s+(?:in|at|after|across|using|adjust\w*|account\w*|control\w*|for|within|among|while|on|with|when)\b|[,;.?!(]|$)",
    r"(?:^|\b(?:in|compare|comparing|of|for|genes|expression|regulated|changed|different|expressed)\s+)(?:the\s+)?([\w-]+(?:\s+[\w-]+)?)\s+(?:versus|vs\.?|relative to|compared (?:to|with)|against)\s+(?:the\s+)?(.+?)(?=\s+(?:in|at|after|across|using|adjust\w*|account\w*|control\w*|for|within|among|while|on|with)\b|[,;.?!(]|$)",
    r"\b(?:chang\w*|differ\w*|var(?:y|ies)|altered|affected|regulated|induced|caused|associated|correlat\w*|depend\w*)\s+(?:with|by|upon|on|following|after|under)\s+(?:the\s+)?(.+?)(?=\s+(?:in|at|between|across|using|adjust\w*|account\w*|control\w*|for|within|among|and)\b|[,;.?!(]|$)",
    r"\bwhen\s+(?:the\s+)?(.+?)\s+(?:is|are|was|were)\b",
    r"\b(?:upon|following|after|under|by)\s+(?:the\s+)?([\w-]+(?:\s+[\w-]+)?)(?=\s+(?:in|at|between|across|using|treatment|exposure)\b|[,;.?!(]|$)",
)
_KNOWN_CONCEPTS = re.compile(
    r"\b(sex|gender|males?|females?|men|women|age|ages|old|young|smok\w+|genotypes?|wild[- ]?type|knock-?outs?|tissues?|organs?|time ?points?|hours?|days?|batch|batches|diets?|obes\w+|strains?|tumou?rs?|stages?|grades?|surviv\w+|ethnic\w*|bmi|weight|dose|temperature|diabet\w+|cell types?)\b",
    re.IGNORECASE,
)


def _refuse_unknown_topics(
    question: str,
    samples: SampleTable,
    factors: dict[str, Factor],
    mentions: Sequence[Mention],
    factor: str,
    cautions: list[Caution],
) -> None:
    """What the sentence says it compares has to be in the table; only a name for the treated group may be new."""
    covered = [(m.start, m.end) for m in mentions]
    for pattern in _TOPICS:
        for match in re.finditer(pattern, question, re.IGNORECASE):
            for group in range(1, (match.lastindex or 0) + 1):
                start, end = match.span(group)
                if any(s < end and start < e for s, e in covered):
                    continue
                text = question[start:end].strip()
                new = [token.text for token in tokens_of(text) if not is_ordinary(token.text)]
                if not new or _is_said_of_genes(text):
                    continue
                _judge_topic(text, samples, factors, factor, mentions, cautions)
    named = {m.factor for m in mentions}
    concept = _KNOWN_CONCEPTS.search(question)
    if concept and not named and not any(s < concept.end() and concept.start() < e for s, e in covered):
        _judge_topic(concept.group(0), samples, factors, factor, mentions, cautions)


def _is_said_of_genes(text: str) -> bool:
    return bool(
        re.search(
            r"\b(genes?|transcripts?|expression|samples?|groups?|conditions?|each other|one another|two|both|replicates?|fdr|padj|cut-?off|threshold|deseq2?|benjamini|wald|default)\b",
            text,
            re.IGNORECASE,
        )
    )


_GENERIC_TREATED = re.compile(
    r"treat|trt|stim|drug|compound|case|affected|knock|kd|ko|mut|rnai|sirna|shrna|crispr|oe|overexp|induced|infected|exposed|transfect|perturb|test|experiment",
    re.IGNORECASE,
)


def _judge_topic(
    text: str,
    samples: SampleTable,
    factors: dict[str, Factor],
    factor: str,
    mentions: Sequence[Mention],
    cautions: list[Caution],
) -> None:
    levels = list(samples.levels(factor))
    control = facts.control_level(levels)
    named_plainly = vocabulary().has("group_names", factor)
    generic = (
        named_plainly
        and control is not None
        and len(levels) == 2
        and _GENERIC_TREATED.search(next(level for level in levels if level != control))
    )
    named_both = len({m.level for m in mentions if m.factor == factor and m.level is not None}) >= 2
    if (generic or named_both) and not _KNOWN_CONCEPTS.fullmatch(text.strip()):
        if not named_both:
            cautions.append(
                Caution(
                    code="omics.taken_as",
                    text=f"{text!r} is not in the table of samples; it is taken to be {next(level for level in levels if level != control)!r} of {factor}.",
                )
            )
        return
    raise UnknownFactorError(
        f"The sentence asks about {text!r}, which is not in the table of samples.",
        hint="The samples differ by: "
        + "; ".join(f"{name} ({', '.join(list(samples.levels(name))[:6])})" for name in _differing(factors)[:8])
        + ".",
        factors=_differing(factors),
        topic=text,
    )
