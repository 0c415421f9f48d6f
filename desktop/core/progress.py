"""How a pure function tells how far it is, without knowing who listens.

`report_progress` does nothing unless the process that runs the function installed a listener.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_listener: ContextVar[Callable[[float, str], None] | None] = ContextVar("benchtop_progress", default=None)


def report_progress(done_frac: float, note: str = "") -> None:
    """Say that this function has done `done_frac` (0..1) of its work. Cheap enough for every hundredth."""
    listener = _listener.get()
    if listener is not None:
        listener(done_frac, note)


@contextmanager
def listening(listener: Callable[[float, str], None]) -> Iterator[None]:
    """Hear the reports made inside this block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
