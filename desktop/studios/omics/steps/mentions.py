"""Which factors and levels of a sample table a sentence names: words, synonyms, stems, gene and drug names."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from desktop.studios.omics.schema import SampleTable
from desktop.studios.omics.steps.contrasts import without_unit
from desktop.studios.omics.steps.factors import Factor, is_number
from desktop.studios.omics.steps.vocabulary import spell_alleles, vocabulary, words

_TOKEN = re.compile(r"[^\W_]+(?:[.][0-9]+)?")


@dataclass(frozen=True)
class Token:
    """A word of the question, folded, with its place."""

    text: str
    raw: str
    start: int
    end: int


@dataclass(frozen=True)
class Mention:
    """A factor (level None) or a level named in tokens [first, last]; `strength` 3 word for word, 1 by its stem."""

    factor: str
    level: str | None
    first: int
    last: int
    start: int
    end: int
    strength: float


def tokens_of(question: str) -> list[Token]:
    """The words of the question."""
    text = spell_alleles(question.replace("’", "'"))
    return [Token(match.group().lower(), match.group(), match.start(), match.end()) for match in _TOKEN.finditer(text)]


def is_ordinary(word: str) -> bool:
    """A word of any question, naming nothing in particular."""
    return word in vocabulary().lists["ordinary_words"]


def find_mentions(question: str, samples: SampleTable, factors: dict[str, Factor]) -> list[Mention]:
    """Every mention, without overlaps within a factor; the longest and surest first, then in order of the sentence."""
    tokens = tokens_of(question)
    found: list[Mention] = []
    usable = {name: factor for name, factor in factors.items() if factor.role not in ("identity", "technical")}
    for name in usable:
        levels = list(samples.levels(name))
        own = Counter(word for level in levels for word in set(_parts(level)))
        alike = Counter(joined(level) for level in levels)
        for level in levels:
            if alike[joined(level)] > 1:  # told apart by signs alone: "CD4+" and "CD4-"
                found += _literal_mentions(question, tokens, name, level)
                continue
            found += _level_mentions(tokens, name, level, own, levels)
        found += _factor_mentions(tokens, name, factors[name])
        found += _name_mentions(tokens, name, usable)
    return _without_overlaps(found)


def _name_mentions(tokens: list[Token], name: str, usable: dict[str, Factor]) -> list[Mention]:
    """ "HIV" for the factor HIV_status: a word of its name that says something and that no other factor's name has."""
    table = vocabulary()
    parts = _parts(name)
    others = {part for other in usable if other != name for part in _parts(other)}
    kinds = ("group_names", "batch_names", "pairing_names", "replicate_names", "identity_names", "numeric_names")
    telling = {
        part
        for part in parts
        if len(part) > 2 and not is_ordinary(part) and not any(table.has(kind, part) for kind in kinds)
    }
    return [
        Mention(name, None, at, at, token.start, token.end, 1.5)
        for at, token in enumerate(tokens)
        if len(parts) > 1 and token.text in telling - others
    ]


def _without_overlaps(found: list[Mention]) -> list[Mention]:
    kept: list[Mention] = []
    for mention in sorted(found, key=lambda m: (-m.strength, -(m.last - m.first), m.first)):
        clash = [other for other in kept if other.first <= mention.last and mention.first <= other.last]
        if any(
            other.factor == mention.factor or other.strength > mention.strength + 0.4 or _covers(other, mention)
            for other in clash
        ):
            continue
        kept.append(mention)
    return sorted(kept, key=lambda m: (m.first, m.last))


def _covers(other: Mention, mention: Mention) -> bool:
    return other.last - other.first > mention.last - mention.first


def _parts(level: str) -> list[str]:
    return re.findall(r"[^\W_]+", spell_alleles(level).lower())


def joined(text: str) -> str:
    """Letters and digits only, with times written one way ("day 7" and "7 days" are "7d")."""
    return _time("".join(re.findall(r"[^\W_]+", spell_alleles(text).lower())))


def _time(text: str) -> str:
    match = re.fullmatch(r"(\d+)([a-z]+)", text)
    if match and match.group(2) in vocabulary().time_units:
        return match.group(1) + vocabulary().time_units[match.group(2)]
    match = re.fullmatch(r"([a-z]+)(\d+)", text)
    if match and match.group(1) in vocabulary().time_units and match.group(1) not in ("w", "y"):
        return match.group(2) + vocabulary().time_units[match.group(1)]
    return text


