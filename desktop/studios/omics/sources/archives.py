"""Members of a tar or zip archive, read one at a time in memory: nothing is written, so nothing can land elsewhere."""

from __future__ import annotations

import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from desktop.studios.omics.errors import UnreadableTableError

MAX_MEMBERS = 5000
MAX_MEMBER_BYTES = 512 * 1024 * 1024
MAX_TOTAL_BYTES = 6 * 1024 * 1024 * 1024


def archive_kind(head: bytes) -> str | None:
    """ "tar" or "zip" by content (a packed tar only when `head` is already unpacked)."""
    if len(head) > 262 and head[257:262] == b"ustar":
        return "tar"
    if len(head) >= 512 and _is_old_tar(head):
        return "tar"
    return "zip" if head[:4] in (b"PK\x03\x04", b"PK\x05\x06") else None


def _is_old_tar(head: bytes) -> bool:
    try:
        return tarfile.TarInfo.frombuf(head[:512], "utf-8", "replace").size >= 0 and head[0:1] not in (b"\x00", b"#")
    except tarfile.HeaderError:
        return False


def read_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """(name, bytes as stored) of each regular member; links, devices and names that point elsewhere are passed over.

    raises   UnreadableTableError if the archive is damaged, cut off, or beyond the limits on members and bytes
    """
    count = total = 0
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
        opened = _zip_members(path) if head[:2] == b"PK" else _tar_members(path)
        for name, size, read in opened:
            count += 1
            total += size
            if count > MAX_MEMBERS or size > MAX_MEMBER_BYTES or total > MAX_TOTAL_BYTES:
                raise UnreadableTableError(
                    f"{path.name} holds more than is read here: {count} files, {total // 1024**2} MB so far.",
                    hint="Unpack the files you need and give the folder that holds them.",
                    file=path.name,
                )
            if not is_safe(name):
                continue
            data = read.read(size + 1) if hasattr(read, "read") else b""
            if len(data) > size:
                raise UnreadableTableError(
                    f"{path.name}: {name} is larger than it says.", hint="Do not use this archive.", file=path.name
                )
            yield name, data
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        EOFError,
        zlib.error,
        lzma.LZMAError,
        NotImplementedError,
        RuntimeError,
        OSError,
    ) as error:
        raise UnreadableTableError(
            f"{path.name} is a damaged or incomplete archive.",
            hint="Download it again.",
            file=path.name,
            reason=str(error)[:200],
        ) from None


def is_safe(name: str) -> bool:
    """A plain relative name that stays inside."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return (
        bool(parts)
        and not name.startswith(("/", "\\"))
        and ".." not in parts
        and ":" not in parts[0]
        and "\x00" not in name
    )


def _tar_members(path: Path) -> Iterator[tuple[str, int, io.BufferedIOBase]]:
    with tarfile.open(path, "r:*") as archive:
        for seen, member in enumerate(archive):
            if seen > 4 * MAX_MEMBERS:
                raise tarfile.TarError("too many members")
            if member.isfile() and (stream := archive.extractfile(member)) is not None:
                yield member.name, member.size, stream  # type: ignore[misc]


def _zip_members(path: Path) -> Iterator[tuple[str, int, io.BufferedIOBase]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.is_dir():
                with archive.open(member) as stream:
                    yield member.filename, member.file_size, stream  # type: ignore[misc]
