"""Headers of model files: what they say, and every way in which a file can be broken is one typed error."""

from __future__ import annotations

import contextlib
import json
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desktop.engines.errors import BadModelError
from desktop.engines.headers import read_facts
from tests.unit.engines.model_files import CONFIG, folder_files, gguf, safetensors, write_folder


def test_a_folder(tmp_path: Path) -> None:
    facts = read_facts(write_folder(tmp_path / "m"))
    assert (facts.format, facts.architecture, facts.bits, facts.has_template) == ("mlx", "qwen2", 4, True)
    assert (facts.weights_bytes, facts.context_tokens) == (4096, 4096)
    shape = facts.shape
    assert (shape.attention_layers, shape.kv_heads, shape.head_dim, shape.vocabulary) == (2, 2, 16, 512)


def test_shards_full_precision_hybrids_and_nested_configs(tmp_path: Path) -> None:
    files = folder_files(bits=None, layer_types=["linear_attention"] * 3 + ["full_attention"], num_hidden_layers=4)
    files["model-2.safetensors"] = safetensors(8192, "F32")
    config = json.loads(files["config.json"])
    files["config.json"] = json.dumps({"model_type": "x", "text_config": config}).encode()
    facts = read_facts(write_folder(tmp_path / "m", files))
    assert (facts.weights_bytes, facts.bits, facts.shape.attention_layers) == (12288, 32, 1)
    assert facts.shape.number_bytes == 4


def test_a_gguf_file(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf(tokens=5000))
    facts = read_facts(path)
    assert (facts.format, facts.architecture, facts.weights_bytes) == ("gguf", "llama", 4096)
    assert (facts.shape.vocabulary, facts.shape.kv_heads, facts.context_tokens) == (5000, 2, 2048)
    path.write_bytes(gguf(llama__attention__head_count_kv=[0, 4], llama__block_count=2))
    assert (read_facts(path).shape.attention_layers, read_facts(path).shape.kv_heads) == (1, 4)


@pytest.mark.parametrize("kind", ["tiny_mlx", "tiny_gguf"])
def test_real_models(kind: str, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(kind)
    facts = read_facts(path)
    weights = path if path.is_file() else path / "model.safetensors"
    assert facts.weights_bytes == pytest.approx(weights.stat().st_size, rel=0.1)
    assert facts.has_template
    assert (facts.shape.attention_layers, facts.shape.kv_heads) == (2, 2)


def _files(**changed: bytes | None) -> dict[str, bytes]:
    files = folder_files()
    for name, content in changed.items():
        name = {"config": "config.json", "weights": "model.safetensors", "index": "model.safetensors.index.json"}[name]
        if content is None:
            files.pop(name)
        else:
            files[name] = content
    return files


def _header(table: object, data: bytes = b"") -> bytes:
    header = json.dumps(table).encode()
    return struct.pack("<Q", len(header)) + header + data


@pytest.mark.parametrize(
    "files",
    [
        pytest.param(_files(config=None), id="no config"),
        pytest.param(_files(weights=None), id="no weights"),
        pytest.param(_files(config=b"{"), id="config cut"),
        pytest.param(_files(config=b"[" * 100_000), id="config nested"),
        pytest.param(_files(config=b"[1]"), id="config no table"),
        pytest.param(_files(config=json.dumps(CONFIG | {"hidden_size": "big"}).encode()), id="text for number"),
        pytest.param(_files(config=json.dumps(CONFIG | {"num_hidden_layers": -1}).encode()), id="negative"),
        pytest.param(_files(config=json.dumps(CONFIG | {"vocab_size": 10**30}).encode()), id="absurd"),
        pytest.param(_files(weights=safetensors()[:-10]), id="weights cut"),
        pytest.param(_files(weights=safetensors() + b"x"), id="weights too long"),
        pytest.param(_files(weights=b""), id="weights empty"),
        pytest.param(_files(weights=struct.pack("<Q", 2**63) + b"{}"), id="header of 8 EB"),
        pytest.param(_files(weights=_header([1])), id="header no table"),
        pytest.param(_files(weights=_header({"w": {"dtype": "F16", "shape": [4], "data_offsets": [0, 9]}})), id="size"),
        pytest.param(_files(weights=_header({"w": {"dtype": "EVIL", "shape": [], "data_offsets": [0, 0]}})), id="type"),
        pytest.param(_files(weights=_header({"w": 3})), id="entry no table"),
        pytest.param(_files(index=b'{"weight_map": {"w": "model-00002.safetensors"}}'), id="shard missing"),
    ],
)
def test_a_broken_folder(tmp_path: Path, files: dict[str, bytes]) -> None:
    with pytest.raises(BadModelError) as raised:
        read_facts(write_folder(tmp_path / "m", files))
    assert raised.value.hint


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"PK\x03\x04" + b"x" * 100, id="zip"),
        pytest.param(gguf()[:-5], id="weights cut"),
        pytest.param(gguf()[:200], id="header cut"),
        pytest.param(b"GGUF" + struct.pack("<IQQ", 9, 1, 1), id="version"),
        pytest.param(b"GGUF" + struct.pack("<IQQ", 3, 2**60, 2**60), id="counts"),
        pytest.param(b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + struct.pack("<Q", 2**62), id="text length"),
        pytest.param(gguf(general__architecture=3), id="architecture"),
        pytest.param(gguf(llama__block_count=0), id="no layers"),
        pytest.param(gguf(general__alignment=0), id="alignment"),
    ],
)
def test_a_broken_gguf(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    with pytest.raises(BadModelError):
        read_facts(path)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadModelError):
        read_facts(tmp_path / "none")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 900), st.binary(min_size=1, max_size=8))
def test_damage_anywhere_is_a_typed_error_or_harmless(tmp_path: Path, at: int, damage: bytes) -> None:
    path = tmp_path / "m.gguf"
    content = bytearray(gguf(tokens=20))
    content[at : at + len(damage)] = damage
    path.write_bytes(bytes(content))
    (tmp_path / "folder").mkdir(exist_ok=True)
    weights = bytearray(safetensors(64))
    weights[at % 80 : at % 80 + len(damage)] = damage
    write_folder(tmp_path / "folder", folder_files() | {"model.safetensors": bytes(weights)})
    for source in (path, tmp_path / "folder"):
        with contextlib.suppress(BadModelError):
            read_facts(source)
