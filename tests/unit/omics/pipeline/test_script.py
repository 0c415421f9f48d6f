"""A plan's script: whatever the words in it, it is Python, says what was meant, and passes the policy."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desktop.sandbox import policy
from desktop.studios.omics.schema import AnalysisKind, Contrast, Plan, SampleTable
from desktop.studios.omics.steps.script import compared_levels, to_script
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
    assert said["CONTRAST"] == ["arm", treated, control]
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
    assert compared_levels(contrast) == {"genotype": ("ko", "wt"), "drug": ("yes", "no")}


def test_contrast_of_the_recipe_is_the_difference_of_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    from desktop.studios.omics.steps import recipe

    frame = pd.DataFrame({"genotype": ["wt", "wt", "ko", "ko"] * 2, "drug": ["no", "yes"] * 4})
    for name, value in {
        "DESIGN": "~ genotype + drug + genotype:drug",
        "CONTRAST": ["genotype:drug", "ko:yes", "wt:no"],
        "LEVELS": {"genotype": ["wt", "ko"], "drug": ["no", "yes"]},
        "NUMERIC": [],
    }.items():
        monkeypatch.setattr(recipe, name, value)
    design, reduced, contrast = recipe.design_matrix(frame)
    assert reduced is None
    np.testing.assert_array_equal(contrast, [0, 0, 0, 1])
    monkeypatch.setattr(recipe, "CONTRAST", ["drug", "yes", "no"])
    monkeypatch.setattr(recipe, "REDUCED", "~ genotype")
    _, reduced, simple = recipe.design_matrix(frame)
    assert reduced is not None
    assert reduced.shape == (8, 2)
    np.testing.assert_array_equal(simple, [0, 0, 1, 0])
    assert design.shape == (8, 4)


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
