"""Files kept by the hash of their content: each once, whole or not at all, checked when asked.

The store's rows refer to blobs by hash; nothing here knows what they hold.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from desktop.core.errors import AppError
from desktop.core.files import flush, sync_folder
from desktop.store.errors import StoreDamagedError, StoreFullError, StoreUnwritableError

_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK_BYTES = 1024 * 1024


class BlobMissingError(AppError):
    """No file of this content is kept."""

    code = "store.blob_missing"


class Blobs:
    """A folder of files named by their sha256."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, data: bytes) -> str:
        """Keep these bytes; returns their sha256. Keeping the same again costs nothing."""
        return self._keep(iter((data,)))

    def put_file(self, source: Path) -> str:
        """Keep a copy of a file, read in pieces; returns its sha256."""
        with source.open("rb") as file:
            return self._keep(iter(lambda: file.read(_CHUNK_BYTES), b""))

    def path(self, sha256: str) -> Path:
        """Where the content is; it must not be changed. Raises BlobMissingError."""
        path = self._place(sha256)
        if not path.is_file():
            raise BlobMissingError("That file is not kept here any more.", hint="Import it again.", sha256=sha256)
        return path

    def verify(self, sha256: str) -> None:
        """Raises StoreDamagedError when the content is not what its name says."""
        with self.path(sha256).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise StoreDamagedError(
                "A kept file was changed or damaged.", hint="Import it again.", sha256=sha256, found=found
            )

    def _place(self, sha256: str) -> Path:
        if not _SHA256.fullmatch(sha256):
            raise ValueError("not a sha256")
        return self.root / sha256[:2] / sha256

    def _keep(self, pieces: Iterator[bytes]) -> str:
        digest = hashlib.sha256()
        partial: Path | None = None
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            fd, name = tempfile.mkstemp(prefix=".partial-", dir=self.root)
            partial = Path(name)
            with os.fdopen(fd, "wb") as file:
                for piece in pieces:
                    digest.update(piece)
                    file.write(piece)
                file.flush()
                flush(file.fileno())
            place = self._place(digest.hexdigest())
            if not place.exists():
                place.parent.mkdir(exist_ok=True)
                partial.chmod(0o444)
                partial.replace(place)
                sync_folder(place.parent)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StoreFullError("The disk is full.", hint="Free some disk space and try again.") from error
            raise StoreUnwritableError(
                f"The file could not be kept: {error.strerror}.", hint="Check the disk and the data folder."
            ) from error
        finally:
            if partial is not None:
                partial.unlink(missing_ok=True)
        return digest.hexdigest()
