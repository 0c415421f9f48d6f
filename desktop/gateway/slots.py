"""Turns at a model that answers a few requests at once: people before bulk work, otherwise first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Slots:
    """`count` turns at a time. On one asyncio loop; a waiter that is cancelled leaves the line."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._lines: tuple[deque[asyncio.Future[None]], deque[asyncio.Future[None]]] = (deque(), deque())

    @asynccontextmanager
    async def turn(self, *, is_bulk: bool = False) -> AsyncIterator[None]:
        """Wait for one's turn and hold it inside the block."""
        if self._free and not any(self._lines):
            self._free -= 1
        else:
            await self._wait(self._lines[is_bulk])
        try:
            yield
        finally:
            self._free += 1
            self._call_next()

    async def _wait(self, line: deque[asyncio.Future[None]]) -> None:
        mine = asyncio.get_running_loop().create_future()
        line.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():  # called at the same moment: the turn goes on to the next
                self._free += 1
                self._call_next()
            else:
                line.remove(mine)
            raise

    def _call_next(self) -> None:
        for line in self._lines:
            while line and self._free:
                waiter = line.popleft()
                if not waiter.done():
                    self._free -= 1
                    waiter.set_result(None)
