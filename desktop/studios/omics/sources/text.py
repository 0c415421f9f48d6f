"""Bytes of a file to text: unpacked, bounded, decoded. Decides by content, never by the file's name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from pathlib import Path
from typing import IO, Any

from desktop.studios.omics.errors import UnreadableTableError

MAX_BYTES = 768 * 1024 * 1024  # unpacked size of one table
HEAD_BYTES = 2 * 1024 * 1024  # enough to tell what a file is
_CHUNK = 1024 * 1024


def unpacked(raw: bytes | IO[bytes]) -> IO[bytes]:
    """A stream of the unpacked bytes: gzip, bzip2 and xz are told by their first bytes, gzip also when nested."""
    stream: Any = io.BytesIO(raw) if isinstance(raw, bytes) else raw
    for _ in range(3):
        buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)
        magic = buffered.peek(6)[:6]
        if magic[:2] == b"\x1f\x8b":
            stream = gzip.GzipFile(fileobj=buffered, mode="rb")
        elif magic[:3] == b"BZh":
            stream = bz2.BZ2File(buffered)
        elif magic == b"\xfd7zXZ\x00":
            stream = lzma.LZMAFile(buffered)  # noqa: SIM115 - the caller closes it
        else:
            return buffered
    return io.BufferedReader(stream)


def read_bytes(raw: Path | bytes, *, name: str = "", limit: int = MAX_BYTES, head_only: bool = False) -> bytes:
    """Unpacked bytes of a file or of packed bytes; the first `limit` of them when `head_only`.

    raises   UnreadableTableError if it is missing, not readable, cut off, damaged, or larger than `limit`
    """
    name = name or (raw.name if isinstance(raw, Path) else "the file")
    parts: list[bytes] = []
    size = 0
    try:
        with raw.open("rb") if isinstance(raw, Path) else io.BytesIO(raw) as source, unpacked(source) as stream:
            while size < limit + 1:
                part = stream.read(min(_CHUNK, limit + 1 - size))
                if not part:
                    break
                parts.append(part)
                size += len(part)
    except EOFError:
        if head_only and parts:
            return b"".join(parts)
        raise UnreadableTableError(
            f"{name} is cut off: its compressed content ends before it is complete.",
            hint="Download or copy the file again and compare its size with the source.",
            file=name,
        ) from None
    except (gzip.BadGzipFile, zlib.error, lzma.LZMAError, OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            message, hint = f"{name} is not there.", "Check the path."
        elif isinstance(error, PermissionError):
            message, hint = f"{name} may not be read.", "Check who may read the file."
        elif isinstance(error, IsADirectoryError):
            message, hint = f"{name} is a folder, not a file.", "Give the file itself."
        else:
            message = f"{name} cannot be unpacked: its compressed content is damaged."
            hint = "Download or copy the file again."
        raise UnreadableTableError(message, hint=hint, file=name, reason=str(error)[:200]) from None
    if size > limit:
        if head_only:
            return b"".join(parts)[:limit]
        raise UnreadableTableError(
            f"{name} is larger than {limit // 1024**2} MB when unpacked.",
            hint="Give a table of genes by samples; single-cell matrices and raw reads are not read here.",
            file=name,
        )
    return b"".join(parts)


def decode(data: bytes, *, name: str) -> tuple[str, str]:
    """Text and the encoding it was in, line ends as "\\n".

    raises   UnreadableTableError if there is no text in it: empty, or binary
    """
    if not data.strip(b"\x00 \t\r\n\xef\xbb\xbf"):
        raise UnreadableTableError(f"{name} is empty.", hint="Choose a file that holds a table.", file=name)
    encoding = _encoding(data)
    if encoding is None:
        raise UnreadableTableError(
            f"{name} is not a text table: it holds binary data.",
            hint="Give a table as csv, tsv, txt (also gzipped) or xlsx.",
            file=name,
        )
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        if encoding.startswith("utf-16"):
            raise UnreadableTableError(
                f"{name} is cut off or damaged: its UTF-16 text does not decode.",
                hint="Save the table again as UTF-8 text (csv or tsv).",
                file=name,
            ) from None
        encoding = "cp1252"
        text = data.decode(encoding, errors="replace")
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"), encoding


def _encoding(data: bytes) -> str | None:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    head = data[:65536]
    if b"\x00" in head:
        even, odd = head[::2].count(0), head[1::2].count(0)
        half = len(head) / 2
        if odd > 0.7 * half and even < 0.1 * half:
            return "utf-16-le"
        if even > 0.7 * half and odd < 0.1 * half:
            return "utf-16-be"
        return None
    control = sum(head.count(bytes([code])) for code in range(32) if code not in (9, 10, 12, 13))
    if control > max(2, 0.002 * len(head)):
        return None
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start > len(data) - 4 and error.reason == "unexpected end of data" and len(data) > 4:
            return None if error.start == 0 else "cp1252"
        high = sum(byte > 126 for byte in head) / max(1, len(head))
        return "cp1252" if high < 0.3 else None
    return "utf-8"
