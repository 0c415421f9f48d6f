"""What the samples look like before any test: depth, likeness, outliers, principal components, clustering.

Pure functions over numpy arrays, axes always (samples, genes). `script.py` copies this file into every analysis
script, so it imports nothing of Benchtop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
from scipy.spatial.distance import pdist, squareform

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Scaled:
    """Values as every step after reading sees them; S samples, G genes.

    shown          (S, G) what base_mean and the figures of single genes show; NaN where missing
    transformed    (S, G) on a log-like scale with even variance, nothing missing
    size_factors   (S,) unitless; NaN where the values are not counts
    normalisation  (S, G) in their place, where the lengths of genes differ between samples
    is_log         `shown` is on the log2 scale
    """

    shown: Matrix
    transformed: Matrix
    size_factors: Matrix
    shown_as: str
    transformed_as: str
    is_log: bool
    notes: tuple[str, ...]
    normalisation: Matrix | None = None


@dataclass(frozen=True)
class Tested:
    """A test of every gene, and what goes with it; G rows everywhere.

    table      base_mean, log2_fold_change, lfc_se, stat, pvalue, padj, reason
    spread     how much each gene varies: base_mean, then as it was, as expected, as used; `has_spread` (G,)
    shrunken   log2_fold_change and lfc_se for ranking, or None
    facts      entries of summary.json
    """

    table: pd.DataFrame
    spread: pd.DataFrame
    has_spread: NDArray[np.bool_]
    shrunken: pd.DataFrame | None
    spread_as: str
    facts: dict[str, Any]
    notes: tuple[str, ...]


def sample_quality(values: NDArray[Any], transformed: Matrix, factors: Matrix, names: list[str]) -> pd.DataFrame:
    """One row a sample: library_size, genes_detected, size_factor, likeness to the others, is_outlier and why.

    values        (S, G) raw reads, or values on a log scale, which have no depth: their first two columns are empty
    transformed   (S, G) on a log-like scale with even variance
    factors       (S,) size factors, unitless; NaN for values that are not reads
    A sample is flagged, never dropped. The rules, each with its number in `reason`:
      library size below a quarter of the median; genes detected below 70 % of the median;
      median correlation with the others more than 3 robust standard deviations and 0.03 below what is usual;
      more than a fifth of the values missing;
      columns that are copies of each other.
    """
    n_samples = len(names)
    are_reads = bool(np.isfinite(factors).all())
    missing = ~np.isfinite(values)
    library = values.sum(axis=1) if are_reads else np.full(n_samples, np.nan)
    detected = (values > 0).sum(axis=1) if are_reads else np.full(n_samples, np.nan)
    informative = transformed.std(axis=0) > 0
    correlation = np.atleast_2d(np.corrcoef(transformed[:, informative])) if informative.any() else np.eye(n_samples)
    others = correlation.copy()
    np.fill_diagonal(others, np.nan)
    if n_samples > 1:
        median_correlation, max_correlation = np.nanmedian(others, axis=1), np.nanmax(others, axis=1)
        closest = [names[k] for k in np.nanargmax(others, axis=1)]
    else:
        median_correlation, max_correlation, closest = np.full(1, np.nan), np.full(1, np.nan), [""]
    usual = float(np.median(median_correlation))
    spread = 1.4826 * float(np.median(np.abs(median_correlation - usual)))
    lowest_usual = usual - max(3.0 * spread, 0.03)
    reasons: list[list[str]] = [[] for _ in names]
    for i in range(n_samples):
        if library[i] < 0.25 * np.median(library):
            share = 100 * library[i] / np.median(library)
            reasons[i].append(f"library size is {share:.0f} % of the median sample's")
        if detected[i] < 0.7 * np.median(detected):
            share = 100 * detected[i] / np.median(detected)
            reasons[i].append(f"genes detected are {share:.0f} % of the median sample's")
        if n_samples > 2 and median_correlation[i] < lowest_usual:
            reasons[i].append(f"median correlation with the others is {median_correlation[i]:.3f}, usual {usual:.3f}")
        if missing[i].mean() > 0.2:
            reasons[i].append(f"{100 * missing[i].mean():.0f} % of its values are missing")
        same = [names[j] for j in range(n_samples) if j != i and np.array_equal(values[i], values[j], equal_nan=True)]
        if same:
            reasons[i].append(f"identical to {', '.join(same)}")
    return pd.DataFrame(
        {
            "library_size": library,
            "genes_detected": detected,
            "size_factor": factors,
            "median_correlation": median_correlation,
            "max_correlation": max_correlation,
            "closest_sample": closest,
            "is_outlier": [bool(reason) for reason in reasons],
            "reason": ["; ".join(reason) for reason in reasons],
        },
        index=pd.Index(names, name="sample"),
    )


def most_variable(values: Matrix, n_top: int) -> NDArray[np.intp]:
    """Columns of the `n_top` most variable genes, most variable first; ties keep the table's order. (S, G) -> (K,)."""
    variance = values.var(axis=0, ddof=1)
    order = np.argsort(-variance, kind="stable")[:n_top]
    return np.asarray(order[variance[order] > 0])


