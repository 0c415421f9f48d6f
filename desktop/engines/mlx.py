"""MLX models in their own process: mlx-lm's `generate_step` and `BatchGenerator` behind the `Runtime` protocol.

Never raises the wired limit (it panics Macs under two streams), never calls the network, never runs code of a model's
folder. One thread creates, evaluates and frees every array. Runs in a model's process only.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Generator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import llguidance
import llguidance.hf
import mlx.core as mx
import numpy as np
from mlx.utils import tree_map
from mlx_lm.generate import BatchGenerator, generate_step, maybe_quantize_kv_cache
from mlx_lm.models import cache as caches
from mlx_lm.sample_utils import apply_top_p
from mlx_lm.utils import load

from desktop.core.errors import AppError
from desktop.core.models import Message
from desktop.engines import prompting
from desktop.engines.answering import Answer
from desktop.engines.constraint import Constraint, Vocabulary
from desktop.engines.engine import Call, ModelFiles, Piece
from desktop.engines.errors import BadModelError, NotAnEmbeddingModelError
from desktop.engines.prefix_cache import PrefixCache, common
from desktop.engines.protocol import CacheLimits
from desktop.engines.runtime import Tell, Writing
from desktop.engines.sampling import seed_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

State = list[Any]  # one key/value cache a layer
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "tekken.json", "tiktoken.model", "qwen.tiktoken")
_CHUNK = 512  # tokens of a prompt evaluated at once: a stop waits for one of them
_TOGETHER = 8  # sequences that advance together in a batch


class MlxRuntime:
    """An MLX model that is loaded."""

    def __init__(self, files: ModelFiles, limits: CacheLimits) -> None:
        if files.kv_bits not in (4, 8, 16):
            raise ValueError(f"kv_bits must be 4, 8 or 16, not {files.kv_bits}")
        mx.set_cache_limit(_buffer_limit())
        config = _read_config(files.path)
        prompting.check_context(files.context_tokens, config.get("max_position_embeddings"))
        if not any((files.path / name).is_file() for name in _TOKENIZERS):
            raise BadModelError(
                "The model's folder holds no tokenizer.", hint="Download or import the whole folder again."
            )
        self._model, self._tokenizer = load(str(files.path))
        self._files = files
        added = self._tokenizer.added_tokens_decoder.values()
        self._specials = [token.content for token in added if token.special and len(token.content) > 2]
        self._kv_bits = files.kv_bits if files.kv_bits < 16 else None
        self._group = 64 if _head_dim(config) % 64 == 0 else 32
        weights = [*files.path.glob("*.safetensors"), files.path / "config.json"]
        template = str(self._tokenizer.chat_template or "")
        key = prompting.fingerprint(weights, files.id, template, str(files.kv_bits), version("mlx-lm"))
        self._prefixes: PrefixCache[State] = PrefixCache(_Codec(), key, limits)
        self.parallel = 1 if self._kv_bits else _TOGETHER
        logits = self._model(
            mx.array([self._encode(prompting.PROBE)[:_CHUNK]])
        )  # warms up, and is what a load promises
        prompting.check_numbers(float(logits.astype(mx.float32).max()))
        self._n_logits = int(logits.shape[-1])
        self._eos = frozenset(token for token in self._tokenizer.eos_token_ids if 0 <= token < self._n_logits)

    # ---- single calls

    def write(self, call: Call) -> Writing:
        """Answer one call; each step is one token or one chunk of the prompt."""
        tokens = self._encode(call.messages)
        max_tokens = prompting.room(len(tokens), call.max_tokens, self._files.context_tokens)
        answer = self._answer(call, len(tokens), max_tokens)
        state, n_cached = self._begin(tokens)
        answer.n_cached = n_cached
        written: list[int] = []
        n_done = n_cached
        try:
            while chunk := prompting.chunk(tokens, n_done, _CHUNK):
                self._evaluate(chunk, state)
                n_done += len(chunk)
                yield Piece("")
            if not caches.can_trim_prompt_cache(state):
                self._remember(tokens[:-1], state)  # cannot be cut back later
            steps = generate_step(
                mx.array(tokens[-1:]),
                self._model,
                max_tokens=max_tokens,
                sampler=_sampler(call),
                logits_processors=[_Grammar(answer.constraint, is_guarded=False)] if answer.constraint else None,
                prompt_cache=state,
                kv_bits=self._kv_bits,
                kv_group_size=self._group,
                quantized_kv_start=0,
            )
            for token, logprobs in steps:
                if not written:
                    prompting.check_numbers(float(logprobs[token]))
                written.append(token)
                yield answer.add(token)
                if answer.finish:
                    return
        finally:
            if caches.can_trim_prompt_cache(state):
                self._remember(tokens[: prompting.whole_steps(min(n_done, len(tokens) - 1))], state)

    def _begin(self, tokens: list[int]) -> tuple[State, int]:
        """The state to go on from, and how many tokens it already holds: never all of them."""
        found = self._prefixes.find(np.array(tokens[:-1], np.int32))
        if found is None:
            return caches.make_prompt_cache(self._model), 0
        kept, n_tokens, n_same = found
        if caches.can_trim_prompt_cache(kept):
            n_same = prompting.whole_steps(n_same)
        if not n_same:
            return caches.make_prompt_cache(self._model), 0
        state = _copy(kept)
        if n_tokens > n_same:
            caches.trim_prompt_cache(state, n_tokens - n_same)
        return state, n_same

    def _evaluate(self, tokens: list[int], state: State) -> None:
        self._model(mx.array([tokens]), cache=state)
        maybe_quantize_kv_cache(state, quantized_kv_start=0, kv_group_size=self._group, kv_bits=self._kv_bits)
        mx.eval([layer.state for layer in state])
        mx.clear_cache()

    def _remember(self, tokens: list[int], state: State) -> None:
        if tokens:
            held = _copy(state)
            if (n_over := _offset(held) - len(tokens)) > 0:
                caches.trim_prompt_cache(held, n_over)
            self._prefixes.put(np.array(tokens, np.int32), held, _n_bytes(held))

    # ---- batches

    def write_many(self, calls: Sequence[Call], tell: Tell, is_stopped: Callable[[str], bool]) -> Generator[None]:
        """Answer several together: their common beginning is computed once, each has its own sampling and grammar."""
        if self._kv_bits:  # quantised caches do not batch
            yield from self._one_by_one(calls, tell, is_stopped)
            return
        prompts: dict[int, list[int]] = {}
        answers: dict[int, Answer] = {}
        grammars: dict[int, _Grammar] = {}
        for index, call in enumerate(calls):
            try:
                tokens = self._encode(call.messages)
                max_tokens = prompting.room(len(tokens), call.max_tokens, self._files.context_tokens)
                answers[index] = answer = self._answer(call, len(tokens), max_tokens)
                if answer.constraint is not None:
                    grammars[index] = _Grammar(answer.constraint, is_guarded=True)
                prompts[index] = tokens
            except AppError as error:
                tell(index, error)
            yield
        if not prompts:
            return
        n_same = yield from self._compute_common(list(prompts.values()))
        batch = BatchGenerator(
            self._model, completion_batch_size=_TOGETHER, prefill_batch_size=_TOGETHER, prefill_step_size=_CHUNK
        )
        batch.close()  # puts back the wired limit that its constructor raised; nothing else
        begun = [
            self._begin(tokens) if n_same else (caches.make_prompt_cache(self._model), 0) for tokens in prompts.values()
        ]
        numbers = batch.insert(
            [tokens[n_held:] for tokens, (_, n_held) in zip(prompts.values(), begun, strict=True)],
            max_tokens=[answers[index].max_tokens for index in prompts],
            caches=[state for state, _ in begun],
            samplers=[_sampler(calls[index]) for index in prompts],
            logits_processors=[[grammars[index]] if index in grammars else [] for index in prompts],
        )
        running = dict(zip(numbers, prompts, strict=True))
        for index, (_, n_held) in zip(prompts, begun, strict=True):
            answers[index].n_cached = n_held
        while running:
            for number, index in list(running.items()):
                if is_stopped(calls[index].id):
                    batch.remove([number])
                    del running[number]
                    tell(index, answers[index].cancelled())
            _, news = batch.next()
            for each in news:
                index = running.get(each.uid, -1)
                if index < 0:
                    continue
                try:
                    if index in grammars and (problem := grammars[index].error) is not None:
                        raise problem
                    tell(index, answers[index].add(each.token))
                except AppError as error:
                    answers[index].finish = "stop"
                    tell(index, error)
                if answers[index].finish:
                    del running[each.uid]
                    if each.finish_reason is None:
                        batch.remove([each.uid])
            yield

    def _one_by_one(self, calls: Sequence[Call], tell: Tell, is_stopped: Callable[[str], bool]) -> Generator[None]:
        for index, call in enumerate(calls):
            try:
                for piece in self.write(call):
                    tell(index, piece)
                    yield
                    if is_stopped(call.id):
                        tell(index, Piece("", finish="cancelled"))
                        break
            except AppError as error:
                tell(index, error)

    def _compute_common(self, prompts: list[list[int]]) -> Generator[None, None, int]:
        """Compute what all prompts begin with, so that it is found for each; returns its length, 0 when too short."""
        first = np.array(prompts[0], np.int32)
        n_same = min(common(first, np.array(other, np.int32)) for other in prompts)
        n_same = prompting.whole_steps(min(n_same, *(len(other) - 1 for other in prompts)))
        if not n_same or len(prompts) < 2:
            return 0
        state, n_done = self._begin(prompts[0][: n_same + 1])
        while n_done < n_same:
            chunk = prompts[0][n_done : min(n_done + _CHUNK, n_same)]
            self._evaluate(chunk, state)
            n_done += len(chunk)
            yield
        self._remember(prompts[0][:n_same], state)
        return n_same

    # ---- the rest

    def embed(self, texts: Sequence[str]) -> Generator[None, None, NDArray[np.float32]]:
        """Unit vectors (N, D): the last hidden states of each text, pooled as the model's card says."""
        pooling, body = self._files.pooling, getattr(self._model, "model", None)
        if not pooling or body is None:
            raise NotAnEmbeddingModelError(
                f"{self._files.id} gives no embeddings.", hint="Choose an embedding model from the catalogue."
            )
        rows = []
        for text in texts:
            tokens = self._tokenizer.encode(text) or [next(iter(self._eos))]
            prompting.room(len(tokens) - 1, 1, self._files.context_tokens)
            hidden = body(mx.array([tokens]))[0].astype(mx.float32)  # (T, D)
            row = {"mean": lambda h: h.mean(axis=0), "cls": lambda h: h[0], "last": lambda h: h[-1]}[pooling](hidden)
            rows.append(prompting.unit(np.array(row)))
            yield
        return np.stack(rows).astype(np.float32) if rows else np.zeros((0, 0), np.float32)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the prompt these messages become."""
        return len(self._encode(messages))

    def memory_bytes(self) -> int:
        """Arrays in use (weights, caches) and MLX's pool of free buffers."""
        return int(mx.get_active_memory() + mx.get_cache_memory())

    def drop_caches(self, keep_bytes: int) -> int:
        """The pool of free buffers first, then prompt caches, least recently used first."""
        before = self.memory_bytes()
        mx.clear_cache()
        self._prefixes.keep(keep_bytes)
        mx.clear_cache()
        return max(0, before - self.memory_bytes())

    def limit_buffers(self, max_bytes: int) -> int:
        """MLX's pool of freed buffers, cut at once and from now on."""
        before = int(mx.get_cache_memory())
        mx.set_cache_limit(min(max_bytes, _buffer_limit()))
        if before > max_bytes:
            mx.clear_cache()
        return max(0, before - int(mx.get_cache_memory()))

    def tidy(self) -> bool:
        """Save one prompt cache to disk."""
        return self._prefixes.save_one()

    @functools.cached_property
    def _vocabulary(self) -> Vocabulary:
        """The tokens as the grammar needs them; made when the first schema comes."""
        tokenizer = self._tokenizer._tokenizer  # the wrapped one, which llguidance knows
        eos = sorted(self._eos)
        try:
            made = llguidance.hf.from_tokenizer(tokenizer, n_vocab=self._n_logits, eos_token=eos)
        except ValueError:  # of a kind it does not know
            words = _Words(tokenizer, self._n_logits, min(eos, default=0))
            made = llguidance.LLTokenizer(llguidance.TokenizerWrapper(words), n_vocab=self._n_logits, eos_token=eos)
        return Vocabulary(made, self._n_logits)

    def _answer(self, call: Call, n_prompt: int, max_tokens: int) -> Answer:
        detokenizer = self._tokenizer.detokenizer  # a fresh one each time

        def decode(token: int | None) -> str:
            if token is None:
                detokenizer.finalize()
            else:
                detokenizer.add_token(token)
            return str(detokenizer.last_segment)

        constraint = Constraint(self._vocabulary, call.schema, max_tokens) if call.schema is not None else None
        return Answer(
            call, n_prompt=n_prompt, max_tokens=max_tokens, eos=self._eos, decode=decode, constraint=constraint
        )

    def _encode(self, messages: Sequence[Message]) -> list[int]:
        """The prompt's tokens; at least one."""
        text = prompting.render(self._render, messages, self._specials)
        tokens = self._tokenizer.encode(text, add_special_tokens=not self._tokenizer.chat_template)
        if not tokens:
            raise BadModelError("The model's template makes an empty prompt.", hint="Import the model with a template.")
        return [int(token) for token in tokens]

    def _render(self, turns: prompting.Turns) -> str:
        if not self._tokenizer.chat_template:
            return prompting.plain(turns)
        made = self._tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        return str(made)


