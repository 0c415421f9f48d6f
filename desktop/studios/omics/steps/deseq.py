"""Differential expression of raw RNA-seq counts with the negative binomial model of DESeq2, batched over genes.

Pure functions over numpy arrays: no files, no network, no randomness, no globals that change. The whole text of this
file is pasted into every analysis script, so it imports nothing but numpy, scipy, pandas and `lowess.py`, which is
pasted too, and it stays one file.
It is not a table reader and knows no sample names or formulas: it takes counts and a design matrix.

Axes are always (samples, genes): S samples, G genes, P design columns. Counts are raw reads, never CPM or TPM.
Coefficients inside a fit are natural logarithms; every table that leaves this file speaks log2.

Sources: Love, Huber & Anders 2014, doi:10.1186/s13059-014-0550-8 (model, dispersions, Wald, outliers, filtering);
Anders & Huber 2010, doi:10.1186/gb-2010-11-10-r106 (size factors, variance-stabilising transformation);
Zhu, Ibrahim & Love 2019, doi:10.1093/bioinformatics/bty895 (adaptive shrinkage of fold changes);
Benjamini & Hochberg 1995 (adjusted p-values).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import interpolate, optimize, special, stats

from desktop.studios.omics.steps.lowess import lowess

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Alternative = Literal["greaterAbs", "lessAbs", "greater", "less"]

MIN_DISPERSION = 1e-8  # gene-wise estimates at this floor carry no information about the trend
MIN_MEAN = 0.5  # fitted means below half a read are held here when weights are formed
MAX_COEFFICIENT = 30.0
RIDGE = 1e-6 / math.log(2) ** 2  # on natural-log coefficients: keeps on/off genes finite, moves nothing else
LINE_SEARCH_ROUNDS = 100
IRLS_ROUNDS = 100
BLOCK = 2048  # genes worked on at a time: fits the processor's cache, and fixes the order of every sum
REPLICATES_TO_REPLACE = 7
LOG2_E = 1.0 / math.log(2)


class NoCommonGenes(ValueError):
    """No gene is non-zero in every sample, so median-of-ratios size factors do not exist."""


@dataclass(frozen=True)
class DispersionTrend:
    """Dispersion as a function of the mean of normalised counts.

    kind      "parametric" (asymptotic + extra_poisson / mean), "local" (curve in log-log) or "mean" (constant)
    """

    kind: Literal["parametric", "local", "mean"]
    asymptotic: float = math.nan
    extra_poisson: float = math.nan
    nodes: Floats = field(default_factory=lambda: np.empty(0))  # of the local curve, log mean
    level: Floats = field(default_factory=lambda: np.empty(0))  # log dispersion at the nodes above the quadratic
    slope: Floats = field(default_factory=lambda: np.empty(0))
    quadratic: Floats = field(default_factory=lambda: np.zeros(3))  # log dispersion over the whole range

    def at(self, mean: Floats) -> Floats:
        """Dispersion at `mean` (any shape, > 0)."""
        if self.kind == "parametric":
            return np.asarray(self.asymptotic + self.extra_poisson / mean)
        if self.kind == "mean":
            return np.full(np.shape(mean), self.asymptotic)
        x = np.log(mean)
        overall = self.quadratic[0] + self.quadratic[1] * x + self.quadratic[2] * x**2
        with np.errstate(over="ignore"):  # far beyond the data
            return np.asarray(np.exp(overall + _hermite(x, self.nodes, self.level, self.slope)))


@dataclass(frozen=True)
class DeseqFit:
    """A fitted model. Arrays of length G are in the order of the genes given; NaN where a gene has no reads.

    counts             (S, G) as fitted: outliers already replaced where `replaced`
    design             (S, P) with column names
    size_factors       (S,); normalisation (S, G) is given instead when sample-and-gene factors were passed
    base_mean          (G,) mean of normalised counts
    dispersion_gene    (G,) gene-wise Cox-Reid estimate       dispersion_trend  (G,) trend at base_mean
    dispersion_map     (G,) shrunken towards the trend        dispersion        (G,) the one used by the tests
    dispersion_outlier (G,) True where the gene-wise estimate was kept because it lies far above the trend
    beta               (P, G) natural-log coefficients        covariance        (P, P, G) of beta, natural-log scale
    fitted             (S, G) fitted means                    log_likelihood    (G,)
    cooks              (S, G) Cook's distances of the first fit
    max_cooks          (G,) the largest over samples with at least 3 replicates that were not replaceable
    max_cooks_lrt      (G,) the same with the means of the dispersion stage: what R judges a likelihood-ratio test by
    replaced           (G,) True where an outlying count was replaced and the gene was fitted again
    converged          (G,) True where the coefficients converged
    """

    counts: NDArray[np.int64]
    original_counts: NDArray[np.int64]
    design: pd.DataFrame
    size_factors: Floats
    normalisation: Floats
    base_mean: Floats
    dispersion_gene: Floats
    dispersion_trend: Floats
    dispersion_map: Floats
    dispersion: Floats
    dispersion_outlier: Bools
    trend: DispersionTrend
    prior_variance: float
    residual_variance: float
    beta: Floats
    covariance: Floats
    fitted: Floats
    log_likelihood: Floats
    cooks: Floats
    max_cooks: Floats
    max_cooks_lrt: Floats
    replaced: Bools
    converged: Bools
    notes: tuple[str, ...] = ()

    @property
    def all_zero(self) -> Bools:
        """(G,) True where no sample has a read of the gene."""
        return np.asarray(self.original_counts.sum(axis=0) == 0)


# ---- size factors ---------------------------------------------------------------------------------------------------


def size_factors(
    counts: NDArray[Any], *, kind: Literal["ratio", "poscounts"] = "ratio", lengths: Floats | None = None
) -> Floats:
    """Median-of-ratios size factors.

    counts   (S, G) integers >= 0, raw reads, samples in rows
    kind     "poscounts" also uses genes with zeros (geometric mean over the positive counts only)
    lengths  (S, G) > 0: reads are divided by them first, for genes whose length differs between samples
    returns  (S,) float64 > 0, unitless; with "ratio" their geometric mean is not forced to 1
    raises   NoCommonGenes if no gene is non-zero in every sample (ratio), or a sample has no reads
    source   Anders & Huber 2010, eq. 5
    """
    counts = _checked_counts(counts)
    with np.errstate(divide="ignore"):
        logs = np.log(counts) if lengths is None else np.log(counts) - np.log(lengths)
    if kind == "poscounts":
        log_mean = np.where(counts > 0, logs, 0.0).mean(axis=0)
        log_mean[(counts == 0).all(axis=0)] = -np.inf
    else:
        log_mean = logs.mean(axis=0)
    usable = np.isfinite(log_mean)
    if not usable.any():
        raise NoCommonGenes(
            "no gene has reads in every sample, so size factors cannot be computed as a median of ratios; "
            "leave out nearly empty samples, or use the 'poscounts' size factors"
        )
    factors = np.empty(counts.shape[0])
    for sample, row in enumerate(logs):
        used = usable & (counts[sample] > 0)
        ratios = row[used] - log_mean[used]
        if not len(ratios):
            raise NoCommonGenes(f"sample number {sample + 1} has no reads, so it has no size factor")
        factors[sample] = math.exp(np.median(ratios))
    if kind == "poscounts":
        factors /= math.exp(np.log(factors).mean())
    return factors


def length_factors(counts: NDArray[Any], lengths: Floats) -> Floats:
    """Normalisation factors of genes whose average transcript length differs between samples, depth included.

    counts, lengths   (S, G) reads; bases, > 0
    returns           (S, G), the geometric mean of each gene 1: for `factors={"normalisation": …}`
    source            Soneson, Love & Robinson 2015; DESeq2's estimateNormFactors for tximport's average lengths
    """
    factors = lengths * size_factors(counts, lengths=lengths)[:, None]
    return np.asarray(factors / np.exp(np.log(factors).mean(axis=0)))


def _checked_counts(counts: NDArray[Any]) -> NDArray[np.int64]:
    counts = np.asarray(counts)
    if counts.ndim != 2:
        raise ValueError("counts must be a table of samples by genes")
    if counts.dtype.kind not in "iu" and (not np.isfinite(counts).all() or (counts != np.floor(counts)).any()):
        raise ValueError("counts must be whole numbers of reads; round expected counts knowingly first")
    if (counts < 0).any():
        raise ValueError("counts must not be negative")
    return counts.astype(np.int64, copy=False)


# ---- small dense algebra over many genes: matrices are (P, P, G), vectors (P, G) ------------------------------------


def _gram(x: Floats, weights: Floats) -> Floats:
    """X' W X for every gene: x (S, P), weights (S, G) → (P, P, G)."""
    n_columns = x.shape[1]
    pairs = (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)
    return (pairs.T @ weights).reshape(n_columns, n_columns, -1)


def _cholesky(matrices: Floats) -> Floats:
    """Lower factors of positive definite (P, P, G); a pivot lost to rounding is held at a tiny one."""
    size = len(matrices)
    lower = np.zeros_like(matrices)
    for j in range(size):
        pivot = matrices[j, j] - (lower[j, :j] ** 2).sum(axis=0)
        lower[j, j] = np.sqrt(np.maximum(pivot, 1e-15 * matrices[j, j] + 1e-200))
        for i in range(j + 1, size):
            lower[i, j] = (matrices[i, j] - (lower[i, :j] * lower[j, :j]).sum(axis=0)) / lower[j, j]
    return lower


def _cholesky_solve(lower: Floats, right: Floats) -> Floats:
    """Solve (L L') b = right for right (P, G)."""
    size = len(lower)
    out = np.empty_like(right)
    for i in range(size):
        out[i] = (right[i] - (lower[i, :i] * out[:i]).sum(axis=0)) / lower[i, i]
    for i in range(size - 1, -1, -1):
        out[i] = (out[i] - (lower[i + 1 :, i] * out[i + 1 :]).sum(axis=0)) / lower[i, i]
    return out


