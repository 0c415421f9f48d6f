"""How many bytes a model will take, before it is loaded. Pure arithmetic over numbers from headers; reads no file.

weights + key/value cache for the whole context + a reserve for activations. A measured size replaces weights and
reserve as soon as there is one.
"""

from __future__ import annotations

from dataclasses import dataclass

CHUNK_TOKENS = 512  # tokens of a prompt that both runtimes evaluate at once
KEPT_PROMPT_BYTES = 512 * 1024**2  # of the copy llama.cpp's state is kept in for the next prompt that begins alike
_MLX_STEP_TOKENS = 256
_MLX_ACTIVATIONS = 7.6  # numbers in flight and in the buffer pool, for each of a token's hidden and intermediate ones
_GGUF_ACTIVATIONS = 1.85
_GGUF_FIXED_BYTES = 14 * 1024**2  # the runtime itself
_GGUF_TOKEN_BYTES = 128  # a token of the vocabulary, its text and one row of logits
KV_BYTES_PER_NUMBER = {16: 2.0, 8: 1.0625, 4: 0.5625}  # 8 and 4 bit: groups of 64 with a scale and a bias


@dataclass(frozen=True, slots=True)
class Shape:
    """What the size of a model's caches and activations depends on.

    attention_layers  layers that keep keys and values; of a hybrid model only those
    number_bytes      bytes of one unquantised number: 2 for half precision, 4 for float32
    """

    attention_layers: int
    kv_heads: int
    head_dim: int
    hidden: int
    intermediate: int
    vocabulary: int
    number_bytes: int = 2


@dataclass(frozen=True, slots=True)
class Need:
    """What a load takes. `has_kv_upfront`: the runtime takes the whole key/value cache while it loads."""

    weights_bytes: int
    kv_bytes: int = 0
    reserve_bytes: int = 0
    has_kv_upfront: bool = False

    @property
    def total_bytes(self) -> int:
        return self.weights_bytes + self.kv_bytes + self.reserve_bytes


def kv_bytes(shape: Shape, context_tokens: int, kv_bits: int = 16) -> int:
    """Keys and values of `context_tokens` tokens: 2 · layers · heads · head_dim · tokens · bytes a number."""
    per_number = float(shape.number_bytes) if kv_bits == 16 else KV_BYTES_PER_NUMBER[kv_bits]
    return int(2 * shape.attention_layers * shape.kv_heads * shape.head_dim * context_tokens * per_number)


def need(
    shape: Shape,
    weights_bytes: int,
    context_tokens: int,
    *,
    kv_bits: int = 16,
    has_kv_upfront: bool = False,
    is_repacked: bool = False,
) -> Need:
    """What a load with this context takes at its highest.

    has_kv_upfront  llama.cpp takes the cache at the load, MLX in steps of 256 tokens as the context fills
    is_repacked     llama.cpp on a processor keeps a second, rearranged copy of 4-bit weights
    The factors are fitted to `benchmarks.model_memory`: processor builds on Linux. Metal may differ; there the first
    measured load corrects the estimate.
    """
    activations = CHUNK_TOKENS * (shape.hidden + shape.intermediate)
    if has_kv_upfront:
        cache = kv_bytes(shape, context_tokens, kv_bits)
        weights_bytes *= 2 if is_repacked else 1
        reserve = _GGUF_FIXED_BYTES + int(_GGUF_ACTIVATIONS * activations * 4) + _GGUF_TOKEN_BYTES * shape.vocabulary
        return Need(weights_bytes, cache, reserve + min(cache, KEPT_PROMPT_BYTES), has_kv_upfront=True)
    cache = kv_bytes(shape, -(-context_tokens // _MLX_STEP_TOKENS) * _MLX_STEP_TOKENS, kv_bits)
    return Need(weights_bytes, cache, int(_MLX_ACTIVATIONS * activations * shape.number_bytes))
