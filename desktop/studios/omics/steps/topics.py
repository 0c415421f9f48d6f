"""What a sentence says it is about has to be in the sample table: anything else is an error, never passed over."""

from __future__ import annotations

import re
from collections.abc import Sequence

from desktop.studios.omics.errors import UnknownFactorError
from desktop.studios.omics.schema import Caution, SampleTable
from desktop.studios.omics.steps import factors as facts
from desktop.studios.omics.steps.factors import Factor, differing
from desktop.studios.omics.steps.mentions import Mention, is_ordinary, tokens_of
from desktop.studios.omics.steps.vocabulary import spell_alleles, vocabulary

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
        r"\b(sex|sexes|genders?|males?|females?|men|women|age|ages|old|young|smok\w+|genotypes?|wild[- ]?type"
        r"|knock-?outs?|tissues?|organs?|time ?points?|hours?|days?|batch|batches|diets?|obes\w+|strains?|tumou?rs?"
        r"|stages?|grades?|surviv\w+|ethnic\w*|bmi|weight|dose|temperature|diabet\w+|cell types?)\b"
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
    phrases: Sequence[tuple[int, int]] = (),
) -> None:
    """What the sentence says it compares has to be in the table; only a name for the treated group may be new.

    phrases   places of phrases that adjust or leave out, which are looked at elsewhere
    """
    covered = [(m.start, m.end) for m in mentions] + list(phrases)
    for mention in mentions:  # "cold stress" is not the level "heat stress"
        other = _other_neighbour(question, mention)
        if other and not _is_of_another_level(other.lower(), mention, samples):
            raise _not_this(f"{other} … {question[mention.start : mention.end]}", mention, samples)
    for pattern in _TOPICS:
        for match in re.finditer(pattern, question, re.IGNORECASE):
            for group in range(1, (match.lastindex or 0) + 1):
                start, end = match.span(group)
                inside = [m for m in mentions if m.start < end and start < m.end]
                _refuse_other_gene(question, start, end, samples, inside)
                if inside or any(s < end and start < e for s, e in covered):
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
        known = next((w for w in text.split() if _is_known_name(w)), "")
        if known:
            raise UnknownFactorError(
                f"The sentence is about {known!r}, which is not in the table of samples.",
                hint=f"The samples differ by: {', '.join(differing(factors)) or 'nothing'}.",
                factors=differing(factors),
                topic=text,
            )
        is_only = re.match(r"\s*(only|alone)\b", question[end:], re.IGNORECASE)
        if is_only or re.search(r"respond|non-?\w+ers\b", text, re.IGNORECASE):
            text = f"{text!r} is not in the table of samples, so the samples cannot be restricted to it."
            cautions.append(Caution(code="omics.not_in_samples", text=text, blocks=True))


def _is_known_name(word: str) -> bool:
    """A drug, cytokine or disease that goes by several names, all of them known."""
    low = word.lower()
    return len(low) >= 4 and bool(_particular(low)) and any(low in group for group in vocabulary().synonyms)


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


_OF_A_GENE = re.compile(
    r"knock\w*|kd|ko|mut\w*|rnai|si|sh|sg|sirna|shrna|sgrna|crispr\w*|cas9|oe|over|overexp\w*|express\w*|null|delet\w*"
    r"|del|deficien\w*|deplet\w*|silenc\w*|loss|lost|lack\w*|absen\w*|inactivat\w*|haploinsufficien\w*|het\w*|hom\w*"
    r"|transgenic|tg|cko|dko",
    re.IGNORECASE,
)
_OF_AN_AGENT = re.compile(
    r"treat\w*|trt|stim\w*|drug|compound|agent|exposed|exposure|induced|infected|infection|transfected|perturb\w*|test"
    r"|experiment\w*|case|cases|affected|activated|challenged",
    re.IGNORECASE,
)
_SYSTEMATIC = re.compile(
    r"cg\d{3,5}|fbgn\d+|ens\w*g\d+|at\dg\d{5}|y[a-p][lr]\d{3}[wc]|wbgene\d+|loc\d+|gm\d{4,}", re.IGNORECASE
)


def _particular(text: str) -> list[str]:
    """The words that name one gene, drug or group, lower case; words for what was done to it are left out."""
    found = []
    for word in re.findall(r"[^\W_]+", spell_alleles(text).lower()):
        bare = re.sub(r"^(si|sh|sg)(?=[a-z]{2,}\d*)", "", word)
        plain = (
            _OF_A_GENE.fullmatch(bare) or _OF_AN_AGENT.fullmatch(bare) or bare in vocabulary().lists["level_affixes"]
        )
        if len(bare) > 1 and not plain and not is_ordinary(bare) and not bare.isdigit():
            found.append(bare)
    return found


