"""Slopes, interactions and contrasts at one level of another factor, from the sentence to the numbers of R's DESeq2."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from desktop.studios.omics.schema import Contrast, Inspection, Plan, SampleTable
from desktop.studios.omics.steps.deseq import fit_counts, likelihood_ratio_test, size_factors, wald_test
from desktop.studios.omics.steps.design_matrix import contrast_weights
from desktop.studios.omics.steps.formula import columns_of, parse_formula
from desktop.studios.omics.steps.question import plan_question
from tests.stand_ins.finished_run import finished_run

HERE = Path(__file__).parent / "contrasts"
SLOPE_IN_DRUG = Contrast(factor="age", within={"drug": "drug"})
SLOPES_DIFFER = Contrast(factor="drug:age", treated="drug:", control="vehicle:")


def samples() -> SampleTable:
    table = pd.read_csv(HERE / "samples.csv", dtype=str).set_index("sample")
    return SampleTable(samples=list(table.index), factors={name: list(table[name]) for name in table})


def reads() -> pd.DataFrame:
    return pd.read_csv(HERE / "counts.csv.gz").set_index("gene_id")


def reference(test: str) -> pd.DataFrame:
    table = pd.read_csv(HERE / "reference.csv.gz")
    return table[table["test"] == test].set_index("gene_id")


def plan_of(question: str) -> Plan:
    return plan_question(question, Inspection(source="x", value_type="counts", samples=samples()))


def fitted(plan: Plan, number: int) -> pd.DataFrame:
    """The plan's contrast of that number, fitted and tested as the script does."""
    contrast = plan.contrasts[number]
    design, typed = columns_of(samples(), parse_formula(plan.design, samples()), plan.contrasts)
    compare = {name: [level for level in pair if level] for name, pair in contrast.compared.items()}
    weights = contrast_weights(design, typed, compare, contrast.within)
    counts = reads().to_numpy().T
    fit = fit_counts(counts, pd.DataFrame(design.frame), factors={"size_factors": size_factors(counts)})
    if not plan.reduced:
        table = wald_test(fit, weights, alpha=0.05, lfc_threshold=0)
    else:
        reduced, _ = columns_of(samples(), parse_formula(plan.reduced, samples()), plan.contrasts)
        table = likelihood_ratio_test(fit, reduced.frame, alpha=0.05, contrast=weights)
    return table.set_index(reads().index)


def assert_agrees(ours: pd.DataFrame, test: str) -> None:
    """As R has it: fold changes, p and adjusted p, and which genes have none."""
    theirs = reference(test)
    ours = ours.reindex(theirs.index)
    assert (theirs["padj"] < 0.05).sum() > 10
    for column, name, near in (
        ("log2_fold_change", "log2FoldChange", {"atol": 1e-5}),
        ("lfc_se", "lfcSE", {"rtol": 1e-4}),
        ("pvalue", "pvalue", {"rtol": 1e-4}),
        ("padj", "padj", {"rtol": 1e-3}),
    ):
        np.testing.assert_allclose(ours[column], theirs[name], **near)


@pytest.mark.parametrize(
    ("question", "number", "design", "test"),
    [
        pytest.param(
            "Which genes are associated with age, adjusting for genotype and drug?",
            0,
            "~ genotype + drug + age",
            "slope",
            id="per unit",
        ),
        pytest.param(
            "drug vs vehicle in each genotype", 2, "~ genotype + drug + genotype:drug", "effect_within", id="within"
        ),
        pytest.param(
            "How does the effect of drug versus vehicle differ between KO and WT?",
            0,
            "~ genotype + drug + genotype:drug",
            "interaction",
            id="interaction of two levels",
        ),
        pytest.param(
            "Does the effect of the drug differ between genotypes?",
            0,
            "~ genotype + drug + genotype:drug",
            "whole",
            id="interaction of three levels",
        ),
    ],
)
def test_sentences_lead_to_the_numbers_of_r(question: str, number: int, design: str, test: str) -> None:
    plan = plan_of(question)
    assert plan.design == design
    assert bool(plan.reduced) == (test == "whole")
    assert_agrees(fitted(plan, number), test)


def test_slopes_through_the_whole_script(tmp_path: Path) -> None:
    plan = Plan(design="~ genotype + drug + age + drug:age", contrast=SLOPE_IN_DRUG, other_contrasts=[SLOPES_DIFFER])
    counts = reads()
    run = finished_run(tmp_path / "run", counts.to_numpy().T, samples(), plan, gene_ids=list(counts.index))
    for folder, test in (("", "slope_within"), ("contrasts/2_drug_vs_vehicle", "slope_differs")):
        assert_agrees(pd.read_csv(run / folder / "results.csv").set_index("gene_id"), test)
    assert "genes tested change with age" in (run / "report.md").read_text()


def test_two_doses_give_the_same_p_per_unit_as_between_levels() -> None:
    """A dose of 0 and 5: the change per unit is a fifth of that between them, and as sure."""
    table = samples()
    dose = ["5" if level == "drug" else "0" for level in table.factors["drug"]]
    table = SampleTable(samples=table.samples, factors={"dose": dose, "genotype": table.factors["genotype"]})
    counts, found = reads().to_numpy().T, []
    for contrast in (Contrast(factor="dose"), Contrast(factor="dose", treated="5", control="0")):
        design, typed = columns_of(table, parse_formula("~ genotype + dose", table), [contrast])
        compare = {"dose": [level for level in (contrast.treated, contrast.control) if level]}
        fit = fit_counts(counts, pd.DataFrame(design.frame), factors={"size_factors": size_factors(counts)})
        found.append(wald_test(fit, contrast_weights(design, typed, compare, {}), alpha=0.05, lfc_threshold=0))
    per_unit, between = found
    np.testing.assert_allclose(per_unit["log2_fold_change"] * 5, between["log2_fold_change"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(per_unit["pvalue"], between["pvalue"], rtol=1e-4)
    np.testing.assert_array_equal(per_unit["padj"].isna(), between["padj"].isna())