def _cholesky_inverse(lower: Floats) -> Floats:
    """(L L')^-1, (P, P, G)."""
    size, _, n_genes = lower.shape
    out = np.empty_like(lower)
    for j in range(size):
        unit = np.zeros((size, n_genes))
        unit[j] = 1.0
        out[:, j] = _cholesky_solve(lower, unit)
    return out


def _blocks(n_genes: int) -> list[slice]:
    return [slice(start, min(start + BLOCK, n_genes)) for start in range(0, n_genes, BLOCK)]


# ---- negative binomial likelihood -----------------------------------------------------------------------------------


def _log_likelihood(counts: Floats, mu: Floats, alpha: Floats) -> Floats:
    """Negative binomial log density summed over samples, (G,), accurate also where alpha is almost zero."""
    scaled = mu * alpha
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = (
            _log_rising(counts, 1.0 / alpha)
            - special.gammaln(counts + 1.0)
            - np.log1p(scaled) / alpha
            + special.xlogy(counts, scaled / (1.0 + scaled))
        )
    return np.asarray(terms.sum(axis=0))


def _log_rising(counts: Floats, size: Floats) -> Floats:
    """log gamma(counts + size) - log gamma(size), (S, G). Where size is large the two are nearly equal: by Stirling."""
    out = special.gammaln(counts + size) - special.gammaln(size)
    large = np.flatnonzero(size > 1e4)
    if len(large):
        y, r = counts[:, large], size[large]
        out[:, large] = (y + r - 0.5) * np.log1p(y / r) + y * (np.log(r) - 1.0) + (1.0 / (y + r) - 1.0 / r) / 12.0
    return np.asarray(out)


def _dispersion_posterior(
    log_alpha: Floats, counts: Floats, mu: Floats, x: Floats, prior_mean: Floats | None, prior_variance: float
) -> Floats:
    """Cox-Reid adjusted log likelihood of the log dispersion, plus its log-normal prior, up to a constant; (G,)."""
    alpha = np.exp(log_alpha)
    size = 1.0 / alpha
    likelihood = (_log_rising(counts, size) - counts * np.log(mu + size) - size * np.log1p(mu * alpha)).sum(axis=0)
    lower = _cholesky(_gram(x, mu / (1.0 + mu * alpha)))
    log_det = 2.0 * np.log(np.einsum("iig->ig", lower)).sum(axis=0)
    posterior = likelihood - 0.5 * log_det
    if prior_mean is not None:
        posterior = posterior - (log_alpha - prior_mean) ** 2 / (2.0 * prior_variance)
    return np.asarray(posterior)


def _dispersion_gradient(
    log_alpha: Floats, counts: Floats, mu: Floats, x: Floats, prior_mean: Floats | None, prior_variance: float
) -> Floats:
    """Derivative of `_dispersion_posterior` by log_alpha, (G,)."""
    alpha = np.exp(log_alpha)
    size = 1.0 / alpha
    scaled = mu * alpha
    inside = (np.log1p(scaled) - scaled / (1.0 + scaled) - special.digamma(counts + size) + counts / (mu + size)).sum(
        axis=0
    ) + len(counts) * special.digamma(size)
    weights = mu / (1.0 + scaled)
    inverse = _cholesky_inverse(_cholesky(_gram(x, weights)))
    curvature = (inverse * _gram(x, -(weights**2))).sum(axis=(0, 1))
    gradient = size * inside - 0.5 * curvature * alpha
    if prior_mean is not None:
        gradient = gradient - (log_alpha - prior_mean) / prior_variance
    return np.asarray(gradient)


@dataclass(frozen=True)
class _Search:
    log_alpha: Floats
    first: Floats  # posterior at the start
    last: Floats  # posterior at the end
    rounds: NDArray[np.int64]


def _search_dispersion(
    start: Floats, counts: Floats, mu: Floats, x: Floats, prior_mean: Floats | None = None, prior_variance: float = 1.0
) -> _Search:
    """Maximise the posterior of every gene by gradient ascent with Armijo backtracking, all genes of a block at once.

    The path matters as much as the optimum: where the likelihood is flat, the answer is where the search stopped,
    so step sizes and stopping rules are those of the published method.
    """
    parts = [
        _search_block(
            start[block],
            counts[:, block],
            mu[:, block],
            x,
            None if prior_mean is None else prior_mean[block],
            prior_variance,
        )
        for block in _blocks(len(start))
    ]
    if not parts:
        nothing = np.empty(0)
        return _Search(nothing, nothing, nothing, np.empty(0, dtype=np.int64))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return _Search(columns[0], columns[1], columns[2], columns[3].astype(np.int64))


def _search_block(
    start: Floats, counts: Floats, mu: Floats, x: Floats, prior_mean: Floats | None, prior_variance: float
) -> tuple[Floats, Floats, Floats, NDArray[np.int64]]:
    lowest, highest, floor = -30.0, 10.0, math.log(MIN_DISPERSION / 10)
    n_genes = len(start)
    out, rounds, accepted = start.copy(), np.zeros(n_genes, dtype=np.int64), np.zeros(n_genes, dtype=np.int64)
    posterior = _dispersion_posterior(out, counts, mu, x, prior_mean, prior_variance)
    gradient = _dispersion_gradient(out, counts, mu, x, prior_mean, prior_variance)
    first = posterior.copy()
    step = np.ones(n_genes)
    active = np.arange(n_genes)
    held = (active, counts, mu, prior_mean)  # the columns still worked on; renewed when half of them are done
    for _ in range(LINE_SEARCH_ROUNDS):
        if not len(active):
            break
        if len(active) < 0.7 * len(held[0]):
            held = (active, counts[:, active], mu[:, active], None if prior_mean is None else prior_mean[active])
        where = np.searchsorted(held[0], active)
        rounds[active] += 1
        slope = gradient[active]
        proposal = out[active] + step[active] * slope
        with np.errstate(divide="ignore", invalid="ignore"):
            step[active] = np.where(proposal < lowest, (lowest - out[active]) / slope, step[active])
            step[active] = np.where(proposal > highest, (highest - out[active]) / slope, step[active])
        proposal = out[active] + step[active] * slope
        y, m, prior = held[1][:, where], held[2][:, where], None if held[3] is None else held[3][where]
        value = _dispersion_posterior(proposal, y, m, x, prior, prior_variance)
        good = -value <= -posterior[active] - step[active] * 1e-4 * slope**2
        step[active[~good]] /= 2.0
        moved = active[good]
        accepted[moved] += 1
        change = value[good] - posterior[moved]
        out[moved] = proposal[good]
        posterior[moved] = value[good]
        done = (change < 1e-6) | (out[moved] < floor)
        going = np.flatnonzero(good)[~done]
        if len(going):
            ids = active[going]
            gradient[ids] = _dispersion_gradient(
                out[ids], y[:, going], m[:, going], x, None if prior is None else prior[going], prior_variance
            )
            step[ids] = np.minimum(step[ids] * 1.1, 1.0)
            step[ids[accepted[ids] % 5 == 0]] /= 2.0
        active = np.sort(np.concatenate([active[~good], active[going]]))
    return out, first, posterior, rounds


def _grid_dispersion(
    counts: Floats, mu: Floats, x: Floats, prior_mean: Floats | None = None, prior_variance: float = 1.0
) -> Floats:
    """Log dispersion by a coarse and a fine grid: for genes whose line search did not settle."""
    n_genes = counts.shape[1]
    coarse = np.linspace(math.log(MIN_DISPERSION), math.log(max(10.0, len(counts))), 20)
    best = np.zeros(n_genes)
    for grid in (coarse, np.linspace(-1.0, 1.0, 20) * (coarse[1] - coarse[0])):
        candidates = best[None, :] + grid[:, None]
        values = np.stack([_dispersion_posterior(row, counts, mu, x, prior_mean, prior_variance) for row in candidates])
        best = candidates[values.argmax(axis=0), np.arange(n_genes)]
    return best


# ---- coefficients ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Coefficients:
    beta: Floats  # (P, G) natural log
    mu: Floats  # (S, G) fitted means, not floored
    covariance: Floats  # (P, P, G)
    leverage: Floats  # (S, G)
    converged: Bools
    log_likelihood: Floats


def _fit_coefficients(counts: Floats, normalisation: Floats, alpha: Floats, x: Floats) -> _Coefficients:
    """Iteratively reweighted least squares with a weak ridge, all genes of a block at once.

    counts, normalisation (S, G); alpha (G,); x (S, P)
    """
    n_columns, n_genes = x.shape[1], counts.shape[1]
    out = _Coefficients(
        np.empty((n_columns, n_genes)),
        np.empty(counts.shape),
        np.empty((n_columns, n_columns, n_genes)),
        np.empty(counts.shape),
        np.empty(n_genes, dtype=bool),
        np.empty(n_genes),
    )
    pairs = (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)

    def curvature(mu: Floats, a: Floats) -> tuple[Floats, Floats, Floats]:
        weights = 1.0 / (1.0 / np.maximum(mu, MIN_MEAN) + a)
        gram = _gram(x, weights)
        ridged = gram.copy()
        ridged[np.arange(n_columns), np.arange(n_columns)] += RIDGE
        return weights, gram, _cholesky_inverse(_cholesky(ridged))

    for block in _blocks(n_genes):
        y, nf, a = counts[:, block], normalisation[:, block], alpha[block]
        beta, mu, converged = _irls_block(y, nf, a, x)
        weights, gram, inverse = curvature(mu, a)
        out.leverage[:, block] = weights * (pairs @ inverse.reshape(n_columns**2, -1))
        hard = np.flatnonzero(~converged)
        for gene in hard:
            beta[:, gene], converged[gene] = _fit_one_gene(y[:, gene], nf[:, gene], a[gene], x, beta[:, gene])
        with np.errstate(over="ignore"):
            mu = nf * np.exp(x @ beta)
        if len(hard):
            _, gram[:, :, hard], inverse[:, :, hard] = curvature(mu[:, hard], a[hard])
        out.beta[:, block] = beta
        out.mu[:, block] = mu
        out.covariance[:, :, block] = np.einsum("ijg,jkg,klg->ilg", inverse, gram, inverse, optimize=True)
        out.converged[block] = converged
        out.log_likelihood[block] = _log_likelihood(y, mu, a)
    return out


