"""A run's folder while it is being made: hidden beside its final place, then there whole by one rename.

Knows nothing of what is in it. Not a cache: a folder that was never finished is removed.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from desktop.studios.omics.errors import OutputFolderError

MIN_FREE_BYTES = 200 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RunFolder:
    """`staging` is where files are written, `out_dir` where they appear; both are on the same disk."""

    staging: Path
    out_dir: Path

    @property
    def inputs(self) -> Path:
        """What the script may read: counts.csv.gz, samples.csv."""
        return self.staging / "inputs"

    @property
    def outputs(self) -> Path:
        """What the sandbox hands back, made by the sandbox in one rename."""
        return self.staging / "outputs"

    @property
    def finished(self) -> Path:
        """The folder as the person will see it."""
        return self.staging / "finished"

    def gather(self) -> None:
        """Put outputs and inputs together as the finished folder."""
        self.outputs.rename(self.finished)
        for path in sorted(self.inputs.iterdir()):
            shutil.copyfile(path, self.finished / path.name)

    def publish(self) -> None:
        """Make the finished folder appear at `out_dir` by one rename; `out_dir` may be an empty folder until then."""
        for path in self.finished.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        if self.out_dir.is_dir():
            self.out_dir.rmdir()  # refuses a folder that somebody has filled meanwhile
        self.finished.rename(self.out_dir)

    def remove(self) -> None:
        """Take away what is unfinished."""
        shutil.rmtree(self.staging, ignore_errors=True)


def open_run_folder(out_dir: Path, run_id: str, scratch: Path) -> RunFolder:
    """A folder to fill; finds out now whether the results can be put at `out_dir`.

    Work happens in `scratch` when that is on the same disk, else in a hidden folder beside `out_dir`.

    raises   OutputFolderError when `out_dir` is a file, is not empty, cannot be written, or its disk is nearly full
    """
    out_dir = out_dir.expanduser().absolute()
    try:
        if out_dir.exists() and not out_dir.is_dir():
            raise OutputFolderError(f"{out_dir} is a file", hint="Choose a folder that does not exist yet.")
        if out_dir.is_dir() and any(out_dir.iterdir()):
            raise OutputFolderError(
                f"{out_dir} is not empty", hint="Choose a new folder; results of an earlier run are never overwritten."
            )
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        remove_stale(out_dir)
        probe = out_dir.parent / f".{out_dir.name}.{run_id}.{os.getpid()}.partial"
        probe.mkdir()
        scratch.mkdir(parents=True, exist_ok=True)
        staging = probe
        if probe.stat().st_dev == scratch.stat().st_dev:
            probe.rmdir()
            staging = scratch / run_id
            shutil.rmtree(staging, ignore_errors=True)
        (staging / "inputs").mkdir(parents=True)
        free = shutil.disk_usage(staging).free
        if free < MIN_FREE_BYTES:
            shutil.rmtree(staging, ignore_errors=True)
            raise OutputFolderError(
                f"the disk of {out_dir} has {free // 2**20} MB left",
                hint=f"Free at least {MIN_FREE_BYTES // 2**20} MB, or choose a folder on another disk.",
            )
    except OSError as error:
        raise disk_error(error, out_dir) from error
    return RunFolder(staging, out_dir)


def remove_stale(out_dir: Path) -> None:
    """Take away hidden folders that runs to the same place left when their program was killed."""
    import psutil

    for path in out_dir.parent.glob(f".{glob.escape(out_dir.name)}.*.partial"):
        owner = path.name.removesuffix(".partial").rpartition(".")[2]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(path, ignore_errors=True)


def disk_error(error: OSError, out_dir: Path) -> OutputFolderError:
    """What the disk says, for a person."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputFolderError(
            f"the disk of {out_dir} is full", hint="Free some space, or choose a folder on another disk."
        )
    return OutputFolderError(
        f"{out_dir} cannot be written: {error.strerror or error}", hint="Choose a folder you may write to."
    )


def file_hashes(folder: Path) -> dict[str, dict[str, object]]:
    """Relative name → {"bytes", "sha256"} of every file, sorted by name."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found[path.relative_to(folder).as_posix()] = {"bytes": path.stat().st_size, "sha256": digest}
    return found


def slug(text: str, limit: int = 60) -> str:
    """A plain name for a file or folder: lower case, letters and digits of ASCII, hyphens between."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()[:limit].rstrip("-")


def write_json(path: Path, value: object) -> None:
    """Readable JSON, keys in the order given, LF."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
