"""A Linux control group for one run, where this user may make one: memory and process caps the kernel keeps.

Both versions of the interface. Nothing where there is none (macOS, no delegation): the watcher then stands alone.
"""

from __future__ import annotations

import contextlib
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from desktop.core.ports import Limits

_ROOT = Path("/sys/fs/cgroup")
_ENTER = 'n=$1; shift; while [ "$n" -gt 0 ]; do echo $$ > "$1" || exit 126; shift; n=$((n - 1)); done; exec "$@"'


@dataclass(frozen=True, slots=True)
class Cgroup:
    """One folder (version 2) or one a controller (version 1)."""

    memory: Path
    folders: tuple[Path, ...]

    @classmethod
    def make(cls, limits: Limits, root: Path = _ROOT) -> Cgroup | None:
        """A group with the limits' memory and process caps, or None where this user may not."""
        if sys.platform != "linux" or not root.is_dir():
            return None
        name = f"benchtop-{uuid.uuid4().hex[:12]}"
        bytes_max = str(limits.memory_mb << 20)
        made: list[Path] = []
        try:
            if (root / "cgroup.controllers").exists():
                parent = root / _own_group("0::")
                folder = parent / name
                folder.mkdir()
                made.append(folder)
                (folder / "memory.max").write_text(bytes_max)
                (folder / "pids.max").write_text(str(limits.pids))
                with contextlib.suppress(OSError):
                    (folder / "memory.swap.max").write_text("0")
                return cls(folder, (folder,))
            for controller, file, value in (
                ("memory", "memory.limit_in_bytes", bytes_max),
                ("pids", "pids.max", str(limits.pids)),
            ):
                folder = root / controller / name
                folder.mkdir()
                made.append(folder)
                (folder / file).write_text(value)
            return cls(made[0], tuple(made))
        except OSError:
            for folder in made:
                with contextlib.suppress(OSError):
                    folder.rmdir()
            return None

    def entered(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """A command that goes into the group before it becomes `argv`: a child made meanwhile would stay outside."""
        files = [str(folder / "cgroup.procs") for folder in self.folders]
        return ("/bin/sh", "-c", _ENTER, "sh", str(len(files)), *files, *argv)

    def end(self) -> int:
        """Remove the group; returns how many processes the kernel killed in it for memory."""
        kills = 0
        for name in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError, ValueError):
                counts = dict(line.split() for line in (self.memory / name).read_text().splitlines())
                kills = int(counts.get("oom_kill", 0))
        for folder in self.folders:
            for _ in range(20):  # a killed process leaves its group a moment later
                try:
                    folder.rmdir()
                    break
                except OSError:
                    time.sleep(0.01)
        return kills


def _own_group(prefix: str) -> str:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        if line.startswith(prefix):
            return line[len(prefix) :].lstrip("/")
    return ""
