"""Brings a run's outputs out of the sandbox, taking every one of them as hostile.

Only regular files with one link come out, under names made safe, within caps on bytes, entries and depth; all else is
named in `dropped` with the reason. Nothing is followed, nothing outside the source is opened, and the result appears
at its place by one rename or not at all. What a file holds is not judged here; see `previews`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tarfile
import tempfile
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from desktop.core.errors import InputError
from desktop.core.ports import Limits, OutputFile

MAX_DEPTH = 8
MAX_NAME_BYTES = 120
MAX_COLLECT_S = 10.0
MAX_DROPPED_NAMES = 200
_CHUNK_BYTES = 1 << 20
_MAX_SKIPPED_BYTES = 4 << 30  # holes of sparse files come as zeros; the clock ends it sooner
_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"COM{i}" for i in range(1, 10)), *(f"LPT{i}" for i in range(1, 10))}
_BIDI = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


class OutputExistsError(InputError):
    """The folder the outputs would be moved to is already there."""

    code = "sandbox.output_exists"


@dataclass(frozen=True, slots=True)
class Collected:
    """What came out and what did not: (name as shown, reason)."""

    outputs: tuple[OutputFile, ...] = ()
    dropped: tuple[tuple[str, str], ...] = ()


class _Reader(Protocol):
    def read(self, size: int, /) -> bytes: ...


def safe_name(name: str) -> str:
    """One path component made harmless: NFC, no control or direction marks, nothing reserved, at most 120 bytes."""
    text = unicodedata.normalize("NFC", name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
    text = "".join("_" if unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn") or c in _BIDI else c for c in text)
    text = "".join("_" if c in '/\\:*?"<>|' else c for c in text).strip(" ")
    if text[:1] in (".", "-"):
        text = "_" + text[1:]
    text = text.rstrip(" .") or "_"
    stem, dot, suffix = text.rpartition(".")
    if (stem or text).split(".")[0].upper() in _RESERVED:
        text = "_" + text
    if len(text.encode()) > MAX_NAME_BYTES:
        tail = dot + suffix if dot and len(suffix.encode()) <= 16 else ""
        kept = text.encode()[: MAX_NAME_BYTES - len(tail.encode()) - 9].decode("utf-8", "ignore")
        text = f"{kept}_{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}{tail}"
    return text


def shown(name: str) -> str:
    """A hostile name as printable text for a record."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(c if c.isprintable() and c not in _BIDI else "�" for c in text)[:200]


@dataclass
class _Basket:
    """Collects into a private folder under the caps, then moves it into place."""

    limits: Limits
    folder: Path
    outputs: list[OutputFile] = field(default_factory=list)
    dropped: list[tuple[str, str]] = field(default_factory=list)
    n_dropped: int = 0
    taken: set[str] = field(default_factory=set)
    made: set[Path] = field(default_factory=set)
    bytes: int = 0
    entries: int = 0
    deadline_s: float = field(default_factory=lambda: time.monotonic() + MAX_COLLECT_S)

    def drop(self, name: str, reason: str) -> None:
        self.n_dropped += 1
        if len(self.dropped) < MAX_DROPPED_NAMES:
            self.dropped.append((shown(name), reason))

    @property
    def is_full(self) -> bool:
        return self.entries >= self.limits.output_entries or time.monotonic() > self.deadline_s

    def take(self, name: str, size_bytes: int, source: _Reader) -> None:
        """Copy one regular file of the announced size; a file that grew or shrank meanwhile is dropped."""
        parts = [safe_name(part) for part in name.split("/") if part not in ("", ".")]
        self.entries += 1
        if not parts or ".." in name.split("/"):
            return self.drop(name, "unsafe path")
        if len(parts) > MAX_DEPTH:
            return self.drop(name, f"more than {MAX_DEPTH} folders deep")
        if self.bytes + size_bytes > self.limits.output_bytes:
            return self.drop(name, "outputs together are larger than allowed")
        key = unicodedata.normalize("NFC", "/".join(parts)).casefold()
        if key in self.taken:
            return self.drop(name, "another output has the same name")
        target = self.folder.joinpath(*parts)
        try:
            if target.parent not in self.made:
                target.parent.mkdir(parents=True, exist_ok=True)
                self.made.add(target.parent)
            digest, left = hashlib.sha256(), size_bytes
            with target.open("xb", buffering=0) as file:
                while left > 0 and (chunk := source.read(min(left, _CHUNK_BYTES))):
                    digest.update(chunk)
                    file.write(chunk)
                    left -= len(chunk)
        except (FileExistsError, NotADirectoryError):
            return self.drop(name, "another output has the same name")
        if left:
            target.unlink()
            return self.drop(name, "changed while it was collected")
        self.taken.add(key)
        self.bytes += size_bytes
        self.outputs.append(OutputFile("/".join(parts), size_bytes, digest.hexdigest()))
        return None

    def finish(self, output_dir: Path) -> Collected:
        """Move everything into place by one rename."""
        if self.n_dropped > len(self.dropped):
            self.dropped.append(("…", f"{self.n_dropped - len(self.dropped)} more were dropped"))
        self.folder.chmod(0o755)  # the rest was made with ordinary rights, never with the source's
        output_dir.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.folder.rename(output_dir)
        except OSError as error:
            if output_dir.exists():
                message = f"{output_dir} exists already"
                raise OutputExistsError(message, hint="Choose a folder that does not exist yet.") from error
            raise
        return Collected(tuple(sorted(self.outputs, key=lambda o: o.name)), tuple(self.dropped))


