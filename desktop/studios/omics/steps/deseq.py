"""Differential expression of raw RNA-seq counts with the negative binomial model of DESeq2, batched over genes.

Pure functions over numpy arrays: no files, no network, no randomness, no globals that change. The whole text of this
file is pasted into every analysis script, so it imports nothing but numpy, scipy and pandas, and it stays one file.
It is not a table reader and knows no sample names or formulas: it takes counts and a design matrix.

Axes are always (samples, genes): S samples, G genes, P design columns. Counts are raw reads, never CPM or TPM.
Coefficients inside a fit are natural logarithms; every table that leaves this file speaks log2.

Sources: Love, Huber & Anders 2014, doi:10.1186/s13059-014-0550-8 (model, dispersions, Wald, outliers, filtering);
Anders & Huber 2010, doi:10.1186/gb-2010-11-10-r106 (size factors, variance-stabilising transformation);
Zhu, Ibrahim & Love 2019, doi:10.1093/bioinformatics/bty895 (adaptive shrinkage of fold changes);
Cleveland 1979, doi:10.1080/01621459.1979.10481038 (lowess); Benjamini & Hochberg 1995 (adjusted p-values).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import interpolate, optimize, special, stats

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

    kind      "parametric" (asymptotic + extra_poisson / mean), "local" (curve on a log-log grid) or "mean" (constant)
    """

    kind: Literal["parametric", "local", "mean"]
    asymptotic: float = math.nan
    extra_poisson: float = math.nan
    log_mean: Floats = field(default_factory=lambda: np.empty(0))  # nodes of the local curve
    log_dispersion: Floats = field(default_factory=lambda: np.empty(0))
    slope: Floats = field(default_factory=lambda: np.empty(0))

    def at(self, mean: Floats) -> Floats:
        """Dispersion at `mean` (any shape, > 0)."""
        if self.kind == "parametric":
            return np.asarray(self.asymptotic + self.extra_poisson / mean)
        if self.kind == "mean":
            return np.full(np.shape(mean), self.asymptotic)
        return np.exp(_hermite(np.log(mean), self.log_mean, self.log_dispersion, self.slope))


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
    replaced: Bools
    converged: Bools
    notes: tuple[str, ...] = ()

    @property
    def all_zero(self) -> Bools:
        """(G,) True where no sample has a read of the gene."""
        return np.asarray(self.original_counts.sum(axis=0) == 0)


# ---- size factors ---------------------------------------------------------------------------------------------------


def size_factors(counts: NDArray[Any], *, kind: Literal["ratio", "poscounts"] = "ratio") -> Floats:
    """Median-of-ratios size factors.

    counts   (S, G) integers >= 0, raw reads, samples in rows
    kind     "poscounts" also uses genes with zeros (geometric mean over the positive counts only)
    returns  (S,) float64 > 0, unitless; with "ratio" their geometric mean is not forced to 1
    raises   NoCommonGenes if no gene is non-zero in every sample (ratio), or a sample has no reads
    source   Anders & Huber 2010, eq. 5
    """
    counts = _checked_counts(counts)
    with np.errstate(divide="ignore"):
        logs = np.log(counts)
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
    """Lower factors of positive definite (P, P, G); a pivot that rounding made negative is held at a tiny value."""
    size = len(matrices)
    lower = np.zeros_like(matrices)
    for j in range(size):
        pivot = matrices[j, j] - (lower[j, :j] ** 2).sum(axis=0)
        lower[j, j] = np.sqrt(np.maximum(pivot, 1e-300))
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
    """Negative binomial log density summed over samples, (G,)."""
    size = 1.0 / alpha
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = (
            special.gammaln(counts + size)
            - special.gammaln(size)
            - special.gammaln(counts + 1.0)
            - size * np.log1p(mu * alpha)
            + special.xlogy(counts, mu / (mu + size))
        )
    return np.asarray(terms.sum(axis=0))


