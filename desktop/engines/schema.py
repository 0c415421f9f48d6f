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
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from desktop.engines.errors import InvalidAnswerError, UnsupportedSchemaError

Schema = Mapping[str, Any]

_NOTES = {"title", "description", "default", "examples", "$comment", "$schema"}
_BY_TYPE = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "minItems", "maxItems"},
    "string": {"minLength", "maxLength", "pattern", "format"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "boolean": set(),
    "null": set(),
}
_ANY = {"type", "enum", "const", "anyOf", "oneOf", "$ref", "$defs", "definitions"}
KEYWORDS = _NOTES | _ANY | set[str]().union(*_BY_TYPE.values())
_MAX_DEPTH, _MAX_BYTES = 64, 256 * 1024

_DAY = (
    r"(?:[12][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|1[0-9]|2[0-8]))|(?:[12][0-9](?:0[48]|[2468][048]|[13579][26])|(?:1[26]|2[048])00)-02-29)"
)
_HOUR = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
FORMATS = {
    "date": f"^{_DAY}$",
    "time": f"^{_HOUR}$",
    "date-time": f"^{_DAY}T{_HOUR}$",
    "uuid": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
    "email": r"^[A-Za-z0-9_+-]{1,32}(?:\.[A-Za-z0-9_+-]{1,32}){0,2}@(?:[A-Za-z0-9-]{1,32}\.){1,3}[a-z]{2,8}$",
}
_NOT_IN_GRAMMAR = re.compile(
    r"\(\?(?!:)|\\[1-9bBAZGkpP]"
)  # groups but (?:…), references, word boundaries, classes by name
_PATTERN_IN_WORDS = "a pattern with look-around, back-references, flags or word boundaries"


def check_schema(schema: Schema | None) -> None:
    """Nothing, when every answer can be held to this schema. Raises UnsupportedSchemaError."""
    if schema is None:
        return
    try:
        size = len(json.dumps(schema))
    except (TypeError, ValueError, RecursionError):
        raise _unsupported("schema", "#", "it is not JSON") from None
    if size > _MAX_BYTES:
        raise _unsupported("schema", "#", f"it is longer than {_MAX_BYTES // 1024} KiB")
    for path, part in _walk(schema):
        _check_part(part, path, schema)
    _check_cycles(schema, schema, frozenset(), "#")


def parse_answer(text: str, schema: Schema) -> Any:
    """The value that `text` is JSON of, checked against the schema. Raises InvalidAnswerError."""
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
        _compact(value).encode("utf-8")  # half of a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        raise _invalid(f"it is not JSON: {error}") from None
    import jsonschema

    validator = jsonschema.Draft202012Validator(dict(schema), format_checker=_format_checker())
    worst = next(iter(validator.iter_errors(value)), None)
    if worst is not None:
        raise _invalid(f"{worst.json_path}: {worst.message}"[:300])
    return value


def narrowed(schema: Schema) -> dict[str, Any]:
    """The schema whose grammar is enforced: every value it allows, the schema given allows too."""

    def one(part: Any) -> Any:
        if not isinstance(part, Mapping):
            return part
        out = {key: value for key, value in part.items() if key not in _NOTES and key != "format"}
        if "format" in part:
            out["pattern"] = FORMATS[part["format"]]
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


