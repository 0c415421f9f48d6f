"""A run put into words by a model, and every number in the words held to the results.

A model writes the names of facts; the numbers are filled in here, each with its source. A number it writes itself
stands only if it is the text of a fact; any other, in digits or as a word, is struck and flagged. Calls no model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import yaml

from desktop.core.models import Message, Prompt, Task
from desktop.core.paths import resources_dir
from desktop.studios.omics.report_numbers import Number, Struck, small
from desktop.studios.omics.results import RunView, load_json

FILE = "told.json"  # in a run's folder: the model, and its sentences as it wrote them
TASK = Task(kind="omics.tell_results", is_private=True)
N_GENES = 6  # of each direction, given to the model
_LONGEST = 600  # characters of a sentence
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "sentences": {"type": "array", "minItems": 1, "maxItems": 6, "items": {"type": "string", "maxLength": _LONGEST}}
    },
    "required": ["sentences"],
    "additionalProperties": False,
}
_FACT = re.compile(r"\[\[\s*([\w.:-]+)\s*\]\]")
_WORDS = "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|hundred"
_WORDS += "|thousand|million|billion|dozen|half|third|quarter|twice|double|triple|twofold|threefold|tenfold"
_DIGITS = r"(?<![\w.,])[-+−]?\d(?:[\d,.]*\d)?(?:e[-+−]?\d+)?(?:\s?%)?(?!\w)"
_NUMBER = re.compile(rf"{_DIGITS}|\b(?:{_WORDS})s?\b", re.IGNORECASE)


Told = list["str | Number | Struck"]


@dataclass(frozen=True, slots=True)
class Words:
    """A run in a model's words; n_struck numbers of them are not in the results."""

    model: str
    sentences: list[Told]
    n_struck: int


@dataclass(frozen=True, slots=True)
class Fact:
    """A number of the run with what it says."""

    number: Number
    says: str


def told_facts(view: RunView) -> dict[str, Fact]:
    """What a model may say of a run, by name. Empty for a run without a contrast."""
    plan, contrast = view.plan, view.plan.contrast
    if contrast is None:
        return {}
    change, is_called = view.log2_fold_change, view.padj < plan.alpha
    called = f"padj < {plan.alpha!r}"
    facts: dict[str, Fact] = {}

    def count(name: str, mask: Any, where: str, says: str) -> None:
        facts[name] = Fact(Number(f"{int(np.sum(mask)):,}", "results.csv", f"count:{where}"), says)

    count("n_tested", np.isfinite(view.padj), "padj == padj", "genes tested")
    count("n_changed", is_called, called, "genes that change")
    up, down = f"{called} and log2_fold_change > 0", f"{called} and log2_fold_change < 0"
    count("n_up", is_called & (change > 0), up, f"genes higher in {contrast.treated or 'larger values'}")
    count("n_down", is_called & (change < 0), down, f"genes lower in {contrast.treated or 'larger values'}")
    facts["alpha"] = Fact(Number(f"{plan.alpha:g}", "plan.json", "json:/alpha"), "the threshold on the adjusted p")
    for direction, sign in (("up", 1), ("down", -1)):
        for rank, i in enumerate(np.flatnonzero(is_called & (sign * change > 0))[:N_GENES], start=1):
            gene, name = view.gene_ids[i], view.gene_symbols[i] or view.gene_ids[i]
            cell = f"cell:gene_id={gene};"
            shown = Number(f"{change[i]:+.2f}", "results.csv", f"{cell}log2_fold_change")
            facts[f"{direction}{rank}_change"] = Fact(shown, f"log2 fold change of {name}")
            sure = Number(small(view.padj[i]), "results.csv", f"{cell}padj")
            facts[f"{direction}{rank}_p"] = Fact(sure, f"adjusted p of {name}")
    for k in range(min(2, len(view.pca_percent))):
        shown = Number(f"{view.pca_percent[k]:.1f} %", "pca.csv", f"cell:sample=percent_variance;PC{k + 1}")
        facts[f"pc{k + 1}"] = Fact(shown, f"share of the variance that principal component {k + 1} holds")
    return facts


def words_of(view: RunView) -> Words | None:
    """What a model said of this run, held to its results; None when none was asked."""
    if not (view.out_dir / FILE).is_file():
        return None
    told = load_json(view.out_dir / FILE)
    given = told.get("sentences")
    sentences = [text for text in given if isinstance(text, str)] if isinstance(given, list) else []
    factors = view.samples.factors
    names = [*factors, *(level for values in factors.values() for level in set(values)), *view.samples.samples]
    names += [name for name in (*view.gene_symbols, *view.gene_ids) if any(name in text for text in sentences)]
    held = hold_to_results(sentences, told_facts(view), [*names, view.plan.design])
    return Words(str(told.get("model", "")), held, sum(isinstance(part, Struck) for one in held for part in one))


def told_prompt(view: RunView, facts: Mapping[str, Fact]) -> Prompt:
    """What a model is asked: the facts by name, no table and no sample."""
    words = _words()
    listed = "\n".join(f"- [[{name}]] = {fact.number.text}: {fact.says}" for name, fact in facts.items())
    filled = words["user"].format(
        question=view.plan.question or "which genes change?",
        compared=str(view.plan.contrast),
        design=view.plan.design,
        facts=listed,
    )
    return Prompt((Message("system", words["system"]), Message("user", filled)), TASK, schema=SCHEMA, max_tokens=500)


def hold_to_results(sentences: Sequence[str], facts: Mapping[str, Fact], names: Sequence[str]) -> list[Told]:
    """The sentences with every number traced or struck.

    names   what may hold digits and is no number: genes, levels, factors; longest match first
    """
    by_text = {_bare(fact.number.text): fact.number for fact in reversed(list(facts.values()))}
    known = sorted({name for name in names if re.search(r"\d", name)}, key=len, reverse=True)
    is_name = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, known))})(?!\w)") if known else None
    return [_held(re.sub(r"\s+", " ", text[:_LONGEST]).strip(), facts, by_text, is_name) for text in sentences if text]


def _held(text: str, facts: Mapping[str, Fact], by_text: Mapping[str, Number], is_name: re.Pattern[str] | None) -> Told:
    parts: Told = []
    at = 0
    for match in _FACT.finditer(text):
        parts += _literal(text[at : match.start()], by_text, is_name)
        fact = facts.get(match.group(1))
        parts.append(fact.number if fact else Struck(match.group(0)))
        at = match.end()
    return [part for part in (*parts, *_literal(text[at:], by_text, is_name)) if part]


def _literal(text: str, by_text: Mapping[str, Number], is_name: re.Pattern[str] | None) -> Told:
    """Text without facts' names: names are kept whole, numbers are looked up."""
    spared = [match.span() for match in is_name.finditer(text)] if is_name else []
    parts: Told = []
    at = 0
    for match in _NUMBER.finditer(text):
        if any(start <= match.start() < end for start, end in spared):
            continue
        parts.append(text[at : match.start()])
        parts.append(by_text.get(_bare(match.group(0))) or Struck(match.group(0)))
        at = match.end()
    return [*parts, text[at:]]


def _bare(text: str) -> str:
    """A number's text without what only makes it easier to read."""
    return text.replace(",", "").replace("−", "-").replace(" ", "").lstrip("+").rstrip(".")


@lru_cache(maxsize=1)
def _words() -> dict[str, str]:
    path = resources_dir() / "prompts" / "omics" / "tell_results.yaml"
    words: dict[str, str] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return words
