"""What a sentence says it is about has to be in the sample table: anything else is an error, never passed over."""

from __future__ import annotations

import re
from collections.abc import Sequence

from desktop.studios.omics.errors import UnknownFactorError
from desktop.studios.omics.schema import Caution, SampleTable
from desktop.studios.omics.steps import factors as facts
from desktop.studios.omics.steps.factors import Factor, differing
from desktop.studios.omics.steps.mentions import Mention, is_ordinary, tokens_of
from desktop.studios.omics.steps.vocabulary import vocabulary

_TOPICS = (
    (
        r"\b(?:effects?|impact|influence|consequences?|role)\s+of\s+(?:the\s+)?(.+?)(?=\s+(?:on|in|at|between"
        r"|after|across|upon|over|versus|vs|compared|relative|using|adjust|account|control|with|for|within|among)\b"
        r"|[,;.?!(]|$)"
    ),
    (
        r"\b(?:respon\w+|reacts?)\s+to\s+(?:the\s+)?(.+?)(?=\s+(?:in|at|between|after|across|compared|relative"
        r"|using|adjust|account|control|with|for|within|among|and)\b|[,;.?!(]|$)"
    ),
    (
        r"\b(?:do|does|did)\s+(?:the\s+)?(.+?)\s+(?:change|alter|affect|regulate|induce|repress|activate|influence"
        r"|modulate|up|down|increase|decrease|cause|perturb)"
    ),
    (
        r"\bbetween\s+(?:the\s+)?(.+?)\s+and\s+(?:the\s+)?(.+?)(?=\s+(?:in|at|after|across|using|adjust\w*"
        r"|account\w*|control\w*|for|within|among|while|on|with|when)\b|[,;.?!(]|$)"
    ),
    (
        r"(?:^|\b(?:in|compare|comparing|of|for|genes|expression|regulated|changed|different"
        r"|expressed)\s+)(?:the\s+)?([\w-]+(?:\s+[\w-]+)?)\s+(?:versus|vs\.?|relative to|compared (?:to|with)"
        r"|against)\s+(?:the\s+)?(.+?)(?=\s+(?:in|at|after|across|using|adjust\w*|account\w*"
        r"|control\w*|for|within"
        r"|among|while|on|with)\b|[,;.?!(]|$)"
    ),
    (
        r"\b(?:chang\w*|differ\w*|var(?:y|ies)|altered|affected|regulated|induced|caused|associated|correlat\w*"
        r"|depend\w*)\s+(?:with|by|upon|on|following|after|under)\s+(?:the\s+)?(.+?)(?=\s+(?:in|at|between|across"
        r"|using|adjust\w*|account\w*|control\w*|for|within|among|and)\b|[,;.?!(]|$)"
    ),
    r"\bwhen\s+(?:the\s+)?(.+?)\s+(?:is|are|was|were)\b",
    (
        r"\b(?:upon|following|after|under|by)\s+(?:the\s+)?([\w-]+(?:\s+[\w-]+)?)(?=\s+(?:in|at|between|across"
        r"|using|treatment|exposure)\b|[,;.?!(]|$)"
    ),
)

_KNOWN_CONCEPTS = re.compile(
    (
        r"\b(sex|gender|males?|females?|men|women|age|ages|old|young|smok\w+|genotypes?|wild[- ]?type|knock-?outs?"
        r"|tissues?|organs?|time ?points?|hours?|days?|batch|batches|diets?|obes\w+|strains?|tumou?rs?|stages?"
        r"|grades?|surviv\w+|ethnic\w*|bmi|weight|dose|temperature|diabet\w+|cell types?)\b"
    ),
    re.IGNORECASE,
)


def refuse_unknown_topics(
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
    _say_unknown_places(question, covered, factors, cautions)
    named = {m.factor for m in mentions}
    concept = _KNOWN_CONCEPTS.search(question)
    if concept and not named and not any(s < concept.end() and concept.start() < e for s, e in covered):
        _judge_topic(concept.group(0), samples, factors, factor, mentions, cautions)


_PLACE = re.compile(
    (
        r"\b(?:in|among|amongst|within|only|from|at|for)\s+(?:the\s+|only\s+)*([\w-]+(?:\s+[\w-]+)?)(?=\s+(?:only"
        r"|cells?|samples?)\b|[,;.?!]|\s|$)"
    ),
    re.IGNORECASE,
)
_RESTRICTING = re.compile(
    r"males?|females?|men|women|boys?|girls?|smokers?|non-?smokers?|diabetics?|adults?|children|elderly|wild-?types?"
    r"|knock-?outs?|mutants?",
    re.IGNORECASE,
)


def _say_unknown_places(
    question: str, covered: Sequence[tuple[int, int]], factors: dict[str, Factor], cautions: list[Caution]
) -> None:
    """ "in women" without a column for sex is an error; other groups that are not in the table block."""
    for match in _PLACE.finditer(question):
        start, end = match.span(1)
        text = match.group(1)
        if any(s < end and start < e for s, e in covered) or _is_said_of_genes(text):
            continue
        if _RESTRICTING.fullmatch(text.split()[0]):
            raise UnknownFactorError(
                f"The sentence is about {text.split()[0]!r} only, which the table of samples does not tell.",
                hint=f"The samples differ by: {', '.join(differing(factors)) or 'nothing'}.",
                factors=differing(factors),
                topic=text,
            )
        is_only = re.match(r"\s*(only|alone)\b", question[end:], re.IGNORECASE)
        if is_only or re.search(r"respond|non-?\w+ers\b", text, re.IGNORECASE):
            text = f"{text!r} is not in the table of samples, so the samples cannot be restricted to it."
            cautions.append(Caution(code="omics.not_in_samples", text=text, blocks=True))


def _is_said_of_genes(text: str) -> bool:
    return bool(
        re.search(
            (
                r"\b(genes?|transcripts?|expression|samples?|groups?|conditions?|each other|one another|two|both"
                r"|replicates?|fdr|padj|cut-?off|threshold|deseq2?|benjamini|wald|default)\b"
            ),
            text,
            re.IGNORECASE,
        )
    )


_GENERIC_TREATED = re.compile(
    (
        r"treat|trt|stim|drug|compound|case|affected|knock|kd|ko|mut|rnai|sirna|shrna|crispr|oe|overexp|induced"
        r"|infected|exposed|transfect|perturb|test|experiment"
    ),
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
    if control is not None and vocabulary().rank("control_levels", text) is not None:
        return  # "control" for the level that is the control
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
                    text=(
                        f"{text!r} is not in the table of samples; it is taken to be "
                        f"{next(level for level in levels if level != control)!r} of {factor}."
                    ),
                )
            )
        return
    raise UnknownFactorError(
        f"The sentence asks about {text!r}, which is not in the table of samples.",
        hint="The samples differ by: "
        + "; ".join(f"{name} ({', '.join(list(samples.levels(name))[:6])})" for name in differing(factors)[:8])
        + ".",
        factors=differing(factors),
        topic=text,
    )
