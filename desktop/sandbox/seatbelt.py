"""macOS without Docker: Seatbelt (`sandbox-exec`) around the script. Reduced isolation: see docs/adr/0005-sandbox.md.

Deny by default; the interpreter, the system's libraries and the input can be read, the run's own folders written,
nothing of the home folder seen, no network at all. There is no hard memory cap on macOS: the watcher stands in.
Written from public material; whoever has a Mac runs `benchtop sandbox test` to see it hold.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from desktop.core.paths import resources_dir
from desktop.core.ports import IsolationChoice, RunSpec
from desktop.sandbox.child import Command, Work, launch_limits
from desktop.sandbox.container import ENVIRONMENT, launch_word
from desktop.sandbox.interpreter import Interpreter
from desktop.sandbox.staging import SCRIPT_NAME

PROGRAM = "/usr/bin/sandbox-exec"
_READABLE = ("/usr/lib", "/usr/share", "/System/Library", "/System/Volumes/Preboot/Cryptexes", "/Library/Apple")
_READABLE_FILES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/private/etc/localtime")


def is_available() -> bool:
    """Whether this is a Mac with the tool."""
    return sys.platform == "darwin" and os.access(PROGRAM, os.X_OK)


def choice(python: Interpreter) -> IsolationChoice:
    """How a run is labelled."""
    return IsolationChoice("os", True, f"Seatbelt, Python {python.version}, reduced isolation")


def profile(work: Work, python: Interpreter) -> str:
    """The profile's text. Paths are resolved first: Seatbelt compares real paths (/private/var, /private/tmp)."""

    def subpaths(paths: tuple[str, ...]) -> str:
        return " ".join(f"(subpath {_quoted(path)})" for path in paths)

    roots = tuple(dict.fromkeys(str(Path(root).resolve()) for root in python.roots))
    written = (str(work.output.resolve()), str(work.tmp.resolve()))
    read = (*_READABLE, *roots, str(work.input.resolve()), *written)
    launcher = str((resources_dir() / "sandbox" / "launch.py").resolve())
    files = " ".join(f"(literal {_quoted(path)})" for path in (*_READABLE_FILES, launcher))
    return "\n".join(
        [
            "(version 1)",
            "(deny default)",
            "(deny network*)",
            "(allow process-fork)",
            f"(allow process-exec {subpaths(roots)})",
            "(allow signal (target same-sandbox))",
            "(allow sysctl-read)",
            "(allow ipc-posix-sem)",
            "(allow ipc-posix-shm)",
            "(allow file-read-metadata)",
            f"(allow file-read* {subpaths(read)} {files})",
            f"(allow file-map-executable {subpaths((*_READABLE, *roots))})",
            f"(allow file-write* {subpaths(written)} (literal {_quoted('/dev/null')}))",
        ]
    )


def _quoted(path: str) -> str:
    """A path as a string of the profile's language."""
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'


def command(run: RunSpec, work: Work, python: Interpreter) -> Command:
    """sandbox-exec, the launcher in it, then the script."""
    limits = launch_limits(run.limits, system_filter=False)
    tmp = str(work.tmp.resolve())
    env = {**ENVIRONMENT, "PATH": "/usr/bin:/bin", "HOME": tmp, "TMPDIR": tmp, "MPLCONFIGDIR": f"{tmp}/mpl"}
    launcher = (python.executable, "-I", "-S", "-B", str((resources_dir() / "sandbox" / "launch.py").resolve()))
    script = (python.executable, "-I", "-B", "-u", str(work.input.resolve() / SCRIPT_NAME))
    inner = (*launcher, "run", launch_word(limits), "--", *script)
    return Command((PROGRAM, "-p", profile(work, python), *inner), env, work.output.resolve())
