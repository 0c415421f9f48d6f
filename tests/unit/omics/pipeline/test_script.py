"""A plan's script: whatever the words in it, it is Python, says what was meant, and passes the policy."""

from __future__ import annotations

import ast
from typing import Any

import formulaic
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desktop.sandbox import policy
from desktop.studios.omics.schema import AnalysisKind, Contrast, Plan, SampleTable
from desktop.studios.omics.steps.design_matrix import contrast_weights, design_columns, typed_factors
from desktop.studios.omics.steps.script import to_script
from tests.stand_ins.finished_run import drug_plan, two_groups

words = st.text(min_size=1, max_size=30).filter(lambda text: text.strip() != "")


def constants(script: str) -> dict[str, Any]:
    """The plan's constants as the script has them."""
    found = {}
    for node in ast.parse(script).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id.isupper():
            found[node.target.id] = ast.literal_eval(node.value)  # type: ignore[arg-type]
    return found


@settings(max_examples=60, deadline=None)
@given(
    question=st.text(max_size=200),
    levels=st.lists(words, min_size=2, max_size=2, unique=True),
    organism=st.text(max_size=40),
)
def test_any_words_make_a_script_that_says_them(question: str, levels: list[str], organism: str) -> None:
    control, treated = levels
    samples = two_groups((control, treated))
    plan = drug_plan(question=question, contrast=Contrast(factor="arm", treated=treated, control=control))
    script = to_script(plan, samples, organism=organism)
    said = constants(script)
    assert said["QUESTION"] == question
    assert said["CONTRASTS"][0]["compare"] == {"arm": [treated, control]}
    assert said["LEVELS"]["arm"] == [control, treated]
    assert script.isprintable() or all(line.isprintable() for line in script.split("\n"))


@pytest.mark.parametrize("kind", ["differential_expression", "pca", "clustering", "sample_qc"])
def test_the_policy_lets_our_script_pass(kind: AnalysisKind) -> None:
    samples = two_groups(('"; import os #', "__import__('os')"))
    contrast = Contrast(factor="arm", treated="__import__('os')", control='"; import os #')
    plan = drug_plan(kind=kind, question='"""\nimport os\n"""', contrast=contrast)
    verdict = policy.check(to_script(plan, samples).encode())
    assert verdict.findings == ()
    assert verdict.allowed


def test_the_reference_comes_first_and_numbers_stay_numbers() -> None:
    samples = SampleTable(
        samples=list("abcdefgh"),
        factors={
            "genotype": ["ko", "ko", "ko", "ko", "wt", "wt", "wt", "wt"],
            "age": ["31.5", "40.2", "28", "55.1", "33", "47.9", "39", "61"],
            "dose": ["high", "low", "none", "high", "low", "none", "high", "low"],
        },
    )
    plan = Plan(design="~ age + genotype + dose", contrast=Contrast(factor="dose", treated="high", control="low"))
    said = constants(to_script(plan, samples))
    assert said["NUMERIC"] == ["age"]
    assert said["LEVELS"]["genotype"] == ["wt", "ko"]
    assert said["LEVELS"]["dose"] == ["low", "high", "none"]
    assert (said["COLOUR_BY"], said["SHAPE_BY"]) == ("dose", "genotype")


def test_levels_the_plan_leaves_out_are_no_levels() -> None:
    samples = SampleTable(samples=list("abcdef"), factors={"arm": ["x", "y", "z"] * 2})
    plan = Plan(design="~ arm", contrast=Contrast(factor="arm", treated="x", control="y"), keep={"arm": ["x", "y"]})
    said = constants(to_script(plan, samples))
    assert said["LEVELS"] == {"arm": ["y", "x"]}
    assert said["KEEP"] == {"arm": ["x", "y"]}


def test_an_interaction_names_both_factors() -> None:
    contrast = Contrast(factor="genotype:drug", treated="ko:yes", control="wt:no")
    assert contrast.compared == {"genotype": ("ko", "wt"), "drug": ("yes", "no")}


LEVELS = {"genotype": ["wt", "ko"], "drug": ["no", "yes"]}


