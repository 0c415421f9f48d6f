"""Fifty schemas of the kinds that studios ask with, and such as break makers of grammars."""

from __future__ import annotations

from typing import Any

_STR: dict[str, Any] = {"type": "string"}
_INT: dict[str, Any] = {"type": "integer"}


def _obj(required: dict[str, Any], optional: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": required | (optional or {}), "required": list(required), **more}


def _list(items: Any, low: int = 0, high: int | None = None) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": low} | ({} if high is None else {"maxItems": high})


PLAN = _obj(
    {
        "analysis": {"enum": ["differential_expression", "pca", "clustering", "enrichment"]},
        "factor": {"type": "string", "maxLength": 40},
        "contrast": _obj({"test": _STR, "reference": _STR}),
        "alpha": {"type": "number", "minimum": 0, "maximum": 1},
        "covariates": _list(_STR, 0, 3),
        "is_paired": {"type": "boolean"},
    },
    {"note": {"type": ["string", "null"]}},
    additionalProperties=False,
)
TREE = {
    "$defs": {"node": _obj({"name": _STR, "children": _list({"$ref": "#/$defs/node"}, 0, 2)})},
    "$ref": "#/$defs/node",
}
CHAIN = {
    "$defs": {"link": _obj({"n": _INT, "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/link"}]}})},
    "$ref": "#/$defs/link",
}

SUITE: dict[str, Any] = {
    "plan": PLAN,
    "tree": TREE,
    "chain": CHAIN,
    "a string": _STR,
    "an integer": _INT,
    "a number": {"type": "number"},
    "a boolean": {"type": "boolean"},
    "null": {"type": "null"},
    "anything": {},
    "a type of several": {"type": ["string", "integer", "null"]},
    "an enum of words": {"enum": ["red", "green", "blue"]},
    "an enum of kinds": {"enum": ["a", 1, 2.5, None, True, {"k": [1]}]},
    "an enum of prefixes": {"enum": ["a", "ab", "abc", "abcd"]},
    "a const": {"const": {"kind": "fixed", "n": [1, 2, 3]}},
    "a const with marks": {"const": 'say "yes" \\ or\n"no" — ünï 数据'},
    "bounded integer": {"type": "integer", "minimum": -7, "maximum": 12},
    "positive integer": {"type": "integer", "exclusiveMinimum": 0},
    "large bounds": {"type": "integer", "minimum": 1_000_000, "maximum": 9_999_999_999},
    "bounded number": {"type": "number", "minimum": 0.25, "maximum": 0.75},
    "open number": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "negative number": {"type": "number", "maximum": -0.5},
    "multiples": {"type": "integer", "multipleOf": 5, "minimum": 0, "maximum": 1000},
    "short string": {"type": "string", "maxLength": 5},
    "long string": {"type": "string", "minLength": 30},
    "length in a range": {"type": "string", "minLength": 3, "maxLength": 8},
    "empty string": {"type": "string", "maxLength": 0},
    "an accession": {"type": "string", "pattern": "^GSE[0-9]{1,6}$"},
    "a gene": {"type": "string", "pattern": "^[A-Z][A-Z0-9-]{1,9}$"},
    "a choice in a pattern": {"type": "string", "pattern": "^(up|down)-(high|low)$"},
    "a pattern without anchors": {"type": "string", "pattern": "[0-9]{2}", "maxLength": 10},
    "a date": {"type": "string", "format": "date"},
    "a moment": {"type": "string", "format": "date-time"},
    "a time of day": {"type": "string", "format": "time"},
    "a uuid": {"type": "string", "format": "uuid"},
    "an address": {"type": "string", "format": "email"},
    "list of words": _list(_STR, 1, 4),
    "list of numbers": _list({"type": "number"}, 3, 3),
    "endless list": _list(_INT),
    "list of lists": _list(_list(_INT, 2, 2), 2, 2),
    "list of records": _list(_obj({"gene": _STR, "lfc": {"type": "number"}}), 1, 3),
    "many items": _list({"enum": [0, 1]}, 20, 20),
    "optional properties": _obj({}, {"a": _STR, "b": _INT, "c": {"type": "boolean"}}),
    "nested objects": _obj({"a": _obj({"b": _obj({"c": _obj({"d": _INT})})})}),
    "a map": {"type": "object", "additionalProperties": _INT},
    "a record and a map": _obj({"id": _INT}, additionalProperties={"type": "string"}),
    "names that need care": _obj({"a b": _INT, 'quo"te': _INT, "ünï": _INT, "数据": _INT, "": _INT}),
    "any of": {"anyOf": [_obj({"x": _INT}), {"type": "string", "maxLength": 8}, {"type": "null"}]},
    "one of, by a tag": {
        "oneOf": [
            _obj({"kind": {"const": "circle"}, "r": {"type": "number"}}),
            _obj({"kind": {"const": "box"}, "w": _INT, "h": _INT}),
        ]
    },
    "references": {
        "$defs": {"gene": {"type": "string", "pattern": "^[A-Z]{2,6}$"}, "pair": _list({"$ref": "#/$defs/gene"}, 2, 2)},
        **_obj({"first": {"$ref": "#/$defs/pair"}, "second": {"$ref": "#/$defs/pair"}}),
    },
    "twenty properties": _obj({f"field_{n}": [_INT, _STR, {"type": "boolean"}][n % 3] for n in range(20)}),
}
assert len(SUITE) == 50

