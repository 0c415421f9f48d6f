"""llama.cpp's C interface (by llama-cpp-python) as this program uses it: one model, its tokens, and contexts over it.

The high-level `Llama` class is not used: it ends the process on an invalid grammar, on use after close and on a second
thread, and its defaults (512 tokens, no GPU) are not ours. Here one thread owns everything and every size is explicit.
Nothing of answers, schemas or caches of prompts is here: see `gguf`. Runs in a model's process only.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import llama_cpp as ll
import numpy as np

from desktop.engines import prompting
from desktop.engines.errors import BadModelError, EngineLostError, NotAnEmbeddingModelError, OutOfMemoryError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Entry = tuple[int, int, int, bool]  # token, position, sequence, whether its logits are wanted
KV_TYPES = {16: ll.GGML_TYPE_F16, 8: ll.GGML_TYPE_Q8_0, 4: ll.GGML_TYPE_Q4_0}
POOLING = {"mean": ll.LLAMA_POOLING_TYPE_MEAN, "cls": ll.LLAMA_POOLING_TYPE_CLS, "last": ll.LLAMA_POOLING_TYPE_LAST}
_last_words: deque[str] = deque(maxlen=3)


def _tell_errors(level: int, text: bytes, _data: object) -> None:
    """Errors go to the process's output, where the parent looks when it has died; the rest nowhere."""
    if level >= 4:
        said = text.decode("utf-8", "replace")
        _last_words.append(said.strip())
        sys.stderr.write(said)


_LOG = ll.llama_log_callback(_tell_errors)  # kept: C holds no reference


