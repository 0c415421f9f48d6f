"""Differential expression of log-intensities with moderated t-statistics, as limma computes them, batched over genes.

Pure functions over numpy arrays: no files, no network, no randomness. The whole text of this file is pasted into every
array script, so it imports nothing but numpy, scipy, pandas and files that are pasted too: the prior that wild genes do
not move is in `robust_prior.py`, correlated samples in `block_correlation.py`. It is not for raw counts and not for
intensities on their natural scale: give it log2 values.

Axes are always (samples, genes): S samples, G genes, P design columns.

Sources: Smyth 2004, doi:10.2202/1544-6115.1027 (hierarchical model, moderated t, estimation of the prior);
Law et al. 2014, doi:10.1186/gb-2014-15-2-r29 (prior variance as a trend of the mean);
Smyth 2004, section 4 (moderated F);
McCarthy & Smyth 2009, doi:10.1093/bioinformatics/btp053 (test relative to a threshold).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from desktop.studios.omics.steps.block_correlation import patterns_of, within_block_correlation
from desktop.studios.omics.steps.robust_prior import robust_prior

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class VariancePrior:
    """Scaled inverse chi-square prior of the gene variances.

    df         degrees of freedom; infinite when the genes' variances differ no more than chance allows
    variance   (G,) prior variance at each gene's mean (constant without a trend)
    """

    df: float
    variance: Floats


@dataclass(frozen=True)
class ModeratedFit:
    """A linear model for every gene with its variance squeezed towards the prior.

    beta        (P, G) coefficients, log2                  unscaled    (P, P, G) covariance of beta / variance
    variance    (G,) residual variance, NaN where df = 0   df          (G,) residual degrees of freedom
    posterior   (G,) squeezed variance                     df_total    (G,) of the moderated t
    mean        (G,) average log-intensity                 prior       the fitted one; of a robust one the largest df
    block_correlation   between samples of a block, 0 without blocks
    """

    design: pd.DataFrame
    beta: Floats
    unscaled: Floats
    variance: Floats
    df: Floats
    posterior: Floats
    df_total: Floats
    mean: Floats
    prior: VariancePrior
    block_correlation: float = 0.0


def fit_intensities(
    values: Floats,
    design: pd.DataFrame,
    *,
    trend: bool = False,
    robust: bool = False,
    block: NDArray[np.int64] | None = None,
    weights: Floats | None = None,
) -> ModeratedFit:
    """Least squares for each gene, then empirical Bayes over the genes.

    values   (S, G) log2 intensities; NaN marks a missing spot and drops that sample for that gene
    design   (S, P) full column rank, floats
    trend    let the prior variance follow the mean intensity
    robust   let no few genes that vary wildly move the prior, and squeeze these less
    block    (S,) block of each sample when samples of one block are correlated (random effect); None for independent
    weights  (S,) how much each sample counts; None for all alike, and so with blocks
    raises   ValueError if the design is rank-deficient or leaves no residual degree of freedom
    """
    x = design.to_numpy(dtype=np.float64)
    n_samples, n_columns = x.shape
    if np.linalg.matrix_rank(x) < n_columns:
        raise ValueError("the design matrix is rank-deficient")
    if n_samples <= n_columns:
        raise ValueError("no residual degrees of freedom: every sample is used up by the design")
    whitener, rho = np.eye(n_samples), 0.0
    if block is not None:
        rho = within_block_correlation(values, x, block)
        same = (block[:, None] == block[None, :]).astype(np.float64)
        correlation = same * rho + np.eye(n_samples) * (1.0 - rho)
        whitener = np.linalg.inv(np.linalg.cholesky(correlation))
    elif weights is not None:
        whitener = np.diag(np.sqrt(weights))
    beta, unscaled, variance, df = _least_squares(values, x, whitener)
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        mean = np.where(known, values, 0.0).sum(axis=0) / known.sum(axis=0)
    prior = fit_prior(variance, df, mean if trend else None)
    own_df = np.full(len(df), prior.df)
    usable = (df > 0) & np.isfinite(variance)
    if robust and usable.sum() > 2:
        told = mean[usable] if trend else None
        squeezed = robust_prior(variance[usable], df[usable], prior.variance[usable], prior.df, told)
        own_df = np.full(len(df), squeezed.df)
        own_df[usable] = squeezed.own_df
        everywhere = np.full(len(df), squeezed.variance[0])
        if told is not None:
            order = np.argsort(told, kind="stable")
            everywhere = np.exp(np.interp(mean, told[order], np.log(squeezed.variance)[order]))
        everywhere[usable] = squeezed.variance
        prior = VariancePrior(float(own_df.max()), everywhere)
    seen = np.where(df > 0, variance, 0.0)
    with np.errstate(invalid="ignore"):
        posterior = (df * seen + own_df * prior.variance) / (df + own_df)
    posterior = np.where(np.isinf(own_df), prior.variance, posterior)
    df_total = np.minimum(df + own_df, df.sum())
    return ModeratedFit(design, beta, unscaled, variance, df, posterior, df_total, mean, prior, rho)


def moderated_t_test(
    fit: ModeratedFit, contrast: Floats, *, alpha: float = 0.05, lfc_threshold: float = 0.0
) -> pd.DataFrame:
    """Moderated t of one contrast.

    contrast       (P,) weights of the coefficients
    lfc_threshold  |log2 fold change| tested against (0: the ordinary two-sided test)
    returns        (G,) rows: base_mean (average log2 intensity), log2_fold_change, lfc_se, stat, pvalue, padj (BH over
                   all genes with a p-value), reason ("" or "too_few_values")
    """
    asked = np.flatnonzero(contrast)  # a coefficient that a gene does not tell spoils only what asks for it
    weights = np.asarray(contrast, dtype=np.float64)[asked]
    change = weights @ fit.beta[asked]
    unscaled = fit.unscaled[np.ix_(asked, asked)]
    se = np.sqrt(np.einsum("i,ijg,j->g", weights, unscaled, weights) * fit.posterior)
    with np.errstate(invalid="ignore", divide="ignore"):
        if lfc_threshold > 0:
            size = np.abs(change)
            over, under = (size - lfc_threshold) / se, (size + lfc_threshold) / se
            pvalue = stats.t.sf(over, fit.df_total) + stats.t.sf(under, fit.df_total)
            stat = np.sign(change) * np.maximum(over, 0.0)
        else:
            stat = change / se
            pvalue = 2.0 * stats.t.sf(np.abs(stat), fit.df_total)
    padj = np.full(len(pvalue), np.nan)
    tested = np.isfinite(pvalue)
    if tested.any():
        padj[tested] = stats.false_discovery_control(np.minimum(pvalue[tested], 1.0))
    return pd.DataFrame(
        {
            "base_mean": fit.mean,
            "log2_fold_change": change,
            "lfc_se": se,
            "stat": stat,
            "pvalue": pvalue,
            "padj": padj,
            "reason": np.where(tested, "", "too_few_values"),
        }
    )


def moderated_f_test(fit: ModeratedFit, reduced: pd.DataFrame) -> dict[str, Floats]:
    """Moderated F of what a reduced design leaves out.

    reduced   (S, Q) whose columns lie in the span of the fitted design, Q < P
    returns   stat, pvalue, padj (BH over all genes with a p-value), each (G,)
    raises    ValueError if the reduced design is not part of the fitted one
    """
    x, small = fit.design.to_numpy(dtype=np.float64), reduced.to_numpy(dtype=np.float64)
    if not small.shape[1] < x.shape[1] or np.linalg.matrix_rank(np.hstack([x, small])) > x.shape[1]:
        raise ValueError("the reduced design is not part of the full one")
    inside = np.linalg.lstsq(x, small, rcond=None)[0]  # (P, Q): the coefficients the reduced design can have
    _, singular, rows = np.linalg.svd(inside.T)
    left_out = rows[int((singular > 1e-9 * singular.max()).sum()) :]  # (K, P): contrasts that are zero under it
    change = left_out @ fit.beta
    covariance = np.einsum("ki,ijg,lj->gkl", left_out, fit.unscaled, left_out)
    known = np.isfinite(covariance).all(axis=(1, 2)) & np.isfinite(fit.posterior)
    stat = np.full(len(known), np.nan)
    weighed = np.linalg.solve(covariance[known], change[:, known].T[:, :, None])[:, :, 0]
    stat[known] = (change[:, known].T * weighed).sum(axis=1) / len(left_out) / fit.posterior[known]
    pvalue = stats.f.sf(stat, len(left_out), fit.df_total)
    padj = np.full(len(pvalue), np.nan)
    tested = np.isfinite(pvalue)
    if tested.any():
        padj[tested] = stats.false_discovery_control(pvalue[tested])
    return {"stat": stat, "pvalue": np.asarray(pvalue), "padj": padj}


def share_of_trend(fit: ModeratedFit) -> float:
    """Share (0..1) of the genes' differences in log variance, beyond chance, that their average explains."""
    usable = (fit.df > 0) & (fit.variance > 0) & np.isfinite(fit.mean)
    if usable.sum() < 30:
        return 0.0
    log_variance = np.log(fit.variance[usable])
    basis = natural_spline(fit.mean[usable], fit.mean[usable])
    residual = log_variance - basis @ np.linalg.lstsq(basis, log_variance, rcond=None)[0]
    chance = float(special.polygamma(1, fit.df[usable] / 2.0).mean())
    real = float(log_variance.var()) - chance
    return float(np.clip((log_variance.var() - residual.var()) / real, 0.0, 1.0)) if real > 0 else 0.0


