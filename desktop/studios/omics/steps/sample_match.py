"""Which row of a table of samples belongs to which column of an expression table: by name, never by position."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

_ACCESSION = re.compile(
    r"(?<![A-Za-z0-9])((?:GSM|SRR|ERR|DRR|SRX|ERX|DRX|SRS|ERS|DRS|SAMN|SAMEA|SAMD)\d{3,})(?![0-9])", re.IGNORECASE
)
_NOT_ALNUM = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Match:
    """pairs: column → row. `by` says the rung, `label` the column of the sample table that held the names.

    is_proposed   the names differ by more than writing: one-to-one, but a person should look
    """

    pairs: dict[int, int]
    by: str
    label: str
    is_proposed: bool = False
    unmatched_columns: list[int] = field(default_factory=list)
    unmatched_rows: list[int] = field(default_factory=list)


def fold_name(name: str) -> str:
    """A sample name without case, dots, hyphens, underscores and blanks."""
    return _NOT_ALNUM.sub("", name.lower())


def _fold_r(name: str) -> str:
    """As `fold_name`, also without the X that R puts before a name that starts with a digit."""
    return re.sub(r"^x(?=\d)", "", fold_name(name))


def _accession(name: str) -> str:
    found = _ACCESSION.search(name.replace("_", " ").replace(".", " "))
    return found.group(1).upper() if found else ""


_RUNGS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("the same names", str.strip),
    ("names that differ only in case, dots, hyphens or blanks", fold_name),
    ("names that differ only in an X before a digit", _fold_r),
    ("the accession in the name", _accession),
)


def match_samples(columns: Sequence[str], labels: Mapping[str, Sequence[str]]) -> Match | None:
    """Pair the columns with rows.

    columns   names of the expression table's columns
    labels    column of the sample table → its values, one a row; every one may hold the names
    returns   the best pairing: sure rungs before proposed ones, then more pairs; None if nothing matches
    """
    best: Match | None = None
    for by, key in _RUNGS:
        for label, values in labels.items():
            found = _pair([key(name) for name in columns], [key(value) for value in values])
            if best is not None and found and by == best.by and len(found) == len(best.pairs) and found != best.pairs:
                best = replace(best, by=f"{best.label}, while {label} pairs them in another way", is_proposed=True)
            if found and (best is None or len(found) > len(best.pairs)):
                best = Match(found, by, label)
    if best is not None and len(best.pairs) >= max(2, 0.5 * min(len(columns), _n_rows(labels))):
        return _complete(best, len(columns), _n_rows(labels))
    contained = _contained(columns, labels)
    if contained is not None:
        return _complete(contained, len(columns), _n_rows(labels))
    proposed = _proposed(columns, labels)
    if proposed is not None:
        return _complete(proposed, len(columns), _n_rows(labels))
    return _complete(best, len(columns), _n_rows(labels)) if best is not None else None


def _pair(columns: Sequence[str], rows: Sequence[str]) -> dict[int, int]:
    """One-to-one pairs of equal keys; a key that stands twice on either side pairs nothing."""
    place: dict[str, int] = {}
    for row, key in enumerate(rows):
        place[key] = -1 if key in place else row
    counted: dict[str, int] = {}
    for key in columns:
        counted[key] = counted.get(key, 0) + 1
    return {at: place[key] for at, key in enumerate(columns) if key and counted[key] == 1 and place.get(key, -1) >= 0}


def _contained(columns: Sequence[str], labels: Mapping[str, Sequence[str]]) -> Match | None:
    """Each column's name stands as whole words in exactly one row's label, and no row has two; all columns paired."""
    for label, values in labels.items():
        runs = [_word_runs(value) for value in values]
        pairs: dict[int, int] = {}
        for at, column in enumerate(columns):
            key = fold_name(column)
            if len(key) < 2 or not re.search("[a-z]", key):
                break
            rows = [row for row, found in enumerate(runs) if key in found]
            if len(rows) != 1:
                break
            pairs[at] = rows[0]
        if len(pairs) == len(columns) >= 2 and len(set(pairs.values())) == len(pairs):
            return Match(pairs, "the name within the label", label)
    return None


def _word_runs(text: str) -> set[str]:
    """Every run of whole words of a label, folded and joined."""
    parts = re.findall(r"[a-z]+|\d+", text.lower())[:40]
    starts = [match.start() for match in re.finditer(r"[a-z]+|\d+", text.lower())][:40]
    folded = text.lower()
    edge = [at == 0 or not folded[at - 1].isalnum() for at in starts]
    ends = [
        at + len(part) >= len(folded) or not folded[at + len(part)].isalnum()
        for at, part in zip(starts, parts, strict=True)
    ]
    return {
        "".join(parts[first : last + 1])
        for first in range(len(parts))
        if edge[first]
        for last in range(first, min(first + 10, len(parts)))
        if ends[last]
    }


def _proposed(columns: Sequence[str], labels: Mapping[str, Sequence[str]]) -> Match | None:
    """The same names once what all of one side share at the end or the beginning is taken off, all of them paired."""
    found: dict[tuple[tuple[int, int], ...], Match] = {}
    for label, values in labels.items():
        if len(set(values)) < len(values):
            continue
        for left in _stripped(columns):
            for right in _stripped(values):
                pairs = _pair(left, right)
                if pairs and len(pairs) == min(len(columns), len(values)) and len(pairs) >= 2:
                    key = tuple(sorted(pairs.items()))
                    found.setdefault(
                        key, Match(pairs, "names that share all but a common beginning or end", label, True)
                    )
    return next(iter(found.values())) if len(found) == 1 else None


def _stripped(names: Sequence[str]) -> list[list[str]]:
    folded = [fold_name(name) for name in names]
    end = _shared_start([name[::-1] for name in folded])[::-1]
    end = re.sub(r"^\d+", "", end)  # a number belongs to the name, not to what is shared
    start = re.sub(r"\d+$", "", _shared_start(folded))
    variants = [folded]
    if end:
        variants.append([name.removesuffix(end) for name in folded])
    if start:
        variants.append([name.removeprefix(start) for name in folded])
    return [
        variant
        for variant in variants
        if len(set(variant)) == len(variant) and all(re.search("[a-z]", core) for core in variant)  # not numbers alone
    ]


def _shared_start(names: Sequence[str]) -> str:
    """The letters all names begin with."""
    first, last = min(names, default=""), max(names, default="")
    return next((first[:at] for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), first)


def _n_rows(labels: Mapping[str, Sequence[str]]) -> int:
    return max((len(values) for values in labels.values()), default=0)


def _complete(match: Match, n_columns: int, n_rows: int) -> Match:
    rows = set(match.pairs.values())
    return Match(
        match.pairs,
        match.by,
        match.label,
        match.is_proposed,
        [at for at in range(n_columns) if at not in match.pairs],
        [row for row in range(n_rows) if row not in rows],
    )
