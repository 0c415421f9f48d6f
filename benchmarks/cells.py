"""Peak memory and time of adding up single cells to samples, from an h5ad and from a 10x matrix of the same cells.

`python -m benchmarks.cells [N_CELLS]` (120,000 when not given); the files are made up and removed again.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata.io import write_elem

N_GENES, PER_CELL, PART = 30_000, 1500, 4000


def make_h5ad(path: Path, n_cells: int) -> None:
    """Sparse float32 counts in layers/counts as anndata writes them, 12 donors × 2 arms, 8 types; log values in X."""
    rng = np.random.default_rng(1)
    obs = pd.DataFrame(
        {
            "donor": pd.Categorical(rng.choice([f"D{k}" for k in range(12)], n_cells)),
            "condition": pd.Categorical(rng.choice(["ctrl", "stim"], n_cells)),
            "cell_type": pd.Categorical(rng.choice([f"type {k}" for k in range(8)], n_cells)),
        },
        index=[f"CELL{k}-1" for k in range(n_cells)],
    )
    with h5py.File(path, "w") as file:
        write_elem(file, "obs", obs)
        write_elem(file, "var", pd.DataFrame(index=[f"ENSG{k:011d}" for k in range(N_GENES)]))
        pointer = np.arange(n_cells + 1, dtype=np.int64) * PER_CELL
        for place in ("X", "layers/counts"):
            group = file.create_group(place)
            group.attrs.update(
                {"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": (n_cells, N_GENES)}
            )
            group["indptr"] = pointer
            size = n_cells * PER_CELL
            data = group.create_dataset("data", (size,), "f4", chunks=(1_000_000,), compression="lzf")
            places = group.create_dataset("indices", (size,), "i4", chunks=(1_000_000,), compression="lzf")
            for start in range(0, n_cells, PART):
                n = min(PART, n_cells - start)
                part = slice(start * PER_CELL, (start + n) * PER_CELL)
                first = rng.integers(0, N_GENES - 19 * PER_CELL, (n, 1))
                places[part] = (first + 19 * np.arange(PER_CELL)).ravel()
                counts = rng.geometric(0.5, n * PER_CELL).astype("f4")
                data[part] = counts if place != "X" else np.log1p(counts)


def make_mtx(folder: Path, n_cells: int) -> None:
    """One 10x folder a sample, four of them."""
    rng = np.random.default_rng(2)
    for sample in range(4):
        here = folder / f"s{sample}"
        here.mkdir(parents=True)
        n = n_cells // 4
        codes = rng.choice(list("ACGT"), (n, 16))
        (here / "barcodes.tsv").write_text("".join("".join(row) + "-1\n" for row in codes))
        (here / "features.tsv").write_text("".join(f"ENSG{k:011d}\tS{k}\tGene Expression\n" for k in range(N_GENES)))
        with gzip.open(here / "matrix.mtx.gz", "wt", compresslevel=1) as out:
            out.write(f"%%MatrixMarket matrix coordinate integer general\n%\n{N_GENES} {n} {n * PER_CELL}\n")
            for start in range(0, n, PART):
                cells = np.repeat(np.arange(start, min(start + PART, n)) + 1, PER_CELL)
                genes = np.tile(1 + 19 * np.arange(PER_CELL), len(cells) // PER_CELL)
                part = pd.DataFrame({"g": genes, "c": cells, "v": rng.geometric(0.5, len(cells))})
                part.to_csv(out, sep=" ", header=False, index=False)


def measure(path: Path) -> str:
    """Seconds and peak memory of one inspection, in a process of its own."""
    began = time.perf_counter()
    code = (
        "import sys; from pathlib import Path; from desktop.studios.omics.sources.dataset import inspect_data;"
        "import resource; i = inspect_data(Path(sys.argv[1])); print(i.why);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    *why, peak = done.stdout.strip().splitlines()
    unit = 1024 if sys.platform != "darwin" else 1
    return f"{why[0]}  {time.perf_counter() - began:.0f} s, peak {int(peak) * unit / 1024**2:.0f} MiB"


def main() -> None:
    n_cells = int(sys.argv[1]) if len(sys.argv) > 1 else 120_000
    if len(sys.argv) > 3:  # a process of its own: its peak would count as that of what it starts
        (make_h5ad if sys.argv[2] == "h5ad" else make_mtx)(Path(sys.argv[3]), n_cells)
        return
    this = [sys.executable, "-m", "benchmarks.cells"]
    with tempfile.TemporaryDirectory() as scratch:
        h5ad, folder = Path(scratch) / "cells.h5ad", Path(scratch) / "tenx"
        subprocess.run([*this, str(n_cells), "h5ad", str(h5ad)], check=True)
        print(f"h5ad, {n_cells:,} × {N_GENES:,}, {h5ad.stat().st_size / 1024**2:.0f} MiB: {measure(h5ad)}", flush=True)
        h5ad.unlink()
        subprocess.run([*this, str(n_cells // 3), "mtx", str(folder)], check=True)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        print(f"10x mtx.gz, {n_cells // 3:,} cells, {size / 1024**2:.0f} MiB: {measure(folder)}")


if __name__ == "__main__":
    main()