def principal_components(values: Matrix, n_components: int = 6) -> tuple[Matrix, Matrix]:
    """Scores (S, K) and percent of variance (K,) of centred, unscaled genes (S, G).

    The sign of a component is arbitrary; here the sample farthest from the centre is positive.
    """
    centred = values - values.mean(axis=0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    n_kept = max(1, min(n_components, values.shape[0] - 1, len(singular)))
    scores = (left * singular)[:, :n_kept]
    farthest = np.argmax(np.abs(np.round(scores, 9)), axis=0)
    signs = np.sign(scores[farthest, np.arange(n_kept)])
    total = float((singular**2).sum())
    percent = 100.0 * singular[:n_kept] ** 2 / total if total > 0 else np.zeros(n_kept)
    return scores * np.where(signs == 0, 1.0, signs), percent


def top_loadings(values: Matrix, scores: Matrix, n_top: int = 25) -> list[NDArray[np.float64]]:
    """For each component the genes that make it: rows of (column of `values`, loading), largest first.

    values, scores   (S, G) and (S, K) as given to and by `principal_components`
    A loading is the gene's part of the component's direction, which has length 1: squares sum to 1 over all genes.
    """
    centred = values - values.mean(axis=0)
    found = []
    for score in scores.T:
        length = float(score @ score)
        loading = centred.T @ score / length if length > 0 else np.zeros(values.shape[1])
        order = np.argsort(-np.abs(np.round(loading, 12)), kind="stable")[:n_top]
        found.append(np.column_stack([order, loading[order]]))
    return found


def clustering(values: Matrix) -> Matrix:
    """Average-linkage clustering of the rows on Euclidean distance as scipy writes it, (S - 1, 4); empty below 2.

    Rows: the two clusters joined (below S a sample, else S + the row that made it), the distance, the size.
    """
    if values.shape[0] < 2:
        return np.empty((0, 4))
    distances = pdist(values)
    return np.asarray(optimal_leaf_ordering(linkage(distances, method="average"), distances))


def sample_distances(values: Matrix) -> Matrix:
    """Euclidean distances between samples, (S, G) -> (S, S)."""
    return np.asarray(squareform(pdist(values)))


def gene_z_scores(values: Matrix) -> Matrix:
    """Each gene centred on 0 with standard deviation 1 over the samples; a constant gene becomes 0. (S, G)."""
    centred = values - values.mean(axis=0)
    deviation = centred.std(axis=0, ddof=1)
    return np.asarray(np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 0))


def clustered_order(values: Matrix) -> NDArray[np.intp]:
    """Order of the rows after average-linkage clustering on Euclidean distance with the best leaf order."""
    return np.asarray(leaves_list(clustering(values))) if values.shape[0] > 2 else np.arange(values.shape[0])
