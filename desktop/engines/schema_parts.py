"""The parts of a JSON Schema: its keywords, every subschema with its place, references, the error that names one.

What the dialect means is `schema`'s.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from desktop.engines.errors import UnsupportedSchemaError

Schema = Mapping[str, Any]

NOTES = {"title", "description", "default", "examples", "$comment", "$schema"}
BY_TYPE = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "minItems", "maxItems"},
    "string": {"minLength", "maxLength", "pattern", "format"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "boolean": set(),
    "null": set(),
}
_ANY = {"type", "enum", "const", "anyOf", "oneOf", "$ref", "$defs", "definitions"}
KEYWORDS = NOTES | _ANY | set[str]().union(*BY_TYPE.values())
_MAX_DEPTH = 64


def walk(schema: Schema) -> Iterator[tuple[str, Any]]:
    """Every subschema with its place, the schema itself first."""
    todo: list[tuple[str, Any, int]] = [("#", schema, 0)]
    while todo:
        path, part, depth = todo.pop()
        if depth > _MAX_DEPTH:
            raise unsupported("schema", path, f"it is nested deeper than {_MAX_DEPTH}")
        yield path, part
        if not isinstance(part, Mapping):
            continue
        for key in ("properties", "$defs", "definitions"):
            if isinstance(part.get(key), Mapping):
                todo += [
                    (f"{path}/{key}/{name}", inner, depth + 1) for name, inner in part[key].items() if inner is not True
                ]
        for key in ("anyOf", "oneOf"):
            if isinstance(part.get(key), list):
                todo += [(f"{path}/{key}/{n}", inner, depth + 1) for n, inner in enumerate(part[key])]
        for key in ("items", "additionalProperties"):
            if key in part and not isinstance(part[key], bool):
                todo.append((f"{path}/{key}", part[key], depth + 1))


def resolve(ref: str, root: Schema) -> Any:
    """What a local reference names; None where it names nothing."""
    part: Any = root
    for step in ref.removeprefix("#").split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(part, Mapping) or name not in part:
            return None
        part = part[name]
    return part


def compact(value: Any) -> str:
    """JSON without spaces, letters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def unsupported(keyword: str, path: str, why: str = "answers cannot be held to it") -> UnsupportedSchemaError:
    """The error of a keyword at a place."""
    return UnsupportedSchemaError(
        f"The schema uses {keyword} at {path}: {why}.",
        hint="Leave it out or say it with: " + ", ".join(sorted(KEYWORDS - NOTES)) + ".",
        keyword=keyword,
        path=path,
    )
