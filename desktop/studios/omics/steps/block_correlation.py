"""Correlation of samples that share a block, as limma's duplicateCorrelation; the weighted fit is in `moderated_t.py`.

Pure functions over numpy arrays, axes (samples, genes); copied into array scripts.

Source: Smyth, Michaud & Scott 2005, doi:10.1093/bioinformatics/bti270; variance components as in limma 3.54.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]


def patterns_of(present: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.int64]]]:
    """Which samples are known (S,), and the genes of which it is these: once for each pattern in present (S, G)."""
    rows, which = np.unique(present, axis=1, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    ends = np.searchsorted(which.ravel()[order], np.arange(rows.shape[1] + 1))
    for index in range(rows.shape[1]):
        yield rows[:, index], order[ends[index] : ends[index + 1]]


def within_block_correlation(values: Floats, x: Floats, block: NDArray[np.int64]) -> float:
    """Correlation between samples of one block: REML for each gene, averaged on Fisher's scale with 15 % trimmed at
    each end; 0 where nothing tells of it.

    values  (S, G), NaN where missing    x  (S, P)    block  (S,)
    A gene's variances come from its contrasts orthogonal to the design: each squared contrast has the mean
    residual variance + block variance × eigenvalue, so the two are found by gamma regression.
    """
    largest = int(np.unique(block, return_counts=True)[1].max())
    if largest < 2:
        return 0.0
    found = []
    for rows, genes in patterns_of(np.isfinite(values)):
        n_known, labels = int(rows.sum()), np.unique(block[rows])
        if n_known <= x.shape[1] + 2 or not 1 < len(labels) < n_known - 1:
            continue
        membership = (block[rows][:, None] == labels[None, :]).astype(np.float64)
        left, singular, _ = np.linalg.svd(x[rows])
        null = left[:, int((singular > 1e-9 * singular[0]).sum()) :]
        eigenvalue, vector = np.linalg.eigh(null.T @ membership @ membership.T @ null)
        if np.ptp(eigenvalue) < 1e-9:
            continue
        square = (vector.T @ (null.T @ values[np.ix_(rows, genes)])) ** 2
        parts = _gamma_regression(np.column_stack([np.ones(len(eigenvalue)), np.maximum(eigenvalue, 0.0)]), square)
        with np.errstate(invalid="ignore", divide="ignore"):
            found.append(parts[1] / parts.sum(axis=0))
    rho = np.concatenate(found) if found else np.empty(0)
    rho = np.clip(rho[np.isfinite(rho)], 1.0 / (1.0 - largest) + 0.01, 0.99)
    return float(np.tanh(stats.trim_mean(np.arctanh(rho), 0.15))) if len(rho) else 0.0


def _gamma_regression(x: Floats, y: Floats, *, tol: float = 1e-6, max_iter: int = 20) -> Floats:
    """Coefficients (2, G) of gamma regressions with identity link, y (K, G) >= 0 on x (K, 2), all genes at once.

    Fisher scoring from the least-squares fit (from a constant where that is negative somewhere), each step damped until
    the deviance does not rise: the steps, and so the local optimum, of statmod's glmgam.fit.
    """
    beta: Floats = np.asarray(np.linalg.lstsq(x, y, rcond=None)[0], dtype=np.float64)
    if len(x) < 3 or (np.abs(x[:, 1]) > 1e-15).sum() < 2 or x[:, 1].var() <= 1e-15:
        return beta
    is_negative = (x @ beta < 0).any(axis=0)
    beta[:, is_negative] = np.stack([y.mean(axis=0), np.zeros(y.shape[1])])[:, is_negative]
    deviance = _gamma_deviance(y, x @ beta)
    damping = np.full(y.shape[1], np.nan)
    running = np.flatnonzero(y.max(axis=0) > 0)
    for iteration in range(max_iter + 1):
        mean = x @ beta[:, running]
        weight = mean**2
        weight = 1.0 / np.maximum(weight, weight.max(axis=0) / 1e3)
        information = np.einsum("ki,kg,kj->gij", x, weight, x)
        largest = np.maximum(information[:, 0, 0], information[:, 1, 1])
        if iteration == 0:
            damping[running] = np.trace(information, axis1=1, axis2=2) / 4.0
        slope = x.T @ ((y[:, running] - mean) * weight)
        step, is_first, is_stuck = np.zeros_like(slope), np.ones(len(running), bool), np.zeros(len(running), bool)
        left = np.arange(len(running))
        while len(left):
            genes = running[left]
            damped = information[left] + damping[genes][:, None, None] * np.eye(2)
            step[:, left] = np.linalg.solve(damped, slope[:, left].T[:, :, None])[:, :, 0].T
            tried = _gamma_deviance(y[:, genes], x @ (beta[:, genes] + step[:, left]))
            peak = (x @ (beta[:, genes] + step[:, left])).max(axis=0)
            with np.errstate(invalid="ignore", divide="ignore"):
                is_good = (tried <= deviance[genes]) | (tried / peak < 1e-15)
            is_over = ~is_good & (damping[genes] / largest[left] > 1e15)
            step[:, left[is_over]] = 0.0
            is_stuck[left[is_over]] = True
            deviance[genes[is_good]] = tried[is_good]
            left = left[~is_good & ~is_over]
            damping[running[left]] *= 2.0
            is_first[left] = False
        beta[:, running] += step
        damping[running[is_first]] /= 10.0
        peak = (x @ beta[:, running]).max(axis=0)
        is_done = ((slope * step).sum(axis=0) < tol) | (deviance[running] / peak < 1e-15) | is_stuck
        running = running[~is_done]
        if not len(running):
            break
    return beta


def _gamma_deviance(y: Floats, mean: Floats) -> Floats:
    """(G,) deviance of y (K, G) at these means; infinite where a mean is negative."""
    with np.errstate(invalid="ignore", divide="ignore"):
        terms = (y - mean) / mean - np.log(y / mean)
    terms = np.where((y < 1e-15) & (mean < 1e-15), 0.0, terms)
    return np.where((mean < 0).any(axis=0), np.inf, 2.0 * terms.sum(axis=0))
