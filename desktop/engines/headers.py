"""What the headers of model files say: shape, size, context, template. Reads no weights and loads nothing.

Every file here may be hostile or cut off: counts and lengths are held against the file's own size before anything is
taken from them, and whatever does not fit is a BadModelError. This runs before a model runtime's native code sees it.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from desktop.engines.errors import BadModelError
from desktop.engines.estimate import Shape

MAX_HEADER_BYTES = 128 * 1024**2
MAX_CONFIG_BYTES = 8 * 1024**2
_MAX_ENTRIES = 1_000_000
_TYPE_BITS = {"BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "I16": 16, "U16": 16, "F16": 16}
_TYPE_BITS |= {"BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64}


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a model says of itself.

    format          the runtime it is for; a BERT encoder runs on Core ML, whatever else is in safetensors on MLX
    bits            of its quantised weights; 16 or 32 for full precision
    context_tokens  longest the model was trained for
    """

    format: Literal["mlx", "gguf", "coreml"]
    architecture: str
    weights_bytes: int
    shape: Shape
    context_tokens: int
    bits: int
    has_template: bool


def read_facts(path: Path) -> ModelFacts:
    """Facts of a GGUF file, or of a folder with config.json and safetensors. Raises BadModelError."""
    try:
        return _folder_facts(path) if path.is_dir() else _gguf_facts(path)
    except OSError as fault:
        raise _bad(path, f"it cannot be read: {fault.strerror}") from None


def check_files(path: Path) -> None:
    """Nothing, when the headers of a model's files are sound: to be asked before native code reads them.

    A model that names more layers than it has tensors would keep a runtime busy for hours, or end it. What is no GGUF
    file and no folder with safetensors is left to its runtime. Raises BadModelError.
    """
    try:
        if path.suffix == ".gguf" and path.is_file():
            with path.open("rb") as stream:
                found = _Gguf(stream, path)
                table, _, _ = found.read()
            layers, n_tensors = table.get(f"{table.get('general.architecture')}.block_count"), found.n_tensors
        elif (path / "config.json").is_file():
            config = _read_json(path / "config.json")
            layers, n_tensors = config.get("num_hidden_layers"), 0
            for shard in path.glob("*.safetensors"):
                n_tensors += len(_safetensors_header(shard))
        else:
            return
    except OSError as fault:
        raise _bad(path, f"it cannot be read: {fault.strerror}") from None
    if isinstance(layers, int) and 0 < n_tensors < layers:
        raise _bad(path, f"it names {layers:,} layers and has {n_tensors:,} tensors")


def safetensors_sizes(path: Path) -> dict[str, int]:
    """Bytes by number type of one safetensors file, proven to be as long as its header says. Raises BadModelError."""
    sizes: dict[str, int] = {}
    for kind, n_bytes in _safetensors_header(path):
        sizes[kind] = sizes.get(kind, 0) + n_bytes
    return sizes


def _safetensors_header(path: Path) -> list[tuple[str, int]]:
    """(number type, bytes) of each tensor."""
    tensors: list[tuple[str, int]] = []
    end = 0
    total = path.stat().st_size
    with path.open("rb") as stream:
        (length,) = struct.unpack("<Q", _take(stream, 8, path))
        if not 2 <= length <= min(MAX_HEADER_BYTES, total - 8):
            raise _bad(path, "its header is longer than the file")
        try:
            header = json.loads(_take(stream, length, path))
        except (ValueError, RecursionError):
            raise _bad(path, "its header is not JSON") from None
    if not isinstance(header, dict):
        raise _bad(path, "its header is not a table")
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        try:
            kind, shape, (begin, stop) = entry["dtype"], entry["shape"], entry["data_offsets"]
            count = 1
            for extent in shape:
                count *= extent
            is_right = 0 <= begin <= stop and (stop - begin) * 8 == count * _TYPE_BITS.get(kind, -1)
        except (KeyError, TypeError, ValueError):
            is_right = False
        if not is_right:
            raise _bad(path, f"the entry {str(name)[:60]!r} of its header is wrong")
        tensors.append((kind, stop - begin))
        end = max(end, stop)
    if 8 + length + end != total:
        raise _bad(path, f"it has {total} bytes and should have {8 + length + end}: the download or copy is incomplete")
    return tensors


# ---- folders with safetensors ---------------------------------------------------------------------------------------


