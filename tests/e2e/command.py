"""The real command in a process of its own, with a data folder of its own, and what it left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout of a command that worked."""
        assert self.exit_code in (0, 2), self.stderr
        assert self.stdout, self.stderr
        value: dict[str, Any] = json.loads(self.stdout)
        return value

    @property
    def error(self) -> dict[str, str]:
        """The one JSON object on stderr; nothing else may be there."""
        value: dict[str, str] = json.loads(self.stderr)
        assert set(value) - {"accept", "offers", "repairs", "findings"} == {"code", "message", "hint"}, value
        return value


class Command:
    """`benchtop …` in `folder`, its data folder beside the data."""

    def __init__(self, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.home = folder / "home"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("BENCHTOP_", "DOCKER_"))}
        self.environ = {
            **kept,
            "BENCHTOP_HOME": str(self.home),
            "CI": "true",
            "PYTHONPATH": str(ROOT),
            **(environ or {}),
        }

    def start(self, *args: str | Path, **how: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "desktop", *map(str, args)],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **how,
        )

    def __call__(self, *args: str | Path) -> Answer:
        with self.start(*args) as process:
            out, err = process.communicate(timeout=240)
        answer = Answer(process.returncode, out, err)
        assert "Traceback" not in err, err
        return answer

    def leftovers(self) -> list[str]:
        """Files that a failed command may not leave: results, staging, unfinished downloads, laid-out accessions."""
        beside = [p for p in self.folder.iterdir() if p.name.startswith(".") or p.name == "out"]
        inside = [
            p
            for part in ("runs", "scratch", "cache/partial", "cache/geo")
            for p in (self.home / part).rglob("*")
            if p.is_file()
        ]
        return [str(p.relative_to(self.folder)) for p in [*beside, *inside]]
