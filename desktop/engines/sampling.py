"""Choosing a token from logits with numpy: likeliest, or by chance with a seed of the call's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from desktop.engines.engine import Call

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LIKELY = 1024  # sorting these is enough for top_p unless the odds are very flat


def seed_of(call: Call) -> int | None:
    """The call's seed as both runtimes take it: any whole number counts, also a negative one."""
    return None if call.seed is None else call.seed % 2**64


class Sampler:
    """Temperature and top_p of one call."""

    def __init__(self, call: Call) -> None:
        self._temperature, self._top_p = call.temperature, call.top_p
        self._chance = np.random.default_rng(seed_of(call))

    def choose(self, logits: NDArray[np.float32]) -> int:
        """A token from logits (V,), of which -inf may not be chosen."""
        if self._temperature <= 0:
            return int(np.argmax(logits))
        scaled = (logits - logits.max()).astype(np.float64) / self._temperature
        odds = np.exp(scaled)
        odds /= odds.sum()
        if not 0 < self._top_p < 1:
            return int(np.searchsorted(np.cumsum(odds), self._chance.random() * (1 - 1e-12), side="right"))
        order = _by_odds(odds, self._top_p)
        totals = np.cumsum(odds[order])
        n_kept = int(np.searchsorted(totals, self._top_p)) + 1
        picked = np.searchsorted(totals[:n_kept], self._chance.random() * totals[min(n_kept, len(totals)) - 1], "right")
        return int(order[min(int(picked), n_kept - 1, len(order) - 1)])


def _by_odds(odds: NDArray[np.float64], top_p: float) -> NDArray[np.intp]:
    """Tokens from the likeliest down, as many as `top_p` can need."""
    if len(odds) > 2 * _LIKELY:
        likely = np.argpartition(odds, -_LIKELY)[-_LIKELY:]
        if odds[likely].sum() >= top_p:
            return likely[np.argsort(-odds[likely], kind="stable")]
    return np.argsort(-odds, kind="stable")