_NODE = {"$ref": "#/$defs/n"}
HARD: dict[str, Any] = {
    "a pattern anywhere in a text of any length": _obj({"a": {"type": "string", "pattern": "foo|bar"}}),
    "a pattern at the end": {"type": "string", "pattern": "[0-9]{2}K$"},
    "no white space": {"type": "string", "pattern": r"^\S{2,5}\s\S+$", "maxLength": 12},
    "no letters": {"type": "string", "pattern": r"^\W{3}\D[^\w]$"},
    "outside a class": {"type": "string", "pattern": r"^[^\s@]{1,6}@[^\d\s]{2}$"},
    "itself": {"type": "object", "properties": {"v": _INT, "kids": _list({"$ref": "#"}, 0, 2)}, "required": ["v"]},
    "each other": {
        "$defs": {"a": _obj({"b": _list({"$ref": "#/$defs/b"}, 0, 2)}), "b": _obj({"a": _list({"$ref": "#/$defs/a"})})},
        "$ref": "#/$defs/a",
    },
    "everything leads to everything": {
        "$defs": {
            f"d{i}": {"type": "object", "properties": {f"p{j}": {"$ref": f"#/$defs/d{j}"} for j in range(10)}}
            for i in range(10)
        },
        "$ref": "#/$defs/d0",
    },
    "the same choice over and over": {
        "$defs": {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(30)} | {"d30": _INT},
        "$ref": "#/$defs/d0",
    },
    "twice the same": {"$defs": {"n": _obj({"x": {"type": "boolean"}})}, **_obj({"a": _NODE, "b": _NODE})},
    "anything goes": _obj({"a": True}),
    "halves": {"type": "number", "multipleOf": 0.5, "minimum": -2, "maximum": 2},
    "just inside": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.001},
    "an integer between fractions": {"type": "integer", "minimum": 1.5, "maximum": 2.5},
    "large and exact": {"enum": [9007199254740991, -(2**53), 1e-7, 123456789.125]},
    "names of keywords": _obj({"items": _INT, "type": {"type": "null"}, "$ref": _INT, "properties": _INT}),
}