def shortest_texts(schema: Schema) -> tuple[str, list[str]]:
    """About the shortest answer, and the shortest of each object and array within: what ending one may still take."""
    inner: list[str] = []

    def shortest(part: Any, seen: frozenset[str]) -> str | None:  # None: it would lead back to itself
        if not isinstance(part, Mapping):
            return "0"
        if "$ref" in part:
            ref = part["$ref"]
            return None if ref in seen else shortest(_resolve(ref, schema), seen | {ref})
        if "const" in part:
            return _compact(part["const"])
        if "enum" in part:
            return min(map(_compact, part["enum"]), key=len)
        if branches := part.get("anyOf") or part.get("oneOf"):
            found = [text for branch in branches if (text := shortest(branch, seen)) is not None]
            return min(found, key=len) if found else None
        kinds = part.get("type", "null" if not {"properties", "items"} & set(part) else "object")
        found = [text for kind in ([kinds] if isinstance(kinds, str) else kinds) if (text := plain(kind, part, seen))]
        return min(found, key=len) if found else None

    def plain(kind: str, part: Schema, seen: frozenset[str]) -> str | None:
        if kind == "object":
            made = {name: shortest(part.get("properties", {}).get(name, {}), seen) for name in part.get("required", ())}
            for name in set(part.get("properties", {})) - set(made):
                shortest(part["properties"][name], seen)  # for what lies within
            if None in made.values():
                return None
            inner.append("{" + ",".join(f"{_compact(name)}:{text}" for name, text in made.items()) + "}")
            return inner[-1]
        if kind == "array":
            item = shortest(part.get("items", {}), seen)
            if item is None and part.get("minItems", 0):
                return None
            inner.append("[" + ",".join([item or ""] * part.get("minItems", 0)) + "]")
            return inner[-1]
        if kind == "string":
            n: int = part.get("minLength", 40 if "pattern" in part or "format" in part else 0)
            return '"' + "x" * n + '"'
        if kind in ("number", "integer"):
            return _compact(part.get("minimum", part.get("exclusiveMinimum", part.get("maximum", 0))))
        return "false" if kind == "boolean" else "null"

    return shortest(schema, frozenset()) or "{}", inner


# ---- the rules of the dialect ------------------------------------------------------------------------------------


def _walk(schema: Schema) -> Iterator[tuple[str, Any]]:
    """Every subschema with its place, the schema itself first."""
    todo: list[tuple[str, Any, int]] = [("#", schema, 0)]
    while todo:
        path, part, depth = todo.pop()
        if depth > _MAX_DEPTH:
            raise _unsupported("schema", path, f"it is nested deeper than {_MAX_DEPTH}")
        yield path, part
        if not isinstance(part, Mapping):
            continue
        for key in ("properties", "$defs", "definitions"):
            if isinstance(part.get(key), Mapping):
                todo += [(f"{path}/{key}/{name}", inner, depth + 1) for name, inner in part[key].items()]
        for key in ("anyOf", "oneOf"):
            if isinstance(part.get(key), list):
                todo += [(f"{path}/{key}/{n}", inner, depth + 1) for n, inner in enumerate(part[key])]
        for key in ("items", "additionalProperties"):
            if key in part and not isinstance(part[key], bool):
                todo.append((f"{path}/{key}", part[key], depth + 1))


def _check_part(part: Any, path: str, root: Schema) -> None:
    if not isinstance(part, Mapping):
        raise _unsupported("schema", path, "a schema must be an object here")
    for key in part:
        if key not in KEYWORDS:
            raise _unsupported(str(key), path)
    for key in _SHAPES.keys() & part.keys():
        if not _SHAPES[key](part[key]):
            raise _unsupported(key, path, "its value has the wrong form")
    if "$ref" in part:
        if beside := part.keys() - _NOTES - {"$ref", "$defs", "definitions"}:
            raise _unsupported(min(beside), path, "nothing that restricts may stand beside $ref")
        if not isinstance(_resolve(part["$ref"], root), Mapping):
            raise _unsupported("$ref", path, f"{part['$ref']} names nothing in this schema")
        return
    chosen = [key for key in ("enum", "const", "anyOf", "oneOf") if key in part]
    restricts = part.keys() - _NOTES - {"$defs", "definitions", "type"}
    if chosen and restricts - {chosen[0]}:
        raise _unsupported(min(restricts - {chosen[0]}), path, f"it may not stand beside {chosen[0]}")
    kinds = part.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not kinds and not chosen and restricts:
        raise _unsupported("type", path, f"{min(restricts)} needs a type beside it")
    for key in restricts - set(chosen):
        if not any(key in _BY_TYPE[kind] for kind in kinds):
            raise _unsupported(key, path, f"it says nothing about type {', '.join(kinds)}")
    if chosen and kinds:
        _check_choice_and_type(part, kinds, path)
    if "pattern" in part and "format" in part:
        raise _unsupported("pattern", path, "it may not stand beside format")
    if "required" in part and (missing := set(part["required"]) - part.get("properties", {}).keys()):
        raise _unsupported("required", path, f"{min(missing)} is not among the properties")
    for low, high in (("minLength", "maxLength"), ("minItems", "maxItems"), ("minimum", "maximum")):
        if low in part and high in part and part[low] > part[high]:
            raise _unsupported(low, path, f"it is above {high}: nothing can satisfy it")
    if "oneOf" in part:
        _check_disjoint(part["oneOf"], path, root)


