"""The lock that lets one process at a time write to a store. The kernel frees it when its owner dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from desktop.store.errors import StoreInUseError, StoreUnwritableError


class StoreLock:
    """An advisory lock on `<store>.lock`, held until `release`. The file stays; only the lock on it counts."""

    def __init__(self, path: Path) -> None:
        """Take the lock. Raises StoreInUseError (facts: `pid` of the owner) when another process has it."""
        self.path = path
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnwritableError(
                f"The data folder {path.parent} cannot be written to: {error.strerror}.",
                hint="Check its permissions, or set BENCHTOP_HOME to a folder you may write to.",
            ) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip()
            os.close(self._fd)
            raise StoreInUseError(
                "Benchtop is already running with this data folder.",
                hint="Use the window that is open, or quit it first. BENCHTOP_HOME chooses another data folder.",
                pid=owner,
            ) from error
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        """Give the lock back; harmless when called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
