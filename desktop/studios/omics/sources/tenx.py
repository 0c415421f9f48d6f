"""Folders and archives of single cells (10x matrices with barcodes and features, h5, h5ad) to one table of samples.

Which barcodes and features belong to a matrix is told by their numbers and by the beginning of their names. Text is
read in blocks; an archive's members are read from it one after the other; HDF5 that is packed is unpacked for the time
it is read.
"""

from __future__ import annotations

import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from desktop.core.errors import AppError
from desktop.studios.omics.errors import NothingAnalysableError, UnreadableTableError
from desktop.studios.omics.schema import Caution
from desktop.studios.omics.sources.archives import archive_kind, is_safe
from desktop.studios.omics.sources.cells import CellMatrix, Genes, to_samples
from desktop.studios.omics.sources.expression import ExpressionTable
from desktop.studios.omics.sources.hdf5_cells import read_h5_cells
from desktop.studios.omics.sources.sample_sheet import sheet_columns
from desktop.studios.omics.sources.tables import read_table
from desktop.studios.omics.sources.text import unpacked
from desktop.studios.omics.steps.pseudobulk import Block, Labels

HDF5 = b"\x89HDF\r\n\x1a\n"
MTX = b"%%MatrixMarket"
_ROWS = 1_000_000  # lines of a matrix read at a time
_MAX_LINES = 10_000_000
_MAX_H5_BYTES = 64 * 1024**3
_MAX_LABEL_BYTES = 256 * 1024**2
_ENDING = re.compile(
    r"[._-]*(filtered|raw)?[._-]*((feature|gene)s?[._-]*bc[._-]*)?(matrix|counts?|umi|dge|barcodes?|cells?|features?|genes?"
    r"|cells[._-]x[._-]genes)?([._-]*matrix)?(\.(mtx|tsv|txt|csv|h5|h5ad|hdf5|gz|tar|tgz))*$",
    re.IGNORECASE,
)
_GENERIC = re.compile(
    r"(filtered|raw|unfiltered)?_?(feature|gene)s?_bc_matri(x|ces)(_h5)?|outs?|matrix|counts?|filtered|raw|gene(full)?|solo\.out|count"
    r"|multi|per_sample_outs|sample_(filtered|raw)_feature_bc_matrix|hg19|hg38|grch3\d|mm9|mm10|mm39|grcm38|grcm39|suppl|data|\.",
    re.IGNORECASE,
)


Opened = Callable[[], AbstractContextManager[IO[bytes]]]


@dataclass(frozen=True)
class CellFile:
    """A file, or a member of an archive; `opened` gives its bytes as stored, each time from the start."""

    name: str
    opened: Opened


def has_cells(path: Path) -> bool:
    """Whether a folder's own files or an archive's members may be of single cells, by their names (content decides)."""
    try:
        names = [file.name for file in _files(path)]
    except (AppError, tarfile.TarError, OSError, EOFError, zlib.error):
        return False
    return any(is_named_for_cells(name) or re.search(r"\.(tar\.gz|tgz)$", name, re.IGNORECASE) for name in names)


def is_named_for_cells(name: str) -> bool:
    """The ending of a matrix of cells; an order of trying only, for the content decides."""
    return bool(re.search(r"\.(mtx|h5|h5ad|hdf5)(\.gz)?$", name, re.IGNORECASE))


def read_cells(path: Path) -> ExpressionTable:
    """Cells of a file, a folder or an archive, added up to samples.

    raises   UnreadableTableError, NothingAnalysableError, DuplicateIdError
    """
    with tempfile.TemporaryDirectory(prefix="benchtop-cells-") as scratch:
        try:
            files = _expanded([CellFile(path.name, _opener(path))] if _is_alone(path) else _files(path))
            if path.is_file() and not _is_archive(path) and not _is_alone(path):
                files = [file for file in files if _belongs(file, path)]
            found, cautions = _matrices(files, Path(scratch))
            if not found:
                raise NothingAnalysableError(
                    f"{path.name} holds no matrix of cells that could be read.",
                    hint="A matrix needs its barcodes and its features (genes) beside it.",
                )
            table = to_samples(found, source=path.name)
            table.cautions.extend(cautions)
            return table
        except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
            raise UnreadableTableError(
                f"{path.name} is damaged or cut off.", hint="Download or copy it again.", file=path.name,
                reason=str(error)[:200],
            ) from error  # fmt: skip


