"""Bulk requests wait a moment for company and go to the model together. A lone interactive request never comes here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

C = TypeVar("C")
R = TypeVar("R")
QUIET_S = 0.02  # nobody else came for this long: no use in waiting on


@dataclass(slots=True)
class _Batch(Generic[C, R]):
    calls: list[C] = field(default_factory=list)
    results: list[asyncio.Future[R]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Batcher(Generic[C, R]):
    """Collects calls for at most `wait_s()` and `most` at a time, then `work` answers them.

    `work` gives one result or exception for each call, in their order. One that fails fails alone; one whose caller is
    cancelled is dropped from the result, and when all callers are, the work is cancelled.
    """

    def __init__(
        self,
        work: Callable[[Sequence[C]], Awaitable[Sequence[R | Exception]]],
        *,
        wait_s: Callable[[], float],
        most: int,
        on_left: Callable[[C], None] = lambda call: None,
    ) -> None:
        """on_left: a caller was cancelled while others in its batch are still waited for."""
        self._work, self._wait_s, self._most, self._on_left = work, wait_s, most, on_left
        self._open: _Batch[C, R] | None = None

    async def ask(self, call: C) -> R:
        """The result of one call. Raises its exception."""
        batch = self._open
        if batch is None:
            batch = self._open = _Batch()
            batch.task = asyncio.ensure_future(self._collect(batch))
        result: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        batch.calls.append(call)
        batch.results.append(result)
        batch.news.set()
        if len(batch.calls) >= self._most:
            self._open = None
        try:
            return await result
        finally:
            if batch.task and all(one.cancelled() for one in batch.results):
                if self._open is batch:
                    self._open = None
                batch.task.cancel()
            elif result.cancelled():
                self._on_left(call)

    async def _collect(self, batch: _Batch[C, R]) -> None:
        now_s = asyncio.get_running_loop().time
        until_s = now_s() + self._wait_s()
        while self._open is batch and (left_s := until_s - now_s()) > 0:
            batch.news.clear()
            try:
                async with asyncio.timeout(min(QUIET_S, left_s)):
                    await batch.news.wait()
            except TimeoutError:
                break
        if self._open is batch:
            self._open = None
        wanted = [(call, result) for call, result in zip(batch.calls, batch.results, strict=True) if not result.done()]
        outcomes: Sequence[R | Exception]
        try:
            outcomes = await self._work([call for call, _ in wanted])
        except Exception as error:
            outcomes = [error] * len(wanted)
        for (_, result), outcome in zip(wanted, outcomes, strict=True):
            if result.done():
                continue
            if isinstance(outcome, Exception):
                result.set_exception(outcome)
            else:
                result.set_result(outcome)
