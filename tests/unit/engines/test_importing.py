"""A person's own models: taken in or linked, listed, put into the Trash and back, and proven before each load."""

from __future__ import annotations

from pathlib import Path

import pytest

from desktop.core.paths import resources_dir
from desktop.engines import importing
from desktop.engines.errors import BadModelError, CatalogueError, ModelExistsError, NoDiskSpaceError, NotInstalledError
from desktop.engines.importing import import_model, quantise_model
from desktop.engines.installed import NOTE, Installed
from tests.unit.engines.model_files import folder_files, gguf, write_folder


@pytest.fixture
def models(tmp_path: Path) -> Installed:
    return Installed(tmp_path / "models", resources_dir() / "catalog")


@pytest.fixture
def draft(models: Installed) -> Path:
    return models.drafts_dir() / "draft"


def states(models: Installed) -> dict[str, bool]:
    return {one.entry.id: one.is_trashed for one in models.models() if one.note}


def test_a_folder_is_copied_without_what_no_runtime_reads(models: Installed, draft: Path, tmp_path: Path) -> None:
    files = folder_files() | {"modeling.py": b"import os", "weights.bin": b"pickle", "README.md": b"hello"}
    note = import_model(models, write_folder(tmp_path / "My Model (v2)", files), draft)
    assert note.entry.id == "my-model-v2"
    wanted = models.wanted("my-model-v2")
    assert wanted.files.path == tmp_path / "models" / "my-model-v2" / "files"
    assert {path.name for path in wanted.files.path.iterdir()} == set(folder_files())
    assert (wanted.files.engine, wanted.files.context_tokens, wanted.tier) == ("mlx", 4096, "small")
    assert wanted.need.weights_bytes == 4096
    assert not draft.exists()


def test_a_gguf_file_is_linked(models: Installed, draft: Path, tmp_path: Path) -> None:
    source = tmp_path / "Tiny.Q4.gguf"
    source.write_bytes(gguf())
    import_model(models, source, draft, is_linked=True, name="mine", pooling="mean")
    wanted = models.wanted("mine", context_tokens=1000)
    assert (wanted.files.path, wanted.files.pooling, wanted.is_context_fixed) == (source, "mean", True)
    assert wanted.need.has_kv_upfront
    source.write_bytes(b"GGUF")
    with pytest.raises(BadModelError):
        models.wanted("mine")
    models.trash("mine")
    models.empty_trash()
    assert source.exists()


def test_a_bert_encoder_is_for_core_ml_and_says_how_it_pools(models: Installed, draft: Path, tmp_path: Path) -> None:
    source = write_folder(tmp_path / "encoder", folder_files(bits=None, model_type="bert", max_position_embeddings=512))
    with pytest.raises(BadModelError) as refused:
        import_model(models, source, draft)
    assert "--pooling" in refused.value.hint
    assert states(models) == {}
    import_model(models, source, draft, pooling="cls")
    wanted = models.wanted("encoder")
    assert (wanted.files.engine, wanted.files.pooling, wanted.files.context_tokens) == ("coreml", "cls", 512)


def test_what_is_broken_leaves_nothing(models: Installed, draft: Path, tmp_path: Path) -> None:
    source = write_folder(tmp_path / "m", folder_files() | {"config.json": b"{"})
    with pytest.raises(BadModelError):
        import_model(models, source, draft)
    with pytest.raises(BadModelError):
        import_model(models, write_folder(tmp_path / "ok"), draft, name="../up")
    assert list((tmp_path / "models").glob("**/*")) in ([], [models.drafts_dir()])


def test_a_name_is_taken_once(models: Installed, draft: Path, tmp_path: Path) -> None:
    source = write_folder(tmp_path / "m")
    import_model(models, source, draft)
    with pytest.raises(ModelExistsError):
        import_model(models, source, draft)
    import_model(models, source, draft, name="another")
    assert states(models) == {"m": False, "another": False}


def test_no_room_on_the_disk(models: Installed, draft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_folder(tmp_path / "m")
    monkeypatch.setattr("desktop.engines.download.DISK_MARGIN_BYTES", 2**60)
    with pytest.raises(NoDiskSpaceError) as raised:
        import_model(models, source, draft)
    assert raised.value.facts["needs_bytes"] == sum(map(len, folder_files().values()))
    import_model(models, source, draft, is_linked=True)


def test_trash_and_back(models: Installed, draft: Path, tmp_path: Path) -> None:
    import_model(models, write_folder(tmp_path / "m"), draft)
    models.trash("m")
    assert states(models) == {"m": True}
    with pytest.raises(NotInstalledError):
        models.trash("m")
    models.restore("m")
    models.wanted("m")
    models.trash("m")
    import_model(models, tmp_path / "m", draft)  # another of that name meanwhile
    with pytest.raises(ModelExistsError):
        models.restore("m")
    models.trash("m")
    assert models.empty_trash() > 4096
    assert states(models) == {}


@pytest.mark.parametrize("damage", [b"", b"{", b'{"entry": {}}'])
def test_a_note_that_cannot_be_read(models: Installed, draft: Path, tmp_path: Path, damage: bytes) -> None:
    import_model(models, write_folder(tmp_path / "m"), draft)
    (tmp_path / "models" / "m" / NOTE).write_bytes(damage)
    with pytest.raises(CatalogueError):
        models.wanted("m")
    assert states(models) == {}


def test_a_folder_that_was_renamed_is_not_that_model(models: Installed, draft: Path, tmp_path: Path) -> None:
    import_model(models, write_folder(tmp_path / "m"), draft)
    (tmp_path / "models" / "m").rename(tmp_path / "models" / "qwen3-8b")
    with pytest.raises(CatalogueError):
        models.wanted("qwen3-8b")


def test_names() -> None:
    names = ["Qwen2.5 7B.gguf", "ÄÖ模型", "..", "a" * 200]
    made = [importing.to_name(Path(name)) for name in names]
    assert made == ["qwen2.5-7b", "model", "model", "a" * 80]


def test_only_full_precision_can_be_quantised(models: Installed, draft: Path, tmp_path: Path) -> None:
    for source in (write_folder(tmp_path / "m"), tmp_path / "m.gguf"):
        if source.suffix == ".gguf":
            source.write_bytes(gguf())
        with pytest.raises(BadModelError):
            quantise_model(models, source, draft)