def _dispersion_posterior(
    log_alpha: Floats, counts: Floats, mu: Floats, x: Floats, prior_mean: Floats | None, prior_variance: float
) -> Floats:
    """Cox-Reid adjusted log likelihood of the log dispersion, plus its log-normal prior, up to a constant; (G,)."""
    alpha = np.exp(log_alpha)
    size = 1.0 / alpha
    likelihood = (special.gammaln(counts + size) - counts * np.log(mu + size) - size * np.log1p(mu * alpha)).sum(
        axis=0
    ) - len(counts) * special.gammaln(size)
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
    for block in _blocks(n_genes):
        y, nf, a = counts[:, block], normalisation[:, block], alpha[block]
        beta, converged = _irls_block(y, nf, a, x)
        for gene in np.flatnonzero(~converged):
            beta[:, gene], converged[gene] = _fit_one_gene(y[:, gene], nf[:, gene], a[gene], x, beta[:, gene])
        mu = nf * np.exp(x @ beta)
        weights = np.maximum(mu, MIN_MEAN)
        weights = weights / (1.0 + a * weights)
        gram = _gram(x, weights)
        ridged = gram.copy()
        ridged[np.arange(n_columns), np.arange(n_columns)] += RIDGE
        inverse = _cholesky_inverse(_cholesky(ridged))
        out.beta[:, block] = beta
        out.mu[:, block] = mu
        out.covariance[:, :, block] = np.einsum("ijg,jkg,klg->ilg", inverse, gram, inverse, optimize=True)
        pairs = (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)
        out.leverage[:, block] = weights * (pairs @ inverse.reshape(n_columns**2, -1))
        out.converged[block] = converged
        out.log_likelihood[block] = _log_likelihood(y, mu, a)
    return out


def _irls_block(y: Floats, nf: Floats, alpha: Floats, x: Floats) -> tuple[Floats, Bools]:
    """Natural-log coefficients (P, G) and whether they converged. Works in the orthonormal basis of the design."""
    q, r = np.linalg.qr(x)
    back = np.linalg.inv(r)
    ridge = RIDGE * (back.T @ back)
    gamma = q.T @ np.log(y / nf + 0.1)
    n_genes = y.shape[1]
    result, converged = np.empty((x.shape[1], n_genes)), np.zeros(n_genes, dtype=bool)
    active = np.arange(n_genes)
    log_y = special.gammaln(y + 1.0)
    deviance = np.zeros(n_genes)
    mu = np.maximum(nf * np.exp(q @ gamma), MIN_MEAN)
    for round_ in range(IRLS_ROUNDS):
        weights = mu / (1.0 + alpha * mu)
        z = np.log(mu / nf) + (y - mu) / mu
        gamma = _cholesky_solve(_cholesky(_gram(q, weights) + ridge[:, :, None]), q.T @ (weights * z))
        result[:, active] = gamma
        diverged = (np.abs(back @ gamma) > MAX_COEFFICIENT).any(axis=0)
        with np.errstate(over="ignore", invalid="ignore"):
            mu = np.maximum(nf * np.exp(q @ gamma), MIN_MEAN)
            size = 1.0 / alpha
            new = -2.0 * (
                special.gammaln(y + size) - log_y - size * np.log1p(mu * alpha) + special.xlogy(y, mu / (mu + size))
            ).sum(axis=0) + 2.0 * len(y) * special.gammaln(size)
            change = np.abs(new - deviance) / (np.abs(new) + 0.1)
        settled = (change < 1e-8) & ~diverged if round_ else np.zeros(len(active), dtype=bool)
        converged[active[settled]] = True
        deviance = new
        keep = ~(settled | diverged | ~np.isfinite(change))
        if not keep.any():
            break
        if not keep.all():
            active, gamma, mu, deviance, alpha = active[keep], gamma[:, keep], mu[:, keep], new[keep], alpha[keep]
            y, nf, log_y = y[:, keep], nf[:, keep], log_y[:, keep]
    return back @ result, converged


