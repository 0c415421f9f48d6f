"""Looks into collected outputs without trusting them: type by content, a few rows, a picture's size.

Every reader is bounded in bytes read, expanded and drawn. Pages and SVG are named as such and never rendered here.
"""

from __future__ import annotations

import csv
import io
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MAX_READ_BYTES = 1 << 20
MAX_PIXELS = 40_000_000
MAX_CELL_CHARS = 500
ContentType = Literal["png", "jpeg", "pdf", "svg", "html", "gzip", "zip", "sqlite", "table", "json", "text", "binary"]
_SIGNATURES: tuple[tuple[bytes, ContentType], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"%PDF-", "pdf"),
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "zip"),
    (b"SQLite format 3\0", "sqlite"),
)


@dataclass(frozen=True, slots=True)
class TablePreview:
    """The first rows of a table; `is_cut` when the file holds more than was read."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    is_cut: bool


def content_type(path: Path) -> ContentType:
    """What a file is by its first bytes, whatever it is called."""
    with path.open("rb") as file:
        start = file.read(4096)
    for signature, kind in _SIGNATURES:
        if start.startswith(signature):
            return kind
    if b"\0" in start:
        return "binary"
    text = start.decode("utf-8", "replace").lstrip("\ufeff \t\r\n").lower()
    if "<svg" in text[:1024]:
        return "svg"
    if text.startswith(("<!doctype html", "<html")) or "<script" in text or "<body" in text:
        return "html"
    if text.startswith(("{", "[")):
        return "json"
    first = text.split("\n", 1)[0]
    return "table" if "," in first or "\t" in first else "text"


def read_start(path: Path, max_bytes: int = MAX_READ_BYTES) -> tuple[bytes, bool]:
    """The first bytes of a file, expanded if it is gzip; (bytes, whether there is more). Bounded on bombs."""
    with path.open("rb") as file:
        raw = file.read(max_bytes + 1)
    if not raw.startswith(b"\x1f\x8b"):
        return raw[:max_bytes], len(raw) > max_bytes
    expander = zlib.decompressobj(wbits=31)
    try:
        data = expander.decompress(raw, max_bytes)
    except zlib.error:
        return b"", True
    return data, bool(expander.unconsumed_tail) or not expander.eof


def preview_table(path: Path, max_rows: int = 200, max_columns: int = 100) -> TablePreview:
    """The first rows of a CSV or TSV file, plain or gzip; cells are cut at 500 characters."""
    data, is_cut = read_start(path)
    text = data.decode("utf-8-sig", "replace").replace("\0", "�")
    if is_cut:
        text = text.rpartition("\n")[0]
    first = text.split("\n", 1)[0]
    delimiter = "\t" if first.count("\t") > first.count(",") else ","
    rows: list[tuple[str, ...]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if len(rows) > max_rows:
                is_cut = True
                break
            rows.append(tuple(cell[:MAX_CELL_CHARS] for cell in row[:max_columns]))
    except csv.Error:
        is_cut = True
    return TablePreview(rows[0] if rows else (), tuple(rows[1 : max_rows + 1]), is_cut)


def image_size(path: Path) -> tuple[int, int] | None:
    """Width and height of a PNG or JPEG from its header alone; None when it is neither, or too large to draw."""
    if content_type(path) not in ("png", "jpeg"):
        return None
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                width, height = image.size
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return (width, height) if 0 < width * height <= MAX_PIXELS else None


def inert_cell(value: str) -> str:
    """A table cell that no spreadsheet program takes for a formula: `= + - @` tab and return are escaped.

    Numbers stay numbers: "-1.5e-3" is not touched.
    """
    if value[:1] not in ("=", "+", "-", "@", "\t", "\r"):
        return value
    try:
        float(value)
    except ValueError:
        return "'" + value
    return value


def inert_row(values: Sequence[str]) -> list[str]:
    """A row of inert cells."""
    return [inert_cell(value) for value in values]
