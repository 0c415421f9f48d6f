"""Remakes the table R_DRAWS of desktop/studios/omics/steps/deseq.py; needs R (no packages), takes a few seconds.

    python -m benchmarks.prior_draws            prints the table
    python -m benchmarks.prior_draws --check    says whether the one in the file is the same

With 3 residual degrees of freedom or fewer DESeq2 compares the histogram of dispersion residuals with random draws for
200 candidate variances, always from the same seed. What those draws are beyond their expectation depends on no data,
so it is a table: log of drawn over expected, smoothed to the 9 lowest nodes of R's loess.
"""

from __future__ import annotations

import argparse
import math
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from desktop.studios.omics.steps import deseq

N_DRAWS, GUARD, LIMIT = 10_000, 2e-4, 3600
SCRIPT = """
edges <- seq(-10, 10, by = 0.5)
for (df in 1:3) {
  set.seed(2)
  drawn <- sapply(seq(0, 8, length.out = 200), function(variance) {
    x <- log(rchisq(10000, df = df)) + rnorm(10000, 0, sqrt(variance)) - log(df)
    hist(x[x > -10 & x < 10], breaks = edges, plot = FALSE)$density
  })
  write.table(t(drawn), file.path(commandArgs(TRUE)[1], paste0(df, ".txt")), row.names = FALSE, col.names = FALSE)
}
"""


def expected_densities(df: int) -> NDArray[np.float64]:
    """(200 variances, 40 bins) density of log chi-square plus normal, as `_match_mixture` computes it."""
    edges = np.arange(-20, 21) / 2.0
    points = np.log(stats.chi2.ppf((np.arange(1000) + 0.5) / 1000, df)) - math.log(df)
    rows = []
    for variance in np.linspace(0.0, 8.0, 200):
        below = special.ndtr((edges[:, None] - points) / max(math.sqrt(variance), 1e-9)).mean(axis=1)
        rows.append(np.diff(below) / (below[-1] - below[0]) / 0.5)
    return np.array(rows)


def make_table() -> str:
    variances = np.linspace(0.0, 8.0, 200)
    nodes = np.array([-0.04, *deseq._halvings(variances), 8.04])
    smooth = [deseq._local_quadratic(variances, unit, np.ones(200), nodes, 40) for unit in np.eye(200)]
    to_level, to_slope = (np.column_stack(columns) for columns in zip(*smooth, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["Rscript", "-e", SCRIPT, folder], check=True)
        drawn = [np.loadtxt(Path(folder) / f"{df}.txt") for df in (1, 2, 3)]
    values = []
    for df, density in zip((1, 2, 3), drawn, strict=True):
        luck = np.log(density + GUARD) - np.log(expected_densities(df) + GUARD)
        both = np.stack([to_level, 0.25 * to_slope]) @ luck
        values.append(np.clip(np.round(1e4 * both), -LIMIT, LIMIT)[:, :9, :30])
    return "\n".join(textwrap.wrap(" ".join(str(int(value)) for value in np.array(values).ravel()), 119))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if shutil.which("Rscript") is None:
        print("R is not installed: nothing to do")
        return
    table = make_table()
    if not options.check:
        print(table)
        return
    mine, file = (np.array(text.split(), dtype=int) for text in (table, deseq.R_DRAWS))
    same = mine.shape == file.shape and np.abs(mine - file).max() <= 1
    print("the table in the file is R's" if same else "the table in the file is NOT R's")
    sys.exit(not same)


if __name__ == "__main__":
    main()
