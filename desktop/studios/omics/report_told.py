"""A run put into words by a model, and every number in the words held to the results.

A model writes the names of facts; the numbers are filled in here, each with its source. A number it writes itself
stands only if it is the text of a fact; what is held to what is in `report_held.py`. Calls no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import yaml

from desktop.core.models import Message, Prompt, Task
from desktop.core.paths import resources_dir
from desktop.studios.omics.report_held import LONGEST, Fact, Known, Told, hold_to_results
from desktop.studios.omics.report_numbers import Number, Struck, small
from desktop.studios.omics.results import RunView, load_json
from desktop.studios.omics.schema import Contrast
from desktop.studios.omics.steps.prompt_text import LONGEST_QUESTION, in_prompt

FILE = "told.json"  # in a run's folder: the model, and its sentences as it wrote them
TASK = Task(kind="omics.tell_results", is_private=True)
N_GENES = 6  # of each direction, given to the model
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "sentences": {"type": "array", "minItems": 1, "maxItems": 6, "items": {"type": "string", "maxLength": LONGEST}}
    },
    "required": ["sentences"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Words:
    """A run in a model's words; n_struck numbers of them are not in the results."""

    model: str
    sentences: list[Told]
    n_struck: int


def told_facts(view: RunView) -> dict[str, Fact]:
    """What a model may say of a run, by name. Empty for a run without a contrast."""
    plan, contrast = view.plan, view.plan.contrast
    if contrast is None:
        return {}
    change, is_called = view.log2_fold_change, view.padj < plan.alpha
    called = f"padj < {plan.alpha!r}"
    facts: dict[str, Fact] = {}

    def count(name: str, mask: Any, where: str, says: str, sign: int = 0) -> None:
        facts[name] = Fact(Number(f"{int(np.sum(mask)):,}", "results.csv", f"count:{where}"), says, sign=sign)

    count("n_tested", np.isfinite(view.padj), "padj == padj", "genes tested")
    count("n_changed", is_called, called, "genes that change")
    up, down = f"{called} and log2_fold_change > 0", f"{called} and log2_fold_change < 0"
    count("n_up", is_called & (change > 0), up, f"genes {_side(contrast, up=True)}", 1)
    count("n_down", is_called & (change < 0), down, f"genes {_side(contrast, up=False)}", -1)
    alpha = Number(f"{plan.alpha:g}", "plan.json", "json:/alpha")
    facts["alpha"] = Fact(alpha, "the threshold on the adjusted p", "threshold")
    for direction, sign in (("up", 1), ("down", -1)):
        for rank, i in enumerate(np.flatnonzero(is_called & (sign * change > 0))[:N_GENES], start=1):
            gene, name = view.gene_ids[i], _called(view.gene_symbols[i] or view.gene_ids[i])
            cell = f"cell:gene_id={gene};"
            shown = Number(f"{change[i]:+.2f}", "results.csv", f"{cell}log2_fold_change")
            facts[f"{direction}{rank}_change"] = Fact(shown, f"log2 fold change of {name}", "change", gene, sign)
            sure = Number(small(view.padj[i]), "results.csv", f"{cell}padj")
            facts[f"{direction}{rank}_p"] = Fact(sure, f"adjusted p of {name}", "p", gene)
    for k in range(min(2, len(view.pca_percent))):
        shown = Number(f"{view.pca_percent[k]:.1f} %", "pca.csv", f"cell:sample=percent_variance;PC{k + 1}")
        says = f"share of the variance that principal component {k + 1} holds"
        facts[f"pc{k + 1}"] = Fact(shown, says, "share", f"PC{k + 1}")
    return facts


def _side(contrast: Contrast, *, up: bool) -> str:
    """What a change of that sign means."""
    inside = "".join(f" in {name} {level}" for name, level in contrast.within.items())
    if contrast.is_slope:
        return f"that {'rise' if up else 'fall'} with {contrast.factor}{inside}"
    if contrast.is_interaction:
        outer = contrast.factors[0]
        treated, control = contrast.compared[outer]
        return (
            f"whose effect of {contrast.factors[1]} is {'larger' if up else 'smaller'} in {treated} than in {control}"
        )
    return f"{'higher' if up else 'lower'} in {contrast.treated}{inside}"


def words_of(view: RunView) -> Words | None:
    """What a model said of this run, held to its results; None when none was asked."""
    if not (view.out_dir / FILE).is_file():
        return None
    told = load_json(view.out_dir / FILE)
    given = told.get("sentences")
    sentences = [text for text in given if isinstance(text, str)] if isinstance(given, list) else []
    held = hold_to_results(sentences, told_facts(view), known_of(view, sentences))
    return Words(str(told.get("model", "")), held, sum(isinstance(part, Struck) for one in held for part in one))


def known_of(view: RunView, sentences: Sequence[str]) -> Known:
    """What of a run sentences can be held to beside the facts: names, and where each gene they name goes."""
    factors, contrast, text = view.samples.factors, view.plan.contrast, "\n".join(sentences)
    genes: dict[str, tuple[str, ...]] = {}
    changes: dict[str, int] = {}
    for gene, symbol, change, padj in zip(
        view.gene_ids, view.gene_symbols, view.log2_fold_change, view.padj, strict=True
    ):
        for name in {gene, symbol}:
            if name and name in text:
                genes[name] = (*genes.get(name, ()), gene)
                changes[gene] = int(np.sign(change)) if padj < view.plan.alpha else 0
    compared = {contrast.treated, contrast.control} if contrast else set()
    levels = {level for name in (contrast.factors if contrast else ()) for level in factors.get(name, ())}
    is_plain = contrast is not None and not contrast.is_interaction and not contrast.is_slope
    return Known(
        names=[*factors, *(level for values in factors.values() for level in set(values)), *view.samples.samples],
        genes=genes,
        changes=changes,
        treated=contrast.treated if contrast and is_plain else "",
        control=contrast.control if contrast and is_plain else "",
        others=sorted(levels - compared) if is_plain else (),
    )


def told_prompt(view: RunView, facts: Mapping[str, Fact]) -> Prompt:
    """What a model is asked: the facts by name, no table and no sample."""
    words = _words()
    listed = "\n".join(
        f"- [[{name}]] = {fact.number.text}: {in_prompt(fact.says, 200)}" for name, fact in facts.items()
    )
    filled = words["user"].format(
        question=in_prompt(view.plan.question, LONGEST_QUESTION) or "which genes change?",
        compared=in_prompt(str(view.plan.contrast), 400),
        design=in_prompt(view.plan.design, 400),
        facts=listed,
    )
    return Prompt((Message("system", words["system"]), Message("user", filled)), TASK, schema=SCHEMA, max_tokens=500)


def _called(name: str) -> str:
    """A gene as the facts name it: a bare number would be taken for one."""
    return f"gene {name}" if name.isdigit() else name


@lru_cache(maxsize=1)
def _words() -> dict[str, str]:
    path = resources_dir() / "prompts" / "omics" / "tell_results.yaml"
    words: dict[str, str] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return words