def _irls_block(y: Floats, nf: Floats, alpha: Floats, x: Floats) -> tuple[Floats, Floats, Bools]:
    """Natural-log coefficients (P, G), the last usable fitted means (S, G), and whether the gene converged.

    Works in the orthonormal basis of the design, so that covariates on any scale are safe.
    """
    q, r = np.linalg.qr(x)
    back = np.linalg.inv(r)
    ridge = RIDGE * (back.T @ back)
    gamma = q.T @ np.log(y / nf + 0.1)
    n_genes = y.shape[1]
    result, means, converged = np.empty((x.shape[1], n_genes)), np.empty(y.shape), np.zeros(n_genes, dtype=bool)
    active = np.arange(n_genes)
    constant = 2.0 * (special.gammaln(y + 1.0) - _log_rising(y, 1.0 / alpha)).sum(axis=0)
    deviance = np.zeros(n_genes)
    mu = np.maximum(nf * np.exp(q @ gamma), MIN_MEAN)
    for round_ in range(IRLS_ROUNDS):
        weights = mu / (1.0 + alpha * mu)
        z = np.log(mu / nf) + (y - mu) / mu
        gamma = _cholesky_solve(_cholesky(_gram(q, weights) + ridge[:, :, None]), q.T @ (weights * z))
        result[:, active] = gamma
        diverged = (np.abs(back @ gamma) > MAX_COEFFICIENT).any(axis=0)
        means[:, active[diverged]] = mu[:, diverged]
        with np.errstate(over="ignore", invalid="ignore"):
            mu = np.maximum(nf * np.exp(q @ gamma), MIN_MEAN)
            scaled = mu * alpha
            new = constant + 2.0 * (np.log1p(scaled) / alpha - special.xlogy(y, scaled / (1.0 + scaled))).sum(axis=0)
            change = np.abs(new - deviance) / (np.abs(new) + 0.1)
        settled = (change < 1e-8) & ~diverged if round_ else np.zeros(len(active), dtype=bool)
        converged[active[settled]] = True
        deviance = new
        keep = ~(settled | diverged | ~np.isfinite(change))
        done = ~keep & ~diverged if round_ < IRLS_ROUNDS - 1 else ~diverged
        means[:, active[done]] = mu[:, done]
        if not keep.any():
            break
        if not keep.all():
            active, gamma, mu, deviance, alpha = active[keep], gamma[:, keep], mu[:, keep], new[keep], alpha[keep]
            y, nf, constant = y[:, keep], nf[:, keep], constant[keep]
    return back @ result, means, converged


def _fit_one_gene(y: Floats, nf: Floats, alpha: float, x: Floats, start: Floats) -> tuple[Floats, bool]:
    """Direct minimisation for a gene whose reweighting did not settle; coefficients bounded at 30 on the log2 scale.

    Such likelihoods are flat, so the answer depends on when the search stops: numerical gradients with a step of
    0.001 and a relative tolerance of 1e-7 are what the reference implementation uses.
    """
    if not np.isfinite(start).all() or (np.abs(start) * LOG2_E >= MAX_COEFFICIENT).any():
        first = np.asarray(np.linalg.lstsq(x, np.log(y / nf + 0.1), rcond=None)[0], dtype=np.float64)
    else:
        first = start * LOG2_E
    constant = len(first) * (0.5 * math.log(2 * math.pi) + math.log(1000.0))

    def objective(beta2: Floats) -> float:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            mu = nf[:, None] * np.exp2(x @ beta2[:, None])
            value = constant + 0.5e-6 * float(beta2 @ beta2) - float(_log_likelihood(y[:, None], mu, alpha_)[0])
        return value if math.isfinite(value) else 1e300

    def gradient(beta2: Floats) -> Floats:
        out = np.empty(len(beta2))
        for k in range(len(beta2)):
            step = np.zeros(len(beta2))
            step[k] = 1e-3
            above, below = np.minimum(beta2 + step, MAX_COEFFICIENT), np.maximum(beta2 - step, -MAX_COEFFICIENT)
            out[k] = (objective(above) - objective(below)) / (above[k] - below[k])
        return out

    alpha_ = np.array([alpha])
    bounds = [(-MAX_COEFFICIENT, MAX_COEFFICIENT)] * x.shape[1]
    found = optimize.minimize(
        objective,
        np.clip(first, -MAX_COEFFICIENT, MAX_COEFFICIENT),
        jac=gradient,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxcor": 5, "ftol": 1e7 * 2.220446e-16, "gtol": 0.0, "maxiter": 100},
    )
    return found.x / LOG2_E, bool(found.success)


# ---- dispersions ----------------------------------------------------------------------------------------------------


def _has_group_means(x: Floats) -> bool:
    """True where the design only names groups, so that fitted means are plain group means."""
    return bool(len(np.unique(x, axis=0)) == x.shape[1])


def _gene_dispersion(counts: Floats, normalisation: Floats, x: Floats) -> tuple[Floats, Floats]:
    """Gene-wise dispersions (G,) and the fitted means (S, G) they were found with (floored at half a read)."""
    n_samples, n_columns = x.shape
    highest = max(10.0, float(n_samples))
    normed = counts / normalisation
    hat = x @ np.linalg.pinv(x)
    linear = hat @ normed
    floored = np.maximum(linear, 1.0)
    rough = (((normed - floored) ** 2 - floored) / floored**2).sum(axis=0) / (n_samples - n_columns)
    mean = normed.mean(axis=0)
    depth = np.where(np.ptp(normalisation, axis=1) == 0, normalisation[:, 0], normalisation.mean(axis=1))
    moments = (normed.var(axis=0, ddof=1) - (1.0 / depth).mean() * mean) / mean**2
    start = np.clip(np.minimum(np.maximum(rough, 0.0), moments), MIN_DISPERSION, highest)
    if _has_group_means(x):
        mu = linear * normalisation
    else:
        mu = _fit_coefficients(counts, normalisation, start, x).mu
    mu = np.maximum(mu, MIN_MEAN)
    search = _search_dispersion(np.log(start), counts, mu, x)
    alpha = np.minimum(np.exp(search.log_alpha), highest)
    stayed = search.last < search.first + np.abs(search.first) / 1e6
    alpha[stayed] = start[stayed]
    unsettled = ((search.rounds >= LINE_SEARCH_ROUNDS) | (search.rounds == 1)) & (alpha > MIN_DISPERSION * 10)
    if unsettled.any():
        alpha[unsettled] = np.exp(_grid_dispersion(counts[:, unsettled], mu[:, unsettled], x))
    return np.clip(alpha, MIN_DISPERSION, highest), mu


def fit_trend(base_mean: Floats, dispersion: Floats) -> tuple[DispersionTrend, str]:
    """Dispersion trend of genes (G,), and a note where the parametric curve could not be used."""
    informative = dispersion > 100 * MIN_DISPERSION
    if not informative.any():
        return DispersionTrend("mean", asymptotic=float(dispersion.mean())), (
            "no gene varies more than counting noise alone; one dispersion is used for all genes"
        )
    means, values = base_mean[informative], dispersion[informative]
    parametric = _parametric_trend(means, values)
    if parametric is not None:
        return parametric, ""
    trend = _local_trend(base_mean, dispersion)
    instead = "a local curve is used" if trend.kind == "local" else "one dispersion is used for all genes"
    return trend, f"the parametric dispersion curve did not fit; {instead}"


def _parametric_trend(means: Floats, values: Floats) -> DispersionTrend | None:
    """a0 + a1 / mean by gamma regression on the genes near the curve, chosen again in every round; None if it fails."""
    coefficients = np.array([0.1, 1.0])
    for _ in range(11):
        ratio = values / (coefficients[0] + coefficients[1] / means)
        near = (ratio > 1e-4) & (ratio < 15)
        fitted = _gamma_regression(means[near], values[near], coefficients)
        if fitted is None or (fitted[0] <= 0).any():
            return None
        old, (coefficients, converged) = coefficients, fitted
        if (np.log(coefficients / old) ** 2).sum() < 1e-6 and converged:
            return DispersionTrend("parametric", float(coefficients[0]), float(coefficients[1]))
    return None


def _gamma_regression(means: Floats, values: Floats, start: Floats) -> tuple[Floats, bool] | None:
    """Gamma regression with identity link of values on 1 / means by reweighted least squares (25 rounds at most)."""
    x = np.column_stack([np.ones_like(means), 1.0 / means])
    beta = start

    def deviance(mu: Floats) -> float:
        return float(2.0 * ((values - mu) / mu - np.log(values / mu)).sum())

    if len(means) < 2:
        return None
    mu = x @ beta
    old = deviance(mu)
    for _ in range(25):
        root = 1.0 / mu
        previous = beta
        beta = np.asarray(np.linalg.lstsq(x * root[:, None], values * root, rcond=None)[0], dtype=np.float64)
        mu = x @ beta
        halvings = 0
        while (mu <= 0).any():
            halvings += 1
            if halvings > 25:
                return None
            beta = (beta + previous) / 2.0
            mu = x @ beta
        new = deviance(mu)
        if abs(new - old) / (abs(new) + 0.1) < 1e-8:
            return beta, True
        old = new
    return beta, False


