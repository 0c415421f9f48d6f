"""Calls that llama.cpp answers together: each in a sequence of its own, over one beginning that is computed once.

All sequences share one memory of fixed size with the single call in front of them (`gguf`). When that one needs room,
calls of the batch are parked: their sequences are forgotten and computed anew later, what they wrote is kept. Runs in a
model's process only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from desktop.core.errors import AppError
from desktop.engines.answering import Answer
from desktop.engines.llama import Entry, NativeContext
from desktop.engines.runtime import Tell
from desktop.engines.sampling import Sampler

Choose = Callable[[Answer, Sampler, int], int]


class Item:
    """One call of a batch. `tokens` are the prompt and what has been written; `n_done` of them are evaluated."""

    def __init__(self, index: int, call_id: str, tokens: list[int], answer: Answer, sampler: Sampler) -> None:
        self.index, self.call_id, self.tokens, self.answer, self.sampler = index, call_id, tokens, answer, sampler
        self.longest = len(tokens) + answer.max_tokens
        self.sequence, self.n_done = -1, 0


class Batch:
    """Items that wait and items that run. Sequences 1 to `n_together` are theirs, the next holds the beginning."""

    def __init__(
        self,
        context: NativeContext,
        items: Sequence[Item],
        n_same: int,
        *,
        n_together: int,
        n_cells: int,
        n_chunk: int,
        choose: Choose,
    ) -> None:
        """Takes what all prompts begin with, `n_same` tokens, from sequence 0.

        n_cells  what all sequences together may take, the beginning included
        n_chunk  tokens evaluated at once
        """
        self._context, self._n_same, self._n_cells, self._n_chunk = context, n_same, n_cells, n_chunk
        self._choose = choose
        self._waiting, self._running = deque(items), list[Item]()
        self._free = list(range(n_together, 0, -1))
        self._beginning = n_together + 1
        if n_same:
            context.share(0, self._beginning, n_same)

    @property
    def is_over(self) -> bool:
        return not self._waiting and not self._running

    def wants_more_than(self, n_cells: int) -> bool:
        """Whether what runs and the next that waits may need more cells than these."""
        waiting = [self._waiting[0]] if self._waiting and self._free else []
        return self._n_same + sum(item.longest - self._n_same for item in (*self._running, *waiting)) > n_cells

    def shrink(self, n_cells: int) -> None:
        """Hold at most so many cells now: park the youngest first, then give up the common beginning too."""
        while self._running and self._held() > n_cells:
            item = self._running.pop()
            self._leave(item)
            self._waiting.appendleft(item)
        if self._n_same > n_cells:
            self._context.forget(self._beginning)
            self._n_same = 0

    def stop(self, is_stopped: Callable[[str], bool], tell: Tell) -> None:
        """End the calls nobody wants any more."""
        for item in (*self._waiting, *self._running):
            if item.answer.finish is None and is_stopped(item.call_id):
                tell(item.index, item.answer.cancelled())
        self._tidy()

    def advance(self, tell: Tell) -> None:
        """One evaluation: the next token of each that writes, and a share of the prompts of those that begin."""
        self._admit()
        entries: list[Entry] = []
        asks: list[tuple[Item, int]] = []
        room = self._n_chunk
        for item in self._running:
            part = item.tokens[item.n_done : item.n_done + max(1, room)]
            is_last = item.n_done + len(part) == len(item.tokens)
            for n, token in enumerate(part):
                entries.append((token, item.n_done + n, item.sequence, is_last and n == len(part) - 1))
            item.n_done += len(part)
            room -= len(part)
            if is_last:
                asks.append((item, len(entries) - 1))
        if entries:
            self._context.evaluate(entries)
        for item, place in asks:
            try:
                token = self._choose(item.answer, item.sampler, place)
                piece = item.answer.add(token)
                item.tokens.append(token)
                tell(item.index, piece)
            except AppError as error:
                item.answer.finish = "stop"
                tell(item.index, error)
        self._tidy()

    def _held(self) -> int:
        return self._n_same + sum(item.n_done - self._n_same for item in self._running)

    def _admit(self) -> None:
        """Begin with those that wait while the context has cells for all that they may still become."""
        while self._waiting and self._free:
            longest = [item.longest - self._n_same for item in (*self._running, self._waiting[0])]
            if self._n_same + sum(longest) > self._n_cells:
                return
            item = self._waiting.popleft()
            item.sequence, item.n_done = self._free.pop(), self._n_same
            item.answer.n_cached = item.answer.n_cached or self._n_same
            if self._n_same:
                self._context.share(self._beginning, item.sequence, self._n_same)
            self._running.append(item)

    def _tidy(self) -> None:
        """Let go of what has ended."""
        for item in [item for item in self._running if item.answer.finish]:
            self._running.remove(item)
            self._leave(item)
        self._waiting = deque(item for item in self._waiting if item.answer.finish is None)

    def _leave(self, item: Item) -> None:
        self._context.forget(item.sequence)
        self._free.append(item.sequence)
        item.sequence, item.n_done = -1, 0
