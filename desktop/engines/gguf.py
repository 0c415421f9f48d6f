"""GGUF models in their own process: llama.cpp (`llama`) behind the `Runtime` protocol.

Grammars are masks over the logits. Sequence 0 holds the last single call, those above it a batch; they share one
memory, so that a batched answer equals the single one up to the rounding of sums. Runs in a model's process only.
"""

from __future__ import annotations

import codecs
import functools
import os
from collections.abc import Callable, Generator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import llguidance.llamacpp
import numpy as np

from desktop.core.errors import AppError
from desktop.core.models import Message
from desktop.engines import prompting
from desktop.engines.answering import Answer
from desktop.engines.constraint import Constraint, Vocabulary
from desktop.engines.engine import Call, ModelFiles, Piece
from desktop.engines.errors import BadModelError, NotAnEmbeddingModelError
from desktop.engines.footprint import this_machine
from desktop.engines.gguf_batch import Batch, Item
from desktop.engines.gguf_template import compile_template
from desktop.engines.llama import KV_TYPES, NativeContext, NativeModel
from desktop.engines.prefix_cache import PrefixCache, common
from desktop.engines.protocol import CacheLimits
from desktop.engines.runtime import Tell, Writing
from desktop.engines.sampling import Sampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHUNK = 512  # tokens of a prompt evaluated at once: a stop waits for one of them
_TOGETHER = 8  # sequences that advance together in a batch
_WORTH_KEEPING = 64  # tokens whose computation is worth a copy of their state


