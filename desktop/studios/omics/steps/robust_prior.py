"""Prior of gene variances that a few wildly varying genes do not move, as limma's `eBayes(robust=TRUE)`.

Winsorised moments of log-variance give the prior; genes that vary more than it allows get fewer prior degrees of
freedom of their own, so that their variance is squeezed less. Pure functions over numpy arrays; copied into array
scripts. It is the prior alone: the linear model and the tests are in `moderated_t.py`.

Source: Phipson et al. 2016, doi:10.1214/16-AOAS920.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from desktop.studios.omics.steps.lowess import lowess

Floats = NDArray[np.float64]

LOW_TAIL, HIGH_TAIL = 0.05, 0.1  # shares of the genes that are winsorised
TREND_SPAN = 0.4  # of the curve through log-variance over the mean


@dataclass(frozen=True)
class RobustPrior:
    """variance (G,) prior variance; df of a gene that is no outlier; own_df (G,) each gene's own prior df."""

    variance: Floats
    df: float
    own_df: Floats


def robust_prior(
    variance: Floats, df: Floats, centre: Floats, prior_df: float, mean: Floats | None = None
) -> RobustPrior:
    """The prior without what few genes do to it.

    variance   (G,) residual variances, finite    df   (G,) their degrees of freedom, > 0
    centre     (G,) prior variance without robustness    prior_df   prior degrees of freedom without it
    mean       (G,) average intensity that the prior variance follows, None for one prior variance
    """
    n_genes = len(variance)
    variance = np.maximum(variance, 1e-12 * float(np.median(variance)))
    one_df = float(df.max())
    plain = RobustPrior(centre, prior_df, np.full(n_genes, prior_df))
    if n_genes * HIGH_TAIL < 1.0:
        return plain
    ratio = variance / centre
    if (df < one_df - 1e-14).any():
        ratio = _as_if_of(ratio, df, one_df, prior_df)
    z = np.log(ratio) + np.log(centre)
    if mean is None:
        trend = np.full(n_genes, stats.trim_mean(z, HIGH_TAIL))
    else:
        order = np.argsort(mean, kind="stable")
        trend = np.empty(n_genes)
        trend[order] = lowess(mean[order], z[order], TREND_SPAN)
    rest = z - trend
    low, high = np.quantile(rest, [LOW_TAIL, 1.0 - HIGH_TAIL])
    clipped = np.clip(rest, low, high)
    middle, spread = float(clipped.mean()), float(clipped.var(ddof=1))

    def excess(at: float) -> float:
        return float(np.log(spread / winsorised_moments(one_df, at / (1.0 - at) if at < 1.0 else np.inf)[1]))

    if excess(1.0) <= 0:
        found = np.inf
    elif np.isinf(prior_df):
        return plain
    elif excess(start := prior_df / (1.0 + prior_df)) >= 0:
        found = prior_df
    else:
        at = optimize.brentq(excess, start, 1.0, xtol=1e-14)
        found = at / (1.0 - at)
    prior = np.exp(trend + middle - winsorised_moments(one_df, found)[0])
    return RobustPrior(prior, found, _own_df(np.exp(z) / prior, one_df, found))


def winsorised_moments(df: float, prior_df: float) -> tuple[float, float]:
    """Mean and variance of the log of an F variate whose two tails are winsorised; prior_df may be infinite."""
    law = stats.f(df, prior_df) if np.isfinite(prior_df) else stats.chi2(df, scale=1.0 / df)
    edges = law.ppf([LOW_TAIL, 1.0 - HIGH_TAIL])
    nodes, weights = np.polynomial.legendre.leggauss(128)
    low, high = edges / (1.0 + edges)
    at = low + (high - low) * (nodes + 1.0) / 2.0
    value = at / (1.0 - at)
    density = law.pdf(value) / (1.0 - at) ** 2 * weights / 2.0 * (high - low)
    ends, shares = np.log(edges), np.array([LOW_TAIL, HIGH_TAIL])
    mean = float(density @ np.log(value) + ends @ shares)
    return mean, float(density @ (np.log(value) - mean) ** 2 + (ends - mean) ** 2 @ shares)


def _own_df(ratio: Floats, df: float, prior_df: float) -> Floats:
    """Prior degrees of freedom of each gene: `prior_df`, and less the likelier it is that the gene is an outlier."""
    n_genes = len(ratio)
    law = stats.f(df, prior_df) if np.isfinite(prior_df) else stats.chi2(df, scale=1.0 / df)
    log_tail = law.logsf(ratio)
    expected = np.log(n_genes - stats.rankdata(ratio) + 0.5) - np.log(n_genes)
    log_belongs = np.minimum(log_tail - expected, 0.0)
    own: Floats = np.full(n_genes, prior_df)
    if not (log_belongs < 0).any():
        return own
    order = np.argsort(log_tail, kind="stable")
    if np.isinf(prior_df):
        outside = log_belongs < 0
        own[outside] = np.exp(log_belongs[outside]) * n_genes * df
        own[order] = np.maximum.accumulate(own[order])
        return own
    least = float(log_tail.min())
    if np.isneginf(least):
        own = np.exp(log_belongs) * prior_df
    else:
        outlier_df = np.log(0.5) / least * prior_df
        outlier_df *= np.log(0.5) / float(stats.f.logsf(ratio.max(), df, outlier_df))
        own = np.exp(log_belongs) * prior_df - np.expm1(log_belongs) * outlier_df
    ordered = own[order]
    running: Floats = np.cumsum(ordered) / np.arange(1, n_genes + 1)
    lowest = int(running.argmin())
    ordered[: lowest + 1] = running[lowest]
    own[order] = np.maximum.accumulate(ordered)
    return own


def _as_if_of(ratio: Floats, df: Floats, one_df: float, prior_df: float) -> Floats:
    """Ratios of genes with fewer degrees of freedom, moved to the same tail probability at `one_df`."""
    moved = ratio.copy()
    fewer = np.flatnonzero(df < one_df - 1e-14)
    upper = stats.f.logsf(ratio[fewer], df[fewer], prior_df)
    lower = stats.f.logcdf(ratio[fewer], df[fewer], prior_df)
    is_upper = upper < lower
    moved[fewer[is_upper]] = stats.f.isf(np.exp(upper[is_upper]), one_df, prior_df)
    moved[fewer[~is_upper]] = stats.f.ppf(np.exp(lower[~is_upper]), one_df, prior_df)
    return moved
