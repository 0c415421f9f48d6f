"""Differential expression against R's DESeq2 1.38.3 and apeglm: a bundled reference, and the shared ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.parity_shared import (
    CASES,
    Case,
    agreement,
    contrast_of,
    design_of,
    load_case,
    reference,
    shrinkage_off,
)
from desktop.core.paths import resources_dir
from desktop.studios.omics.steps.deseq import (
    DeseqFit,
    fit_counts,
    likelihood_ratio_test,
    shrink_lfc,
    size_factors,
    vst,
    wald_test,
)

DATA = Path(__file__).parent / "data"
Fitted = tuple[Case, Path, pd.DataFrame, DeseqFit]


def test_bundled_airway_agrees_with_r() -> None:
    """Paired design, 3 residual degrees of freedom: where stock pydeseq2 reaches a Jaccard index of 0.905."""
    folder = resources_dir() / "samples" / "airway"
    samples = pd.read_csv(folder / "samples.csv", index_col="sample")
    counts = pd.read_csv(folder / "counts.csv.gz", index_col="gene_id")[samples.index]
    design = pd.DataFrame({"Intercept": 1.0}, index=samples.index)
    for cell in sorted(samples["cell"].unique())[1:]:
        design[f"cell[T.{cell}]"] = (samples["cell"] == cell).astype(float)
    design["dex[T.trt]"] = (samples["dex"] == "trt").astype(float)
    fit = fit_counts(counts.to_numpy().T, design)
    ours = wald_test(fit, [0, 0, 0, 0, 1])
    ours.index = counts.index
    r = pd.read_csv(DATA / "airway_deseq2.csv.gz", index_col="gene_id")
    assert (ours["base_mean"] == 0).sum() == len(ours) - len(r)
    ours = ours.loc[r.index]
    called, expected = ours["padj"] < 0.05, r["padj"] < 0.05
    assert (called & expected).sum() / (called | expected).sum() >= 0.995
    assert (ours["pvalue"].isna() == r["pvalue"].isna()).all()
    assert (ours["padj"].isna() == r["padj"].isna()).mean() >= 0.99
    assert np.nanquantile(np.abs(ours["log2_fold_change"] - r["log2_fold_change"]), 0.999) <= 0.005
    np.testing.assert_allclose(ours["pvalue"], r["pvalue"], rtol=0.02, atol=1e-12)
    shrunken = shrink_lfc(fit, [0, 0, 0, 0, 1])["log2_fold_change"].set_axis(counts.index).loc[r.index]
    assert (np.abs(shrunken - r["shrunken"])[expected] > 0.25).mean() <= 0.01


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.folder)
def fitted(request: pytest.FixtureRequest, shared_data: Path) -> Fitted:
    case, root = request.param, shared_data / "omics" / "counts"
    counts, samples = load_case(case, root)
    return case, root, counts, fit_counts(counts.to_numpy().T, design_of(case, samples))


@pytest.mark.shared
def test_wald_shrinkage_and_threshold_agree_with_r(fitted: Fitted) -> None:
    case, root, counts, fit = fitted
    for name, contrast in case.contrasts.items():
        r = reference(case, name, counts.index, root)
        weights = contrast_of(fit.design, contrast)
        found = agreement(wald_test(fit, weights), r)
        assert found["jaccard"] >= 0.98
        assert found["spearman"] >= 0.9999
        assert found["lfc_q999"] <= 0.005
        assert found["na_p"] == 0
        assert found["na_padj_given_p"] == 0
        above = wald_test(fit, weights, lfc_threshold=1.0)
        np.testing.assert_allclose(above["pvalue"], r["pvalue_lfcThreshold1"], rtol=0.02, atol=1e-4)
        if "apeglm_LFC" in r:
            assert shrinkage_off(shrink_lfc(fit, weights), r) <= 1.0


@pytest.mark.shared
def test_dispersions_agree_with_r(fitted: Fitted) -> None:
    case, root, counts, fit = fitted
    r = reference(case, "gene_params", counts.index, root)
    used = ~fit.all_zero
    np.testing.assert_allclose(fit.base_mean[used], r["baseMean"][used], rtol=1e-8)
    np.testing.assert_allclose(fit.dispersion_trend[used], r["dispFit"][used], rtol=1e-4)
    np.testing.assert_allclose(fit.dispersion[used], r["dispersion"][used], rtol=1e-2)
    assert (np.abs(np.log(fit.dispersion_gene[used] / r["dispGeneEst"][used])) > 0.01).mean() < 0.002
    np.testing.assert_array_equal(np.isnan(fit.max_cooks[used]), r["maxCooks"][used].isna())
    np.testing.assert_array_equal(fit.dispersion_outlier[used], r["dispOutlier"][used])


@pytest.mark.shared
def test_likelihood_ratio_agrees_with_r(shared_data: Path) -> None:
    root = shared_data / "omics" / "counts"
    for case in (case for case in CASES if case.reduced):
        counts, samples = load_case(case, root)
        fit = fit_counts(counts.to_numpy().T, design_of(case, samples))
        ours = likelihood_ratio_test(fit, design_of(case, samples, case.reduced))
        found = agreement(ours, reference(case, "LRT_condition", counts.index, root))
        assert found["jaccard"] >= 0.98
        assert found["spearman"] >= 0.9999
        assert found["na_p"] == 0


@pytest.mark.shared
def test_principal_components_agree_with_r(fitted: Fitted) -> None:
    case, root, counts, _ = fitted
    stable = vst(counts.to_numpy().T)
    top = np.argsort(-stable.var(axis=0, ddof=1), kind="stable")[:500]
    left, values, _ = np.linalg.svd(stable[:, top] - stable[:, top].mean(axis=0), full_matrices=False)
    folder = root / case.folder / "R_reference"
    expected = pd.read_csv(folder / "pca_vst_top500.csv", index_col=0).loc[counts.columns]
    shares = [float(text) for text in (folder / "pca_percentVar.txt").read_text().split(",")]
    np.testing.assert_allclose((values**2 / (values**2).sum())[: len(shares)], shares, atol=1e-6)
    np.testing.assert_allclose(np.abs(left[:, 0] * values[0]), np.abs(expected["PC1"]), atol=1e-5)


REFERENCES = [
    pytest.param("synthetic", "single_factor", ["condition"], id="single factor"),
    pytest.param("synthetic", "multi_factor", ["group", "condition"], id="multi factor"),
    pytest.param("continuous", "continuous", ["group", "condition", "measurement"], id="continuous"),
    pytest.param("wide", "wide", ["group", "condition"], id="wide"),
]


def _synthetic(root: Path, data: str, factors: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    counts = pd.read_csv(root / data / "test_counts.csv", index_col=0)
    samples = pd.read_csv(root / data / "test_metadata.csv", index_col=0).loc[counts.columns]
    design = pd.DataFrame({"Intercept": 1.0}, index=samples.index)
    for factor in factors:
        if samples[factor].dtype.kind == "f":
            design[factor] = samples[factor]
            continue
        for level in sorted(samples[factor].unique())[1:]:
            design[f"{factor}[T.{level}]"] = (samples[factor] == level).astype(float)
    return counts, design


@pytest.mark.shared
@pytest.mark.parametrize(("data", "name", "factors"), REFERENCES)
def test_small_synthetic_sets_agree_with_r(shared_data: Path, data: str, name: str, factors: list[str]) -> None:
    """Ten genes, many samples: outliers replaced, R 1.34."""
    root = shared_data / "omics" / "pydeseq2_refs"
    counts, design = _synthetic(root, data, factors)
    r = pd.read_csv(root / name / "r_test_res.csv", index_col=0)
    fit = fit_counts(counts.to_numpy().T, design)
    weights = np.array([column == "condition[T.B]" or column == "measurement" for column in design], dtype=float)
    if name == "continuous":
        weights = np.array([column == "measurement" for column in design], dtype=float)
    ours = wald_test(fit, weights).set_axis(counts.index)
    sign = np.sign((ours["log2_fold_change"] * r["log2FoldChange"]).sum())
    np.testing.assert_allclose(sign * ours["log2_fold_change"], r["log2FoldChange"], rtol=0.02, atol=1e-3)
    np.testing.assert_allclose(ours["pvalue"], r["pvalue"], rtol=0.05, atol=1e-6)


@pytest.mark.shared
def test_size_factors_and_transformation_agree_with_r(shared_data: Path) -> None:
    root = shared_data / "omics" / "pydeseq2_refs"
    counts, design = _synthetic(root, "synthetic", ["condition"])
    table, single = counts.to_numpy().T, root / "single_factor"
    np.testing.assert_allclose(size_factors(table), pd.read_csv(single / "r_test_size_factors.csv", index_col=0)["x"])
    poscounts = pd.read_csv(single / "r_test_size_factors_poscount.csv", index_col=0)["sizeFactor"]
    np.testing.assert_allclose(size_factors(table, kind="poscounts"), poscounts)
    blind = pd.read_csv(single / "r_vst.csv", index_col=0)
    np.testing.assert_allclose(vst(table, n_trend_genes=None), blind.T, rtol=2e-2)
    informed = pd.read_csv(single / "r_vst_with_design.csv", index_col=0)
    np.testing.assert_allclose(vst(fit_counts(table, design)), informed.T, rtol=2e-2)
