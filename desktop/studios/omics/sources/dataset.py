"""What was given, opened and understood: the door of the sources. Runs in a child process; reads files only."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desktop.studios.omics.errors import AllZeroError, SamplesDoNotMatchError, UnreadableTableError
from desktop.studios.omics.schema import Caution, DesignProposal, FoundFile, Inspection, Reason, SampleTable, ValueType
from desktop.studios.omics.sources.expression import ExpressionTable, to_expression
from desktop.studios.omics.sources.sample_sheet import join_sheet, sheet_columns
from desktop.studios.omics.sources.tables import read_table
from desktop.studios.omics.steps.design import propose_design
from desktop.studios.omics.steps.sample_table import factors_from_names, make_sample_table


@dataclass(frozen=True)
class ExpressionMatrix:
    """Expression values ready for analysis.

    values        (S, G) int64 counts, or float64; samples in the order of `samples`
    gene_symbols  "" where not known
    """

    values: NDArray[Any]
    samples: list[str]
    gene_ids: list[str]
    gene_symbols: list[str]
    value_type: ValueType


def inspect_data(data: Path, samples: Path | None = None) -> Inspection:
    """Look at a file or a folder: what it holds, what would be used and why, the samples and the design they suggest.

    raises   UnreadableTableError, DuplicateIdError, SamplesDoNotMatchError, AllZeroError, NothingAnalysableError
    """
    if not data.exists():
        raise UnreadableTableError(f"{data.name} is not there.", hint="Check the path.", file=str(data))
    return _inspect_file(data.resolve(), samples)


def load_matrix(inspection: Inspection) -> ExpressionMatrix:
    """The numbers of an inspection's chosen table, in the order of its samples."""
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
    return ExpressionMatrix(
        np.ascontiguousarray(values),
        list(inspection.samples.samples),
        table.gene_ids,
        table.gene_symbols,
        table.value_type,
    )


def read_expression(path: Path) -> ExpressionTable:
    """The expression table in a file; the same every time."""
    return to_expression(read_table(path))


def _inspect_file(path: Path, sheet: Path | None) -> Inspection:
    table = read_expression(path)
    found = found_file(path, table)
    cautions = list(table.cautions)
    reasons: list[Reason] = []
    if sheet is not None:
        joined = join_sheet(
            table.names, sheet_columns(read_table(sheet, as_text=True)), sheet=sheet.name, counts=path.name
        )
        samples = joined.samples
        cautions += joined.cautions
    else:
        samples, reasons = samples_from_names(table.names)
    files = [found]
    if sheet is not None:
        files.append(
            FoundFile(
                path=str(sheet.resolve()),
                role="sample_sheet",
                size_bytes=sheet.stat().st_size,
                sha256=sha256(sheet),
                chosen=True,
                why="The table of samples that was given.",
            )
        )
    return finish(str(path), table, files, samples, reasons, cautions)


def finish(
    source: str,
    table: ExpressionTable,
    files: list[FoundFile],
    samples: SampleTable,
    reasons: list[Reason],
    cautions: list[Caution],
) -> Inspection:
    """Put the parts together and check what every analysis needs."""
    kept = [table.names.index(name) for name in samples.samples]
    refuse_all_zero(table, kept)
    chosen = next(file for file in files if file.chosen and file.role not in ("sample_sheet", "run_table"))
    proposal = propose_design(samples)
    return Inspection(
        source=source,
        files=files,
        chosen=chosen.path,
        why=chosen.why,
        value_type=table.value_type,
        id_type=table.id_type,
        n_genes=len(table.gene_ids),
        samples=samples,
        proposal=proposal.model_copy(update={"reasons": [*reasons, *proposal.reasons]})
        if proposal.groups
        else DesignProposal(reasons=[*reasons, *proposal.reasons]),
        warnings=cautions,
    )


def samples_from_names(names: list[str]) -> tuple[SampleTable, list[Reason]]:
    """A sample table read from the names alone, offered as such."""
    found = factors_from_names(names)
    found.pop("replicate", None) if len(found) > 1 else None
    table = make_sample_table(names, found)
    if table.factors:
        shown = "; ".join(f"{name}: {', '.join(table.levels(name))}" for name in table.factors)
        text = (
            f"There is no table of samples; the groups were read from the names of the columns ({shown}). Check them."
        )
    else:
        text = "There is no table of samples, and the names of the columns do not tell the groups."
    return table, [Reason(about="samples", text=text, by="rule:column_names")]


def refuse_all_zero(table: ExpressionTable, kept: list[int]) -> None:
    """No reads at all, or none in one sample."""
    values = table.values[:, kept]
    if values.size and not np.any(values):
        raise AllZeroError(
            "Every value of the table is 0.", hint="Check that reads were counted on the right strand and annotation."
        )
    empty = [table.names[at] for at, total in zip(kept, np.abs(values).sum(axis=0), strict=True) if total == 0]
    if empty:
        raise AllZeroError(
            f"These samples have no reads at all: {', '.join(empty[:6])}.",
            hint="Leave them out of the table.",
            samples=empty,
        )


def found_file(path: Path, table: ExpressionTable) -> FoundFile:
    """The record of a table of genes."""
    role = {
        "counts": "counts_table",
        "expected_counts": "counts_table",
        "log_intensity": "intensity_table",
        "linear_intensity": "intensity_table",
    }
    return FoundFile.model_validate(
        {
            "path": str(path),
            "role": role.get(table.value_type, "normalised_table"),
            "value_type": table.value_type,
            "id_type": table.id_type,
            "n_rows": len(table.gene_ids),
            "n_samples": len(table.names),
            "size_bytes": path.stat().st_size,
            "sha256": sha256(path),
            "chosen": True,
            "why": table.why,
        }
    )


def sha256(path: Path) -> str:
    """Hash of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