class GgufRuntime:
    """A GGUF model that is loaded."""

    def __init__(self, files: ModelFiles, limits: CacheLimits) -> None:
        if files.kv_bits not in KV_TYPES:
            raise ValueError(f"kv_bits must be 4, 8 or 16, not {files.kv_bits}")
        self._before_bytes = _footprint_bytes()
        self._files = files
        self._model = model = NativeModel(files.path)
        prompting.check_context(files.context_tokens, model.longest_context)
        self._specials = model.controls()
        source = model.template
        self._template = compile_template(source, model.bos_text, model.eos_text) if source else prompting.plain
        key = prompting.fingerprint([files.path], files.id, source, str(files.kv_bits), version("llama-cpp-python"))
        self._prefixes: PrefixCache[bytes] = PrefixCache(_Codec(model.is_trimmable), key, limits)
        self._live: list[int] = []  # tokens whose keys and values are in sequence 0
        self._is_live_kept = True  # whether the prompt cache has them already
        self._n_exact = 0  # of them, those that were computed as any prompt that begins so computes them
        self._batch: Batch | None = None
        self.parallel = _TOGETHER if model.is_trimmable else 1
        if not files.pooling:
            self._encode(prompting.PROBE)
            self._context.evaluate([(min(model.eos, default=0), 0, 0, True)])  # warms up; Metal frees what it wires
            self._context.logits(0)
            self._forget_live()
        else:
            self._embedder  # noqa: B018  made now, so that a load fails here

    # ---- single calls

    def write(self, call: Call) -> Writing:
        """Answer one call; each step is one token or one chunk of the prompt."""
        tokens = self._encode(call.messages)
        max_tokens = prompting.room(len(tokens), call.max_tokens, self._files.context_tokens)
        answer, sampler = self._answer(call, len(tokens), max_tokens), Sampler(call)
        if self._batch is not None:
            self._batch.shrink(self._files.context_tokens - len(tokens) - max_tokens)
        answer.n_cached = n_done = self._begin(tokens)
        self._n_exact = (
            prompting.whole_steps(len(tokens) - 1) if self._model.is_trimmable else self._files.context_tokens
        )
        while chunk := prompting.chunk(tokens, n_done, _CHUNK):
            n_done += len(chunk)
            self._extend(chunk, is_last=False)
            yield Piece("")
        self._extend(tokens[-1:], is_last=True)  # alone, as after a cached beginning: the same rounding and tokens
        while True:
            token = self._choose(answer, sampler, -1)
            yield answer.add(token)
            if answer.finish:
                return
            self._extend([token], is_last=True)

    def _begin(self, tokens: list[int]) -> int:
        """Bring sequence 0 to the longest known beginning of these tokens; returns its length: never all of them."""
        wanted, live = np.array(tokens[:-1], np.int32), np.array(self._live, np.int32)
        n_live = self._exact(min(common(live, wanted), self._n_exact))
        found = self._prefixes.find(wanted)
        if found is not None and self._exact(found[2]) >= n_live + _WORTH_KEEPING:
            state, n_tokens, n_same = found
            self._keep_live()
            self._forget_live()
            if self._context.restore(0, state):  # a shorter context, or a batch beside it, may leave no room
                self._live = [*tokens[:n_same], *([-1] * (n_tokens - n_same))]
                self._n_exact, self._is_live_kept = n_tokens, True
                return self._trim(self._exact(n_same))
            self._forget_live()
            return 0
        if len(self._live) - n_live >= _WORTH_KEEPING:
            self._keep_live()
        return self._trim(n_live)

    def _exact(self, n_tokens: int) -> int:
        """How many of so many known tokens serve; a state that cannot be cut serves whole."""
        return prompting.whole_steps(n_tokens) if self._model.is_trimmable else n_tokens

    def _trim(self, n_tokens: int) -> int:
        """Cut sequence 0 to its first tokens; to none where the model's memory cannot be cut. Returns what is left."""
        if n_tokens < len(self._live) and not self._context.forget(0, n_tokens):
            self._context.forget(0)
            n_tokens = 0
        del self._live[n_tokens:]
        return n_tokens

    def _forget_live(self) -> None:
        self._live = []
        if self._batch is None:
            self._context.clear()  # what comes next begins at the first cell: where it lies decides how sums round
        else:
            self._context.forget(0)

    def _extend(self, tokens: list[int], *, is_last: bool) -> None:
        n_before = len(self._live)
        self._context.evaluate(
            [(token, n_before + n, 0, is_last and n == len(tokens) - 1) for n, token in enumerate(tokens)]
        )
        self._live += tokens
        self._is_live_kept = False

    def _keep_live(self) -> None:
        """Copy the state of sequence 0 into the prompt cache."""
        if not self._is_live_kept and len(self._live) >= _WORTH_KEEPING:
            self._is_live_kept = True
            if self._trim(self._exact(min(len(self._live), self._n_exact))):
                state = self._context.state(0)
                self._prefixes.put(np.array(self._live, np.int32), state, len(state))

    # ---- batches

    def write_many(self, calls: Sequence[Call], tell: Tell, is_stopped: Callable[[str], bool]) -> Generator[None]:
        """Answer several together: their common beginning is computed once and shared, the rest is each its own."""
        items: list[Item] = []
        for index, call in enumerate(calls):
            try:
                tokens = self._encode(call.messages)
                max_tokens = prompting.room(len(tokens), call.max_tokens, self._files.context_tokens)
                items.append(Item(index, call.id, tokens, self._answer(call, len(tokens), max_tokens), Sampler(call)))
            except AppError as error:
                tell(index, error)
            yield
        if not items:
            return
        n_same = yield from self._compute_common([item.tokens for item in items])
        n_cells = self._files.context_tokens
        self._batch = batch = Batch(
            self._context,
            items,
            n_same,
            n_together=self.parallel,
            n_cells=n_cells,
            n_chunk=_CHUNK,
            choose=self._choose,
        )
        self._forget_live()
        try:
            while not batch.is_over:
                if self._live and batch.wants_more_than(n_cells - len(self._live)):  # a single call came in between
                    self._keep_live()
                    self._forget_live()
                batch.stop(is_stopped, tell)
                batch.advance(tell)
                yield
        finally:
            self._keep_live()
            self._batch = None
            self._forget_live()

    def _compute_common(self, prompts: list[list[int]]) -> Generator[None, None, int]:
        """Leave in sequence 0 what all prompts begin with, computed; returns its length."""
        first = np.array(prompts[0], np.int32)
        n_same = min(common(first, np.array(other, np.int32)) for other in prompts)
        n_same = min(n_same, *(len(other) - 1 for other in prompts))
        n_same = prompting.whole_steps(n_same)
        self._keep_live()
        while (n_done := self._begin(prompts[0][: n_same + 1])) < n_same:  # anew each time: a single call may come
            self._extend(prompts[0][n_done : min(n_done + _CHUNK, n_same)], is_last=False)
            self._n_exact = len(self._live)
            yield
        self._keep_live()
        return n_same

    # ---- the rest

    def embed(self, texts: Sequence[str]) -> Generator[None, None, NDArray[np.float32]]:
        """Unit vectors (N, D), pooled by llama.cpp as the model's card says."""
        if not self._files.pooling:
            raise NotAnEmbeddingModelError(
                f"{self._files.id} gives no embeddings.", hint="Choose an embedding model from the catalogue."
            )
        rows = []
        for text in texts:
            tokens = self._model.tokenize(text, add_special=True) or [min(self._model.eos, default=0)]
            prompting.room(len(tokens) - 1, 1, self._files.context_tokens)
            self._embedder.clear()
            self._embedder.evaluate([(token, n, 0, True) for n, token in enumerate(tokens)])
            rows.append(prompting.unit(self._embedder.vector()))
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
        tokenizer = llguidance.llamacpp.lltokenizer_from_vocab(self._model.vocab, eos_token=sorted(self._model.eos))
        return Vocabulary(tokenizer, self._model.n_vocab)

    @functools.cached_property
    def _context(self) -> NativeContext:
        """Where answers are written."""
        return self._model.context(
            self._files.context_tokens,
            n_batch=_CHUNK + _TOGETHER,
            n_sequences=self.parallel + 2,
            kv_bits=self._files.kv_bits,
        )

    @functools.cached_property
    def _embedder(self) -> NativeContext:
        """Where texts are embedded: a whole text in one batch, as encoders need it."""
        n_tokens = self._files.context_tokens
        return self._model.context(
            n_tokens, n_batch=n_tokens, n_sequences=1, kv_bits=self._files.kv_bits, pooling=self._files.pooling
        )

    def _choose(self, answer: Answer, sampler: Sampler, place: int) -> int:
        """The next token of an answer, from the logits of entry `place` of the last evaluation."""
        logits = self._context.logits(place)
        if answer.constraint is None:
            return sampler.choose(logits)
        token = sampler.choose(np.where(answer.constraint.allowed(), logits, -np.inf))
        answer.constraint.take(token)
        return token

    def _answer(self, call: Call, n_prompt: int, max_tokens: int) -> Answer:
        decoder, piece = codecs.getincrementaldecoder("utf-8")("replace"), self._model.piece

        def decode(token: int | None) -> str:
            return decoder.decode(b"", final=True) if token is None else decoder.decode(piece(token))

        constraint = Constraint(self._vocabulary, call.schema, max_tokens) if call.schema is not None else None
        return Answer(
            call, n_prompt=n_prompt, max_tokens=max_tokens, eos=self._model.eos, decode=decode, constraint=constraint
        )

    def _encode(self, messages: Sequence[Message]) -> list[int]:
        """The prompt's tokens; at least one."""
        text = prompting.render(self._template, messages, self._specials)
        bos = self._model.bos_text
        tokens = self._model.tokenize(text, add_special=not (bos and text.startswith(bos)))
        if not tokens:
            raise BadModelError("The model's template makes an empty prompt.", hint="Import the model with a template.")
        return tokens


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
