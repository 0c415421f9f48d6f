"""Words that tell what a column, a level or a heading means, read once from resources/config/omics/vocabulary.yaml.

Holds no rules: only lists, folded the same way on both sides of a comparison.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import yaml

from desktop.core.paths import resources_dir

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NOT_WORD = re.compile(r"[^a-z0-9#/%.+αβγδµμ]+")


def fold(text: str) -> str:
    """Lower case, words parted by single blanks: "Cell_Line", "cell-line" and "cellLine" become "cell line"."""
    text = unicodedata.normalize("NFKC", text).strip()
    text = _CAMEL.sub(" ", text).lower()
    return _NOT_WORD.sub(" ", text).strip(" .")


_ALLELES = (("-/-", " ko"), ("+/+", " wt"), ("+/-", " ht"), ("-/+", " ht"))


def spell_alleles(text: str) -> str:
    """ "Ldlr-/-" as "Ldlr ko", "+/+" as "wt", "+/-" as "ht"; of the same length, so places stay right."""
    text = text.replace("\u2212", "-").replace("\u2013", "-")
    for sign, word in _ALLELES:
        text = text.replace(sign, word)
    return text


def words(text: str) -> list[str]:
    """The words of a folded text."""
    return [word.strip(".") for word in fold(text).split() if word.strip(".")]


@dataclass(frozen=True)
class Vocabulary:
    """Lists by name, folded; `lists["control_levels"]` keeps its order, best first."""

    lists: dict[str, tuple[str, ...]]
    synonyms: tuple[frozenset[str], ...]
    factor_synonyms: dict[str, frozenset[str]]
    time_units: dict[str, str]

    def has(self, which: str, text: str) -> bool:
        """The whole of `text`, folded, is one of the list (also with its blanks left out)."""
        folded = fold(text)
        return folded in self._set(which) or folded.replace(" ", "") in self._set(which)

    def has_word(self, which: str, text: str) -> bool:
        """One of the list stands in `text` as a whole word or words."""
        padded = f" {' '.join(words(text))} "
        return any(f" {entry} " in padded for entry in self.lists[which] if entry)

    def rank(self, which: str, text: str) -> int | None:
        """Place in the list of the first entry that is `text` or stands in it as whole words; None when none does."""
        folded = fold(text)
        padded = f" {' '.join(words(text))} "
        joined = folded.replace(" ", "")
        for place, entry in enumerate(self.lists[which]):
            if folded == entry or joined == entry.replace(" ", ""):
                return place
        for place, entry in enumerate(self.lists[which]):
            if f" {entry} " in padded:
                return place + 1000
        return None

    def _set(self, which: str) -> frozenset[str]:
        return _as_set(self.lists[which])


@lru_cache(maxsize=64)
def _as_set(entries: tuple[str, ...]) -> frozenset[str]:
    return frozenset(entries)


@lru_cache(maxsize=1)
def vocabulary() -> Vocabulary:
    """The one vocabulary of the studio."""
    raw = yaml.load((resources_dir() / "config/omics/vocabulary.yaml").read_text("utf-8"), Loader=yaml.BaseLoader)
    lists = {
        name: tuple(_keep_signs(entry) for entry in entries)
        for name, entries in raw.items()
        if isinstance(entries, list) and all(isinstance(entry, str) for entry in entries)
    }
    return Vocabulary(
        lists=lists,
        synonyms=tuple(frozenset(fold(word) for word in group) for group in raw["synonyms"]),
        factor_synonyms={
            name: frozenset(fold(word) for word in group) for name, group in raw["factor_synonyms"].items()
        },
        time_units=dict(raw["time_units"]),
    )


def _keep_signs(entry: str) -> str:
    return fold(entry) or entry


def is_missing_label(text: str) -> bool:
    """An empty cell, or one of the usual ways to write that a value is unknown. "null" and "none" are labels."""
    return text.strip().lower() in vocabulary().lists["missing_labels"] or not text.strip()
