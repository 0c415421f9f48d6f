"""About the shortest answer a schema allows: how much room the end of an answer needs, and whether there is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from desktop.engines.schema_parts import Schema, compact, resolve, unsupported, walk

MOST_CHARACTERS = 100_000  # an answer that must be longer is none a model should write


def shortest_texts(schema: Schema) -> tuple[str, list[str]]:
    """About the shortest answer, and the shortest of each object and array within: what ending one may still take.

    Raises UnsupportedSchemaError where no answer ends, or none within reason.
    """
    parts = [(path, part) for path, part in walk(schema) if isinstance(part, Mapping)]
    places = {part["$ref"]: path for path, part in parts if "$ref" in part}
    known: dict[str, str] = {}  # reference → the shortest text found so far
    is_settled = False
    while not is_settled:
        is_settled = True
        for ref in places:
            text = _shortest(resolve(ref, schema), known, places[ref])
            if text is not None and (ref not in known or len(text) < len(known[ref])):
                known[ref], is_settled = text, False
    for ref, path in places.items():
        if ref not in known:
            raise unsupported("$ref", path, "an answer to it would never end")
    inner = [text for path, part in parts if (text := _shortest(part, known, path)) and text[0] in "{["]
    return _shortest(schema, known, "#") or "{}", inner


def _shortest(part: Any, known: Mapping[str, str], path: str) -> str | None:
    """The shortest text of a part; None while it depends on a reference that is not known yet."""
    if not isinstance(part, Mapping):
        return "0"
    if "$ref" in part:
        return known.get(part["$ref"])
    if "const" in part:
        return compact(part["const"])
    if "enum" in part:
        return min(map(compact, part["enum"]), key=len)
    if branches := part.get("anyOf") or part.get("oneOf"):
        found = [text for branch in branches if (text := _shortest(branch, known, path)) is not None]
        return min(found, key=len, default=None)
    kinds = part.get("type", "null" if not {"properties", "items"} & set(part) else "object")
    found = [
        text for kind in ([kinds] if isinstance(kinds, str) else kinds) if (text := _plain(kind, part, known, path))
    ]
    return min(found, key=len, default=None)


def _plain(kind: str, part: Schema, known: Mapping[str, str], path: str) -> str | None:
    if kind == "object":
        return _object(part, known, path)
    if kind == "array":
        n_items = part.get("minItems", 0)
        item = _shortest(part.get("items", {}), known, path) if n_items else ""
        if item is None:
            return None
        if n_items * len(item) > MOST_CHARACTERS:
            raise unsupported("minItems", path, f"the shortest answer has more than {MOST_CHARACTERS:,} characters")
        return "[" + ",".join([item] * n_items) + "]"
    if kind == "string":
        n: int = part.get("minLength", 40 if "pattern" in part or "format" in part else 0)
        if n > MOST_CHARACTERS:
            raise unsupported("minLength", path, f"it is above {MOST_CHARACTERS:,}")
        return '"' + "x" * n + '"'
    if kind in ("number", "integer"):
        return compact(part.get("minimum", part.get("exclusiveMinimum", part.get("maximum", 0))))
    return "false" if kind == "boolean" else "null"


def _object(part: Schema, known: Mapping[str, str], path: str) -> str | None:
    made, total = [], 0
    for name in part.get("required", ()):
        text = _shortest(part.get("properties", {}).get(name, {}), known, path)
        if text is None:
            return None
        total += len(text)
        if total > MOST_CHARACTERS:
            raise unsupported("required", path, f"the shortest answer has more than {MOST_CHARACTERS:,} characters")
        made.append(f"{compact(name)}:{text}")
    return "{" + ",".join(made) + "}"
