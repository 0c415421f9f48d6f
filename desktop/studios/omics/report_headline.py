"""The answer of a run in one sentence, its numbers with their sources. No layout."""

from __future__ import annotations

import numpy as np

from desktop.studios.omics.report_numbers import Number, Sentence
from desktop.studios.omics.results import RunView, load_results_table
from desktop.studios.omics.steps.contrasts import folder_of, title_of, unit_in_words

N_NAMED = 4  # further contrasts named in the headline


def headline(view: RunView) -> Sentence:
    """The answer: what the first contrast says, then how many genes each further one changes."""
    if view.contrast is None:
        return _of_samples(view)
    others = view.plan.contrasts[1:]
    if not others:
        return sentence_of(view)
    said: Sentence = [*sentence_of(view), " On the same fit:"]
    for number, contrast in enumerate(others[:N_NAMED], start=1):
        folder = folder_of(contrast, number)
        n_called = int((load_results_table(view.out_dir / folder)["padj"] < view.plan.alpha).sum())
        count = Number(f"{n_called:,}", f"{folder}/results.csv", f"count:padj < {view.plan.alpha!r}")
        said += ["," if number > 1 else "", f" {title_of(contrast, view.samples)} ", count]
    return [*said, f", and {len(others) - N_NAMED} more." if len(others) > N_NAMED else "."]


def sentence_of(view: RunView) -> Sentence:
    """What the contrast of a view says."""
    plan, contrast = view.plan, view.contrast
    if contrast is None:
        return _of_samples(view)
    results, called = f"{view.folder}results.csv", f"padj < {plan.alpha!r}"
    is_called, change = view.padj < plan.alpha, view.log2_fold_change
    n_called = Number(f"{int(is_called.sum()):,}", results, f"count:{called}")
    n_tested = Number(f"{int(np.isfinite(view.padj).sum()):,}", results, "count:padj == padj")
    alpha = Number(f"{plan.alpha:g}", "plan.json", "json:/alpha")
    n_up = Number(f"{int((is_called & (change > 0)).sum()):,}", results, f"count:{called} and log2_fold_change > 0")
    n_down = Number(f"{int((is_called & (change < 0)).sum()):,}", results, f"count:{called} and log2_fold_change < 0")
    against = f" against {plan.reduced}" if plan.reduced else ""
    end: Sentence = [" (adjusted p < ", alpha, f"; design {plan.design}{against})."]
    if plan.lfc_threshold:
        least = Number(f"{plan.lfc_threshold:g}", "plan.json", "json:/lfc_threshold")
        end = [" (tested for a log2 fold change beyond ", least, "; adjusted p < ", alpha, f"; design {plan.design})."]
    inside = "".join(f" in {name} {level}" for name, level in contrast.within.items())
    across = " and ".join(contrast.factors)
    if not is_called.any():
        none = f" tested changes detectably between {contrast.treated} and {contrast.control}{inside}"
        if contrast.is_interaction:
            none = f" tested shows a detectable interaction of {across}{inside}"
        elif plan.reduced:
            none = f" tested changes detectably across {across}"
        elif contrast.is_slope:
            none = f" tested changes detectably with {contrast.factor}{inside}"
        return ["No gene of ", n_tested, none, *end]
    if contrast.is_interaction:
        if plan.reduced:
            words = f" genes tested the effects differ between levels of {across} (any of them)"
            return ["For ", n_called, " of ", n_tested, words, *end]
        words = f" genes tested the effects differ ({contrast}): "
        return ["For ", n_called, " of ", n_tested, words, n_up, " more, ", n_down, " less", *end]
    if plan.reduced:
        words = f" lower in {contrast.treated} than in {contrast.control}"
        said: Sentence = [n_called, " of ", n_tested, f" genes tested change across {contrast.factor}; of them ", n_up]
        return [*said, " are higher and ", n_down, words, *end]
    if contrast.is_slope:
        unit = unit_in_words(contrast.factor, view.samples)
        words = f" fall (log2 fold change per {unit}){inside}"
        said = [
            n_called,
            " of ",
            n_tested,
            f" genes tested change with {contrast.factor}: ",
            n_up,
            " rise and ",
            n_down,
        ]
        return [*said, words, *end]
    words = f" lower in {contrast.treated} than in {contrast.control}{inside}"
    return [n_called, " of ", n_tested, " genes tested change: ", n_up, " are higher and ", n_down, words, *end]


def _of_samples(view: RunView) -> Sentence:
    """A run that tests no genes: the samples' components, and what is flagged."""
    flagged = [row["sample"] for row in view.quality if row["is_outlier"]]
    n_flagged = Number(f"{len(flagged):,}", "sample_qc.csv", "count:is_outlier == True")
    n_samples = Number(f"{len(view.sample_names):,}", "sample_qc.csv", "count:index == index")
    if view.plan.kind == "sample_qc":
        return [n_flagged, " of ", n_samples, " samples are flagged", f": {', '.join(flagged)}." if flagged else "."]
    first_two = [percent_of(view, f"PC{k + 1}") for k in range(min(2, len(view.pca_percent)))]
    parts: Sentence = ["The first components hold "]
    parts += [first_two[0]] if len(first_two) < 2 else [first_two[0], " and ", first_two[1]]
    verdict = "most of" if float(view.pca_percent[:2].sum()) > 50 else "part of"
    tells = f" of the variance, {verdict} what tells the samples apart; "
    return [*parts, tells, n_flagged, " of ", n_samples, " samples are flagged."]


def percent_of(view: RunView, component: str) -> Number:
    """The share of variance of a principal component."""
    share = view.pca_percent[int(component[2:]) - 1]
    return Number(f"{share:.1f} %", "pca.csv", f"cell:sample=percent_variance;{component}")