@pytest.mark.parametrize(
    ("compare", "within", "weights"),
    [
        pytest.param({"genotype": ["ko", "wt"], "drug": ["yes", "no"]}, {}, [0, 0, 0, 1], id="interaction"),
        pytest.param({"drug": ["yes", "no"]}, {}, [0, 0, 1, 0], id="simple, at the reference of the other"),
        pytest.param({"drug": ["yes", "no"]}, {"genotype": "ko"}, [0, 0, 1, 1], id="within the other level"),
        pytest.param({"genotype": ["wt", "ko"]}, {"drug": "yes"}, [0, -1, 0, -1], id="the other way round"),
    ],
)
def test_weights_of_a_contrast(compare: dict[str, list[str]], within: dict[str, str], weights: list[float]) -> None:
    frame = pd.DataFrame({"genotype": ["wt", "wt", "ko", "ko"] * 2, "drug": ["no", "yes"] * 4})
    typed = typed_factors(frame, LEVELS, [])
    design = design_columns(formulaic.model_matrix("~ genotype + drug + genotype:drug", typed))
    assert design.frame.shape == (8, 4)
    np.testing.assert_allclose(contrast_weights(design, typed, compare, within), weights)


def test_a_measurement_is_weighed_one_unit_apart() -> None:
    frame = pd.DataFrame({"dose": ["0", "10 nM", "20 nM", "40 nM"] * 2, "genotype": ["wt"] * 4 + ["ko"] * 4})
    typed = typed_factors(frame, LEVELS, ["dose"])
    assert list(typed["dose"][:4]) == [0, 10, 20, 40]
    design = design_columns(formulaic.model_matrix("~ genotype + dose + genotype:dose", typed))
    np.testing.assert_allclose(contrast_weights(design, typed, {"dose": []}, {"genotype": "ko"}), [0, 0, 1, 1])
    both: dict[str, list[str]] = {"genotype": ["ko", "wt"], "dose": []}
    np.testing.assert_allclose(contrast_weights(design, typed, both, {}), [0, 0, 0, 1])


def test_pairs_within_groups_leave_a_column_out_and_the_interaction_stays() -> None:
    frame = pd.DataFrame({"patient": list("aabbccdd"), "genotype": ["wt"] * 4 + ["ko"] * 4, "drug": ["no", "yes"] * 4})
    typed = typed_factors(frame, LEVELS | {"patient": list("abcd")}, [])
    design = design_columns(formulaic.model_matrix("~ patient + drug + genotype:drug", typed))
    assert len(design.left_out) == 1
    assert np.linalg.matrix_rank(design.frame.to_numpy()) == design.frame.shape[1] == 6
    change = (np.arange(8) % 2) * np.where(frame["genotype"] == "ko", 3.0, 1.0) + np.repeat([5.0, 2, 7, 1], 2)
    fitted = np.linalg.lstsq(design.frame.to_numpy(), change, rcond=None)[0]
    both = {"genotype": ["ko", "wt"], "drug": ["yes", "no"]}
    assert contrast_weights(design, typed, both, {}) @ fitted == pytest.approx(2.0)
    assert contrast_weights(design, typed, {"drug": ["yes", "no"]}, {"genotype": "ko"}) @ fitted == pytest.approx(3.0)
    with pytest.raises(ValueError, match="cannot tell"):
        contrast_weights(design, typed, {"genotype": ["ko", "wt"]}, {})


@pytest.mark.parametrize(
    ("pvalues", "said"),
    [
        pytest.param(np.linspace(0, 1, 4000), "Flat", id="nothing changes"),
        pytest.param(np.r_[np.linspace(0, 0.05, 2000), np.linspace(0, 1, 4000)], "A peak near 0", id="changes"),
        pytest.param(np.r_[np.linspace(0.95, 1, 2000), np.linspace(0, 1, 4000)], "Piled up near 1", id="conservative"),
        pytest.param(np.r_[np.linspace(0.3, 0.7, 4000), np.linspace(0, 1, 2000)], "A hill", id="hill"),
        pytest.param(np.full(10, 0.5), "Only 10", id="too few"),
    ],
)
def test_the_histogram_is_read(pvalues: np.ndarray, said: str) -> None:
    from desktop.studios.omics.steps.recipe import reading_of_pvalues

    assert reading_of_pvalues(pvalues).startswith(said)
