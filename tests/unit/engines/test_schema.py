"""The dialect: what is refused and how, what answers pass, and that what is enforced never allows more than was asked."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from desktop.engines.errors import InvalidAnswerError, UnsupportedSchemaError
from desktop.engines.schema import check_schema, narrowed, parse_answer, shortest_texts
from tests.unit.engines.schemas import PLAN, REFUSED, SUITE


@pytest.mark.parametrize("name", SUITE)
def test_the_suite_is_within_the_dialect_and_within_the_standard(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SUITE[name])
    check_schema(SUITE[name])


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_enforced_is_refused_by_keyword_and_place(name: str) -> None:
    schema, keyword, path = REFUSED[name]
    with pytest.raises(UnsupportedSchemaError) as caught:
        check_schema(schema)
    assert caught.value.facts["keyword"] == keyword
    assert str(caught.value.facts["path"]).startswith(path)


def test_what_is_not_json_or_absurd_is_refused() -> None:
    deep: dict[str, Any] = {"type": "integer"}
    for _ in range(100):
        deep = {"type": "array", "items": deep}
    for schema in ({"enum": [object()]}, {"enum": ["x" * 300_000]}, deep, {"const": float("nan")} | {"type": object()}):
        with pytest.raises(UnsupportedSchemaError):
            check_schema(schema)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1,2", "nothing", '{"a":NaN}', "1e999", '{"a":1}', '{"a":"x"}', '{"a":1,"d":"2023-02-30"}', '"\\ud800"'],
)
def test_answers_that_break_their_schema_are_errors(text: str) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "d": {"type": "string", "format": "date"}},
        "required": ["a", "d"],
    }
    with pytest.raises(InvalidAnswerError) as caught:
        parse_answer(text, schema)
    assert caught.value.facts["problem"]


def test_a_good_answer_is_its_value() -> None:
    schema = {"type": "object", "properties": {"d": {"type": "string", "format": "date"}}, "required": ["d"]}
    assert parse_answer('{"d":"2024-02-29"}', schema) == {"d": "2024-02-29"}


@pytest.mark.parametrize("name", SUITE)
def test_the_shortest_answer_is_about_one(name: str) -> None:
    """It only sizes the room kept for the end of an answer: it must be JSON, or a text with a pattern left open."""
    whole, inner = shortest_texts(SUITE[name])
    json.loads(whole)
    assert all(isinstance(json.loads(text), dict | list) for text in inner)


def test_what_is_enforced_names_every_property() -> None:
    assert narrowed({"type": "object", "properties": {"a": {"type": "string", "title": "A"}}}) == {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "additionalProperties": False,
    }
    assert "format" not in json.dumps(narrowed({"type": "array", "items": {"type": "string", "format": "uuid"}}))
    assert narrowed(PLAN)["properties"].keys() == PLAN["properties"].keys()