def _collect(fill: Callable[[_Basket], None], output_dir: Path, limits: Limits) -> Collected:
    output_dir.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".collecting-", dir=output_dir.parent))
    try:
        basket = _Basket(limits, folder)
        fill(basket)
        return basket.finish(output_dir)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# ---- from a folder on this machine -----------------------------------------------------------------------------------


def collect_folder(source: Path, output_dir: Path, limits: Limits) -> Collected:
    """Collect from a folder the script wrote to; the folder may change while it is read.

    Every step opens relative to an already opened folder with O_NOFOLLOW and looks at the opened file itself, so a
    name swapped for a link between look and open gives nothing outside `source`.
    """

    def fill(basket: _Basket) -> None:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            root = os.open(source, flags)
        except OSError:
            return basket.drop(".", "the output folder is not a folder")
        stack: list[tuple[int, str]] = [(root, "")]
        try:
            while stack:
                folder, prefix = stack.pop()
                try:
                    _walk_one(folder, prefix, basket, stack)
                finally:
                    os.close(folder)
        finally:
            for folder, _ in stack:
                os.close(folder)
        return None

    return _collect(fill, output_dir, limits)


def _walk_one(folder: int, prefix: str, basket: _Basket, stack: list[tuple[int, str]]) -> None:
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            names.append(entry.name)
            if len(names) > basket.limits.output_entries:
                basket.drop(prefix or ".", "more entries than allowed")
                break
    for name in sorted(names):
        path = prefix + name
        if basket.is_full:
            return basket.drop(path, "more entries than allowed, or collecting took too long")
        try:
            look = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError:
            basket.drop(path, "vanished")
            continue
        if stat.S_ISDIR(look.st_mode):
            basket.entries += 1
            if path.count("/") + 1 >= MAX_DEPTH:
                basket.drop(path, f"more than {MAX_DEPTH} folders deep")
                continue
            try:
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            except OSError:
                basket.drop(path, "not a readable folder")
                continue
            if len(stack) > 200:
                os.close(inner)
                basket.drop(path, "too many folders")
                continue
            stack.append((inner, path + "/"))
        elif stat.S_ISREG(look.st_mode):
            _take_file(folder, name, path, basket)
        else:
            basket.entries += 1
            basket.drop(path, _kind(look.st_mode))
    return None


def _take_file(folder: int, name: str, path: str, basket: _Basket) -> None:
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return basket.drop(path, "not readable")
    with os.fdopen(handle, "rb", buffering=0) as file:
        held = os.fstat(handle)
        if not stat.S_ISREG(held.st_mode):
            return basket.drop(path, _kind(held.st_mode))
        if held.st_nlink != 1:
            return basket.drop(path, "has other links")
        if held.st_size > 1 << 20 and held.st_blocks * 512 < held.st_size // 2:
            return basket.drop(path, "is mostly holes")
        return basket.take(path, held.st_size, file)


def _kind(mode: int) -> str:
    for test, word in ((stat.S_ISLNK, "link"), (stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket")):
        if test(mode):
            return f"is a {word}, not a file"
    return "is a device, not a file"


# ---- from an engine's archive stream ---------------------------------------------------------------------------------


class _Capped:
    """A byte stream that ends, for good, after so many bytes or so long."""

    def __init__(self, stream: _Reader, max_bytes: int, deadline_s: float) -> None:
        self._stream, self._left, self._deadline_s = stream, max_bytes, deadline_s
        self.is_cut = False

    def read(self, size: int = -1, /) -> bytes:
        if self._left <= 0 or time.monotonic() > self._deadline_s:
            self.is_cut = True
            return b""
        chunk = self._stream.read(min(size if size >= 0 else _CHUNK_BYTES, self._left))
        self._left -= len(chunk)
        return chunk


def collect_tar(stream: IO[bytes] | _Reader, output_dir: Path, limits: Limits) -> Collected:
    """Collect from a tar stream whose first folder is the output folder itself (what `get_archive` gives)."""

    def fill(basket: _Basket) -> None:
        capped = _Capped(stream, limits.output_bytes + _MAX_SKIPPED_BYTES, basket.deadline_s)
        try:
            with tarfile.open(fileobj=capped, mode="r|", errorlevel=2) as tar:  # type: ignore[call-overload]
                for entry in tar:
                    tar.members.clear()  # a stream needs no list, and it would grow
                    _take_entry(tar, entry, basket)
                    if basket.is_full:
                        return basket.drop("…", "more entries than allowed, or collecting took too long")
        except (tarfile.TarError, EOFError, ValueError) as error:
            reason = "outputs together are larger than allowed" if capped.is_cut else f"unreadable archive: {error}"
            basket.drop("…", reason)
        return None

    return _collect(fill, output_dir, limits)


def _take_entry(tar: tarfile.TarFile, entry: tarfile.TarInfo, basket: _Basket) -> None:
    path = entry.name.partition("/")[2]
    if not path:
        return
    if entry.isdir():
        basket.entries += 1
    elif entry.isreg() and not entry.issparse():
        source = tar.extractfile(entry)
        if source is not None:
            basket.take(path, entry.size, source)
    else:
        basket.entries += 1
        kind = "link" if entry.issym() or entry.islnk() else "pipe" if entry.isfifo() else "device or socket"
        basket.drop(path, f"is a {kind}, not a file")
