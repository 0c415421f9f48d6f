"""Where things live on disk: the application's resources, and the person's data folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple


def resources_dir() -> Path:
    """The read-only folder of configuration defaults, templates, samples and icons."""
    frozen = getattr(sys, "_MEIPASS", None)
    root = Path(frozen) if frozen else Path(__file__).resolve().parents[2]
    return root / "resources"


class Paths(NamedTuple):
    """The data folder. `BENCHTOP_HOME` moves it; folders are made when first used.

    Part of the first paint: a dataclass, or a library for two paths, would cost it 10 ms.
    """

    home: Path

    @classmethod
    def default(cls) -> Paths:
        """~/Library/Application Support/Benchtop on macOS, the XDG data folder on Linux."""
        given = os.environ.get("BENCHTOP_HOME")
        if given:
            return cls(Path(given).expanduser().resolve())
        if sys.platform == "darwin":
            return cls(Path.home() / "Library" / "Application Support" / "Benchtop")
        shared = Path(os.environ.get("XDG_DATA_HOME", ""))
        return cls((shared if shared.is_absolute() else Path.home() / ".local" / "share") / "Benchtop")

    @property
    def store(self) -> Path:
        return self.home / "benchtop.sqlite"

    @property
    def settings(self) -> Path:
        return self.home / "config.yaml"

    @property
    def flags(self) -> Path:
        """The person's own changes to feature flags."""
        return self.home / "flags.yaml"

    @property
    def runs(self) -> Path:
        return self.home / "runs"

    @property
    def models(self) -> Path:
        """Models that were downloaded, imported or quantised, a folder each."""
        return self.home / "models"

    @property
    def cache(self) -> Path:
        return self.home / "cache"

    @property
    def backups(self) -> Path:
        return self.home / "backups"

    @property
    def running(self) -> Path:
        """How to reach the Benchtop that is running; there only while one is (see `workers.door`)."""
        return self.home / "running.json"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def scratch(self) -> Path:
        """Half-finished work; emptied at start. On the same disk as `runs`, so that a rename finishes it."""
        return self.home / "scratch"
