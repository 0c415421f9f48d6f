"""The tier follows from what a task declares, and never falls when a request grows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.core.models import Message, Prompt, Task, Tier
from desktop.gateway.weight import TIERS, Conditions, Weight, decide, weigh

TASKS = st.builds(
    Task,
    kind=st.just("test.kind"),
    is_private=st.booleans(),
    is_bulk=st.booleans(),
    has_code=st.booleans(),
    lowest=st.sampled_from(TIERS),
)
WEIGHTS = st.builds(
    Weight,
    prompt_tokens=st.integers(0, 200_000),
    answer_tokens=st.integers(1, 50_000),
    schema_depth=st.integers(0, 12),
    schema_fields=st.integers(0, 200),
    has_code=st.booleans(),
)
CONDITIONS = st.builds(Conditions, on_battery=st.booleans(), loaded=st.frozensets(st.sampled_from(TIERS)))


@given(TASKS, WEIGHTS, WEIGHTS, CONDITIONS)
def test_heavier_never_routes_lower(task: Task, one: Weight, more: Weight, conditions: Conditions) -> None:
    heavier = Weight(
        one.prompt_tokens + more.prompt_tokens,
        one.answer_tokens + more.answer_tokens,
        one.schema_depth + more.schema_depth,
        one.schema_fields + more.schema_fields,
        one.has_code or more.has_code,
    )
    light, heavy = decide(task, one, conditions), decide(task, heavier, conditions)
    assert TIERS.index(heavy.tier) >= TIERS.index(light.tier)


@given(TASKS, WEIGHTS, CONDITIONS)
def test_every_decision_keeps_to_the_lowest_tier_and_says_why(
    task: Task, weight: Weight, conditions: Conditions
) -> None:
    decision = decide(task, weight, conditions)
    floor = TIERS.index(task.lowest)
    assert set(decision.order) == set(TIERS[floor:])
    assert decision.order[0] == decision.tier
    assert decision.why
    assert decision == decide(task, weight, conditions)


@pytest.mark.parametrize(
    ("weight", "task", "conditions", "tier"),
    [
        pytest.param(Weight(100, 200), Task("t"), Conditions(), "small", id="a short question"),
        pytest.param(Weight(100, 200, has_code=True), Task("t"), Conditions(), "medium", id="code"),
        pytest.param(Weight(7_000, 1_000), Task("t"), Conditions(), "medium", id="a paper's section"),
        pytest.param(Weight(60_000, 1_000, has_code=True), Task("t"), Conditions(), "large", id="a long text and code"),
        pytest.param(
            Weight(100, 200), Task("t"), Conditions(loaded=frozenset({"medium"})), "medium", id="loaded already"
        ),
        pytest.param(
            Weight(100, 200), Task("t"), Conditions(loaded=frozenset({"small", "medium"})), "small", id="both loaded"
        ),
        pytest.param(
            Weight(100, 200, has_code=True), Task("t", is_bulk=True), Conditions(on_battery=True), "small", id="battery"
        ),
        pytest.param(Weight(100, 200), Task("t", lowest="large"), Conditions(on_battery=True), "large", id="declared"),
    ],
)
def test_tiers(weight: Weight, task: Task, conditions: Conditions, tier: Tier) -> None:
    assert decide(task, weight, conditions).tier == tier


def test_a_persons_choice_is_the_only_tier_asked() -> None:
    assert decide(Task("t", lowest="large"), Weight(9, 9), chosen="small").order == ("small",)


SCHEMAS = st.recursive(
    st.sampled_from([{"type": "string"}, {"type": "integer"}]),
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from("abcdef"), inner, max_size=4).map(
            lambda p: {"type": "object", "properties": p}
        ),
        inner.map(lambda item: {"type": "array", "items": item}),
    ),
    max_leaves=12,
)


@given(SCHEMAS, SCHEMAS, st.text(max_size=200))
def test_a_prompt_weighs_more_with_every_part(schema: dict[str, Any], added: dict[str, Any], text: str) -> None:
    prompt = Prompt((Message("user", text),), Task("t"), schema=schema)
    alone = weigh(prompt)
    wrapped = weigh(
        replace(prompt, schema={"type": "object", "properties": {"a": schema, "b": added}}, max_tokens=2_000)
    )
    for name in ("prompt_tokens", "answer_tokens", "schema_depth", "schema_fields"):
        assert getattr(wrapped, name) >= getattr(alone, name)
    assert weigh(replace(prompt, messages=(*prompt.messages, Message("user", "more")))).tokens > alone.tokens
