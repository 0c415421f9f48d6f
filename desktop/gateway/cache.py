"""Answers kept in memory and shared by all studios, and one flight for requests that are the same at the same time.

Only what would be answered the same again is kept. Least recently used answers go first when the room is used up.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from desktop.core.models import Answer

_OVERHEAD_BYTES = 1024  # of an entry beside its text
OnText = Callable[[str], None]


class AnswerCache:
    """Answers by key, at most `most_bytes()` of them (asked each time, so that a setting holds at once)."""

    def __init__(self, most_bytes: Callable[[], int]) -> None:
        self._most_bytes = most_bytes
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._bytes = 0

    def get(self, key: str) -> Answer | None:
        """The answer, marked as one from the cache."""
        answer = self._answers.get(key)
        if answer is None:
            return None
        self._answers.move_to_end(key)
        return replace(answer, is_from_cache=True)

    def put(self, key: str, answer: Answer) -> None:
        """Keep an answer."""
        self._drop(key)
        self._answers[key] = answer
        self._bytes += _size(answer)
        while self._answers and self._bytes > self._most_bytes():
            self._drop(next(iter(self._answers)))

    def invalidate(self, model: str | None = None) -> int:
        """Forget the answers of a model (it was replaced or retrained), or all; returns how many."""
        gone = [key for key, answer in self._answers.items() if model in (None, answer.model)]
        for key in gone:
            self._drop(key)
        return len(gone)

    def _drop(self, key: str) -> None:
        answer = self._answers.pop(key, None)
        if answer is not None:
            self._bytes -= _size(answer)


def _size(answer: Answer) -> int:
    return 2 * len(answer.text.encode("utf-8", "replace")) + _OVERHEAD_BYTES


class Relay:
    """Passes text on to whoever listens, piece by piece; who joins late gets what there is at once."""

    def __init__(self, *listeners: OnText) -> None:
        self._listeners = list(listeners)
        self._text: list[str] = []
        self.is_shown = False  # somebody has seen text: it cannot be taken back

    def tell(self, text: str) -> None:
        """The next piece."""
        self._text.append(text)
        self.is_shown = self.is_shown or bool(self._listeners)
        for listener in tuple(self._listeners):
            listener(text)

    def join(self, listener: OnText) -> None:
        """Listen from now on."""
        if self._text:
            self.is_shown = True
            listener("".join(self._text))
        self._listeners.append(listener)

    def leave(self, listener: OnText) -> None:
        """Listen no more."""
        self._listeners.remove(listener)

    def restart(self) -> None:
        """Forget what nobody has seen: another model begins anew."""
        self._text.clear()


@dataclass(slots=True)
class _Flight:
    task: asyncio.Task[Answer]
    relay: Relay
    waiters: int = 0


class Flights:
    """The same request asked twice at the same time is answered once.

    Who is cancelled does not disturb the others; when the last one is, the work is.
    """

    def __init__(self) -> None:
        self._flights: dict[str, _Flight] = {}

    async def join(self, key: str, work: Callable[[Relay], Awaitable[Answer]], on_text: OnText | None) -> Answer:
        """The answer of `work`, which is begun only when nobody asked for `key` yet. Raises what it raises."""
        flight = self._flights.get(key) or self._begin(key, work)
        flight.waiters += 1
        if on_text is not None:
            flight.relay.join(on_text)
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            if on_text is not None:
                flight.relay.leave(on_text)
            if not flight.waiters and not flight.task.done():
                self._forget(key, flight)
                flight.task.cancel()

    def _begin(self, key: str, work: Callable[[Relay], Awaitable[Answer]]) -> _Flight:
        relay = Relay()

        async def fly() -> Answer:
            try:
                return await work(relay)
            finally:
                self._forget(key, flight)

        flight = self._flights[key] = _Flight(asyncio.ensure_future(fly()), relay)
        flight.task.add_done_callback(_retrieve)
        return flight

    def _forget(self, key: str, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]


def _retrieve(task: asyncio.Task[Answer]) -> None:
    """Everybody may have been cancelled: an error nobody hears is not a warning."""
    if not task.cancelled():
        task.exception()
