"""Trying again, and knowing when not to: retries with backoff and jitter, and a circuit breaker.

Time and chance come from outside, so that tests own them.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from desktop.core.clock import Clock
from desktop.core.errors import AppError

T = TypeVar("T")


class BreakerOpenError(AppError):
    """The service failed repeatedly and is left alone for a while (facts: `retry_after_s`)."""

    code = "app.breaker_open"
    retryable = True


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how patiently: waits double from `first_s` to at most `longest_s`, each cut by up to half."""

    attempts: int = 4
    first_s: float = 0.5
    longest_s: float = 30.0

    def wait_s(self, failed: int, chance: float) -> float:
        """Seconds to wait after the `failed`th failure (1, 2, …); chance is uniform in 0..1."""
        full_s = min(self.longest_s, self.first_s * float(2 ** min(failed - 1, 30)))
        return full_s * (1 - chance / 2)


async def with_retries(
    work: Callable[[], Awaitable[T]],
    retries: Retries = Retries(),
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    chance: Callable[[], float] = random.random,
    is_safe: Callable[[AppError], bool] = lambda error: error.retryable,
) -> T:
    """Do `work` until it succeeds, fails for good, or the attempts are used up; raises its last error.

    Only an AppError that `is_safe` (its `retryable`, unless told otherwise) is tried again. When it carries the fact
    `retry_after_s` (a server's Retry-After) the wait is at least that; one longer than `longest_s` is for the caller to
    decide, so it is raised.
    """
    for failed in range(1, retries.attempts + 1):
        try:
            return await work()
        except AppError as error:
            asked_s = error.facts.get("retry_after_s")
            asked_s = float(asked_s) if isinstance(asked_s, int | float) else 0.0
            if not is_safe(error) or failed == retries.attempts or asked_s > retries.longest_s:
                raise
        await sleep(max(asked_s, retries.wait_s(failed, chance())))
    raise AssertionError("attempts is at least 1")


class Breaker:
    """Closed until `limit` failures in a row; then open for `pause_s`; then one probe decides.

    A failure that carries the fact `retry_after_s` opens it at once for that long, at most `longest_s`: the service
    asked for it. Cancelled calls count neither way, nor errors of which `counts` says no, nor calls that began before
    it last opened or closed.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        *,
        limit: int = 3,
        pause_s: float = 30.0,
        longest_s: float = 600.0,
        counts: Callable[[Exception], bool] = lambda error: True,
    ) -> None:
        self.name, self._clock, self._limit, self._pause_s = name, clock, limit, pause_s
        self._longest_s, self._counts = longest_s, counts
        self._failures, self._until_s, self._is_probing = 0, 0.0, False
        self._epoch = 0  # one more each time it opens or closes

    @property
    def state(self) -> Literal["closed", "open", "probing"]:
        """ "probing": the pause is over and the next call (or the one under way) decides."""
        if self._failures < self._limit:
            return "closed"
        return "open" if self._clock.monotonic_s() < self._until_s else "probing"

    @property
    def left_s(self) -> float:
        """Seconds until a call is tried again; 0 when it would be now."""
        return max(0.0, self._until_s - self._clock.monotonic_s()) if self.state == "open" else 0.0

    @property
    def is_admitting(self) -> bool:
        """Whether a call made now would be let through."""
        state = self.state
        return state == "closed" or (state == "probing" and not self._is_probing)

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do `work` if the breaker lets it through. Raises BreakerOpenError, or what `work` raised."""
        if not self.is_admitting:
            left_s = max(0.0, self._until_s - self._clock.monotonic_s())
            raise BreakerOpenError(
                f"{self.name} failed repeatedly or asked for a pause, and is left alone for now.",
                hint=f"Try again in {left_s:.0f} s.",
                retry_after_s=left_s,
            )
        is_probe, epoch = self.state == "probing", self._epoch
        self._is_probing = self._is_probing or is_probe
        try:
            value = await work()
        except Exception as error:
            if epoch == self._epoch and self._counts(error):
                self._note_failure(error, is_probe=is_probe)
            raise
        finally:
            if is_probe:
                self._is_probing = False
        if epoch == self._epoch:
            self._epoch += is_probe
            self._failures = 0
        return value

    def _note_failure(self, error: Exception, *, is_probe: bool) -> None:
        asked_s = error.facts.get("retry_after_s") if isinstance(error, AppError) else None
        asked_s = min(float(asked_s), self._longest_s) if isinstance(asked_s, int | float) else None
        self._failures = max(self._failures + 1, self._limit if asked_s is not None or is_probe else 0)
        if self._failures >= self._limit:
            self._epoch += 1
            self._until_s = self._clock.monotonic_s() + (self._pause_s if asked_s is None else asked_s)
