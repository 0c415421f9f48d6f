"""Each kind of failure that is known has its repair; what would change the question waits for a yes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.core.errors import AppError
from desktop.core.ports import Limits
from desktop.studios.omics.errors import (
    AnalysisFailedError,
    AnalysisTimedOutError,
    EngineLostError,
    NoCommonGenesError,
    NoGenesLeftError,
    OutOfMemoryError,
)
from desktop.studios.omics.run_parts import check_plan, kept_samples
from desktop.studios.omics.schema import AnalysisParams, Contrast, Inspection, Plan, Repair, SampleTable
from desktop.studios.omics.steps.repairs import repairs_for
from desktop.studios.omics.steps.repairs.circumstances import Circumstances

SAMPLES = SampleTable(
    samples=[f"s{k}" for k in range(8)],
    factors={
        "Cell type": ["CD4+", "CD4+", "CD8+", "CD8+", "CD4+", "CD4+", "CD8+", "CD8+"],
        "treatment": ["untreated", "treated"] * 4,
        "batch": ["a", "a", "b", "b", "a", "a", "b", "b"],
        "lab": ["x", "x", "y", "y", "x", "x", "y", "y"],
        "day": ["day 1", "day 2"] * 4,
        "plate": ["p", "q"] * 4,
        "site": ["one"] * 8,
    },
)


def circumstances(design: str, contrast: tuple[str, str, str], **changes: Any) -> Circumstances:
    factor, treated, control = contrast
    plan = Plan(design=design, contrast=Contrast(factor=factor, treated=treated, control=control))
    found = Circumstances(
        params=AnalysisParams(data="x", plan=plan),
        limits=Limits(),
        is_limit_chosen=False,
        origin="template",
        free_memory_mb=16_000,
        inspection=Inspection(source="x", samples=SAMPLES),
        plan=plan,
    )
    return replace(found, **changes)


def failing(found: Circumstances) -> AppError:
    """The error that such a plan really leads to."""
    assert found.plan is not None
    with pytest.raises(AppError) as caught:
        check_plan(found.plan, SAMPLES)
    return caught.value


def offers(design: str, contrast: tuple[str, str, str]) -> list[Repair]:
    found = circumstances(design, contrast)
    return repairs_for(failing(found), found)


@pytest.mark.parametrize("typed", ["Treated", "TREATED", " treated ", "'treated'"])
def test_a_level_written_another_way_is_taken_without_asking(typed: str) -> None:
    (repair,) = offers("~ batch + treatment", ("treatment", typed, "untreated"))
    assert not repair.asks
    assert repair.params["contrast"]["treated"] == "treated"


@pytest.mark.parametrize(
    ("typed", "control", "offered"),
    [
        pytest.param("treatd", "untreated", ["treated"], id="typo"),
        pytest.param("something else", "untreated", [], id="nothing like it"),
    ],
)
def test_another_level_is_asked_about(typed: str, control: str, offered: list[str]) -> None:
    found = offers("~ batch + treatment", ("treatment", typed, control))
    assert [repair.params["contrast"]["treated"] for repair in found] == offered
    assert all(repair.asks for repair in found)


def test_signs_and_digits_that_mean_something_are_never_overlooked() -> None:
    assert all(repair.asks for repair in offers("~ batch + `Cell type`", ("Cell type", "CD4-", "CD8+")))
    assert [repair.after for repair in offers("~ batch + day", ("day", "day 3", "day 1"))] == []


def test_a_factor_written_nearly_right_is_offered() -> None:
    (near,) = offers("~ batch + treatment", ("treatmnt", "treated", "untreated"))
    assert (near.code, near.asks) == ("use_factor:treatment", True)
    (same,) = offers("~ batch + treatment", ("Treatment", "treated", "untreated"))
    assert not same.asks
    (column,) = offers("~ bach + treatment", ("treatment", "treated", "untreated"))
    assert column.after == "~ batch + treatment"
    assert column.asks
    (missing,) = offers("~ batch", ("treatment", "treated", "untreated"))
    assert missing.params == {"design": "~ batch + treatment"}


def test_a_column_that_says_the_same_as_another_block_goes_without_asking() -> None:
    first = offers("~ batch + lab + treatment", ("treatment", "treated", "untreated"))[0]
    assert not first.asks
    assert first.params == {"design": "~ lab + treatment"}


def test_a_column_that_is_the_same_everywhere_goes_without_asking() -> None:
    (repair,) = [
        one for one in offers("~ site + batch + treatment", ("treatment", "treated", "untreated")) if not one.asks
    ]
    assert repair.params == {"design": "~ batch + treatment"}


def test_a_batch_that_is_the_treatment_is_never_dropped_without_a_yes() -> None:
    """The fitted model would be the same; what its numbers mean would not."""
    (repair,) = offers("~ batch + plate + treatment", ("treatment", "treated", "untreated"))
    assert repair.asks
    assert repair.code == "drop_term:plate"
    assert "treatment" in repair.why


def mended(found: Circumstances, repair: Repair) -> Plan:
    """The plan as it is after a repair, checked; as `plan_for` puts it together."""
    assert isinstance(found.params, AnalysisParams)
    params = AnalysisParams.model_validate(found.params.model_dump() | repair.params)
    given = {name: getattr(params, name) for name in ("design", "contrast", "other_contrasts")}
    assert params.plan is not None
    plan = params.plan.model_copy(update={name: value for name, value in given.items() if value is not None})
    check_plan(plan, SAMPLES)
    return plan


@pytest.mark.parametrize(
    ("design", "further", "code"),
    [
        pytest.param(
            "~ batch + treatment", Contrast(factor="batch", treated="B", control="a"), "use_level:batch=b", id="level"
        ),
        pytest.param(
            "~ batch * treatment",
            Contrast(factor="treatment", treated="treated", control="untreated", within={"batch": "B"}),
            "use_level:batch=b",
            id="where it is made",
        ),
        pytest.param(
            "~ batch * treatment",
            Contrast(factor="batch:treatment", treated="b:TREATED", control="a:untreated"),
            "use_level:treatment=treated",
            id="one level of an interaction",
        ),
        pytest.param(
            "~ batch * treatment",
            Contrast(factor="treatment", treated="treated", control="untreated", within={"Batch": "a"}),
            "use_factor:batch",
            id="factor where it is made",
        ),
        pytest.param(
            "~ batch + treatment", Contrast(factor="day", treated="day 2", control="day 1"), "add_term:day", id="term"
        ),
        pytest.param(
            "~ batch + treatment",
            Contrast(factor="treatment", treated="treated", control="untreated", within={"batch": "a"}),
            "add_term:batch:treatment",
            id="product",
        ),
    ],
)
def test_what_is_wrong_with_a_further_contrast_alone_is_mended(design: str, further: Contrast, code: str) -> None:
    found = circumstances(design, ("treatment", "treated", "untreated"))
    assert found.plan is not None
    first = found.plan.contrast
    plan = found.plan.model_copy(update={"other_contrasts": [further]})
    found = replace(found, plan=plan, params=AnalysisParams(data="x", plan=plan))
    (repair,) = repairs_for(failing(found), found)
    assert (repair.code, repair.asks) == (code, code.startswith("add_term"))
    if code != "add_term:day":  # says what treatment says in these samples: the next repair is asked about
        after = mended(found, repair)
        assert after.contrast == first
        assert after.other_contrasts == [further] or after.design == plan.design


def test_no_term_goes_that_a_further_contrast_is_about() -> None:
    found = circumstances("~ batch + lab + treatment", ("treatment", "treated", "untreated"))
    assert found.plan is not None
    plan = found.plan.model_copy(update={"other_contrasts": [Contrast(factor="lab", treated="y", control="x")]})
    found = replace(found, plan=plan, params=AnalysisParams(data="x", plan=plan))
    (repair,) = repairs_for(failing(found), found)
    assert repair.code == "drop_term:batch"
    assert mended(found, repair).other_contrasts == plan.other_contrasts


@pytest.mark.parametrize("kept", ["Treated", "treatd"])
def test_a_kept_level_that_no_sample_has(kept: str) -> None:
    plan = Plan(kind="pca", keep={"treatment": [kept]})
    found = circumstances("", ("", "", ""), params=AnalysisParams(data="x", plan=plan), plan=plan)
    with pytest.raises(AppError) as caught:
        kept_samples(plan, SAMPLES)
    repair = repairs_for(caught.value, found)[0]
    assert Plan.model_validate(repair.params["plan"]).keep == {"treatment": ["treated"]}
    assert repair.asks == (kept == "treatd")


@pytest.mark.parametrize(
    ("error", "changes", "expected"),
    [
        pytest.param(OutOfMemoryError, {}, ("more_memory", False), id="memory"),
        pytest.param(OutOfMemoryError, {"origin": "person"}, ("more_memory", True), id="memory, not our script"),
        pytest.param(OutOfMemoryError, {"is_limit_chosen": True}, ("more_memory", True), id="memory, a chosen limit"),
        pytest.param(OutOfMemoryError, {"free_memory_mb": 4000}, None, id="no memory left"),
        pytest.param(AnalysisTimedOutError, {}, ("more_time", False), id="time"),
        pytest.param(AnalysisTimedOutError, {"is_limit_chosen": True}, ("more_time", True), id="time, a chosen limit"),
        pytest.param(EngineLostError, {}, ("run_again", False), id="engine lost"),
        pytest.param(AnalysisFailedError, {}, None, id="unknown"),
    ],
)
def test_the_machine(error: type[AppError], changes: dict[str, Any], expected: tuple[str, bool] | None) -> None:
    found = circumstances("~ batch + treatment", ("treatment", "treated", "untreated"), **changes)
    got = repairs_for(error("It did not work.", hint="Try."), found)
    assert [(repair.code, repair.asks) for repair in got] == ([expected] if expected else [])


def test_no_genes_left() -> None:
    found = circumstances("~ batch + treatment", ("treatment", "treated", "untreated"))
    assert found.plan is not None
    (lower,) = repairs_for(
        NoGenesLeftError("None.", hint="", largest_total=400),
        replace(found, plan=found.plan.model_copy(update={"min_total_count": 1000})),
    )
    assert Plan.model_validate(lower.params["plan"]).min_total_count == 10
    (fewer,) = repairs_for(NoCommonGenesError("None.", hint="", nearly_empty=["s3"]), found)
    assert Plan.model_validate(fewer.params["plan"]).keep == {"sample": [s for s in SAMPLES.samples if s != "s3"]}
    assert fewer.asks


@given(typed=st.text(max_size=20), side=st.sampled_from(["treated", "control", "factor"]))
def test_whatever_is_typed_a_repair_leads_to_a_plan_that_can_run(typed: str, side: str) -> None:
    given = {"factor": "treatment", "treated": "treated", "control": "untreated"} | {side: typed}
    found = circumstances("~ batch + treatment", (given["factor"], given["treated"], given["control"]))
    assert found.plan is not None
    try:
        check_plan(found.plan, SAMPLES)
    except AppError as error:
        for repair in repairs_for(error, found):
            assert repair.before != repair.after
            if "contrast" in repair.params:
                changed = found.plan.model_copy(update={"contrast": Contrast(**repair.params["contrast"])})
                check_plan(changed, SAMPLES)