def _is_archive(path: Path) -> bool:
    return path.is_file() and archive_kind(_head(CellFile(path.name, _opener(path)), 1024)) == "tar"


def _is_alone(path: Path) -> bool:
    return path.is_file() and _head(CellFile(path.name, _opener(path)), 16).startswith(HDF5)


def _belongs(file: CellFile, matrix: Path) -> bool:
    return file.name == matrix.name or not _head(file, 16).startswith(MTX)


def _opener(path: Path) -> Opened:
    return lambda: path.open("rb")


def _files(path: Path) -> list[CellFile]:
    """Files of a folder, of the folder beside a matrix, or members of a tar."""
    if path.is_file() and _is_archive(path):
        return _members(_opener(path), "")
    root = path if path.is_dir() else path.parent
    found = sorted(
        file for file in root.rglob("*") if file.is_file() and not file.is_symlink() and not file.name.startswith(".")
    )
    depth = 6 if path.is_dir() else 1
    return [
        CellFile(str(file.relative_to(root)), _opener(file))
        for file in found
        if len(file.relative_to(root).parts) <= depth
    ]


def _members(opened: Opened, inside: str) -> list[CellFile]:
    with opened() as stream, tarfile.open(fileobj=stream, mode="r:*") as archive:
        names = [member.name for member in archive if member.isfile() and is_safe(member.name)]
    return [
        CellFile(f"{inside}{name}", _member_opener(opened, name))
        for name in names
        if not PurePosixPath(name).name.startswith(".")
    ]


def _member_opener(opened: Opened, name: str) -> Opened:
    @contextmanager
    def open_member() -> Iterator[IO[bytes]]:
        with opened() as stream, tarfile.open(fileobj=stream, mode="r:*") as archive:
            member = archive.extractfile(name)
            assert member is not None
            with member:
                yield member

    return open_member


def _expanded(files: Sequence[CellFile]) -> list[CellFile]:
    """Archives within (one a sample, as GEO has them) replaced by their members."""
    found: list[CellFile] = []
    for file in files:
        is_tar = re.search(r"\.(tar|tgz)(\.gz)?$", file.name, re.IGNORECASE)
        if is_tar and archive_kind(_head(file, 1024)) == "tar":
            found += _members(file.opened, f"{file.name}/")
        else:
            found.append(file)
    return found


def _head(file: CellFile, size: int) -> bytes:
    with file.opened() as raw, unpacked(raw) as stream:
        return stream.read(size)


# ---- matrices ------------------------------------------------------------------------------------------------------


def _matrices(files: Sequence[CellFile], scratch: Path) -> tuple[list[list[CellMatrix]], list[Caution]]:
    """For each sample (or for the one matrix of all) the matrices that may hold its reads, best first."""
    heads = {file.name: _head(file, 200) for file in files}
    stored = [file for file in files if heads[file.name].startswith(HDF5)]
    sparse = [file for file in files if heads[file.name].startswith(MTX)]
    texts = [file for file in files if file not in stored and file not in sparse and b"\x00" not in heads[file.name]]
    found: dict[str, list[CellMatrix]] = {}
    cautions: list[Caution] = []
    for number, file in enumerate(stored):
        matrices = read_h5_cells(_as_path(file, scratch, number), PurePosixPath(file.name).name)
        _put(found, file, matrices, cautions)
    labelled = [key for key, matrices in found.items() if matrices[0].labels]
    if len(labelled) == 1 and len(found) + len(sparse) > 1:  # the authors' own table of all cells
        text = f"{found[labelled[0]][0].name} carries labels of its cells and is used; other matrices are passed over."
        return [found[labelled[0]]], [Caution(code="omics.files_left_out", text=text)]
    keys = {_key(file.name) for file in sparse}
    for file in sparse:
        beside = [text for text in texts if _key(text.name) == _key(file.name) or _key(text.name) not in keys]
        _put(found, file, [_sparse(file, beside)], cautions)
    names = _sample_names(list(found))
    for key, matrices in found.items():
        for matrix in matrices:
            matrix.sample = "" if len(found) == 1 and matrix.labels else names[key]
            matrix.written = key
    if not any(matrices[0].labels for matrices in found.values()):
        _label(found, names, texts, cautions)
    return list(found.values()), cautions


