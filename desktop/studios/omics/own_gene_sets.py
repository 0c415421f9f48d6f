"""The person's own gene sets: GMT files kept in a folder of theirs, each with its name, hash and where it came from.

A plan names a file by name and hash, so that a run says exactly what it tested. Tests nothing and maps nothing.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from desktop.studios.omics.errors import BadGeneSetsError, OutputFolderError, UnknownGeneSetsError
from desktop.studios.omics.gmt import MAX_BYTES, GmtSet, id_type_of_sets, parse_gmt
from desktop.studios.omics.schema import OwnGeneSets

FOLDER = "gene_sets"  # in the person's data folder
BUNDLED = frozenset({"BP", "CC", "MF"})  # names of the bundled collections


@dataclass(frozen=True, slots=True)
class KeptSets:
    """What is known of a file that was added. `file` is what it was called, `id_type` what its genes look like."""

    name: str
    sha256: str
    file: str
    added_s: float
    n_sets: int
    n_genes: int
    id_type: str

    @property
    def reference(self) -> OwnGeneSets:
        """How a plan names it."""
        return OwnGeneSets(name=self.name, sha256=self.sha256)


def add_gene_sets(folder: Path, path: Path, now_s: float) -> KeptSets:
    """Keep a copy of a GMT file; one that is there is only named. Another one of the same name gets a number.

    raises   BadGeneSetsError, OutputFolderError
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadGeneSetsError(f"{path.name} is too large.", hint="Take the sets you need from it.", file=str(path))
        data = path.read_bytes()
    except OSError as error:
        raise BadGeneSetsError(
            f"{path} cannot be read: {error.strerror}.", hint="Check the path.", file=str(path)
        ) from error
    sets = parse_gmt(data, path.name)
    sha256 = hashlib.sha256(data).hexdigest()
    kept = list_gene_sets(folder)
    if there := next((one for one in kept if one.sha256 == sha256), None):
        return there
    taken, stem = {one.name for one in kept} | BUNDLED, _slug(path.name)
    name = next(one for one in (stem, *(f"{stem}-{k}" for k in range(2, len(taken) + 3))) if one not in taken)
    genes = {gene for one in sets for gene in one.genes}
    found = KeptSets(name, sha256, path.name, now_s, len(sets), len(genes), id_type_of_sets(sets))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for target, content in (
            (folder / f"{name}.gmt.gz", data if data[:2] == b"\x1f\x8b" else gzip.compress(data, 6, mtime=0)),
            (folder / f"{name}.json", (json.dumps(asdict(found), indent=2, ensure_ascii=False) + "\n").encode()),
        ):
            unfinished = target.with_name(f".part-{target.name}")
            unfinished.write_bytes(content)
            unfinished.replace(target)
    except OSError as error:
        raise OutputFolderError(
            f"The gene sets cannot be kept in {folder}: {error.strerror}.", hint="Check the disk and the data folder."
        ) from error
    return found


def list_gene_sets(folder: Path) -> list[KeptSets]:
    """The files there are, by name; what is damaged is left out."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            one = KeptSets(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            continue
        if path.with_suffix(".gmt.gz").is_file() and one.name == path.stem:
            found.append(one)
    return sorted(found, key=lambda one: one.name)


def remove_gene_sets(folder: Path, name: str) -> None:
    """Forget a file; runs that used it keep what they tested in their own folders."""
    if any(one.name == name for one in list_gene_sets(folder)):
        for suffix in (".json", ".gmt.gz"):
            (folder / f"{name}{suffix}").unlink(missing_ok=True)


def load_own_sets(folder: Path, wanted: OwnGeneSets) -> tuple[KeptSets, list[GmtSet]]:
    """What a plan names.

    raises   UnknownGeneSetsError when it is not there, or is not the one the plan was made with
    """
    kept = next((one for one in list_gene_sets(folder) if one.sha256 == wanted.sha256), None)
    if kept is None:
        raise UnknownGeneSetsError(
            f"The gene sets {wanted.name!r} of this plan are not here.",
            hint="Add the GMT file again, or take the gene sets out of the plan.",
            sha256=wanted.sha256,
        )
    data = (folder / f"{kept.name}.gmt.gz").read_bytes()
    sets = parse_gmt(data, kept.file)
    if wanted.sha256 not in (hashlib.sha256(data).hexdigest(), hashlib.sha256(gzip.decompress(data)).hexdigest()):
        raise UnknownGeneSetsError(
            f"The gene sets {wanted.name!r} were changed since they were added.",
            hint="Remove them and add the GMT file again.",
            sha256=wanted.sha256,
        )
    return kept, sets


def _slug(file: str) -> str:
    """The file's name without its endings, as one word."""
    stem = re.sub(r"(\.gmt)?(\.gz)?$", "", file, flags=re.IGNORECASE)
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", stem).strip("._-")[:60] or "gene_sets"
