"""Which column of one table is which column of another, by the numbers: the same sample has the same profile.

Used where names say nothing and a second table of the same samples has names that do. Sure or nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LEAST = 0.97  # correlation of the gene-centred log profiles of a pair
_GAP = 0.05  # by which any other pairing has to be worse
_MIN_GENES = 500


def match_profiles(
    values: NDArray[Any], ids: Sequence[str], other: NDArray[Any], other_ids: Sequence[str]
) -> dict[int, int] | None:
    """Column of `values` → column of `other`, one-to-one; None unless every pair is beyond doubt.

    values, other   (G, S) and (H, S) non-negative numbers of the same samples on any two scales (counts, FPKM, TPM)
    """
    if values.shape[1] != other.shape[1] or values.shape[1] < 3:
        return None
    place = {identifier: row for row, identifier in enumerate(other_ids)}
    common = [(row, place[identifier]) for row, identifier in enumerate(ids) if identifier in place]
    if len(common) < _MIN_GENES:
        return None
    rows, other_rows = (list(side) for side in zip(*common, strict=True))
    left, right = np.asarray(values[rows], dtype=float), np.asarray(other[other_rows], dtype=float)
    seen = (left >= 10).all(axis=1) & (right > 0).all(axis=1)
    if seen.sum() < _MIN_GENES:
        return None
    one, two = _centred(left[seen]), _centred(right[seen])
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = (one.T @ two) / np.outer(np.linalg.norm(one, axis=0), np.linalg.norm(two, axis=0))
    if not np.isfinite(correlation).all():
        return None
    best = correlation.argmax(axis=1)
    if len(set(best.tolist())) < len(best):
        return None
    pairs = correlation[np.arange(len(best)), best]
    rest = correlation.copy()
    rest[np.arange(len(best)), best] = -1.0
    if pairs.min() < _LEAST or (pairs - rest.max(axis=1)).min() < _GAP or (pairs - rest.max(axis=0)[best]).min() < _GAP:
        return None
    return {column: int(partner) for column, partner in enumerate(best)}


def _centred(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log profiles without what is common to a sample (depth) and to a gene (length, level)."""
    logged = np.log2(values)
    logged -= np.median(logged, axis=0)
    centred: NDArray[np.float64] = logged - logged.mean(axis=1, keepdims=True)
    return centred
