"""GGUF models in their own process: llama.cpp's C interface (by llama-cpp-python) behind the `Runtime` protocol.

The high-level `Llama` class is not used: it ends the process on an invalid grammar, on use after close and on a second
thread, and its defaults (512 tokens, no GPU) are not ours. Here one thread owns everything, every size is explicit, and
grammars are masks over the logits. Sequence 0 holds the last single call, sequences 1 to 8 a batch; they share one
cache, so that a batched answer equals the single one up to the rounding of sums. Runs in a model's process only.
"""

from __future__ import annotations

import codecs
import ctypes
import functools
import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import llama_cpp as ll
import llguidance.llamacpp
import numpy as np

from desktop.core.errors import AppError
from desktop.core.models import Message
from desktop.engines import prompting
from desktop.engines.answering import Answer
from desktop.engines.constraint import Constraint, Vocabulary
from desktop.engines.engine import Call, ModelFiles, Piece
from desktop.engines.errors import BadModelError, EngineLostError, NotAnEmbeddingModelError, OutOfMemoryError
from desktop.engines.footprint import this_machine
from desktop.engines.gguf_template import compile_template
from desktop.engines.prefix_cache import PrefixCache, common
from desktop.engines.protocol import CacheLimits
from desktop.engines.runtime import Tell, Writing
from desktop.engines.sampling import Sampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHUNK = 512  # tokens of a prompt evaluated at once: a stop waits for one of them
_TOGETHER = 8  # sequences that advance together in a batch
_WORTH_KEEPING = 64  # tokens whose computation is worth a copy of their state
_KV_TYPES = {16: ll.GGML_TYPE_F16, 8: ll.GGML_TYPE_Q8_0, 4: ll.GGML_TYPE_Q4_0}
_POOLING = {"mean": ll.LLAMA_POOLING_TYPE_MEAN, "cls": ll.LLAMA_POOLING_TYPE_CLS, "last": ll.LLAMA_POOLING_TYPE_LAST}


def _tell_errors(level: int, text: bytes, _data: object) -> None:
    """Errors go to the process's output, where the parent looks when it has died; the rest nowhere."""
    if level >= 4:
        sys.stderr.write(text.decode("utf-8", "replace"))


_LOG = ll.llama_log_callback(_tell_errors)  # kept: C holds no reference


