"""Whether numbers that look like reads can be reads, and columns samples: what no sequencer gives is asked about.

Looks at numbers alone; axes are (genes, samples). Decides nothing: every doubt is a caution.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from desktop.studios.omics.schema import Caution

_MOST_GENES = 4000  # enough for a rank correlation


def strange_counts(values: NDArray[Any], samples: Sequence[str]) -> list[Caution]:
    """Whole numbers that are no plain reads: a sample twice, scaled and rounded, multiplied, thinned out."""
    cautions = _twins(values, samples)
    if cautions:
        return cautions
    gaps = {name: gap for at, name in enumerate(samples) if (gap := _gap(values[:, at])) is not None}
    factor = _common_factor(values)
    spread = _spread_of_few(values)
    if factor > 1:
        text = (
            f"Every count is a multiple of {factor}: reads that were multiplied, or counted {factor} times (each mate "
            "of a pair by itself). Give the counts as they were, or confirm that they are."
        )
        cautions.append(Caution(code="omics.already_normalised", text=text, blocks=True))
    elif gaps:
        name, gap = next(iter(gaps.items()))
        text = (
            f"No gene of {name} has exactly {gap} reads, while many have one more or one less, and so in {len(gaps)} "
            "sample(s): these are counts that were scaled and then rounded, not plain reads. Give the raw counts, or "
            "confirm that they are."
        )
        cautions.append(Caution(code="omics.already_normalised", text=text, blocks=True))
    elif spread is not None and spread < 0.7:
        text = (
            f"Genes of few reads vary only {spread:.2g} times as much between samples as chance alone makes counted "
            "reads vary: these are values scaled down and rounded (FPKM, TPM), not plain reads. Give the raw counts, "
            "or confirm that they are."
        )
        cautions.append(Caution(code="omics.already_normalised", text=text, blocks=True))
    totals = values.sum(axis=0)
    if len(totals) >= 4 and not cautions and np.ptp(totals) < 0.002 * totals.mean():
        text = (
            f"Every sample adds up to the same {totals.mean():,.0f}: these are not plain reads but values normalised "
            "and rounded, or reads thinned out to one depth. Give the raw counts, or confirm that they were thinned."
        )
        cautions.append(Caution(code="omics.equal_totals", text=text, blocks=True))
    return cautions


def strange_columns(values: NDArray[Any], samples: Sequence[str]) -> list[Caution]:
    """Columns whose values have nothing to do with the others', as positions or lengths of genes; tiny libraries."""
    cautions: list[Caution] = []
    totals = values.sum(axis=0)
    typical = float(np.median(totals))
    tiny = [name for name, total in zip(samples, totals, strict=True) if total < 0.05 * typical]
    if tiny and len(samples) >= 4:
        text = (
            f"{_some(tiny)} hold less than a twentieth of the reads that is usual here ({typical:,.0f}): failed "
            "libraries, or columns that are no samples. Leave them out, or say that they stay."
        )
        cautions.append(Caution(code="omics.small_library", text=text))
    if len(samples) < 4:
        return cautions
    alien = [name for name, likeness in zip(samples, _likeness(values), strict=True) if likeness < 0.2]
    if alien and len(alien) < len(samples) / 2:
        text = (
            f"The values of {_some(alien)} have nothing to do with those of the other columns: facts about genes "
            "(a position, a length, a share), not samples, or failed libraries. Take them out, or say that they stay."
        )
        cautions.append(Caution(code="omics.strange_column", text=text, blocks=True))
    return cautions


def _likeness(values: NDArray[Any]) -> NDArray[np.float64]:
    """(S,) Rank correlation of each column with the mean rank of all; genes with reads somewhere only."""
    seen = values[values.max(axis=1) > 0]
    seen = seen[:: max(1, len(seen) // _MOST_GENES)].astype(float)
    if len(seen) < 100:
        return np.ones(values.shape[1])
    ranks = np.apply_along_axis(rankdata, 0, seen)
    ranks -= ranks.mean(axis=0)
    length = np.linalg.norm(ranks, axis=0)
    length[length == 0] = np.inf
    middle = np.median(ranks / length, axis=1)
    norm = float(np.linalg.norm(middle))
    return np.asarray((ranks / length).T @ middle / norm) if norm > 0 else np.ones(values.shape[1])


def _twins(values: NDArray[Any], samples: Sequence[str]) -> list[Caution]:
    """Samples of exactly the same counts."""
    cautions: list[Caution] = []
    seen: dict[bytes, str] = {}
    for at, name in enumerate(samples):
        twin = seen.setdefault(np.ascontiguousarray(values[:, at]).tobytes(), name)
        if twin != name:
            text = f"{twin} and {name} have exactly the same counts: one sample stands twice. Leave one of them out."
            cautions.append(Caution(code="omics.identical_samples", text=text, blocks=True))
    return cautions


def _gap(values: NDArray[Any]) -> int | None:
    """A small number that no gene has although both its neighbours are common: what scaling up and rounding leaves."""
    often = np.bincount(values[values <= 41].astype(np.int64), minlength=42)
    return next((at for at in range(2, 41) if often[at] == 0 and min(often[at - 1], often[at + 1]) >= 30), None)


def _common_factor(values: NDArray[Any]) -> int:
    """The largest number that divides every count; 1 with few counts above 0."""
    positive = values[values > 0]
    return int(np.gcd.reduce(positive)) if positive.size >= 200 else 1


def _spread_of_few(values: NDArray[Any]) -> float | None:
    """How much genes of about 1.5 to 5 reads vary between samples, over what chance makes of reads; None if unknown.

    Reads vary at least as their number does, so 1 or more, whatever the biology. Genes are not looked at where those
    with a 0 in some sample were taken out, for that makes the others vary less.
    """
    if values.shape[1] < 4:
        return None
    means = values.mean(axis=1)
    few = values[(means > 1.5) & (means < 5)]
    partly = (values == 0).any(axis=1) & (means > 0)
    if len(few) < 200 or float(partly.mean()) < 0.05:
        return None
    freedom = values.shape[1] - 1
    usual = (1 - 2 / (9 * freedom)) ** 3  # the median of a chi-square over its degrees of freedom
    return float(np.median(few.var(axis=1, ddof=1) / few.mean(axis=1)) / usual)


def _some(items: Sequence[str], most: int = 6) -> str:
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")
