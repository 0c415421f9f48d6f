"""Places a script and copies of its inputs in a folder that the sandbox shows read-only."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

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
    try:
        for folder, folders, files in os.walk(input_dir, onerror=_raise):
            folders[:] = [name for name in folders if not (Path(folder) / name).is_symlink()]
            place = target / Path(folder).relative_to(input_dir)
            place.mkdir(exist_ok=True)
            place.chmod(0o755)
            for name in files:
                source = Path(folder) / name
                if source.is_symlink() or not source.is_file():
                    continue
                shutil.copyfile(source, place / name)
                (place / name).chmod(0o644)
    except OSError as error:
        message = f"The input folder {input_dir} could not be read: {error.strerror}"
        raise UnusableInputError(
            message, hint="Check that the folder exists and that its files can be opened."
        ) from error
    path = target / SCRIPT_NAME
    path.unlink(missing_ok=True)
    path.write_bytes(script)
    path.chmod(0o644)
    target.chmod(0o755)


def _raise(error: OSError) -> None:
    raise error