class NativeModel:
    """A GGUF file in memory: its vocabulary and what it says of itself."""

    def __init__(self, path: Path) -> None:
        """Raises BadModelError."""
        ll.llama_log_set(_LOG, None)
        ll.llama_backend_init()
        params = ll.llama_model_default_params()
        params.n_gpu_layers = 999 if ll.llama_supports_gpu_offload() else 0
        params.check_tensors = True
        self._model = ll.llama_model_load_from_file(str(path).encode(), params)
        if not self._model:
            raise BadModelError(
                f"{path.name} is not a GGUF file that can be loaded.",
                hint="Download or import it again; the file may be incomplete, or newer than this llama.cpp.",
                detail=" ".join(_last_words)[-300:],
            )
        self.vocab = ll.llama_model_get_vocab(self._model)
        self.n_vocab = int(ll.llama_vocab_n_tokens(self.vocab))
        self.longest_context = int(ll.llama_model_n_ctx_train(self._model))
        self.width = int(ll.llama_model_n_embd(self._model))
        self.is_trimmable = not ll.llama_model_is_recurrent(self._model) and not ll.llama_model_is_hybrid(self._model)
        self.eos = frozenset(token for token in range(self.n_vocab) if ll.llama_vocab_is_eog(self.vocab, token))
        self.bos_text = self.piece(ll.llama_vocab_bos(self.vocab)).decode("utf-8", "replace")
        self.eos_text = self.piece(ll.llama_vocab_eos(self.vocab)).decode("utf-8", "replace")
        source = ll.llama_model_chat_template(self._model, None)
        self.template = source.decode("utf-8", "replace") if source else ""

    def controls(self) -> list[str]:
        """Texts of the tokens that steer the model, such as the end of a turn."""
        controls = (token for token in range(self.n_vocab) if ll.llama_vocab_is_control(self.vocab, token))
        return [text for token in controls if len(text := self.piece(token).decode("utf-8", "replace")) > 2]

    def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        """The tokens of a text, control tokens in it among them."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 8
        tokens = (ll.llama_token * room)()
        n = ll.llama_tokenize(self.vocab, data, len(data), tokens, room, add_special, True)
        return list(tokens[: max(0, n)])

    @functools.lru_cache(maxsize=4096)  # noqa: B019  lives as long as the process
    def piece(self, token: int) -> bytes:
        """The bytes a token stands for."""
        if token < 0:
            return b""
        buffer = ctypes.create_string_buffer(512)
        n = ll.llama_token_to_piece(self.vocab, token, buffer, len(buffer), 0, True)
        return buffer.raw[: max(0, n)]

    def context(
        self, n_tokens: int, *, n_batch: int, n_sequences: int, kv_bits: int, pooling: str | None = None
    ) -> NativeContext:
        """Room for `n_tokens` of all sequences together, evaluated at most `n_batch` at once.

        pooling  makes it one that embeds whole texts; None: one that writes
        raises   OutOfMemoryError
        """
        params = ll.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch, params.n_seq_max = n_tokens, n_batch, n_batch, n_sequences
        params.kv_unified = True
        # half of the cores: its threads wait for each other by spinning, and crawl where others need the cores too
        params.n_threads = params.n_threads_batch = max(1, (os.cpu_count() or 2) // 2)
        params.type_k = params.type_v = KV_TYPES[kv_bits]
        if kv_bits < 16:
            params.flash_attn_type = ll.LLAMA_FLASH_ATTN_TYPE_ENABLED
        params.embeddings = pooling is not None
        params.pooling_type = ll.LLAMA_POOLING_TYPE_NONE if pooling is None else POOLING[pooling]
        made = ll.llama_init_from_model(self._model, params)
        if not made:
            raise OutOfMemoryError(
                f"There is no memory for a context of {n_tokens:,} tokens.",
                hint="Load the model with a shorter context or with kv_bits 8.",
            )
        return NativeContext(made, self.n_vocab, self.width)


class NativeContext:
    """Keys and values of several sequences in one memory. Made by `NativeModel.context`."""

    def __init__(self, made: object, n_vocab: int, width: int) -> None:
        self._context, self._n_vocab, self._width = made, n_vocab, width

    @property
    def _memory(self) -> object:
        return ll.llama_get_memory(self._context)

    def evaluate(self, entries: Sequence[Entry]) -> None:
        """One step of the model over these tokens. Raises EngineLostError when llama.cpp refuses."""
        batch = ll.llama_batch_init(len(entries), 0, 1)
        try:
            batch.n_tokens = len(entries)
            for n, (token, position, sequence, is_wanted) in enumerate(entries):
                batch.token[n], batch.pos[n], batch.logits[n] = token, position, is_wanted
                batch.n_seq_id[n], batch.seq_id[n][0] = 1, sequence
            code = ll.llama_decode(self._context, batch)
        finally:
            ll.llama_batch_free(batch)
        if code:
            raise EngineLostError(
                f"llama.cpp could not evaluate {len(entries)} tokens (code {code}).", hint="Try a shorter prompt."
            )

    def logits(self, place: int) -> NDArray[np.float32]:
        """(V,) of entry `place` of the last evaluation; valid until the next. Raises BadModelError for no numbers."""
        found = np.ctypeslib.as_array(ll.llama_get_logits_ith(self._context, place), shape=(self._n_vocab,))
        prompting.check_numbers(float(found.max()))
        return found

    def vector(self) -> NDArray[np.float32]:
        """(D,) the pooled vector of sequence 0, a copy. Raises NotAnEmbeddingModelError."""
        found = ll.llama_get_embeddings_seq(self._context, 0)
        if not found:
            raise NotAnEmbeddingModelError("The model gave no vector.", hint="Choose an embedding model.")
        return np.ctypeslib.as_array(found, shape=(self._width,)).astype(np.float32)

    def forget(self, sequence: int, n_kept: int = 0) -> bool:
        """Remove a sequence's tokens from position `n_kept` on; False when the model's memory cannot be cut there."""
        return bool(ll.llama_memory_seq_rm(self._memory, sequence, n_kept, -1))

    def share(self, source: int, target: int, n_tokens: int) -> None:
        """Let another sequence hold the first tokens of this one too: no copy is made."""
        ll.llama_memory_seq_cp(self._memory, source, target, 0, n_tokens)

    def clear(self) -> None:
        """Forget every sequence. An encoder has nothing to forget."""
        if memory := self._memory:
            ll.llama_memory_clear(memory, True)

    def state(self, sequence: int) -> bytes:
        """A copy of what a sequence holds."""
        size = ll.llama_state_seq_get_size(self._context, sequence)
        state = bytearray(size)
        n_bytes = ll.llama_state_seq_get_data(self._context, _buffer(state), size, sequence)
        return bytes(state[:n_bytes])

    def restore(self, sequence: int, state: bytes) -> bool:
        """Put such a copy back into an empty sequence; False when it does not go in."""
        return bool(ll.llama_state_seq_set_data(self._context, _buffer(state), len(state), sequence))


def _buffer(data: bytes | bytearray) -> object:
    """The bytes as C sees them; not copied where they can be written."""
    kind = ctypes.c_uint8 * len(data)
    return kind.from_buffer(data) if isinstance(data, bytearray) else kind.from_buffer_copy(data)
