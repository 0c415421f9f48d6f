"""Which levels of which factor a sentence compares, and on which samples.

What the sentence names and the table does not have is an error, never a fallback; where two readings are open, it asks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from desktop.studios.omics.errors import OneGroupError, TooFewReplicatesError, UnclearQuestionError
from desktop.studios.omics.schema import Caution, Contrast, DesignProposal, Reason, SampleTable
from desktop.studios.omics.steps import factors as facts
from desktop.studios.omics.steps.direction import Comparison, find_direction
from desktop.studios.omics.steps.factors import Factor, differing
from desktop.studios.omics.steps.interaction import find_interaction
from desktop.studios.omics.steps.mentions import Mention
from desktop.studios.omics.steps.question_text import wants_interaction
from desktop.studios.omics.steps.topics import refuse_unknown_topics

_SUBSET = re.compile(
    (
        r"(?:\b(?:in|within|among|amongst|for|at|from|using|inside|on|after|only)\s+(?:the\s+|only\s+|just\s+)*"
        r"|\bonly\s+(?:the\s+)?)$"
    ),
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
    phrases: Sequence[tuple[int, int]] = (),
) -> Comparison:
    """The comparison a sentence asks for.

    mentions  factors and levels named outside phrases that adjust or leave out
    only      factors of a design given by hand; the compared one must be among them
    phrases   places of the phrases that adjust or leave out
    raises    UnclearQuestionError (facts: choices), UnknownFactorError, OneGroupError, TooFewReplicatesError
    """
    usable = [m for m in mentions if only is None or m.factor in only]
    if wants_interaction(question):
        found = find_interaction(question, samples, factors, usable)
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
    subset += _qualifying(question, named, factor, samples, factors)
    if factors[factor].role == "constant":
        level = next(iter(samples.levels(factor)), "")
        raise OneGroupError(
            f"Every sample has the same {factor}: {level}. There is nothing to compare.",
            hint=f"Factors that differ are: {', '.join(differing(factors)) or 'none'}.",
            factor=factor,
        )
    reasons: list[Reason] = []
    cautions: list[Caution] = []
    refuse_unknown_topics(question, samples, factors, mentions, factor, cautions, phrases)
    keep: dict[str, list[str]] = {}
    for mention in subset:
        if mention.level is not None and factors[mention.factor].role != "constant":
            kept = keep.setdefault(mention.factor, [])
            kept += [mention.level] if mention.level not in kept else []
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
    own = [m for m in named if m.factor == factor and m.level is not None]
    treated, control = find_direction(question, factor, present, own, reasons, cautions)
    reasons.append(Reason(about="contrast", text=_why(factor, own, question), by="rule:mentions"))
    return Comparison(Contrast(factor=factor, treated=treated, control=control), keep, reasons, cautions)


def _why(factor: str, levels: Sequence[Mention], question: str) -> str:
    if levels:
        shown = ", ".join(dict.fromkeys(f"{question[m.start : m.end]!r} ({m.level})" for m in levels))
        return f"The sentence names {shown} of {factor}."
    return f"The sentence is about {factor}."


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
        if (
            _STRONG_SUBSET.match(after)
            or re.search(r"\bonly (?:in|at|among|within|for|on|use|the)\s*(?:the\s+)?$", before, re.IGNORECASE)
            or (
                len(named) > 1
                and _SUBSET.search(before)
                and not re.search(
                    (
                        r"(regulated|higher|lower|up|down|increased|decreased|elevated|reduced|expressed)\s+(?:in|at"
                        r"|on|after)\s+(?:the\s+)?$"
                    ),
                    before,
                    re.IGNORECASE,
                )
            )
            or (
                len(named) > 1
                and factors[mention.factor].role in ("pairing", "sex")
                and re.match(r"\s*(cells?|samples?|mice|patients?)\b", after, re.IGNORECASE)
            )
        ):
            found.append(mention)
    return found


_VERSUS = re.compile(r"\b(?:vs|versus|against|compared (?:to|with)|relative to|than(?: in)?)\b", re.IGNORECASE)


def _refuse_double(question: str, own: Sequence[Mention], rest: Sequence[Mention]) -> None:
    """ "male KO versus female WT": both sides differ in two things, so neither is the answer."""
    for versus in _VERSUS.finditer(question):
        sides = [[m for m in own if m.end <= versus.start()], [m for m in own if m.start >= versus.end()]]
        if not all(sides):
            continue
        for name in dict.fromkeys(m.factor for m in rest):
            left = {m.level for m in rest if m.factor == name and m.end <= versus.start()}
            right = {m.level for m in rest if m.factor == name and m.start >= versus.end()}
            if left and right and not left & right:
                raise UnclearQuestionError(
                    f"The two sides differ in both {own[0].factor} and {name}, so the causes cannot be told apart.",
                    hint=f"Compare two levels of {own[0].factor} within one {name}, or ask for their interaction.",
                    choices=[own[0].factor, name],
                )


def _qualifying(
    question: str,
    named: Sequence[Mention],
    factor: str,
    samples: SampleTable,
    factors: dict[str, Factor],
) -> list[Mention]:
    """Beside two compared levels, levels of other factors that say which samples: "male KO against male WT"."""
    if len({m.level for m in named if m.factor == factor and m.level is not None}) < 2:
        return []
    rest = [m for m in named if m.factor != factor and m.level is not None and m.strength >= 1.8]
    _refuse_double(question, [m for m in named if m.factor == factor and m.level is not None], rest)
    return [
        m
        for m in rest
        if factors[m.factor].role not in ("constant", "replicate")
        and facts.partition(samples.factors[m.factor]) != facts.partition(samples.factors[factor])
        and {other.level for other in rest if other.factor == m.factor} < set(samples.levels(m.factor))
    ]


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
        score += 3.0 * (len(levels) >= 2) + 0.5 * bool(levels) + 1.0 * _is_versus(question, own)
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


def _is_versus(question: str, mentions: Sequence[Mention]) -> bool:
    """Two levels stand on both sides of a "versus"."""
    levels = [m for m in mentions if m.level is not None]
    return any(
        one.level != other.level and _VERSUS.fullmatch(question[one.end : other.start].strip())
        for one, other in pairwise(levels)
    )


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
    if proposal.groups is None or not differing(factors):
        only_one = [name for name, factor in factors.items() if factor.role == "constant"]
        if samples.factors and only_one and not differing(factors):
            raise OneGroupError(
                "All samples are of one group: no factor differs between them.",
                hint="Give a table of samples with a column that tells the groups apart.",
                factors=list(samples.factors),
            )
        distinct = [name for name, factor in factors.items() if factor.role != "constant" and not factor.has_gaps]
        if len(samples.samples) == 2:
            raise TooFewReplicatesError(
                "There are two samples, one a group at most: their difference has no p-value.",
                hint="At least one of the two groups needs replicates, better both with three.",
                samples=2,
                factors=distinct,
            )
        raise UnclearQuestionError(
            "The samples are not described, so there are no groups to compare.",
            hint=(
                "Give a table of samples: one row a sample, a column with the names used in the counts table, "
                "and a column with the groups."
            ),
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
