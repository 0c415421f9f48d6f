"""Previews are bounded in what they read, expand and draw; exported cells are inert."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import pytest

from desktop.sandbox.previews import content_type, image_size, inert_cell, inert_row, preview_table, read_start


@pytest.mark.parametrize(("start", "kind"), [
    (b"\x89PNG\r\n\x1a\n....", "png"),
    (b"<svg onload='alert(1)'>", "svg"),
    (b"<?xml version='1.0'?>\n<svg>", "svg"),
    (b"\xef\xbb\xbf<!DOCTYPE html>", "html"),
    (b"a,b\n<script>alert(1)</script>", "html"),
    (b"gene,padj\nA,0.1\n", "table"),
    (b"gene\tpadj\n", "table"),
    (b'{"a": 1}', "json"),
    (b"hello", "text"),
    (b"\x00\x01", "binary"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"%PDF-1.7", "pdf"),
])  # fmt: skip
def test_type_by_content_not_by_name(tmp_path: Path, start: bytes, kind: str) -> None:
    path = tmp_path / "results.png"
    path.write_bytes(start)
    assert content_type(path) == kind


def test_a_gzip_bomb_is_read_to_the_cap_only(tmp_path: Path) -> None:
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" * (16 << 20), 9))
    data, is_cut = read_start(path)
    assert len(data) == 1 << 20
    assert is_cut
    preview = preview_table(path)
    assert preview.header == ("a", "b")
    assert len(preview.rows) == 200


@pytest.mark.parametrize("content", [
    pytest.param(b"", id="empty"),
    pytest.param(b"\xff\xfe\x00bad", id="not text"),
    pytest.param(b"a," * 500_000, id="one line"),
    pytest.param(b'"' + b"x" * 3_000_000, id="open quote"),
    pytest.param(b"\x1f\x8b\x08\x00broken", id="broken gzip"),
    pytest.param(b"a,b\0\n1,2", id="nul"),
])  # fmt: skip
def test_odd_tables_give_a_preview(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    preview = preview_table(path)
    assert len(preview.rows) <= 200
    assert all(len(cell) <= 500 for row in (preview.header, *preview.rows) for cell in row)


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("size", "expected"), [
    pytest.param((640, 480), (640, 480), id="ordinary"),
    pytest.param((30_000, 30_000), None, id="bomb"),
    pytest.param((2**31 - 1, 1), None, id="wide"),
])  # fmt: skip
def test_a_picture_too_large_to_draw_has_no_size(
    tmp_path: Path, size: tuple[int, int], expected: tuple[int, int] | None
) -> None:
    path = tmp_path / "plot.png"
    path.write_bytes(png(*size))
    assert image_size(path) == expected


def test_what_is_no_picture_has_no_size(tmp_path: Path) -> None:
    path = tmp_path / "plot.png"
    for content in (b"<svg/>", b"\x89PNG\r\n\x1a\n", b""):
        path.write_bytes(content)
        assert image_size(path) is None


@pytest.mark.parametrize(("cell", "expected"), [
    ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
    ("+1+1", "'+1+1"),
    ("@SUM(A1)", "'@SUM(A1)"),
    ("\t=1", "'\t=1"),
    ("-2+3", "'-2+3"),
    ("-1.5e-3", "-1.5e-3"),
    ("+7", "+7"),
    ("-inf", "-inf"),
    ("TP53", "TP53"),
    ("", ""),
])  # fmt: skip
def test_exported_cells_are_inert(cell: str, expected: str) -> None:
    assert inert_cell(cell) == expected
    assert inert_row([cell, "x"]) == [expected, "x"]
