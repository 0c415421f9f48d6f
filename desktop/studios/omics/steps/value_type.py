"""What the numbers of a table are, from the numbers themselves: counts, normalised, log scale. Names are not asked.

Axes are (genes, samples).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desktop.studios.omics.schema import ValueType

_MILLION = 1e6


@dataclass(frozen=True)
class Verdict:
    """A value type and the sentence that says why."""

    value_type: ValueType
    why: str


def value_type(values: NDArray[Any]) -> Verdict:
    """Tell what (G, S) numbers are. NaN counts as missing and is left out."""
    numbers = np.asarray(values, dtype=np.float64)
    known = np.isfinite(numbers)
    if numbers.size == 0 or not known.any():
        return Verdict("unknown", "There is no number in it.")
    filled = np.where(known, numbers, 0.0)
    low, high = float(filled.min()), float(filled.max())
    if low == high:
        if high == 0:
            return Verdict("counts", "Every value is 0.")
        return Verdict("not_expression", f"Every value is {low:g}.")
    if low >= 0 and high >= 1000 and _is_same_everywhere(filled):
        return Verdict(
            "not_expression", "Each row has nearly the same value in every sample: lengths or other facts, not reads."
        )
    sums = filled.sum(axis=0)
    whole = bool(np.all(filled == np.rint(filled)))
    if low < 0 and _is_standardised(filled):
        return Verdict("not_expression", "Every row has mean 0 and spread 1: z-scores, which have lost what is tested.")
    if not whole and (apart := _on_two_scales(filled)):
        return Verdict("not_expression", apart)
    if low < 0 and (whole or max(high, -low) > 100):
        return Verdict(
            "linear_intensity",
            f"Values up to {high:,.0f}, {int((filled < 0).sum())} of them negative (down to {low:.4g}): not reads.",
        )
    if low < 0:
        return Verdict(
            "log_intensity", f"There are negative values (down to {low:.4g}): log scale or centred, not reads."
        )
    if whole:
        return _whole_numbers(filled, sums, high)
    if not known.all() and (~known).mean() > 0.5:
        return Verdict("unknown", "More than half of the values are missing.")
    if np.all(np.abs(sums / _MILLION - 1) < 0.02):
        return Verdict("tpm", "Every column adds up to one million: TPM or CPM, not reads.")
    if high <= 1:
        return Verdict("not_expression", "Fractions from 0 to 1 (as of methylation or splicing), not expression.")
    zeros = float((filled == 0).mean())
    positive = filled[filled > 0]
    if high < 30 and filled.shape[0] >= 20:
        return Verdict("log_intensity", f"Fractional values up to only {high:.3g}: a log scale, not reads.")
    whole_frac = float((np.abs(positive - np.rint(positive)) < 1e-6).mean())
    if whole_frac >= 0.25 and float(np.median(sums)) >= 1e4:
        return Verdict(
            "expected_counts",
            f"Reads shared out between genes (as RSEM, kallisto or salmon give them): {whole_frac:.0%} of the values "
            "above 0 are whole numbers. They are rounded.",
        )
    if _is_floored(filled):
        return Verdict(
            "log_intensity" if high < 30 else "fpkm", f"The smallest value, {low:g}, stands for zero: transformed."
        )
    if zeros < 0.01 and low > 0 and float(np.median(positive)) > 20:
        return Verdict("linear_intensity", "Fractional, all above 0 and large: array intensities on the linear scale.")
    scaled = _is_scaled_counts(filled)
    return Verdict(
        "fpkm",
        "Fractional values above 0: "
        + (
            "reads divided by one number a sample (normalised counts)."
            if scaled
            else "FPKM, RPKM or another normalised scale, not reads."
        ),
    )


def _whole_numbers(filled: NDArray[np.float64], sums: NDArray[np.float64], high: float) -> Verdict:
    if high <= 1:
        return Verdict("not_expression", "Only 0 and 1: present or absent, not reads.")
    n_genes, n_samples = filled.shape
    if n_genes >= 200 and high <= 30 and float(np.median(filled[filled > 0])) >= 4:
        return Verdict("log_intensity", f"Whole numbers up to only {high:g}, most of them high: rounded log values.")
    if n_genes >= 100 and n_samples >= 2 and np.all(np.abs(sums / _MILLION - 1) < 0.005):
        return Verdict("tpm", "Whole numbers, but every column adds up to one million: rounded TPM or CPM, not reads.")
    if n_genes >= 100 and n_samples >= 3:
        ranked = np.sort(filled, axis=0)
        if np.array_equal(ranked[:, 0], ranked[:, 1]) and np.array_equal(ranked[:, 0], ranked[:, 2]):
            return Verdict(
                "linear_intensity", "Every sample has exactly the same set of values: quantile-normalised, not reads."
            )
    return Verdict(
        "counts", f"Whole numbers from 0 up; {_million(sums.min())} to {_million(sums.max())} reads a sample."
    )


def _million(reads: float) -> str:
    return f"{reads / 1e6:.3g} million" if reads >= 1e5 else f"{reads:,.0f}"


def _on_two_scales(filled: NDArray[np.float64]) -> str:
    """Some columns look like logs and others do not, or some add up to one million; "" where all are alike."""
    if filled.shape[0] < 100 or filled.shape[1] < 2:
        return ""
    top = filled.max(axis=0)
    is_log = (top < 30) & (filled != np.rint(filled)).any(axis=0)
    if is_log.any() and (top > 1000).any():
        return (
            f"{int(is_log.sum())} of {len(top)} columns hold values up to only {top[is_log].max():.3g}, others up to "
            f"{top.max():,.0f}: columns on different scales."
        )
    whole = (filled == np.rint(filled)).all(axis=0)
    million = (np.abs(filled.sum(axis=0) / _MILLION - 1) < 0.02) & ~whole
    if whole.sum() >= 2 and million.sum() >= 2:
        return (
            f"{int(whole.sum())} columns are whole numbers and {int(million.sum())} add up to one million (TPM, CPM)."
        )
    return ""


def _is_same_everywhere(filled: NDArray[np.float64]) -> bool:
    """Rows hardly differ between samples, as lengths of genes do: reads differ by depth alone by more than that."""
    if filled.shape[0] < 100 or filled.shape[1] < 3:
        return False
    positive = filled[(filled > 0).all(axis=1)]
    if len(positive) < 0.9 * len(filled):
        return False
    return float(np.median(np.ptp(positive, axis=1) / positive.mean(axis=1))) < 0.05


def _is_standardised(filled: NDArray[np.float64]) -> bool:
    """Nearly all rows have mean 0 and standard deviation 1."""
    if filled.shape[0] < 20 or filled.shape[1] < 4:
        return False
    centred = np.abs(filled.mean(axis=1)) < 0.01
    spread = [np.abs(filled.std(axis=1, ddof=ddof) - 1) < 0.02 for ddof in (0, 1)]
    return bool(centred.mean() > 0.95 and max(float(one.mean()) for one in spread) > 0.9)


def _is_floored(filled: NDArray[np.float64]) -> bool:
    low = float(filled.min())
    return 0 < low < 1e-3 and float((filled == low).mean()) > 0.02


def _is_scaled_counts(filled: NDArray[np.float64]) -> bool:
    """Each column is whole numbers times one factor."""
    for column in filled.T[:4]:
        positive = column[column > 0]
        if positive.size < 20:
            return False
        ratio = positive / positive.min()
        small = ratio[ratio < 50]
        if small.size < 10 or np.mean(np.abs(small - np.rint(small)) < 0.02) < 0.95:
            return False
    return True
