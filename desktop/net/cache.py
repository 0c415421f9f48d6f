"""What was fetched before: files by the hash of their content, and an index from address to file.

    content/ab/abcdef…     the bytes, read-only
    index/<hash of URL>    JSON: where the bytes are, when they came, what the server said about them
    partial/<hash of URL>  a download that is not finished, with the validator it may be resumed under

Knows nothing of HTTP. Every answer is checked against its hash, so a damaged cache is a miss and not a wrong answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from desktop.net.errors import disk_fault

PARTIAL_KEPT_S = 7 * 86400
MISSING_KEPT_S = 86400


@dataclass(frozen=True, slots=True)
class Entry:
    """What the cache knows of an address. `missing`: the server said that there is no such file."""

    url: str
    fetched_s: float
    sha256: str = ""
    bytes: int = 0
    media_type: str = ""
    etag: str = ""
    last_modified: str = ""
    missing: bool = False


class ContentCache:
    """A folder of fetched files. Safe for several tasks, threads and processes at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, url: str) -> Entry | None:
        """The whole, undamaged entry of an address, or None."""
        try:
            entry = Entry(**json.loads(self._index(url).read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        if entry.url != url or (not entry.missing and not self._is_whole(entry)):
            return None
        return entry

    def path(self, entry: Entry) -> Path:
        """Where the bytes are. The file is read-only and must stay as it is."""
        return self.folder / "content" / entry.sha256[:2] / entry.sha256

    def partial(self, url: str) -> Path:
        """Where an unfinished download of this address lives; its validator lies beside it as `.json`."""
        folder = self.folder / "partial"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{_name(url)}.part"

    def keep(self, entry: Entry, downloaded: Path) -> Entry:
        """Take a finished download in by one rename and remember it; returns the entry with hash and size."""
        entry = replace(entry, sha256=file_sha256(downloaded), bytes=downloaded.stat().st_size)
        target = self.path(entry)
        target.parent.mkdir(parents=True, exist_ok=True)
        downloaded.chmod(0o444)
        downloaded.replace(target)
        self.remember(entry)
        return entry

    def remember(self, entry: Entry) -> None:
        """Write the index row, atomically."""
        index = self._index(entry.url)
        index.parent.mkdir(parents=True, exist_ok=True)
        draft = index.with_name(f"{index.name}.{uuid.uuid4().hex}")
        try:
            draft.write_text(json.dumps(asdict(entry)), "utf-8")
            draft.replace(index)
        finally:
            draft.unlink(missing_ok=True)

    def forget_old_partials(self) -> None:
        """Drop unfinished downloads nobody came back for."""
        for path in (self.folder / "partial").glob("*"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > PARTIAL_KEPT_S:
                    path.unlink()

    def size_bytes(self) -> int:
        """Bytes of all content and unfinished downloads."""
        total = 0
        for part in ("content", "partial"):
            for path in (self.folder / part).rglob("*"):
                with contextlib.suppress(OSError):
                    total += path.stat().st_size if path.is_file() else 0
        return total

    @contextlib.asynccontextmanager
    async def turn(self, url: str) -> AsyncIterator[None]:
        """One download of an address at a time, over all tasks, threads and processes. The lock file goes with it."""
        try:
            handle = self._try_lock(url)
            while handle is None:
                await asyncio.sleep(0.05)
                handle = self._try_lock(url)
        except OSError as fault:
            raise disk_fault(fault) from None
        try:
            yield
        finally:
            self._lock_file(url).unlink(missing_ok=True)
            os.close(handle)

    def _try_lock(self, url: str) -> int | None:
        """An open handle that holds the lock, or None while somebody else does."""
        path = self._lock_file(url)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(handle).st_ino == path.stat().st_ino:  # not one that its owner has just removed
                return handle
        except (BlockingIOError, FileNotFoundError):
            pass
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        return None

    def _lock_file(self, url: str) -> Path:
        return self.partial(url).with_suffix(".lock")

    def _index(self, url: str) -> Path:
        return self.folder / "index" / f"{_name(url)}.json"

    def _is_whole(self, entry: Entry) -> bool:
        path = self.path(entry)
        try:
            return path.stat().st_size == entry.bytes and file_sha256(path) == entry.sha256
        except OSError:
            return False


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _name(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()
