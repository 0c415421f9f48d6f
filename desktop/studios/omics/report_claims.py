"""What a sentence about results claims: its numbers, in digits and words, its directions, what they are said of.

Reads English prose as text; knows no results and strikes nothing. `report_held.py` does.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Literal

MASK = "\ue000"  # stands for a character of a name or of a fact; none is left in a cleaned text
MINUS = "-−–‐‑‒﹣－"
DASH = re.escape(MINUS)  # within brackets of a pattern
_SIGN = rf"[+＋±{DASH}]"
_GROUPED = r"\d{1,3}(?:[ ,'’]\d{3})+(?:\.\d+)?(?!\d)"
_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_POWER = rf"(?:[eE]{_SIGN}?\d+|\s?[×x·*]\s?10\s?\^?\s?[{DASH}⁻+]?[\d{_RAISED}]+)"
_DIGITS = rf"(?:{_GROUPED}|\.?\d(?:[\d.,]*\d)?)(?:{_POWER})?(?:\s?(?:%|‰|per ?cent\b)|[^\W\d_]+)?"
_UNITS = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
_UNITS += " eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_VALUES = {word: number for number, word in enumerate(_UNITS.split(), start=1)}
_VALUES |= {word: number * 10 for number, word in enumerate(_TENS.split(), start=2)} | {"zero": 0}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_PARTS = "half|halves|thirds?|quarters?|fifths?|sixths?|sevenths?|eighths?|ninths?|tenths?|hundredths?|thousandths?"
_VAGUE = "dozens?|scores of|twice|thrice|doubl(?:e[sd]?|ing)|tripl(?:e[sd]?|ing)|quadrupl(?:e[sd]?|ing)|quintuple[sd]?"
_VAGUE += r"|hundreds|thousands|millions|billions|per ?cent\b|majority|minority|\w+fold"
_ORDINAL = (
    r"(?:second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth)(?=[ -](?:most|strongest|largest|highest|low))"
)
_EVERY = r"(?:all|every|most|no|none)(?= (?:(?:of )?(?:the |these |its )?)(?:\w+ )?genes?\b)"
_COUNTED = "|".join((*_VALUES, *_SCALES))
_WORDS = rf"\b(?:(?:{_COUNTED})(?:(?:[ -]|,? and )(?:{_COUNTED}))*|{_PARTS}|{_VAGUE}|{_ORDINAL}|{_EVERY})\b"
_PLAIN = (
    rf"(?!(?:x|n|p|q|fc|lfc|fdr|padj|by|to)\.?\d)(?![{_RAISED}])[^\W\d_]\w*"  # a word; "log2" and "TP53" are no numbers
)
_CLAIM = re.compile(rf"(?P<words>{_WORDS})|{_PLAIN}|(?P<digits>(?:(?<![\w)\]]){_SIGN})?{_DIGITS})", re.IGNORECASE)
_UP = r"up|up-?regulat\w+|higher|ris(?:e|es|en|ing)|rose|increas\w+|induc\w+|elevat\w+|gain(?:s|ed|ing)?|activat\w+"
_UP += r"|over-?express\w+|enhanc\w+|raised|stronger"
_DOWN = r"down|down-?regulat\w+|lower(?:ed|s|ing)?|fall(?:s|en|ing)?|fell|decreas\w+|reduc\w+|repress\w+|suppress\w+"
_DOWN += r"|declin\w+|drop(?:s|ped|ping)?|diminish\w*|los(?:s|es|t|ing)|silenc\w+|inhibit\w*|deplet\w+"
_DOWN += r"|under-?express\w+|weaker"
_TURN = re.compile(
    rf"(?P<not>\b(?:not|never|neither|nor|no)\s)?\b(?:(?P<up>{_UP})|(?P<down>{_DOWN}))(?![\w{MASK}])", re.IGNORECASE
)
_PARTING = re.compile(r"[;:]|,(?!\d)|\b(?:and|but|while|whereas|although|yet|with)\b", re.IGNORECASE)
_THAN = r"(?:\s\w+){0,3}?\s(?:in|with|under|for|of)\s(?:the\s)?"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A number as written. `value` None: no plain number. `sign` as written: "-", "+" or ""."""

    start: int
    end: int
    text: str
    value: Decimal | None
    sign: str = ""
    is_percent: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """A word of direction: +1 up, -1 down, turned round where it is said of the control."""

    start: int
    end: int
    sign: Literal[1, -1]


@dataclass(frozen=True, slots=True)
class Mention:
    """Something the results are of, named: a gene, a component. `keys` two where two are named in one."""

    start: int
    end: int
    keys: tuple[str, ...]


def cleaned(text: str) -> str:
    """Text on one line, without characters that are not seen or turn the order of others round."""
    kept = "".join(c for c in text if c.isspace() or unicodedata.category(c)[0] != "C")
    return re.sub(r"\s+", " ", kept).strip()


