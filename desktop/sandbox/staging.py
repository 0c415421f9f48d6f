"""Places a script and copies of its inputs where the sandbox shows them read-only."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from desktop.core.errors import InputError

SCRIPT_NAME = "analysis.py"


class UnusableInputError(InputError):
    """The input folder cannot be read."""

    code = "sandbox.unusable_input"


def stage_input(script: bytes, input_dir: Path, target: Path) -> None:
    """Copy `input_dir`'s regular files (links are not followed) and the script into `target`, readable by anyone.

    Raises UnusableInputError when the folder or a file in it cannot be read.
    """
    target.mkdir(parents=True, exist_ok=True)
    with _told_plainly(input_dir):
        for path, place in _entries(input_dir):
            if place.is_dir():
                (target / path).mkdir(exist_ok=True)
                (target / path).chmod(0o755)
            else:
                shutil.copyfile(place, target / path)
                (target / path).chmod(0o644)
    path = target / SCRIPT_NAME
    path.unlink(missing_ok=True)
    path.write_bytes(script)
    path.chmod(0o644)
    target.chmod(0o755)


def input_tar(script: bytes, input_dir: Path, file: IO[bytes]) -> None:
    """The same as a tar, which names no folder, user or time of this machine. Raises UnusableInputError."""
    with _told_plainly(input_dir), tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, place in _entries(input_dir):
            if path.as_posix() == SCRIPT_NAME:
                continue
            entry = tarfile.TarInfo(path.as_posix())
            if place.is_dir():
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
            else:
                with place.open("rb") as source:
                    entry.size, entry.mode = os.fstat(source.fileno()).st_size, 0o644
                    tar.addfile(entry, source)
        entry = tarfile.TarInfo(SCRIPT_NAME)
        entry.size, entry.mode = len(script), 0o644
        tar.addfile(entry, io.BytesIO(script))


def _entries(input_dir: Path) -> Iterator[tuple[Path, Path]]:
    """(path below `input_dir`, where it is) of every folder and regular file; links are neither followed nor named."""
    for folder, folders, files in os.walk(input_dir, onerror=_raise):
        folders[:] = [name for name in folders if not (Path(folder) / name).is_symlink()]
        for name in (*folders, *files):
            place = Path(folder) / name
            if not place.is_symlink() and (place.is_dir() or place.is_file()):
                yield place.relative_to(input_dir), place


@contextlib.contextmanager
def _told_plainly(input_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"The input folder {input_dir} could not be read: {error.strerror}"
        raise UnusableInputError(
            message, hint="Check that the folder exists and that its files can be opened."
        ) from error


def _raise(error: OSError) -> None:
    raise error
