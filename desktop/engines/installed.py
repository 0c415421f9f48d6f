"""The models on this disk: a folder each, with a note of what is in it and where it came from.

    models/<id>/model.json    the note: catalogue entry, revision, every file with size and SHA-256
    models/<id>/files/…       the files themselves; for a linked model they stay where the person has them
    models/pins.json          revisions and hashes taken at first downloads; they outlive the model
    models/.trash/<id>        moved to the Trash: whole, to be put back or emptied

Nothing is loaded that has no note here, and no path comes from anywhere else.
"""

from __future__ import annotations

import json
import re
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from desktop.core.errors import AppError
from desktop.core.files import write_atomic
from desktop.engines.catalog import CatalogEntry, load_catalog, unknown_model
from desktop.engines.engine import ModelFiles
from desktop.engines.errors import BadModelError, CatalogueError, ModelExistsError, NotInstalledError
from desktop.engines.slots import Wanted

NOTE = "model.json"
TRASH = ".trash"
DRAFTS_KEPT_S = 7 * 86400
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")


class KeptFile(BaseModel):
    """One file of a model on this disk."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bytes: int
    sha256: str


class Note(BaseModel):
    """What is kept with a model.

    source  "hub: owner/name@commit", "import: /where/it/came/from", "quantised: id"
    link    where the files are when they were not copied; empty otherwise
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    entry: CatalogEntry
    files: dict[str, KeptFile]
    source: str
    revision: str = ""
    link: str = ""
    added_s: float = 0.0


class Pin(BaseModel):
    """What the first download of a repository brought: later ones must bring the same."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    revision: str
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model by name: of the catalogue, on this disk, or both (then the entry is the one on the disk)."""

    entry: CatalogEntry
    note: Note | None
    is_trashed: bool = False


