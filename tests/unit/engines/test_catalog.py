"""The catalogue that ships, and what keeps anything else out."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from desktop.core.paths import resources_dir
from desktop.engines.catalog import CatalogEntry, load_catalog
from desktop.engines.errors import CatalogueError, NotInstalledError, UnknownModelError
from desktop.engines.installed import Installed

SHIPPED = resources_dir() / "catalog"
KIB_A_TOKEN = {  # from the publishers' configurations
    "qwen2.5-1.5b-instruct": 28,
    "qwen3-1.7b": 112,
    "qwen3-4b-instruct-2507": 144,
    "qwen2.5-7b-instruct": 56,
    "qwen3-8b": 144,
    "qwen2.5-14b-instruct": 192,
}


def test_it_has_every_kind() -> None:
    entries = load_catalog(SHIPPED).values()
    assert {entry.tier for entry in entries} == {"small", "medium", "large"}
    assert {"mlx", "gguf", "openai", "databricks"} <= {entry.engine for entry in entries}
    assert any("embed" in entry.capabilities for entry in entries)
    for tier in ("small", "medium"):  # each runtime has one of each tier
        assert {"mlx", "gguf"} <= {entry.engine for entry in entries if entry.tier == tier}


@pytest.mark.parametrize(("name", "kib"), KIB_A_TOKEN.items())
def test_shapes_are_the_published_ones(name: str, kib: int) -> None:
    entry = load_catalog(SHIPPED)[name]
    assert entry.need(1024).kv_bytes == kib * 1024 * 1024
    assert entry.need(1024, kv_bits=8).kv_bytes == pytest.approx(kib * 1024 * 1024 * 1.0625 / 2, rel=1e-6)
    assert entry.need(1024, kv_bits=4).kv_bytes == pytest.approx(kib * 1024 * 1024 * 0.5625 / 2, rel=1e-6)


def _write(folder: Path, *entries: dict[str, object]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "own.yaml").write_text(yaml.safe_dump({"models": list(entries)}))
    return folder


GOOD: dict[str, object] = {
    "id": "a",
    "title": "A",
    "tier": "small",
    "engine": "mlx",
    "bytes": 10,
    "context_tokens": 100,
    "licence": "MIT",
    "shape": {
        "attention_layers": 1,
        "kv_heads": 1,
        "head_dim": 64,
        "hidden": 64,
        "intermediate": 64,
        "vocabulary": 10,
    },
}


@pytest.mark.parametrize(
    "change",
    [
        {"id": "../etc/passwd"},
        {"id": "A B"},
        {"repository": "https://elsewhere.org/x/y"},
        {"repository": "a/b/../c"},
        {"revision": "main"},
        {"files": {"../x.gguf": None}},
        {"files": {"x.gguf": "abc"}},
        {"tier": "huge"},
        {"engine": "pickle"},
        {"licence": ""},
        {"shape": None},
        {"bytes": -1},
        {"pooling": "last"},
        {"engine": "gguf", "repository": "a/b"},
        {"surprise": 1},
    ],
    ids=str,
)
def test_what_is_not_right_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    load_catalog(_write(tmp_path, GOOD))
    with pytest.raises(CatalogueError) as raised:
        load_catalog(_write(tmp_path, GOOD | change))
    assert raised.value.facts["file"] == "own.yaml"


@pytest.mark.parametrize("text", ["", "models", "models: [", "- 1", "models: !!python/object/apply:os.system [true]"])
def test_what_is_no_catalogue(tmp_path: Path, text: str) -> None:
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(CatalogueError):
        load_catalog(tmp_path)


def test_one_name_twice(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError):
        load_catalog(_write(tmp_path, GOOD, GOOD))


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../models/x", ".", "..", "", "~", "a/b", "https://x", "qwen\x00", "Qwen3-8B", "x" * 5000]
)
def test_only_names_of_the_catalogue_are_models(tmp_path: Path, name: str) -> None:
    models = Installed(tmp_path / "models", SHIPPED)
    with pytest.raises(UnknownModelError) as raised:
        models.wanted(name)
    assert len(str(raised.value)) < 200
    with pytest.raises(NotInstalledError):
        models.trash(name)
    with pytest.raises(NotInstalledError):
        models.restore(name)


def test_a_close_name_is_offered_and_a_known_one_must_be_here(tmp_path: Path) -> None:
    models = Installed(tmp_path / "models", SHIPPED)
    with pytest.raises(UnknownModelError) as raised:
        models.find("qwen3-8B")
    assert "Did you mean qwen3-8b?" in raised.value.hint
    with pytest.raises(NotInstalledError) as missing:
        models.wanted("qwen3-8b")
    assert "benchtop models download qwen3-8b" in missing.value.hint


def test_contexts_are_bounded_by_the_model() -> None:
    entry = CatalogEntry.model_validate(GOOD)
    assert entry.context() == 100
    assert entry.context(50) == 50
    assert entry.context(10**9) == 100
