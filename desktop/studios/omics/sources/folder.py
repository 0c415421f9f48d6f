"""The files of a folder, each told by its content: what it is, and the tables it holds. Chooses nothing."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from desktop.core.errors import AppError
from desktop.studios.omics.errors import NothingAnalysableError, UnreadableTableError
from desktop.studios.omics.schema import FileRole, FoundFile
from desktop.studios.omics.sources import soft
from desktop.studios.omics.sources import text as texts
from desktop.studios.omics.sources.archives import archive_kind
from desktop.studios.omics.sources.expression import ExpressionTable
from desktop.studios.omics.sources.files import read_expression, role_of, role_of_table, sha256
from desktop.studios.omics.sources.per_sample import read_sample_file
from desktop.studios.omics.sources.sample_sheet import sheet_columns
from desktop.studios.omics.sources.spreadsheets import is_workbook, read_workbook
from desktop.studios.omics.sources.tables import Table, read_table
from desktop.studios.omics.steps.gene_ids import id_type_of
from desktop.studios.omics.steps.vocabulary import vocabulary

MAX_FILES = 2000
_MAX_DEPTH = 8
_RUN = re.compile(r"[SED]RR\d{3,}")


@dataclass
class Look:
    """One file, what it is, and what was read from it."""

    path: Path
    record: FoundFile
    expression: ExpressionTable | None = None
    series: soft.GeoSeries | None = None
    sheet: dict[str, list[str]] | None = None
    problem: AppError | None = None


@dataclass
class Contents:
    """Everything in a folder; `loose` are folders holding one counts file a sample."""

    root: Path
    looks: list[Look] = field(default_factory=list)
    loose: list[Look] = field(default_factory=list)
    cells_problem: AppError | None = None  # why the single cells that are there cannot be used

    @property
    def all(self) -> list[Look]:
        return [*self.loose, *self.looks]


def files_of(root: Path) -> list[Path]:
    """Regular files under a folder in order of name, links and hidden files passed over.

    raises   NothingAnalysableError if there are none, or more than are looked at
    """
    found: list[Path] = []
    for folder, folders, names in os.walk(root, followlinks=False):
        depth = len(Path(folder).relative_to(root).parts)
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if depth < _MAX_DEPTH else []
        for name in sorted(names):
            path = Path(folder) / name
            if not name.startswith(".") and path.is_file() and not path.is_symlink():
                found.append(path)
                if len(found) > MAX_FILES:
                    raise NothingAnalysableError(
                        f"{root.name} holds more than {MAX_FILES} files.",
                        hint="Give the folder of one dataset.",
                        folder=str(root),
                    )
    if not found:
        links = any(path.is_symlink() for path in root.iterdir())
        raise NothingAnalysableError(
            f"{root.name} holds only links to files elsewhere, which are not followed."
            if links
            else f"{root.name} holds no files.",
            hint="Give the file or the folder that the links lead to."
            if links
            else "Choose a folder with a counts table in it.",
            folder=str(root),
        )
    return found


def look_at(root: Path, extra: list[Path]) -> Contents:
    """Look at every file of a folder and at `extra` files that belong to it."""
    contents = Contents(root)
    per_folder: dict[Path, list[Look]] = {}
    for path in [*(files_of(root) if root.is_dir() else [root]), *extra]:
        look = look_at_file(path)
        contents.looks.append(look)
        if look.record.role == "per_sample_counts" and look.expression is None:
            per_folder.setdefault(path.parent, []).append(look)
    groups = [folder for folder, found in per_folder.items() if len(found) >= 2]
    if not groups and len(per_folder) >= 2:  # one folder a sample, as salmon and kallisto write
        parents = {folder.parent for folder in per_folder}
        groups = [next(iter(parents))] if len(parents) == 1 else []
    for folder in groups:
        try:
            table = read_expression(folder)
        except AppError:
            continue
        record = FoundFile(
            path=str(folder),
            role="per_sample_counts" if table.value_type in ("counts", "expected_counts") else "normalised_table",
            value_type=table.value_type,
            id_type=table.id_type,
            n_rows=len(table.gene_ids),
            n_samples=len(table.names),
            why=table.why,
        )
        contents.loose.append(Look(folder, record, expression=table))
    _look_at_cells(contents)
    return contents


def _look_at_cells(contents: Contents) -> None:
    """The files of cells together, added up to one table of samples."""
    found = [look for look in contents.looks if look.record.role == "single_cell" and look.expression is None]
    if not found or any(look.expression is not None and look.expression.pools for look in contents.looks):
        return
    path = found[0].path
    if len(found) > 1:
        path = Path(os.path.commonpath([look.path.parent for look in found]))
    try:
        table = read_expression(path)
    except AppError as error:
        contents.cells_problem = error
        found[0].record = found[0].record.model_copy(update={"why": f"{found[0].record.why} {error}"})
        return
    if table.pools is None:
        return
    record = FoundFile(
        path=str(path),
        role="single_cell",
        value_type=table.value_type,
        id_type=table.id_type,
        n_rows=len(table.gene_ids),
        n_samples=len(table.names),
        why=table.why,
    )
    if path.is_dir():
        contents.loose.append(Look(path, record, expression=table))
        return
    found[0].expression = table
    known = found[0].record
    found[0].record = record.model_copy(update={"size_bytes": known.size_bytes, "sha256": known.sha256})


def look_at_file(path: Path) -> Look:
    """One file, told by its content; what cannot be read becomes a record that says why."""
    size = path.stat().st_size
    try:
        role, look = _by_content(path)
    except AppError as error:
        if isinstance(error, UnreadableTableError) and error.facts.get("is_prose"):
            return Look(path, FoundFile(path=str(path), role="other", size_bytes=size, why="Text, not a table."))
        record = FoundFile(path=str(path), role="unreadable", size_bytes=size, why=str(error))
        return Look(path, record, problem=error)
    digest = sha256(path) if size < 4 * 1024**3 else ""
    look.record = look.record.model_copy(update={"path": str(path), "role": role, "size_bytes": size, "sha256": digest})
    return look


def _by_content(path: Path) -> tuple[FileRole, Look]:
    empty = Look(path, FoundFile(path=str(path), role="other"))
    raw = _first(path, 4096)
    if not raw:
        raise UnreadableTableError(f"{path.name} is empty.", hint="Download it again.", file=path.name)
    head = texts.read_bytes(path, limit=texts.HEAD_BYTES, head_only=True)
    plain = _plain_role(path, raw, head)
    if plain is not None:
        role, why = plain
        empty.record = empty.record.model_copy(update={"why": why})
        return role, empty
    if archive_kind(head) is not None and not is_workbook(raw):
        return _archive(path, empty)
    if is_workbook(head):
        return _workbook(path, empty)
    text, _ = texts.decode(head[: head.rfind(b"\n") + 1] or head, name=path.name)
    if soft.is_series_matrix(text):
        return _series_matrix(path, empty)
    if soft.is_platform_annotation(text):
        texts.read_bytes(path)  # one that is cut off is said to be
        empty.record = empty.record.model_copy(update={"why": "What GEO says of the platform's probes."})
        return "annotation", empty
    if soft.is_soft(text):
        whole, _ = texts.decode(texts.read_bytes(path), name=path.name)
        empty.series = soft.read_family(whole)
        empty.record = empty.record.model_copy(
            update={"n_samples": len(empty.series.samples), "why": "What GEO says of the series and its samples."}
        )
        try:
            return _with_expression(empty, read_expression(path), "family_soft")
        except NothingAnalysableError:
            return "family_soft", empty
    return _table(path, empty)


R_OBJECT = "An R object, which only R can open: save its counts as text, or its cells as .h5ad."
_MAGIC: tuple[tuple[bytes, FileRole, str], ...] = (
    (b"\x89HDF\r\n\x1a\n", "single_cell", "An HDF5 file, as anndata and CellRanger write cells."),
    (b"%%MatrixMarket", "single_cell", "A sparse matrix, as 10x writes cells."),
    (b"BAM\x01", "raw_reads", "Aligned reads."),
    (b"CRAM", "raw_reads", "Aligned reads."),
    (b"IDAT", "array_raw", "A raw Illumina array."),
    (b"[CEL]", "array_raw", "A raw Affymetrix array."),
    (b"@\x00\x00\x00", "array_raw", "A raw Affymetrix array."),
    (b";\x01\x00\x00", "array_raw", "A raw Affymetrix array."),
    (b"\x26\xfc\x8f\x88", "peaks", "A signal track (bigWig)."),
    (b"\x88\x8f\xfc\x26", "peaks", "A signal track (bigWig)."),
    (b"RDX", "other", R_OBJECT),
    (b"RDA", "other", R_OBJECT),
    (b"X\n\x00\x00\x00", "other", R_OBJECT),
    (b"%PDF", "other", "A document."),
    (b"\x89PNG", "other", "A picture."),
)


def _plain_role(path: Path, raw: bytes, head: bytes) -> tuple[FileRole, str] | None:
    for magic, role, why in _MAGIC:
        if head.startswith(magic) or raw.startswith(magic):
            return role, why
    start = head[:400].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "unreadable", "A web page, not a data file: the download went wrong."
    if start.startswith((b"<?xml", b"<miniml")):
        return "other", "An XML record."
    if re.match(rb"@\S+.*\n[ACGTNacgtn.]+\n\+", head[:2000]):
        return "raw_reads", "Sequencing reads (FASTQ)."
    if re.match(rb">\S+.*\n[ACGTUNacgtunA-Z*]+\n", head[:2000]):
        return "other", "Sequences (FASTA)."
    if re.match(rb"(track |browser |fixedstep|variablestep|#chr|chr[\w.]+\t\d+\t\d+)", start):
        return "peaks", "Regions of the genome (peaks, tracks), not genes."
    if re.match(rb"archive/file\tname\t|#archive/file", start):
        return "other", "GEO's list of files."
    if re.match(rb"(##gff|##gtf|#!genome|[\w.]+\t[\w.-]+\t(gene|transcript|exon|cds)\t\d+\t\d+\t)", start):
        return "annotation", "A gene annotation (GTF, GFF)."
    return None


def _first(path: Path, count: int) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(count)
    except OSError as error:
        raise UnreadableTableError(
            f"{path.name} cannot be read.", hint="Check who may read it.", file=path.name, reason=str(error)
        ) from None


def _with_expression(look: Look, table: ExpressionTable, role: FileRole) -> tuple[FileRole, Look]:
    look.expression = table
    look.record = look.record.model_copy(
        update={
            "value_type": table.value_type,
            "id_type": table.id_type,
            "n_rows": len(table.gene_ids),
            "n_samples": len(table.names),
            "why": table.why,
        }
    )
    return role, look


def _archive(path: Path, look: Look) -> tuple[FileRole, Look]:
    try:
        table = read_expression(path)
    except NothingAnalysableError as error:
        look.record = look.record.model_copy(update={"why": str(error)})
        return "archive", look
    if table.pools is not None:
        return _with_expression(look, table, "single_cell")
    counts = table.value_type in ("counts", "expected_counts")
    return _with_expression(look, table, "per_sample_counts" if counts else "archive")


def _workbook(path: Path, look: Look) -> tuple[FileRole, Look]:
    try:
        table = read_expression(path)
    except (NothingAnalysableError, UnreadableTableError):
        sheet = _as_sheet(read_workbook(path, as_text=True)[0])
        if sheet is None:
            return "other", look
        look.sheet = sheet[1]
        return sheet[0], look
    if _is_small_sheet(table):
        sheet = _as_sheet(read_workbook(path, as_text=True)[0])
        if sheet is not None:
            look.sheet = sheet[1]
            return sheet[0], look
    return _with_expression(look, table, role_of(table.value_type))


def _series_matrix(path: Path, look: Look) -> tuple[FileRole, Look]:
    whole, _ = texts.decode(texts.read_bytes(path), name=path.name)
    look.series, table = soft.read_series_matrix(whole)
    look.record = look.record.model_copy(
        update={"n_samples": len(look.series.samples), "why": "What GEO says of the samples; it holds no values."}
    )
    if table:
        role, look = _with_expression(look, read_expression(path), "series_matrix")
        return role, look
    return "series_matrix", look


def _table(path: Path, look: Look) -> tuple[FileRole, Look]:
    text_table = read_table(path, as_text=True)
    sheet = _as_sheet(text_table)
    if sheet is not None:
        look.sheet = sheet[1]
        look.record = look.record.model_copy(update={"n_rows": len(text_table.frame), "why": "A table of samples."})
        return sheet[0], look
    sample = read_sample_file(path.name, texts.read_bytes(path))
    if sample is not None:
        look.record = look.record.model_copy(
            update={"n_rows": len(sample.ids), "n_samples": 1, "why": f"{sample.kind} counts of one sample."}
        )
        return "per_sample_counts", look
    results = sum(vocabulary().has("result_headers", heading) for heading in text_table.heading)
    try:
        table = read_expression(path)
    except NothingAnalysableError:
        role: FileRole = "result_table" if results >= 2 else "annotation" if len(text_table.frame) > 500 else "other"
        look.record = look.record.model_copy(
            update={"n_rows": len(text_table.frame), "why": "It has no columns of expression values."}
        )
        return role, look
    if results >= 2 and table.value_type not in ("counts", "expected_counts"):
        look.record = look.record.model_copy(
            update={"n_rows": len(table.gene_ids), "why": "Results of an analysis, not values to analyse."}
        )
        return "result_table", look
    if len(table.names) < 2 or (id_type_of(table.gene_ids) == "unknown" and table.value_type == "not_expression"):
        look.record = look.record.model_copy(
            update={"n_rows": len(table.gene_ids), "why": "Not a table of genes by samples."}
        )
        return "other", look
    return _with_expression(look, table, role_of_table(table))


def _is_small_sheet(table: ExpressionTable) -> bool:
    return len(table.gene_ids) <= 1500 and table.id_type == "unknown"


def _as_sheet(table: Table) -> tuple[FileRole, dict[str, list[str]]] | None:
    """A table of samples: few rows, words in its columns, and headings or accessions that samples have."""
    n_rows = len(table.frame)
    if n_rows > 3000 or n_rows < 2 or table.is_made_heading:
        return None
    try:
        columns = sheet_columns(table)
    except UnreadableTableError:
        return None
    for values in columns.values():
        if sum(bool(_RUN.fullmatch(value)) for value in values) >= 0.9 * n_rows and _n_worded(columns) > 2:
            return "run_table", columns
    if not any(len(set(values)) == n_rows for values in columns.values()):
        return None
    words = vocabulary()
    said = sum(
        any(
            words.has(which, h)
            for which in (
                "group_names",
                "batch_names",
                "pairing_names",
                "replicate_names",
                "identity_names",
                "numeric_names",
            )
        )
        for h in columns
    )
    genes = id_type_of(list(next(iter(columns.values()))))
    if genes in ("ensembl", "flybase", "probe", "refseq", "entrez") and n_rows > 100:
        return None
    if _n_worded(columns) >= 2 and said >= 1 and _n_worded(columns) >= 0.4 * len(columns):
        return "sample_sheet", columns
    return None


def _n_worded(columns: dict[str, list[str]]) -> int:
    """Columns that hold words, not only numbers."""
    return sum(any(not re.fullmatch(r"[\d.,eE+-]*", value) for value in values) for values in columns.values())
