"""How many bytes a model will take, before it is loaded. Pure arithmetic over numbers from headers; reads no file.

weights + key/value cache for the whole context + a reserve for activations. A measured size replaces weights and
reserve as soon as there is one.
"""

from __future__ import annotations

from dataclasses import dataclass

CHUNK_TOKENS = 512  # tokens of a prompt that both runtimes evaluate at once
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
    shape: Shape, weights_bytes: int, context_tokens: int, *, kv_bits: int = 16, has_kv_upfront: bool = False
) -> Need:
    """What a load with this context takes.

    has_kv_upfront  llama.cpp takes the cache and its compute buffer at the load, MLX as the context fills
    """
    reserve = _gguf_reserve_bytes(shape) if has_kv_upfront else _mlx_reserve_bytes(shape)
    return Need(weights_bytes, kv_bytes(shape, context_tokens, kv_bits), reserve, has_kv_upfront)


def _mlx_reserve_bytes(shape: Shape) -> int:
    """Activations of one part of a prompt, and what the buffer pool keeps of them."""
    per_token = 4 * shape.hidden + 3 * shape.intermediate
    return CHUNK_TOKENS * per_token * shape.number_bytes + 2 * shape.vocabulary * 4


def _gguf_reserve_bytes(shape: Shape) -> int:
    """llama.cpp's compute buffer: the larger of the logits and the activations of one part of a prompt, in float32."""
    per_token = max(shape.vocabulary, 4 * shape.hidden + 3 * shape.intermediate)
    return CHUNK_TOKENS * per_token * 4
