"""How often a destination may be asked: one line for all tasks, threads and processes of the program.

Processes line up in a small file that holds when the next start may be, in seconds of the machine's monotonic clock.
Where that file cannot be used, a process keeps the limit by itself. No networking here.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from desktop.core.clock import Clock

MARGIN = 1.02  # spacing a little above the limit, so that a server's own clock agrees
_LONGEST_S = 120.0  # a start further away than this was written before the machine was restarted
_PATIENCE_S = 0.05  # for the file; another process holds it for microseconds


class Limiter:
    """Hands out start times spaced so that no window of one second holds more than `per_s()` starts."""

    def __init__(self, per_s: Callable[[], float], clock: Clock, line: Path | None = None) -> None:
        """line: the file in which other processes of the program line up, too."""
        self._per_s, self._clock, self._line = per_s, clock, line
        self._next_s = self._held_until_s = 0.0
        self._lock = threading.Lock()

    def reserve(self) -> float:
        """Take the next place in line; returns how many seconds from now it is."""
        gap_s = MARGIN / self._per_s()
        with self._lock, self._shared() as shared:
            now_s = self._clock.monotonic_s()
            start_s = max(now_s, self._next_s, _read(shared, now_s))
            self._next_s = start_s + gap_s
            _write(shared, self._next_s)
            return start_s - now_s

    def hold(self, seconds: float) -> None:
        """The server asked for a pause: nobody starts before it is over."""
        with self._lock, self._shared() as shared:
            now_s = self._clock.monotonic_s()
            self._held_until_s = max(self._held_until_s, now_s + seconds)
            self._next_s = max(self._next_s, self._held_until_s, _read(shared, now_s))
            _write(shared, self._next_s)

    async def turn(self) -> None:
        """Wait for one's place in line; whoever was already waiting when a pause came lines up again."""
        while True:
            await asyncio.sleep(self.reserve())
            if self._clock.monotonic_s() >= self._held_until_s:
                return

    @contextlib.contextmanager
    def _shared(self) -> Iterator[int | None]:
        """The file, for this process alone; None where there is none or it cannot be had."""
        handle = _opened(self._line) if self._line is not None else None
        try:
            yield handle
        finally:
            if handle is not None:
                os.close(handle)


def _opened(path: Path) -> int | None:
    """A locked handle. Whoever holds it lets go at once; one that does not (it was suspended) is not waited for."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    until_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except OSError:
            if time.monotonic() > until_s:
                os.close(handle)
                return None
            time.sleep(0.001)


def _read(handle: int | None, now_s: float) -> float:
    """When the next start may be; 0 when nobody said so, or it is no such time."""
    if handle is None:
        return 0.0
    try:
        next_s = float(os.pread(handle, 32, 0))
    except (OSError, ValueError):
        return 0.0
    return next_s if next_s <= now_s + _LONGEST_S else 0.0


def _write(handle: int | None, next_s: float) -> None:
    if handle is not None:
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{next_s:.6f}".encode(), 0)
