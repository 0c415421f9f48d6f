"""Takes a model's thoughts out of its answer: the `<think>…</think>` block some models open an answer with.

Only a block at the beginning is thought; the same tags further on are part of the answer (it may be about them).
"""

from __future__ import annotations

from typing import Literal

_OPEN, _CLOSE = "<think>", "</think>"


class ThoughtFilter:
    """For text that comes in pieces: `feed` each, then `rest`; both return what may be shown."""

    def __init__(self) -> None:
        self._held = ""
        self._state: Literal["start", "inside", "after"] = "start"

    def feed(self, text: str) -> str:
        """The part of the answer that is certain now."""
        self._held += text
        if self._state == "start":
            begun = self._held.lstrip()
            if begun.startswith(_OPEN):
                self._state, self._held = "inside", begun.removeprefix(_OPEN)
            elif _OPEN.startswith(begun):
                return ""  # the tag may still come
            else:
                self._state = "after"
        if self._state == "inside":
            _, close, after = self._held.partition(_CLOSE)
            if not close:
                self._held = self._held[-len(_CLOSE) :]
                return ""
            self._state, self._held = "start", after.lstrip()
            return self.feed("") if self._held else ""
        shown, self._held = self._held, ""
        return shown

    def rest(self) -> str:
        """What was held back because a tag might have come; nothing of a thought that was never closed."""
        held, self._held = self._held, ""
        return "" if self._state == "inside" else held


def without_thoughts(text: str) -> str:
    """A whole answer without its thoughts, also where the template had opened the block in the prompt."""
    filtered = ThoughtFilter()
    shown = filtered.feed(text) + filtered.rest()
    before, close, after = shown.partition(_CLOSE)
    return after.lstrip() if close and _OPEN not in before else shown
