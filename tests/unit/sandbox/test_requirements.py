"""The image holds the versions the application was tested with, each by its hashes."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
REQUIREMENTS = ROOT / "resources" / "sandbox" / "requirements.txt"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pin", ROOT / "packaging" / "pin_sandbox_requirements.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pins_and_hashes_are_those_of_the_constraints(script: ModuleType) -> None:
    text = REQUIREMENTS.read_text(encoding="utf-8")
    assert script.pinned(text, (ROOT / "constraints.txt").read_text(encoding="utf-8")) == text
    entries = re.findall(r"^[a-z0-9-]+==\S+ \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", text, re.MULTILINE)
    assert len(entries) == text.count("==") > 40


def test_a_package_the_constraints_do_not_know_is_an_error(script: ModuleType) -> None:
    with pytest.raises(KeyError):
        script.pinned("nowhere==1.0\n", "numpy==1.0 \\\n    --hash=sha256:ab\n")


def test_every_installation_demands_the_hashes() -> None:
    for name in ("Dockerfile", "make_base_image.py"):
        assert "--require-hashes" in (REQUIREMENTS.parent / name).read_text(encoding="utf-8")