class Installed:
    """The folder of models, and the shipped catalogue beside it. Quick reads; moves are renames."""

    def __init__(self, folder: Path, catalog: Path) -> None:
        self.folder, self._catalog = folder, catalog

    @cached_property
    def shipped(self) -> dict[str, CatalogEntry]:
        """The catalogue. Raises CatalogueError."""
        return load_catalog(self._catalog)

    # ---- reading -------------------------------------------------------------------------------------------------

    def models(self) -> list[KnownModel]:
        """Every model by name, the catalogue's first; a note that cannot be read is passed over."""
        found = {name: KnownModel(entry, None) for name, entry in self.shipped.items()}
        for folder, is_trashed in ((self.folder, False), (self.folder / TRASH, True)):
            for path in sorted(folder.glob(f"*/{NOTE}")):
                try:
                    note = _read_note(path)
                except CatalogueError:
                    continue
                if not is_trashed or note.entry.id not in found or found[note.entry.id].note is None:
                    found[note.entry.id] = KnownModel(note.entry, note, is_trashed)
        return list(found.values())

    def find(self, name: str) -> KnownModel:
        """One model. Raises UnknownModelError, CatalogueError."""
        note = self.note(name)
        if note is None and name not in self.shipped:
            raise unknown_model(name, [one.entry.id for one in self.models()])
        return KnownModel(note.entry if note else self.shipped[name], note)

    def note(self, name: str) -> Note | None:
        """What is kept with a model on this disk; None when there is none of this id."""
        path = self.folder / name / NOTE
        return _read_note(path) if _ID.fullmatch(name) and path.is_file() else None

    def wanted(self, name: str, *, context_tokens: int | None = None, kv_bits: int = 16) -> Wanted:
        """A model as the memory budget takes it, its files proven to be there in full length.

        context_tokens  a person's choice; None: the tier's default, which may be shortened when memory is short
        raises          UnknownModelError, NotInstalledError, BadModelError
        """
        known = self.find(name)
        entry, note = known.entry, known.note
        if note is None:
            raise NotInstalledError(
                f"{entry.title} is not on this machine.", hint=f"Download it: benchtop models download {name}"
            )
        folder = self.files_dir(note)
        for file, kept in note.files.items():
            path = folder / file
            if not path.is_file() or path.stat().st_size != kept.bytes:
                raise BadModelError(
                    f"{file} of {name} is missing or not as it was.",
                    hint="Delete the model and download or import it again.",
                    file=file,
                )
        path = folder / next(iter(note.files)) if entry.engine == "gguf" else folder
        context = entry.context(context_tokens)
        files = ModelFiles(name, entry.engine, path, context, kv_bits, entry.pooling)
        return Wanted(files, entry.tier, entry.need(context, kv_bits), is_context_fixed=context_tokens is not None)

    def files_dir(self, note: Note) -> Path:
        """Where the files of a model are."""
        return Path(note.link) if note.link else self.folder / note.entry.id / "files"

    def drafts_dir(self) -> Path:
        """Where models are put together; on the same disk, so that a rename finishes one."""
        folder = self.folder / ".drafts"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def forget_old_drafts(self, now_s: float) -> None:
        """Drop what was begun a week ago and never came to an end."""
        for path in self.drafts_dir().iterdir():
            if now_s - path.stat().st_mtime > DRAFTS_KEPT_S:
                shutil.rmtree(path, ignore_errors=True)

    # ---- changing ------------------------------------------------------------------------------------------------

    def check_is_free(self, name: str) -> None:
        """Raises ModelExistsError."""
        if (self.folder / name).exists():
            raise ModelExistsError(
                f"There is a model called {name} on this machine already.",
                hint="Give another name, or delete that one first.",
            )

    def publish(self, note: Note, files: Path | None) -> Note:
        """Make a finished model known, by one rename. `files`: the folder to take in; None for a linked model."""
        self.check_is_free(note.entry.id)
        draft = self.drafts_dir() / f"{note.entry.id}.{uuid.uuid4().hex[:8]}"
        draft.mkdir()
        try:
            if files is not None:
                files.rename(draft / "files")
            write_atomic(draft / NOTE, note.model_dump_json(indent=1).encode())
            draft.rename(self.folder / note.entry.id)
        except BaseException:
            if files is not None and (draft / "files").exists():
                (draft / "files").rename(files)
            shutil.rmtree(draft, ignore_errors=True)
            raise
        return note

    def trash(self, name: str) -> None:
        """Move a model to the Trash, whole; one of that name there already goes for good. Undo is `restore`.

        raises  NotInstalledError
        """
        if self.note(name) is None:
            raise NotInstalledError(f"{name[:80]} is not on this machine.", hint="See `benchtop models list`.")
        target = self.folder / TRASH / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            shutil.rmtree(target)
        (self.folder / name).rename(target)

    def restore(self, name: str) -> None:
        """Put a model back. Raises NotInstalledError, ModelExistsError."""
        source = self.folder / TRASH / name
        if not _ID.fullmatch(name) or not source.is_dir():
            raise NotInstalledError(f"{name[:80]} is not in the Trash.", hint="See `benchtop models list`.")
        self.check_is_free(name)
        source.rename(self.folder / name)

    def empty_trash(self) -> int:
        """Delete what is in the Trash for good; the bytes that came free. Linked files are never touched."""
        trash = self.folder / TRASH
        freed = sum(path.stat().st_size for path in trash.rglob("*") if path.is_file() and not path.is_symlink())
        shutil.rmtree(trash, ignore_errors=True)
        return freed

    # ---- pins ----------------------------------------------------------------------------------------------------

    def pin(self, repository: str) -> Pin | None:
        """What the first download of a repository brought."""
        return self._pins().get(repository)

    def write_pin(self, repository: str, pin: Pin) -> None:
        """Keep what a first download brought; files of earlier downloads of the same commit stay."""
        pins = self._pins()
        old = pins.get(repository)
        if old is not None and old.revision == pin.revision:
            pin = Pin(revision=pin.revision, files={**old.files, **pin.files})
        kept = {name: one.model_dump() for name, one in {**pins, repository: pin}.items()}
        write_atomic(self.folder / "pins.json", json.dumps(kept, indent=1, sort_keys=True).encode())

    def _pins(self) -> Mapping[str, Pin]:
        path = self.folder / "pins.json"
        if not path.is_file():
            return {}
        try:
            return {name: Pin.model_validate(one) for name, one in json.loads(path.read_bytes()).items()}
        except (ValueError, AttributeError, ValidationError) as fault:
            raise _bad_note(path) from fault


def _read_note(path: Path) -> Note:
    try:
        note = Note.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as fault:
        raise _bad_note(path) from fault
    if note.entry.id != path.parent.name:
        raise _bad_note(path)
    return note


def _bad_note(path: Path) -> AppError:
    return CatalogueError(
        f"{path} cannot be understood.",
        hint="Delete that file, then download or import the model again.",
        file=path.name,
    )
