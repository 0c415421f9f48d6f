"""Matrices of single cells, whatever file they come from, added up to an expression table of samples.

`CellMatrix` is what `hdf5_cells` and `tenx` read; here the samples are found, the reads summed, and all that was
left out or taken for granted is said. Memory is bounded by a block of values and the sums, not by the cells.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from desktop.studios.omics.errors import NothingAnalysableError, NotReadsError
from desktop.studios.omics.schema import ALL_CELLS, Caution, ValueType
from desktop.studios.omics.sources.expression import ExpressionTable, Pools, unique_ids
from desktop.studios.omics.steps.gene_ids import duplicated, id_type_of
from desktop.studios.omics.steps.pseudobulk import (
    MIN_CELLS,
    Block,
    Labels,
    Sums,
    Units,
    choose_units,
    sum_cells,
)

_GEM = re.compile(r"[ACGTN]{8,}[-_.](\d{1,3})$")
_BARCODE = re.compile(r"[ACGTN]{10,}(?:[-.]\d{1,2}(?=$|_))?")
_DROPLETS = 20_000  # barcodes from which on a matrix may be of droplets, most of them empty
_LEAST_READS = 500  # of a barcode among droplets to be taken for a cell


@dataclass(frozen=True)
class Genes:
    """ids and symbols as written; kinds ("Gene Expression", "Antibody Capture") and genomes where the file has them."""

    ids: list[str]
    symbols: list[str]
    kinds: list[str] = field(default_factory=list)
    genomes: list[str] = field(default_factory=list)


@dataclass
class CellMatrix:
    """One matrix of cells. `blocks` reads its non-zero values, each time from the start; `place` is where they are."""

    name: str
    genes: Genes
    barcodes: list[str]
    labels: dict[str, Labels]
    blocks: Callable[[], Iterator[Block]]
    place: str
    why: str = ""
    libraries: list[str] = field(default_factory=list)
    cautions: list[Caution] = field(default_factory=list)
    sample: str = ""  # known from the file's name, where there is one file a sample
    written: str = ""  # that name as the file has it
    is_used: NDArray[np.bool_] | None = None  # (N,) cells that a table of labels names


@dataclass(frozen=True)
class _Part:
    """Sums of one matrix, with the names of their samples."""

    units: Units
    sums: Sums
    genes: Genes


def dense_cells(table: ExpressionTable, name: str) -> CellMatrix | None:
    """A table of genes by samples whose columns prove to be single cells, as their matrix; None for every other table.

    Columns are cells when at least 50 are named by barcodes, or when there are 100 or more, of few reads, mostly zeros.
    What stands before or after a barcode names the sample, where at least two such names hold 10 cells or more.
    """
    n_cells = table.values.shape[1]
    if n_cells < 50 or table.value_type not in ("counts", "expected_counts", "fpkm", "log_intensity", "tpm"):
        return None
    parts = [_BARCODE.split(column, maxsplit=1) for column in table.columns]
    is_named = sum(len(part) > 1 for part in parts) >= 0.8 * n_cells
    if not is_named:
        totals = table.values.sum(axis=0)
        is_sparse = n_cells >= 100 and float((table.values == 0).mean()) >= 0.6 and float(np.median(totals)) < 50_000
        if not (is_sparse and table.value_type == "counts"):
            return None
        parts = [[column, ""] for column in table.columns] if _are_runs(table.columns) else [["", ""]] * n_cells
    rests = [tuple(re.sub(r"^[._\-:]+|[._\-:]+$", "", side) for side in (*part, "")[:2]) for part in parts]
    labels: dict[str, Labels] = {}
    for side in (0, 1):
        found = Labels.of([re.sub(r"[._-]?\d+$", "", rest[0]) if not part[-1] and side == 0 else rest[side]
                           for rest, part in zip(rests, parts, strict=True)])  # fmt: skip
        numbers = np.bincount(found.codes[found.codes >= 0], minlength=len(found.levels))
        if (numbers >= MIN_CELLS).sum() >= 2 and len(found.levels) <= n_cells / MIN_CELLS:
            labels = {"sample": found}
            break
    values = np.asarray(table.values, dtype=np.float64)

    def blocks() -> Iterator[Block]:
        for start in range(0, n_cells, 500):
            genes, cells = np.nonzero(values[:, start : start + 500])
            yield Block(cells + start, genes, values[genes, cells + start])

    matrix = CellMatrix(name, Genes(table.gene_ids, table.gene_symbols), list(table.columns), labels, blocks, name)
    matrix.why = "Its columns are single cells."
    if not is_named:
        text = (
            f"The {n_cells:,} columns of {name} have few reads and are mostly zeros, so they are taken for cells "
            "and added up by the names before their numbers. If each is a sample of its own, this is wrong."
        )
        matrix.cautions.append(Caution(code="omics.columns_are_cells", text=text, blocks=True))
    if not labels and len({match.group(1) for one in table.columns if (match := _GEM.search(one))}) < 2:
        raise NothingAnalysableError(
            f"The {n_cells:,} columns of {name} are single cells, and their names do not tell samples.",
            hint="Cells are no replicates: give an .h5ad whose cells carry a sample label, or sums by sample.",
            file=name,
        )
    return matrix


def _are_runs(columns: Sequence[str]) -> bool:
    """Names that end in a number: "P1_ctrl_17"."""
    return all(re.search(r"\d$", column) for column in columns)


def to_samples(candidates: Sequence[Sequence[CellMatrix]], *, source: str) -> ExpressionTable:
    """One table of samples (and of cell types within them) out of matrices of cells.

    candidates   for each sample (named by `sample`), or for the one matrix of all samples (named by its labels or
                 barcodes), the matrices that may hold the reads, best first
    raises       NothingAnalysableError when no samples can be told, there is one alone, or values are no reads
    """
    cautions: list[Caution] = []
    chosen = [_first_of_reads(several, len(candidates) > 1, source, cautions) for several in candidates]
    parts = [part for part, _ in chosen]
    n_cells = sum(len(matrix.barcodes) for _, matrix in chosen)
    genes, columns = _one_set_of_genes(parts, source, cautions)
    names, kinds, totals = _columns_of(parts)
    order = sorted(range(len(names)), key=lambda at: bool(kinds[at]))  # whole samples first, types in the files' order
    if sum(not kind for kind in kinds) < 2:
        alone = names[0] if names else "none"
        raise NothingAnalysableError(
            f"{source} holds {n_cells:,} cells of one sample ({alone})."
            if names
            else f"{source} holds {n_cells:,} cells, but no sample with {MIN_CELLS} or more.",
            hint="Cells of one sample are no replicates of each other: a comparison needs several samples a group.",
            cells=n_cells,
        )
    values = columns[order]
    is_whole = all(part.sums.is_whole for part in parts)
    parted = _factors(parts)
    names, kinds = [names[at] for at in order], [kinds[at] for at in order]
    pools = Pools(
        names,
        [totals[at] for at in order],
        next((part.units.type_name for part in parts if part.units.type_name), ""),
        [kind or ALL_CELLS for kind in kinds],
        {factor: [labels.get(name, "") for name in names] for factor, labels in parted.items()},
    )
    shown = [f"{name} {number:,}" for name, number, kind in zip(names, pools.n_cells, kinds, strict=True) if not kind]
    low = [one for part in parts for one in _too_small(part)]
    text = (
        f"Reads of {n_cells:,} single cells were added up by sample, and samples are what is compared; cells are no "
        f"replicates. Cells a sample: {', '.join(shown[:12])}{' …' if len(shown) > 12 else ''}."
    )
    cautions.insert(0, Caution(code="omics.pseudobulk", text=text))
    if low:
        text = f"Left out for fewer than {MIN_CELLS} cells: {', '.join(low[:8])}{' …' if len(low) > 8 else ''}."
        cautions.append(Caution(code="omics.too_few_cells", text=text))
    if pools.kind_name:
        types = list(dict.fromkeys(kind for kind in kinds if kind))
        text = (
            f"Cell types ({pools.kind_name}) with {MIN_CELLS} cells or more in two samples or more: "
            f"{', '.join(types[:12])}{' …' if len(types) > 12 else ''}. Name one in the question to test it alone."
        )
        cautions.append(Caution(code="omics.cell_types", text=text))
    written = {matrix.sample: matrix.written for _, matrix in chosen if matrix.written}
    why = f"{n_cells:,} cells added up to {len(shown)} samples. {chosen[0][1].why}"
    as_written = [written.get(name, name) for name in names]
    columns_named = [name if not kind else f"{name} · {kind}" for name, kind in zip(names, kinds, strict=True)]
    kind_of_values: ValueType = "counts" if is_whole else "expected_counts"
    ids = unique_ids(genes.ids, id_type_of(genes.ids), source, cautions)
    return ExpressionTable(
        values.T.astype(np.int64) if is_whole else values.T,
        ids, genes.symbols, columns_named, as_written, kind_of_values, id_type_of(genes.ids), why, cautions,
        pools=pools,
    )  # fmt: skip


def _first_of_reads(
    several: Sequence[CellMatrix], is_one_of_several: bool, source: str, cautions: list[Caution]
) -> tuple[_Part, CellMatrix]:
    """The first matrix that proves to hold reads when all of it is read."""
    for matrix in several[:-1]:
        try:
            said: list[Caution] = []
            part = _part(matrix, is_one_of_several, source, said)
        except NotReadsError:
            continue
        cautions += said
        return part, matrix
    return _part(several[-1], is_one_of_several, source, cautions), several[-1]


def _part(matrix: CellMatrix, is_one_of_several: bool, source: str, cautions: list[Caution]) -> _Part:
    units = _units(matrix, is_one_of_several, source, cautions)
    if matrix.is_used is not None:
        units = replace(units, of_cell=np.where(matrix.is_used, units.of_cell, -1))
    sums = sum_cells(matrix.blocks(), units, len(matrix.genes.ids))
    _refuse_no_reads(matrix, sums)
    droplets = _empty_droplets(matrix, sums)
    if droplets is not None:
        keep = sums.totals >= _LEAST_READS
        units = replace(units, of_cell=np.where(keep, units.of_cell, -1))
        sums = sum_cells(matrix.blocks(), units, len(matrix.genes.ids))
        cautions.append(droplets)
    used = sums.totals[sums.totals > 0]
    if len(used) > 100 and used.std() < 0.002 * used.mean():
        text = (
            f"Every cell of {matrix.name} adds up to the same {used.mean():,.0f}: these are not plain reads but "
            "normalised and rounded, or thinned out to one depth. Give the raw counts, or confirm it."
        )
        cautions.append(Caution(code="omics.equal_totals", text=text, blocks=True))
    cautions += [one for one in (*matrix.cautions, *units.cautions) if one not in cautions]
    return _of_genes(_Part(units, sums, matrix.genes), matrix, cautions)


def _units(matrix: CellMatrix, is_one_of_several: bool, source: str, cautions: list[Caution]) -> Units:
    n_cells = len(matrix.barcodes)
    if is_one_of_several:
        every = Labels(np.zeros(n_cells, dtype=np.int64), [matrix.sample])
        found = choose_units(matrix.labels, n_cells, given=every)
        assert found is not None
        return found
    found = choose_units(matrix.labels, n_cells) if matrix.labels else None
    if found is not None:
        return found
    groups = [match.group(1) if (match := _GEM.search(barcode)) else "" for barcode in matrix.barcodes]
    numbers = sorted({group for group in groups if group}, key=int)
    if len(numbers) >= 2 and all(groups):
        is_named = len(matrix.libraries) == len(numbers) == len(set(matrix.libraries))
        names = matrix.libraries if is_named else [f"library {number}" for number in numbers]
        place = {number: at for at, number in enumerate(numbers)}
        text = (
            f"The number after each barcode of {matrix.name} tells its library; each library is taken for a sample"
            + (f": {', '.join(names[:8])}." if is_named else ". Their names have to come from a table of samples.")
        )
        cautions.append(Caution(code="omics.cells_to_samples", text=text))
        given = Labels(np.array([place[group] for group in groups], dtype=np.int64), names)
        again = choose_units(matrix.labels, n_cells, given=given)
        assert again is not None
        return again
    if not matrix.labels or matrix.sample:
        one = Labels(np.zeros(n_cells, dtype=np.int64), [matrix.sample or matrix.name])
        alone = choose_units(matrix.labels, n_cells, given=one)
        assert alone is not None
        return alone
    raise NothingAnalysableError(
        f"{source} holds {n_cells:,} cells, but no label says which sample a cell is from. "
        f"The labels are: {', '.join(list(matrix.labels)[:15])}.",
        hint="Cells are no replicates: add a column such as sample or donor to the cells' table.",
        labels=list(matrix.labels)[:50],
    )


def _refuse_no_reads(matrix: CellMatrix, sums: Sums) -> None:
    are_reads = sums.is_whole or (sums.whole_frac >= 0.5 and sums.highest >= 30)
    if not (are_reads and sums.lowest >= 0 and sums.highest > 1 and np.isfinite(sums.values).all()):
        what = "values below 0" if sums.lowest < 0 else f"values that are no whole numbers, up to {sums.highest:g}"
        raise NotReadsError(
            f"{matrix.name} holds {len(matrix.barcodes):,} cells with {what}: not raw counts.",
            hint="Normalised or log values cannot be added up. Give the raw counts.",
            file=matrix.name,
        )


def _empty_droplets(matrix: CellMatrix, sums: Sums) -> Caution | None:
    n_cells = len(matrix.barcodes)
    is_cell = sums.totals >= _LEAST_READS
    if n_cells < _DROPLETS or is_cell.mean() > 0.3 or float(np.median(sums.totals)) > 50:
        return None
    text = (
        f"{matrix.name} lists {n_cells:,} barcodes, most of them empty droplets. The {int(is_cell.sum()):,} with "
        f"{_LEAST_READS} reads or more are taken for cells. Give the filtered matrix if there is one, or confirm this."
    )
    return Caution(code="omics.empty_droplets", text=text, blocks=True)


def _of_genes(part: _Part, matrix: CellMatrix, cautions: list[Caution]) -> _Part:
    """Without features that are no genes (antibodies, guides), and with genomes told apart."""
    genes = part.genes
    keep = np.ones(len(genes.ids), dtype=bool)
    if len(set(genes.kinds)) > 1:
        keep = np.array([kind == "Gene Expression" for kind in genes.kinds])
        others = sorted(set(genes.kinds) - {"Gene Expression"})
        text = f"Features of {matrix.name} that are no genes are left out: {', '.join(others)} ({int((~keep).sum())})."
        caution = Caution(code="omics.features_left_out", text=text)
        cautions += [] if caution in cautions else [caution]
    genomes = {genome for genome, kept in zip(genes.genomes, keep, strict=False) if kept and genome}
    if len(genomes) > 1:
        text = (
            f"{matrix.name} counts genes of several genomes ({', '.join(sorted(genomes))}); they are tested together."
        )
        cautions.append(Caution(code="omics.mixed_organisms", text=text, blocks=True))
    if keep.all():
        return part
    at = np.flatnonzero(keep)
    ids, symbols = [genes.ids[k] for k in at], [genes.symbols[k] for k in at]
    return _Part(part.units, replace(part.sums, values=part.sums.values[:, keep]), Genes(ids, symbols))


def _one_set_of_genes(
    parts: Sequence[_Part], source: str, cautions: list[Caution]
) -> tuple[Genes, NDArray[np.float64]]:
    """All genes of all parts, those of one missing in another counting 0; and the sums, (C, G)."""
    first = parts[0].genes
    if all(part.genes.ids == first.ids for part in parts):
        return first, np.vstack([part.sums.values for part in parts])
    twice = [name for part in parts for name in duplicated(part.genes.ids)]
    if twice:
        raise NothingAnalysableError(
            f"The matrices of {source} have different genes, and some more than once: {', '.join(twice[:5])}.",
            hint="Give matrices that name each gene once, for example by Ensembl identifier.",
        )
    symbols = {i: s for part in parts for i, s in zip(part.genes.ids, part.genes.symbols, strict=True)}
    place = {identifier: at for at, identifier in enumerate(symbols)}
    rows = []
    for part in parts:
        wide = np.zeros((len(part.sums.values), len(place)))
        wide[:, [place[identifier] for identifier in part.genes.ids]] = part.sums.values
        rows.append(wide)
    common = set.intersection(*(set(part.genes.ids) for part in parts))
    blocks = len(common) < 0.5 * len(place)
    text = f"The matrices of {source} do not hold the same genes: {len(common):,} of {len(place):,} are in all of them."
    text += " They may come from different annotations." if blocks else " Where one is missing it counts 0."
    cautions.append(Caution(code="omics.genes_differ", text=text, blocks=blocks))
    return Genes(list(symbols), list(symbols.values())), np.vstack(rows)


def _columns_of(parts: Sequence[_Part]) -> tuple[list[str], list[str], list[int]]:
    """For each column of the sums: its sample, its type ("" for all cells), its number of cells."""
    names, kinds, numbers = [], [], []
    for part in parts:
        for sample, kind, number in zip(part.sums.sample, part.sums.kind, part.sums.n_cells, strict=True):
            names.append(part.units.samples[int(sample)])
            kinds.append(part.units.types[int(kind)] if kind >= 0 else "")
            numbers.append(int(number))
    return names, kinds, numbers


def _factors(parts: Sequence[_Part]) -> dict[str, dict[str, str]]:
    """Factor → sample → label."""
    found: dict[str, dict[str, str]] = {}
    for part in parts:
        for factor, values in part.units.factors.items():
            found.setdefault(factor, {}).update(zip(part.units.samples, values, strict=True))
    return found


def _too_small(part: _Part) -> list[str]:
    """Samples, and types of samples, with too few cells."""
    return [
        part.units.samples[sample] + (f" · {part.units.types[kind]}" if kind >= 0 else "") + f" ({number})"
        for sample, kind, number in part.sums.too_few
    ]
