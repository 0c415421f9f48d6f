"""How often a destination may be asked: one line for all tasks and threads of the process. No networking here."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from desktop.core.clock import Clock

MARGIN = 1.02  # spacing a little above the limit, so that a server's own clock agrees


class Limiter:
    """Hands out start times spaced so that no window of one second holds more than `per_s()` starts."""

    def __init__(self, per_s: Callable[[], float], clock: Clock) -> None:
        self._per_s, self._clock = per_s, clock
        self._next_s = self._held_until_s = 0.0
        self._lock = threading.Lock()

    def reserve(self) -> float:
        """Take the next place in line; returns how many seconds from now it is."""
        gap_s = MARGIN / self._per_s()
        with self._lock:
            now_s = self._clock.monotonic_s()
            start_s = max(now_s, self._next_s)
            self._next_s = start_s + gap_s
            return start_s - now_s

    def hold(self, seconds: float) -> None:
        """The server asked for a pause: nobody starts before it is over."""
        with self._lock:
            self._held_until_s = max(self._held_until_s, self._clock.monotonic_s() + seconds)
            self._next_s = max(self._next_s, self._held_until_s)

    async def turn(self) -> None:
        """Wait for one's place in line; whoever was already waiting when a pause came lines up again."""
        while True:
            await asyncio.sleep(self.reserve())
            if self._clock.monotonic_s() >= self._held_until_s:
                return
