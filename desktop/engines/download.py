"""Which files of a repository make a model, whether there is room for them, and what is kept of a finished download.

Asks no server itself: `hub` does, in a child process. Both are put together by the job that a person starts.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

from desktop.engines.catalog import CatalogEntry, ShapeEntry
from desktop.engines.errors import BadModelError, DamagedDownloadError, NoDiskSpaceError
from desktop.engines.headers import ModelFacts, read_facts
from desktop.engines.hub import Listing
from desktop.engines.installed import Installed, KeptFile, Note, Pin

MODEL_SUFFIXES = (".safetensors", ".json", ".jinja", ".txt", ".model", ".tiktoken")  # never code, never pickles
DISK_MARGIN_BYTES = 1024**3  # stays free after a download
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,200}")


def needed_files(entry: CatalogEntry, listing: Listing) -> Listing:
    """The listing without what no runtime reads. Raises BadModelError when what makes a model is not there."""
    names = {file.name for file in listing.files}
    if entry.files:
        missing = sorted(set(entry.files) - names)
        chosen = [file for file in listing.files if file.name in entry.files]
    else:
        chosen = [file for file in listing.files if is_model_file(file.name)]
        missing = [] if any(file.name.endswith(".safetensors") for file in chosen) else ["a .safetensors file"]
        missing += [] if "config.json" in names else ["config.json"]
    if missing:
        raise BadModelError(
            f"{listing.repository} does not hold {missing[0]}.",
            hint="It may have been changed; choose another model of the catalogue.",
        )
    return replace(listing, files=tuple(chosen))


def is_model_file(name: str) -> bool:
    """Whether a runtime may read it: weights, configuration, tokenizer; top level only."""
    return bool(_NAME.fullmatch(name)) and name.endswith(MODEL_SUFFIXES)


def expected_hashes(entry: CatalogEntry, pin: Pin | None, listing: Listing) -> dict[str, str | None]:
    """The hash each file must have: the catalogue's, else the first download's, else the hub's own."""
    pinned = pin.files if pin is not None and pin.revision == listing.revision else {}
    return {file.name: entry.files.get(file.name) or pinned.get(file.name) or file.sha256 for file in listing.files}


def check_disk(folder: Path, needed_bytes: int) -> None:
    """Whether a download (or copy) of this size leaves room on the disk. Raises NoDiskSpaceError."""
    free = shutil.disk_usage(folder).free
    if needed_bytes + DISK_MARGIN_BYTES > free:
        raise NoDiskSpaceError(
            f"It needs {needed_bytes / 1e9:.1f} GB and {free / 1e9:.1f} GB are free on the disk.",
            hint="Make room, or empty the Trash: benchtop models empty-trash",
            needs_bytes=needed_bytes,
            free_bytes=free,
        )


def draft_dir(installed: Installed, entry: CatalogEntry, listing: Listing) -> Path:
    """Where this download is put together; the same after a restart, so that it goes on."""
    return installed.drafts_dir() / f"hub-{entry.id}-{listing.revision[:12]}"


def left_to_fetch(draft: Path, listing: Listing) -> int:
    """Bytes that are not there yet."""
    here = sum(path.stat().st_size for path in draft.glob("*")) if draft.is_dir() else 0
    return max(0, sum(file.bytes for file in listing.files) - here)


def finish(
    installed: Installed,
    entry: CatalogEntry,
    listing: Listing,
    hashes: dict[str, str],
    now_s: float,
) -> Note:
    """Check that a finished download is a model that can be loaded, make it known, and pin what came.

    raises  BadModelError, DamagedDownloadError (nothing of it is kept then), ModelExistsError
    """
    draft = draft_dir(installed, entry, listing)
    (draft / ".lock").unlink(missing_ok=True)
    try:
        facts = read_facts(draft / next(iter(hashes)) if entry.engine == "gguf" else draft)
    except BadModelError as fault:
        shutil.rmtree(draft)
        raise DamagedDownloadError(
            f"What came is not a model: {fault}", hint="Report it: the repository changed."
        ) from None
    note = Note(
        entry=with_facts(entry, facts),
        files={file.name: KeptFile(bytes=file.bytes, sha256=hashes[file.name]) for file in listing.files},
        source=f"hub: {listing.repository}@{listing.revision}",
        revision=listing.revision,
        added_s=now_s,
    )
    installed.publish(note, draft)
    installed.write_pin(listing.repository, Pin(revision=listing.revision, files=hashes))
    return note


def with_facts(entry: CatalogEntry, facts: ModelFacts) -> CatalogEntry:
    """The entry with what the files themselves say in place of what the catalogue thought."""
    return entry.model_copy(
        update={
            "bytes": facts.weights_bytes,
            "bits": facts.bits,
            "shape": to_entry(facts),
            "context_tokens": min(entry.context_tokens, facts.context_tokens),
        }
    )


def to_entry(facts: ModelFacts) -> ShapeEntry:
    """A shape as the catalogue keeps it."""
    return ShapeEntry(**{name: getattr(facts.shape, name) for name in ShapeEntry.model_fields})