REFUSED: dict[str, tuple[Any, str, str]] = {
    "not": ({"type": "string", "not": {"const": "x"}}, "not", "#"),
    "if": ({"if": {}, "then": {}}, "if", "#"),
    "all of": ({"allOf": [{"type": "string"}]}, "allOf", "#"),
    "unique items": (_obj({"a": {"type": "array", "uniqueItems": True}}), "uniqueItems", "#/properties/a"),
    "pattern properties": ({"type": "object", "patternProperties": {"a": {}}}, "patternProperties", "#"),
    "a typing slip": (_obj({"a": {"type": "string", "maxlength": 3}}), "maxlength", "#/properties/a"),
    "deep in a list": (_list(_obj({"a": {"type": "number", "minimun": 1}})), "minimun", "#/items/properties/a"),
    "in a definition": (
        {"$defs": {"a": {"dependentRequired": {}}}, "$ref": "#/$defs/a"},
        "dependentRequired",
        "#/$defs/a",
    ),
    "in a branch": ({"anyOf": [{"type": "null"}, {"contains": {}}]}, "contains", "#/anyOf/1"),
    "a format of another world": ({"type": "string", "format": "hostname"}, "format", "#"),
    "look-ahead": ({"type": "string", "pattern": "^(?=a)b"}, "pattern", "#"),
    "a back-reference": ({"type": "string", "pattern": r"(a)\1"}, "pattern", "#"),
    "a broken pattern": ({"type": "string", "pattern": "("}, "pattern", "#"),
    "nothing satisfies": ({"type": "integer", "minimum": 3, "maximum": 2}, "minimum", "#"),
    "required but unnamed": ({"type": "object", "required": ["a"]}, "required", "#"),
    "overlapping one of": ({"oneOf": [{"type": "number"}, {"type": "integer"}]}, "oneOf", "#"),
    "a reference to nothing": ({"$ref": "#/$defs/a"}, "$ref", "#"),
    "a reference elsewhere": ({"$ref": "https://example.org/schema"}, "$ref", "#"),
    "a circle": ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, "$ref", "#"),
    "length of a number": ({"type": "integer", "maxLength": 3}, "maxLength", "#"),
    "bounds without a type": ({"minimum": 3}, "type", "#"),
    "false": (_obj({"a": False}), "properties", "#/properties/a"),
    "a list of schemas": ({"type": "array", "items": [{}]}, "items", "#/items"),
    "never ends": ({"$defs": {"a": _obj({"a": {"$ref": "#/$defs/a"}})}, "$ref": "#/$defs/a"}, "$ref", "#"),
    "hundreds of thousands": (_list(_INT, 900_000, 1_000_000), "minItems", "#"),
    "twice and twice again": (
        {
            "$defs": {f"d{i}": _obj({x: {"$ref": f"#/$defs/d{i + 1}"} for x in "ab"}) for i in range(30)}
            | {"d30": _INT},
            "$ref": "#/$defs/d0",
        },
        "required",
        "#/$defs",
    ),
    "steps that are not binary": ({"type": "number", "multipleOf": 0.01}, "multipleOf", "#"),
    "no integer between": ({"type": "integer", "exclusiveMinimum": 4, "exclusiveMaximum": 5}, "exclusiveMinimum", "#"),
    "no multiple between": ({"type": "integer", "minimum": 1, "maximum": 6, "multipleOf": 7}, "multipleOf", "#"),
    "a number too long": ({"const": 2**53 + 1}, "const", "#"),
    "a number too small": ({"enum": [0, 5e-324]}, "enum", "#"),
    "a bound too far": ({"type": "number", "maximum": 1e300}, "maximum", "#"),
    "half a letter": ({"const": "\ud800"}, "schema", "#"),
    "not a number": ({"enum": [float("nan")]}, "schema", "#"),
    "a class of another world": ({"type": "string", "pattern": "^[[:alpha:]]$"}, "pattern", "#"),
    "an intersection": ({"type": "string", "pattern": "^[a-z&&[^b]]$"}, "pattern", "#"),
    "what gives nothing back": ({"type": "string", "pattern": "^a++b$"}, "pattern", "#"),
    "a wrong value": ({"type": "string", "maxLength": "3"}, "maxLength", "#"),
    "an unknown type": ({"type": "text"}, "type", "#"),
    "enum of another type": ({"type": "string", "enum": ["a", 1]}, "type", "#"),
}
