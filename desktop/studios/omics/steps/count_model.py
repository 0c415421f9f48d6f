"""Raw counts through the analysis: brought to the same depth, fitted with the model of `deseq.py`, tested.

`recipe.py` calls `prepare`, `is_testable`, `fit_model` and `compare_genes`; `intensity_model.py` has the same four for
log-intensities; `script.py` copies the one a plan needs into its script. It reads and writes no file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from desktop.studios.omics.steps.deseq import (
    DeseqFit,
    fit_counts,
    length_factors,
    likelihood_ratio_test,
    shrink_lfc,
    size_factors,
    vst,
    wald_test,
)
from desktop.studios.omics.steps.quality import Scaled, Tested

Matrix = NDArray[np.float64]

DATA_FILE = "counts.csv.gz"
SHOWN_FILE = "normalised_counts.csv.gz"
SPREAD_FILE = "dispersions.csv"


def prepare(values: Matrix, kind: str, lengths: Matrix | None) -> Scaled:
    """Median-of-ratios size factors, and the variance-stabilising transformation blind to the groups. (S, G).

    lengths   (S, G) average transcript length of each gene in each sample, or None
    """
    counts = values.astype(np.int64)
    if lengths is not None:
        normalisation = length_factors(counts, lengths)
        return Scaled(
            shown=counts / normalisation,
            transformed=vst(counts, factors={"normalisation": normalisation}),
            size_factors=np.exp(np.log(normalisation).mean(axis=1)),
            shown_as="normalised counts",
            transformed_as="VST",
            is_log=False,
            notes=("Differences of the genes' lengths between samples are allowed for, as in tximport.",),
            normalisation=normalisation,
        )
    factors = size_factors(counts)
    return Scaled(
        shown=counts / factors[:, None],
        transformed=vst(counts, factors={"size_factors": factors}),
        size_factors=factors,
        shown_as="normalised counts",
        transformed_as="VST",
        is_log=False,
        notes=(),
    )


def is_testable(values: Matrix, min_total_count: int) -> NDArray[np.bool_]:
    """(G,) True for the genes with enough reads over all samples.

    raises   SystemExit when no gene has a read
    """
    enough = np.asarray(values.sum(axis=0) >= min_total_count)
    if not (enough & values.any(axis=0)).any():
        raise SystemExit(f"no gene has {max(1, min_total_count)} reads over all samples, so none can be tested")
    return enough


def fit_model(
    values: Matrix,
    scaled: Scaled,
    genes: NDArray[np.bool_],
    design: pd.DataFrame,
    blocks: pd.Series | None,
    *,
    robust: bool,
    weigh: bool,
) -> DeseqFit:
    """The negative binomial model of the `genes` (G,). values (S, G) counts; the rest is for log2 values."""
    factors = {"size_factors": scaled.size_factors}
    if scaled.normalisation is not None:
        factors = {"normalisation": scaled.normalisation[:, genes]}
    return fit_counts(values[:, genes].astype(np.int64), design, factors=factors)


def compare_genes(
    fit: DeseqFit, contrast: Matrix, reduced: pd.DataFrame | None, *, alpha: float, lfc_threshold: float
) -> Tested:
    """Wald test of the contrast or, with a reduced design, likelihood-ratio test of what it leaves out."""
    if reduced is None:
        table = wald_test(fit, contrast, alpha=alpha, lfc_threshold=lfc_threshold)
    else:
        table = likelihood_ratio_test(fit, reduced, alpha=alpha, contrast=contrast)
    spread = pd.DataFrame(
        {
            "base_mean": fit.base_mean,
            "dispersion_gene": fit.dispersion_gene,
            "dispersion_trend": fit.dispersion_trend,
            "dispersion": fit.dispersion,
            "is_outlier": fit.dispersion_outlier,
        }
    )
    facts: dict[str, Any] = {
        "dispersion_trend": fit.trend.kind,
        "n_outlier_counts_replaced": int(fit.replaced.sum()),
    }
    return Tested(table, spread, ~fit.all_zero, shrink_lfc(fit, contrast), "dispersion", facts, fit.notes)
