"""Why a value does not fit its schema, in plain English: for settings and for the parameters of a job.

pydantic says it for programmers ("Input should be a valid integer, unable to parse string as an integer").
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import ValidationError

_MOST_SHOWN = 24  # characters of a value; what is longer may be a key that was put in the wrong place


def misfit(error: ValidationError, known: Iterable[str] = ()) -> tuple[str, str]:
    """Where the first fault is ("alpha", "sample_table.factors"), and what the value must be.

    known   the names there are, for one that is not among them
    """
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return where, _what(first["type"], first.get("ctx", {}), first["input"], first["msg"], where, tuple(known))


def _what(kind: str, facts: dict[str, Any], value: object, said: str, where: str, known: tuple[str, ...]) -> str:
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(where, known, 1)
        return "there is no such setting" + (f"; {close[0]}?" if close else "")
    if kind == "missing":
        return "is not given"
    if kind == "value_error":
        return said.removeprefix("Value error, ")
    if kind == "literal_error":
        return f"must be one of {facts['expected'].replace(chr(39), '')}, not {_shown(value)}"
    words = _WORDS.get(kind)
    if words is None:
        return f"{said.replace('Input should be', 'must be')}, not {_shown(value)}"
    return f"must be {words(facts)}, not {_shown(value)}"


def _shown(value: object) -> str:
    """The value as written, when it is short."""
    if value is None:
        return "empty"
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    return f"“{text}”" if len(text) <= _MOST_SHOWN else "what stands there"


def _fixed(words: str) -> Callable[[dict[str, Any]], str]:
    return lambda facts: words


_WORDS: dict[str, Callable[[dict[str, Any]], str]] = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float", "int_parsing_size"), _fixed("a whole number")),
    **dict.fromkeys(("float_parsing", "float_type"), _fixed("a number")),
    **dict.fromkeys(("bool_parsing", "bool_type"), _fixed("true or false")),
    **dict.fromkeys(("string_type", "path_type"), _fixed("text")),
    **dict.fromkeys(("list_type", "tuple_type", "set_type"), _fixed("a list, such as [first, second]")),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), _fixed("names with values")),
    "finite_number": _fixed("a finite number"),
    "greater_than": lambda facts: f"more than {facts['gt']:g}",
    "greater_than_equal": lambda facts: f"at least {facts['ge']:g}",
    "less_than": lambda facts: f"less than {facts['lt']:g}",
    "less_than_equal": lambda facts: f"at most {facts['le']:g}",
    "string_too_short": lambda facts: f"at least {facts['min_length']} characters long",
    "string_too_long": lambda facts: f"at most {facts['max_length']:,} characters long",
    "too_short": lambda facts: f"a list of at least {facts['min_length']}",
    "too_long": lambda facts: f"a list of at most {facts['max_length']}",
    "string_pattern_mismatch": lambda facts: f"written like {facts['pattern']}",
}
