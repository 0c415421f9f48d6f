"""Core ML: the conversion, its shapes and its arithmetic are proven anywhere; prediction needs a Mac.

The arithmetic is proven by folding: the same operations over constant tokens are evaluated by the converter itself and
held against a plain numpy BERT.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from desktop.engines.errors import BadModelError, EngineMissingError
from desktop.engines.host import LocalEngine
from tests.unit.engines.rig import files

if importlib.util.find_spec("coremltools") is None:
    pytest.skip("coremltools is not installed (extra coreml)", allow_module_level=True)
pytestmark = pytest.mark.filterwarnings("ignore")  # coremltools' own

CONFIG = {
    "model_type": "bert",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": 50,
    "max_position_embeddings": 300,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from safetensors.numpy import save_file

    draw = np.random.default_rng(3)
    sizes = {"embeddings.word_embeddings": (50, 32), "embeddings.position_embeddings": (300, 32)}
    sizes["embeddings.token_type_embeddings"] = (2, 32)
    weights = {f"bert.{name}.weight": draw.standard_normal(size).astype(np.float32) for name, size in sizes.items()}
    layers = {"embeddings.LayerNorm": (32,)}
    for n in range(2):
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            layers[f"encoder.layer.{n}.{part}"] = (32, 32)
        layers |= {f"encoder.layer.{n}.intermediate.dense": (64, 32), f"encoder.layer.{n}.output.dense": (32, 64)}
        layers |= {f"encoder.layer.{n}.{part}.LayerNorm": (32,) for part in ("attention.output", "output")}
    for name, size in layers.items():
        weights[f"bert.{name}.weight"] = (draw.standard_normal(size) / 4 + (len(size) == 1)).astype(np.float32)
        weights[f"bert.{name}.bias"] = (draw.standard_normal(size[0]) / 10).astype(np.float32)
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path


def _bert(tokens: np.ndarray, w: dict[str, np.ndarray], pooling: str) -> np.ndarray:
    """The plain encoder over the tokens (T,) that are not padding."""
    from scipy.special import erf, softmax

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def normed(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt(x.var(-1, keepdims=True) + 1e-12) * w[f"{name}.weight"] + w[f"{name}.bias"]

    x = w["embeddings.word_embeddings.weight"][tokens] + w["embeddings.position_embeddings.weight"][: len(tokens)]
    x = normed(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for n in range(2):
        at = f"encoder.layer.{n}"
        parts = [
            linear(x, f"{at}.attention.self.{p}").reshape(-1, 4, 8).swapaxes(0, 1) for p in ("query", "key", "value")
        ]
        seen = softmax(parts[0] @ parts[1].swapaxes(1, 2) / np.sqrt(8), axis=-1) @ parts[2]
        x = normed(
            x + linear(seen.swapaxes(0, 1).reshape(-1, 32), f"{at}.attention.output.dense"),
            f"{at}.attention.output.LayerNorm",
        )
        wide = linear(x, f"{at}.intermediate.dense")
        wide = wide * 0.5 * (1 + erf(wide / np.sqrt(2)))
        x = normed(x + linear(wide, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    return x[0] if pooling == "cls" else x.mean(0)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_the_operations_are_those_of_the_encoder(folder: Path, pooling: str) -> None:
    from coremltools.converters.mil import Builder as mb  # noqa: N813
    from coremltools.converters.mil.mil import Function

    from desktop.engines.coreml import encode, read_encoder

    config, weights = read_encoder(folder, pooling)
    tokens = np.array([[7, 3, 49, 12, 3, 0, 0, 0]], np.int32)
    with Function({}):
        found = encode(mb.const(val=tokens), config, weights, pooling)
        assert found.val is not None, "an operation could not be folded"
        value = found.val
    np.testing.assert_allclose(value[0], _bert(tokens[0, :5], weights, pooling), rtol=2e-4, atol=2e-4)


def test_a_converted_encoder_takes_its_enumerated_lengths(folder: Path) -> None:
    import coremltools as ct

    from desktop.engines.coreml import convert_encoder

    convert_encoder(folder, folder / "encoder.mlpackage", "mean")
    spec = ct.models.MLModel(str(folder / "encoder.mlpackage"), skip_model_load=True).get_spec()
    (tokens,) = spec.description.input
    assert tokens.name == "tokens"
    lengths = [tuple(shape.shape) for shape in tokens.type.multiArrayType.enumeratedShapes.shapes]
    assert sorted(lengths) == [(1, 64), (1, 128), (1, 256)]
    assert [output.name for output in spec.description.output] == ["vector"]
    assert not list(folder.glob(".encoder*"))


def test_other_kinds_are_refused(folder: Path) -> None:
    from desktop.engines.coreml import convert_encoder

    (folder / "config.json").write_text(json.dumps(CONFIG | {"model_type": "qwen2"}))
    with pytest.raises(BadModelError):
        convert_encoder(folder, folder / "encoder.mlpackage", "mean")
    assert not (folder / "encoder.mlpackage").exists()


async def test_elsewhere_than_on_a_mac_prediction_is_refused(folder: Path) -> None:
    if sys.platform == "darwin":
        pytest.skip("this is a Mac")
    with pytest.raises(EngineMissingError):
        await LocalEngine("coreml").load(files("coreml", folder, context_tokens=256, pooling="mean"))
