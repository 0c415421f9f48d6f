"""Weights of arrays by how well their genes fit the design, as limma's arrayWeights: a poor array counts for less.

Pure functions over numpy arrays; copied into array scripts. The weighted fit itself is in `moderated_t.py`.

Source: Ritchie et al. 2006, doi:10.1186/1471-2105-7-261; restricted maximum likelihood as in limma 3.54.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PRIOR_GENES = 10.0  # how many genes' worth of evidence says that all arrays are alike


def sample_weights(values: Floats, x: Floats, *, tol: float = 1e-5, max_iter: int = 50) -> Floats:
    """(S,) weights whose geometric mean is 1, from all genes at once.

    values   (S, G) log2 values, of which genes without a missing value are used    x   (S, P) of full rank
    All ones when fewer than two residual degrees of freedom or two genes are left.
    """
    y = values[:, np.isfinite(values).all(axis=0)]
    n_samples, n_columns = x.shape
    weights: Floats = np.ones(n_samples)
    if n_samples - n_columns < 2:
        return weights
    sums = np.vstack([np.eye(n_samples - 1), -np.ones(n_samples - 1)])  # log-variances of the arrays add up to 0
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
