"""Fixtures every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from tests.unit.engines import tiny_models

settings.register_profile("benchtop", deadline=None)  # no test is about time: machines are busy
settings.load_profile("benchtop")
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The measured reference data beside the checkout; absent on other machines."""
    data = ROOT.parent / "shared" / "data"
    if not data.is_dir():
        pytest.skip("shared reference data is not beside this checkout")
    return data


@pytest.fixture(scope="session")
def tiny_mlx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a real MLX model of 300 KB, 4-bit, with random weights."""
    if reason := tiny_models.why_not("mlx"):
        pytest.skip(reason)
    return tiny_models.make("mlx", tmp_path_factory.mktemp("models") / "tiny-mlx")


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real GGUF model of 400 KB, Q8_0, with random weights."""
    if reason := tiny_models.why_not("gguf"):
        pytest.skip(reason)
    return tiny_models.make("gguf", tmp_path_factory.mktemp("models") / "tiny.gguf", tiny_models.Shape(bits=8))