def _folder_facts(folder: Path) -> ModelFacts:
    config = _read_json(folder / "config.json")
    shards = sorted(folder.glob("*.safetensors"))
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        weight_map = _read_json(index).get("weight_map")
        named = set(weight_map.values()) if isinstance(weight_map, dict) else set()
        missing = sorted(str(name) for name in named - {shard.name for shard in shards})
        if missing:
            raise _bad(folder, f"{missing[0]} is missing")
    if not shards:
        raise _bad(folder, "it holds no .safetensors file")
    sizes: dict[str, int] = {}
    for shard in shards:
        for kind, size in safetensors_sizes(shard).items():
            sizes[kind] = sizes.get(kind, 0) + size
    nested = config.get("text_config")
    text: dict[str, Any] = nested if isinstance(nested, dict) else config
    quantization = config.get("quantization")
    floats = {kind: size for kind, size in sizes.items() if kind in ("F16", "BF16", "F32")}
    number_bytes = 4 if max(floats, key=lambda kind: floats[kind], default="F16") == "F32" else 2
    return ModelFacts(
        format="coreml" if config.get("model_type") == "bert" else "mlx",
        architecture=str(config.get("model_type", "")),
        weights_bytes=sum(sizes.values()),
        shape=_config_shape(folder, text, number_bytes),
        context_tokens=_positive(folder, text, "max_position_embeddings", 2048),
        bits=_positive(folder, quantization, "bits") if isinstance(quantization, dict) else 8 * number_bytes,
        has_template=_has_template(folder),
    )


def _config_shape(folder: Path, config: Mapping[str, Any], number_bytes: int) -> Shape:
    layers = _positive(folder, config, "num_hidden_layers")
    heads = _positive(folder, config, "num_attention_heads")
    hidden = _positive(folder, config, "hidden_size")
    kinds = config.get("layer_types")
    attending = sum("linear" not in str(kind) for kind in kinds) if isinstance(kinds, list) else layers
    return Shape(
        attention_layers=min(attending, layers),
        kv_heads=_positive(folder, config, "num_key_value_heads", heads),
        head_dim=_positive(folder, config, "head_dim", max(1, hidden // heads)),
        hidden=hidden,
        intermediate=_positive(folder, config, "intermediate_size", 4 * hidden),
        vocabulary=_positive(folder, config, "vocab_size", 1),
        number_bytes=number_bytes,
    )


def _has_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return True
    settings = folder / "tokenizer_config.json"
    return settings.is_file() and bool(_read_json(settings).get("chat_template"))


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise _bad(path.parent, f"{path.name} is missing")
    if path.stat().st_size > MAX_CONFIG_BYTES and path.name == "config.json":
        raise _bad(path, "it is far too large")
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise _bad(path, "it is not JSON") from None
    if not isinstance(value, dict):
        raise _bad(path, "it is not a table")
    return value


def _positive(path: Path, table: Mapping[str, Any], name: str, default: int | None = None) -> int:
    value = table.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**40:
        raise _bad(path, f"{name} is missing" if value is None else f"{name} is {str(value)[:40]}")
    return value


# ---- GGUF -----------------------------------------------------------------------------------------------------------

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
# type → (numbers in a block, bytes of a block), as in ggml; a type that is not here is taken as it comes
_BLOCKS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 40)}
_BLOCKS |= {10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292)}
_BLOCKS |= {16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110)}
_BLOCKS |= {22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8)}
_BLOCKS |= {29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17)}


