"""Intensities and other values on a log scale through the analysis: log2 where needed, moderated t of `moderated_t.py`.

`recipe.py` calls `prepare`, `is_testable`, `fit_model`, `compare_genes`, as in `count_model.py`; `script.py` copies the
one a plan needs into its script. It reads and writes no file. Not for tests of TPM or FPKM: those are only looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from desktop.studios.omics.steps.moderated_t import (
    ModeratedFit,
    fit_intensities,
    moderated_f_test,
    moderated_t_test,
    share_of_trend,
)
from desktop.studios.omics.steps.quality import Scaled, Tested
from desktop.studios.omics.steps.sample_weights import sample_weights

Matrix = NDArray[np.float64]

DATA_FILE = "values.csv.gz"
SHOWN_FILE = "log2_values.csv.gz"
SPREAD_FILE = "variances.csv"
TREND_FROM = 0.5  # the prior follows the mean when the mean explains more than this share of what is not chance


def is_linear(values: Matrix) -> bool:
    """Whether values are on the natural scale, by GEO2R's rule: the 99th percentile is above 100, or the range is above
    50 and the lower quartile above 0. NaN is left out."""
    low, quarter, high, top = np.nanquantile(values, [0.0, 0.25, 0.99, 1.0])
    return bool(high > 100 or (top - low > 50 and quarter > 0))


def prepare(values: Matrix, kind: str, lengths: Matrix | None) -> Scaled:
    """Values on the log2 scale; a missing value stays missing where genes are tested. (S, G).

    kind   "log_intensity" or "linear_intensity": log2 where `is_linear`, values of 0 and below become missing;
           "tpm" or "fpkm": log2(x + 1)
    lengths is for reads
    """
    if kind in ("tpm", "fpkm"):
        shown, note = (
            np.log2(np.maximum(values, 0.0) + 1.0),
            "The values were brought to the log2 scale as log2(x + 1).",
        )
    elif is_linear(values):
        shown = np.log2(np.where(values > 0, values, np.nan))
        note = (
            "The values were on the natural scale (99th percentile above 100, or range above 50 with lower quartile "
            "above 0, as GEO2R decides) and were log2-transformed; values of 0 and below count as missing."
        )
    else:
        shown, note = values, "The values were taken to be on the log2 scale, as they were given."
    known = np.isfinite(shown)
    mean = np.where(known, shown, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    n_missing = int((~known).sum())
    notes = [note]
    if n_missing:
        notes.append(f"{n_missing:,} values are missing; the gene's mean stands for them where samples are compared.")
    return Scaled(
        shown=shown,
        transformed=np.where(known, shown, mean),
        size_factors=np.full(len(values), np.nan),
        shown_as="log2 values",
        transformed_as="log2 values",
        is_log=True,
        notes=tuple(notes),
    )


def is_testable(values: Matrix, min_total_count: int) -> NDArray[np.bool_]:
    """(G,) True: a total of reads says nothing here."""
    return np.ones(values.shape[1], dtype=bool)


def fit_model(
    values: Matrix,
    scaled: Scaled,
    genes: NDArray[np.bool_],
    design: pd.DataFrame,
    blocks: pd.Series | None,
    *,
    robust: bool,
    weigh: bool,
) -> ModeratedFit:
    """A linear model of every gene, its variance moderated; the prior follows the mean where the data ask for it.

    genes    (G,) those to be tested: all of them, on a log scale

    blocks   the block of each sample where those of one block are correlated, None for independent ones
    weigh    let samples that fit poorly count for less
    """
    block = None if blocks is None else pd.factorize(blocks)[0].astype(np.int64)
    weights = sample_weights(scaled.shown, design.to_numpy(dtype=np.float64)) if weigh else None
    fit = fit_intensities(scaled.shown, design, robust=robust, block=block, weights=weights)
    if share_of_trend(fit) <= TREND_FROM:
        return fit
    return fit_intensities(scaled.shown, design, trend=True, robust=robust, block=block, weights=weights)


def compare_genes(
    fit: ModeratedFit, contrast: Matrix, reduced: pd.DataFrame | None, *, alpha: float, lfc_threshold: float
) -> Tested:
    """Moderated t of the contrast or, with a reduced design, moderated F of what it leaves out."""
    table = moderated_t_test(fit, contrast, alpha=alpha, lfc_threshold=lfc_threshold)
    if reduced is not None:
        table = table.assign(**moderated_f_test(fit, reduced))
    spread = pd.DataFrame(
        {
            "base_mean": fit.mean,
            "variance_gene": fit.variance,
            "variance_prior": fit.prior.variance,
            "variance": fit.posterior,
        }
    )
    share = share_of_trend(fit)
    facts: dict[str, Any] = {
        "variance_trend": "mean" if share > TREND_FROM else "constant",
        "variance_trend_share": round(share, 4),
        "prior_df": round(fit.prior.df, 4) if np.isfinite(fit.prior.df) else "infinite",
        "block_correlation": round(fit.block_correlation, 6),
    }
    said = f"The average of a gene explains {share:.0%} of how its variance differs from others' beyond chance, so the "
    said += "prior variance follows it." if share > TREND_FROM else "prior variance is one value for all genes."
    return Tested(table, spread, np.isfinite(fit.variance), None, "variance", facts, (said,))
