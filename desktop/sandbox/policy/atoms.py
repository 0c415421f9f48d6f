"""The values the policy can follow, and what loops, unpacking and joining make of them. Pure data and functions."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from desktop.sandbox.policy.scopes import Op, Scope

MAX_TEXTS = 64
MAX_TEXT_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class Member:
    """A module or something reached from one, by its canonical dotted name."""

    path: str


@dataclass(frozen=True, slots=True)
class Text:
    value: str


@dataclass(frozen=True, slots=True)
class Items:
    """A container of known elements; `keys` only where it is a dictionary."""

    elements: tuple[frozenset[Any], ...]
    keys: tuple[frozenset[Any], ...] | None = None


@dataclass(frozen=True, slots=True)
class Own:
    """An object of a class of the script; `home` is the scope of its class."""

    home: Scope


@dataclass(frozen=True, slots=True)
class Plain:
    """Something of a known nature: "number", "arguments" (parsed), "error", "data" (made by a library, no text)."""

    nature: str


UNKNOWN = Plain("unknown")
NUMBER = Plain("number")
Value = frozenset[Any]
NOTHING_KNOWN: Value = frozenset({UNKNOWN})


def view(items: Items, method: str) -> Items:
    if items.keys is None or method == "copy":
        return items
    if method == "keys":
        return Items(items.keys)
    if method == "values":
        return Items(items.elements)
    return Items(tuple(frozenset({Items((k, v))}) for k, v in zip(items.keys, items.elements, strict=True)))


def iterated(value: Value) -> Value:
    """What a loop over `value` gives."""
    found: Value = frozenset()
    for v in value:
        if isinstance(v, Items):
            found |= frozenset().union(*(v.elements if v.keys is None else v.keys))
        elif isinstance(v, Text):
            found |= frozenset(Text(c) for c in v.value[: MAX_TEXTS + 1])
        else:
            found |= NOTHING_KNOWN
    return found


def step(value: Value, op: Op) -> Value:
    if op == "iter":
        return iterated(value)
    if isinstance(op, int):
        found: Value = frozenset()
        for v in value:
            if isinstance(v, Items) and v.keys is None and op < len(v.elements):
                found |= v.elements[op]
            elif isinstance(v, Items) and v.keys is None and len(v.elements) == 1:
                found |= v.elements[0]
            else:
                found |= NOTHING_KNOWN
        return found
    return frozenset(v for v in value if isinstance(v, Member)) | NOTHING_KNOWN


def fold(parts: Iterable[Value], combine: Any) -> Value:
    """Every combination of texts; unknown as soon as one part can be anything else, or there are too many."""
    texts: list[list[str]] = []
    total = 1
    for part in parts:
        if not part or not all(isinstance(v, Text) for v in part):
            return NOTHING_KNOWN
        texts.append([v.value for v in part])
        total *= len(part)
        if total > MAX_TEXTS:
            return NOTHING_KNOWN
    found: set[Any] = set()
    for combination in itertools.product(*texts):
        if sum(map(len, combination)) > MAX_TEXT_CHARS:
            return NOTHING_KNOWN
        try:
            text = combine(*combination)
        except (IndexError, KeyError, ValueError, TypeError, AttributeError):
            return NOTHING_KNOWN
        if len(text) > MAX_TEXT_CHARS:
            return NOTHING_KNOWN
        found.add(Text(text))
    return frozenset(found)