class GgufRuntime:
    """A GGUF model that is loaded."""

    def __init__(self, files: ModelFiles, limits: CacheLimits) -> None:
        if files.kv_bits not in _KV_TYPES:
            raise ValueError(f"kv_bits must be 4, 8 or 16, not {files.kv_bits}")
        self._before_bytes = _footprint_bytes()
        ll.llama_log_set(_LOG, None)
        ll.llama_backend_init()
        params = ll.llama_model_default_params()
        params.n_gpu_layers = 999 if ll.llama_supports_gpu_offload() else 0
        params.check_tensors = True
        self._files = files
        self._model = ll.llama_model_load_from_file(str(files.path).encode(), params)
        if not self._model:
            raise BadModelError(
                f"{files.path.name} is not a GGUF file that can be loaded.",
                hint="Download or import it again; the file may be incomplete, or newer than this llama.cpp.",
            )
        prompting.check_context(files.context_tokens, ll.llama_model_n_ctx_train(self._model))
        self._vocab = ll.llama_model_get_vocab(self._model)
        self._n_vocab = int(ll.llama_vocab_n_tokens(self._vocab))
        self._eos = frozenset(token for token in range(self._n_vocab) if ll.llama_vocab_is_eog(self._vocab, token))
        controls = (token for token in range(self._n_vocab) if ll.llama_vocab_is_control(self._vocab, token))
        self._specials = [text for token in controls if len(text := self._piece(token).decode("utf-8", "replace")) > 2]
        source = ll.llama_model_chat_template(self._model, None)
        self._bos = self._piece(ll.llama_vocab_bos(self._vocab)).decode("utf-8", "replace")
        eos = self._piece(ll.llama_vocab_eos(self._vocab)).decode("utf-8", "replace")
        self._template = compile_template(source.decode("utf-8"), self._bos, eos) if source else prompting.plain
        is_trimmable = not ll.llama_model_is_recurrent(self._model) and not ll.llama_model_is_hybrid(self._model)
        key = prompting.fingerprint(
            [files.path], files.id, str(source), str(files.kv_bits), version("llama-cpp-python")
        )
        self._prefixes: PrefixCache[bytes] = PrefixCache(_Codec(is_trimmable), key, limits)
        self._live: list[int] = []  # tokens whose keys and values are in sequence 0
        self._is_live_kept = True  # whether the prompt cache has them already
        self.parallel = _TOGETHER if is_trimmable else 1
        if not files.pooling:
            self._encode(prompting.PROBE)
            self._decode([(min(self._eos, default=0), 0, 0, True)])  # warms up, and lets Metal free what it wires
            self._forget(0, 0)
        else:
            self._embedder  # noqa: B018  made now, so that a load fails here

    # ---- single calls

    def write(self, call: Call) -> Writing:
        """Answer one call; each step is one token or one chunk of the prompt."""
        tokens = self._encode(call.messages)
        max_tokens = prompting.room(len(tokens), call.max_tokens, self._files.context_tokens)
        answer, sampler = self._answer(call, len(tokens), max_tokens), Sampler(call)
        answer.n_cached = n_done = self._begin(tokens)
        while n_done < len(tokens) - 1:
            chunk = tokens[n_done : min(n_done + _CHUNK, len(tokens) - 1)]
            n_done += len(chunk)
            self._extend(chunk, is_last=False)
            yield Piece("")
        self._extend(
            tokens[-1:], is_last=True
        )  # alone, as after a cached beginning: the same rounding, the same tokens
        while True:
            token = self._choose(answer, sampler, -1)
            yield answer.add(token)
            if answer.finish:
                return
            self._extend([token], is_last=True)

    def _begin(self, tokens: list[int]) -> int:
        """Bring sequence 0 to the longest known beginning of these tokens; returns its length: never all of them."""
        wanted, live = np.array(tokens[:-1], np.int32), np.array(self._live, np.int32)
        n_live = common(live, wanted)
        found = self._prefixes.find(wanted)
        if found is not None and found[2] >= n_live + _WORTH_KEEPING:
            state, n_tokens, n_same = found
            self._keep_live()
            self._forget(0, 0)
            if ll.llama_state_seq_set_data(self._context, _buffer(state), len(state), 0):
                self._live = [*tokens[:n_same], *([-1] * (n_tokens - n_same))]
                self._is_live_kept = True
                return self._trim(n_same)
            self._forget(0, 0)
            return 0
        if len(self._live) - n_live >= _WORTH_KEEPING:
            self._keep_live()
        return self._trim(n_live)

    def _trim(self, n_tokens: int) -> int:
        """Cut sequence 0 to its first tokens; to none where the model's memory cannot be cut. Returns what is left."""
        if n_tokens < len(self._live) and not self._forget(0, n_tokens):
            self._forget(0, 0)
            n_tokens = 0
        del self._live[n_tokens:]
        return n_tokens

    def _extend(self, tokens: list[int], *, is_last: bool) -> None:
        n_before = len(self._live)
        entries = [(token, n_before + n, 0, is_last and n == len(tokens) - 1) for n, token in enumerate(tokens)]
        self._decode(entries)
        self._live += tokens
        self._is_live_kept = False

    def _keep_live(self) -> None:
        """Copy the state of sequence 0 into the prompt cache."""
        if self._is_live_kept or len(self._live) < _WORTH_KEEPING:
            return
        self._is_live_kept = True
        size = ll.llama_state_seq_get_size(self._context, 0)
        state = bytearray(size)
        n_bytes = ll.llama_state_seq_get_data(self._context, _buffer(state), size, 0)
        self._prefixes.put(np.array(self._live, np.int32), bytes(state[:n_bytes]), n_bytes)

    # ---- batches

    def write_many(self, calls: Sequence[Call], tell: Tell, is_stopped: Callable[[str], bool]) -> Generator[None]:
        """Answer several together: their common beginning is computed once and shared, the rest is each its own."""
        waiting: deque[_Item] = deque()
        for index, call in enumerate(calls):
            try:
                tokens = self._encode(call.messages)
                max_tokens = prompting.room(len(tokens), call.max_tokens, self._files.context_tokens)
                waiting.append(
                    _Item(index, call.id, tokens, self._answer(call, len(tokens), max_tokens), Sampler(call))
                )
            except AppError as error:
                tell(index, error)
            yield
        if not waiting:
            return
        n_same = yield from self._begin_common([item.tokens for item in waiting])
        running: list[_Item] = []
        free = list(range(self.parallel, 0, -1))
        try:
            while waiting or running:
                for item in [item for item in (*waiting, *running) if is_stopped(item.call_id)]:
                    tell(item.index, item.answer.cancelled())
                while waiting and free and (waiting[0].answer.finish or self._fits(waiting[0], running, n_same)):
                    item = waiting.popleft()
                    if item.answer.finish is None:
                        item.enter(free.pop(), n_same)
                        if n_same:
                            ll.llama_memory_seq_cp(self._memory, 0, item.sequence, 0, n_same)
                        running.append(item)
                self._advance([item for item in running if item.answer.finish is None], tell)
                for item in [item for item in running if item.answer.finish]:
                    running.remove(item)
                    self._forget(item.sequence, 0)
                    free.append(item.sequence)
                yield
        finally:
            for item in running:
                self._forget(item.sequence, 0)

    def _begin_common(self, prompts: list[list[int]]) -> Generator[None, None, int]:
        """Leave in sequence 0 what all prompts begin with, computed; returns its length."""
        first = np.array(prompts[0], np.int32)
        n_same = min(common(first, np.array(other, np.int32)) for other in prompts)
        n_same = min(n_same, *(len(other) - 1 for other in prompts))
        if self._live:
            self._keep_live()
        n_done = self._begin(prompts[0][: n_same + 1])
        while n_done < n_same:
            chunk = prompts[0][n_done : min(n_done + _CHUNK, n_same)]
            self._extend(chunk, is_last=False)
            n_done += len(chunk)
            yield
        return n_same

    def _fits(self, item: _Item, running: Iterable[_Item], n_same: int) -> bool:
        """Whether the context has cells for all that this item may still become, beside those that run."""
        held = sum(other.longest - n_same for other in running)
        return n_same + held + item.longest - n_same <= self._files.context_tokens

    def _advance(self, items: list[_Item], tell: Tell) -> None:
        """One evaluation: the next token of each that writes, and a share of the prompts of those that begin."""
        entries: list[tuple[int, int, int, bool]] = []
        asks: list[tuple[_Item, int]] = []
        room = _CHUNK
        for item in items:
            part = item.tokens[item.n_done : item.n_done + max(1, room)]
            is_last = item.n_done + len(part) == len(item.tokens)
            for n, token in enumerate(part):
                entries.append((token, item.n_done + n, item.sequence, is_last and n == len(part) - 1))
            item.n_done += len(part)
            room -= len(part)
            if is_last:
                asks.append((item, len(entries) - 1))
        if entries:
            self._decode(entries)
        for item, place in asks:
            try:
                token = self._choose(item.answer, item.sampler, place)
                piece = item.answer.add(token)
                item.tokens = [*item.tokens, token]
                tell(item.index, piece)
            except AppError as error:
                item.answer.finish = "stop"
                tell(item.index, error)

    # ---- the rest

    def embed(self, texts: Sequence[str]) -> Generator[None, None, NDArray[np.float32]]:
        """Unit vectors (N, D), pooled by llama.cpp as the model's card says."""
        if not self._files.pooling:
            raise NotAnEmbeddingModelError(
                f"{self._files.id} gives no embeddings.", hint="Choose an embedding model from the catalogue."
            )
        n_embd = ll.llama_model_n_embd(self._model)
        rows = []
        for text in texts:
            tokens = self._tokenize(text, add_special=True) or [min(self._eos, default=0)]
            prompting.room(len(tokens) - 1, 1, self._files.context_tokens)
            memory = ll.llama_get_memory(self._embedder)
            if memory:
                ll.llama_memory_clear(memory, True)
            self._decode([(token, n, 0, True) for n, token in enumerate(tokens)], self._embedder)
            found = ll.llama_get_embeddings_seq(self._embedder, 0)
            if not found:
                raise NotAnEmbeddingModelError("The model gave no vector.", hint="Choose an embedding model.")
            row = np.ctypeslib.as_array(found, shape=(n_embd,)).astype(np.float32)
            rows.append(row / max(float(np.linalg.norm(row)), 1e-12))
            yield
        return np.stack(rows) if rows else np.zeros((0, 0), np.float32)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the prompt these messages become."""
        return len(self._encode(messages))

    def memory_bytes(self) -> int:
        """What the process has grown by since before the load."""
        return max(0, _footprint_bytes() - self._before_bytes)

    def drop_caches(self, keep_bytes: int) -> int:
        """Prompt caches, least recently used first. The context itself stays: it was paid for at the load."""
        return self._prefixes.keep(keep_bytes)

    def limit_buffers(self, max_bytes: int) -> int:
        """llama.cpp keeps no pool of freed buffers."""
        return 0

    def tidy(self) -> bool:
        """Copy the live state into the prompt cache, then save one prompt cache to disk."""
        if not self._is_live_kept and len(self._live) >= _WORTH_KEEPING:
            self._keep_live()
            return True
        return self._prefixes.save_one()

    @functools.cached_property
    def _vocabulary(self) -> Vocabulary:
        tokenizer = llguidance.llamacpp.lltokenizer_from_vocab(self._vocab, eos_token=sorted(self._eos))
        return Vocabulary(tokenizer, self._n_vocab)

    @functools.cached_property
    def _context(self) -> object:
        """Where answers are written."""
        return self._new_context(n_batch=_CHUNK + _TOGETHER, is_embedding=False)

    @functools.cached_property
    def _embedder(self) -> object:
        """Where texts are embedded: a whole text in one batch, as encoders need it."""
        return self._new_context(n_batch=self._files.context_tokens, is_embedding=True)

    def _new_context(self, *, n_batch: int, is_embedding: bool) -> object:
        params = ll.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = self._files.context_tokens, n_batch, n_batch
        params.n_seq_max = 1 if is_embedding else self.parallel + 1
        params.kv_unified = True
        # half of the cores: its threads wait for each other by spinning, and crawl where others need the cores too
        params.n_threads = params.n_threads_batch = max(1, (os.cpu_count() or 2) // 2)
        params.type_k = params.type_v = _KV_TYPES[self._files.kv_bits]
        if self._files.kv_bits < 16:
            params.flash_attn_type = ll.LLAMA_FLASH_ATTN_TYPE_ENABLED
        params.embeddings = is_embedding
        params.pooling_type = _POOLING[self._files.pooling] if is_embedding else ll.LLAMA_POOLING_TYPE_NONE
        context = ll.llama_init_from_model(self._model, params)
        if not context:
            raise OutOfMemoryError(
                f"There is no memory for a context of {self._files.context_tokens:,} tokens.",
                hint="Load the model with a shorter context or with kv_bits 8.",
            )
        return context

    @property
    def _memory(self) -> object:
        return ll.llama_get_memory(self._context)

    def _forget(self, sequence: int, n_kept: int) -> bool:
        """Remove a sequence's tokens from position `n_kept` on; False when the model's memory cannot be cut there."""
        if sequence == 0 and n_kept == 0:
            self._live = []
        return bool(ll.llama_memory_seq_rm(self._memory, sequence, n_kept, -1))

    def _decode(self, entries: Sequence[tuple[int, int, int, bool]], context: object = None) -> None:
        """Evaluate (token, position, sequence, whether its logits are wanted). Raises when llama.cpp refuses."""
        batch = ll.llama_batch_init(len(entries), 0, 1)
        try:
            batch.n_tokens = len(entries)
            for n, (token, position, sequence, is_wanted) in enumerate(entries):
                batch.token[n], batch.pos[n], batch.logits[n] = token, position, is_wanted
                batch.n_seq_id[n], batch.seq_id[n][0] = 1, sequence
            code = ll.llama_decode(context or self._context, batch)
        finally:
            ll.llama_batch_free(batch)
        if code:
            raise EngineLostError(
                f"llama.cpp could not evaluate {len(entries)} tokens (code {code}).", hint="Try a shorter prompt."
            )

    def _choose(self, answer: Answer, sampler: Sampler, place: int) -> int:
        """The next token of an answer, from the logits of entry `place` of the last evaluation."""
        found = ll.llama_get_logits_ith(self._context, place)
        logits = np.ctypeslib.as_array(found, shape=(self._n_vocab,))
        if answer.constraint is None:
            return sampler.choose(logits)
        token = sampler.choose(np.where(answer.constraint.allowed(), logits, -np.inf))
        answer.constraint.take(token)
        return token

    def _answer(self, call: Call, n_prompt: int, max_tokens: int) -> Answer:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")

        def decode(token: int | None) -> str:
            return decoder.decode(b"", final=True) if token is None else decoder.decode(self._piece(token))

        constraint = Constraint(self._vocabulary, call.schema, max_tokens) if call.schema is not None else None
        return Answer(
            call, n_prompt=n_prompt, max_tokens=max_tokens, eos=self._eos, decode=decode, constraint=constraint
        )

    def _encode(self, messages: Sequence[Message]) -> list[int]:
        """The prompt's tokens; at least one."""
        text = prompting.render(self._template, messages, self._specials)
        tokens = self._tokenize(text, add_special=not (self._bos and text.startswith(self._bos)))
        if not tokens:
            raise BadModelError("The model's template makes an empty prompt.", hint="Import the model with a template.")
        return tokens

    def _tokenize(self, text: str, *, add_special: bool) -> list[int]:
        data = text.encode("utf-8", "replace")
        room = len(data) + 8
        tokens = (ll.llama_token * room)()
        n = ll.llama_tokenize(self._vocab, data, len(data), tokens, room, add_special, True)
        return list(tokens[: max(0, n)])

    @functools.lru_cache(maxsize=4096)  # noqa: B019  lives as long as the process
    def _piece(self, token: int) -> bytes:
        if token < 0:
            return b""
        buffer = ctypes.create_string_buffer(512)
        n = ll.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, True)
        return buffer.raw[: max(0, n)]


