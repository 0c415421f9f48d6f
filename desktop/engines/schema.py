"""The one dialect of JSON Schema that answers can be held to, and the check of answers against it.

A keyword outside the dialect is an error that names it and its place, never passed over. The grammar that is enforced
while an answer is written (see `constraint`) comes from `narrowed`, which allows less than the schema where that keeps
answers short and sane: no properties beyond those named, no dates that do not exist. `parse_answer` then checks against
the schema itself. Draft 2020-12 semantics otherwise.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from desktop.engines import patterns
from desktop.engines.errors import InvalidAnswerError
from desktop.engines.schema_parts import BY_TYPE, KEYWORDS, NOTES, Schema, compact, resolve, unsupported, walk
from desktop.engines.schema_shortest import shortest_texts

_MAX_BYTES = 256 * 1024
_MOST_ITEMS = 10_000  # that a list must have
_MOST_NUMBER, _LEAST_NUMBER = 2**53, 1e-15  # in size: beyond them numbers are not written alike everywhere


def check_schema(schema: Schema | None) -> None:
    """Nothing, when every answer can be held to this schema. Raises UnsupportedSchemaError."""
    if schema is None:
        return
    try:
        size = len(json.dumps(schema, ensure_ascii=False, allow_nan=False).encode("utf-8"))
    except (TypeError, ValueError, RecursionError):
        raise unsupported("schema", "#", "it is not JSON") from None
    if size > _MAX_BYTES:
        raise unsupported("schema", "#", f"it is longer than {_MAX_BYTES // 1024} KiB")
    for path, part in walk(schema):
        _check_part(part, path, schema)
    _check_cycles(schema)
    shortest_texts(schema)


def parse_answer(text: str, schema: Schema) -> Any:
    """The value that `text` is JSON of, checked against the schema. Raises InvalidAnswerError."""
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
        compact(value).encode("utf-8")  # half of a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        raise _invalid(f"it is not JSON: {error}") from None
    import jsonschema

    validator = jsonschema.Draft202012Validator(dict(schema), format_checker=_format_checker())
    worst = next(iter(validator.iter_errors(value)), None)
    if worst is not None:
        raise _invalid(f"{worst.json_path}: {worst.message}"[:300])
    return value


def narrowed(schema: Schema, most_characters: int | None = None) -> dict[str, Any]:
    """The schema whose grammar is enforced: every value it allows, the schema given allows too.

    most_characters  of texts that only have to hold a pattern somewhere: so that one who rambles comes to it in time
    """
    n_open = sum(isinstance(part, Mapping) and _is_open(part) for _, part in walk(schema))

    def one(part: Any) -> Any:
        if not isinstance(part, Mapping):
            return part
        out = {key: value for key, value in part.items() if key not in NOTES and key != "format"}
        if "format" in part:
            out["pattern"] = patterns.FORMATS[part["format"]]
        elif "pattern" in out:
            out["pattern"] = patterns.narrowed(out["pattern"])
            if most_characters is not None and _is_open(part):
                out["maxLength"] = max(most_characters // n_open, part.get("minLength", 0) + 8)
        for key in ("properties", "$defs", "definitions"):
            if key in out:
                out[key] = {name: one(inner) for name, inner in out[key].items()}
        for key in ("items", "additionalProperties"):
            if key in out:
                out[key] = one(out[key])
        for key in ("anyOf", "oneOf"):
            if key in out:
                out["anyOf"] = [one(inner) for inner in out.pop(key)]
        if "properties" in out:
            out.setdefault("additionalProperties", False)
        return out

    return one(schema)  # type: ignore[no-any-return]


def _is_open(part: Schema) -> bool:
    """Whether it is a text of any length that has to hold a pattern somewhere."""
    pattern = part.get("pattern")
    if not isinstance(pattern, str) or "maxLength" in part:
        return False
    return not (pattern.startswith("^") and pattern.endswith("$"))


# ---- the rules of the dialect ------------------------------------------------------------------------------------


def _check_part(part: Any, path: str, root: Schema) -> None:
    if not isinstance(part, Mapping):
        raise unsupported(_keyword_above(path), path, "a schema must be an object here")
    for key in part:
        if key not in KEYWORDS:
            raise unsupported(str(key), path)
    for key in _SHAPES.keys() & part.keys():
        if not _SHAPES[key](part[key]):
            raise unsupported(key, path, "its value has the wrong form")
    if "$ref" in part:
        if beside := part.keys() - NOTES - {"$ref", "$defs", "definitions"}:
            raise unsupported(min(beside), path, "nothing that restricts may stand beside $ref")
        if not isinstance(resolve(part["$ref"], root), Mapping):
            raise unsupported("$ref", path, f"{part['$ref']} names nothing in this schema")
        return
    chosen = [key for key in ("enum", "const", "anyOf", "oneOf") if key in part]
    restricts = part.keys() - NOTES - {"$defs", "definitions", "type"}
    if chosen and restricts - {chosen[0]}:
        raise unsupported(min(restricts - {chosen[0]}), path, f"it may not stand beside {chosen[0]}")
    kinds = part.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not kinds and not chosen and restricts:
        raise unsupported("type", path, f"{min(restricts)} needs a type beside it")
    for key in restricts - set(chosen):
        if not any(key in BY_TYPE[kind] for kind in kinds):
            raise unsupported(key, path, f"it says nothing about type {', '.join(kinds)}")
    if chosen and kinds:
        _check_choice_and_type(part, kinds, path)
    for key in ("const", "enum"):
        if key in part and not _is_exact(part[key]):
            raise unsupported(key, path, "it holds a number that is not written alike everywhere")
    if "pattern" in part and "format" in part:
        raise unsupported("pattern", path, "it may not stand beside format")
    if "required" in part and (missing := set(part["required"]) - part.get("properties", {}).keys()):
        raise unsupported("required", path, f"{min(missing)} is not among the properties")
    _check_bounds(part, kinds, path)
    if "oneOf" in part:
        _check_disjoint(part["oneOf"], path, root)


def _keyword_above(path: str) -> str:
    """The keyword that a place in a schema belongs to."""
    return next((step for step in reversed(path.split("/")[-2:]) if step in KEYWORDS), "schema")


def _check_choice_and_type(part: Schema, kinds: list[str], path: str) -> None:
    import jsonschema

    if "anyOf" in part or "oneOf" in part:
        raise unsupported("type", path, "it may not stand beside a choice of schemas")
    for value in part.get("enum", [part.get("const")]):
        if not jsonschema.Draft202012Validator({"type": kinds}).is_valid(value):
            raise unsupported("type", path, f"{value!r} is not of it")


def _check_disjoint(branches: list[Any], path: str, root: Schema) -> None:
    """`oneOf` is written as `anyOf`; that is the same only where no value can satisfy two branches."""
    facts = []
    for branch in branches:
        seen: set[str] = set()
        while isinstance(branch, Mapping) and "$ref" in branch and branch["$ref"] not in seen:
            seen.add(branch["$ref"])
            branch = resolve(branch["$ref"], root)
        kinds = branch.get("type") if isinstance(branch, Mapping) else None
        tags = {}
        for name in branch.get("required", ()) if kinds == "object" else ():
            inner = branch.get("properties", {}).get(name, {})
            if "const" in inner or "enum" in inner:
                tags[name] = {compact(value) for value in inner.get("enum", [inner.get("const")])}
        facts.append((kinds, tags))
    for n, (kind, tags) in enumerate(facts):
        for other, other_tags in facts[:n]:
            apart = isinstance(kind, str) and isinstance(other, str) and kind != other and {kind, other} != _NUMBERS
            if not apart and not any(
                tags[name].isdisjoint(other_tags[name]) for name in tags.keys() & other_tags.keys()
            ):
                raise unsupported("oneOf", path, "a value could satisfy two of its branches; use anyOf")


_NUMBERS = {"number", "integer"}


def _check_cycles(root: Schema) -> None:
    """A reference that leads back to itself without anything in between has no meaning."""
    state: dict[str, bool] = {}  # reference → whether it has been followed to its end

    def follow(part: Any, path: str) -> None:
        if not isinstance(part, Mapping):
            return
        if ref := part.get("$ref"):
            if state.get(ref) is False:
                raise unsupported("$ref", path, "it leads back to itself")
            if ref not in state:
                state[ref] = False
                follow(resolve(ref, root), path)
                state[ref] = True
        for key in ("anyOf", "oneOf"):
            for n, branch in enumerate(part.get(key, ())):
                follow(branch, f"{path}/{key}/{n}")

    for path, part in walk(root):
        follow(part, path)


def _check_bounds(part: Schema, kinds: list[str], path: str) -> None:
    """Numbers between which there is none, and steps that no binary number takes."""
    for least, most in (("minLength", "maxLength"), ("minItems", "maxItems")):
        if least in part and most in part and part[least] > part[most]:
            raise unsupported(least, path, f"it is above {most}: nothing can satisfy it")
    if part.get("minItems", 0) > _MOST_ITEMS:
        raise unsupported("minItems", path, f"it is above {_MOST_ITEMS:,}")
    if part.get("items") is False and part.get("minItems", 0):
        raise unsupported("items", path, "no item is allowed, and minItems wants one")
    step = Fraction(str(part["multipleOf"])) if "multipleOf" in part else None
    if step is not None and step != Fraction(part["multipleOf"]):
        raise unsupported("multipleOf", path, "its multiples are not exact in binary, so that no check agrees on them")
    lows = [(Fraction(str(part[key])), key) for key in ("minimum", "exclusiveMinimum") if key in part]
    highs = [(Fraction(str(part[key])), key) for key in ("maximum", "exclusiveMaximum") if key in part]
    if not lows or not highs or not {"integer", "number"} & set(kinds):
        return
    (low, low_key), (high, high_key) = max(lows), min(highs)
    is_open = low_key.startswith("excl") or high_key.startswith("excl")
    if low > high or (low == high and is_open):
        raise unsupported(low_key, path, f"nothing lies between it and {high_key}")
    if "integer" in kinds and "number" not in kinds:
        step = Fraction((step or Fraction(1)).numerator)
    if step is None:
        return
    first = -(-low // step) * step
    if first == low and low_key.startswith("excl"):
        first += step
    if first > high or (first == high and high_key.startswith("excl")):
        raise unsupported(
            "multipleOf" if "multipleOf" in part else low_key,
            path,
            f"no such number lies between {low_key} and {high_key}",
        )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1_000_000


def _is_exact(value: Any) -> bool:
    """Whether all numbers in it are written as they are by every JSON library."""
    if isinstance(value, Mapping):
        return all(map(_is_exact, value.values()))
    if isinstance(value, list):
        return all(map(_is_exact, value))
    return not isinstance(value, int | float) or value == 0 or _LEAST_NUMBER <= abs(value) <= _MOST_NUMBER


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _MOST_NUMBER


def _is_type(value: Any) -> bool:
    kinds = [value] if isinstance(value, str) else value
    return isinstance(kinds, list) and bool(kinds) and all(isinstance(kind, str) and kind in BY_TYPE for kind in kinds)


_SHAPES: dict[str, Callable[[Any], bool]] = {
    "type": _is_type,
    "properties": lambda value: isinstance(value, Mapping),
    "$defs": lambda value: isinstance(value, Mapping),
    "definitions": lambda value: isinstance(value, Mapping),
    "required": lambda value: isinstance(value, list) and all(isinstance(name, str) for name in value),
    "additionalProperties": lambda value: isinstance(value, bool | Mapping),
    "enum": lambda value: isinstance(value, list) and bool(value),
    "anyOf": lambda value: isinstance(value, list) and bool(value),
    "oneOf": lambda value: isinstance(value, list) and bool(value),
    "$ref": lambda value: isinstance(value, str) and value.startswith("#"),
    "minLength": _is_count,
    "maxLength": _is_count,
    "minItems": _is_count,
    "maxItems": _is_count,
    "minimum": _is_number,
    "maximum": _is_number,
    "exclusiveMinimum": _is_number,
    "exclusiveMaximum": _is_number,
    "multipleOf": lambda value: _is_number(value) and value > 0,
    "pattern": patterns.is_shared,
    "format": lambda value: isinstance(value, str) and value in patterns.FORMATS,
}


@functools.cache
def _format_checker() -> Any:
    import jsonschema

    checker = jsonschema.FormatChecker(formats=())
    for name, pattern in patterns.FORMATS.items():
        checker.checks(name)(functools.partial(_matches, re.compile(pattern)))
    return checker


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return not isinstance(value, str) or pattern.search(value) is not None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large")
    return value


def _invalid(problem: str) -> InvalidAnswerError:
    return InvalidAnswerError(
        "The model's answer does not have the form that was asked for.",
        hint="Ask again, allow a longer answer, or use a larger model.",
        problem=problem,
    )
