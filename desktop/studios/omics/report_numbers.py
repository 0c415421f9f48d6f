"""Numbers of a report that know where they stand, and sentences made of them. No layout, no reading of files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup


@dataclass(frozen=True, slots=True)
class Number:
    """A number as shown, and where it stands.

    file    of the run's folder
    where   "count:EXPRESSION" rows of a table; "cell:KEY=VALUE;COLUMN" one cell; "json:/POINTER" one value
    """

    text: str
    file: str
    where: str


@dataclass(frozen=True, slots=True)
class Struck:
    """A number or a word of direction in a model's words that the results do not bear out, and why."""

    text: str
    why: str = "This number is not in the results."


Sentence = list["str | Number"]


def plain(sentence: Sentence) -> str:
    """A sentence without its sources."""
    return "".join(part.text if isinstance(part, Number) else part for part in sentence)


def small(p: float) -> str:
    """A p value for a reader."""
    return "< 1e-300" if p == 0 else f"{p:.2e}" if p < 1e-3 else f"{p:.4f}"


def signed(change: float) -> str:
    """A log2 fold change for a reader: two decimals, or three digits where it is small, as per unit of a dose."""
    return f"{change:+.2f}" if not abs(change) < 0.1 or change == 0 else f"{change:+.3g}"


def html_number(part: Number | Struck | str, files: dict[str, dict[str, Any]]) -> Markup | str:
    """A number as a link to its file's line in the provenance table, with the place and hash as a tooltip."""
    if isinstance(part, str):
        return part
    if isinstance(part, Struck):
        return Markup('<del title="{}">{}</del>').format(part.why, part.text)
    sha = str(files.get(part.file, {}).get("sha256", ""))
    kind, _, place = part.where.partition(":")
    said = {"count": "rows where ", "cell": "", "json": ""}[kind] + place
    return Markup(
        '<a class="n" href="#file-{f}" title="{f}: {s} (sha256 {h})" data-file="{f}" data-where="{w}">{t}</a>'
    ).format(f=part.file, s=said, h=sha[:12], w=part.where, t=part.text)