def _looks_like_gene(word: str) -> bool:
    """Written as symbols of genes are: with a digit, or with capitals that no ordinary word has."""
    return bool(re.search(r"[A-Za-z]", word)) and bool(re.search(r"\d", word) or re.fullmatch(r"[A-Z]{2,}[a-z]?", word))


def _refuse_other_gene(question: str, start: int, end: int, samples: SampleTable, inside: Sequence[Mention]) -> None:
    """ "TP53 knock-down" is not the level HOXA1_KD, though both are knock-downs."""
    for mention in inside:
        if mention.level is None or mention.strength >= 1.85:
            continue
        own = _particular(mention.level)
        said = [word for word in _particular(question[start:end]) if not _is_of_another_level(word, mention, samples)]
        if not own or not said or any(_is_same_name(one, other) for one in own for other in said):
            continue
        if all(_SYSTEMATIC.fullmatch(word) for word in own):
            continue
        raise _not_this(question[start:end].strip(), mention, samples)


def _not_this(text: str, mention: Mention, samples: SampleTable) -> UnknownFactorError:
    return UnknownFactorError(
        f"The sentence asks about {text!r}; the table of samples has {mention.level!r}.",
        hint=f"Levels of {mention.factor} are: {', '.join(samples.levels(mention.factor))}. Name the ones to compare.",
        factors=[mention.factor],
        topic=text,
    )


def _other_neighbour(question: str, mention: Mention) -> str:
    """The word beside a word of a level that is not the one the level has there ("cold" stress, vitamin "C"); or ""."""
    parts = re.findall(r"[^\W_]+", spell_alleles(mention.level or "").lower())
    word = question[mention.start : mention.end].lower()
    if word not in parts or len(parts) < 2:
        return ""
    at = parts.index(word)
    before = re.search(r"([^\W_]+)[\s-]$", question[: mention.start])
    after = re.match(r"[\s-]([^\W_]+)", question[mention.end :])
    for beside, place in ((before, at - 1), (after, at + 1)):
        if beside is None or not 0 <= place < len(parts):
            continue
        said, own = beside.group(1), parts[place]
        is_letter = len(said) == 1 and said.isupper() and len(own) == 1
        is_name = said.isalpha() and own.isalpha() and bool(_particular(said)) and bool(_particular(own))
        if (is_letter or is_name) and said.lower() not in parts and not _is_same_name(said.lower(), own):
            return said
    return ""


def _is_of_another_level(word: str, mention: Mention, samples: SampleTable) -> bool:
    words = [_particular(level) for level in samples.levels(mention.factor) if level != mention.level]
    return any(_is_same_name(word, other) for level in words for other in level)


def _is_same_name(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return short == long or (len(short) >= 3 and short in long)


def _may_be(text: str, level: str, *, is_named: bool) -> bool:
    """Whether what the sentence is about may be what this level holds, under a name the table does not give.

    "treated" may be any agent; "KO" only a gene, so its name has to be that of a gene or the sentence say what was done
    to one. A level that names its own gene or drug is no other, but a systematic name ("CG8144") has a common one.
    """
    if all(_OF_AN_AGENT.fullmatch(word) for word in re.findall(r"[^\W_]+", text)):
        return True  # "infected", "treated", for the only level that is not the control
    particular = _particular(level)
    if particular:
        return is_named and all(_SYSTEMATIC.fullmatch(word) for word in particular)
    parts = re.findall(r"[^\W_]+", spell_alleles(level))
    if any(_OF_AN_AGENT.fullmatch(part) for part in parts):
        return True
    if not any(_OF_A_GENE.fullmatch(part) for part in parts):
        return False
    named = re.findall(r"[^\W_]+", text)
    return any(_OF_A_GENE.fullmatch(word) or _looks_like_gene(word) for word in named)


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
    treated = next((level for level in levels if level != control), "")
    is_named = any(m.level == treated for m in mentions)
    if treated and is_named and not _particular(text):
        return  # "siRNA against HOXA1" for siHOXA1
    generic = named_plainly and control is not None and len(levels) == 2 and _may_be(text, treated, is_named=is_named)
    named_both = len({m.level for m in mentions if m.factor == factor and m.level is not None}) >= 2
    if (generic or named_both) and not _KNOWN_CONCEPTS.fullmatch(text.strip()):
        if not named_both:
            cautions.append(
                Caution(
                    code="omics.taken_as",
                    text=(
                        f"{text!r} is not in the table of samples; it is taken to be {treated!r} of {factor}. "
                        "Check that it is."
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
