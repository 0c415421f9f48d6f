"""One answer on its way from tokens to a reader, the same for every runtime: text, stop strings, the end, the check.

Runs in a model's process only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from desktop.core.models import Enforced, Finish, Usage
from desktop.engines.engine import Call, Piece
from desktop.engines.schema import parse_answer

if TYPE_CHECKING:
    from desktop.engines.constraint import Constraint


class Wording:
    """Takes text as it is decoded and gives what may be shown: holds back what may turn out to be a stop string."""

    def __init__(self, stop: Sequence[str]) -> None:
        """stop: texts that end the answer, themselves not part of it."""
        self._stop = tuple(text for text in stop if text)
        self._held = ""
        self.is_stopped = False

    def add(self, text: str) -> str:
        """The next piece that may be shown; sets `is_stopped` when a stop string was reached."""
        if self.is_stopped or not self._stop:
            return "" if self.is_stopped else text
        held = self._held + text
        found = [at for stop in self._stop if (at := held.find(stop)) >= 0]
        if found:
            self.is_stopped, self._held = True, ""
            return held[: min(found)]
        n_kept = max(_overlap(held, stop) for stop in self._stop)
        self._held = held[len(held) - n_kept :]
        return held[: len(held) - n_kept]

    def rest(self) -> str:
        """What was held back, at the end."""
        rest, self._held = self._held, ""
        return rest


class Answer:
    """Tokens in, pieces out, until `finish` is set."""

    def __init__(
        self,
        call: Call,
        *,
        n_prompt: int,
        max_tokens: int,
        eos: Collection[int],
        decode: Callable[[int | None], str],
        constraint: Constraint | None,
    ) -> None:
        """decode: the text a token adds; None asks for what is left at the end."""
        self.finish: Finish | None = None
        self.max_tokens, self.constraint, self.n_cached = max_tokens, constraint, 0
        self._call, self._n_prompt, self._eos, self._decode = call, n_prompt, eos, decode
        self._wording = Wording(call.stop)
        self._n_written = 0
        self._text: list[str] = []  # kept only where it will be checked

    def add(self, token: int) -> Piece:
        """The piece a token makes; sets `finish` on the last. Raises InvalidAnswerError when it breaks its schema."""
        self._n_written += 1
        is_end = token in self._eos
        text = "" if is_end else self._wording.add(self._decode(token))
        grammar = self.constraint
        is_whole = grammar is not None and grammar.is_over and grammar.n_taken == self._n_written
        if is_end or is_whole or self._wording.is_stopped:
            self.finish = "stop"
        elif self._n_written >= self.max_tokens:
            self.finish = "length"
        if self.finish is not None:
            text += self._wording.add(self._decode(None)) + self._wording.rest()
        if grammar is not None:
            self._text.append(text)
        if self.finish is None:
            return Piece(text)
        if self._call.schema is not None:
            parse_answer("".join(self._text), self._call.schema)
        return self._last(text)

    def cancelled(self) -> Piece:
        """The last piece of an answer that is no longer wanted."""
        self.finish = "cancelled"
        return self._last("")

    def _last(self, text: str) -> Piece:
        usage = Usage(self._n_prompt, self._n_written, self.n_cached)
        enforced: Enforced = "none" if self.constraint is None else "grammar"
        return Piece(text, finish=self.finish, usage=usage, enforced=enforced)


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop` without being all of it."""
    for n in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:n]):
            return n
    return 0
