"""Core ML embeddings: BERT-shaped encoders beside the GPU. Converting works anywhere, predicting on macOS only.

A model's folder holds config.json, model.safetensors and tokenizer.json in the hub's layout. The first load on a Mac
converts it to `encoder.mlpackage` beside them: an ML Program in half precision with one input, the tokens, of a few
enumerated lengths (the Neural Engine wants fixed shapes). Where each layer then runs is Core ML's choice. Runs in a
model's process only.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import coremltools as ct
import numpy as np
from coremltools.converters.mil import Builder as mb  # noqa: N813  its own name for it
from coremltools.converters.mil.mil import get_new_symbol, types

from desktop.core.models import Message
from desktop.engines import prompting
from desktop.engines.engine import Call, ModelFiles
from desktop.engines.errors import BadModelError, EngineMissingError
from desktop.engines.footprint import this_machine
from desktop.engines.protocol import CacheLimits
from desktop.engines.runtime import Tell, Writing

if TYPE_CHECKING:
    from numpy.typing import NDArray

LENGTHS = (64, 128, 256, 512)
_MASKED = -1e4  # far below any score, and still a half-precision number


class CoremlRuntime:
    """An encoder that is loaded. It embeds and does nothing else."""

    parallel = 1

    def __init__(self, files: ModelFiles, limits: CacheLimits) -> None:
        if platform.system() != "Darwin":
            raise EngineMissingError("Core ML runs on macOS only.", hint="Use a GGUF or MLX embedding model here.")
        from tokenizers import Tokenizer

        self._before_bytes = this_machine().footprint_bytes(os.getpid())
        self._files = files
        self._tokenizer = Tokenizer.from_file(str(files.path / "tokenizer.json"))
        config = json.loads((files.path / "config.json").read_text(encoding="utf-8"))
        self._pad = int(config.get("pad_token_id") or 0)
        self._lengths = lengths_of(config)
        prompting.check_context(files.context_tokens, self._lengths[-1])
        package = files.path / "encoder.mlpackage"
        if not package.is_dir():
            convert_encoder(files.path, package, files.pooling)
        self._model = ct.models.MLModel(str(package), compute_units=ct.ComputeUnit.CPU_AND_NE)

    def write(self, call: Call) -> Writing:
        """Never: an encoder writes nothing."""
        raise _only_embeds()

    def write_many(self, calls: Sequence[Call], tell: Tell, is_stopped: Callable[[str], bool]) -> Generator[None]:
        """Never: an encoder writes nothing."""
        raise _only_embeds()

    def embed(self, texts: Sequence[str]) -> Generator[None, None, NDArray[np.float32]]:
        """Unit vectors (N, D), each text padded to the next enumerated length."""
        rows = []
        for text in texts:
            tokens = self._tokenizer.encode(text).ids
            prompting.room(len(tokens) - 1, 1, self._files.context_tokens)
            length = next(n for n in self._lengths if n >= len(tokens))
            padded = np.full((1, length), self._pad, np.int32)
            padded[0, : len(tokens)] = tokens
            row = np.asarray(self._model.predict({"tokens": padded})["vector"], np.float32).reshape(-1)
            rows.append(row / max(float(np.linalg.norm(row)), 1e-12))
            yield
        return np.stack(rows) if rows else np.zeros((0, 0), np.float32)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the texts, without a template: an encoder has none."""
        return len(self._tokenizer.encode("\n".join(message.content for message in messages)).ids)

    def memory_bytes(self) -> int:
        """What the process has grown by since before the load."""
        return max(0, this_machine().footprint_bytes(os.getpid()) - self._before_bytes)

    def drop_caches(self, keep_bytes: int) -> int:
        """There are none."""
        return 0

    def limit_buffers(self, max_bytes: int) -> int:
        """Core ML keeps its own."""
        return 0

    def tidy(self) -> bool:
        """Nothing waits."""
        return False


def lengths_of(config: Mapping[str, Any]) -> tuple[int, ...]:
    """The enumerated lengths an encoder of this configuration has positions for."""
    longest = int(config.get("max_position_embeddings") or 512)
    return tuple(n for n in LENGTHS if n <= longest) or (longest,)