def _put(
    found: dict[str, list[CellMatrix]], file: CellFile, matrices: list[CellMatrix], cautions: list[Caution]
) -> None:
    """Keep one matrix a sample: the filtered one of CellRanger's two."""
    key = _key(file.name)
    if key in found:
        fewer = min((found[key], matrices), key=lambda one: len(one[0].barcodes))
        text = (
            f"Of several matrices of {key or 'the sample'} the one with the fewest barcodes is used (the filtered one)."
        )
        cautions.append(Caution(code="omics.files_left_out", text=text))
        matrices = fewer
    found[key] = matrices


def _key(name: str) -> str:
    """The part of a path that names the sample: what stands before "matrix" in the file's name, else its folder."""
    path = PurePosixPath(name)
    stem = _ENDING.sub("", path.name).strip("._- ")
    if stem and not _GENERIC.fullmatch(stem):
        return stem
    for part in reversed(path.parts[:-1]):
        bare = re.sub(r"(\.tar)?(\.t?gz)?$", "", part, flags=re.IGNORECASE)
        bare = re.sub(r"[._-]*(filtered|raw)_(feature|gene)_bc_matri(x|ces)$", "", bare, flags=re.IGNORECASE)
        if bare and not _GENERIC.fullmatch(bare):
            return bare
    return ""


def _sample_names(keys: Sequence[str]) -> dict[str, str]:
    found = {key: re.search(r"GSM\d{3,}", key, re.IGNORECASE) for key in keys}
    accessions = [match.group(0).upper() for match in found.values() if match]
    if len(set(accessions)) == len(keys):
        return dict(zip(keys, accessions, strict=True))
    return {key: key or "sample" for key in keys}


def _as_path(file: CellFile, scratch: Path, number: int) -> Path:
    """The file itself where it lies unpacked on disk, else an unpacked copy."""
    with file.opened() as raw:
        name = getattr(raw, "name", None)
        if isinstance(name, str) and Path(name).is_file() and raw.read(8) == HDF5:
            return Path(name)
    target = scratch / f"{number}.h5"
    with file.opened() as raw, unpacked(raw) as stream, target.open("wb") as out:
        size = 0
        while part := stream.read(8 * 1024**2):
            size += len(part)
            if size > min(_MAX_H5_BYTES, shutil.disk_usage(scratch).free):
                raise UnreadableTableError(
                    f"{file.name} needs more room than there is when unpacked.",
                    hint="Make room on the disk, or unpack it elsewhere.", file=file.name,
                )  # fmt: skip
            out.write(part)
    return target


# ---- MatrixMarket --------------------------------------------------------------------------------------------------


