"""What was given, opened and understood: the door of the sources. Runs in a child process; reads files only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desktop.core.errors import AppError
from desktop.studios.omics.errors import NothingAnalysableError, SamplesDoNotMatchError, UnreadableTableError
from desktop.studios.omics.schema import FoundFile, Inspection, Reason, ValueType
from desktop.studios.omics.sources.assemble import make_inspection, read_sheet, samples_from_names
from desktop.studios.omics.sources.cell_samples import samples_of
from desktop.studios.omics.sources.expression import ExpressionTable
from desktop.studios.omics.sources.files import found_file, read_expression, read_series, sha256
from desktop.studios.omics.sources.folder import look_at_file
from desktop.studios.omics.sources.geo_folder import inspect_folder
from desktop.studios.omics.sources.sample_sheet import Joined, join_sheet, sheet_columns
from desktop.studios.omics.sources.spreadsheets import is_workbook, read_workbook
from desktop.studios.omics.sources.symbols import symbols_for
from desktop.studios.omics.sources.text import read_bytes
from desktop.studios.omics.steps.sample_match import Match, match_samples


@dataclass(frozen=True)
class ExpressionMatrix:
    """Expression values ready for analysis.

    values        (S, G) int64 counts, or float64; samples in the order of `samples`
    gene_symbols  "" where not known
    lengths       (S, G) average transcript length of each gene in each sample, in bases, where the files give it
    """

    values: NDArray[Any]
    samples: list[str]
    gene_ids: list[str]
    gene_symbols: list[str]
    value_type: ValueType
    lengths: NDArray[np.float64] | None = None


def inspect_data(data: Path, samples: Path | None = None) -> Inspection:
    """Look at a file or a folder: what it holds, what would be used and why, the samples and the design they suggest.

    raises   UnreadableTableError, DuplicateIdError, SamplesDoNotMatchError, AllZeroError, NothingAnalysableError
    """
    for path in (data, samples):
        if path is not None and not path.exists():
            raise UnreadableTableError(f"{path} is not there.", hint="Check the path.", file=str(path))
    if data.is_dir():
        return inspect_folder(data.resolve(), samples)
    return _inspect_file(data.resolve(), samples)


def load_matrix(inspection: Inspection) -> ExpressionMatrix:
    """The numbers of an inspection's chosen table, in the order of its samples.

    raises   SamplesDoNotMatchError if the file no longer holds a sample; UnreadableTableError
    """
    if inspection.chosen is None:
        raise UnreadableTableError("No table was chosen.", hint="Look at the data first.")
    table = read_expression(Path(inspection.chosen))
    place = {name: at for at, name in enumerate(table.names)}
    missing = [name for name in inspection.samples.samples if name not in place]
    if missing:
        raise SamplesDoNotMatchError(
            f"The chosen table has no sample {', '.join(missing[:5])}.",
            hint="The file changed since it was looked at, or a sample was renamed: look at the data again.",
            missing=missing,
        )
    values = table.values[:, [place[name] for name in inspection.samples.samples]].T
    symbols = table.gene_symbols
    if not any(symbols):
        beside = [Path(file.path) for file in inspection.files if file.role in ("annotation", "family_soft")]
        symbols = symbols_for(table.gene_ids, beside) or symbols
    names = list(inspection.samples.samples)
    lengths = None
    if table.lengths is not None:
        lengths = table.lengths[:, [place[name] for name in inspection.samples.samples]].T
    return ExpressionMatrix(np.ascontiguousarray(values), names, table.gene_ids, symbols, table.value_type, lengths)


def _refuse_sheet(path: Path, table: ExpressionTable) -> None:
    """A table of samples given in the place of the table of genes."""
    if table.id_type == "unknown" or len(table.gene_ids) < 50:
        look = look_at_file(path)
        if look.sheet is not None:
            raise NothingAnalysableError(
                f"{path.name} is a table of samples, not of genes.",
                hint="Give the table of counts as the data, and this one as the samples.",
                file=path.name,
            )


def _own_sheet(path: Path, table: ExpressionTable) -> tuple[str, Joined] | None:
    """Another sheet of the same workbook that describes the samples."""
    if not is_workbook(read_bytes(path, limit=8192, head_only=True)):
        return None
    for sheet in read_workbook(path, as_text=True):
        try:
            columns = sheet_columns(sheet)
            if len(sheet.frame) > 3000 or match_samples(table.names, columns) is None:
                continue
            joined = join_sheet(table.names, columns, sheet=sheet.name, counts=path.name)
        except AppError:
            continue
        if joined.samples.factors and len(joined.samples.samples) >= 2:
            return sheet.name.rpartition("sheet ")[2], joined
    return None


def _inspect_cells(path: Path, table: ExpressionTable, chosen: FoundFile, sheet: Path | None) -> Inspection:
    """A file of single cells, its samples described by its own labels and by a table of samples where one is given."""

    def joined(whole: ExpressionTable) -> tuple[Joined, list[Reason]]:
        if sheet is not None:
            return join_sheet(whole.names, read_sheet(sheet), sheet=sheet.name, counts=path.name), []
        samples, reasons = samples_from_names(whole.names, whole.columns)
        return Joined(samples, list(range(len(whole.names))), [], Match({}, "the names of the samples", "")), reasons

    found, reasons = samples_of(table, joined)
    files = [chosen]
    if sheet is not None:
        files.append(_given_sheet(sheet, len(found.samples.samples)))
    return make_inspection(path, table, chosen, files, found.samples, reasons, [*table.cautions, *found.cautions])


def _given_sheet(sheet: Path, n_rows: int) -> FoundFile:
    return FoundFile(
        path=str(sheet.resolve()),
        role="sample_sheet",
        n_rows=n_rows,
        size_bytes=sheet.stat().st_size,
        sha256=sha256(sheet),
        chosen=True,
        why="The table of samples that was given.",
    )


def _inspect_file(path: Path, sheet: Path | None) -> Inspection:
    series = read_series(path)
    if series is not None and series.samples and sheet is None:
        return inspect_folder(path, None)
    table = read_expression(path)
    _refuse_sheet(path, table)
    chosen = found_file(path, table, chosen=True)
    if table.pools is not None:
        return _inspect_cells(path, table, chosen, sheet)
    if sheet is None:
        own = _own_sheet(path, table)
        if own is not None:
            why = f"The workbook's sheet {own[0]!r} describes the samples."
            told = [Reason(about="samples", text=why, by="rule:sample_sheet")]
            cautions = [*table.cautions, *own[1].cautions]
            return make_inspection(path, table, chosen, [chosen], own[1].samples, told, cautions)
        samples, reasons = samples_from_names(table.names, table.columns)
        return make_inspection(path, table, chosen, [chosen], samples, reasons, table.cautions)
    joined = join_sheet(table.names, read_sheet(sheet), sheet=sheet.name, counts=path.name)
    given = _given_sheet(sheet, len(joined.samples.samples))
    cautions = [*table.cautions, *joined.cautions]
    return make_inspection(path, table, chosen, [chosen, given], joined.samples, [], cautions)
