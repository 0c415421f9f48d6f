"""Where the table is on the page: title rows, heading, body, in the first rows of a file or sheet. Content decides."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from desktop.studios.omics.steps.gene_ids import id_type_of
from desktop.studios.omics.steps.vocabulary import vocabulary

_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}([,.' \u00a0\u202f])\d{3}(\1\d{3})*(\.\d+)?")
_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Layout:
    """heading   names of the columns, "" where there is none; body_row is the first row of data."""

    heading: list[str]
    body_row: int
    width: int
    is_made: bool  # there was no heading; the names are made up
    title_rows: int


@dataclass(frozen=True)
class NumberStyle:
    """How numbers are written: decimal mark and mark between thousands ("" for none)."""

    decimal: str = "."
    thousands: str = ""

    def plain(self, cell: str) -> str:
        """The number as Python writes it."""
        cell = cell.strip()
        if self.thousands:
            cell = cell.replace(self.thousands, "")
        return cell.replace(",", ".") if self.decimal == "," else cell


def is_number(cell: str) -> bool:
    """A number in any of the usual ways of writing it."""
    cell = cell.strip()
    return bool(_PLAIN.fullmatch(cell) or _COMMA.fullmatch(cell) or _GROUPED.fullmatch(cell))


def is_missing(cell: str) -> bool:
    """A usual sign for a missing number."""
    return cell.strip().lower() in vocabulary().lists["missing"] or not cell.strip()


def number_style(cells: Sequence[str], separator: str) -> NumberStyle:
    """How the numbers among these cells are written, from all of them together.

    "1,234" may be a decimal or a thousand: it is a thousand only when every comma fits groups of three that do not
    start with 0, and no number of four or more digits stands without one.
    """
    marked = [cell.strip() for cell in cells if cell.strip() and not cell.strip().isdigit()]
    for mark in (",", "'", " ", "\u00a0", "\u202f", "."):
        holding = [cell for cell in marked if mark in cell and is_number(cell)]
        if not holding or (mark == "," and separator == "," and not any(_GROUPED.fullmatch(c) for c in holding)):
            continue
        grouped = [_GROUPED.fullmatch(cell) for cell in holding]
        fits = all(match and match.group(1) == mark for match in grouped)
        bare_large = any(cell.strip().lstrip("+-").isdigit() and len(cell.strip()) > 3 for cell in cells)
        if fits and not bare_large and (mark != "." or (len(holding) >= 20 and separator != ",")):
            return NumberStyle(decimal="." if mark != "." else ",", thousands=mark)
        if mark == "," and all(_COMMA.fullmatch(cell) for cell in holding):
            return NumberStyle(decimal=",")
    return NumberStyle()


def has_grouping_dots(cells: Sequence[str]) -> bool:
    """Dots stand between thousands ("1.234"), not before decimals: never with other than three digits after, no whole
    number above 999 without one, and small whole numbers without one among them."""
    numbers = [cell.strip() for cell in cells if is_number(cell)]
    dotted = [cell for cell in numbers if "." in cell]
    plain = [cell for cell in numbers if cell.isdigit()]
    return (
        len(dotted) >= 20
        and len(plain) >= 0.1 * len(numbers)
        and len(plain) + len(dotted) == len(numbers)
        and all(len(cell) <= 3 for cell in plain)
        and all((match := _GROUPED.fullmatch(cell)) is not None and match.group(1) == "." for cell in dotted)
    )


def find_layout(rows: Sequence[Sequence[str]]) -> Layout | None:
    """The table's place among the first rows; None if there is none.

    rows   cells as text; a heading may be one shorter than the body (R's write.table)
    """
    widths = Counter(len(row) for row in rows if _filled(row))
    if not widths:
        return None
    width = max(widths, key=lambda size: (widths[size], size))
    if width < 2 and len(rows) > 1:
        return None
    numeric = [sum(is_number(cell) for cell in row) for row in rows]
    body = [count for count, row in zip(numeric, rows, strict=True) if len(row) == width][len(rows) // 5 :]
    typical = median(body) if body else 0
    first = next((at for at, row in enumerate(rows) if _may_be_heading(row, width)), None)
    if first is None:
        return None
    if typical >= 1 and numeric[first] >= 0.5 * typical and not _is_numbered_heading(rows, first, width):
        made = [f"column {at + 1}" for at in range(width)]
        return Layout(made, first, width, is_made=True, title_rows=first)
    head = first
    if typical >= 2 and typical >= 0.5 * width:  # a table of numbers: the heading is the last row of words above them
        start = next((at for at in range(first, len(rows)) if numeric[at] >= 0.5 * typical), first + 1)
        named = [at for at in range(first, start) if _filled(rows[at]) >= 0.6 * width]
        if start > first + 1 and named and not _is_numbered_heading(rows, first, width):
            head = named[-1]
    heading = [str(cell).strip() for cell in rows[head]]
    if len(heading) == width - 1:
        last_empty = all(not row[-1].strip() for row in rows[head + 1 :] if len(row) == width)
        heading = [*heading, ""] if last_empty else ["", *heading]
    if head and len(rows[head - 1]) == width == len(rows[head]):
        heading = _with_groups([cell.strip() for cell in rows[head - 1]], heading)
    return Layout(heading, head + 1, width, is_made=False, title_rows=head)


def _with_groups(above: Sequence[str], heading: list[str]) -> list[str]:
    """Names that stand more than once ("rep1") told apart by the groups above them, a merged cell standing once."""
    names = [name for name in heading[1:] if name]
    if len(set(names)) == len(names):
        return heading
    group, told = "", list(heading)
    for at in range(1, len(heading)):
        group = above[at] or group
        told[at] = f"{group}_{heading[at]}" if group and heading[at] else heading[at]
    return told if len(set(filter(None, told[1:]))) == len(names) else heading


def _may_be_heading(row: Sequence[str], width: int) -> bool:
    """As wide as the table (R leaves the corner out), with most cells filled; a title fills one."""
    if len(row) == width - 1:
        return _filled(row) >= max(1, 0.6 * (width - 1))
    return len(row) == width and (
        _filled(row) >= max(2, 0.6 * width) or (not row[0].strip() and _filled(row) == width - 1)
    )


def _filled(row: Sequence[str]) -> int:
    return sum(bool(cell.strip()) for cell in row)


def _is_numbered_heading(rows: Sequence[Sequence[str]], at: int, width: int) -> bool:
    """The row of numbers is a heading: "gene, 1, 2, 3"."""
    row = [cell.strip() for cell in rows[at]]
    names = row if len(row) == width - 1 else row[1:]
    if len(set(names)) < len(names) or not names:
        return False
    if len(row) == width - 1:
        return True
    first = row[0]
    if first and not vocabulary().has("gene_id_headers", first):
        return False
    if len(names) == 1:
        return bool(first) and not is_number(names[0])
    below = [other[0] for other in rows[at + 1 : at + 50] if other]
    return not first or id_type_of([first]) == "unknown" or id_type_of([first]) != id_type_of(below)