def _level_mentions(
    tokens: list[Token], factor: str, level: str, own: Counter[str], levels: list[str]
) -> list[Mention]:
    found: list[Mention] = []
    whole = joined(level)
    if not whole:
        return found
    alike = _synonyms(level)
    letter = len(whole) == 1
    share = level.rstrip("% ") if level.endswith("%") and is_number(level.rstrip("% ")) else ""
    for first in range(len(tokens)):
        for last in range(first, min(first + 6, len(tokens))):
            text = " ".join(token.text for token in tokens[first : last + 1])
            key = joined(text)
            strength = 0.0
            if share:  # "1%" is a level beside "21%" or "oxygen", never in "FDR 1%"
                strength = _short_strength(tokens, first, last, factor, share)
                if not strength and first == last and tokens[first].text == share:
                    strength = _number_strength(tokens, first, [other.rstrip("% ") for other in levels])
            elif letter or is_number(level):
                strength = _short_strength(tokens, first, last, factor, level) or (2.5 if key in alike else 0.0)
                if not strength and first == last and is_number(level) and tokens[first].text == level:
                    strength = _number_strength(tokens, first, levels)
            elif key == whole or (key in (whole + "s", whole + "es") and len(whole) > 2):
                strength = 3.0
                if is_ordinary(key) and key not in ("control", "high", "low", "treatment"):
                    strength = 2.0
            elif key in alike:
                strength = 2.5
            elif last == first + 1 and _is_numbered(tokens[first].text, tokens[last].text, whole, factor):
                strength = 2.3
            elif first == last:
                strength = _word_strength(tokens[first].text, level, own)
            if strength and not _is_negated(tokens, first, level):
                found.append(Mention(factor, level, first, last, tokens[first].start, tokens[last].end, strength))
    return found


def _literal_mentions(question: str, tokens: list[Token], factor: str, level: str) -> list[Mention]:
    """The level as it is written, signs included."""
    found = []
    for match in re.finditer(rf"(?<![\w+-]){re.escape(level.lower())}(?![\w+-])", question.lower()):
        inside = [at for at, token in enumerate(tokens) if match.start() <= token.start < match.end()]
        if inside:
            found.append(Mention(factor, level, inside[0], inside[-1], match.start(), match.end(), 3.0))
    return found


def _is_numbered(word: str, number: str, level: str, factor: str) -> bool:
    """ "condition 2" for cond2, "group 3" for g3."""
    match = re.fullmatch(r"([a-z]+)(\d+)", level)
    return bool(
        match
        and number == match.group(2)
        and word.startswith(match.group(1))
        and word in (joined(factor), match.group(1))
    )


def _short_strength(tokens: list[Token], first: int, last: int, factor: str, level: str) -> float:
    """A level of one letter or a bare number: only as written, and a number only beside its factor or a unit."""
    if first != last:
        text = joined(" ".join(token.text for token in tokens[first : last + 1]))
        return (
            3.0
            if last == first + 1
            and text in {joined(level + unit) for unit in ("h", "d", "w", "min")}
            and is_number(level)
            else 0.0
        )
    token = tokens[first]
    if is_number(level):
        around = {tokens[at].text for at in (first - 1,) if at >= 0} | {
            tokens[at].text for at in (first + 1,) if at < len(tokens)
        }
        near = any(word in around for word in (*words(factor), *vocabulary().time_units)) or joined(token.text) in {
            joined(level + unit) for unit in ("h", "d", "w", "min")
        }
        return (
            2.5
            if (token.text == level and near)
            or (token.text != level and joined(token.text) in {joined(level + u) for u in ("h", "d", "w", "min")})
            else 0.0
        )
    if token.raw != level:
        return 0.0
    follow = tokens[first + 1].text if first + 1 < len(tokens) else ""
    beside = ("vs", "versus", "and", "compared", "relative", "against", "over")
    if level in ("A", "I") and first == 0 and follow not in beside:
        return 0.0
    return 2.5


_BETWEEN_NUMBERS = ("vs", "versus", "and", "against", "over", "to", "than", "with", "compared", "relative", "or")