def _sparse(file: CellFile, texts: Sequence[CellFile]) -> CellMatrix:
    name = PurePosixPath(file.name).name
    n_rows, n_columns, n_before = _dimensions(file)
    beside = [one for one in texts if PurePosixPath(one.name).parent == PurePosixPath(file.name).parent]
    own = [one for one in beside if _key(one.name) == _key(file.name)] or beside
    lists = {one.name: _first_columns(one) for one in own + [one for one in beside if one not in own]}
    features = _fitting(lists, (n_rows, n_columns), wants_barcodes=False)
    barcodes = _fitting(lists, (n_rows, n_columns), wants_barcodes=True)
    if features is None or barcodes is None:
        missing = "features (genes)" if features is None else "barcodes"
        raise NothingAnalysableError(
            f"{name} has {n_rows:,} rows and {n_columns:,} columns, and beside it lies no list of {missing} as long.",
            hint="Put features.tsv (or genes.tsv) and barcodes.tsv beside the matrix.",
            file=name,
        )
    table = lists[features]
    n_genes, n_cells = len(table), len(lists[barcodes])
    is_turned = n_genes != n_rows
    genes = Genes(
        table[0].tolist(),
        table[1].tolist() if table.shape[1] > 1 else [""] * n_genes,
        table[2].tolist() if table.shape[1] > 2 and "Gene Expression" in set(table[2]) else [],
    )
    matrix = CellMatrix(
        name,
        genes,
        lists[barcodes][0].tolist(),
        {},
        lambda: _text_blocks(file, n_before, n_genes, n_cells, is_turned),
        name,
    )
    matrix.why = "A sparse matrix as 10x writes it."
    return matrix


def _dimensions(file: CellFile) -> tuple[int, int, int]:
    """Rows, columns, and lines before the numbers."""
    with file.opened() as raw, unpacked(raw) as stream:
        head = stream.readline(1000).decode("ascii", "replace").lower().split()
        if head[1:3] != ["matrix", "coordinate"] or head[3] not in ("integer", "real") or head[4:5] != ["general"]:
            raise UnreadableTableError(
                f"{file.name} is a matrix of a kind that counts do not come in ({' '.join(head[1:])[:60]}).",
                hint="Save it as a sparse matrix of whole numbers.", file=file.name,
            )  # fmt: skip
        before = 1
        while (line := stream.readline(1_000_000)).startswith(b"%") or line in (b"\n", b"\r\n"):
            before += 1
        sizes = line.split()
    if len(sizes) != 3 or not all(size.isdigit() for size in sizes):
        raise UnreadableTableError(f"{file.name} is cut off.", hint="Download it again.", file=file.name)
    return int(sizes[0]), int(sizes[1]), before + 1


def _first_columns(file: CellFile) -> pd.DataFrame:
    """The first three columns of a list, as text; empty for what is none."""
    rows: list[list[str]] = []
    try:
        with file.opened() as raw, unpacked(raw) as stream:
            for line in stream:
                cells = line.decode("utf-8", "replace").strip("\r\n")
                rows.append([cell.strip('" ') for cell in re.split(r"\t|,(?! )", cells, maxsplit=3)[:3]])
                if len(rows) > _MAX_LINES or len(line) > 100_000:
                    return pd.DataFrame()
    except (OSError, EOFError, zlib.error):
        return pd.DataFrame()
    width = min(map(len, rows), default=0)
    return pd.DataFrame([row[:width] for row in rows], dtype=str)


_BARCODE = re.compile(r"[ACGTN]{8,}")


def _fitting(lists: dict[str, pd.DataFrame], sizes: tuple[int, int], *, wants_barcodes: bool) -> str | None:
    """The list that has the matrix's length and looks like barcodes, or like genes; a heading in it is taken off."""
    for name, table in lists.items():
        if table.empty:
            continue
        cells = table[0].iloc[1:200].tolist() or table[0].tolist()
        looks = sum(bool(_BARCODE.search(cell)) for cell in cells) > 0.8 * len(cells)
        named = bool(re.search(r"barcode|cell", name.rpartition("/")[2], re.IGNORECASE)) and not re.search(
            r"gene|feature", name.rpartition("/")[2], re.IGNORECASE
        )
        if (looks or named) != wants_barcodes:
            continue
        if len(table) in sizes:
            return name
        if len(table) - 1 in sizes:
            lists[name] = table.iloc[1:].reset_index(drop=True)
            return name
    return None