def fit_prior(variance: Floats, df: Floats, mean: Floats | None = None) -> VariancePrior:
    """Prior of the gene variances by matching moments of log-variance (Smyth 2004, section 6.2).

    variance  (G,) residual variances    df  (G,) their degrees of freedom
    mean      (G,) average intensity for a trended prior, or None for a constant one
    """
    usable = (df > 0) & np.isfinite(variance) & (variance > -1e-15)
    if usable.sum() < 3:
        return VariancePrior(0.0, np.full(len(variance), np.nanmedian(variance[usable]) if usable.any() else 1.0))
    floor = 1e-5 * float(np.median(variance[usable]))
    log_variance = np.log(np.maximum(variance[usable], floor if floor > 0 else 1e-300))
    half = df[usable] / 2.0
    excess = log_variance - special.digamma(half) + np.log(half)
    if mean is None:
        centre = np.full(int(usable.sum()), float(excess.mean()))
        spread = float(excess.var(ddof=1))
        centre_all = np.full(len(variance), centre[0])
    else:
        basis_all = natural_spline(mean, mean[usable])
        basis = basis_all[usable]
        coefficients = np.linalg.lstsq(basis, excess, rcond=None)[0]
        centre = basis @ coefficients
        centre_all = basis_all @ coefficients
        spread = float(((excess - centre) ** 2).sum() / (len(excess) - basis.shape[1]))
    spread -= float(special.polygamma(1, half).mean())
    if spread <= 0:
        constant = math.log(float(np.maximum(variance[usable], floor).mean())) if mean is None else centre_all
        return VariancePrior(math.inf, np.exp(np.broadcast_to(constant, variance.shape)))
    prior_df = 2.0 * _trigamma_inverse(spread)
    shift = float(special.digamma(prior_df / 2.0)) - math.log(prior_df / 2.0)
    return VariancePrior(prior_df, np.exp(centre_all + shift))


