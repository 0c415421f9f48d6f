"""Made-up single cells in the files they come in: h5ad, CellRanger's h5, 10x folders and GEO's archives."""

from __future__ import annotations

import gzip
import io
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import scipy.io
import scipy.sparse as sp
from anndata.io import write_elem

TYPES = ("B cells", "CD14+ Monocytes", "T")


@dataclass
class Cells:
    """counts (N, G); one donor, arm and type a cell; `unit` is donor and arm."""

    counts: np.ndarray
    labels: pd.DataFrame
    genes: list[str]

    @property
    def unit(self) -> np.ndarray:
        return (self.labels["donor"] + "_" + self.labels["stim"]).to_numpy()


def some_cells(n_donors: int = 3, per_type: int = 14, n_genes: int = 120, seed: int = 0) -> Cells:
    """Each donor in two arms, three types; the last donor has 4 stimulated T cells only."""
    rng = np.random.default_rng(seed)
    base = rng.lognormal(0.5, 1.2, n_genes)
    rows, labels = [], []
    for donor in range(n_donors):
        for arm in ("ctrl", "stim"):
            for number, kind in enumerate(TYPES):
                effect = np.ones(n_genes)
                if arm == "stim":
                    effect[number * 10 : (number + 1) * 10] = 5
                n = 4 if (donor, kind, arm) == (n_donors - 1, "T", "stim") else per_type
                rows.append(rng.poisson(base * effect, size=(n, n_genes)))
                labels += [(f"P{donor + 1}", arm, kind)] * n
    frame = pd.DataFrame(labels, columns=["donor", "stim", "cell_type"], index=barcodes(len(labels), seed))
    return Cells(np.vstack(rows), frame, [f"ENSG{k:011d}" for k in range(n_genes)])


def barcodes(n: int, seed: int = 0) -> list[str]:
    codes = np.random.default_rng(seed).choice(list("ACGT"), (n, 16))
    return ["".join(row) + "-1" for row in codes]


def write_h5ad(path: Path, cells: Cells, labels: pd.DataFrame | None = None, **matrices: object) -> Path:
    """matrices: place ("X", "raw", or a layer's name) → (N, G) array or sparse matrix."""
    labels = cells.labels if labels is None else labels
    var = pd.DataFrame(index=cells.genes)
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        write_elem(file, "obs", labels.astype("category"))
        write_elem(file, "var", var)
        for place, values in matrices.items():
            at = {"X": "X", "raw": "raw/X"}.get(place, f"layers/{place}")
            write_elem(file, at, values)
        if "raw" in matrices:
            write_elem(file, "raw/var", var)
    return path


def write_tenx(
    folder: Path, prefix: str, counts: np.ndarray, codes: list[str], genes: list[str], old: bool = False
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = io.BytesIO()
    scipy.io.mmwrite(text, sp.coo_matrix(counts.T.astype(int)))
    kind = "" if old else "\tGene Expression"
    parts = {
        "matrix.mtx": text.getvalue(),
        "barcodes.tsv": "".join(f"{code}\n" for code in codes).encode(),
        "genes.tsv" if old else "features.tsv": "".join(f"{g}\tS{k}{kind}\n" for k, g in enumerate(genes)).encode(),
    }
    for name, data in parts.items():
        (folder / f"{prefix}{name}.gz").write_bytes(gzip.compress(data, mtime=0))


def write_h5(
    path: Path, counts: np.ndarray, codes: list[str], genes: list[str], libraries: list[str], n_antibodies: int = 0
) -> Path:
    """As CellRanger 3 writes it; the last features are antibodies."""
    with h5py.File(path, "w") as file:
        matrix = sp.csr_matrix(counts.astype("i4"))
        group = file.create_group("matrix")
        group["barcodes"] = np.array(codes, dtype="S")
        for part in ("data", "indices", "indptr"):
            group[part] = getattr(matrix, part)
        group["shape"] = np.array(counts.shape[::-1])
        features = group.create_group("features")
        kinds = ["Gene Expression"] * (len(genes) - n_antibodies) + ["Antibody Capture"] * n_antibodies
        values = {"id": genes, "name": genes, "feature_type": kinds, "genome": ["GRCh38"] * len(genes)}
        for key, texts in values.items():
            features[key] = np.array(texts, dtype="S")
        file.attrs["library_ids"] = np.array(libraries, dtype="S")
    return path
