"""The two files a script reads, `counts.csv.gz` (or `values.csv.gz`) and `samples.csv`: written and read back here.

The bytes depend on nothing but the numbers and names, so that their hashes say whether two runs had the same data.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from desktop.studios.omics.schema import SampleTable

COUNTS, VALUES, SAMPLES, LENGTHS = "counts.csv.gz", "values.csv.gz", "samples.csv", "lengths.csv.gz"


def write_counts(
    folder: Path, values: Any, gene_ids: Sequence[str], gene_symbols: Sequence[str], samples: Sequence[str]
) -> None:
    """Write `counts.csv.gz`, or `values.csv.gz` for what is no count: gene_id, gene_symbol ("" where unknown), samples.

    values   (S, G) integers >= 0, or floats with NaN where one is missing
    """
    import pandas as pd

    table = pd.DataFrame(values.T, columns=list(samples))
    table.insert(0, "gene_symbol", list(gene_symbols))
    table.insert(0, "gene_id", list(gene_ids))
    table.to_csv(
        folder / (COUNTS if values.dtype.kind in "iu" else VALUES),
        index=False,
        lineterminator="\n",
        compression={"method": "gzip", "mtime": 0, "compresslevel": 6},
    )


def write_lengths(folder: Path, lengths: Any, gene_ids: Sequence[str], samples: Sequence[str]) -> None:
    """Write `lengths.csv.gz`: gene_id, then the length in bases of each gene in each sample. lengths (S, G)."""
    import pandas as pd

    table = pd.DataFrame(lengths.T, columns=list(samples))
    table.insert(0, "gene_id", list(gene_ids))
    table.to_csv(
        folder / LENGTHS,
        index=False,
        float_format="%.10g",
        lineterminator="\n",
        compression={"method": "gzip", "mtime": 0, "compresslevel": 6},
    )


def write_samples(folder: Path, samples: SampleTable) -> None:
    """Write `samples.csv`: the first column names the sample, then one column a factor, every value as written."""
    with (folder / SAMPLES).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        first = next(name for name in ("sample", "sample_name", "sample_id", "") if name not in samples.factors)
        writer.writerow([first, *samples.factors])
        for i, sample in enumerate(samples.samples):
            writer.writerow([sample, *(values[i] for values in samples.factors.values())])


def columns_in(folder: Path) -> dict[str, list[str]]:
    """The column names of each table a script finds beside it, by file name."""
    found = {}
    for name in (SAMPLES, COUNTS, VALUES):
        if (folder / name).is_file():
            opened = gzip.open if name.endswith(".gz") else open
            with opened(folder / name, "rt", encoding="utf-8", newline="") as file:
                found[name] = next(csv.reader(file), [])
    return found


def load_samples(path: Path) -> SampleTable:
    """The sample table of a `samples.csv` written here."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    return SampleTable(
        samples=[row[0] for row in rows],
        factors={name: [row[k] for row in rows] for k, name in enumerate(header) if k > 0},
    )
