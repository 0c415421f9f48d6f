"""Delimited text to a table: separator, encoding, comments, title rows, heading and number style told by content.

Says nothing of what the columns mean; that is `expression` for genes and `sample_sheet` for samples.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from desktop.studios.omics.errors import UnreadableTableError
from desktop.studios.omics.sources import text as texts
from desktop.studios.omics.sources.layout import (
    Layout,
    NumberStyle,
    find_layout,
    has_grouping_dots,
    is_missing,
    is_number,
    number_style,
)

_HEAD_LINES = 400
_MAX_COLUMNS = 100_000
_AGAIN = "Save the table again as tab-separated text, one row a gene and one column a sample, or send the file again."


@dataclass(frozen=True)
class Table:
    """A rectangular table.

    heading   one name a column as written, "" where unnamed
    frame     columns 0..n-1; each wholly text (as written) or wholly numbers (NaN where missing)
    junk      column → (row, cell) of the first cell that is not a number in a column of numbers
    """

    name: str
    heading: list[str]
    frame: pd.DataFrame
    is_made_heading: bool = False
    comments: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    junk: dict[int, tuple[int, str]] = field(default_factory=dict)

    def texts(self, column: int) -> list[str]:
        """A column as text."""
        return [str(cell).strip() for cell in self.frame[column].tolist()]

    def is_numeric(self, column: int) -> bool:
        return bool(pd.api.types.is_numeric_dtype(self.frame[column]))


def read_table(source: Path | bytes, *, name: str = "", as_text: bool = False) -> Table:
    """Read a delimited text table, packed or not.

    as_text   keep every cell as written (for tables of samples: "007", "NA" and "1e5" are labels)
    raises    UnreadableTableError if it is empty, binary, cut off, ragged, or not a table
    """
    name = name or (source.name if isinstance(source, Path) else "the table")
    text, encoding = texts.decode(texts.read_bytes(source, name=name), name=name)
    notes = [] if encoding == "utf-8" else [f"{name} is not in UTF-8; it was read as {encoding}."]
    return parse_table(text, name=name, as_text=as_text, notes=notes)


def parse_table(text: str, *, name: str, as_text: bool = False, notes: Sequence[str] = ()) -> Table:
    """`read_table` for text that is already decoded."""
    notes = list(notes)
    comments, text = _split_comments(text)
    separator = find_separator(text)
    if separator is None:
        raise UnreadableTableError(
            f"{name} is not a table: its lines do not fall into columns.",
            hint="Give a table with tabs, commas or semicolons between the columns.",
            file=name,
            is_prose=True,
        )
    quoting = csv.QUOTE_MINIMAL
    if '"' in text and (text.count('"') % 2 or (separator == "\t" and '\t"' not in text and not text.startswith('"'))):
        quoting = csv.QUOTE_NONE
    head = head_rows(text, separator, quoting)
    layout = find_layout(head)
    if layout is None:
        raise UnreadableTableError(f"{name} holds no table.", hint=_AGAIN, file=name)
    if layout.is_made and comments and not as_text:
        above = comments[-1].lstrip("#").strip("\n").split(separator)
        if len(above) in (layout.width, layout.width - 1) and not all(is_number(cell) for cell in above[1:]):
            heading = above if len(above) == layout.width else ["", *above]
            layout = Layout([cell.strip() for cell in heading], layout.body_row, layout.width, False, 0)
    if layout.width > _MAX_COLUMNS:
        raise UnreadableTableError(
            f"{name} has {layout.width} columns.", hint="Give a table of at most 100,000 columns.", file=name
        )
    _refuse_ragged(text, separator, quoting, layout, name)
    if layout.title_rows:
        notes.append(f"{layout.title_rows} row(s) above the heading of {name} were passed over.")
    frame = _read_body(text, separator, quoting, layout, name, as_text=as_text)
    frame, heading = _drop_empty(frame, layout.heading)
    if not as_text:
        frame = _drop_notes(frame, name, notes)
    return finish_table(
        frame,
        heading,
        name=name,
        separator=separator,
        as_text=as_text,
        comments=comments,
        notes=notes,
        is_made=layout.is_made,
    )


def finish_table(
    frame: pd.DataFrame,
    heading: list[str],
    *,
    name: str,
    separator: str,
    as_text: bool,
    comments: list[str],
    notes: list[str],
    is_made: bool,
) -> Table:
    """Turn columns of text into columns of numbers where that is what they are."""
    if frame.empty:
        raise UnreadableTableError(
            f"{name} has a heading and no rows.", hint="Choose a table with data in it.", file=name
        )
    junk: dict[int, tuple[int, str]] = {}
    if not as_text:
        sample = frame.iloc[: _HEAD_LINES * 5]
        objects = [column for column in range(len(heading)) if not pd.api.types.is_numeric_dtype(frame[column])]
        style = _style(sample, objects, separator)
        frame = _drop_second_heading(frame, sample, name, notes)
        for column in objects:
            numbers, bad = _to_numbers(frame[column], style)
            if numbers is not None:
                frame[column] = numbers
                if bad is not None:
                    junk[column] = bad
        if style.thousands or style.decimal != ".":
            marks = f"decimal mark {style.decimal!r}" + (
                f", thousands mark {style.thousands!r}" if style.thousands else ""
            )
            notes.append(f"Numbers in {name} were read with {marks}.")
    return Table(name, heading, frame, is_made, comments, notes, junk)


def find_separator(text: str) -> str | None:
    """The character between columns (or r"\\s+"), from the first lines; None if there is no table."""
    lines = [line for line in text[: texts.HEAD_BYTES].split("\n")[:_HEAD_LINES] if line.strip()]
    if len(lines) > 1 and len(text) > texts.HEAD_BYTES:
        lines = lines[:-1] or lines
    if not lines:
        return None
    best: tuple[float, float, str] | None = None  # share of lines as wide as most, share of cells that are numbers
    for separator in ("\t", ";", "|", ","):
        rows = list(csv.reader(lines, delimiter=separator))
        counts = [len(row) for row in rows]
        width, times = Counter(counts).most_common(1)[0]
        if width < 2:
            continue
        share = times / len(counts)
        first = next((count for count in counts if count in (width, width - 1)), 0)
        if share < 0.6 or first < 2:
            continue
        cells = [cell for row in rows if len(row) == width for cell in row[1:60]]
        numbers = sum(map(is_number, cells)) / len(cells)
        if best is None or numbers > best[1] + 0.3 or (share > best[0] + 0.1 and numbers > best[1] - 0.3):
            best = (share, numbers, separator)  # a separator within names ("ENST1|ENSG1") leaves no numbers
    if best is not None:
        return best[2]
    counts = [len(_parted(line)) for line in lines]
    width, times = Counter(counts).most_common(1)[0] if counts else (0, 0)
    return r"\s+" if width >= 2 and times >= 0.8 * len(counts) else None


def head_rows(text: str, separator: str, quoting: int = csv.QUOTE_MINIMAL) -> list[list[str]]:
    """Cells of the first lines."""
    lines = [line for line in text[: 8 * texts.HEAD_BYTES].split("\n")[: _HEAD_LINES + 1] if line.strip()][:_HEAD_LINES]
    if separator == r"\s+":
        return [_parted(line) for line in lines]
    return [list(row) for row in csv.reader(lines, delimiter=separator, quoting=quoting)]  # type: ignore[arg-type]


def _parted(line: str) -> list[str]:
    """Cells parted by blanks; a quoted cell may hold some."""
    if '"' not in line or line.count('"') % 2:
        return line.split()
    return [quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|([^\s"]+)', line)]


def _split_comments(text: str) -> tuple[list[str], str]:
    comments: list[str] = []
    start = 0
    while start < len(text) and (text[start] == "#" or text[start] == "\n"):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        if text[start] == "#":
            comments.append(text[start:end])
        start = end + 1
    return comments, text[start:]


def _read_body(text: str, separator: str, quoting: int, layout: Layout, name: str, *, as_text: bool) -> pd.DataFrame:
    head = head_rows(text, separator, quoting)[layout.body_row :]
    grouped = not as_text and has_grouping_dots([cell for row in head for cell in row[1:]])
    words = {
        column: str
        for column in range(layout.width)
        if as_text
        or grouped
        or column == 0
        or not _mostly_numbers([row[column] for row in head if len(row) == layout.width])
    }
    seen, start = 0, 0
    while seen < layout.body_row:  # blank lines were not counted in the head
        end = text.find("\n", start)
        seen += bool(text[start : end if end >= 0 else len(text)].strip())
        start = end + 1 if end >= 0 else len(text)
    if not text[start:].strip():
        raise UnreadableTableError(
            f"{name} has a heading and no rows.", hint="Choose a table with data in it.", file=name
        )
    try:
        frame: pd.DataFrame = pd.read_csv(  # type: ignore[call-overload]
            io.StringIO(text[start:]),
            sep=separator,
            header=None,
            names=list(range(layout.width)),
            index_col=False,
            dtype=words,
            quoting=quoting,
            na_filter=False,
            low_memory=False,
            skip_blank_lines=True,
        )
        return frame
    except (pd.errors.ParserError, ValueError, OverflowError) as error:
        raise UnreadableTableError(
            f"{name} cannot be read as a table: {str(error).splitlines()[0][:160]}", hint=_AGAIN, file=name
        ) from None


def _refuse_ragged(text: str, separator: str, quoting: int, layout: Layout, name: str) -> None:
    """Every row has as many cells as the heading; nothing is shifted or filled up silently."""
    lines = text.split("\n")
    widths: Iterable[int]
    if separator == r"\s+":
        widths = (len(_parted(line)) if line.strip() else -1 for line in lines)
    elif '"' not in text or quoting == csv.QUOTE_NONE:
        widths = (line.count(separator) + 1 if line.strip() else -1 for line in lines)
    else:
        widths = (
            len(row) if any(cell.strip() for cell in row) else -1
            for row in csv.reader(io.StringIO(text), delimiter=separator)
        )
    row, bad = 0, []
    total = 0
    for line, width in enumerate(widths, start=1):
        if width < 0:
            continue
        row += 1
        total = line
        if row > layout.body_row and width != layout.width:
            bad.append((line, width))
    if not bad:
        return
    line, width = bad[0]
    ending = len(bad) == 1 and line == total and width < layout.width
    what = (
        f"{name} is cut off: its last line has {width} of {layout.width} columns."
        if ending
        else f"{name} is ragged: line {line} has {width} columns where the others have {layout.width}."
    )
    raise UnreadableTableError(what, hint=_AGAIN, file=name, lines=[line for line, _ in bad[:10]], n_bad=len(bad))


def _drop_empty(frame: pd.DataFrame, heading: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """Leave out unnamed columns and rows in which nothing stands."""
    empty = [
        column
        for column in range(len(heading))
        if not heading[column] and frame[column].dtype == object and (frame[column].str.strip() == "").all()
    ]
    frame = frame.drop(columns=empty)
    kept = [name for column, name in enumerate(heading) if column not in empty]
    frame.columns = pd.RangeIndex(len(kept))
    objects = frame.select_dtypes(include="object")
    if objects.shape[1] == frame.shape[1]:
        frame = frame[~(objects.apply(lambda cells: cells.str.strip() == "")).all(axis=1)].reset_index(drop=True)
    return frame, kept


def _drop_notes(frame: pd.DataFrame, name: str, notes: list[str]) -> pd.DataFrame:
    """Leave out rows with words in the first column and nothing in the others: notes under or in the table."""
    if frame.shape[1] < 3 or any(frame[column].dtype != object for column in range(1, frame.shape[1])):
        return frame  # a column of numbers has no empty cell
    is_note = (frame.iloc[:, 1:].apply(lambda cells: cells.str.strip() == "")).all(axis=1)
    if not is_note.any() or is_note.mean() > 0.2:
        return frame
    notes.append(f"{int(is_note.sum())} row(s) of {name} with no value at all were passed over.")
    kept: pd.DataFrame = frame[~is_note]
    return kept.reset_index(drop=True)


def _drop_second_heading(frame: pd.DataFrame, sample: pd.DataFrame, name: str, notes: list[str]) -> pd.DataFrame:
    """Leave out a first row of words (groups, batches) over columns that are numbers from the second row on."""
    later = [
        column
        for column in range(1, sample.shape[1])
        if not pd.api.types.is_numeric_dtype(sample[column])
        and _mostly_numbers([str(cell) for cell in sample[column].tolist()[1:50]])
    ]
    first = [str(sample[column].iloc[0]) for column in later]
    if len(later) < 2 or len(frame) < 20 or any(is_number(cell) or is_missing(cell) for cell in first):
        return frame
    notes.append(f"The row under the heading of {name} ({', '.join(first[:6])}) is not of a gene and was left out.")
    return frame.iloc[1:].reset_index(drop=True)


def _mostly_numbers(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if not is_missing(cell)]
    return bool(filled) and sum(is_number(cell) for cell in filled) >= 0.8 * len(filled)


def _style(sample: pd.DataFrame, columns: Sequence[int], separator: str) -> NumberStyle:
    cells: list[str] = []
    for column in columns:
        values = [str(cell) for cell in sample[column].tolist()]
        if column != 0 and _mostly_numbers(values):
            cells += values
    return number_style(cells, separator) if cells else NumberStyle()


def _to_numbers(cells: pd.Series, style: NumberStyle) -> tuple[pd.Series | None, tuple[int, str] | None]:
    """The column as numbers, or None if it is text; with the first cell that is neither number nor missing."""
    if cells.name == 0:
        return None, None
    if not _mostly_numbers([str(cell) for cell in cells.iloc[: _HEAD_LINES * 5].tolist()]):
        return None, None
    plain = cells.astype(str).str.strip()
    gone = plain.map(is_missing)
    numbers = pd.to_numeric(plain.where(~gone).map(style.plain, na_action="ignore"), errors="coerce")
    wrong = numbers.isna() & ~gone
    if not wrong.any():
        return numbers, None
    if wrong.mean() > 0.2:
        return None, None
    row = int(wrong.to_numpy().argmax())
    return numbers, (row, str(plain.iloc[row]))
