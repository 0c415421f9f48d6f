"""How far two differential-expression runs agree: calls, directions, fold changes, ranks. Pure, over numpy arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Agreement:
    """What two runs say of the genes that both tested (all numbers are over those genes).

    overlap_pvalue        hypergeometric: chance of this many shared calls or more
    lfc_pearson/spearman  of log2 fold changes, NaN below three genes
    top_overlap           (depth, share of the `depth` surest genes that are the same), depths rising
    """

    n_common: int
    n_left: int
    n_right: int
    n_both: int
    jaccard: float
    overlap_pvalue: float
    expected_both: float
    lfc_pearson: float
    lfc_spearman: float
    n_opposite: int
    top_overlap: tuple[tuple[int, float], ...]


def agreement(
    left_change: Floats, left_p: Floats, left_called: Bools, right_change: Floats, right_p: Floats, right_called: Bools
) -> Agreement:
    """Compare two runs over their common genes; all arrays (G,), same genes in the same order, finite.

    A call is opposite when both runs call the gene and the signs of their changes differ.
    """
    n_common, n_left, n_right = len(left_change), int(left_called.sum()), int(right_called.sum())
    both = left_called & right_called
    n_both, n_either = int(both.sum()), int((left_called | right_called).sum())
    pearson = spearman = float("nan")
    if n_common > 2 and left_change.std() > 0 and right_change.std() > 0:
        pearson = float(np.corrcoef(left_change, right_change)[0, 1])
        spearman = float(stats.spearmanr(left_change, right_change).statistic)
    left_order, right_order = np.argsort(left_p, kind="stable"), np.argsort(right_p, kind="stable")
    depths = [depth for depth in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if depth <= n_common]
    shares = tuple((d, len(np.intersect1d(left_order[:d], right_order[:d])) / d) for d in depths)
    return Agreement(
        n_common=n_common,
        n_left=n_left,
        n_right=n_right,
        n_both=n_both,
        jaccard=n_both / n_either if n_either else 1.0,
        overlap_pvalue=float(stats.hypergeom.sf(n_both - 1, n_common, n_left, n_right)) if n_common else 1.0,
        expected_both=n_left * n_right / n_common if n_common else 0.0,
        lfc_pearson=pearson,
        lfc_spearman=spearman,
        n_opposite=int((both & (np.sign(left_change) != np.sign(right_change))).sum()),
        top_overlap=shares,
    )
