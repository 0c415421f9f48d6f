"""Differential expression of counts: properties that must hold for any data, and the edges."""

from __future__ import annotations

import ast
import inspect

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from desktop.studios.omics.steps import deseq
from desktop.studios.omics.steps.deseq import (
    NoCommonGenes,
    adjust_pvalues,
    fit_counts,
    length_factors,
    likelihood_ratio_test,
    shrink_lfc,
    size_factors,
    vst,
    wald_test,
)
from desktop.studios.omics.steps.lowess import lowess

GROUPS = [0, 0, 0, 1, 1, 1]
Counts = NDArray[np.int64]


def some_counts(n_samples: int = 6, n_genes: int = 300, seed: int = 0, mean: float = 100.0) -> Counts:
    """Negative binomial counts; every tenth gene is three times higher in the later half of the samples."""
    rng = np.random.default_rng(seed)
    mu = mean * np.exp(rng.normal(0, 1, n_genes)) * np.ones((n_samples, 1))
    mu[n_samples // 2 :, ::10] *= 3.0
    alpha = 0.05 + 2.0 / mu
    return rng.negative_binomial(1 / alpha, 1 / (1 + alpha * mu)).astype(np.int64)


def design_of(*columns: list[float]) -> pd.DataFrame:
    """Intercept and the given columns; the first is a two-level factor's."""
    names = ["group[T.b]", *(f"x{k}" for k in range(1, len(columns)))]
    table = pd.DataFrame({"Intercept": 1.0}, index=range(len(columns[0])))
    return table.assign(**{name: np.asarray(values, float) for name, values in zip(names, columns, strict=True)})


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param([[10, 20], [10, 20]], [1, 1], id="equal depth"),
        pytest.param([[10, 20], [20, 40]], [2**-0.5, 2**0.5], id="double depth"),
        pytest.param([[10, 0], [10, 90]], [1, 1], id="gene with a zero is ignored"),
    ],
)
def test_size_factors(counts: list[list[int]], expected: list[float]) -> None:
    np.testing.assert_allclose(size_factors(np.array(counts)), expected)