class _Item:
    """One call of a batch. `tokens` are the prompt and what has been written; `n_done` of them are evaluated."""

    def __init__(self, index: int, call_id: str, tokens: list[int], answer: Answer, sampler: Sampler) -> None:
        self.index, self.call_id, self.tokens, self.answer, self.sampler = index, call_id, tokens, answer, sampler
        self.longest = len(tokens) + answer.max_tokens
        self.sequence, self.n_done = -1, 0

    def enter(self, sequence: int, n_same: int) -> None:
        """Begin in a sequence that holds the first tokens already."""
        self.sequence, self.n_done, self.answer.n_cached = sequence, n_same, n_same


class _Codec:
    """llama.cpp's own bytes, as they are."""

    def __init__(self, is_trimmable: bool) -> None:
        self._is_trimmable = is_trimmable

    def save(self, state: bytes, path: Path) -> None:
        path.write_bytes(state)

    def load(self, path: Path) -> tuple[bytes, int]:
        state = path.read_bytes()
        return state, len(state)

    def is_trimmable(self, state: bytes) -> bool:
        return self._is_trimmable


def _footprint_bytes() -> int:
    return this_machine().footprint_bytes(os.getpid())


def _buffer(data: bytes | bytearray) -> object:
    """The bytes as C sees them; not copied where they can be written."""
    kind = ctypes.c_uint8 * len(data)
    return kind.from_buffer(data) if isinstance(data, bytearray) else kind.from_buffer_copy(data)
