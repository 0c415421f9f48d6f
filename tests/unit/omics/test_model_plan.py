"""What a model is asked about a sentence, and what of its answers is taken."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from desktop.studios.omics.errors import UnclearQuestionError
from desktop.studios.omics.schema import SampleTable
from desktop.studios.omics.steps.model_plan import CODE, comparable_factors, plan_prompt, read_answer

SAMPLES = SampleTable(
    samples=[f"s{i}" for i in range(8)],
    factors={
        "sample name": [f"s{i}" for i in range(8)],
        "agent": ["veh", "veh", "cpd-7", "cpd-7"] * 2,
        "tissue site": ["liver"] * 4 + ["gut"] * 4,
        "kit": ["A"] * 8,
    },
)
GOOD: dict[str, Any] = {
    "comparison": {"factor": "agent", "treated": "cpd-7", "control": "veh"},
    "adjust_for": ["tissue site"],
    "only": [],
}


def changed(**parts: Any) -> dict[str, Any]:
    return GOOD | parts


def test_the_prompt_shows_groups_and_counts_and_no_sample_names() -> None:
    prompt = plan_prompt("does the new compound do anything?", SAMPLES)
    text = prompt.messages[-1].content
    assert "does the new compound do anything?" in text
    assert "agent: veh (4), cpd-7 (4)" in text
    assert "sample name" not in text
    assert "kit" not in text
    assert prompt.task.is_private


@pytest.mark.parametrize(
    ("answer", "is_valid"),
    [
        pytest.param(GOOD, True, id="good"),
        pytest.param(changed(only=[{"factor": "tissue site", "level": "gut"}], adjust_for=[]), True, id="only"),
        pytest.param(
            changed(comparison={"factor": "agent", "treated": "gut", "control": "veh"}), False, id="other's level"
        ),
        pytest.param(changed(comparison={"factor": "dose", "treated": "a", "control": "b"}), False, id="no factor"),
        pytest.param(changed(adjust_for=["kit"]), False, id="one level"),
        pytest.param(GOOD | {"more": 1}, False, id="more"),
    ],
)
def test_the_schema_holds_an_answer_to_the_table(answer: dict[str, Any], is_valid: bool) -> None:
    schema = plan_prompt("q", SAMPLES).schema
    assert schema is not None
    jsonschema.Draft202012Validator.check_schema(dict(schema))
    assert jsonschema.Draft202012Validator(dict(schema)).is_valid(answer) is is_valid


def test_an_answer_becomes_a_plan_that_waits_for_a_person() -> None:
    plan = read_answer(GOOD, "does it do anything?", SAMPLES, model="tiny")
    assert plan.design == "~ `tissue site` + agent"
    assert plan.contrast is not None
    assert (plan.contrast.treated, plan.contrast.control) == ("cpd-7", "veh")
    (doubt,) = plan.warnings
    assert doubt.blocks
    assert doubt.code.startswith(f"{CODE}:")
    other = read_answer(GOOD | {"adjust_for": []}, "does it do anything?", SAMPLES, model="tiny")
    assert other.warnings[0].code != doubt.code
    assert {reason.by for reason in plan.reasons} == {"model:tiny"}


def test_only_restricts_the_samples_but_never_the_factor_compared() -> None:
    only = [{"factor": "tissue site", "level": "gut"}, {"factor": "agent", "level": "veh"}]
    plan = read_answer(changed(only=only, adjust_for=[]), "q", SAMPLES, model="tiny")
    assert plan.keep == {"tissue site": ["gut"]}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param(None, "form", id="nothing"),
        pytest.param({"comparison": "agent"}, "form", id="another shape"),
        pytest.param(
            changed(comparison={"factor": "agent", "treated": "veh", "control": "veh"}), "itself", id="itself"
        ),
        pytest.param(changed(comparison={"factor": "dose", "treated": "a", "control": "b"}), "'dose'", id="no factor"),
        pytest.param(
            changed(comparison={"factor": "agent", "treated": "drug", "control": "veh"}), "'drug'", id="no level"
        ),
        pytest.param(changed(adjust_for=["age"]), "'age'", id="no covariate"),
        pytest.param(changed(only=[{"factor": "tissue site", "level": "brain"}]), "'brain'", id="no such samples"),
    ],
)
def test_an_answer_that_names_what_is_not_there_is_not_taken(answer: Any, why: str) -> None:
    with pytest.raises(UnclearQuestionError, match=why):
        read_answer(answer, "q", SAMPLES, model="tiny")


def test_a_table_without_groups_is_not_asked_about() -> None:
    alone = SampleTable(samples=["a", "b"], factors={"name": ["a", "b"]})
    assert comparable_factors(alone) == {}
    with pytest.raises(UnclearQuestionError, match="groups"):
        plan_prompt("q", alone)