def natural_spline(at: Floats, data: Floats) -> Floats:
    """Natural cubic spline basis with intercept: (len(at), 1..4), knots at the quantiles of `data`."""
    distinct = len(np.unique(data))
    size = min(1 + int(len(data) >= 3) + int(len(data) >= 6) + int(len(data) >= 30), distinct)
    if size < 2:
        return np.ones((len(at), 1))
    inner = np.quantile(data, np.linspace(0, 1, size)[1:-1]) if size > 2 else np.empty(0)
    knots = np.concatenate([[data.min()], inner, [data.max()]])
    low, high = knots[0], knots[-1]
    u = (at - low) / (high - low)
    k = (knots - low) / (high - low)

    def cubed(knot: float) -> Floats:
        return np.asarray((np.maximum(u - knot, 0.0) ** 3 - np.maximum(u - k[-1], 0.0) ** 3) / (k[-1] - knot))

    columns = [np.ones_like(u), u] + [cubed(knot) - cubed(k[-2]) for knot in k[:-2]]
    return np.column_stack(columns)


def _least_squares(values: Floats, x: Floats, whitener: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Coefficients (P, G), unscaled covariance (P, P, G), residual variance (G,), residual df (G,).

    Coefficients that a gene's known samples cannot tell are NaN; its variance counts all the same, as in limma.
    """
    n_columns = x.shape[1]
    n_genes = values.shape[1]
    beta = np.full((n_columns, n_genes), np.nan)
    unscaled = np.full((n_columns, n_columns, n_genes), np.nan)
    variance = np.full(n_genes, np.nan)
    df = np.zeros(n_genes)
    for rows, genes in patterns_of(np.isfinite(values)):
        if not rows.any():
            continue
        whiten = whitener if rows.all() else np.linalg.inv(_cholesky_of(whitener, rows))
        design, response = whiten @ x[rows], whiten @ values[np.ix_(rows, genes)]
        left, singular, right = np.linalg.svd(design, full_matrices=False)
        rank = int((singular > 1e-9 * singular[0]).sum())
        left, singular, right = left[:, :rank], singular[:rank], right[:rank]
        residual = response - left @ (left.T @ response)
        told = (right**2).sum(axis=0) > 1.0 - 1e-9  # coefficients that these samples tell
        back = right.T / singular
        solution, inverse = back @ (left.T @ response), back @ back.T
        beta[np.ix_(told, genes)] = solution[told]
        unscaled[np.ix_(told, told, genes)] = inverse[np.ix_(told, told)][:, :, None]
        left_over = int(rows.sum()) - rank
        df[genes] = left_over
        if left_over > 0:
            variance[genes] = (residual**2).sum(axis=0) / left_over
    return beta, unscaled, variance, df


def _cholesky_of(whitener: Floats, rows: NDArray[np.bool_]) -> Floats:
    """Cholesky factor of the samples' correlation restricted to `rows`."""
    root = np.linalg.inv(whitener)
    return np.linalg.cholesky((root @ root.T)[np.ix_(rows, rows)])


def _trigamma_inverse(value: float) -> float:
    """x with trigamma(x) = value, by Newton steps on 1/trigamma, which is nearly linear."""
    if value > 1e7:
        return 1.0 / math.sqrt(value)
    if value < 1e-6:
        return 1.0 / value
    x = 0.5 + 1.0 / value
    for _ in range(50):
        trigamma = float(special.polygamma(1, x))
        step = trigamma * (1.0 - trigamma / value) / float(special.polygamma(2, x))
        x += step
        if -step / x < 1e-8:
            break
    return x