def _text_blocks(file: CellFile, n_before: int, n_genes: int, n_cells: int, is_turned: bool) -> Iterator[Block]:
    seen = 0
    with file.opened() as raw, unpacked(raw) as stream:
        for _ in range(n_before - 1):
            stream.readline()
        expected = int(stream.readline().split()[2])
        try:
            for part in pd.read_csv(
                stream, sep=" ", header=None, names=["row", "column", "value"], chunksize=_ROWS,
                dtype={"row": np.int64, "column": np.int64, "value": np.float64},
            ):  # fmt: skip
                seen += len(part)
                row, column = part["row"].to_numpy() - 1, part["column"].to_numpy() - 1
                genes, cells = (column, row) if is_turned else (row, column)
                if genes.min() < 0 or cells.min() < 0 or genes.max() >= n_genes or cells.max() >= n_cells:
                    raise ValueError("an entry lies outside the matrix")
                yield Block(cells, genes, part["value"].to_numpy())
        except pd.errors.EmptyDataError:
            pass
        except ValueError as error:
            raise UnreadableTableError(
                f"{file.name} is damaged.", hint="Download it again.", file=file.name, reason=str(error)[:200]
            ) from error
    if seen != expected:
        raise UnreadableTableError(
            f"{file.name} is cut off: it has {seen:,} of {expected:,} entries.",
            hint="Download it again.",
            file=file.name,
        )


# ---- labels beside the matrix --------------------------------------------------------------------------------------


def _label(
    found: dict[str, list[CellMatrix]], names: dict[str, str], texts: Sequence[CellFile], cautions: list[Caution]
) -> None:
    """Give the cells the labels of a table beside them that names their barcodes; cells it leaves out stay out."""
    for file in texts:
        with file.opened() as raw:
            data = raw.read(_MAX_LABEL_BYTES + 1)
        if len(data) > _MAX_LABEL_BYTES or data.count(b"\n") == 0:
            continue
        try:
            columns = sheet_columns(read_table(data, name=PurePosixPath(file.name).name, as_text=True))
        except AppError:
            continue
        if len(columns) < 2:
            continue
        rows = _rows_of(found, names, columns)
        if rows is None:
            continue
        n_left_out = 0
        for key, matrices in found.items():
            at = rows[key]
            n_left_out += int((at < 0).sum())
            for matrix in matrices:
                matrix.labels = {
                    name: Labels(np.where(at >= 0, one.codes[at], -1), one.levels)
                    for name, values in columns.items()
                    if len((one := Labels.of(values)).levels) <= 5000
                }
                matrix.is_used = at >= 0
                matrix.sample = "" if len(found) == 1 else matrix.sample
        text = f"{PurePosixPath(file.name).name} labels the cells."
        text += f" {n_left_out:,} barcodes it does not name are left out." if n_left_out else ""
        cautions.append(Caution(code="omics.cells_labelled", text=text))
        return


def _rows_of(
    found: dict[str, list[CellMatrix]], names: dict[str, str], columns: dict[str, list[str]]
) -> dict[str, NDArray[np.int64]] | None:
    """For each matrix the row of each barcode, -1 where there is none; None unless the table names the cells."""
    for values in list(columns.values())[:4]:
        if len(set(values)) < len(values) or sum(bool(_BARCODE.search(value)) for value in values[:200]) < 100 < len(
            values
        ):
            continue
        place = {value: at for at, value in enumerate(values)}
        for write in _WRITINGS if len(found) > 1 else _WRITINGS[:1]:
            rows = {
                key: np.array([place.get(write(names[key], barcode), -1) for barcode in matrices[0].barcodes])
                for key, matrices in found.items()
            }
            n_named = sum(int((at >= 0).sum()) for at in rows.values())
            if n_named >= 0.8 * len(values) and all((at >= 0).any() for at in rows.values()):
                return rows
    return None


_WRITINGS: tuple[Callable[[str, str], str], ...] = (
    lambda _sample, barcode: barcode,
    lambda sample, barcode: f"{sample}_{barcode}",
    lambda sample, barcode: f"{barcode}_{sample}",
    lambda sample, barcode: f"{sample}-{barcode}",
    lambda sample, barcode: f"{sample}:{barcode}",
    lambda sample, barcode: f"{sample}_{barcode.partition('-')[0]}",
    lambda sample, barcode: f"{barcode.partition('-')[0]}_{sample}",
)
