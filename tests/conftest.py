"""Fixtures every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The measured reference data beside the checkout; absent on other machines."""
    data = ROOT.parent / "shared" / "data"
    if not data.is_dir():
        pytest.skip("shared reference data is not beside this checkout")
    return data
