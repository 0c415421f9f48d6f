"""How far two differential-expression runs agree: calls, directions, fold changes, ranks, gene sets. Pure.

The universe of every test here is stated with its result: the genes (or gene sets) that both runs tested.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

N_RANK_STEPS = 50
MIN_STEP = 5  # genes between two thresholds of the rank-rank map
LEAST_P = 1e-300

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
    called, both = overlap(left_called, right_called), left_called & right_called
    n_common, n_left, n_right = called.n_common, called.n_left, called.n_right
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
        n_both=called.n_both,
        jaccard=called.jaccard,
        overlap_pvalue=called.pvalue,
        expected_both=n_left * n_right / n_common if n_common else 0.0,
        lfc_pearson=pearson,
        lfc_spearman=spearman,
        n_opposite=int((both & (np.sign(left_change) != np.sign(right_change))).sum()),
        top_overlap=shares,
    )


@dataclass(frozen=True, slots=True)
class RankRank:
    """Overlap of the two runs' gene lists at every pair of depths, from both ends.

    depths     (K,) numbers of genes from the top of a list, most up first, rising; the last half reaches the bottom
    signal     (K, K) rows left, columns right: -log10 p of more overlap than chance, negative where there is less;
               hypergeometric over all genes, not adjusted for the many pairs; within ±300
    up, down   the strongest point where both lists are taken from the top, and from the bottom
    discordant  the strongest point where one is taken from the top and the other from the bottom
    """

    depths: NDArray[np.int64]
    signal: Floats
    up: RankPoint | None
    down: RankPoint | None
    discordant: RankPoint | None


@dataclass(frozen=True, slots=True)
class RankPoint:
    """`n_left` and `n_right` genes from the ends meant, `n_both` of them the same, `expected` by chance."""

    n_left: int
    n_right: int
    n_both: int
    expected: float
    signal: float


def rank_rank(left_change: Floats, left_p: Floats, right_change: Floats, right_p: Floats) -> RankRank:
    """Rank-rank hypergeometric overlap, stratified by direction; all arrays (G,), the same genes, finite.

    Genes are ranked by the sign of their change times -log10 p, ties by the change. A threshold above the last gene
    that is up takes genes from the top, one below takes those from there to the bottom, on each side by itself.

    source   Plaisier et al. 2010, doi:10.1093/nar/gkq636; strata: Cahill et al. 2018, doi:10.1038/s41598-018-27903-2
    """
    n = len(left_change)
    step = max(MIN_STEP, n // N_RANK_STEPS)
    depths = np.arange(step, n, step, dtype=np.int64)
    left, right = _ranks(left_change, left_p), _ranks(right_change, right_p)
    joint, _, _ = np.histogram2d(left, right, bins=[np.r_[-0.5, depths - 0.5, n - 0.5]] * 2)
    tops = joint.cumsum(axis=0).cumsum(axis=1)[:-1, :-1]  # (K, K) genes above both thresholds
    is_up_left, is_up_right = depths <= (left_change > 0).sum(), depths <= (right_change > 0).sum()
    rows, columns = depths[:, None], depths[None, :]
    n_left = np.where(is_up_left, depths, n - depths)[:, None]
    n_right = np.where(is_up_right, depths, n - depths)[None, :]
    of_left = np.where(is_up_right[None, :], tops, rows - tops)  # of the top of left, those on the side meant of right
    of_all = np.where(is_up_right[None, :], columns, n - columns)
    n_both = np.where(is_up_left[:, None], of_left, of_all - of_left)
    expected = n_left * n_right / n if n else np.zeros_like(tops)
    more = -np.log10(np.maximum(stats.hypergeom.sf(n_both - 1, n, n_left, n_right), LEAST_P))
    less = np.log10(np.maximum(stats.hypergeom.cdf(n_both, n, n_left, n_right), LEAST_P))
    signal = np.where(n_both >= expected, more, less)
    numbers = tuple(np.broadcast_to(a, signal.shape) for a in (n_left, n_right, n_both, expected))
    same_up, same_down = np.outer(is_up_left, is_up_right), np.outer(~is_up_left, ~is_up_right)
    return RankRank(
        depths,
        signal,
        up=_strongest(signal, same_up, numbers),
        down=_strongest(signal, same_down, numbers),
        discordant=_strongest(signal, ~(same_up | same_down), numbers),
    )


def _ranks(change: Floats, p: Floats) -> NDArray[np.int64]:
    """(G,) 0 for the gene that is most surely up, G - 1 for the one most surely down."""
    score = np.sign(change) * -np.log10(np.maximum(p, LEAST_P))
    order = np.lexsort((-change, -score))
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order))
    return ranks


def _strongest(signal: Floats, where: Bools, numbers: tuple[NDArray[Any], ...]) -> RankPoint | None:
    if not where.any():
        return None
    at = np.unravel_index(np.argmax(np.where(where, signal, -np.inf)), signal.shape)
    n_left, n_right, n_both, expected = (float(a[at]) for a in numbers)
    return RankPoint(int(n_left), int(n_right), int(n_both), expected, float(signal[at]))


@dataclass(frozen=True, slots=True)
class Overlap:
    """Members called by two runs of the `n_common` that both tested; hypergeometric p of so many or more."""

    n_common: int
    n_left: int
    n_right: int
    n_both: int
    jaccard: float
    pvalue: float


def overlap(left_called: Bools, right_called: Bools) -> Overlap:
    """Of members that both tested, (N,) each, in the same order."""
    n, n_left, n_right = len(left_called), int(left_called.sum()), int(right_called.sum())
    n_both, n_either = int((left_called & right_called).sum()), int((left_called | right_called).sum())
    pvalue = float(stats.hypergeom.sf(n_both - 1, n, n_left, n_right)) if n else 1.0
    return Overlap(n, n_left, n_right, n_both, n_both / n_either if n_either else 1.0, pvalue)
