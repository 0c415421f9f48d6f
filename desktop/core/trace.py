"""Spans: what took how long, inside which job and step, at the cost of a few microseconds each.

`span` records into the trace of the current context (a job's task, its threads) and does nothing where there is none.
Not a logger, and not for values: facts are short and never secret. Ids have W3C's sizes.
"""

from __future__ import annotations

import random
import time
from collections import deque
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from types import TracebackType

_CAPACITY = 20_000  # spans kept between two flushes; beyond it the oldest are lost


@dataclass(slots=True)
class Span:
    """One finished piece of work. `started_s` is UTC epoch seconds."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    started_s: float
    duration_us: float
    is_ok: bool
    facts: dict[str, str | int | float] = field(default_factory=dict)


class SpanBuffer:
    """Finished spans waiting to be stored. Thread-safe; never grows beyond its capacity."""

    def __init__(self, capacity: int = _CAPACITY) -> None:
        self._spans: deque[Span] = deque(maxlen=capacity)
        self.add = self._spans.append

    def drain(self) -> list[Span]:
        """Take out everything there is."""
        taken = []
        while True:
            try:
                taken.append(self._spans.popleft())
            except IndexError:
                return taken


_here: ContextVar[tuple[SpanBuffer, str, str | None] | None] = ContextVar("benchtop_span", default=None)


class Trace:
    """A context in which spans are recorded: `with Trace(buffer, job_id): …`."""

    def __init__(self, buffer: SpanBuffer, trace_id: str) -> None:
        self._where = (buffer, trace_id, None)

    def __enter__(self) -> None:
        self._token = _here.set(self._where)

    def __exit__(self, *_: object) -> None:
        _here.reset(self._token)


class span:  # noqa: N801 - reads as the verb it is
    """Time a block: `with span("net.fetch", bytes=n) as s: …; s.facts["status"] = 200`."""

    __slots__ = ("_parent", "_started_ns", "_token", "facts", "name")
    _token: Token[tuple[SpanBuffer, str, str | None] | None]

    def __init__(self, name: str, **facts: str | int | float) -> None:
        self.name, self.facts = name, facts

    def __enter__(self) -> span:
        self._parent = _here.get()
        if self._parent is not None:
            buffer, trace_id, _ = self._parent
            self._token = _here.set((buffer, trace_id, f"{random.getrandbits(64):016x}"))
        self._started_ns = time.perf_counter_ns()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        ns = time.perf_counter_ns() - self._started_ns
        if self._parent is None:
            return
        buffer, trace_id, parent_id = self._parent
        own = _here.get()
        _here.reset(self._token)
        span_id = own[2] if own and own[2] else ""
        started_s = time.time() - ns / 1e9
        buffer.add(Span(trace_id, span_id, parent_id, self.name, started_s, ns / 1e3, kind is None, self.facts))
