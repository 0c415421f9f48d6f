"""Moderated t against limma 3.54.1 on the same intensities (GSE42872, vemurafenib against vehicle)."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from desktop.studios.omics.steps.moderated_t import fit_intensities, moderated_t_test


@pytest.mark.shared
def test_agrees_with_limma(shared_data: Path) -> None:
    geo = shared_data / "omics" / "geo"
    text = gzip.decompress((geo / "GSE42872_series_matrix.txt.gz").read_bytes()).decode()
    table = text.split("!series_matrix_table_begin\n")[1].split("!series_matrix_table_end")[0]
    intensities = pd.read_csv(io.StringIO(table), sep="\t", index_col=0)
    design = pd.DataFrame({"Intercept": 1.0, "treated": [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]})
    result = moderated_t_test(fit_intensities(intensities.to_numpy().T, design), np.array([0.0, 1.0]))
    result.index = intensities.index.astype(str)
    limma = pd.read_csv(
        geo / "R_limma_reference" / "GSE42872_vemurafenib_vs_control.csv.gz", index_col="probe", dtype={"probe": str}
    )
    ours = result.loc[limma.index]
    np.testing.assert_allclose(ours["log2_fold_change"], limma["logFC"], atol=1e-9)
    np.testing.assert_allclose(ours["stat"], limma["t"], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(ours["pvalue"], limma["P.Value"], rtol=1e-6)
    np.testing.assert_allclose(ours["padj"], limma["adj.P.Val"], rtol=1e-6)
