"""What a runtime (MLX, llama.cpp, Core ML) offers inside a model's process. All of it is called from one thread.

The exception is `memory_bytes`, which any thread may call at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Protocol

from desktop.core.errors import AppError
from desktop.core.models import Message
from desktop.engines.engine import Call, Piece

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Writing = Generator[Piece, None, None]  # yields often, with empty text where there is nothing to say yet
Tell = Callable[[int, Piece | AppError], None]


class Runtime(Protocol):
    """A loaded model. Made by its constructor from `ModelFiles` and `CacheLimits`; raises BadModelError there.

    parallel  how many calls of one batch advance together
    """

    parallel: int

    def write(self, call: Call) -> Writing:
        """Answer one call: each step does at most one token or one chunk of the prompt. Closing it stops."""

    def write_many(self, calls: Sequence[Call], tell: Tell, is_stopped: Callable[[str], bool]) -> Generator[None]:
        """Answer several: `tell(index, piece or error)` as they come. Each step does one token of each at most.

        is_stopped  whether the call of this id is no longer wanted
        """

    def embed(self, texts: Sequence[str]) -> Generator[None, None, NDArray[np.float32]]:
        """Unit vectors (N, D), one text a step."""

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the prompt these messages become."""

    def memory_bytes(self) -> int:
        """What the model holds now: weights, key/value and prompt caches, buffers."""

    def drop_caches(self, keep_bytes: int) -> int:
        """Forget prompt caches, oldest use first, until they hold at most `keep_bytes`; returns the bytes freed."""

    def limit_buffers(self, max_bytes: int) -> int:
        """Keep at most this much freed memory for reuse from now on; returns the bytes freed."""

    def tidy(self) -> bool:
        """Do one piece of work that can wait, such as saving a prompt cache; False when there is none."""
