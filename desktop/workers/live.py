"""A running job as it is this moment: step, progress, time left, log. Thread-safe; the store sees it now and then.

Publishes at most ten changes a second, and always the latest one.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

from desktop.core.clock import Clock
from desktop.core.events import EventBus, JobChanged, JobLogged
from desktop.core.jobs import JobRecord, JobState

_PUBLISH_EVERY_S = 0.1
_LOG_MAX_BYTES = 1024 * 1024
_LINE_MAX = 4000
_SMOOTHING = 0.2
_KNOWN_AFTER_S = 2.0
_KNOWN_AFTER_FRAC = 0.02
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Pace:
    """Time left from how fast progress was lately. None until there is something to go by."""

    def __init__(self, now_s: float) -> None:
        self._began_s = self._last_s = now_s
        self._frac = 0.0
        self._rate: float | None = None  # fraction a second, smoothed
        self.time_left_s: float | None = None

    def move(self, frac: float, now_s: float) -> None:
        """Progress is `frac` (0..1) now."""
        gained, took_s = frac - self._frac, now_s - self._last_s
        if gained <= 0 or took_s < 1e-6:  # a rate from less would be endless
            return
        rate = gained / took_s
        weight = 1 - (1 - _SMOOTHING) ** max(1.0, took_s)  # a long stretch says more than a short one
        self._rate = rate if self._rate is None else self._rate + weight * (rate - self._rate)
        self._frac, self._last_s = frac, now_s
        if now_s - self._began_s >= _KNOWN_AFTER_S and frac >= _KNOWN_AFTER_FRAC:
            average = frac / (now_s - self._began_s)
            self.time_left_s = (1 - frac) / ((self._rate + average) / 2)


class LiveJob:
    """The latest record of a running job, and its log."""

    def __init__(self, record: JobRecord, *, log: Path, bus: EventBus, clock: Clock) -> None:
        """Belongs to the running asyncio loop, on which late changes are published."""
        self.task: asyncio.Task[dict[str, Any]] | None = None
        self.is_cancelled_by_user = False
        self.is_stored = True
        self._record, self._bus, self._clock = record, bus, clock
        self._loop = asyncio.get_running_loop()
        self._lock = threading.RLock()
        self._pace = Pace(clock.monotonic_s())
        self._published_s = float("-inf")
        self._is_due = self._is_ended = False
        self._floor, self._ceiling = 0.0, 1.0  # what the current step covers of the whole
        self._log_path, self._log_bytes = log, 0

    @property
    def record(self) -> JobRecord:
        return self._record

    @property
    def span(self) -> tuple[float, float]:
        """The part of the whole that the current step covers."""
        return self._floor, self._ceiling

    @property
    def is_ended(self) -> bool:
        return self._is_ended

    def begin(self, now_s: float) -> JobRecord:
        """The job runs from now on."""
        with self._lock:
            self._record = replace(self._record, state=JobState.RUNNING, started_s=now_s)
            return self._record

    def stored(self) -> JobRecord:
        """The record as it is now, which the caller will store."""
        with self._lock:
            self.is_stored = True
            return self._record

    def enter(self, name: str, floor: float, ceiling: float) -> None:
        """A step begins that covers `floor`..`ceiling` of the whole."""
        with self._lock:
            self._floor, self._ceiling = floor, max(floor, min(1.0, ceiling))
            self._update(step=name, note="", done_frac=max(self._record.done_frac, floor))

    def resume(self, floor: float, ceiling: float) -> None:
        """Back in the step around the one that ended."""
        with self._lock:
            self._floor, self._ceiling = floor, ceiling

    def move(self, done_frac: float, note: str) -> None:
        """Progress within the current step. It never goes back."""
        with self._lock:
            whole = self._floor + min(1.0, max(0.0, done_frac)) * (self._ceiling - self._floor)
            whole = max(whole, self._record.done_frac)
            self._pace.move(whole, self._clock.monotonic_s())
            self._update(done_frac=whole, note=_shown(note), time_left_s=self._pace.time_left_s)

    def warn(self, text: str) -> None:
        """Keep a warning beside the result."""
        with self._lock:
            if text not in self._record.warnings:
                self._update(warnings=(*self._record.warnings, text))

    def end(self, **changes: Any) -> JobRecord:
        """The last change; nothing is published through here afterwards."""
        with self._lock:
            self._is_ended = True
            self._record = replace(self._record, time_left_s=None, **changes)
            return self._record

    def log(self, text: str) -> None:
        """One or more lines for the log: control codes shown, long lines and long logs cut."""
        for raw in text.splitlines() or [""]:
            line = _shown(raw)
            with self._lock:
                if self._is_ended or self._log_bytes > _LOG_MAX_BYTES:
                    return
                self._log_bytes += len(line.encode()) + 1
                if self._log_bytes > _LOG_MAX_BYTES:
                    line = "… the log is full; what follows is not kept"
                try:
                    with self._log_path.open("a", encoding="utf-8") as file:
                        file.write(line + "\n")
                except OSError:  # a full disk must not end the job because of its log
                    pass
            self._bus.publish(JobLogged(self._record.id, line))

    def _update(self, **changes: Any) -> None:
        if self._is_ended:
            return
        self._record = replace(self._record, **changes)
        self.is_stored = False
        if not self._is_due:
            self._is_due = True
            wait_s = self._published_s + _PUBLISH_EVERY_S - self._clock.monotonic_s()
            self._loop.call_soon_threadsafe(self._later, max(0.0, wait_s))

    def _later(self, wait_s: float) -> None:
        self._loop.call_later(wait_s, self._publish) if wait_s > 0 else self._publish()

    def _publish(self) -> None:
        with self._lock:
            self._is_due = False
            if self._is_ended:
                return
            self._published_s = self._clock.monotonic_s()
            record = self._record
        self._bus.publish(JobChanged(record))


def _shown(text: str) -> str:
    """The text on one line with control codes as visible escapes."""
    cut = text if len(text) <= _LINE_MAX else text[:_LINE_MAX] + " …"
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), cut)


def read_log(path: Path, tail: int) -> list[str]:
    """The last `tail` lines of a job's log."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return [line.rstrip("\n") for line in deque(file, maxlen=tail)]
    except FileNotFoundError:
        return []
