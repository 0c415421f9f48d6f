"""Patterns of a schema, where Python's `re` (which checks answers) and the grammar's regular expressions meet.

`is_shared` says whether both read a pattern alike; `narrowed` rewrites what they read differently (`\\d`, `\\w`, `\\s`
and their opposites: ASCII to one, Unicode to the other) so that all the grammar allows, `re` accepts too. Pure text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

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
# groups but (?:…), and what gives nothing back once it has matched
_ONE_SIDED = re.compile(r"\(\?(?!:)|[*+?}]\+")
# references, octal digits, word boundaries, classes by name
_ONE_SIDED_ESCAPES = frozenset("0123456789bBAZzGkKpPNXRQEC<>")
_SET_SIGNS = ("[", "&&", "--", "~~", "||")  # inside a class: sets to one, letters to the other
_LATIN = "\u00a1-\u02ff"  # without white space and digits
_WIDE = "\u00a1-\u167f\u3001-\ud7ff"  # without white space
SHORTHANDS = {
    "d": "0-9",
    "w": "A-Za-z0-9_",
    "s": r" \t\n\r",
    "D": r" -/:-~" + _LATIN,
    "W": r" -/:-@\[-\^`{-~",
    "S": "!-~" + _WIDE,
}
# what a class that begins with ^ may still match where it holds a shorthand: neither side calls it one
OUTSIDE = {"s": r"\t\n\r -~" + _WIDE, "d": r"\t\n\r -~" + _LATIN, "S": r"\t\n\r -~"}
OUTSIDE_OTHERS = " -~"


def is_shared(pattern: object) -> bool:
    """Whether it is a pattern that both sides understand, and alike once `narrowed`."""
    if not isinstance(pattern, str):
        return False
    try:
        parts = list(_parts(pattern))
        plain = "".join("." if part[0] in "\\[" else part for part in parts)
        escapes = {letter for part in parts for letter in _escapes(part)}
        inside = [re.sub(r"\\.", "", part[1:-1], flags=re.DOTALL) for part in parts if part.startswith("[")]
        if any(sign in text for text in inside for sign in _SET_SIGNS):
            return False
        return not _ONE_SIDED.search(plain) and not escapes & _ONE_SIDED_ESCAPES and bool(re.compile(pattern))
    except (re.error, ValueError, OverflowError, RecursionError):
        return False


def narrowed(pattern: str) -> str:
    """The pattern as the grammar gets it: whatever it matches, `re` matches with the pattern given."""
    return "".join(_narrowed_part(part) for part in _parts(pattern))


def _narrowed_part(part: str) -> str:
    if part.startswith("\\"):
        return f"[{SHORTHANDS[part[1:]]}]" if part[1:] in SHORTHANDS else part
    if not part.startswith("["):
        return part
    used = [letter for letter in _escapes(part) if letter in SHORTHANDS]
    # a hyphen after a shorthand is a hyphen
    made = re.sub(
        r"\\(.)(-?)",
        lambda found: SHORTHANDS[found[1]] + found[2].replace("-", r"\-") if found[1] in SHORTHANDS else found[0],
        part,
        flags=re.DOTALL,
    )
    if not used or not part.startswith("[^"):
        return made
    bounds = {OUTSIDE.get(letter, OUTSIDE_OTHERS) for letter in used}
    return f"[{made}&&[{bounds.pop() if len(bounds) == 1 else OUTSIDE_OTHERS}]]"


def _escapes(part: str) -> list[str]:
    """The letters after each backslash."""
    return re.findall(r"\\(.)", part, flags=re.DOTALL)


def _parts(pattern: str) -> Iterator[str]:
    """The pattern cut into escapes, whole classes and single letters. Raises ValueError for a class left open."""
    at = 0
    while at < len(pattern):
        end = at + 1
        if pattern[at] == "\\":
            end += 1
        elif pattern[at] == "[":
            found = re.compile(r"\[\^?(?:\\.|[^\]\\])+\]", re.DOTALL).match(pattern, at)
            if found is None:
                raise ValueError("a class without an end")
            end = found.end()
        yield pattern[at:end]
        at = end
