"""One path to one expression table, whatever its packing: text, workbook, series matrix, archive, folder of samples.

Deterministic: the same path gives the same table every time, so a choice is kept as a path alone.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from desktop.core.errors import AppError
from desktop.studios.omics.errors import NothingAnalysableError, UnreadableTableError
from desktop.studios.omics.schema import COUNTED, Caution, FileRole, FoundFile, ValueType
from desktop.studios.omics.sources import soft
from desktop.studios.omics.sources import text as texts
from desktop.studios.omics.sources.archives import archive_kind, read_members
from desktop.studios.omics.sources.cells import dense_cells, to_samples
from desktop.studios.omics.sources.expression import ExpressionTable, to_expression
from desktop.studios.omics.sources.per_sample import combine
from desktop.studios.omics.sources.spreadsheets import is_workbook, read_workbook
from desktop.studios.omics.sources.tables import Table, read_table
from desktop.studios.omics.sources.tenx import HDF5, MTX, has_cells, is_named_for_cells, read_cells

_MOST_BYTES = 512 * 1024**2


def read_expression(path: Path) -> ExpressionTable:
    """The expression table at a path.

    raises   UnreadableTableError, DuplicateIdError, NothingAnalysableError
    """
    if path.is_dir():
        return _folder(path)
    head = texts.read_bytes(path, limit=8192, head_only=True)
    if is_workbook(head):
        return _best_sheet(read_workbook(path), path.name)
    if archive_kind(head) is not None:
        return _archive(path)
    if head.startswith((MTX, HDF5)):
        return read_cells(path)
    if head.lstrip(b"\xef\xbb\xbf").startswith(b"!Series_"):
        text, _ = texts.decode(texts.read_bytes(path), name=path.name)
        return to_expression(soft.matrix_table(text, path.name))
    if soft.is_soft(head.decode("utf-8", "replace")):
        text, _ = texts.decode(texts.read_bytes(path), name=path.name)
        table = soft.family_table(text, path.name)
        if table is not None:
            return to_expression(table)
    _refuse_other(path, head)
    return samples_of_cells(to_expression(read_table(path)), path.name)


def samples_of_cells(table: ExpressionTable, name: str) -> ExpressionTable:
    """The table as it is, or added up to samples where its columns are single cells."""
    matrix = dense_cells(table, name)
    return table if matrix is None else to_samples([[matrix]], source=name)


def read_series(path: Path) -> soft.GeoSeries | None:
    """The series a series matrix or a SOFT family describes; None if the file is something else."""
    head = texts.read_bytes(path, limit=8192, head_only=True)
    is_family = soft.is_soft(head.decode("utf-8", "replace"))
    if not is_family and not head.lstrip(b"\xef\xbb\xbf").startswith(b"!Series_"):
        return None
    text, _ = texts.decode(texts.read_bytes(path), name=path.name)
    return soft.read_family(text) if is_family else soft.read_series_matrix(text)[0]


def _refuse_other(path: Path, head: bytes) -> None:
    start = head[:200].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        raise UnreadableTableError(
            f"{path.name} is a web page, not a table.",
            hint="The download went wrong: fetch the file again.",
            file=path.name,
        )
    if head.startswith((b"RDX", b"RDA", b"X\n\x00\x00\x00")):
        raise NothingAnalysableError(
            f"{path.name} is an R object, which only R can open.",
            hint="In R, save its counts as text (write.csv), or its cells as .h5ad.",
            file=path.name,
        )
    if re.match(rb"@\S+.*\n[ACGTNacgtn.]+\n\+", head):
        raise NothingAnalysableError(
            f"{path.name} holds sequencing reads.", hint="Count the reads per gene first.", file=path.name
        )
    if soft.is_soft(head.decode("utf-8", "replace")):
        raise NothingAnalysableError(
            f"{path.name} describes samples and holds no table of values by sample.",
            hint="Give the folder of the series.",
            file=path.name,
        )


def _folder(path: Path) -> ExpressionTable:
    files = sorted(
        file for file in path.rglob("*") if file.is_file() and not file.is_symlink() and not file.name.startswith(".")
    )
    shallow = [file for file in files if len(file.relative_to(path).parts) <= 2 and not is_named_for_cells(file.name)]
    try:
        return combine(
            ((str(file.relative_to(path)), file.read_bytes()) for file in shallow if file.stat().st_size < _MOST_BYTES),
            source=path.name,
        )
    except NothingAnalysableError:
        if has_cells(path):
            return read_cells(path)
        raise


def _best_sheet(tables: list[Table], name: str) -> ExpressionTable:
    found: list[ExpressionTable] = []
    problem: AppError | None = None
    for table in tables:
        try:
            found.append(to_expression(table))
        except AppError as error:
            problem = problem or error
    counted = [table for table in found if table.value_type in COUNTED and len(table.names) >= 2]
    best = max(counted or found, key=lambda table: table.values.size, default=None)
    rivals = [table for table in counted if table is not best and best is not None and not is_copy(best, table)]
    if rivals and best is not None:
        sizes = [f"{len(table.gene_ids)} × {len(table.names)}" for table in (best, *rivals[:5])]
        text = (
            f"{name} has {len(rivals) + 1} sheets of counts; the largest ({sizes[0]}) is proposed. The others have "
            f"{', '.join(sizes[1:])}. Give the sheet you mean as a file of its own if it is another."
        )
        best.cautions.append(Caution(code="omics.several_tables", text=text, blocks=True))
    if best is None:
        raise problem or NothingAnalysableError(
            f"{name} holds no table of values.", hint="Choose another file.", file=name
        )
    return best


def _archive(path: Path) -> ExpressionTable:
    try:
        return combine(read_members(path), source=path.name)
    except NothingAnalysableError as nothing:
        if has_cells(path):
            return read_cells(path)
        found: list[ExpressionTable] = []
        for name, data in read_members(path):
            try:
                head = texts.read_bytes(data, name=name, limit=8192, head_only=True)
                table = (
                    _best_sheet(read_workbook(data, name=name), name)
                    if is_workbook(head)
                    else to_expression(read_table(data, name=name))
                )
            except AppError:
                continue
            if len(table.names) >= 2 and table.value_type != "not_expression":
                found.append(table)
        counted = [table for table in found if table.value_type in COUNTED]
        if len(counted) == 1 or (not counted and len(found) == 1):
            return (counted or found)[0]
        if len(counted) > 1:
            raise NothingAnalysableError(
                f"{path.name} holds {len(counted)} tables of counts.",
                hint="Unpack it and give the one to analyse.",
                file=path.name,
            ) from None
        raise nothing from None


def is_copy(one: ExpressionTable, other: ExpressionTable) -> bool:
    """The same samples and genes, with the same totals."""
    return (
        sorted(one.names) == sorted(other.names)
        and len(one.gene_ids) == len(other.gene_ids)
        and sorted(one.values.sum(axis=0).tolist()) == sorted(other.values.sum(axis=0).tolist())
    )


def role_of_table(table: ExpressionTable) -> FileRole:
    """What a table is: made of single cells, or by its values."""
    return "single_cell" if table.pools is not None else role_of(table.value_type)


def role_of(value_type: ValueType) -> FileRole:
    """What a table of genes by samples is, from its values."""
    if value_type in COUNTED:
        return "counts_table"
    return "intensity_table" if value_type in ("log_intensity", "linear_intensity") else "normalised_table"


def found_file(path: Path, table: ExpressionTable, *, chosen: bool) -> FoundFile:
    """The record of a table of genes."""
    is_folder = path.is_dir()
    return FoundFile(
        path=str(path),
        role="per_sample_counts" if is_folder and table.pools is None else role_of_table(table),
        value_type=table.value_type,
        id_type=table.id_type,
        n_rows=len(table.gene_ids),
        n_samples=len(table.names),
        size_bytes=0 if is_folder else path.stat().st_size,
        sha256="" if is_folder else sha256(path),
        chosen=chosen,
        why=table.why,
    )


def sha256(path: Path) -> str:
    """Hash of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