def _fit_one_gene(y: Floats, nf: Floats, alpha: float, x: Floats, start: Floats) -> tuple[Floats, bool]:
    """Direct minimisation for a gene whose reweighting did not settle; coefficients bounded at 30 on the log2 scale."""
    if not np.isfinite(start).all() or (np.abs(start) * LOG2_E >= MAX_COEFFICIENT).any():
        start = np.asarray(np.linalg.lstsq(x, np.log(y / nf + 0.1), rcond=None)[0], dtype=np.float64)
    size = 1.0 / alpha
    ridge = RIDGE * math.log(2) ** 2

    def objective(beta2: Floats) -> tuple[float, Floats]:
        mu = nf * np.exp2(x @ beta2)
        value = (y + size) @ np.log(mu + size) - special.xlogy(y, mu).sum() + 0.5 * ridge * beta2 @ beta2
        gradient = math.log(2) * (x.T @ (mu * (y + size) / (mu + size) - y)) + ridge * beta2
        return float(value), gradient

    bounds = [(-MAX_COEFFICIENT, MAX_COEFFICIENT)] * x.shape[1]
    found = optimize.minimize(objective, start * LOG2_E, jac=True, method="L-BFGS-B", bounds=bounds)
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
    moments = (normed.var(axis=0, ddof=1) - (1.0 / normalisation).mean(axis=0) * mean) / mean**2
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
    return _local_trend(base_mean, dispersion), "the parametric dispersion curve did not fit; a local curve is used"


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
    """Local quadratic regression of log dispersion on log mean, weighted by the mean; nearest 70 % of genes."""
    used = dispersion >= MIN_DISPERSION * 10
    if not used.any():
        return DispersionTrend("mean", asymptotic=MIN_DISPERSION)
    x, y, prior = np.log(base_mean[used]), np.log(dispersion[used]), base_mean[used]
    n_near = max(min(len(x), 4), int(0.7 * len(x)))
    sorted_x = np.sort(x)
    nodes = np.linspace(sorted_x[0], sorted_x[-1], 33) if sorted_x[-1] > sorted_x[0] else sorted_x[:1]
    level, slope = np.empty(len(nodes)), np.zeros(len(nodes))
    for k, node in enumerate(nodes):
        distance = np.abs(x - node)
        width = max(float(np.partition(distance, n_near - 1)[n_near - 1]), 1e-8)
        weight = prior * np.clip(1.0 - (distance / width) ** 3, 0.0, None) ** 3
        root = np.sqrt(weight)
        basis = np.column_stack([np.ones_like(x), x - node, (x - node) ** 2])
        fitted = np.linalg.lstsq(basis * root[:, None], y * root, rcond=None)[0]
        level[k], slope[k] = fitted[0], fitted[1]
    return DispersionTrend("local", log_mean=nodes, log_dispersion=level, slope=slope)