def masked(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """The text with these stretches out of sight; as long as before."""
    for start, end in spans:
        text = f"{text[:start]}{MASK * (end - start)}{text[end:]}"
    return text


def claims_in(text: str) -> list[Claimed]:
    """Every number of a masked text. One in letters glued to a number ("3x", "24h", "2nd") has no value."""
    text = re.sub(r"(?i)\blog(?:₂|₁₀)", lambda match: "log" + MASK * (len(match[0]) - 3), text)
    odd = [at for at, sign in enumerate(text) if _is_odd(sign)]
    found = [Claimed(at, at + 1, text[at], None) for at in odd]
    for match in _CLAIM.finditer("".join(MASK if _is_odd(sign) else sign for sign in text)):
        if match["words"]:
            found.append(Claimed(match.start(), match.end(), match[0], _of_words(match["words"])))
        elif match["digits"]:
            found.append(_of_digits(match))
        else:
            raised = [at for at in range(*match.span()) if text[at] in _RAISED]
            found += [Claimed(at, at + 1, text[at], None) for at in raised]
    return sorted(found, key=lambda one: one.start)


def number_of(text: str) -> Decimal | None:
    """The value of a number in digits, sign left out; None for what is none: "4,57", "3x"."""
    plain = unicodedata.normalize("NFKC", text).strip().lower().lstrip(f"<≤+±{MINUS} ").translate(_ASCII)
    plain = re.sub(r"\s?[×x·*]\s?10\s?\^?\s?", "e", plain).replace(" %", "").rstrip("%‰").strip()
    plain = re.sub(r"\s?per ?cent$", "", plain)
    if re.fullmatch(r"\d{1,3}(?:[ ,'’]\d{3})+(?:\.\d+)?", plain):
        plain = re.sub(r"[ ,'’]", "", plain)
    try:
        return Decimal(plain) if re.fullmatch(r"(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,4})?", plain) else None
    except InvalidOperation:
        return None


def turns_in(text: str, control: str, treated: str) -> list[Turn]:
    """The words of direction in a text; "higher in CONTROL" is down. A denied one says nothing."""
    found: list[Turn] = []
    for match in _TURN.finditer(text):
        if match["not"]:
            continue
        sign: Literal[1, -1] = 1 if match["up"] else -1
        start = match.start("up" if match["up"] else "down")
        if control and re.match(rf"{_THAN}{re.escape(control)}(?!\w)", text[match.end() :]) and control != treated:
            sign = -1 if sign == 1 else 1
        found.append(Turn(start, match.end(), sign))
    return found


def clause_of(text: str, at: int) -> tuple[int, int]:
    """Where the clause around a place begins and ends."""
    borders = [0, *(match.end() for match in _PARTING.finditer(text)), len(text)]
    start = max(border for border in borders if border <= at)
    return start, min((border for border in borders if border > at), default=len(text))


def mentions_in(text: str, names: Mapping[str, tuple[str, ...]]) -> list[Mention]:
    """Where things are named, by `names`: text → keys. Longest name first, as whole words only."""
    known = sorted((name for name in names if name), key=len, reverse=True)
    if not known:
        return []
    pattern = re.compile(rf"(?<![\w.])(?:{'|'.join(map(re.escape, known))})(?!\w)")
    return [Mention(match.start(), match.end(), names[match[0]]) for match in pattern.finditer(text)]


def _of_digits(match: re.Match[str]) -> Claimed:
    text = match["digits"]
    sign = "-" if text[0] in MINUS else "+" if text[0] in "+＋" else ""
    value = None if text[0] == "±" else number_of(text)
    before = match.string[: match.start()]
    if word := re.search(r"\b(?:minus|negative) $", before, re.IGNORECASE):
        return Claimed(word.start(), match.end(), match.string[word.start() : match.end()], value, "-")
    return Claimed(match.start(), match.end(), text, value, sign, "%" in text or "cent" in text)


def _is_odd(sign: str) -> bool:
    """Whether it is a number and neither a digit nor a raised one: "½", "Ⅳ", "三"."""
    return (
        not sign.isascii()
        and sign not in _RAISED
        and not sign.isdecimal()
        and unicodedata.numeric(sign, None) is not None
    )


def _of_words(text: str) -> Decimal | None:
    """ "two thousand two hundred and eleven" → 2211; None for what is no whole number."""
    words = [word for word in re.split(r"[ ,-]+", text.lower()) if word != "and"]
    if any(word not in _VALUES and word not in _SCALES for word in words):
        return None
    total = part = 0
    for word in words:
        if word == "hundred":
            part = max(part, 1) * 100
        elif word in _SCALES:
            total, part = total + max(part, 1) * _SCALES[word], 0
        else:
            part += _VALUES[word]
    return Decimal(total + part)


_ASCII = str.maketrans(dict.fromkeys(MINUS, "-"))
