"""Moderated t against limma 3.54.1: real intensities (GSE42872), and made-up ones for blocks and the robust prior."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from desktop.studios.omics.steps.moderated_t import fit_intensities, moderated_t_test
from desktop.studios.omics.steps.sample_weights import sample_weights


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


DESIGN = pd.DataFrame({"Intercept": 1.0, "drug": [0.0, 1.0] * 5})
DONOR = np.array([0, 0, 1, 1, 2, 2, 3, 4, 5, 5])


def made_up(*, gaps: bool) -> tuple[pd.DataFrame, pd.Series, np.ndarray]:
    """limma's tables and numbers as limma/make_reference.R, beside the data, made them; and the values (S, G)."""
    folder = Path(__file__).with_name("limma")
    limma = pd.read_csv(folder / "limma_reference.csv.gz", skipinitialspace=True)
    said = pd.read_csv(folder / "limma_numbers.csv").set_index("name")["value"]
    values = limma[[f"s{k}" for k in range(1, 11)]].to_numpy(copy=True)
    if gaps:
        values[(7 * np.arange(1, 401)[:, None] + 3 * np.arange(1, 11)) % 9 == 0] = np.nan
        values[100:110, 1::2] = np.nan  # the whole of a group
    return limma, said, values.T


@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param("plain", {}, id="plain"),
        pytest.param("robust", {"robust": True}, id="robust prior"),
        pytest.param("trended", {"robust": True, "trend": True}, id="robust prior that follows the mean"),
        pytest.param("blocked", {"block": DONOR}, id="incomplete pairs as blocks"),
        pytest.param("both", {"robust": True, "block": DONOR}, id="blocks and robust prior"),
        pytest.param("gaps_plain", {}, id="values missing"),
        pytest.param("gaps_trended", {"robust": True, "trend": True}, id="values missing, robust prior, trend"),
        pytest.param("gaps_blocked", {"block": DONOR}, id="values missing, blocks"),
    ],
)
def test_blocks_priors_and_gaps_agree_with_limma(name: str, options: dict[str, Any]) -> None:
    limma, said, values = made_up(gaps=name.startswith("gaps"))
    fit = fit_intensities(values, DESIGN, **options)
    ours = moderated_t_test(fit, np.array([0.0, 1.0]))
    np.testing.assert_allclose(ours["stat"], limma[f"{name}_t"], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(ours["pvalue"], limma[f"{name}_p"], rtol=1e-6)
    np.testing.assert_allclose(fit.df_total, limma[f"{name}_df"], rtol=1e-6)
    if "block" in options:
        correlation = said["gaps_correlation" if name == "gaps_blocked" else "correlation"]
        assert fit.block_correlation == pytest.approx(correlation, abs=1e-9)
    if name == "robust":
        assert fit.prior.df == pytest.approx(said["robust_df_prior"], rel=1e-6)


@pytest.mark.parametrize("gaps", [pytest.param(False, id="complete"), pytest.param(True, id="values missing")])
def test_weights_of_samples_agree_with_limma(gaps: bool) -> None:
    limma, said, values = made_up(gaps=gaps)
    prefix = "gaps_" if gaps else ""
    weights = sample_weights(values, DESIGN.to_numpy())
    np.testing.assert_allclose(weights, [said[f"{prefix}weight_s{k}"] for k in range(1, 11)], rtol=1e-8)
    ours = moderated_t_test(fit_intensities(values, DESIGN, weights=weights), np.array([0.0, 1.0]))
    np.testing.assert_allclose(ours["stat"], limma[f"{prefix}weighted_t"], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(ours["pvalue"], limma[f"{prefix}weighted_p"], rtol=1e-6)