def convert_encoder(folder: Path, target: Path, pooling: str) -> None:
    """Write the encoder in `folder` as an ML Program at `target`, whole or not at all. Raises BadModelError."""
    config, weights = read_encoder(folder, pooling)
    lengths = lengths_of(config)

    def program(tokens: Any) -> Any:
        return encode(tokens, config, weights, pooling)

    asked = mb.TensorSpec(shape=(1, get_new_symbol()), dtype=types.int32)
    shapes = ct.EnumeratedShapes(shapes=[(1, n) for n in lengths], default=(1, lengths[0]))
    made = ct.convert(
        mb.program(input_specs=[asked], opset_version=ct.target.iOS16)(program),
        inputs=[ct.TensorType(name="tokens", shape=shapes, dtype=np.int32)],
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.macOS13,
        compute_precision=ct.precision.FLOAT16,
        skip_model_load=True,
    )
    half = target.with_name(f".{target.name}.{os.getpid()}.mlpackage")
    try:
        made.save(str(half))
        half.replace(target)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def read_encoder(folder: Path, pooling: str) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    """Configuration and weights by their names in the hub's layout. Raises BadModelError for other kinds."""
    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if (
        config.get("model_type") != "bert"
        or config.get("hidden_act", "gelu") != "gelu"
        or pooling not in ("mean", "cls")
    ):
        raise BadModelError(
            "Only BERT encoders with mean or cls pooling can run on Core ML.",
            hint="Use this model as GGUF or MLX.",
            kind=str(config.get("model_type")),
        )
    weights = {name.removeprefix("bert."): value for name, value in load_file(folder / "model.safetensors").items()}
    return config, {name: value.astype(np.float32) for name, value in weights.items()}


def encode(tokens: Any, config: Mapping[str, Any], weights: Mapping[str, NDArray[np.float32]], pooling: str) -> Any:
    """The encoder as MIL operations: tokens (1, T) → "vector" (1, D), pooled over the tokens that are not padding.

    source  Devlin et al. 2019, arXiv:1810.04805, with the hub's names of weights
    """
    heads, eps = int(config["num_attention_heads"]), float(config.get("layer_norm_eps", 1e-12))
    size = int(config["hidden_size"])

    def linear(x: Any, name: str) -> Any:
        return mb.linear(x=x, weight=weights[f"{name}.weight"], bias=weights[f"{name}.bias"])

    def normed(x: Any, name: str) -> Any:
        gamma, beta = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return mb.layer_norm(x=x, axes=[-1], gamma=gamma, beta=beta, epsilon=np.float32(eps))

    def by_head(x: Any) -> Any:  # (1, T, D) → (1, H, T, D/H)
        return mb.transpose(x=mb.reshape(x=x, shape=[1, -1, heads, size // heads]), perm=[0, 2, 1, 3])

    is_text = mb.cast(x=mb.not_equal(x=tokens, y=np.int32(config.get("pad_token_id") or 0)), dtype="fp32")  # (1, T)
    ones = mb.add(x=mb.mul(x=is_text, y=np.float32(0)), y=np.float32(1))
    positions = mb.cast(x=mb.sub(x=mb.cumsum(x=ones, axis=1), y=np.float32(1)), dtype="int32")
    x = mb.add(
        x=mb.gather(x=weights["embeddings.word_embeddings.weight"], indices=tokens, axis=0),
        y=mb.gather(x=weights["embeddings.position_embeddings.weight"], indices=positions, axis=0),
    )
    x = mb.add(x=x, y=weights["embeddings.token_type_embeddings.weight"][0])
    x = normed(x, "embeddings.LayerNorm")
    away = mb.mul(x=mb.sub(x=np.float32(1), y=is_text), y=np.float32(_MASKED))
    away = mb.expand_dims(x=away, axes=[1, 2])  # (1, 1, 1, T)
    for n in range(int(config["num_hidden_layers"])):
        at = f"encoder.layer.{n}"
        query, key, value = (by_head(linear(x, f"{at}.attention.self.{part}")) for part in ("query", "key", "value"))
        scores = mb.mul(x=mb.matmul(x=query, y=key, transpose_y=True), y=np.float32((size // heads) ** -0.5))
        seen = mb.matmul(x=mb.softmax(x=mb.add(x=scores, y=away), axis=-1), y=value)
        seen = mb.reshape(x=mb.transpose(x=seen, perm=[0, 2, 1, 3]), shape=[1, -1, size])
        x = normed(mb.add(x=x, y=linear(seen, f"{at}.attention.output.dense")), f"{at}.attention.output.LayerNorm")
        wide = mb.gelu(x=linear(x, f"{at}.intermediate.dense"), mode="EXACT")
        x = normed(mb.add(x=x, y=linear(wide, f"{at}.output.dense")), f"{at}.output.LayerNorm")
    if pooling == "cls":
        first = mb.slice_by_index(x=x, begin=[0, 0, 0], end=[1, 1, size])
        return mb.reshape(x=first, shape=[1, size], name="vector")
    kept = mb.mul(x=x, y=mb.expand_dims(x=is_text, axes=[2]))
    total = mb.reduce_sum(x=kept, axes=[1], keep_dims=False)
    count = mb.reduce_sum(x=is_text, axes=[1], keep_dims=True)
    return mb.real_div(x=total, y=count, name="vector")


def _only_embeds() -> BadModelError:
    return BadModelError("This model gives embeddings and writes no text.", hint="Choose a model that writes.")