class _Words:
    """A vocabulary as llguidance's wrapper wants it, for tokenizers it cannot read: the text of each token.

    A text is cut into the longest tokens from its beginning: the tokenizer itself may put a space in front.
    """

    def __init__(self, tokenizer: Any, n_logits: int, eos: int) -> None:
        self.eos_token_id, self.bos_token_id = eos, None
        self.special_token_ids = [token for token in tokenizer.all_special_ids if token < n_logits]
        names = tokenizer.convert_ids_to_tokens(range(min(len(tokenizer), n_logits)))
        self.tokens = [(name or "").replace("▁", " ").encode() for name in names]
        self.tokens += [b""] * (n_logits - len(self.tokens))
        special = set(self.special_token_ids)
        self._ids = {text: token for token, text in enumerate(self.tokens) if token not in special}
        self._longest = max(map(len, self._ids), default=1)

    def __call__(self, text: bytes) -> list[int]:
        found = []
        while text:
            lengths = range(min(self._longest, len(text)), 0, -1)
            length = next((length for length in lengths if text[:length] in self._ids), 0)
            if length:
                found.append(self._ids[text[:length]])
            text = text[length or 1 :]
        return found


class _Grammar:
    """A constraint as mlx-lm asks for it: before each token, with the tokens so far."""

    def __init__(self, constraint: Constraint, *, is_guarded: bool) -> None:
        """is_guarded: an error is kept in `error` and ends one answer, not the step of a whole batch."""
        self._constraint, self._is_guarded = constraint, is_guarded
        self._is_begun = False
        self.error: AppError | None = None

    def __call__(self, tokens: mx.array, logits: mx.array) -> mx.array:
        """Logits (1, V) with what may not come next at -inf. The first call comes with the prompt's last token."""
        if self.error is not None:
            return logits
        try:
            if self._is_begun and not self._constraint.is_over:
                self._constraint.take(int(tokens[-1].item()))
            self._is_begun = True
            if self._constraint.is_over:
                return logits
            return mx.where(mx.array(self._constraint.allowed()), logits, -mx.inf)
        except AppError as error:
            if not self._is_guarded:
                raise
            self.error = error
            return logits


