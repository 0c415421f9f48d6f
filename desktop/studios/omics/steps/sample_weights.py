"""Weights of arrays by how well their genes fit the design, as limma's arrayWeights: a poor array counts for less.

Pure functions over numpy arrays; copied into array scripts. The weighted fit itself is in `moderated_t.py`.

Source: Ritchie et al. 2006, doi:10.1186/1471-2105-7-261: restricted maximum likelihood or, with values missing, its
updates gene by gene; both as in limma 3.54.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PRIOR_GENES = 10.0  # how many genes' worth of evidence says that all arrays are alike


def sample_weights(values: Floats, x: Floats, *, tol: float = 1e-5, max_iter: int = 50) -> Floats:
    """(S,) weights whose geometric mean is 1.

    values   (S, G) log2 values, NaN where missing    x   (S, P) of full rank
    All ones when fewer than two residual degrees of freedom or two genes are left.
    """
    n_samples, n_columns = x.shape
    if n_samples - n_columns < 2 or values.shape[1] < 2:
        return np.ones(n_samples)
    if np.isfinite(values).all():
        return _at_once(values, x, tol, max_iter)
    return _gene_by_gene(values, x)


def _sums(n_samples: int) -> Floats:
    """(S, S - 1): log-variances of the arrays that add up to 0."""
    return np.vstack([np.eye(n_samples - 1), -np.ones(n_samples - 1)])


def _gene_by_gene(values: Floats, x: Floats) -> Floats:
    """One step for each gene that leaves two residual degrees of freedom, in the order of the genes."""
    n_samples = len(x)
    sums = _sums(n_samples)
    full = np.column_stack([np.ones(n_samples), sums])
    information = PRIOR_GENES * sums.T @ sums
    log_variance = np.zeros(n_samples - 1)
    weights: Floats = np.ones(n_samples)
    known = np.isfinite(values)
    enough = np.flatnonzero(known.sum(axis=0) > 2)
    for gene in enough:
        rows = known[:, gene]
        root = np.sqrt(weights[rows])
        left, singular, _ = np.linalg.svd(root[:, None] * x[rows], full_matrices=False)
        left = left[:, singular > 1e-9 * singular[0]]
        response = root * values[rows, gene]
        residual = response - left @ (left.T @ response)
        left_over = len(left) - left.shape[1]
        variance = float(residual @ residual) / max(left_over, 1)
        if left_over < 2 or variance < 1e-15:
            continue
        free, excess = np.zeros(n_samples), np.zeros(n_samples)
        free[rows] = 1.0 - (left**2).sum(axis=1)
        excess[rows] = residual**2 / variance - free[rows]
        gained = full.T @ (free[:, None] * full)
        information += gained[1:, 1:] - np.outer(gained[1:, 0], gained[0, 1:]) / gained[0, 0]
        log_variance += np.linalg.solve(information, sums.T @ excess)
        weights = np.exp(-sums @ log_variance)
    return weights


def _at_once(y: Floats, x: Floats, tol: float, max_iter: int) -> Floats:
    """Scoring steps over all genes, (S,)."""
    n_samples, n_columns = x.shape
    weights: Floats = np.ones(n_samples)
    sums = _sums(n_samples)
    full = np.column_stack([np.ones(n_samples), sums])
    log_variance, last = np.zeros(n_samples - 1), np.inf
    pairs = [(i, j) for i in range(n_columns) for j in range(i, n_columns)]
    for iteration in range(max_iter):
        root = np.sqrt(weights)[:, None]
        q, _ = np.linalg.qr(root * x)
        residual = y - (q @ (q.T @ (root * y))) / root
        variance = (weights[:, None] * residual**2).sum(axis=0) / (n_samples - n_columns)
        if iteration == 0:
            kept = variance >= 1e-15
            y, residual, variance = y[:, kept], residual[:, kept], variance[kept]
            if y.shape[1] < 2:
                return weights
        leverage = (q**2).sum(axis=1)
        products = np.column_stack([q[:, i] * q[:, j] * (1.0 if i == j else np.sqrt(2.0)) for i, j in pairs])
        crossed = products.T @ full
        information = full.T @ ((1.0 - 2.0 * leverage)[:, None] * full) + crossed.T @ crossed
        inner = information[1:, 1:] - np.outer(information[1:, 0], information[0, 1:]) / information[0, 0]
        excess = (weights[:, None] * residual**2 / variance).mean(axis=1) - (1.0 - leverage)
        inner = y.shape[1] * inner + PRIOR_GENES * sums.T @ sums
        slope = sums.T @ (y.shape[1] * excess + PRIOR_GENES * (weights - 1.0))
        step = np.linalg.solve(inner, slope)
        gain = float(slope @ step) / (n_samples - 1) / (y.shape[1] + PRIOR_GENES)
        if not gain < last:
            break
        last = gain
        log_variance += step
        weights = np.exp(-sums @ log_variance)
        if gain < tol:
            break
    return weights
