"""Model files written by hand: small, whole, and easy to break. No runtime is needed to make them."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

CONFIG = {
    "model_type": "qwen2",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "vocab_size": 512,
    "max_position_embeddings": 4096,
}


def safetensors(n_bytes: int = 4096, dtype: str = "F16", fill: bytes = b"\x07") -> bytes:
    """One tensor of `n_bytes`."""
    width = {"F16": 2, "F32": 4, "U32": 4}[dtype]
    header = json.dumps({"w": {"dtype": dtype, "shape": [n_bytes // width], "data_offsets": [0, n_bytes]}}).encode()
    return struct.pack("<Q", len(header)) + header + fill * n_bytes


def folder_files(n_bytes: int = 4096, *, bits: int | None = 4, **config: Any) -> dict[str, bytes]:
    """The files of an MLX model by name."""
    settings = CONFIG | config | ({"quantization": {"bits": bits, "group_size": 64}} if bits else {})
    return {
        "config.json": json.dumps(settings).encode(),
        "model.safetensors": safetensors(n_bytes),
        "tokenizer.json": b"{}",
        "tokenizer_config.json": json.dumps({"chat_template": "{{ messages }}"}).encode(),
    }


def write_folder(folder: Path, files: dict[str, bytes] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (files or folder_files()).items():
        (folder / name).write_bytes(content)
    return folder


def gguf(n_numbers: int = 1024, *, tokens: int = 300, **metadata: Any) -> bytes:
    """A GGUF of one float32 tensor, as a `llama`."""
    table: dict[str, Any] = {
        "general.architecture": "llama",
        "llama.block_count": 2,
        "llama.context_length": 2048,
        "llama.embedding_length": 64,
        "llama.feed_forward_length": 128,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "tokenizer.chat_template": "{{ messages }}",
        "tokenizer.ggml.tokens": [f"t{n}" for n in range(tokens)],
    }
    table |= {name.replace("__", "."): value for name, value in metadata.items()}
    out = b"GGUF" + struct.pack("<IQQ", 3, 1, len(table))
    for name, value in table.items():
        out += _text(name) + _value(value)
    out += _text("token_embd.weight") + struct.pack("<IQIQ", 1, n_numbers, 0, 0)
    return out + b"\0" * (-len(out) % 32) + b"\x01" * (4 * n_numbers)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(value: Any) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if value and isinstance(value[0], int):
        return struct.pack("<IIQ", 9, 4, len(value)) + struct.pack(f"<{len(value)}I", *value)
    return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_text, value))
