"""Names that are not there and names that are written nearly like them; and the repair of a design in words."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Sequence

from desktop.studios.omics.schema import (
    Repair,
)

_CLOSE = 0.6  # difflib's ratio; below it two names have nothing to do with each other
MOST_OFFERS = 3
_FILLING = re.compile(r"['\"“”‘’]|(?<=[^\W\d])[\s_.-]+(?=[^\W_])|(?<=\d)[\s_.-]+(?=[^\W\d_])")


def like(asked: str, known: Sequence[str]) -> tuple[bool, list[str]]:
    """(True, [the one]) when a name differs only in case, spaces and signs; else (False, the close ones, best first).

    Names that differ in a digit are never close: day 1 is not day 2.
    """
    same = [name for name in known if key_of(name) == key_of(asked)]
    if len(same) == 1:
        return True, same
    digits = re.findall(r"\d+", asked)
    by_key = {key_of(name): name for name in known if re.findall(r"\d+", name) == digits}
    return False, [by_key[key] for key in difflib.get_close_matches(key_of(asked), by_key, MOST_OFFERS, _CLOSE)]


def key_of(name: str) -> str:
    """Lower case without blanks, quotes and signs between letters; a sign that may mean something stays (CD4+, -1)."""
    text = unicodedata.normalize("NFKC", name).strip().casefold()
    return _FILLING.sub("", text)


def why(asked: str, name: str, is_same: bool) -> str:
    if is_same:
        return f"“{asked}” differs from it only in the way it is written."
    return f"“{asked}” is not in the table of samples; “{name}” is written nearly like it."


def quoted(name: str) -> str:
    return name if re.fullmatch(r"[^\W\d]\w*", name) else f"`{name}`"


def design_repair(code: str, name: str, before: str, after: str, *, asks: bool, why: str) -> Repair:
    words = {"drop_term": "Leave {} out of the design.", "add_term": "Add {} to the design.", "use_factor": "Use {}."}
    return Repair(
        code=f"{code}:{name}",
        what=words[code].format(name),
        why=why,
        before=before,
        after=after,
        asks=asks,
        params={"design": after},
    )
