"""A model's sentences held to the results: every number traced to where it stands, or struck with the reason.

A number stands when it is a fact's, is said of what the fact is about, in its unit, and in its direction. What cannot
be told is left to the reader; what is wrong is struck. Calls no model, reads no file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from desktop.studios.omics.report_claims import (
    DASH,
    MASK,
    MINUS,
    Claimed,
    Mention,
    Turn,
    claims_in,
    clause_of,
    cleaned,
    masked,
    mentions_in,
    number_of,
    turns_in,
)
from desktop.studios.omics.report_numbers import Number, Struck

LONGEST = 600  # characters of a sentence
Told = list["str | Number | Struck"]
Kind = Literal["count", "threshold", "change", "p", "share"]
NOT_THERE = "This number is not in the results."
_ELSEWHERE = "The results have this number, but not for what is said here."
_CONTRARY = "The results say the opposite."
_OTHER_CONTRAST = "These results are of another contrast."
_FACT = re.compile(r"\[\[\s*([\w.:-]+)\s*\]\]")
_GENES = r"(?:\w+ly )?(?:\w+ ){0,2}?(?:genes?|transcripts?|probes?|features?)\b"
_DOES = r"(?:of|are|were|is|was|go|goes|went|have|had|chang\w+|differ\w*|tested|significant\w*|respond\w*)\b"
_COUNTS = re.compile(rf"\s(?:{_GENES}|{_DOES})|\s?[).;,]|$", re.IGNORECASE)
_NUMBERED = re.compile(
    r"\b(?:days?|weeks?|hours?|months?|years?|figures?|tables?|clusters?|groups?|stages?|passages?|samples?|chromosomes?"
    r"|exons?|versions?|steps?|grades?|at|after|before|in|on|for) $",
    re.IGNORECASE,
)
_OF = re.compile(r"(?:\bof|\ball|\bin|\band|=|:|\()\s?$", re.IGNORECASE)
_UNIT = re.compile(
    r"[-‐‑\s]?(?:fold|times|x\b|×|%|‰|per ?cent|days?|hours?|h\b|weeks?|samples?|donors?|patients?|mice|cells?\b|reads?"
    r"|levels?|replicates?|pathways?|years?|kb\b|mM\b|nM\b|µM\b)",
    re.IGNORECASE,
)
_MORE = re.compile(
    r"(?:\b(?:more|fewer|less|greater|larger|smaller) than|\b(?:over|above|under|below|beyond|exceed\w*|up to)"
    r"|[<>≤≥])\s?$",
    re.IGNORECASE,
)
_BELOW = re.compile(
    r"(?:<|≤|\b(?:below|under|less than|at|of|threshold|cut-?off|level|alpha|FDR|rate)(?: of| at| is| was|:| =)?)\s?$",
    re.IGNORECASE,
)
_P = re.compile(r"\b(?:p|q|padj|p[- ]?adj|fdr|p[- ]?values?|q[- ]?values?|significance|adjusted)\b", re.IGNORECASE)
_JUST_P = re.compile(r"\b(?:p|q|padj|fdr|(?:p|q)[- ]?values?)(?: of| is| was|:)?\s?[=<≤]?\s?$", re.IGNORECASE)
_FOLD = re.compile(r"\bfold[- ]changes?(?: of| is| was| =|:|=)?\s?$", re.IGNORECASE)
_LOG = re.compile(r"log(?:2|₂)?[ -]?(?:ratio|fold)?[- ]?changes?(?: of| is| was| =|:|=)?\s?$", re.IGNORECASE)
_FOR = re.compile(r"\s?(?:\(|log2? fold changes?|fold|for|in|of|\s)*$", re.IGNORECASE)
_JOINED = re.compile(r"\s?(?:,|and|&|/|, and|or)?\s?")
_COMPONENTS = {
    "PC1": ("PC1",),
    "PC2": ("PC2",),
    "principal component 1": ("PC1",),
    "principal component 2": ("PC2",),
    "first principal component": ("PC1",),
    "second principal component": ("PC2",),
    "first component": ("PC1",),
    "second component": ("PC2",),
    "first two principal components": ("PC1", "PC2"),
    "first two components": ("PC1", "PC2"),
}


@dataclass(frozen=True, slots=True)
class Fact:
    """A number of the run with what it says.

    about   the gene's id, or the component, the number belongs to; "" for one of the whole run
    sign    +1 or -1 where it says that something is higher or lower in the treated level
    """

    number: Number
    says: str
    kind: Kind = "count"
    about: str = ""
    sign: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """What else is known of a run, to hold words to.

    names     what may hold digits and is no number: levels, factors, samples
    genes     a gene's name in the text → the ids it may mean
    changes   a gene's id → +1 or -1 where it changes, 0 where it does not
    treated, control   the levels compared; others: further levels of the same factor
    """

    names: Sequence[str] = ()
    genes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    changes: Mapping[str, int] = field(default_factory=dict)
    treated: str = ""
    control: str = ""
    others: Sequence[str] = ()


def hold_to_results(sentences: Sequence[str], facts: Mapping[str, Fact], known: Known) -> list[Told]:
    """The sentences with every number traced or struck, and words of direction struck that the results contradict."""
    texts = [cleaned(text[:LONGEST]) for text in sentences]
    return [_Sentence(text, facts, known).told() for text in texts if text]


class _Sentence:
    """One sentence while it is held to the results. Places are of its text."""

    def __init__(self, text: str, facts: Mapping[str, Fact], known: Known) -> None:
        self._text, self._facts, self._known = text, facts, known
        self._named = list(_FACT.finditer(text))
        hidden = masked(text, [one.span() for one in self._named])
        things = {**{name: ids for name, ids in known.genes.items() if not name.isdigit()}, **_COMPONENTS}
        things |= {f"gene {name}": ids for name, ids in known.genes.items() if name.isdigit()}
        self._mentions = mentions_in(hidden, things)
        hidden = masked(hidden, [(one.start, one.end) for one in self._mentions])
        spared = mentions_in(hidden, {name: () for name in (*known.names, *known.others) if _may_stand(name)})
        self._turns = turns_in(hidden, known.control, known.treated)  # levels are still to be seen
        hidden = masked(hidden, [(one.start, one.end) for one in spared])
        self._claims = claims_in(hidden)
        self._hidden = hidden
        self._is_elsewhere = bool(mentions_in(text, {name: () for name in known.others if len(name) > 1}))
        self._at: dict[int, Fact | None] = {}  # where a number begins → the fact it states

    def told(self) -> Told:
        for match in self._named:
            self._at[match.start()] = self._facts.get(match[1])
        for claim in self._claims:
            self._at[claim.start] = next(iter(self._candidates(claim)), None)
        parts: list[tuple[int, int, Number | Struck]] = []
        parts += [self._filled(match) for match in self._named]
        free = [one for one in self._claims if not any(start <= one.start < end for start, end, _ in parts)]
        parts += [(one.start, one.end, self._claimed(one)) for one in free]
        wrong = [(turn.start, turn.end) for turn in self._turns if self._is_contrary(turn)]
        parts += [(start, end, Struck(self._text[start:end], _CONTRARY)) for start, end in wrong]
        told: Told = []
        at = 0
        for start, end, part in sorted(parts, key=lambda one: one[0]):
            told += [self._text[at:start], part]
            at = end
        return [part for part in (*told, self._text[at:]) if part]

    # ---- one number -------------------------------------------------------------------------------------------

    def _filled(self, match: re.Match[str]) -> tuple[int, int, Number | Struck]:
        """A fact's name: its number, or struck where it is no fact's or must not stand here."""
        fact, (start, end) = self._facts.get(match[1]), match.span()
        if fact is None:
            return start, end, Struck(match[0])
        if fact.kind == "share" and (unit := re.match(r"\s?(?:%|per ?cent\b)", self._text[end:])):
            end += unit.end()  # the number brings its own
        why = self._why_not(fact, start, end) or self._glued(start, end)
        return start, end, Struck(fact.number.text, why) if why else fact.number

    def _claimed(self, claim: Claimed) -> Number | Struck:
        """A number the model wrote itself: the fact it states, or struck."""
        fits = self._candidates(claim)
        if not fits:
            return Struck(claim.text)
        whys = [self._why_not(fact, claim.start, claim.end) for fact in fits]
        if self._is_in_range(claim.start, claim.end):
            return Struck(claim.text, _ELSEWHERE)
        for fact, why in zip(fits, whys, strict=True):
            if not why and (fact.kind != "count" or self._is_count(claim)):
                return fact.number
        return Struck(claim.text, next(filter(None, whys), _ELSEWHERE))

    def _candidates(self, claim: Claimed) -> list[Fact]:
        if claim.value is None:
            return []
        found = []
        for fact in self._facts.values():
            text = fact.number.text
            if number_of(text) != claim.value or ("%" in text) != claim.is_percent:
                continue
            is_below = text.startswith("<")
            if is_below and not re.search(r"(?:<|below|under|less than)\s?$", self._text[: claim.start]):
                continue
            sign = "-" if text[0] in MINUS else "+"
            if claim.sign and fact.kind != "change" and claim.sign == "-":
                continue
            if fact.kind == "change":
                written = claim.sign or ("-" if self._direction(claim.start, claim.end) == -1 else "+")
                if written != sign:
                    continue
            found.append(fact)
        return found

    def _why_not(self, fact: Fact, start: int, end: int) -> str:
        """Why a fact's number must not stand at this place; "" when it may."""
        before, after = self._hidden[:start], self._hidden[end:]
        if self._is_elsewhere and fact.kind != "threshold":
            return _OTHER_CONTRAST
        if fact.kind == "threshold":
            return "" if _BELOW.search(before) else _ELSEWHERE
        if _UNIT.match(after) or (fact.kind != "p" and _MORE.search(before)):
            return _ELSEWHERE
        if fact.kind == "p" and (
            not _P.search(self._since_other(before)) or re.search(r"(?:>|≥|\babove|\bover|more than)\s?$", before)
        ):
            return _ELSEWHERE
        if fact.kind == "change" and (_JUST_P.search(before) or (_FOLD.search(before) and not _LOG.search(before))):
            return _ELSEWHERE
        if fact.kind in ("count", "share") and _JUST_P.search(before):
            return _ELSEWHERE
        if fact.about and not self._is_about(fact, start, end):
            return _ELSEWHERE
        if fact.sign and self._direction(start, end) == -fact.sign:
            return _CONTRARY
        return ""

    def _since_other(self, before: str) -> str:
        """The words before a p value, back to the last number that is none."""
        others = [at for at, fact in self._at.items() if at < len(before) and (fact is None or fact.kind != "p")]
        return before[max(others, default=0) :]

    def _glued(self, start: int, end: int) -> str:
        """Whether what stands beside a fact's name makes another number of it."""
        before, after = self._text[:start], self._text[end:]
        is_glued = re.search(rf"[\w+{DASH}.,^/×*][.,]?$", before) or re.match(r"[\w^×]|[.,]\d|\s?[×*/^]", after)
        is_glued = is_glued or re.search(r"\d[.,\s]$", before) or re.match(r"\s\d", after)
        return _ELSEWHERE if is_glued or self._is_in_range(start, end) else ""

    def _is_in_range(self, start: int, end: int) -> bool:
        after = re.match(rf"\s?[{DASH}—]\s?[\d.{MASK}]", self._hidden[end:])
        before = re.search(rf"[\d{MASK}]\s?[{DASH}—]\s?$", self._hidden[:start])
        numbers = {at for at in self._at if at != start}
        is_after = after and any(end < at <= end + 4 for at in numbers)
        is_before = before and any(at < start for at in numbers)
        return bool(is_after or is_before)

    def _is_count(self, claim: Claimed) -> bool:
        """Whether a number written by the model is said to be one of genes."""
        after, before = self._hidden[claim.end :], self._hidden[: claim.start]
        match = _COUNTS.match(after)
        if _NUMBERED.search(before) and not re.match(rf"\s{_GENES}", after, re.IGNORECASE):
            return False
        if any(turn.start - claim.end in range(1, 16) for turn in self._turns) and re.match(r"\s[\w -]*$", after[:1]):
            return True
        if match is None:
            return False
        return bool(match[0].strip(" ).;,")) or bool(_OF.search(before))

    # ---- what it is said of -----------------------------------------------------------------------------------

    def _direction(self, start: int, end: int) -> int:
        """The direction a number is said to have, 0 when none is: of its clause, else of the one before."""
        first, last = clause_of(self._hidden, start)
        inside = [turn for turn in self._turns if first <= turn.start < last]
        if inside:
            return min(inside, key=lambda turn: turn.start - end if turn.start >= end else start - turn.end).sign
        earlier = [turn for turn in self._turns if turn.end <= start]
        return earlier[-1].sign if earlier else 0

    def _is_about(self, fact: Fact, start: int, end: int) -> bool:
        """Whether a number is said of the gene or component it belongs to, as far as the words tell."""
        following = [one for one in self._mentions if one.start >= end]
        if following and _FOR.fullmatch(self._text[end : following[0].start]):
            closes = self._text[following[0].end :][:1]
            if self._text[end : following[0].start].strip() or closes in ("", ".", ")"):
                return fact.about in following[0].keys
        before = [one for one in self._mentions if one.end <= start]
        if not before:
            return bool(following) and fact.about in following[0].keys and len(following) == 1
        run = _run_of(before, self._text)
        keys = [key for one in run for key in one.keys] if any(len(one.keys) == 2 for one in run) else []
        listed: list[tuple[str, ...]] = [(key,) for key in keys] or [one.keys for one in run]
        if len(listed) == 1:
            return fact.about in listed[0]
        alike = sorted(at for at, other in self._at.items() if other is not None and other.kind == fact.kind)
        alike = [at for at in alike if at >= run[-1].end and not any(run[-1].end <= m.start < at for m in following)]
        if len(alike) == len(listed):
            return fact.about in listed[alike.index(start)]
        return False

    def _is_contrary(self, turn: Turn) -> bool:
        """Whether genes are said to go where the results say they do not."""
        of = [one for one in self._mentions if one.start >= turn.end]
        near = self._text[turn.end : of[0].start] if of else "…"
        if of and re.fullmatch(r"\s(?:(?:levels?|expression) )?(?:of |in )?", near) and near.strip() + near:
            subjects = [of[0]]
        else:
            before = [one for one in self._mentions if one.end <= turn.start]
            if not before:
                return False
            between = range(before[-1].end, turn.start)
            if any(other.start in between for other in self._turns) or any(
                at in between for at, fact in self._at.items() if fact is None or fact.kind in ("count", "threshold")
            ):
                return False
            subjects = _run_of(before, self._text)
        changes = self._known.changes
        for one in subjects:
            if any(key in changes for key in one.keys) and turn.sign not in {changes.get(key, 0) for key in one.keys}:
                return True
        return False


def _run_of(mentions: Sequence[Mention], text: str) -> list[Mention]:
    """The last mention and those listed right before it: "A, B and C"."""
    run = [mentions[-1]]
    for one in reversed(mentions[:-1]):
        if not _JOINED.fullmatch(text[one.end : run[0].start]):
            break
        run.insert(0, one)
    return run


def _may_stand(name: str) -> bool:
    """Whether a name with digits is one beyond doubt: not a bare number, and no sentence about numbers."""
    has_both = re.search(r"\d", name) and re.search(r"[^\W\d_]", name)
    return bool(has_both) and not re.search(rf"\b(?:{_GENES}|fold|times|per ?cent)|%|[<>=]", name, re.IGNORECASE)
