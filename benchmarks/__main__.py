"""Runs every benchmark in this folder that has a `main`, one after the other, each in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Names on the command line choose; without any, all run. The exit code is 1 if one failed."""
    folder = Path(__file__).parent
    found = [
        path.stem
        for path in sorted(folder.glob("*.py"))
        if path.stem != "__main__" and re.search(r"^def main\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    failed = 0
    for name in sys.argv[1:] or found:
        print(f"## {name}", flush=True)
        failed |= subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}"], cwd=folder.parent, check=False
        ).returncode
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
