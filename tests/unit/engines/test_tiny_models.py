"""The models that tests make are real ones: complete files, the shape that was asked for, the same each time."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.unit.engines.tiny_models import Shape, make, why_not


def test_an_mlx_model(tiny_mlx: Path) -> None:
    config = json.loads((tiny_mlx / "config.json").read_text())
    assert config["quantization"]["bits"] == 4
    assert (tiny_mlx / "chat_template.jinja").read_text().startswith("{% for message")
    assert sum(path.stat().st_size for path in tiny_mlx.iterdir()) < 600_000


def test_a_gguf_model(tiny_gguf: Path) -> None:
    assert tiny_gguf.read_bytes()[:4] == b"GGUF"
    assert tiny_gguf.stat().st_size < 600_000


@pytest.mark.parametrize("kind", ["mlx", "gguf"])
def test_one_seed_one_model(kind: str, tmp_path: Path) -> None:
    if reason := why_not(kind):
        pytest.skip(reason)
    made = [
        make(kind, tmp_path / str(n) / "model", Shape(layers=1, bits=32, seed=seed)) for n, seed in enumerate((1, 1, 2))
    ]
    weights = [path / "model.safetensors" if kind == "mlx" else path for path in made]
    first, same, other = (hashlib.sha256(path.read_bytes()).hexdigest() for path in weights)
    assert first == same != other
