"""Designs proposed, checked and read; formulas parsed and refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.core.errors import AppError
from desktop.studios.omics.errors import (
    BadFormulaError,
    ConfoundedError,
    OneGroupError,
    TooFewReplicatesError,
    UnknownFactorError,
    UnknownLevelError,
)
from desktop.studios.omics.schema import Contrast, SampleTable
from desktop.studios.omics.steps.design import check_design, level_counts, propose_design, read_formula
from desktop.studios.omics.steps.formula import model_matrix, parse_formula
from desktop.studios.omics.steps.sample_table import factor_name, factors_from_names, make_sample_table, subset_samples


def table(**factors: str) -> SampleTable:
    """Factors as blank-separated values."""
    columns = {name: values.split() for name, values in factors.items()}
    count = len(next(iter(columns.values())))
    return make_sample_table([f"s{n}" for n in range(count)], columns)


PAIRED = table(patient="p1 p1 p2 p2 p3 p3", tissue="normal tumor normal tumor normal tumor", batch="a a b b b b")


@pytest.mark.parametrize(
    ("samples", "formula", "reference"),
    [
        pytest.param(table(condition="ctrl ctrl ctrl drug drug drug"), "~ condition", "ctrl", id="two groups"),
        pytest.param(PAIRED, "~ patient + tissue", "normal", id="paired; the batch is within patients"),
        pytest.param(
            table(group="x x x y y y", batch="1 2 1 2 1 2"), "~ batch + group", None, id="batch across groups"
        ),
        pytest.param(table(group="wt wt wt ko ko ko", batch="1 1 1 2 2 2"), "~ group", "wt", id="batch is the group"),
        pytest.param(
            table(group="wt wt wt ko ko ko", id="a b c d e f", Run="SRR1 SRR2 SRR3 SRR4 SRR5 SRR6"),
            "~ group",
            "wt",
            id="ids are no factors",
        ),
        pytest.param(
            table(group="wt wt wt ko ko ko", avgLength="126 126 87 120 126 101", species="h h h h h h"),
            "~ group",
            "wt",
            id="numbers and constants are no factors",
        ),
        pytest.param(
            table(genotype="wt wt wt ko ko ko", code="A A A B B B"), "~ genotype", "wt", id="aliases count once"
        ),
        pytest.param(
            table(genotype="wt wt wt ko ko ko", animal="m1 m2 m3 m4 m5 m6"),
            "~ genotype",
            "wt",
            id="animals within groups do not pair",
        ),
        pytest.param(
            table(dose="0 0 0 5 5 5 10 10 10", replicate="1 2 3 1 2 3 1 2 3"),
            "~ replicate + dose",
            "0",
            id="replicates as blocks",
        ),
        pytest.param(
            table(line="a a b b c c", dex="trt untrt trt untrt trt untrt"),
            "~ line + dex",
            "untrt",
            id="pairing by its form",
        ),
    ],
)
def test_proposed(samples: SampleTable, formula: str, reference: str | None) -> None:
    found = propose_design(samples)
    assert (found.formula, found.reference) == (formula, reference)
    assert found.reasons
    assert found.formula
    check_design(samples, found.formula)


def test_nothing_to_propose() -> None:
    assert propose_design(table(species="h h h h")).formula is None
    assert propose_design(SampleTable(samples=["a", "b"])).formula is None


@pytest.mark.parametrize("level", ["NULL", "null", "NA", "None", "nan"])
def test_levels_that_look_missing_are_levels(level: str) -> None:
    samples = make_sample_table(["a", "b", "c", "d"], {"genotype": [level, level, "wt", "wt"]})
    check_design(samples, "~ genotype", [Contrast(factor="genotype", treated=level, control="wt")])


@pytest.mark.parametrize(
    ("formula", "contrast", "error"),
    [
        ("~ tissue + dose", None, UnknownFactorError),
        ("~ tissue", ("tissue", "tumour", "normal"), UnknownLevelError),
        ("~ tissue", ("batch", "a", "b"), UnknownFactorError),
        ("~ tissue", ("tissue", "normal", "normal"), OneGroupError),
        ("~ batch + patient + tissue", ("tissue", "tumor", "normal"), ConfoundedError),
        ("~ patient * tissue", ("tissue", "tumor", "normal"), TooFewReplicatesError),
    ],
)
def test_refused(formula: str, contrast: tuple[str, str, str] | None, error: type[AppError]) -> None:
    asked = Contrast(factor=contrast[0], treated=contrast[1], control=contrast[2]) if contrast else None
    with pytest.raises(error) as caught:
        check_design(PAIRED, formula, [asked] if asked else [])
    assert caught.value.hint


def test_confounding_names_the_terms() -> None:
    samples = table(group="wt wt wt ko ko ko", batch="1 1 1 2 2 2", sex="m f m f m f")
    with pytest.raises(ConfoundedError) as caught:
        check_design(samples, "~ sex + batch + group")
    assert caught.value.facts["terms"] == ["batch", "group"]


def test_one_against_one_has_no_p_values() -> None:
    with pytest.raises(TooFewReplicatesError):
        check_design(table(group="wt ko"), "~ group", [Contrast(factor="group", treated="ko", control="wt")])


def test_two_a_group_is_said() -> None:
    found = check_design(table(group="wt wt ko ko"), "~ group", [Contrast(factor="group", treated="ko", control="wt")])
    assert {caution.code for caution in found} == {"omics.few_replicates", "omics.few_degrees_of_freedom"}
    assert not any(caution.blocks for caution in found)


@pytest.mark.parametrize(
    "formula",
    [
        "", "~", "~ ~ a", "y ~ tissue", "~ tissue + ", "~ __import__('os')", "~ tissue; import os", "~ exec(tissue)", "~ tissue[0]", "~ I(tissue)", "~ tissue + {1}",
        "~ tissue ** 2", "~ 3 + tissue", "~ (tissue + batch)", "~ tissue @ batch", "~ C(tissue, Treatment('a'))", "~ tissue.__class__", "~ np.log(batch)", "~ `tissue", "~ " + "tissue + " * 200 + "tissue",
    ],
)  # fmt: skip
def test_grammar_refuses(formula: str) -> None:
    with pytest.raises((BadFormulaError, UnknownFactorError)):
        check_design(PAIRED, formula)


@given(st.text(max_size=60))
def test_no_formula_is_a_surprise(text: str) -> None:
    try:
        said = str(check_design(PAIRED, text))
    except AppError as error:
        said = error.hint
    assert said


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("~ patient + tissue", ["patient", "tissue"]),
        ("tissue", ["tissue"]),
        ("~0+tissue", ["tissue"]),
        ("~ 1 + C(batch) + tissue", ["batch", "tissue"]),
        ("~ batch*tissue", ["batch", "tissue", "batch:tissue"]),
        ("~ batch + tissue + batch:tissue", ["batch", "tissue", "batch:tissue"]),
        ("~ `batch` + Tissue", ["batch", "tissue"]),
    ],
)
def test_grammar_reads(text: str, terms: list[str]) -> None:
    assert [":".join(term) for term in parse_formula(text, PAIRED).terms] == terms


def test_headings_become_names_and_are_still_understood() -> None:
    samples = make_sample_table(
        list("abcd"),
        {"cell line (ATCC)": ["x", "x", "y", "y"], "2nd treatment": ["0", "1", "0", "1"], "C": ["q", "r", "q", "r"]},
    )
    assert list(samples.factors) == ["cell_line_ATCC", "f_2nd_treatment", "C_"]
    assert [str(parse_formula("~ cell line (ATCC)".replace("(", "").replace(")", ""), samples))] == ["~ cell_line_ATCC"]
    check_design(samples, "~ cell_line_ATCC + f_2nd_treatment")


@given(st.text(max_size=30))
def test_every_heading_makes_a_name(text: str) -> None:
    assert factor_name(text).isidentifier()


def test_numbers_as_measurements_and_as_labels() -> None:
    samples = table(age="31 45 27 60 52 38 41 29", group="a b a b a b a b", batch="1 1 2 2 1 1 2 2")
    matrix, columns, _ = model_matrix(
        samples, parse_formula("~ age + batch + group", samples), [Contrast(factor="group", treated="b", control="a")]
    )
    assert matrix.shape == (8, 4)
    assert "age" in columns
    assert "(as a number)" in read_formula("~ age + group", samples)
    wrapped, _, _ = model_matrix(samples, parse_formula("~ C(age)", samples))
    assert wrapped.shape == (8, 8)


def test_level_counts() -> None:
    assert level_counts(PAIRED, ["batch", "tissue"]) == {
        ("a", "normal"): 1,
        ("a", "tumor"): 1,
        ("b", "normal"): 2,
        ("b", "tumor"): 2,
    }


def test_reading() -> None:
    assert (
        read_formula("~ patient + tissue", PAIRED)
        == "The expression of a gene may differ with tissue, after allowing for patient."
    )
    assert "effect of tissue may differ between levels of batch" in read_formula("~ batch*tissue", PAIRED)


def test_an_effect_that_may_differ_is_made_at_the_reference_and_that_is_said() -> None:
    samples = table(drug="n y " * 6, sex="F F F F F F M M M M M M", age="31 45 27 60 52 38 41 29 33 47 58 36")
    drug = Contrast(factor="drug", treated="y", control="n")
    (caution,) = check_design(samples, "~ sex * drug", [drug])
    assert caution.code == "omics.at_reference"
    assert "at sex F, not an average" in caution.text
    assert check_design(samples, "~ sex * drug", [drug.model_copy(update={"within": {"sex": "M"}})]) == []
    assert check_design(samples, "~ sex + drug", [drug]) == []
    assert check_design(samples, "~ sex * drug", [Contrast(factor="sex:drug", treated="M:y", control="F:n")]) == []
    (slope,) = check_design(samples, "~ sex * age", [Contrast(factor="age")])
    assert "at sex F" in slope.text


def test_subset() -> None:
    kept = subset_samples(PAIRED, {"batch": ["b"], "sample": ["s2", "s3", "s0"]})
    assert kept.samples == ["s2", "s3"]
    assert kept.factors["patient"] == ["p2", "p2"]


@pytest.mark.parametrize(
    ("names", "factors"),
    [
        (["control_Rep1", "control_Rep2", "hoxa1_Rep1", "hoxa1_Rep2"], {"condition": "control control hoxa1 hoxa1"}),
        (["WT1", "WT2", "KO1", "KO2"], {"condition": "WT WT KO KO"}),
        (["N61311_untreated", "N61311_Dex", "N052611_untreated", "N052611_Dex"], {"condition": "untreated Dex untreated Dex"}),
        (["S2 Untreated-1 (single-read)", "S2 Untreated-2 (paired-end)", "S2 RNAi-1 (single-read)", "S2 RNAi-2 (paired-end)"], {"condition": "Untreated Untreated RNAi RNAi", "type": "single-read paired-end single-read paired-end"}),
        (["SRR1", "SRR2", "SRR3", "SRR4"], {}),
        (["patient 1 tumor", "patient 1 normal", "patient 2 tumor", "patient 2 normal"], {"patient": "1 1 2 2", "condition": "tumor normal tumor normal"}),
        (["WT.1.R1", "WT.2.R1", "KO.1.R1", "KO.2.R1"], {"condition": "WT WT KO KO", "replicate": "1 2 1 2"}),
        (["a", "b", "c", "d"], {}),
        (["shCtrl-A_rep1", "shCtrl-A_rep2", "shMYC-A_rep1", "shMYC-A_rep2"], {"condition": "shCtrl shCtrl shMYC shMYC"}),
        (["mock_24h_1", "mock_24h_2", "inf_24h_1", "inf_24h_2", "mock_48h_1", "mock_48h_2", "inf_48h_1", "inf_48h_2"], {"condition": "mock mock inf inf mock mock inf inf", "time": "24h 24h 24h 24h 48h 48h 48h 48h"}),
    ],
)  # fmt: skip
def test_factors_from_names(names: list[str], factors: dict[str, str]) -> None:
    found = factors_from_names(names)
    for name, values in factors.items():
        assert found[name] == values.split()
    if not factors:
        assert set(found) <= {"replicate"}