def _hermite(at: Floats, nodes: Floats, level: Floats, slope: Floats) -> Floats:
    """Cubic Hermite interpolation; beyond the ends the end pieces continue."""
    if len(nodes) == 1:
        return np.full(np.shape(at), level[0])
    k = np.clip(np.searchsorted(nodes, at, side="right") - 1, 0, len(nodes) - 2)
    width = nodes[k + 1] - nodes[k]
    t = (at - nodes[k]) / width
    return np.asarray(
        level[k] * (1 + 2 * t) * (1 - t) ** 2
        + level[k + 1] * t**2 * (3 - 2 * t)
        + width * (slope[k] * t * (1 - t) ** 2 + slope[k + 1] * t**2 * (t - 1))
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
    """The normal variance whose sum with a log chi-square comes closest (Kullback-Leibler) to the residuals."""
    edges = np.arange(-20, 21) / 2.0
    inside = residual[(residual > -10) & (residual < 10)]
    if not len(inside):
        return 0.25
    seen = np.histogram(inside, bins=edges, density=True)[0]
    least = min(float(seen[seen > 0].min()), 1.0 / (10_000 * 0.5))
    # the log chi-square as 4000 equally likely points: quantiles at the middles of equal probabilities
    points = np.log(stats.chi2.ppf((np.arange(4000) + 0.5) / 4000, df)) - math.log(df)
    variances = np.linspace(0.0, 8.0, 200)
    distances = np.empty(len(variances))
    for k, variance in enumerate(variances):
        spread = max(math.sqrt(variance), 1e-9)
        below = special.ndtr((edges[:, None] - points[None, :]) / spread).mean(axis=1)
        expected = np.diff(below) / (below[-1] - below[0]) / 0.5
        expected[expected < least / 2] = 0.0
        distances[k] = (seen * (np.log(seen + least) - np.log(expected + least))).sum()
    fine = np.linspace(0.0, 8.0, 1000)
    return float(fine[np.interp(fine, variances, distances).argmin()])


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


def _cooks_distances(counts: Floats, normalisation: Floats, fit: _Coefficients, x: Floats) -> Floats:
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
    pearson = (counts - fit.mu) ** 2 / (fit.mu + alpha * fit.mu**2)
    return np.asarray(pearson / x.shape[1] * fit.leverage / (1.0 - fit.leverage) ** 2)


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
    x = _checked_design(design, len(counts))
    sizes, normalisation = _normalisation(counts, factors or {})
    n_samples, n_genes = counts.shape
    notes = []
    present = np.flatnonzero(counts.sum(axis=0) > 0)
    if not len(present):
        raise ValueError("no gene has a single read in these samples, so there is nothing to fit")
    y, nf = counts[:, present].astype(np.float64), normalisation[:, present]
    base_mean = (y / nf).mean(axis=0)
    gene, mu = _gene_dispersion(y, nf, x)
    trend, note = fit_trend(base_mean, gene)
    if note:
        notes.append(note)
    at_trend = trend.at(base_mean)
    prior_variance, residual_variance = _prior_variance(gene, at_trend, n_samples - x.shape[1])
    first = _finish(y, nf, x, gene, at_trend, mu, prior_variance, residual_variance)
    cooks = _cooks_distances(y, nf, first.coefficients, x)
    _, cell = _cell_sizes(x)
    limit = _cooks_limit(n_samples, x.shape[1])
    replaceable = cell >= REPLICATES_TO_REPLACE
    replaced = np.zeros(len(present), dtype=bool)
    used = counts
    if replaceable.any():
        replaced = np.asarray((cooks > limit).any(axis=0))
    columns = {
        "base_mean": base_mean,
        "dispersion_gene": gene,
        "dispersion_trend": at_trend,
        "dispersion_map": first.shrunken,
        "dispersion": first.dispersion,
        "dispersion_outlier": first.outlier,
    }
    parts = first.coefficients
    if replaced.any():
        y = y.copy()
        new = _trimmed_mean((y / nf), 0.2)[None, :] * nf
        swap = (cooks > limit) & replaceable[:, None]
        y[swap] = np.floor(new[swap])
        base_mean = (y / nf).mean(axis=0)
        columns["base_mean"] = base_mean
        again = np.flatnonzero(replaced & (base_mean > 0))
        if len(again):
            yy, nn = y[:, again], nf[:, again]
            gene_again, mu_again = _gene_dispersion(yy, nn, x)
            trend_again = trend.at(base_mean[again])
            second = _finish(yy, nn, x, gene_again, trend_again, mu_again, prior_variance, residual_variance)
            columns["dispersion_gene"][again] = gene_again
            columns["dispersion_trend"][again] = trend_again
            columns["dispersion_map"][again] = second.shrunken
            columns["dispersion"][again] = second.dispersion
            columns["dispersion_outlier"][again] = second.outlier
            parts.beta[:, again] = second.coefficients.beta
            parts.covariance[:, :, again] = second.coefficients.covariance
            parts.mu[:, again] = second.coefficients.mu
            parts.converged[again] = second.coefficients.converged
            parts.log_likelihood[again] = second.coefficients.log_likelihood
        emptied = replaced & (base_mean == 0)
        parts.beta[:, emptied] = 0.0
        parts.covariance[:, :, emptied] = 0.0
        used = counts.copy()
        used[:, present] = y.astype(np.int64)
    judged = cell >= 3
    if replaced.any():
        judged = judged & ~replaceable
    max_cooks = np.full(len(present), math.nan)
    if judged.any() and n_samples > x.shape[1]:
        max_cooks = cooks[judged].max(axis=0)
    elif (cell >= 3).any():
        max_cooks = np.zeros(len(present))

    def spread(values: NDArray[Any], fill: Any = math.nan) -> NDArray[Any]:
        full = np.full((*values.shape[:-1], n_genes), fill, dtype=values.dtype)
        full[..., present] = values
        return full

    return DeseqFit(
        counts=used,
        original_counts=counts,
        design=design,
        size_factors=sizes,
        normalisation=normalisation,
        base_mean=spread(columns["base_mean"], 0.0),
        dispersion_gene=spread(columns["dispersion_gene"]),
        dispersion_trend=spread(columns["dispersion_trend"]),
        dispersion_map=spread(columns["dispersion_map"]),
        dispersion=spread(columns["dispersion"]),
        dispersion_outlier=spread(columns["dispersion_outlier"], False),
        trend=trend,
        prior_variance=prior_variance,
        residual_variance=residual_variance,
        beta=spread(parts.beta),
        covariance=spread(parts.covariance),
        fitted=spread(parts.mu),
        log_likelihood=spread(parts.log_likelihood),
        cooks=spread(cooks),
        max_cooks=spread(max_cooks),
        replaced=spread(replaced, False),
        converged=spread(parts.converged, True),
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class _Finished:
    shrunken: Floats
    dispersion: Floats
    outlier: Bools
    coefficients: _Coefficients


def _finish(
    y: Floats, nf: Floats, x: Floats, gene: Floats, trend: Floats, mu: Floats, prior: float, residual: float
) -> _Finished:
    """From gene-wise dispersions and trend to shrunken dispersions and coefficients."""
    shrunken = _shrink_dispersion(gene, trend, prior, y, mu, x)
    with np.errstate(invalid="ignore"):
        outlier = np.log(gene) > np.log(trend) + 2.0 * math.sqrt(residual)
    dispersion = np.where(outlier, gene, shrunken)
    return _Finished(shrunken, dispersion, outlier, _fit_coefficients(y, nf, dispersion, x))


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


def lowess(x: Floats, y: Floats, span: float, rounds: int = 3) -> Floats:
    """Cleveland's robust locally weighted line through (x, y); x ascending. Points closer than 1 % of the range to the
    last fitted one are interpolated."""
    n = len(x)
    n_near = max(min(int(span * n + 1e-7), n), 2)
    delta = 0.01 * (x[-1] - x[0])
    fitted, robust = np.zeros(n), np.ones(n)
    for round_ in range(rounds + 1):
        last, left = -1, 0
        i = 0
        while True:
            while left + n_near < n and x[i] - x[left] > x[left + n_near] - x[i]:
                left += 1
            fitted[i] = _lowess_point(x, y, robust, i, left, n_near, fitted[i])
            if last < i - 1:
                share = (x[last + 1 : i] - x[last]) / (x[i] - x[last])
                fitted[last + 1 : i] = share * fitted[i] + (1.0 - share) * fitted[last]
            last = i
            cut = x[last] + delta
            i = last + 1
            while i < n and x[i] <= cut:
                if x[i] == x[last]:
                    fitted[i] = fitted[last]
                    last = i
                i += 1
            i = max(last + 1, i - 1)
            if last >= n - 1:
                break
        if round_ == rounds:
            break
        size = np.abs(y - fitted)
        ordered = np.sort(size)
        middle = 3.0 * (ordered[n // 2] + ordered[n - n // 2 - 1])
        if middle < 1e-7 * size.mean():
            break
        ratio = size / middle
        robust = np.where(ratio <= 0.001, 1.0, np.where(ratio > 0.999, 0.0, (1.0 - np.minimum(ratio, 1.0) ** 2) ** 2))
    return fitted


def _lowess_point(x: Floats, y: Floats, robust: Floats, i: int, left: int, n_near: int, otherwise: float) -> float:
    right = min(left + n_near, len(x)) - 1
    width = max(x[i] - x[left], x[right] - x[i])
    distance = np.abs(x - x[i])
    used = (distance <= 0.999 * width) & (np.arange(len(x)) >= left)
    ratio = np.where(used & (distance > 0.001 * width), distance / width if width > 0 else 0.0, 0.0)
    weight = np.where(used, robust * (1.0 - ratio**3) ** 3, 0.0)
    total = weight.sum()
    if total <= 0:
        return otherwise
    weight = weight / total
    centre = float(weight @ x)
    spread = float(weight @ (x - centre) ** 2)
    if math.sqrt(spread) > 0.001 * (x[-1] - x[0]):
        weight = weight * (1.0 + (x[i] - centre) * (x - centre) / spread)
    return float(weight @ y)


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
    change = LOG2_E * (weights @ fit.beta)
    error = LOG2_E * np.sqrt(np.maximum(np.einsum("i,ijg,j->g", weights, fit.covariance, weights), 0.0))
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
    silent = _silent_in_contrast(fit, weights)
    change, stat, pvalue = (np.where(silent, value, old) for value, old in ((0.0, change), (0.0, stat), (1.0, pvalue)))
    return _table(fit, change, error, stat, pvalue, alpha)


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
    small = _fit_coefficients(
        fit.counts[:, tested].astype(np.float64), fit.normalisation[:, tested], fit.dispersion[tested], reduced
    )
    stat = np.where(fit.all_zero, math.nan, 0.0)
    stat[tested] = 2.0 * (fit.log_likelihood[tested] - small.log_likelihood)
    pvalue = stats.chi2.sf(stat, x.shape[1] - reduced.shape[1])
    weights = _checked_contrast(fit, np.eye(x.shape[1])[-1] if contrast is None else contrast)
    change = LOG2_E * (weights @ fit.beta)
    error = LOG2_E * np.sqrt(np.maximum(np.einsum("i,ijg,j->g", weights, fit.covariance, weights), 0.0))
    return _table(fit, change, error, stat, pvalue, alpha)


def _checked_contrast(fit: DeseqFit, contrast: Any) -> Floats:
    weights = np.asarray(contrast, dtype=np.float64)
    if weights.shape != (fit.design.shape[1],) or not np.isfinite(weights).all() or not weights.any():
        raise ValueError(
            f"the contrast must be {fit.design.shape[1]} numbers, one for each design column, not all zero"
        )
    return weights


def _silent_in_contrast(fit: DeseqFit, weights: Floats) -> Bools:
    """Genes without reads in any sample the contrast speaks of, though others have some: no change, p = 1."""
    nowhere = fit.replaced & (fit.base_mean == 0)
    if (weights >= 0).all() or (weights <= 0).all():
        return np.asarray(nowhere)
    x = np.asarray(fit.design, dtype=np.float64)
    involved = (x @ (weights != 0)) != 0
    return np.asarray(nowhere | ((fit.original_counts[involved].sum(axis=0) == 0) & ~fit.all_zero))


def _cooks_outliers(fit: DeseqFit) -> Bools:
    x = np.asarray(fit.design, dtype=np.float64)
    limit = _cooks_limit(*x.shape)
    with np.errstate(invalid="ignore"):
        outlier = np.asarray(fit.max_cooks > limit)
    two_groups = x.shape[1] == 2 and (x[:, 0] == 1).all() and np.isin(x[:, 1], (0.0, 1.0)).all()
    if two_groups:  # an outlier that three samples exceed cannot be what makes the difference
        for gene in np.flatnonzero(outlier):
            row = fit.original_counts[:, gene]
            outlier[gene] = (row > row[fit.cooks[:, gene].argmax()]).sum() < 3
    return outlier


def _table(fit: DeseqFit, change: Floats, error: Floats, stat: Floats, pvalue: Floats, alpha: float) -> pd.DataFrame:
    if not 0 < alpha < 1:
        raise ValueError("alpha must lie between 0 and 1")
    outlier = _cooks_outliers(fit)
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
    weights = _checked_contrast(fit, contrast)
    x = np.asarray(fit.design, dtype=np.float64)
    pivot = int(np.abs(weights).argmax() if weights.max() <= 0 else weights.argmax())
    turn = np.eye(len(weights))
    turn[pivot] = weights
    x = x @ np.linalg.inv(turn)
    usable = np.flatnonzero(np.isfinite(fit.dispersion) & (fit.counts.sum(axis=0) > 0))
    beta = turn @ fit.beta[:, usable]
    variance = np.einsum("i,ijg,j->g", weights, fit.covariance[:, :, usable], weights)
    scale = min(math.sqrt(_effect_variance(beta[pivot], variance)), 1.0)
    change, error = np.full(fit.base_mean.shape, math.nan), np.full(fit.base_mean.shape, math.nan)
    for block in _blocks(len(usable)):
        genes = usable[block]
        y, nf = fit.counts[:, genes].astype(np.float64), fit.normalisation[:, genes]
        best, value = _posterior_mode(y, nf, fit.dispersion[genes], x, pivot, scale, beta[:, block])
        null = beta[:, block].copy()
        null[pivot] = 0.0
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
    with np.errstate(over="ignore"):
        mu = nf * np.exp(eta)
        likelihood = (y * eta - (y + size) * np.log(mu + size)).sum(axis=0)
    others = (np.delete(beta, pivot, axis=0) ** 2).sum(axis=0)
    return np.asarray(likelihood - others / (2 * NO_SHRINK_SCALE**2) - np.log1p((beta[pivot] / scale) ** 2))


def _posterior_mode(
    y: Floats, nf: Floats, alpha: Floats, x: Floats, pivot: int, scale: float, start: Floats
) -> tuple[Floats, Floats]:
    """Damped Newton steps with the prior's quadratic bound; (P, G) mode reached from `start`, and its posterior."""
    size = 1.0 / alpha
    beta = np.clip(start, -MAX_COEFFICIENT, MAX_COEFFICIENT)
    value = _log_posterior(y, nf, alpha, x, pivot, scale, beta)
    diagonal = np.arange(x.shape[1])
    active = np.arange(len(alpha))
    for _ in range(100):
        b, yy, n, r = beta[:, active], y[:, active], nf[:, active], size[active]
        mu = n * np.exp(x @ b)
        penalty = np.full(b.shape, 1.0 / NO_SHRINK_SCALE**2)
        penalty[pivot] = 2.0 / (scale**2 + b[pivot] ** 2)
        gradient = x.T @ (yy - (yy + r) * mu / (mu + r)) - penalty * b
        hessian = _gram(x, mu * r / (mu + r))
        hessian[diagonal, diagonal] += penalty
        step = _cholesky_solve(_cholesky(hessian), gradient)
        length = np.ones(len(active))
        old = value[active]
        slope = (step * gradient).sum(axis=0)
        new = _log_posterior(yy, n, alpha[active], x, pivot, scale, b + step)
        for _ in range(30):
            short = ~(new >= old + 1e-4 * length * slope - 1e-10)
            if not short.any():
                break
            length[short] /= 2.0
            ids = np.flatnonzero(short)
            new[ids] = _log_posterior(
                yy[:, ids], n[:, ids], alpha[active[ids]], x, pivot, scale, b[:, ids] + length[ids] * step[:, ids]
            )
        beta[:, active] = b + length * step
        value[active] = new
        active = active[(np.abs(length * step) > 1e-7).any(axis=0)]
        if not len(active):
            break
    return beta, value


def _posterior_error(y: Floats, nf: Floats, alpha: Floats, x: Floats, pivot: int, scale: float, beta: Floats) -> Floats:
    """Standard deviation of the pivot coefficient from the curvature at the mode, (G,)."""
    size = 1.0 / alpha
    mu = nf * np.exp(x @ beta)
    hessian = _gram(x, (y + size) * mu * size / (mu + size) ** 2)
    prior = np.full(beta.shape, 1.0 / NO_SHRINK_SCALE**2)
    square = beta[pivot] ** 2
    prior[pivot] = 2.0 * (scale**2 - square) / (scale**2 + square) ** 2
    diagonal = np.arange(x.shape[1])
    hessian[diagonal, diagonal] += prior
    unit = np.zeros(beta.shape)
    unit[pivot] = 1.0
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt(_cholesky_solve(_cholesky(hessian), unit)[pivot]))


# ---- variance-stabilising transformation ----------------------------------------------------------------------------


def vst(fit_or_counts: DeseqFit | NDArray[Any], *, blind: bool = True, factors: dict[str, Any] | None = None) -> Floats:
    """Counts on a scale (about log2) on which the variance no longer depends on the mean: for PCA and heatmaps.

    fit_or_counts  a fit: its dispersion trend and size factors are used. Counts (S, G): with blind=True the trend is
                   estimated without knowledge of the groups; blind=False needs a fit
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
    present = counts.sum(axis=0) > 0
    y, nf = counts[:, present].astype(np.float64), normalisation[:, present]
    gene, _ = _gene_dispersion(y, nf, np.ones((len(counts), 1)))
    trend, _ = fit_trend((y / nf).mean(axis=0), gene)
    return _stabilised(counts, normalisation, trend)


def _stabilised(counts: NDArray[np.int64], normalisation: Floats, trend: DispersionTrend) -> Floats:
    q = counts / normalisation
    if trend.kind == "parametric":
        a, e = trend.asymptotic, trend.extra_poisson
        return np.asarray(np.log2((1 + e + 2 * a * q + 2 * np.sqrt(a * q * (1 + e + a * q))) / (4 * a)))
    if trend.kind == "mean":
        a = trend.asymptotic
        return np.asarray((2 * np.arcsinh(np.sqrt(a * q)) - math.log(a) - math.log(4)) / math.log(2))
    grid = np.sinh(np.linspace(0.0, math.asinh(float(q.max())), 1000))[1:]
    spread = trend.at(grid) * grid**2 + float((1.0 / normalisation).mean()) * grid
    height = 1.0 / np.sqrt(spread)
    at = np.arcsinh((grid[1:] + grid[:-1]) / 2.0)
    area = np.cumsum(np.diff(grid) * (height[1:] + height[:-1]) / 2.0)
    curve = interpolate.CubicSpline(at, area)
    low, high = np.quantile(q.mean(axis=0), [0.95, 0.999])
    factor = (math.log2(high) - math.log2(low)) / float(curve(math.asinh(high)) - curve(math.asinh(low)))
    return np.asarray(math.log2(low) + factor * (curve(np.arcsinh(q)) - curve(math.asinh(low))))