def _local_trend(base_mean: Floats, dispersion: Floats) -> DispersionTrend:
    """Local quadratic regression of log dispersion on log mean, weighted by the mean; nearest 70 % of genes.

    Fitted at few nodes, halving the range until a cell is shorter than 0.8 of the local bandwidth, with cubic pieces
    between them; beyond the data the global quadratic continues (Loader 1999, Local Regression and Likelihood).
    """
    used = dispersion >= MIN_DISPERSION * 10
    x, y, prior = np.log(base_mean[used]), np.log(dispersion[used]), base_mean[used]
    if len(np.unique(x)) < 4:
        return DispersionTrend("mean", asymptotic=float(np.exp(y.mean())) if len(y) else MIN_DISPERSION)
    n_near = int(0.7 * len(x) + 1e-12)

    def bandwidth(node: float) -> float:
        return float(np.partition(np.abs(x - node), n_near - 1)[n_near - 1])

    def halved(low: float, high: float) -> list[float]:
        if high - low <= max(0.8 * min(bandwidth(low), bandwidth(high)), 1e-6):
            return [low]
        middle = (low + high) / 2.0
        return [*halved(low, middle), *halved(middle, high)]

    nodes = np.array([*halved(float(x.min()), float(x.max())), float(x.max())])
    level, slope = _local_quadratic(x, y, prior, nodes, n_near)
    root = np.sqrt(prior)
    whole = np.linalg.lstsq(x[:, None] ** np.arange(3) * root[:, None], y * root, rcond=None)[0]
    level -= whole[0] + whole[1] * nodes + whole[2] * nodes**2
    slope -= whole[1] + 2.0 * whole[2] * nodes
    return DispersionTrend("local", nodes=nodes, level=level, slope=slope, quadratic=np.asarray(whole))


def _local_quadratic(x: Floats, y: Floats, prior: Floats, nodes: Floats, n_near: int) -> tuple[Floats, Floats]:
    """Value and slope at each node of a quadratic fitted to the nearest points with tricube times prior weights."""
    n_near = max(min(n_near, len(x)), 1)
    level, slope = np.empty(len(nodes)), np.empty(len(nodes))
    for k, node in enumerate(nodes):
        distance = np.abs(x - node)
        width = max(float(np.partition(distance, n_near - 1)[n_near - 1]), 1e-10)
        near = distance < width
        root = np.sqrt(prior[near]) * (1.0 - (distance[near] / width) ** 3) ** 1.5
        basis = (x[near] - node)[:, None] ** np.arange(3) * root[:, None]
        fitted = np.linalg.lstsq(basis, y[near] * root, rcond=None)[0]
        level[k], slope[k] = fitted[0], fitted[1]
    return level, slope


def _hermite(at: Floats, nodes: Floats, level: Floats, slope: Floats) -> Floats:
    """Cubic Hermite interpolation; straight on beyond the ends."""
    k = np.clip(np.searchsorted(nodes, at, side="right") - 1, 0, len(nodes) - 2)
    width = nodes[k + 1] - nodes[k]
    beyond = at - np.clip(at, nodes[0], nodes[-1])
    t = (at - beyond - nodes[k]) / width
    return np.asarray(
        level[k] * (1 + 2 * t) * (1 - t) ** 2
        + level[k + 1] * t**2 * (3 - 2 * t)
        + width * (slope[k] * t * (1 - t) ** 2 + slope[k + 1] * t**2 * (t - 1))
        + beyond * np.where(beyond < 0, slope[0], slope[-1])
    )


def _prior_variance(dispersion: Floats, trend: Floats, df: int) -> tuple[float, float]:
    """Variance of the log-normal prior around the trend, and the robust variance of the log residuals.

    With 3 residual degrees of freedom or fewer the log chi-square is too skewed for subtracting variances: the
    histogram of residuals is matched to log chi-square plus normal, computed by numerical convolution.
    """
    informative = dispersion >= 100 * MIN_DISPERSION
    if not informative.any():
        return 0.25, math.nan
    residual = (np.log(dispersion) - np.log(trend))[informative]
    observed = float((1.4826 * np.median(np.abs(residual - np.median(residual)))) ** 2)
    if df > 3:
        return max(observed - float(special.polygamma(1, df / 2)), 0.25), observed
    return max(_match_mixture(residual, df), 0.25), observed


def _match_mixture(residual: Floats, df: int) -> float:
    """The normal variance whose sum with a log chi-square comes closest (Kullback-Leibler) to the residuals.

    R draws 10,000 random numbers for each of 200 candidate variances; here the expected histogram is computed, with
    the same bins, the same guard against empty bins (one draw in 10,000) and the same smoothing of the 200 distances.
    R's draws are always the same ones (its seed is fixed), and their luck moves the answer by up to 0.03: R_DRAWS
    tabulates it, so that designs with 1 to 3 residual degrees of freedom agree with R.
    """
    edges = np.arange(-20, 21) / 2.0
    inside = residual[(residual > -10) & (residual < 10)]
    if not len(inside):
        return 0.25
    seen = np.histogram(inside, bins=edges, density=True)[0]
    guard = min(float(seen[seen > 0].min()), 2e-4)
    points = np.log(stats.chi2.ppf((np.arange(1000) + 0.5) / 1000, df)) - math.log(df)  # equally likely values
    variances = np.linspace(0.0, 8.0, 200)
    distances = np.empty(len(variances))
    for k, variance in enumerate(variances):
        below = special.ndtr((edges[:, None] - points) / max(math.sqrt(variance), 1e-9)).mean(axis=1)
        expected = np.diff(below) / (below[-1] - below[0]) / 0.5
        distances[k] = (seen * (np.log(seen + guard) - np.log(expected + guard))).sum()
    nodes = np.array([-0.04, *_halvings(variances), 8.04])
    level, slope = _local_quadratic(variances, distances, np.ones(len(variances)), nodes, 40)
    drawn = np.array(R_DRAWS.split(), dtype=np.float64).reshape(3, 2, 9, 30)[df - 1] * 1e-4 @ seen[:30]
    level[:9] -= drawn[0]
    level[9:] -= drawn[0, -1]
    slope[:9] -= 4.0 * drawn[1]
    fine = np.linspace(0.0, 8.0, 1000)
    return float(fine[_hermite(fine, nodes, level, slope).argmin()])


def _halvings(x: Floats) -> list[float]:
    """Cut points of sorted x into cells of at most 8 points by repeated halving (the knots of R's loess here)."""
    if len(x) <= 8:
        return []
    middle = (len(x) + 1) // 2
    return [*_halvings(x[:middle]), float(x[middle - 1]), *_halvings(x[middle:])]


def _shrink_dispersion(
    gene: Floats, trend: Floats, prior_variance: float, counts: Floats, mu: Floats, x: Floats
) -> Floats:
    """Maximum a posteriori dispersions (G,)."""
    start = np.where(gene > 0.1 * trend, gene, trend)
    search = _search_dispersion(np.log(start), counts, mu, x, np.log(trend), prior_variance)
    log_alpha = search.log_alpha
    unsettled = search.rounds >= LINE_SEARCH_ROUNDS
    if unsettled.any():
        log_alpha[unsettled] = _grid_dispersion(
            counts[:, unsettled], mu[:, unsettled], x, np.log(trend[unsettled]), prior_variance
        )
    return np.clip(np.exp(log_alpha), MIN_DISPERSION, max(10.0, float(len(x))))


# ---- outliers -------------------------------------------------------------------------------------------------------


def _trimmed_mean(values: Floats, trim: float) -> Floats:
    """Mean over samples without the `trim` share at either end, (G,)."""
    cut = int(len(values) * trim)
    return np.asarray(np.sort(values, axis=0)[cut : len(values) - cut].mean(axis=0))


