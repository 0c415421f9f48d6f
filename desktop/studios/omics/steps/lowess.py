"""Cleveland's robust locally weighted line, as R's `lowess`. Pure; copied into every script.

Source: Cleveland 1979, doi:10.1080/01621459.1979.10481038.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


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