def _gguf_facts(path: Path) -> ModelFacts:
    with path.open("rb") as stream:
        table, weights_bytes, bits = _Gguf(stream, path).read()
    architecture = table.get("general.architecture")
    if not isinstance(architecture, str):
        raise _bad(path, "it does not say what architecture it has")

    def number(name: str, default: int | None = None) -> int:
        value = table.get(f"{architecture}.{name}")
        if isinstance(value, list):  # one for each layer; 0 where a layer keeps no keys and values
            value = max((one for one in value if isinstance(one, int)), default=None)
        return _positive(path, {} if value is None else {name: value}, name, default)

    heads, hidden, layers = number("attention.head_count"), number("embedding_length"), number("block_count")
    per_layer = table.get(f"{architecture}.attention.head_count_kv")
    attending = sum(bool(one) for one in per_layer) if isinstance(per_layer, list) else layers
    return ModelFacts(
        format="gguf",
        architecture=architecture,
        weights_bytes=weights_bytes,
        shape=Shape(
            attention_layers=min(attending, layers),
            kv_heads=number("attention.head_count_kv", heads),
            head_dim=number("attention.key_length", max(1, hidden // heads)),
            hidden=hidden,
            intermediate=number("feed_forward_length", 4 * hidden),
            vocabulary=_positive(path, table, "tokenizer.ggml.tokens", 1),
        ),
        context_tokens=number("context_length", 2048),
        bits=bits,
        has_template=isinstance(table.get("tokenizer.chat_template"), str),
    )


class _Gguf:
    """Reads the header of one GGUF file. Long arrays are skipped; of the tokens only the count is kept."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self._stream, self._path = stream, path
        self.n_tensors = 0
        self._size = os.fstat(stream.fileno()).st_size

    def read(self) -> tuple[dict[str, Any], int, int]:
        """(metadata, bytes of all tensors, bits of most of them)."""
        if _take(self._stream, 4, self._path) != b"GGUF":
            raise _bad(self._path, "it is not a GGUF file")
        version, n_tensors, n_pairs = self._unpack("<I"), self._unpack("<Q"), self._unpack("<Q")
        if version not in (2, 3):
            raise _bad(self._path, f"GGUF version {version} is not known")
        if max(n_tensors, n_pairs) > _MAX_ENTRIES:
            raise _bad(self._path, "its header says that it has a million entries")
        self.n_tensors = n_tensors
        table: dict[str, Any] = {}
        for _ in range(n_pairs):
            name = self._string().decode("utf-8", "replace")
            table[name] = self._value(self._unpack("<I"), name)
        tensors = [self._tensor() for _ in range(n_tensors)]
        alignment = table.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 0 < alignment <= 2**20:
            raise _bad(self._path, "its alignment is wrong")
        begin = -(-self._stream.tell() // alignment) * alignment
        end = max((begin + offset + size for offset, size, _ in tensors), default=begin)
        if not tensors:
            raise _bad(self._path, "it holds no weights")
        if end > self._size:
            raise _bad(
                self._path, f"it has {self._size} bytes and should have {end}: the download or copy is incomplete"
            )
        by_bits: dict[int, int] = {}
        for _, size, bits in tensors:
            by_bits[bits] = by_bits.get(bits, 0) + size
        return table, self._size - begin, max(by_bits, key=lambda bits: by_bits[bits])

    def _tensor(self) -> tuple[int, int, int]:
        """(offset, bytes, bits a number)."""
        self._string()
        n_dimensions = self._unpack("<I")
        if n_dimensions > 8:
            raise _bad(self._path, "a tensor has more than eight dimensions")
        count = 1
        for _ in range(n_dimensions):
            count *= self._unpack("<Q")
        kind, offset = self._unpack("<I"), self._unpack("<Q")
        numbers, block_bytes = _BLOCKS.get(kind, (1, 0))
        return offset, count // numbers * block_bytes, round(8 * block_bytes / numbers)

    def _value(self, kind: int, name: str) -> Any:
        if kind in _SCALARS:
            return self._unpack(_SCALARS[kind])
        if kind == _STRING:
            text = self._string()
            return text.decode("utf-8", "replace") if len(text) < MAX_CONFIG_BYTES else ""
        if kind != _ARRAY:
            raise _bad(self._path, f"its header has a value of unknown type {kind}")
        inner, count = self._unpack("<I"), self._unpack("<Q")
        if count > self._size:
            raise _bad(self._path, f"the list {name[:60]!r} is longer than the file")
        if inner == _STRING:
            for _ in range(count):
                self._skip(self._unpack("<Q"))
            return count
        if inner not in _SCALARS:
            raise _bad(self._path, f"the list {name[:60]!r} has an unknown type")
        one = struct.calcsize(_SCALARS[inner])
        if count <= 4096:
            return list(struct.unpack(f"<{count}{_SCALARS[inner][1]}", _take(self._stream, count * one, self._path)))
        self._skip(count * one)
        return count

    def _string(self) -> bytes:
        length = self._unpack("<Q")
        if length > min(self._size, MAX_HEADER_BYTES):
            raise _bad(self._path, "a text in its header is longer than the file")
        return _take(self._stream, length, self._path)

    def _skip(self, length: int) -> None:
        at = self._stream.tell() + length
        if at > self._size:
            raise _bad(self._path, "its header is cut off")
        self._stream.seek(at)

    def _unpack(self, kind: str) -> Any:
        return struct.unpack(kind, _take(self._stream, struct.calcsize(kind), self._path))[0]


def _take(stream: BinaryIO, length: int, path: Path) -> bytes:
    data = stream.read(length)
    if len(data) != length:
        raise _bad(path, "its header is cut off")
    return data


def _bad(path: Path, why: str) -> BadModelError:
    return BadModelError(
        f"{path.name} is not a model that can be used: {why}.",
        hint="Download it again, or choose a folder with config.json and .safetensors files, or one .gguf file.",
        file=path.name,
    )
