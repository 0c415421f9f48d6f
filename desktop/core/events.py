"""What happened, told to whoever listens. Values only; delivery is `EventBus`, on the publisher's thread.

Listeners must return at once: the window's bridge only queues a signal, the command line only queues a line.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from desktop.core.jobs import JobRecord


@dataclass(frozen=True, slots=True)
class JobChanged:
    """A job's row changed: state, step, progress, result. At most ten a second for each job."""

    job: JobRecord


@dataclass(frozen=True, slots=True)
class JobLogged:
    """One line of a job's log, control codes already shown as text."""

    job_id: str
    line: str


@dataclass(frozen=True, slots=True)
class TablesChanged:
    """A write was committed that touched these tables."""

    tables: frozenset[str]


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """Settings were reloaded; `fault` says what is wrong with the file when the last good ones were kept."""

    fault: str | None = None


Event = JobChanged | JobLogged | TablesChanged | SettingsChanged


class EventBus:
    """Fan-out to listeners. Thread-safe; a listener that raises does not stop the others."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Event], None]] = []
        self._lock = threading.Lock()

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Add a listener; returns the function that removes it."""
        with self._lock:
            self._listeners.append(listener)

        def unsubscribe() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return unsubscribe

    def publish(self, event: Event) -> None:
        """Tell every listener, in the order they subscribed."""
        with self._lock:
            listeners = tuple(self._listeners)
        for listener in listeners:
            try:
                listener(event)
            except Exception:
                import logging

                logging.getLogger(__name__).exception("listener failed on %s", type(event).__name__)
