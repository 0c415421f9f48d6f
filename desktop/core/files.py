"""Files that are either the old one or the new one, never half of each."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` with `data`: temporary file beside it, flushed, renamed, folder flushed. Mode 0600 when new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    partial = Path(name)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            flush(file.fileno())
        if path.exists():
            partial.chmod(path.stat().st_mode & 0o777)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)


def flush(fd: int) -> None:
    """Wait until what was written is on the disk; macOS needs to be asked for more than fsync."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        try:
            fcntl.fcntl(fd, full)
            return
        except OSError:  # a file system without it
            pass
    os.fsync(fd)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` last."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        flush(fd)
    finally:
        os.close(fd)
