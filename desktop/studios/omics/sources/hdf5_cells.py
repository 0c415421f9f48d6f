"""HDF5 files of single cells (h5ad of anndata, h5 of CellRanger): labels, genes, and reads in blocks of bounded size.

The numbers are read piece by piece from the file, never as a whole. Which matrix of an h5ad holds the reads is told by
its values. Files that lead to other files (external links, virtual or external data) are refused.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from desktop.studios.omics.errors import NothingAnalysableError, UnreadableTableError
from desktop.studios.omics.schema import Caution
from desktop.studios.omics.sources.cells import CellMatrix, Genes
from desktop.studios.omics.steps.pseudobulk import Block, Labels
from desktop.studios.omics.steps.vocabulary import fold

_BLOCK = 2_000_000  # values read at a time
_PROBE = 20_000
_MAX_CELLS = 10_000_000
_MAX_GENES = 500_000
_MAX_LEVELS = 5000
_MAX_CHUNK_BYTES = 512 * 1024**2
_SYMBOLS = (
    "feature name",
    "gene symbols",
    "gene symbol",
    "symbol",
    "gene name",
    "gene names",
    "gene short name",
    "names",
)
_IDS = ("gene ids", "gene id", "ensembl id", "ensembl", "ensembl ids", "ensembl gene id", "geneid", "feature id", "ids")


def read_h5_cells(path: Path, name: str) -> list[CellMatrix]:
    """The matrices of an HDF5 file that may hold reads, best first; reading their blocks opens the file again.

    raises   UnreadableTableError (damaged, leads elsewhere), NothingAnalysableError (holds no cells, or no reads)
    """
    with _opened(path, name) as file:
        if "X" in file or ("obs" in file and "var" in file):
            return _h5ad(path, name, file)
        tenx = _tenx_group(file)
        if tenx is not None:
            return [_tenx(path, name, file[tenx], tenx)]
    raise NothingAnalysableError(
        f"{name} is an HDF5 file without cells in the layout of anndata or CellRanger.",
        hint="Save the cells with their raw counts as .h5ad.",
        file=name,
    )


@contextmanager
def _opened(path: Path, name: str) -> Iterator[Any]:
    try:
        with h5py.File(path, "r") as file:
            _refuse_elsewhere(file, name)
            yield file
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise UnreadableTableError(
            f"{name} is damaged or cut off: it cannot be read as HDF5.",
            hint="Download or copy the file again.",
            file=name,
            reason=str(error)[:200],
        ) from error


def _refuse_elsewhere(file: Any, name: str) -> None:
    def of_link(path: str, link: object) -> str | None:
        return path if isinstance(link, h5py.ExternalLink) else None

    def of_data(path: str, item: Any) -> str | None:
        if not isinstance(item, h5py.Dataset):
            return None
        size = int(np.prod(item.chunks or (1,))) * item.dtype.itemsize
        return path if item.is_virtual or item.external or size > _MAX_CHUNK_BYTES else None

    found = file.visititems_links(of_link) or file.visititems(of_data)
    if found is not None:
        raise UnreadableTableError(
            f"{name} is not read: its part {found!r} leads to another file or unpacks beyond all bounds.",
            hint="Save the data anew into one file.",
            file=name,
        )


# ---- h5ad ----------------------------------------------------------------------------------------------------------


def _h5ad(path: Path, name: str, file: Any) -> list[CellMatrix]:
    obs, var = _frame(file, "obs"), _frame(file, "var")
    raw_var = _frame(file, "raw/var" if "raw/var" in file else "raw.var") if _raw(file) else None
    labels = _labels(obs)
    barcodes = [str(one) for one in obs.index]
    places = [("X", var)] if "X" in file else []
    if raw_var is not None:
        places.insert(0, (_raw(file), raw_var))
    if "layers" in file:
        places += [(f"layers/{layer}", var) for layer in file["layers"]]
    found: list[tuple[tuple[bool, bool, int, int], CellMatrix]] = []
    refused: list[str] = []
    for order, (place, genes) in enumerate(places):
        n_cells, n_genes = _shape(file[place])
        if (n_cells, n_genes) != (len(obs), len(genes)) or n_cells > _MAX_CELLS or n_genes > _MAX_GENES:
            refused.append(f"{place} does not fit its cells and genes")
            continue
        verdict = _kind_of(_probe(file[place]))
        if verdict not in ("counts", "expected_counts"):
            refused.append(f"{place} {verdict}")
            continue
        is_part = fold(place.rpartition("/")[2]) in ("spliced", "unspliced", "ambiguous", "mature", "nascent")
        matrix = CellMatrix(name, _genes_of(genes), barcodes, labels, partial(_blocks, path, name, place), place)
        found.append(((is_part, verdict != "counts", -n_genes, order), matrix))
    if not found:
        raise NothingAnalysableError(
            f"{name} holds {len(obs):,} cells, but no raw counts: {'; '.join(refused) or 'there is no matrix in it'}.",
            hint="Normalised or log values cannot be added up. Save the raw counts in a layer or in raw.",
            file=name,
        )
    ordered = [matrix for _, matrix in sorted(found, key=lambda item: item[0])]
    most = max(len(genes) for _, genes in places)
    for matrix in ordered:
        if len(matrix.genes.ids) < 0.7 * most:
            text = (
                f"Raw counts are there for {len(matrix.genes.ids):,} genes only, of {most:,} in {name}: those that "
                "somebody chose. Sizes of libraries and the test of gene sets rest on these alone."
            )
            matrix.cautions.append(Caution(code="omics.genes_chosen", text=text))
        matrix.why = f"{matrix.place} holds raw counts" + (f" ({'; '.join(refused)})." if refused else ".")
    return ordered


def _raw(file: Any) -> str:
    """Where raw values are, "" where there are none ("raw/X"; "raw.X" before anndata 0.7)."""
    return next((place for place in ("raw/X", "raw.X") if place in file), "")


def _frame(file: Any, place: str) -> pd.DataFrame:
    """obs or var, of any version of the format."""
    item = file[place]
    if isinstance(item, h5py.Dataset):
        return _old_frame(file, item)
    from anndata.io import read_elem

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = read_elem(item)
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"{place} is not a table")
    return frame


def _old_frame(file: Any, item: Any) -> pd.DataFrame:
    """A compound dataset, as anndata wrote before 0.7; categories are in uns."""
    values = item[:]
    columns = {}
    for column in values.dtype.names:
        cells = values[column]
        if cells.ndim > 1:
            continue
        text = cells.dtype.kind in "SO"
        columns[column] = [_text(cell) for cell in cells] if text else cells
        known = file.get(f"uns/{column}_categories")
        if known is not None and cells.dtype.kind in "iu":
            levels = pd.Index([_text(level) for level in known[:]])
            columns[column] = pd.Categorical.from_codes(cells.astype(np.int64), levels)
    frame = pd.DataFrame(columns)
    first = next((column for column in ("index", "_index") if column in frame), frame.columns[0])
    return frame.set_index(first)


def _text(cell: object) -> str:
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)


def _labels(obs: pd.DataFrame) -> dict[str, Labels]:
    """Columns that may tell samples or types apart; measured columns with many values are left out."""
    found: dict[str, Labels] = {}
    for column in obs.columns:
        values = obs[column]
        if isinstance(values.dtype, pd.CategoricalDtype):
            levels = [str(level) for level in values.cat.categories]
            codes = values.cat.codes.to_numpy().astype(np.int64)
        else:
            if values.dtype.kind in "fiu" and values.nunique() > _MAX_LEVELS:
                continue
            codes, uniques = pd.factorize(values)
            codes = codes.astype(np.int64)
            levels = [f"{level:g}" if isinstance(level, float) else str(level) for level in uniques.tolist()]
        if len(levels) <= _MAX_LEVELS:
            known = Labels.of(levels)  # "nan", "unknown" and the like name nothing
            found[str(column)] = Labels(np.where(codes >= 0, np.append(known.codes, -1)[codes], -1), known.levels)
    return found


def _genes_of(var: pd.DataFrame) -> Genes:
    index = [str(one) for one in var.index]
    by_name = {fold(str(column)): [str(one) for one in var[column]] for column in var.columns}
    symbols = next((by_name[name] for name in _SYMBOLS if name in by_name), None)
    ids = next((by_name[name] for name in _IDS if name in by_name and len(set(by_name[name])) == len(index)), None)
    if ids is not None and ids != index:
        return Genes(ids, symbols or index)
    return Genes(index, symbols or [""] * len(index))


def _shape(item: Any) -> tuple[int, int]:
    shape = item.shape if isinstance(item, h5py.Dataset) else item.attrs.get("shape", item.attrs.get("h5sparse_shape"))
    n_cells, n_genes = (int(one) for one in shape)
    return n_cells, n_genes


def _probe(item: Any) -> NDArray[np.float64]:
    """Values above and below 0 from the beginning, the middle and the end."""
    if isinstance(item, h5py.Dataset):
        rows = max(1, _PROBE // max(1, item.shape[1]))
        starts = sorted({0, item.shape[0] // 2, max(0, item.shape[0] - rows)})
        parts = [np.asarray(item[at : at + rows], dtype=np.float64).ravel() for at in starts]
    else:
        data = item["data"]
        starts = sorted({0, len(data) // 2, max(0, len(data) - _PROBE)})
        parts = [np.asarray(data[at : at + _PROBE], dtype=np.float64) for at in starts]
    values = np.concatenate(parts) if parts else np.empty(0)
    return np.asarray(values[values != 0])


def _kind_of(values: NDArray[np.float64]) -> str:
    """ "counts" or "expected_counts", else what speaks against reads, as the end of a sentence."""
    if not len(values):
        return "holds only zeros"
    if not np.isfinite(values).all():
        return "has missing values"
    if values.min() < 0:
        return "has values below 0 (scaled)"
    whole = float((values == np.rint(values)).mean())
    if whole == 1.0:
        return "counts" if values.max() > 1 else "holds only 0 and 1"
    if whole >= 0.5 and values.max() >= 30:
        return "expected_counts"
    return "holds fractions (normalised or log values)"


def _blocks(path: Path, name: str, place: str) -> Iterator[Block]:
    with _opened(path, name) as file:
        item = file[place]
        if isinstance(item, h5py.Dataset):
            yield from _dense_blocks(item)
            return
        written = str(item.attrs.get("encoding-type", item.attrs.get("h5sparse_format", "csr")))
        yield from _sparse_blocks(
            item, by_cell=not written.startswith("csc"), n_minor=_shape(item)[0 if "csc" in written else 1]
        )


def _dense_blocks(item: Any) -> Iterator[Block]:
    rows = max(1, _BLOCK // max(1, item.shape[1]))
    for start in range(0, item.shape[0], rows):
        part = np.asarray(item[start : start + rows], dtype=np.float64)
        cells, genes = np.nonzero(part)
        yield Block(cells + start, genes, part[cells, genes])


def _sparse_blocks(item: Any, *, by_cell: bool, n_minor: int) -> Iterator[Block]:
    """Values of a compressed matrix; `by_cell`: indptr runs over cells (CSR of anndata, CSC of CellRanger)."""
    pointer = item["indptr"][:].astype(np.int64)
    data, indices = item["data"], item["indices"]
    if len(data) != len(indices) or int(pointer[-1]) > len(data) or (np.diff(pointer) < 0).any():
        raise ValueError("the parts of the matrix do not fit")
    for start in range(0, int(pointer[-1]), _BLOCK):
        stop = min(start + _BLOCK, int(pointer[-1]))
        values = np.asarray(data[start:stop], dtype=np.float64)
        minor = np.asarray(indices[start:stop]).astype(np.int64)
        if len(minor) and (minor.min() < 0 or minor.max() >= n_minor):
            raise ValueError("an index lies outside the matrix")
        major = np.searchsorted(pointer, np.arange(start, stop), side="right") - 1
        yield Block(major, minor, values) if by_cell else Block(minor, major, values)


# ---- CellRanger ----------------------------------------------------------------------------------------------------


def _tenx_group(file: Any) -> str | None:
    """The group that holds the matrix: "matrix" since CellRanger 3, a genome's name before."""
    for group in file:
        item = file[group]
        if isinstance(item, h5py.Group) and {"barcodes", "data", "indices", "indptr", "shape"} <= set(item):
            return str(group)
    return None