def _check_choice_and_type(part: Schema, kinds: list[str], path: str) -> None:
    import jsonschema

    if "anyOf" in part or "oneOf" in part:
        raise _unsupported("type", path, "it may not stand beside a choice of schemas")
    for value in part.get("enum", [part.get("const")]):
        if not jsonschema.Draft202012Validator({"type": kinds}).is_valid(value):
            raise _unsupported("type", path, f"{value!r} is not of it")


def _check_disjoint(branches: list[Any], path: str, root: Schema) -> None:
    """`oneOf` is written as `anyOf`; that is the same only where no value can satisfy two branches."""
    facts = []
    for branch in branches:
        seen: set[str] = set()
        while isinstance(branch, Mapping) and "$ref" in branch and branch["$ref"] not in seen:
            seen.add(branch["$ref"])
            branch = _resolve(branch["$ref"], root)
        kinds = branch.get("type") if isinstance(branch, Mapping) else None
        tags = {}
        for name in branch.get("required", ()) if kinds == "object" else ():
            inner = branch.get("properties", {}).get(name, {})
            if "const" in inner or "enum" in inner:
                tags[name] = {_compact(value) for value in inner.get("enum", [inner.get("const")])}
        facts.append((kinds, tags))
    for n, (kind, tags) in enumerate(facts):
        for other, other_tags in facts[:n]:
            apart = isinstance(kind, str) and isinstance(other, str) and kind != other and {kind, other} != _NUMBERS
            if not apart and not any(
                tags[name].isdisjoint(other_tags[name]) for name in tags.keys() & other_tags.keys()
            ):
                raise _unsupported("oneOf", path, "a value could satisfy two of its branches; use anyOf")


_NUMBERS = {"number", "integer"}


def _check_cycles(part: Any, root: Schema, seen: frozenset[str], path: str) -> None:
    """A reference that leads back to itself without anything in between has no meaning."""
    if not isinstance(part, Mapping):
        return
    if ref := part.get("$ref"):
        if ref in seen:
            raise _unsupported("$ref", path, "it leads back to itself")
        _check_cycles(_resolve(ref, root), root, seen | {ref}, path)
    for key in ("anyOf", "oneOf"):
        for n, branch in enumerate(part.get(key, ())):
            _check_cycles(branch, root, seen, f"{path}/{key}/{n}")
    if not seen:
        for key in ("properties", "$defs", "definitions"):
            for name, inner in part.get(key, {}).items():
                _check_cycles(inner, root, frozenset(), f"{path}/{key}/{name}")
        for key in ("items", "additionalProperties"):
            _check_cycles(part.get(key), root, frozenset(), f"{path}/{key}")


def _is_pattern(value: Any) -> bool:
    try:
        return isinstance(value, str) and not _NOT_IN_GRAMMAR.search(value) and bool(re.compile(value))
    except re.error:
        return False


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1_000_000


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_type(value: Any) -> bool:
    kinds = [value] if isinstance(value, str) else value
    return isinstance(kinds, list) and bool(kinds) and all(isinstance(kind, str) and kind in _BY_TYPE for kind in kinds)


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
    "pattern": _is_pattern,
    "format": lambda value: isinstance(value, str) and value in FORMATS,
}


def _resolve(ref: str, root: Schema) -> Any:
    """What a local reference names; None where it names nothing."""
    part: Any = root
    for step in ref.removeprefix("#").split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(part, Mapping) or name not in part:
            return None
        part = part[name]
    return part


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@functools.cache
def _format_checker() -> Any:
    import jsonschema

    checker = jsonschema.FormatChecker(formats=())
    for name, pattern in FORMATS.items():
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


def _unsupported(keyword: str, path: str, why: str = "answers cannot be held to it") -> UnsupportedSchemaError:
    return UnsupportedSchemaError(
        f"The schema uses {keyword} at {path}: {why}.",
        hint="Leave it out or say it with: " + ", ".join(sorted(KEYWORDS - _NOTES)) + ".",
        keyword=keyword,
        path=path,
    )


def _invalid(problem: str) -> InvalidAnswerError:
    return InvalidAnswerError(
        "The model's answer does not have the form that was asked for.",
        hint="Ask again, allow a longer answer, or use a larger model.",
        problem=problem,
    )
