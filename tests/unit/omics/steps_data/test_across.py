"""Sentences that ask for any change across the levels of a factor, and those that do not."""

from __future__ import annotations

import pytest

from desktop.studios.omics.errors import BadFormulaError, UnclearQuestionError
from desktop.studios.omics.run_parts import check_plan
from desktop.studios.omics.schema import Contrast, Inspection, Plan, SampleTable
from desktop.studios.omics.steps.across import in_order, without_factor
from desktop.studios.omics.steps.design import propose_design
from desktop.studios.omics.steps.question import plan_question

TIMES = SampleTable(
    samples=[f"s{k}" for k in range(12)],
    factors={
        "time": ["24h", "0h", "2h"] * 4,
        "strain": (["wt"] * 3 + ["mut"] * 3) * 2,
    },
)
GROUPS = SampleTable(samples=[f"s{k}" for k in range(9)], factors={"condition": ["a", "b", "ctrl"] * 3})
PAIR = SampleTable(samples=[f"s{k}" for k in range(6)], factors={"condition": ["ctrl", "drug"] * 3})


def planned(question: str, samples: SampleTable, design: str | None = None) -> Plan:
    found = Inspection(source="x", samples=samples, value_type="counts", proposal=propose_design(samples))
    return plan_question(question, found, design=design)


@pytest.mark.parametrize(
    "question",
    [
        "Which genes change across the conditions?",
        "Which genes differ among the groups?",
        "Which genes differ between any of the conditions?",
        "Is any gene changed in any of the groups?",
        "Likelihood-ratio test of condition",
    ],
)
def test_all_levels_are_tested_together(question: str) -> None:
    plan = planned(question, GROUPS)
    assert (plan.design, plan.reduced) == ("~ condition", "~ 1")
    assert plan.contrast == Contrast(factor="condition", treated="b", control="ctrl")
    said = [reason.text for reason in plan.reasons if reason.by == "rule:across"]
    assert "b over ctrl" in said[0]
    assert check_plan(plan, GROUPS) is not None


def test_over_time_the_last_time_is_reported_over_the_first() -> None:
    plan = planned("Which genes change over time, adjusting for strain?", TIMES)
    assert (plan.design, plan.reduced) == ("~ strain + time", "~ strain")
    assert plan.contrast == Contrast(factor="time", treated="24h", control="0h")


def test_one_level_of_another_factor_restricts_the_samples() -> None:
    plan = planned("Which genes change over time in wt?", TIMES)
    assert plan.keep == {"strain": ["wt"]}
    assert plan.reduced == "~ 1"


@pytest.mark.parametrize(
    ("question", "samples"),
    [
        pytest.param("a versus ctrl", GROUPS, id="two levels named"),
        pytest.param("Which genes change across the conditions, drug against ctrl?", PAIR, id="two levels only"),
        pytest.param("24h against 0h over the time course, adjusting for strain", TIMES, id="times named"),
    ],
)
def test_a_comparison_of_two_stays_one(question: str, samples: SampleTable) -> None:
    assert planned(question, samples).reduced == ""


def test_over_time_without_times_asks() -> None:
    with pytest.raises(UnclearQuestionError, match="over time"):
        planned("Which genes change over time?", GROUPS)


def test_a_threshold_of_change_is_not_silently_dropped() -> None:
    plan = planned("Which genes change at least two-fold across the conditions?", GROUPS)
    assert plan.lfc_threshold == 0
    assert any("threshold" in caution.text for caution in plan.warnings)


def test_a_design_given_by_hand_keeps_its_other_terms() -> None:
    assert planned("Which genes change over time?", TIMES, design="~ strain + time").reduced == "~ strain"
    assert without_factor("~ strain * time", "time", TIMES) == "~ strain"


def test_a_reduced_design_that_is_no_part_is_refused() -> None:
    plan = planned("Which genes change over time, adjusting for strain?", TIMES)
    with pytest.raises(BadFormulaError, match="not a part"):
        check_plan(plan.model_copy(update={"reduced": "~ strain + time"}), TIMES)


@pytest.mark.parametrize(
    ("levels", "ordered"),
    [
        (["24h", "0h", "2h"], ["0h", "2h", "24h"]),
        (["1 day", "30 min", "2 h"], ["30 min", "2 h", "1 day"]),
        (["day10", "day2", "day7"], ["day2", "day7", "day10"]),
        (["b", "ctrl", "a"], ["ctrl", "b", "a"]),
        (["x1y2", "b"], ["x1y2", "b"]),
    ],
)
def test_levels_come_in_the_order_of_their_numbers(levels: list[str], ordered: list[str]) -> None:
    assert in_order(levels) == ordered
