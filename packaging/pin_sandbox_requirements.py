"""Give every package of resources/sandbox/requirements.txt the version and hashes it has in constraints.txt.

    python packaging/pin_sandbox_requirements.py [--check]

Which packages the image has is decided in requirements.txt, which versions in constraints.txt (`make constraints`).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "resources" / "sandbox" / "requirements.txt"
PYTHON = (3, 11)  # of the image; only constraints for other versions carry a condition that begins with >=
_ENTRY = re.compile(r"^([A-Za-z0-9][\w.-]*)==(\S+)([^\n]*)((?:\n    --hash=\S+(?: \\)?)*)", re.MULTILINE)


def plain(name: str) -> str:
    """A package's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(requirements: str, constraints: str) -> str:
    """The text of requirements.txt with versions and hashes taken from the constraints. Raises KeyError."""
    known: dict[str, str] = {}
    for name, version, condition, hashes in _ENTRY.findall(constraints):
        if "python_full_version >=" not in condition and hashes:
            known[plain(name)] = f"{plain(name)}=={version} \\{hashes.rstrip(chr(92) + ' ')}"
    head = "".join(line for line in requirements.splitlines(keepends=True) if line.startswith("#"))
    names = sorted({plain(name) for name, *_ in _ENTRY.findall(requirements)})
    return head + "".join(f"{known[name]}\n" for name in names)


def main() -> int:
    """Write the file, or with --check say whether it is as it should be."""
    found = REQUIREMENTS.read_text(encoding="utf-8")
    wanted = pinned(found, (ROOT / "constraints.txt").read_text(encoding="utf-8"))
    if "--check" in sys.argv:
        return int(found != wanted)
    REQUIREMENTS.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