def _number_strength(tokens: list[Token], at: int, levels: list[str]) -> float:
    """A bare number is a level beside another one ("10 vs 0", "between 1 and 2") or with the unit of an amount."""
    for step in (1, -1):
        place = at + step
        if 0 <= place < len(tokens) and tokens[place].text in vocabulary().lists["amount_units"]:
            place += step
        between = 0
        while 0 <= place < len(tokens) and tokens[place].text in _BETWEEN_NUMBERS and between < 2:
            place, between = place + step, between + 1
        if between and 0 <= place < len(tokens) and tokens[place].text in vocabulary().lists["amount_units"]:
            place += step  # "20 uM versus 0"
        other = tokens[place].text if between and 0 <= place < len(tokens) else ""
        if other in levels and other != tokens[at].text and is_number(other):
            return 2.3
    follows = tokens[at + 1].text if at + 1 < len(tokens) else ""
    return 2.0 if follows in vocabulary().lists["amount_units"] else 0.0


def _synonyms(level: str) -> set[str]:
    """Other ways to write the whole level."""
    folded = " ".join(_parts(level))
    flat = joined(level)
    found: set[str] = set()
    for group in vocabulary().synonyms:
        if folded in group or flat in {joined(entry) for entry in group}:
            found |= {joined(entry) for entry in group}
    bare = [part for part in _parts(level) if part not in vocabulary().lists["level_affixes"]]
    if bare and len(bare) < len(_parts(level)):
        found.add(joined(" ".join(bare)))
    return {entry for entry in found if len(entry) > 1} - {flat}


def _word_strength(word: str, level: str, own: Counter[str]) -> float:
    """One word of the question against the words of a level that no other level of the factor has."""
    if is_ordinary(word) or len(word) < 2:
        return 0.0
    best = 0.0
    for part in _parts(level):
        if own[part] > 1 or is_ordinary(part):
            continue
        core = re.sub(r"^(si|sh|sg)(?=[a-z]{2,}\d*)", "", part)
        if word == part or word in (part + "s", part + "es"):
            best = max(best, 2.0 if part not in vocabulary().lists["level_affixes"] else 1.6)
        elif word == core and len(core) > 2:
            best = max(best, 1.9)
        elif any(word in group and part in group for group in vocabulary().synonyms):
            best = max(best, 1.8)
        elif min(len(word), len(part)) >= 4 and (word.startswith(part) or part.startswith(word)):
            best = max(best, 1.5)
        elif _same_stem(word, part):
            best = max(best, 1.2)
    return best


def _same_stem(word: str, part: str) -> bool:
    common = 0
    for one, other in zip(word, part, strict=False):
        if one != other:
            break
        common += 1
    return common >= 5 and max(len(word), len(part)) - common <= 5 and word.isalpha() and part.isalpha()


def _is_negated(tokens: list[Token], first: int, level: str) -> bool:
    if first == 0 or tokens[first - 1].text not in ("non", "not", "un"):
        return False
    return not re.match(r"(non|not|un|no)", level.lower())


def _factor_mentions(tokens: list[Token], name: str, factor: Factor) -> list[Mention]:
    found: list[Mention] = []
    key = joined(name)
    bare = joined(without_unit(name))
    alike = {key, key + "s", re.sub(r"y$", "ie", key) + "s", *([bare, bare + "s"] if len(bare) > 2 else [])}
    means: set[str] = set()
    for entries in vocabulary().factor_synonyms.values():
        flat = {joined(entry) for entry in entries}
        if key in flat or bare in flat:
            means |= flat
    for group in vocabulary().synonyms:
        flat = {joined(entry) for entry in group}
        if key in flat:
            means |= flat
    for first in range(len(tokens)):
        for last in range(first, min(first + 4, len(tokens))):
            text = joined(" ".join(token.text for token in tokens[first : last + 1]))
            strength = 0.0
            if text in alike and len(text) > 1:
                strength = 2.2
            elif text in means and len(text) > 1:
                strength = 1.4
            elif (
                first == last
                and len(key) >= 3
                and len(text) >= 6
                and text.startswith(key)
                and not is_ordinary(text)
                and not vocabulary().has("group_names", name)
            ):
                strength = 1.3
            if strength and text in ("type", "line", "cell", "cells", "lines", "run") and strength < 2.2:
                strength = 0.7
            if strength and text == "type" and first and tokens[first - 1].text in ("wild", "cell"):
                strength = 0.0
            if strength:
                found.append(Mention(name, None, first, last, tokens[first].start, tokens[last].end, strength))
    return found
