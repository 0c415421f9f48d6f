"""What both runtimes do with a request before a model sees it: the chat template, the limits, the cache key."""

from __future__ import annotations

import contextlib
import hashlib
import math
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from desktop.core.models import Message
from desktop.engines.errors import BadModelError, ContextTooLongError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Turns = list[dict[str, str]]
PROBE = (Message("user", "?"),)
STEP = 64  # tokens: see `whole_steps`; llama.cpp's attention works on fewer rows in another way
_TEMPLATE_S = 5.0  # a template that takes longer is broken or means harm
_TEMPLATE_BYTES = 512 * 1024**2  # what it may take while it runs
_TEMPLATE_CHARACTERS = 1_000_000  # what it may add to the messages


def render(template: Callable[[Turns], str], messages: Sequence[Message], specials: Iterable[str] = ()) -> str:
    """The prompt in the model's own template. Raises BadModelError when the template fails.

    A template that knows no system turn gets the system text at the head of the first user turn.

    specials  texts of the model's control tokens: where a message holds one, it is broken with a space, so that no
              document can end its own turn and begin another
    """
    marks = [mark for mark in specials if any(mark in message.content for message in messages)]
    turns: Turns = [{"role": message.role, "content": _broken(message.content, marks)} for message in messages]
    try:
        with _bounded():
            text = template(turns)
        if len(text) > _TEMPLATE_CHARACTERS + 4 * sum(len(turn["content"]) for turn in turns):
            raise ValueError("it makes far too much of a message")
        return text
    except Exception as error:
        if turns and turns[0]["role"] == "system" and not isinstance(error, TimeoutError | MemoryError):
            n_merged = 2 if len(turns) > 1 and turns[1]["role"] == "user" else 1
            first = "\n\n".join(turn["content"] for turn in turns[:n_merged])
            return render(template, [Message("user", first), *messages[n_merged:]])
        raise BadModelError(
            f"The model's chat template fails: {str(error) or type(error).__name__}"[:300],
            hint="Import the model again with a template that fits it.",
        ) from error


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """Ends foreign template code that runs for too long (TimeoutError) or takes too much memory (MemoryError).

    For the main thread; memory is bounded on Linux only.
    """
    import resource

    def stop(*_: object) -> None:
        raise TimeoutError(f"it does not end within {_TEMPLATE_S:g} s")

    limits = resource.getrlimit(resource.RLIMIT_DATA)
    if sys.platform == "linux":
        taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5]) * resource.getpagesize()
        most = taken + _TEMPLATE_BYTES
        if limits[1] == resource.RLIM_INFINITY or most < limits[1]:
            resource.setrlimit(resource.RLIMIT_DATA, (most, limits[1]))
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, _TEMPLATE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_DATA, limits)


def _broken(text: str, marks: Sequence[str]) -> str:
    for mark in marks:
        text = text.replace(mark, f"{mark[0]} {mark[1:]}")
    return text


def plain(turns: Turns) -> str:
    """For a model without a template: the texts, a line between them."""
    return "\n".join(turn["content"] for turn in turns) + "\n"


def room(n_prompt: int, max_tokens: int, context_tokens: int) -> int:
    """Tokens the answer may take: at least one. Raises ContextTooLongError when the prompt leaves none."""
    if n_prompt >= context_tokens:
        raise ContextTooLongError(
            f"The prompt has {n_prompt:,} tokens and this model was loaded for {context_tokens:,}.",
            hint="Shorten it, or load the model with a longer context.",
            tokens=n_prompt,
            context_tokens=context_tokens,
        )
    return max(1, min(max_tokens, context_tokens - n_prompt))


def unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vector (D,) at length one. Raises BadModelError when it holds what is no number."""
    import numpy as np

    length = float(np.linalg.norm(vector))
    check_numbers(length)
    return vector / np.float32(max(length, 1e-12))


def check_numbers(value: float) -> None:
    """Raises BadModelError when what a model computed is no number: its weights are damaged."""
    if not math.isfinite(value):
        raise BadModelError(
            "The model's weights are damaged: what it computes are no numbers.",
            hint="Delete the model and download or import it again.",
        )


def whole_steps(n_tokens: int) -> int:
    """How many of the first tokens of a prompt are computed in a way that does not depend on what follows them.

    How many rows are multiplied at once decides how their sums are rounded. So a prompt is evaluated in multiples of
    `STEP` tokens, then the rest, then its last token alone; a known beginning is used up to such a multiple, and the
    tokens chosen after it are those that a prompt computed anew would get.
    """
    return n_tokens // STEP * STEP


def chunk(tokens: list[int], n_done: int, most: int) -> list[int]:
    """The tokens to evaluate next, the last of the prompt left out; empty when only that is left."""
    n_rest = len(tokens) - 1
    end = min(n_done + most, whole_steps(n_rest))
    return tokens[n_done : end if end > n_done else n_rest]


def check_context(asked: int, longest: int | None) -> None:
    """Raises ContextTooLongError when a load asks for more than the model was made for."""
    if asked < 1 or (longest and asked > longest):
        raise ContextTooLongError(
            f"A context of {asked:,} tokens was asked for; this model has at most {longest or 0:,}.",
            hint="Load it with a shorter context.",
            tokens=asked,
            context_tokens=longest or 0,
        )


def fingerprint(files: Sequence[Path], *parts: str) -> str:
    """Stands for weights and settings: names, sizes, times and ends of the files, and the parts."""
    digest = hashlib.sha256()
    for path in sorted(files):
        facts = path.stat()
        digest.update(f"{path.name} {facts.st_size} {facts.st_mtime_ns}\n".encode())
        with path.open("rb") as file:
            digest.update(file.read(1 << 16))
            file.seek(max(0, facts.st_size - (1 << 16)))
            digest.update(file.read())
    for part in parts:
        digest.update(f"{part}\0".encode())
    return digest.hexdigest()[:32]