def _cell_sizes(x: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Samples with the same design row: label of each sample's cell, and the size of that cell."""
    _, label, size = np.unique(x, axis=0, return_inverse=True, return_counts=True)
    label = label.reshape(-1)
    return label, size[label]


def _cooks_distances(counts: Floats, normalisation: Floats, mu: Floats, leverage: Floats, x: Floats) -> Floats:
    """Cook's distances (S, G), with a dispersion that a single outlier cannot inflate."""
    normed = counts / normalisation
    label, size = _cell_sizes(x)
    if (size >= 3).any():
        variances = []
        for cell in np.unique(label[size >= 3]):
            inside = normed[label == cell]
            n = len(inside)
            trim, scale = (1 / 3, 2.04) if n <= 3 else (1 / 4, 1.86) if n <= 23 else (1 / 8, 1.51)
            variances.append(scale * _trimmed_mean((inside - _trimmed_mean(inside, trim)) ** 2, trim))
        variance = np.max(variances, axis=0)
    else:
        variance = 1.51 * _trimmed_mean((normed - _trimmed_mean(normed, 1 / 8)) ** 2, 1 / 8)
    mean = normed.mean(axis=0)
    alpha = np.maximum((variance - mean) / mean**2, 0.04)
    pearson = (counts - mu) ** 2 / (mu + alpha * mu**2)
    with np.errstate(divide="ignore", invalid="ignore"):  # a sample alone in its cell has leverage 1
        return np.asarray(pearson / x.shape[1] * leverage / (1.0 - leverage) ** 2)


# ---- the whole fit --------------------------------------------------------------------------------------------------


def fit_counts(
    counts: NDArray[Any],
    design: pd.DataFrame,
    *,
    factors: dict[str, Any] | None = None,
) -> DeseqFit:
    """Fit the negative binomial model to every gene.

    counts   (S, G) integers >= 0, raw reads
    design   (S, P) numbers with column names: the model matrix, intercept included, samples in the order of counts
    factors  {"size_factors": (S,)} or {"normalisation": (S, G)} instead of median-of-ratios size factors
    raises   ValueError for a design that is rank-deficient, has no residual degrees of freedom, or does not match the
             counts; NoCommonGenes where size factors do not exist
    """
    counts = _checked_counts(counts)
    x, turn = _centred(_checked_design(design, len(counts)))
    sizes, normalisation = _normalisation(counts, factors or {})
    n_samples, n_genes = counts.shape
    present = np.flatnonzero(counts.sum(axis=0) > 0)
    if not len(present):
        raise ValueError("no gene has a single read in these samples, so there is nothing to fit")
    # genes with the same counts have the same fit: computed once, so that they tie to the last bit
    if "normalisation" in (factors or {}):
        kept, members = present, np.arange(len(present))
    else:
        _, first_of, members = np.unique(counts[:, present], axis=1, return_index=True, return_inverse=True)
        kept, members = present[first_of], members.reshape(-1)
    y, nf = counts[:, kept].astype(np.float64), normalisation[:, kept]
    base_mean = (y / nf).mean(axis=0)
    gene, early_mu = _gene_dispersion(y, nf, x)
    trend, note = fit_trend(base_mean[members], gene[members])
    at_trend = trend.at(base_mean)
    prior = _prior_variance(gene[members], at_trend[members], n_samples - x.shape[1])
    stage = _finish(y, nf, x, gene, at_trend, early_mu, prior)
    cooks = _cooks_distances(y, nf, stage.coefficients.mu, stage.coefficients.leverage, x)
    early_cooks = _cooks_distances(y, nf, early_mu, stage.coefficients.leverage, x)
    _, cell = _cell_sizes(x)
    replaceable = cell >= REPLICATES_TO_REPLACE
    far = cooks > _cooks_limit(n_samples, x.shape[1])
    replaced = np.asarray(far.any(axis=0) & replaceable.any())
    if replaced.any():
        y = np.where(far & replaceable[:, None], np.floor(_trimmed_mean(y / nf, 0.2) * nf), y)
        base_mean = (y / nf).mean(axis=0)
        again = np.flatnonzero(replaced & (base_mean > 0))
        if len(again):
            gene_again, mu_again = _gene_dispersion(y[:, again], nf[:, again], x)
            second = _finish(y[:, again], nf[:, again], x, gene_again, trend.at(base_mean[again]), mu_again, prior)
            stage = stage.with_genes(again, second)
    judged = (cell >= 3) & ~(replaceable & replaced.any())
    nothing = np.full(len(kept), math.nan)

    def spread(values: NDArray[Any], fill: Any = math.nan) -> NDArray[Any]:
        full = np.full((*values.shape[:-1], n_genes), fill, dtype=values.dtype)
        full[..., present] = values[..., members]
        return full

    return DeseqFit(
        counts=spread(y.astype(np.int64), 0),
        original_counts=counts,
        design=design,
        size_factors=sizes,
        normalisation=normalisation,
        base_mean=spread(base_mean, 0.0),
        dispersion_gene=spread(stage.gene),
        dispersion_trend=spread(stage.trend),
        dispersion_map=spread(stage.shrunken),
        dispersion=spread(stage.dispersion),
        dispersion_outlier=spread(stage.outlier, False),
        trend=trend,
        prior_variance=prior[0],
        residual_variance=prior[1],
        beta=spread(turn @ stage.coefficients.beta),
        covariance=spread(np.einsum("ij,jkg,lk->ilg", turn, stage.coefficients.covariance, turn, optimize=True)),
        fitted=spread(stage.coefficients.mu),
        log_likelihood=spread(stage.coefficients.log_likelihood),
        cooks=spread(cooks),
        max_cooks=spread(cooks[judged].max(axis=0) if judged.any() else nothing),
        max_cooks_lrt=spread(early_cooks[judged].max(axis=0) if judged.any() else nothing),
        replaced=spread(replaced, False),
        converged=spread(stage.coefficients.converged, True),
        notes=(note,) if note else (),
    )


@dataclass(frozen=True)
class _Stage:
    """Everything known of some genes after their coefficients were fitted."""

    gene: Floats
    trend: Floats
    shrunken: Floats
    dispersion: Floats
    outlier: Bools
    coefficients: _Coefficients

    def with_genes(self, where: NDArray[np.int64], other: _Stage) -> _Stage:
        """This stage with the genes at `where` taken from `other`."""

        def merged(mine: NDArray[Any], theirs: NDArray[Any]) -> NDArray[Any]:
            out = mine.copy()
            out[..., where] = theirs
            return out

        mine, theirs = self.coefficients, other.coefficients
        return _Stage(
            merged(self.gene, other.gene),
            merged(self.trend, other.trend),
            merged(self.shrunken, other.shrunken),
            merged(self.dispersion, other.dispersion),
            merged(self.outlier, other.outlier),
            _Coefficients(
                merged(mine.beta, theirs.beta),
                merged(mine.mu, theirs.mu),
                merged(mine.covariance, theirs.covariance),
                merged(mine.leverage, theirs.leverage),
                merged(mine.converged, theirs.converged),
                merged(mine.log_likelihood, theirs.log_likelihood),
            ),
        )


def _finish(
    y: Floats, nf: Floats, x: Floats, gene: Floats, trend: Floats, mu: Floats, prior: tuple[float, float]
) -> _Stage:
    """From gene-wise dispersions and trend to shrunken dispersions and coefficients."""
    shrunken = _shrink_dispersion(gene, trend, prior[0], y, mu, x)
    outlier = np.asarray(np.log(gene) > np.log(trend) + 2.0 * math.sqrt(prior[1]))
    dispersion = np.where(outlier, gene, shrunken)
    return _Stage(gene, trend, shrunken, dispersion, outlier, _fit_coefficients(y, nf, dispersion, x))


def _checked_design(design: pd.DataFrame, n_samples: int) -> Floats:
    x = np.asarray(design, dtype=np.float64)
    if x.ndim != 2 or len(x) != n_samples:
        raise ValueError(f"the design has {len(x)} rows for {n_samples} samples")
    if not np.isfinite(x).all():
        raise ValueError("the design has missing or infinite values")
    if np.linalg.matrix_rank(x) < x.shape[1]:
        raise ValueError(
            "the design is rank-deficient: some of its columns are sums of others, "
            "so their effects cannot be told apart"
        )
    if n_samples <= x.shape[1]:
        raise ValueError(
            "the design leaves no residual degrees of freedom: there are no replicates to estimate variation from"
        )
    return x


def _centred(x: Floats) -> tuple[Floats, Floats]:
    """The design with far covariates moved to zero, and the matrix that turns its coefficients into those of `x`.

    A year as covariate pushes the intercept beyond every bound. Only covariates more than 20 standard deviations from
    zero are moved: the path to the coefficients, and so agreement with R, depends on where the others are.
    """
    turn = np.eye(x.shape[1])
    constant = np.flatnonzero((x == x[0]).all(axis=0) & (x[0] != 0))
    if len(constant):
        far = np.flatnonzero((np.abs(x.mean(axis=0)) > 20 * x.std(axis=0)) & (x.std(axis=0) > 0))
        turn[constant[0], far] = -x[:, far].mean(axis=0) / x[0, constant[0]]
    return x @ turn, turn


def _normalisation(counts: NDArray[np.int64], factors: dict[str, Any]) -> tuple[Floats, Floats]:
    if "normalisation" in factors:
        normalisation = np.asarray(factors["normalisation"], dtype=np.float64)
        if normalisation.shape != counts.shape or not (normalisation > 0).all():
            raise ValueError("normalisation factors must be positive and of the shape of the counts")
        return np.exp(np.log(normalisation).mean(axis=1)), normalisation
    sizes = np.asarray(factors["size_factors"], dtype=np.float64) if "size_factors" in factors else size_factors(counts)
    if sizes.shape != (len(counts),) or not (sizes > 0).all():
        raise ValueError("size factors must be positive, one for each sample")
    return sizes, np.broadcast_to(sizes[:, None], counts.shape)


def _cooks_limit(n_samples: int, n_columns: int) -> float:
    return float(stats.f.ppf(0.99, n_columns, n_samples - n_columns))


# ---- tests ----------------------------------------------------------------------------------------------------------


def adjust_pvalues(pvalue: Floats) -> Floats:
    """Benjamini-Hochberg over the p-values that are there; NaN stays NaN."""
    out = np.full(len(pvalue), math.nan)
    known = np.flatnonzero(~np.isnan(pvalue))
    if len(known):
        order = known[np.argsort(-pvalue[known], kind="stable")]
        rank = np.arange(len(known), 0, -1)
        out[order] = np.minimum(1.0, np.minimum.accumulate(pvalue[order] * (len(known) / rank)))
    return out


def filter_and_adjust(base_mean: Floats, pvalue: Floats, alpha: float) -> tuple[Floats, float]:
    """Independent filtering: adjusted p-values (G,) above the mean-count cut-off that gives most discoveries, and it.

    The cut-off is the lowest of 50 quantiles whose number of discoveries comes within one root mean square residual
    of the maximum of a lowess curve through all 50.
    """
    lowest = float((base_mean == 0).mean())
    theta = np.linspace(lowest, 0.95 if lowest < 0.95 else 1.0, 50)
    cutoffs = np.quantile(base_mean, theta)
    known = np.flatnonzero(~np.isnan(pvalue))
    order = known[np.argsort(pvalue[known], kind="stable")]
    sorted_p, sorted_mean = pvalue[order], base_mean[order]
    found = np.zeros(len(theta))
    for k, cutoff in enumerate(cutoffs):
        kept = sorted_p[sorted_mean >= cutoff]
        if len(kept):
            passing = np.flatnonzero(kept * (len(kept) / np.arange(1, len(kept) + 1)) < alpha)
            found[k] = passing[-1] + 1 if len(passing) else 0
    best = 0
    if found.max() > 10:
        smooth = lowess(theta, found, 0.2)
        residual = (found - smooth)[found > 0]
        limit = smooth.max() - math.sqrt(float((residual**2).mean()))
        above = np.flatnonzero(found > limit)
        best = int(above[0]) if len(above) else 0
    kept_p = np.where(base_mean >= cutoffs[best], pvalue, math.nan)
    return adjust_pvalues(kept_p), float(cutoffs[best])


def wald_test(
    fit: DeseqFit,
    contrast: Any,
    *,
    alpha: float = 0.05,
    lfc_threshold: float = 0.0,
    alternative: Alternative = "greaterAbs",
) -> pd.DataFrame:
    """Wald test of a linear combination of coefficients.

    contrast       (P,) weights of the design's columns
    lfc_threshold  log2; the null hypothesis is |log2 fold change| <= threshold (greaterAbs), and so on
    returns        index 0..G-1; base_mean, log2_fold_change, lfc_se, stat, pvalue, padj, reason. reason says why padj
                   is missing: "all_zero", "outlier" (a count far from its replicates), "low_mean" (filtered), or ""
    """
    weights = _checked_contrast(fit, contrast)
    if lfc_threshold == 0 and alternative == "lessAbs":
        raise ValueError("testing for small changes needs a threshold above zero")
    change, error = _log2_change(fit, weights)
    change = np.where(_silent_in_contrast(fit, weights), 0.0, change)
    with np.errstate(divide="ignore", invalid="ignore"):
        if alternative == "greaterAbs":
            size = (np.abs(change) - lfc_threshold) / error
            stat = np.sign(change) * np.maximum(size, 0.0)
            pvalue = np.minimum(1.0, 2.0 * special.ndtr(-size))
        elif alternative == "lessAbs":
            stat = np.maximum((lfc_threshold - np.abs(change)) / error, 0.0)
            above = special.ndtr((change - lfc_threshold) / error)
            below = special.ndtr(-(change + lfc_threshold) / error)
            pvalue = np.maximum(above, below)
        elif alternative == "greater":
            stat = np.maximum((change - lfc_threshold) / error, 0.0)
            pvalue = special.ndtr(-(change - lfc_threshold) / error)
        else:
            stat = np.minimum((change + lfc_threshold) / error, 0.0)
            pvalue = special.ndtr((change + lfc_threshold) / error)
    return _table(fit, fit.max_cooks, change, error, stat, pvalue, alpha)


def likelihood_ratio_test(
    fit: DeseqFit,
    reduced_design: pd.DataFrame,
    *,
    alpha: float = 0.05,
    contrast: Any = None,
) -> pd.DataFrame:
    """Likelihood-ratio test of the full design against a reduced one.

    reduced_design  (S, Q) whose columns lie in the span of the full design, Q < P
    contrast        (P,) whose log2 fold change and error are reported beside the test; the last column if not given
    returns         as `wald_test`; stat is twice the gain in log likelihood
    """
    x = np.asarray(fit.design, dtype=np.float64)
    reduced = np.asarray(reduced_design, dtype=np.float64)
    if len(reduced) != len(x) or not 1 <= reduced.shape[1] < x.shape[1]:
        raise ValueError("the reduced design must have the same samples and fewer columns than the full one")
    if np.linalg.matrix_rank(np.hstack([x, reduced])) > x.shape[1]:
        raise ValueError("the reduced design is not part of the full one")
    if np.linalg.matrix_rank(reduced) < reduced.shape[1]:
        raise ValueError("the reduced design is rank-deficient")
    tested = np.flatnonzero(fit.counts.sum(axis=0) > 0)
    y, nf, dispersion = fit.counts[:, tested].astype(np.float64), fit.normalisation[:, tested], fit.dispersion[tested]
    if reduced.shape[1] == 1 and (reduced == reduced[0]).all():  # as R: the mean of normalised counts, not its refit
        small = _log_likelihood(y, nf * (y / nf).mean(axis=0), dispersion)
    else:
        small = _fit_coefficients(y, nf, dispersion, _centred(reduced)[0]).log_likelihood
    stat = np.where(fit.all_zero, math.nan, 0.0)
    stat[tested] = 2.0 * (fit.log_likelihood[tested] - small)
    pvalue = stats.chi2.sf(stat, x.shape[1] - reduced.shape[1])
    weights = _checked_contrast(fit, np.eye(x.shape[1])[-1] if contrast is None else contrast)
    change, error = _log2_change(fit, weights)
    return _table(fit, fit.max_cooks_lrt, change, error, stat, pvalue, alpha)


def _log2_change(fit: DeseqFit, weights: Floats) -> tuple[Floats, Floats]:
    """log2 fold change and its standard error, each (G,)."""
    variance = np.einsum("i,ijg,j->g", weights, fit.covariance, weights)
    return LOG2_E * (weights @ fit.beta), LOG2_E * np.sqrt(np.maximum(variance, 0.0))


def _checked_contrast(fit: DeseqFit, contrast: Any) -> Floats:
    weights = np.asarray(contrast, dtype=np.float64)
    if weights.shape != (fit.design.shape[1],) or not np.isfinite(weights).all() or not weights.any():
        raise ValueError(
            f"the contrast must be {fit.design.shape[1]} numbers, one for each design column, not all zero"
        )
    return weights


def _silent_in_contrast(fit: DeseqFit, weights: Floats) -> Bools:
    """Genes without reads in any sample the contrast speaks of, though others have some: their change is zero.

    For a single coefficient of a factor the samples are those of its level and of the reference level, which the
    names of the design's columns tell ("dose[T.high]" beside "dose[T.low]").
    """
    x = np.asarray(fit.design, dtype=np.float64)
    if (weights >= 0).all() or (weights <= 0).all():
        names = [str(name) for name in fit.design.columns]
        alone = np.flatnonzero(weights)
        stem = names[int(alone[0])].partition("[T.")[0]
        siblings = [k for k, name in enumerate(names) if name.startswith(f"{stem}[T.") and ":" not in name]
        if len(alone) != 1 or alone[0] not in siblings:
            return np.zeros(fit.base_mean.shape, dtype=bool)
        involved = (x[:, alone[0]] != 0) | (x[:, siblings] == 0).all(axis=1)
    else:
        involved = (x @ (weights != 0)) != 0
    return np.asarray((fit.original_counts[involved].sum(axis=0) == 0) & ~fit.all_zero)


def _cooks_outliers(fit: DeseqFit, max_cooks: Floats) -> Bools:
    x = np.asarray(fit.design, dtype=np.float64)
    limit = _cooks_limit(*x.shape)
    with np.errstate(invalid="ignore"):
        outlier = np.asarray(max_cooks > limit)
    two_groups = x.shape[1] == 2 and (x[:, 0] == 1).all() and np.isin(x[:, 1], (0.0, 1.0)).all()
    if two_groups:  # an outlier that three samples exceed cannot be what makes the difference
        for gene in np.flatnonzero(outlier):
            row = fit.original_counts[:, gene]
            outlier[gene] = (row > row[fit.cooks[:, gene].argmax()]).sum() < 3
    return outlier


def _table(
    fit: DeseqFit, max_cooks: Floats, change: Floats, error: Floats, stat: Floats, pvalue: Floats, alpha: float
) -> pd.DataFrame:
    if not 0 < alpha < 1:
        raise ValueError("alpha must lie between 0 and 1")
    emptied = fit.replaced & (fit.base_mean == 0)  # the only reads were an outlier
    change, error, stat = (np.where(emptied, 0.0, column) for column in (change, error, stat))
    pvalue = np.where(emptied, 1.0, pvalue)
    outlier = _cooks_outliers(fit, max_cooks)
    pvalue = np.where(outlier, math.nan, pvalue)
    padj, _ = filter_and_adjust(fit.base_mean, pvalue, alpha)
    reason = np.where(fit.all_zero, "all_zero", np.where(outlier, "outlier", np.where(np.isnan(padj), "low_mean", "")))
    return pd.DataFrame(
        {
            "base_mean": fit.base_mean,
            "log2_fold_change": change,
            "lfc_se": error,
            "stat": stat,
            "pvalue": pvalue,
            "padj": padj,
            "reason": reason,
        }
    )


# ---- shrinkage of fold changes --------------------------------------------------------------------------------------


def shrink_lfc(fit: DeseqFit, contrast: Any) -> pd.DataFrame:
    """Fold changes shrunken by an adaptive heavy-tailed (Cauchy) prior: for ranking and plots, not for tests.

    contrast  (P,) as in `wald_test`; one that is not a single coefficient is made one by re-levelling the design
    returns   index 0..G-1: log2_fold_change (posterior mode), lfc_se (posterior standard deviation); NaN without reads
    """
    x, back = _centred(np.asarray(fit.design, dtype=np.float64))
    weights = _checked_contrast(fit, contrast) @ back
    pivot = int(np.abs(weights).argmax() if weights.max() <= 0 else weights.argmax())
    turn = np.eye(len(weights))
    turn[pivot] = weights
    x = x @ np.linalg.inv(turn)
    usable = np.flatnonzero(np.isfinite(fit.dispersion) & (fit.counts.sum(axis=0) > 0))
    beta = turn @ np.linalg.solve(back, fit.beta[:, usable])
    variance = (_log2_change(fit, _checked_contrast(fit, contrast))[1][usable] / LOG2_E) ** 2
    scale = min(math.sqrt(_effect_variance(beta[pivot], variance)), 1.0)
    change, error = np.full(fit.base_mean.shape, math.nan), np.full(fit.base_mean.shape, math.nan)
    absorbed = np.zeros((x.shape[1], 1))  # no effect of the pivot: the other columns take over what they can
    others = np.delete(np.arange(x.shape[1]), pivot)
    if len(others):
        absorbed[others] = np.linalg.lstsq(x[:, others], x[:, [pivot]], rcond=None)[0]
    absorbed[pivot] = -1.0
    for block in _blocks(len(usable)):
        genes = usable[block]
        y, nf = fit.counts[:, genes].astype(np.float64), fit.normalisation[:, genes]
        best, value = _posterior_mode(y, nf, fit.dispersion[genes], x, pivot, scale, beta[:, block])
        null = beta[:, block] + absorbed * beta[pivot, block]
        other, other_value = _posterior_mode(y, nf, fit.dispersion[genes], x, pivot, scale, null)
        best = np.where(other_value > value, other, best)
        change[genes] = best[pivot] * LOG2_E
        error[genes] = _posterior_error(y, nf, fit.dispersion[genes], x, pivot, scale, best) * LOG2_E
    return pd.DataFrame({"log2_fold_change": change, "lfc_se": error})


def _effect_variance(beta: Floats, variance: Floats) -> float:
    """Variance of the true effects given estimates and their error variances (Efron & Morris), by its score's root."""

    def score(a: float) -> float:
        information = 1.0 / (2.0 * (a + variance) ** 2)
        return float(((beta**2 - variance) * information).sum() / information.sum() - a)

    low, high = 0.001**2, 20.0**2
    if score(low) < 0:
        return low
    if score(high) > 0:
        return high
    return float(optimize.brentq(score, low, high, xtol=1e-10))


NO_SHRINK_SCALE = 15.0


def _log_posterior(y: Floats, nf: Floats, alpha: Floats, x: Floats, pivot: int, scale: float, beta: Floats) -> Floats:
    size = 1.0 / alpha
    eta = x @ beta
    with np.errstate(over="ignore", invalid="ignore"):
        mu = nf * np.exp(eta)
        likelihood = (y * eta - (y + size) * np.log(mu + size)).sum(axis=0)
    others = (np.delete(beta, pivot, axis=0) ** 2).sum(axis=0)
    return np.asarray(likelihood - others / (2 * NO_SHRINK_SCALE**2) - np.log1p((beta[pivot] / scale) ** 2))


def _posterior_mode(
    y: Floats, nf: Floats, alpha: Floats, x: Floats, pivot: int, scale: float, start: Floats
) -> tuple[Floats, Floats]:
    """Damped Newton steps with the prior's quadratic bound; (P, G) mode reached from `start`, and its posterior."""
    size = 1.0 / alpha
    q, r = np.linalg.qr(x)  # steps are solved in an orthonormal basis: safe for covariates on any scale
    back = np.linalg.inv(r)
    penalty = np.full(x.shape[1], 1.0 / NO_SHRINK_SCALE**2)
    penalty[pivot] = 0.0
    always, pulled = back.T @ np.diag(penalty) @ back, np.outer(back[pivot], back[pivot])
    beta = start.copy()
    value = _log_posterior(y, nf, alpha, x, pivot, scale, beta)
    active = np.arange(len(alpha))
    for _ in range(100):
        b, yy, n, size_ = beta[:, active], y[:, active], nf[:, active], size[active]
        mu = _means(n, x, b)
        pull = 2.0 / (scale**2 + b[pivot] ** 2)
        gradient = x.T @ (yy - (yy + size_) * (mu / (mu + size_))) - penalty[:, None] * b
        gradient[pivot] -= pull * b[pivot]
        gradient = back.T @ gradient
        hessian = _gram(q, size_ * (mu / (mu + size_))) + always[:, :, None] + pull * pulled[:, :, None]
        solved = _cholesky_solve(_cholesky(hessian), gradient)
        step, slope = back @ solved, (solved * gradient).sum(axis=0)
        length, old = np.ones(len(active)), value[active]
        new = _log_posterior(yy, n, alpha[active], x, pivot, scale, b + step)
        for _ in range(30):
            short = np.flatnonzero(~(new >= old + 1e-4 * length * slope - 1e-10))
            if not len(short):
                break
            length[short] /= 2.0
            closer = b[:, short] + length[short] * step[:, short]
            new[short] = _log_posterior(yy[:, short], n[:, short], alpha[active[short]], x, pivot, scale, closer)
        better = new >= old - 1e-10
        length = np.where(better, length, 0.0)
        beta[:, active] = b + length * step
        value[active] = np.where(better, new, old)
        active = active[(np.abs(length * step) > 1e-7).any(axis=0)]
        if not len(active):
            break
    return beta, value


def _means(nf: Floats, x: Floats, beta: Floats) -> Floats:
    """Fitted means (S, G), held below overflow."""
    with np.errstate(over="ignore"):
        return np.asarray(np.minimum(nf * np.exp(x @ beta), 1e150))


def _posterior_error(y: Floats, nf: Floats, alpha: Floats, x: Floats, pivot: int, scale: float, beta: Floats) -> Floats:
    """Standard deviation of the pivot coefficient from the curvature at the mode, (G,)."""
    size = 1.0 / alpha
    q, r = np.linalg.qr(x)
    back = np.linalg.inv(r)
    mu = _means(nf, x, beta)
    penalty = np.full(x.shape[1], 1.0 / NO_SHRINK_SCALE**2)
    penalty[pivot] = 0.0
    square = beta[pivot] ** 2
    bend = 2.0 * (scale**2 - square) / (scale**2 + square) ** 2
    hessian = _gram(q, (y + size) * (mu / (mu + size)) * (size / (mu + size)))
    hessian += (back.T @ np.diag(penalty) @ back)[:, :, None] + bend * np.outer(back[pivot], back[pivot])[:, :, None]
    unit = np.repeat(back[pivot][:, None], len(alpha), axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt((unit * _cholesky_solve(_cholesky(hessian), unit)).sum(axis=0)))


# ---- variance-stabilising transformation ----------------------------------------------------------------------------


def vst(
    fit_or_counts: DeseqFit | NDArray[Any],
    *,
    blind: bool = True,
    n_trend_genes: int | None = 1000,
    factors: dict[str, Any] | None = None,
) -> Floats:
    """Counts on a scale (about log2) on which the variance no longer depends on the mean: for PCA and heatmaps.

    fit_or_counts  a fit: its dispersion trend and size factors are used. Counts (S, G): the trend is estimated without
                   knowledge of the groups (blind), as R's vst() does
    n_trend_genes  blind only: the trend comes from this many genes, evenly spaced by mean among those above 5 reads;
                   None, or fewer such genes, uses every gene, as R's varianceStabilizingTransformation() does
    returns        (S, G)
    source         Anders & Huber 2010
    """
    if isinstance(fit_or_counts, DeseqFit):
        fit = fit_or_counts
        return _stabilised(fit.original_counts, fit.normalisation, fit.trend)
    if not blind:
        raise ValueError("without blinding the transformation needs a fit, not counts")
    counts = _checked_counts(fit_or_counts)
    _, normalisation = _normalisation(counts, factors or {})
    base_mean = (counts / normalisation).mean(axis=0)
    used = np.flatnonzero(base_mean > 0)
    above = np.flatnonzero(base_mean > 5)
    if n_trend_genes is not None and len(above) >= n_trend_genes:
        order = above[np.argsort(base_mean[above], kind="stable")]
        used = order[np.round(np.linspace(0, len(order) - 1, n_trend_genes)).astype(np.int64)]
    gene, _ = _gene_dispersion(counts[:, used].astype(np.float64), normalisation[:, used], np.ones((len(counts), 1)))
    trend, _ = fit_trend(base_mean[used], gene)
    return _stabilised(counts, normalisation, trend)


def _stabilised(counts: NDArray[np.int64], normalisation: Floats, trend: DispersionTrend) -> Floats:
    q = np.asarray(counts / normalisation)
    if trend.kind == "parametric":
        a, e = trend.asymptotic, trend.extra_poisson
        return np.asarray(np.log2((1 + e + 2 * a * q + 2 * np.sqrt(a * q * (1 + e + a * q))) / (4 * a)))
    if trend.kind == "mean":
        a = trend.asymptotic
        return np.asarray((2 * np.arcsinh(np.sqrt(a * q)) - math.log(a) - math.log(4)) / math.log(2))
    grid = np.sinh(np.linspace(0.0, math.asinh(float(q.max())), 1000))[1:]
    spread = np.minimum(trend.at(grid), 1e100) * grid**2 + float((1.0 / normalisation).mean()) * grid
    height = 1.0 / np.sqrt(spread)
    at = np.arcsinh((grid[1:] + grid[:-1]) / 2.0)
    area = np.cumsum(np.diff(grid) * (height[1:] + height[:-1]) / 2.0)
    curve = interpolate.CubicSpline(at, area)
    low, high = np.quantile(q.mean(axis=0), [0.95, 0.999])
    factor = (math.log2(high) - math.log2(low)) / float(curve(math.asinh(high)) - curve(math.asinh(low)))
    return np.asarray(math.log2(low) + factor * (curve(np.arcsinh(q)) - curve(math.asinh(low))))


# ---- table ----------------------------------------------------------------------------------------------------------

# Log of R's drawn histogram over the expected one in units of 0.0001, smoothed as the distances in _match_mixture are:
# 3 residual degrees of freedom x (value, slope in a quarter) x 9 nodes of the variance (0 to 2) x 30 bins of half a log
# unit (-10 to 5). Made by benchmarks/prior_draws.py from R's set.seed(2), rchisq(10000, df), rnorm(10000, 0, sd).
R_DRAWS = """
-579 -757 257 -1288 735 1047 1075 -664 -225 -696 -426 -196 113 -167 174 -214 114 -149 -143 108 -64 54 128 733 -182 3600
1268 -507 1142 618 393 -1136 -328 -495 -353 176 336 -708 -90 -261 -19 102 20 25 124 -136 96 -224 -78 21 31 27 90 209 -4
1310 389 -860 -251 -248 558 -993 -380 -164 -979 -213 -124 -646 -21 -79 133 205 -24 97 88 -66 80 -198 -40 4 35 7 45 -33
48 -56 -111 -623 -1220 -1082 156 -475 73 -148 -1282 -278 -410 -503 -1 -17 95 145 -34 91 66 -10 52 -85 -17 24 -23 -4 -4
-83 28 32 -372 125 -1949 -1991 52 483 232 -112 -1167 -58 -226 -157 -188 -379 -80 -18 -198 13 65 73 4 35 21 140 -110 -61
-47 -25 81 61 -293 621 -1662 -2729 -233 393 234 -423 -613 -88 235 -29 -249 -402 -265 -216 -318 -10 120 107 21 110 4 121
-77 -83 -56 -20 177 39 -120 -205 -738 -1931 -1056 51 -21 -421 -410 -199 99 -350 -107 -65 -97 -242 -305 6 192 43 -9 222
-110 60 -35 -62 43 -86 0 168 144 -518 -734 -1175 -1321 383 -818 -265 -129 -493 -284 -447 -24 361 13 -59 -155 50 49 44
-13 150 -138 27 -91 -28 133 -48 -116 72 308 -409 -914 -860 -101 703 -869 127 106 -543 -247 -244 -127 321 -54 0 -98 9
-88 33 -35 114 -57 0 -160 1 209 -80 -46 19 263 140 -516 -520 1164 -564 -741 877 -1154 -960 -775 -89 152 488 466 349 -92
217 -53 72 -13 -112 65 -105 120 -24 -31 -572 200 -3600 -929 -552 -1412 -757 469 -73 -248 501 -798 -572 -564 12 97 280
250 179 -60 118 -40 69 -16 -12 47 -45 40 -22 -42 -348 98 -2109 -635 18 -1143 -831 32 293 75 243 -467 -267 -347 109 34
115 80 34 -54 42 -27 67 -23 54 35 -1 -15 -22 -42 -174 43 -904 -396 320 -745 -808 -238 582 302 26 -108 4 -82 194 -51 -63
-79 -100 -76 -24 -6 57 -34 112 25 42 -54 -28 -40 -25 22 -44 -118 511 -271 -701 -314 434 74 -95 172 46 181 165 -59 -134
-124 -130 -98 -38 17 57 -5 97 3 40 -35 -37 -21 13 22 3 52 -49 253 -69 -412 -111 -173 -74 318 -68 61 -32 0 159 -3 -70
-33 1 27 -8 -22 65 -52 -23 21 10 45 -21 -34 17 173 -314 340 531 -307 105 -389 91 276 -160 -128 -135 82 272 82 38 46 5
-29 -27 -8 29 -41 -43 -13 14 78 -9 -100 5 197 -116 84 531 295 104 -287 152 197 -109 -155 40 10 149 5 100 105 -6 -106 -2
2 -32 10 -31 -36 32 64 -13 -41 -60 18 256 73 466 687 129 80 180 -52 104 1 150 -10 -73 -43 43 54 -73 -50 -3 23 -16 47
-22 -1 10 27 -13 -14 -73 -111 201 122 469 846 3600 3600 1171 -3600 3600 -1704 3600 -1747 -2034 743 -143 16 -276 13 -20
455 -223 -60 -46 8 121 166 -400 -3600 -1471 1512 666 412 -210 1142 3098 2843 -1294 -3600 1308 -644 1025 -1067 -668 -268
79 25 47 -108 -178 136 -35 50 -77 -99 101 204 -288 -718 -261 -161 -541 169 99 1327 2126 139 -2378 -2547 -1213 -381 -866
-453 -29 -580 72 5 99 -86 -202 0 39 78 -96 -119 98 154 -175 595 316 -813 -1002 -430 -13 1212 1667 -2287 -2720 -1117
-1668 -748 -924 250 72 -367 -157 -32 -63 53 -119 -21 27 56 -100 -84 121 23 -61 358 443 -889 -993 -1178 -453 1898 448
-3214 -1235 206 -2290 -1084 -757 322 64 -71 -327 -164 -279 210 21 14 37 -61 -92 32 101 -93 22 77 341 -109 -470 -1990
-984 1656 -1228 -3314 -753 740 -3015 -1032 211 -291 -185 -292 -421 -283 -113 165 205 -128 90 3 -76 67 -32 -56 -84 86
272 -370 113 -1114 -2364 328 -2292 -3600 -1911 -204 -2947 -1855 257 -471 -580 -194 -322 -500 21 56 249 -132 85 71 -63
14 -67 19 -9 60 217 -298 102 -1310 -2476 -918 -1680 -3600 -1633 -1557 -2761 -1845 -498 -116 -629 -89 -3 -391 -100 -31
147 -13 47 54 -85 6 23 64 60 -34 11 -323 336 -820 -2044 -1244 -493 -1092 -1009 -1885 -2535 -1206 -998 152 -364 -70 261
-169 -119 4 -41 110 -27 -57 -93 -18 124 23 158 -5 -112 -331 79 -4 -463 311 -1700 -3349 -2738 3600 -3600 1260 -3600 616
1491 -1171 296 26 396 -167 -200 -349 209 131 -34 -130 -24 72 98 3600 1321 -1880 -1364 -76 459 217 -1204 -2992 -1625
3600 -3530 563 -2810 643 910 -575 80 -7 158 -36 -76 -205 117 60 -23 -55 -10 -15 112 2088 808 -1029 -756 -461 68 142
-953 -2458 -691 2971 -1915 77 -1264 553 452 -162 -67 -38 -11 58 18 -102 52 8 -12 3 -2 -71 106 828 424 -443 -266 -590
-244 99 -845 -1806 225 1412 -650 -298 -22 403 62 170 -187 -78 -137 119 105 -22 7 -41 3 53 -3 -107 88 -129 58 130 168
-600 -494 219 -1227 -871 788 902 -671 -194 342 -98 -81 48 -103 -115 -29 50 133 -33 26 -26 5 61 -64 -43 30 -104 -53 265
428 -240 -797 -829 -1065 -330 -340 -117 -176 -338 272 -252 -241 23 16 -117 67 -44 67 -36 5 38 8 3 -39 35 -2 -36 -44 -29
287 342 -517 -930 -198 22 -92 -909 36 -228 -232 53 -151 57 185 -34 19 -77 -12 39 -12 10 5 -26 11 43 60 -45 -147 18 74
217 237 -673 759 1298 64 -656 297 281 -395 204 74 58 209 132 -5 -20 -116 83 -55 -36 -20 -7 53 6 66 -16 -112 -17 38 567
749 202 911 1282 -131 -55 833 522 -155 96 222 16 74 156 62 35 -114 30 -49 -41 0 10 2 -29 68 -16 -16 -60 -80 480 998 -1
41 334 957 402 959 3600 3600 -1838 -3600 1444 805 -461 -91 -125 -464 -117 117 34 -41 128 -33 -108 802 860 871 278 -29
551 62 0 -10 335 880 1497 1325 2131 3196 -1399 -2586 434 284 363 216 -274 -113 -16 -10 24 -102 36 56 -91 441 120 58
-457 -34 -186 5 1 -40 421 1051 1897 1286 824 -411 -980 472 -32 145 728 295 -276 38 33 -48 -5 -109 -48 80 -44 289 -203
-221 -635 127 -906 -213 0 -59 539 1373 1689 793 -589 -2779 -184 1333 -106 289 747 183 -171 72 51 -29 -41 -70 -142 61 21
282 -240 -183 -502 340 -1670 -577 0 6 1124 2336 1700 286 -2337 -3600 -1329 532 -187 449 434 62 -99 5 -2 9 -40 -63 -99
-48 134 319 -119 246 33 682 -2290 -880 -7 306 1096 2216 1462 -151 -3600 -1594 -859 -717 -339 353 -332 25 -212 69 -43
-146 114 -88 44 -98 120 190 124 113 -700 283 -1420 -1287 -25 522 101 977 614 -463 -3600 -352 -733 -1483 -317 162 -453
88 -94 150 -8 -213 190 -122 41 -17 47 -111 178 93 -457 620 147 -1640 -62 1008 -754 -719 1123 -82 -1964 -774 -445 -1679
-462 45 -231 55 6 154 10 -76 109 -23 -54 9 57 -299 -7 97 -227 850 1181 -1260 -250 961 -1412 -982 836 -1056 4 -955 284
-942 -529 149 -16 -62 -72 95 34 44 -33 61 25 -82 14 -236 -205 59 -102 740 1252 548 2 -61 -43 -185 1258 525 -1435 -3600
402 3600 -1099 -610 925 366 -188 384 111 -145 -5 -75 -87 107 1 -397 -820 -930 -864 -68 -649 23 1 -38 36 57 638 115
-1388 -3600 419 3600 -660 -284 545 168 -57 228 68 -71 -22 -27 -88 51 33 -230 -481 -479 -383 96 -715 -147 0 -7 138 260
242 -203 -1490 -3005 443 2221 -360 -50 202 14 21 109 34 -26 -20 3 -69 2 54 -111 -218 -170 -92 165 -679 -258 -1 41 230
455 -136 -503 -1675 -1580 146 311 -103 106 -131 -99 68 18 -8 5 -3 20 -30 -47 69 -19 14 120 169 200 -556 -324 -5 184 160
240 -133 -360 -1778 14 -278 -726 -101 50 -378 -63 17 -6 -32 -36 45 -1 55 -54 46 -57 138 151 33 117 74 -303 -15 196 -448
-593 -411 -361 -681 1140 222 -717 -79 -125 -327 0 23 59 5 -66 74 -13 42 3 -19 -183 83 -35 -88 -18 973 -266 -32 322 -765
-1139 -256 -102 1108 409 300 -402 -68 -95 -12 -13 67 33 11 29 -1 32 -13 28 -36 -193 -54 -12 135 173 1085 197 -56 102
-663 -719 -328 -318 1972 -11 448 151 -38 -68 133 -39 13 -13 26 85 -88 59 4 -21 -16 -60 -124 -17 120 17 518 946 37 -255
-79 320 -1491 -391 1120 -91 368 537 125 -28 99 -42 -28 -47 14 45 -61 4 40 -26 -12 47 -78 -43 123 -190 -168 1369
"""
