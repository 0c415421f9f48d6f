"""Takes a hostile program's log: bytes in from any thread, capped plain text lines out on the event loop.

Keeps the first half and the last half of the cap, because a traceback is at the end. Control codes are shown, not
obeyed; a line longer than 2,000 characters is folded; invalid UTF-8 is replaced.
"""

from __future__ import annotations

import asyncio
import codecs
import threading
from collections import deque
from collections.abc import Callable

FOLD_CHARS = 2000
_PUMP_S = 0.05
_PUMP_LINES = 500
_SHOWN = {i: chr(0x2400 + i) for i in range(32) if i not in (9, 10)} | {0x7F: "␡"} | dict.fromkeys(range(128, 160), "�")
_SHOWN |= {ord(c): "�" for c in "\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"}


class LogTap:
    """One run's log."""

    def __init__(self, cap_bytes: int) -> None:
        self._half = max(1, cap_bytes // 2)
        self._head: list[str] = []
        self._tail: deque[str] = deque()
        self._head_chars = self._tail_chars = 0
        self._pending = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._queue: deque[str] = deque()
        self._lock = threading.Lock()
        self.is_truncated = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes, as they came."""
        with self._lock:
            text = self._pending + self._decoder.decode(data).replace("\r\n", "\n")
            *lines, self._pending = text.split("\n")
            while len(self._pending) > FOLD_CHARS:
                lines.append(self._pending[:FOLD_CHARS])
                self._pending = self._pending[FOLD_CHARS:]
            for line in lines:
                self._add(line)

    def end(self) -> None:
        """No more bytes will come."""
        with self._lock:
            rest = self._pending + self._decoder.decode(b"", final=True)
            self._pending = ""
            if rest:
                self._add(rest)

    def _add(self, line: str) -> None:
        for start in range(0, max(1, len(line)), FOLD_CHARS):
            part = line[start : start + FOLD_CHARS].translate(_SHOWN)
            size = len(part) + 1
            if not self.is_truncated and self._head_chars + size <= self._half:
                self._head.append(part)
                self._head_chars += size
                self._queue.append(part)
                continue
            if not self.is_truncated:
                self.is_truncated = True
                self._queue.append("… the log is longer than allowed; its end is kept with the result")
            self._tail.append(part)
            self._tail_chars += size
            while self._tail_chars > self._half and self._tail:
                self._tail_chars -= len(self._tail.popleft()) + 1

    def text(self) -> str:
        """What was kept, with a note where lines are missing."""
        with self._lock:
            middle = ["… lines left out …"] if self.is_truncated else []
            return "\n".join([*self._head, *middle, *self._tail])

    def _drain(self, on_line: Callable[[str], None], most: int) -> bool:
        with self._lock:
            lines = [self._queue.popleft() for _ in range(min(most, len(self._queue)))]
        for line in lines:
            on_line(line)
        return bool(lines)

    async def pump(self, on_line: Callable[[str], None]) -> None:
        """Hand lines to `on_line` on this loop, a few at a time, until cancelled; then `flush` gives the rest."""
        while True:
            self._drain(on_line, _PUMP_LINES)
            await asyncio.sleep(_PUMP_S)

    async def flush(self, on_line: Callable[[str], None]) -> None:
        """The lines not yet handed over, without holding the loop for long."""
        while self._drain(on_line, _PUMP_LINES):
            await asyncio.sleep(0)
