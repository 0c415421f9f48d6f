"""The moderated t away from any reference: symmetry, missing spots, thresholds, blocks, trends."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desktop.studios.omics.steps.block_correlation import within_block_correlation
from desktop.studios.omics.steps.moderated_t import (
    fit_intensities,
    fit_prior,
    moderated_f_test,
    moderated_t_test,
    share_of_trend,
)

DESIGN = pd.DataFrame({"Intercept": 1.0, "treated": [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]})
TREATED = np.array([0.0, 1.0])


def noise(genes: int = 400, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    sd = np.sqrt(0.04 * 8 / rng.chisquare(8, genes))
    return rng.normal(8, 1, genes) + rng.normal(0, 1, (8, genes)) * sd


def test_swapping_the_groups_swaps_the_sign_only() -> None:
    values = noise()
    there = moderated_t_test(fit_intensities(values, DESIGN), TREATED)
    back = moderated_t_test(fit_intensities(values[::-1], DESIGN), TREATED)
    np.testing.assert_allclose(there["stat"], -back["stat"], atol=1e-10)
    np.testing.assert_allclose(there["padj"], back["padj"], atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(60)))
def test_the_order_of_genes_does_not_matter(order: list[int]) -> None:
    values = noise(60)
    plain = moderated_t_test(fit_intensities(values, DESIGN), TREATED)
    moved = moderated_t_test(fit_intensities(values[:, order], DESIGN), TREATED)
    np.testing.assert_allclose(plain["pvalue"].to_numpy()[order], moved["pvalue"], rtol=1e-9)


def test_the_prior_is_recovered() -> None:
    rng = np.random.default_rng(3)
    true = 0.1 * 6 / rng.chisquare(6, 50_000)
    variance = true * rng.chisquare(4, 50_000) / 4
    prior = fit_prior(variance, np.full(50_000, 4.0))
    assert prior.df == pytest.approx(6, rel=0.05)
    assert prior.variance[0] == pytest.approx(0.1, rel=0.03)


def test_variances_that_do_not_differ_give_an_infinite_prior() -> None:
    rng = np.random.default_rng(4)
    variance = 0.1 * rng.chisquare(4, 2000) / 4 + 0.3
    assert np.isinf(fit_prior(variance, np.full(2000, 4.0)).df)


def test_a_trend_follows_the_mean() -> None:
    values = noise(2000)
    scale = np.linspace(0.2, 3, 2000)
    mean = np.linspace(4, 12, 2000)
    values = mean + (values - values.mean(axis=0)) * scale
    prior = fit_intensities(values, DESIGN, trend=True).prior
    assert prior.variance[1500] > 4 * prior.variance[500]


def test_missing_spots_cost_degrees_of_freedom_and_a_whole_group_missing_gives_a_reason() -> None:
    values = noise(50)
    values[0, 0] = np.nan
    values[4:, 1] = np.nan
    fit = fit_intensities(values, DESIGN)
    result = moderated_t_test(fit, TREATED)
    assert fit.df[0] == 5
    assert fit.df[2] == 6
    assert np.isnan(result["padj"][1])
    assert result["reason"][1] == "too_few_values"
    assert result["padj"].notna().sum() == 49


def test_a_threshold_asks_for_more_than_any_change() -> None:
    values = noise(100)
    values[4:, :10] += 1.5
    fit = fit_intensities(values, DESIGN)
    plain, strict = moderated_t_test(fit, TREATED), moderated_t_test(fit, TREATED, lfc_threshold=1.0)
    assert (strict["pvalue"] >= plain["pvalue"] - 1e-12).all()
    assert (strict["padj"][:10] < 0.05).sum() < (plain["padj"][:10] < 0.05).sum() + 1
    assert (moderated_t_test(fit, TREATED, lfc_threshold=3.0)["padj"] > 0.05).all()


def test_block_correlation_is_found_and_used() -> None:
    rng = np.random.default_rng(5)
    block = np.array([0, 1, 2, 3, 0, 1, 2, 3])
    values = rng.normal(0, 1, (4, 3000))[block] + rng.normal(0, 0.5, (8, 3000))
    rho = within_block_correlation(values, DESIGN.to_numpy(), block)
    assert rho == pytest.approx(1 / 1.25, abs=0.05)
    blocked = moderated_t_test(fit_intensities(values, DESIGN, block=block), TREATED)
    plain = moderated_t_test(fit_intensities(values, DESIGN), TREATED)
    assert blocked["lfc_se"].median() < 0.7 * plain["lfc_se"].median()


@pytest.mark.parametrize("values", [np.zeros((2, 3))])
def test_no_residual_degrees_of_freedom_is_refused(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="residual"):
        fit_intensities(values, pd.DataFrame({"a": [1.0, 0.0], "b": [0.0, 1.0]}))


def test_f_of_one_coefficient_is_the_square_of_its_t() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(8, 0.4, (8, 200))
    design = pd.DataFrame({"one": 1.0, "block": [0.0, 1.0] * 4, "arm": [0.0] * 4 + [1.0] * 4})
    fit = fit_intensities(values, design)
    t = moderated_t_test(fit, np.array([0.0, 0.0, 1.0]))
    f = moderated_f_test(fit, design[["one", "block"]])
    np.testing.assert_allclose(f["stat"], t["stat"] ** 2, rtol=1e-9)
    np.testing.assert_allclose(f["pvalue"], t["pvalue"], rtol=1e-9)
    np.testing.assert_allclose(f["padj"], t["padj"], rtol=1e-9)


def test_f_of_three_groups_does_not_depend_on_the_reference() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(8, 0.4, (9, 150))
    values[3, 5] = np.nan
    group = np.repeat([0, 1, 2], 3)
    found = []
    for reference in (0, 2):
        columns = {"one": np.ones(9)} | {f"g{k}": (group == k).astype(float) for k in range(3) if k != reference}
        design = pd.DataFrame(columns)
        found.append(moderated_f_test(fit_intensities(values, design), design[["one"]])["stat"])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-8)


def test_a_reduced_design_that_is_no_part_of_the_full_one_is_refused() -> None:
    design = pd.DataFrame({"one": 1.0, "arm": [0.0, 0.0, 1.0, 1.0]})
    fit = fit_intensities(np.random.default_rng(0).normal(size=(4, 20)), design)
    with pytest.raises(ValueError, match="not part"):
        moderated_f_test(fit, pd.DataFrame({"other": [0.0, 1.0, 0.0, 1.0]}))


def test_the_share_of_the_trend_tells_flat_from_falling_variance() -> None:
    rng = np.random.default_rng(1)
    mean = rng.uniform(4, 14, 5000)
    design = pd.DataFrame({"one": 1.0, "arm": [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]})
    flat = mean + rng.normal(0, 0.3, (6, 5000))
    falling = mean + rng.normal(0, 1, (6, 5000)) * np.exp(-0.3 * (mean - 4))
    uneven = mean + rng.normal(0, 1, (6, 5000)) * np.sqrt(4 / rng.chisquare(4, 5000))
    assert share_of_trend(fit_intensities(uneven, design)) < 0.1
    assert share_of_trend(fit_intensities(falling, design)) > 0.8
    assert 0 <= share_of_trend(fit_intensities(flat, design)) <= 1