class _Codec:
    """Prompt caches as safetensors files."""

    def save(self, state: State, path: Path) -> None:
        caches.save_prompt_cache(str(path), state)

    def load(self, path: Path) -> tuple[State, int]:
        state = _from_file(path)
        mx.eval([layer.state for layer in state])
        return state, _n_bytes(state)

    def is_trimmable(self, state: State) -> bool:
        return bool(caches.can_trim_prompt_cache(state))


def _from_file(path: Path) -> State:
    """mlx-lm insists on the file's ending."""
    link = path.with_name(f"{path.name}.{os.getpid()}.safetensors")
    link.unlink(missing_ok=True)
    os.link(path, link)
    try:
        state: State = caches.load_prompt_cache(str(link))
        mx.eval([layer.state for layer in state])
    finally:
        link.unlink()
    return state


def _sampler(call: Call) -> Callable[[mx.array], mx.array]:
    """Chooses from log-probabilities (…, V); random numbers are the call's own, so that neighbours change nothing."""
    if call.temperature <= 0:
        return functools.partial(mx.argmax, axis=-1)
    seed = seed_of(call)
    key = mx.random.key(int.from_bytes(os.urandom(4), "big") if seed is None else seed)

    def choose(logprobs: mx.array) -> mx.array:
        nonlocal key
        key, now = mx.random.split(key)
        if 0 < call.top_p < 1:
            logprobs = apply_top_p(logprobs, call.top_p)
        return mx.random.categorical(logprobs / call.temperature, key=now)

    return choose


def _copy(state: State) -> State:
    """Its own array objects over the same memory: what one writes, the other does not see."""

    def fresh(value: Any) -> Any:
        return mx.array(value) if isinstance(value, mx.array) else value

    return [type(layer).from_state(tree_map(fresh, layer.state)) for layer in state]


def _n_bytes(state: State) -> int:
    return sum(int(layer.nbytes) for layer in state)


def _offset(state: State) -> int:
    return int(getattr(state[0], "offset", 0)) if state else 0


def _buffer_limit() -> int:
    """Bytes MLX may keep in its pool of free buffers: an eighth of the machine's memory, between 256 MiB and 2 GiB."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(2 << 30, max(256 << 20, total // 8))


def _read_config(folder: Path) -> dict[str, Any]:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if not isinstance(config, dict):
        raise TypeError("config.json is not an object")
    return config


def _head_dim(config: dict[str, Any]) -> int:
    heads = int(config.get("num_attention_heads") or 1)
    return int(config.get("head_dim") or int(config.get("hidden_size") or 64) // heads)