def _tenx(path: Path, name: str, group: Any, place: str) -> CellMatrix:
    barcodes = [_text(one) for one in group["barcodes"][:]]
    n_genes, n_cells = (int(one) for one in group["shape"][:])
    kinds: list[str] = []
    genomes: list[str] = []
    if "features" in group:
        features = group["features"]
        ids, symbols = ([_text(one) for one in features[key][:]] for key in ("id", "name"))
        kinds = [_text(one) for one in features["feature_type"][:]] if "feature_type" in features else []
        genomes = [_text(one) for one in features["genome"][:]] if "genome" in features else []
    else:
        ids, symbols = ([_text(one) for one in group[key][:]] for key in ("genes", "gene_names"))
    if len(barcodes) != n_cells or len(ids) != n_genes or n_cells > _MAX_CELLS or n_genes > _MAX_GENES:
        raise ValueError("barcodes and genes do not fit the matrix")
    libraries = [_text(one) for one in np.atleast_1d(group.file.attrs.get("library_ids", []))]

    def blocks() -> Iterator[Block]:
        with _opened(path, name) as file:
            yield from _sparse_blocks(file[place], by_cell=True, n_minor=n_genes)

    matrix = CellMatrix(name, Genes(ids, symbols, kinds, genomes), barcodes, {}, blocks, place)
    matrix.libraries = libraries
    matrix.why = "The matrix CellRanger wrote."
    return matrix
