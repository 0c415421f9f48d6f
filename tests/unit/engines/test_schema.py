"""The dialect: what is refused and how, what answers pass, and that what is enforced never allows more than was asked."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest

from desktop.engines import patterns
from desktop.engines.errors import InvalidAnswerError, UnsupportedSchemaError
from desktop.engines.schema import check_schema, narrowed, parse_answer
from desktop.engines.schema_shortest import shortest_texts
from tests.unit.engines.schemas import HARD, PLAN, REFUSED, SUITE


@pytest.mark.parametrize("name", HARD)
def test_hard_schemas_are_within_the_dialect(name: str) -> None:
    check_schema(HARD[name])
    narrowed(HARD[name], 100)


def test_what_a_narrowed_pattern_matches_the_pattern_matches() -> None:
    """Character by character: the grammar knows ASCII where `re` knows Unicode."""
    letters = [chr(n) for n in range(0x3100) if not 0xD800 <= n < 0xE000] + ["\ua620", "\uff10", "\U0001d7ce"]
    for letter, inside in patterns.SHORTHANDS.items():
        allowed = re.compile(f"[{inside}]")
        meant = re.compile(rf"\{letter}")
        assert [x for x in letters if allowed.fullmatch(x) and not meant.fullmatch(x)] == []
        outside = re.compile(f"[{patterns.OUTSIDE.get(letter, patterns.OUTSIDE_OTHERS)}]")
        negated, read_as = re.compile(rf"[^\{letter}]"), re.compile(f"[^{inside}]")
        wrong = [x for x in letters if outside.fullmatch(x) and read_as.fullmatch(x) and not negated.fullmatch(x)]
        assert wrong == []
    assert patterns.narrowed(r"^[\w.-]+\d$") == "^[A-Za-z0-9_.-]+[0-9]$"
    assert patterns.narrowed(r"[^\s]") != r"[^\s]"
    assert patterns.narrowed(r"\\d[a-z]") == r"\\d[a-z]"


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