@given(seed=st.integers(0, 50), scale=st.integers(2, 9), sample=st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_scaling_a_sample_scales_its_size_factor(seed: int, scale: int, sample: int) -> None:
    counts = some_counts(seed=seed, n_genes=40)
    deeper = counts.copy()
    deeper[sample] *= scale
    before, after = size_factors(counts), size_factors(deeper)
    np.testing.assert_allclose(
        after / after[sample - 1], before / before[sample - 1] * scale ** (np.arange(6) == sample)
    )


def test_no_gene_in_every_sample_has_a_named_way_out() -> None:
    counts = some_counts(n_genes=60)
    counts[np.arange(60) % 6, np.arange(60)] = 0
    with pytest.raises(NoCommonGenes, match="poscounts"):
        size_factors(counts)
    factors = size_factors(counts, kind="poscounts")
    assert np.isfinite(fit_counts(counts, design_of(GROUPS), factors={"size_factors": factors}).beta).all()


@given(seed=st.integers(0, 30), order=st.permutations(range(6)))
@settings(max_examples=8, deadline=None)
def test_order_of_samples_does_not_matter(seed: int, order: list[int]) -> None:
    counts, design = some_counts(seed=seed, n_genes=120), design_of(GROUPS)
    one = wald_test(fit_counts(counts, design), [0, 1])
    other = wald_test(fit_counts(counts[order], design.iloc[order]), [0, 1])
    np.testing.assert_allclose(one["log2_fold_change"], other["log2_fold_change"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(one["pvalue"], other["pvalue"], rtol=1e-3, atol=1e-12)
    assert (one["reason"] == other["reason"]).all()


@given(seed=st.integers(0, 30), shuffle=st.integers(0, 99))
@settings(max_examples=8, deadline=None)
def test_order_of_genes_only_permutes_the_result(seed: int, shuffle: int) -> None:
    counts, design = some_counts(seed=seed, n_genes=120), design_of(GROUPS)
    order = np.random.default_rng(shuffle).permutation(120)
    one = wald_test(fit_counts(counts, design), [0, 1]).iloc[order].reset_index(drop=True)
    other = wald_test(fit_counts(counts[:, order], design), [0, 1])
    pd.testing.assert_frame_equal(one, other, rtol=1e-6, atol=1e-12)


@given(seed=st.integers(0, 30))
@settings(max_examples=8, deadline=None)
def test_swapping_the_groups_swaps_the_sign(seed: int) -> None:
    counts = some_counts(seed=seed, n_genes=120)
    one = wald_test(fit_counts(counts, design_of(GROUPS)), [0, 1])
    other = wald_test(fit_counts(counts, design_of([1 - g for g in GROUPS])), [0, 1])
    np.testing.assert_allclose(one["log2_fold_change"], -other["log2_fold_change"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(one["pvalue"], other["pvalue"], rtol=1e-3, atol=1e-12)


def test_the_same_input_gives_the_same_bits() -> None:
    counts, design = some_counts(), design_of(GROUPS)
    one, other = fit_counts(counts, design), fit_counts(counts.copy(), design.copy())
    for name in ("beta", "covariance", "dispersion", "cooks"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    pd.testing.assert_frame_equal(wald_test(one, [0, 1]), wald_test(other, [0, 1]), check_exact=True)


def test_equal_genes_tie_exactly() -> None:
    counts = some_counts()
    counts = np.hstack([counts, counts[:, :7]])
    table = wald_test(fit_counts(counts, design_of(GROUPS)), [0, 1])
    assert (table["pvalue"].iloc[:7].to_numpy() == table["pvalue"].iloc[-7:].to_numpy()).all()


def test_planted_changes_are_found() -> None:
    table = wald_test(fit_counts(some_counts(n_samples=12), design_of([0] * 6 + [1] * 6)), [0, 1])
    planted = np.arange(300) % 10 == 0
    assert (table["padj"] < 0.05)[planted].mean() > 0.8
    assert (table["padj"] < 0.05)[~planted].mean() < 0.02
    assert abs(table["log2_fold_change"][planted].median() - np.log2(3)) < 0.3


def test_every_gene_without_padj_says_why() -> None:
    counts = some_counts(n_genes=800, mean=5.0)
    counts[:, :5] = 0
    counts[2, 5:10] = 100_000
    table = wald_test(fit_counts(counts, design_of(GROUPS)), [0, 1])
    assert set(table["reason"][:5]) == {"all_zero"}
    assert set(table["reason"][5:10]) == {"outlier"}
    assert ((table["reason"] != "") == table["padj"].isna()).all()
    assert table["pvalue"][table["reason"] == "low_mean"].notna().all()


def test_an_outlier_is_replaced_where_there_are_seven_replicates() -> None:
    counts = some_counts(n_samples=16)
    clean = wald_test(fit_counts(counts, design_of([0] * 8 + [1] * 8)), [0, 1])
    counts[3, 1:9] = 100_000
    fit = fit_counts(counts, design_of([0] * 8 + [1] * 8))
    table = wald_test(fit, [0, 1])
    assert fit.replaced[1:9].all()
    assert (fit.counts[3, 1:9] < 10_000).all()
    assert (fit.original_counts[3, 1:9] == 100_000).all()
    np.testing.assert_allclose(table["log2_fold_change"][1:9], clean["log2_fold_change"][1:9], atol=0.6)


def test_a_gene_whose_only_reads_were_an_outlier_shows_no_change() -> None:
    counts = some_counts(n_samples=16)
    counts[:, 0] = 0
    counts[3, 0] = 5000
    row = wald_test(fit_counts(counts, design_of([0] * 8 + [1] * 8)), [0, 1]).iloc[0]
    assert (row["log2_fold_change"], row["pvalue"]) == (0.0, 1.0)


def test_on_off_genes_are_significant_and_finite() -> None:
    """Silent in one group: the fitted-mean floor keeps the standard error from exploding."""
    counts = some_counts()
    counts[:3, :20] = 0
    counts[3:, :20] += 20
    table = wald_test(fit_counts(counts, design_of(GROUPS)), [0, 1]).iloc[:20]
    assert (table["padj"] < 0.05).all()
    assert table["log2_fold_change"].between(3, 20).all()


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param([[0, 0, 1]], id="1 residual degree of freedom"),
        pytest.param([[0, 0, 1, 1]], id="2"),
        pytest.param([[0, 0, 1, 1], [0, 1, 0, 1]], id="1, paired"),
        pytest.param([[0, 0, 0, 1, 1]], id="3"),
        pytest.param([[0, 1, 1, 1, 1, 1]], id="one sample alone in its group"),
        pytest.param([[0, 0, 0, 1, 1, 1], [2015.0, 2016, 2019, 2014, 2016, 2020]], id="covariate far from zero"),
    ],
)
def test_small_designs_give_finite_answers(columns: list[list[float]]) -> None:
    design = design_of(*columns)
    fit = fit_counts(some_counts(n_samples=len(design)), design)
    contrast = np.eye(design.shape[1])[1]
    for table in (wald_test(fit, contrast), shrink_lfc(fit, contrast)):
        assert np.isfinite(table["log2_fold_change"]).all()
        assert (table["lfc_se"] > 0).all()
    assert fit.prior_variance >= 0.25


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param(some_counts(n_genes=1), id="one gene"),
        pytest.param(some_counts(n_genes=2), id="two genes"),
        pytest.param(np.full((6, 40), 7), id="nothing varies"),
        pytest.param(some_counts() * 10_000_000, id="huge"),
        pytest.param(np.random.default_rng(1).poisson(100, (6, 200)), id="no more than counting noise"),
        pytest.param(np.vstack([some_counts()[:5], np.where(np.arange(300) == 4, 2_000_000_000, 1)]), id="saturated"),
    ],
)
def test_odd_tables_give_finite_answers(counts: Counts) -> None:
    fit = fit_counts(counts, design_of(GROUPS))
    table = wald_test(fit, [0, 1])
    assert np.isfinite(table[["log2_fold_change", "lfc_se", "stat"]]).all(axis=None)
    assert np.isfinite(vst(fit)).all()
    assert np.isfinite(vst(counts)).all()


@pytest.mark.parametrize(
    ("counts", "columns", "message"),
    [
        pytest.param(some_counts(), [GROUPS, GROUPS], "rank-deficient", id="rank"),
        pytest.param(some_counts(n_samples=2), [[0, 1]], "no replicates", id="1 against 1"),
        pytest.param(some_counts(), [[0, 1, 1]], "3 rows for 6 samples", id="rows"),
        pytest.param(some_counts(), [[0, 0, 0, 1, 1, np.nan]], "missing", id="missing value"),
        pytest.param(-some_counts(), [GROUPS], "negative", id="negative"),
        pytest.param(some_counts() + 0.5, [GROUPS], "whole numbers", id="fractions"),
        pytest.param(np.zeros((6, 9)), [GROUPS], "no gene has reads in every sample", id="no reads"),
    ],
)
def test_what_cannot_be_fitted_says_so(counts: Counts, columns: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_counts(counts, design_of(*columns))


@pytest.mark.parametrize(
    ("contrast", "message"), [([0, 0], "not all zero"), ([1], "2 numbers"), ([0, np.inf], "2 numbers")]
)
def test_impossible_contrasts_are_refused(contrast: list[float], message: str) -> None:
    fit = fit_counts(some_counts(n_genes=30), design_of(GROUPS))
    with pytest.raises(ValueError, match=message):
        wald_test(fit, contrast)


def test_a_contrast_of_two_coefficients_is_the_coefficient_of_the_relevelled_design() -> None:
    counts = some_counts(n_samples=9)
    b, c, a = ([float(k in group) for k in range(9)] for group in ([3, 4, 5], [6, 7, 8], [0, 1, 2]))
    from_a = fit_counts(counts, design_of(b, c))
    from_b = fit_counts(counts, design_of(c, a))
    one, other = wald_test(from_a, [0, -1, 1]), wald_test(from_b, [0, 1, 0])
    np.testing.assert_allclose(one["log2_fold_change"], other["log2_fold_change"], atol=1e-4)
    np.testing.assert_allclose(one["pvalue"], other["pvalue"], rtol=1e-2, atol=1e-9)
    shrunk, relevelled = shrink_lfc(from_a, [0, -1, 1]), shrink_lfc(from_b, [0, 1, 0])
    np.testing.assert_allclose(shrunk["log2_fold_change"], relevelled["log2_fold_change"], atol=2e-3)


def test_shrinkage_pulls_towards_zero_and_keeps_large_changes() -> None:
    fit = fit_counts(some_counts(n_samples=12), design_of([0] * 6 + [1] * 6))
    plain, shrunk = wald_test(fit, [0, 1]), shrink_lfc(fit, [0, 1])["log2_fold_change"]
    assert (shrunk.abs() <= plain["log2_fold_change"].abs() + 1e-3).all()
    strong = plain["padj"] < 1e-6
    assert strong.any()
    assert (shrunk / plain["log2_fold_change"])[strong].min() > 0.8


def test_a_threshold_asks_for_more_and_the_alternatives_add_up() -> None:
    fit = fit_counts(some_counts(n_samples=12), design_of([0] * 6 + [1] * 6))
    plain, above = wald_test(fit, [0, 1]), wald_test(fit, [0, 1], lfc_threshold=1.0)
    assert (above["pvalue"] >= plain["pvalue"] - 1e-12).all()
    greater = wald_test(fit, [0, 1], alternative="greater")["pvalue"]
    less = wald_test(fit, [0, 1], alternative="less")["pvalue"]
    np.testing.assert_allclose(greater + less, 1.0)
    inside = wald_test(fit, [0, 1], lfc_threshold=2.0, alternative="lessAbs")
    assert (inside["padj"] < 0.05)[plain["log2_fold_change"].abs() > 2].sum() == 0
    with pytest.raises(ValueError, match="threshold above zero"):
        wald_test(fit, [0, 1], alternative="lessAbs")


def test_likelihood_ratio_and_wald_agree_with_many_samples() -> None:
    design = design_of([0] * 12 + [1] * 12)
    fit = fit_counts(some_counts(n_samples=24), design)
    wald, ratio = wald_test(fit, [0, 1]), likelihood_ratio_test(fit, design[["Intercept"]])
    assert ((wald["padj"] < 0.05) == (ratio["padj"] < 0.05)).mean() > 0.97
    with pytest.raises(ValueError, match="not part of"):
        likelihood_ratio_test(fit, pd.DataFrame({"other": np.arange(24.0)}))
    with pytest.raises(ValueError, match="fewer columns"):
        likelihood_ratio_test(fit, design)


def test_sample_and_gene_factors_equal_size_factors_where_constant() -> None:
    counts, design = some_counts(n_genes=80), design_of(GROUPS)
    sizes = size_factors(counts)
    each = fit_counts(counts, design, factors={"normalisation": np.repeat(sizes[:, None], 80, axis=1)})
    np.testing.assert_allclose(each.beta, fit_counts(counts, design).beta, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="of the shape of the counts"):
        fit_counts(counts, design, factors={"normalisation": np.ones((6, 3))})


def test_factors_of_average_lengths_are_those_of_r() -> None:
    """DESeq2 1.38.3, normalizationFactors of an object with avgTxLength; a gene with a 0 is not used for the depth."""
    counts = np.array([[10, 20, 35], [100, 90, 250], [7, 0, 12], [300, 410, 280], [55, 80, 60]]).T
    lengths = np.array(
        [[900, 1100, 950], [2000, 1500, 3000], [500, 500, 700], [1200, 1200, 1300], [800, 1600, 820]], dtype=float
    ).T
    expected = [
        [0.793479526446, 1.053484584047, 1.196288945835],
        [0.830542718717, 0.676652237444, 1.779395560210],
        [0.772153191370, 0.838775534463, 1.544012367967],
        [0.841057033872, 0.913624486675, 1.301388072118],
        [0.679978000821, 1.477294706378, 0.995492508409],
    ]
    np.testing.assert_allclose(length_factors(counts, lengths).T, expected, rtol=1e-11)


@given(st.lists(st.floats(0, 1) | st.just(float("nan")), max_size=40))
def test_adjusted_pvalues_are_larger_ordered_and_keep_missing_ones(values: list[float]) -> None:
    pvalue = np.array(values)
    adjusted = adjust_pvalues(pvalue)
    known = ~np.isnan(pvalue)
    np.testing.assert_array_equal(np.isnan(adjusted), ~known)
    assert (adjusted[known] >= pvalue[known]).all()
    order = np.argsort(pvalue[known], kind="stable")
    assert (np.diff(adjusted[known][order]) >= -1e-15).all()


def test_lowess_keeps_a_straight_line_and_ignores_one_stray_point() -> None:
    x = np.linspace(0, 1, 50)
    y = 3 * x + 1
    np.testing.assert_allclose(lowess(x, y, 0.2), y, atol=1e-9)
    rippled = y + 0.1 * np.cos(40 * x)
    stray = rippled.copy()
    stray[25] += 100
    np.testing.assert_allclose(lowess(x, stray, 0.3), lowess(x, rippled, 0.3), atol=0.1)


def test_the_file_stands_alone() -> None:
    """Its text is pasted into every analysis script: nothing of Benchtop but the line, pasted too."""
    tree = ast.parse(inspect.getsource(deseq))
    roots = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module != lowess.__module__:
            assert node.level == 0
            roots.add(str(node.module).split(".")[0])
    assert roots <= {"__future__", "dataclasses", "math", "numpy", "pandas", "scipy", "typing"}
