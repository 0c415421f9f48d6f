"""Workbooks (xlsx, xls, ods) to tables, one a sheet: with title rows, notes under the table, dates in gene columns."""

from __future__ import annotations

import datetime
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from python_calamine import CalamineError, CalamineWorkbook

from desktop.studios.omics.errors import UnreadableTableError
from desktop.studios.omics.sources.layout import find_layout
from desktop.studios.omics.sources.tables import Table, finish_table

_MAX_UNPACKED = 1024 * 1024 * 1024
_MAX_CELLS = 60_000_000
_HEAD_ROWS = 400


def is_workbook(head: bytes) -> bool:
    """An Office or OpenDocument workbook, by its first bytes (zip with the parts of a workbook, or an old xls)."""
    if head[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        return True
    return head[:4] == b"PK\x03\x04" and (
        b"[Content_Types].xml" in head[:4096] or b"xl/" in head[:4096] or b"opendocument.spreadsheet" in head[:4096]
    )


def read_workbook(source: Path | bytes, *, name: str = "", as_text: bool = False) -> list[Table]:
    """Every sheet that holds a table, in order.

    raises   UnreadableTableError if the workbook is damaged, locked, too large, or holds no table
    """
    name = name or (source.name if isinstance(source, Path) else "the workbook")
    try:
        data = source.read_bytes() if isinstance(source, Path) else source
    except OSError as error:
        raise UnreadableTableError(
            f"{name} cannot be read.", hint="Check the file.", file=name, reason=str(error)
        ) from None
    _refuse_bomb(data, name)
    tables: list[Table] = []
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        sheets = [
            sheet.name for sheet in book.sheets_metadata if str(sheet.visible).endswith("Visible")
        ] or book.sheet_names
        for sheet in sheets:
            opened = book.get_sheet_by_name(sheet)
            if opened.height * opened.width > _MAX_CELLS:
                raise UnreadableTableError(
                    f"{name} has more than {_MAX_CELLS:,} cells.", hint="Save it as tab-separated text.", file=name
                )
            table = _to_table(
                opened.to_python(skip_empty_area=True),
                f"{name}, sheet {sheet}" if len(sheets) > 1 else name,
                as_text=as_text,
            )
            if table is not None:
                tables.append(table)
    except (CalamineError, zipfile.BadZipFile, ValueError, OSError) as error:
        raise UnreadableTableError(
            f"{name} is not a readable workbook: damaged, cut off or locked with a password.",
            hint="Open it in a spreadsheet program and save it again, or export the table as csv.",
            file=name,
            reason=str(error)[:200],
        ) from None
    if not tables:
        raise UnreadableTableError(
            f"{name} holds no table.", hint="Choose a workbook with a table in one of its sheets.", file=name
        )
    return tables


def _refuse_bomb(data: bytes, name: str) -> None:
    if data[:2] != b"PK":
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, ValueError, OSError):
        return
    if size > _MAX_UNPACKED:
        raise UnreadableTableError(
            f"{name} unpacks to more than 1 GiB.", hint="Save the table as tab-separated text.", file=name
        )


def _cell(value: Any) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(sep=" ")
    return str(value).strip()


def _to_table(rows: Sequence[Sequence[Any]], name: str, *, as_text: bool) -> Table | None:
    grid = [[_cell(value) for value in row] for row in rows[:_HEAD_ROWS]]
    layout = find_layout(grid)
    if layout is None or layout.width < 2:
        return None
    body = [
        row for row in rows[layout.body_row :] if sum(value not in (None, "") for value in row) >= min(2, layout.width)
    ]
    if not body:
        return None
    notes = []
    passed = len(rows) - layout.body_row - len(body)
    if layout.title_rows:
        notes.append(f"{layout.title_rows} row(s) above the heading of {name} were passed over.")
    if passed > 0:
        notes.append(f"{passed} empty row(s) or note(s) of {name} were passed over.")
    heading = list(layout.heading)
    columns: dict[int, Any] = {}
    for at in range(layout.width):
        values = [row[at] for row in body]
        numeric = (
            at > 0
            and not as_text
            and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        )
        columns[at] = pd.Series(values) if numeric else pd.Series([_cell(value) for value in values], dtype=object)
    frame = pd.DataFrame(columns)
    places = range(layout.width)
    for at in places:
        if frame[at].dtype == float and (frame[at] % 1 == 0).all() and frame[at].abs().max() < 2**53:
            frame[at] = frame[at].astype("int64")
    filled = [at for at in places if heading[at] or (frame[at].astype(str) != "").any()]
    frame, heading = frame[filled], [heading[at] for at in filled]
    frame.columns = pd.RangeIndex(len(heading))
    return finish_table(
        frame, heading, name=name, separator="", as_text=as_text, comments=[], notes=notes, is_made=layout.is_made
    )
