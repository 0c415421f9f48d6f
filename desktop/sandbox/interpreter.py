"""The Python that scripts run in where there is no container, and what of the disk it needs to see."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from desktop.core.errors import NoSandboxError

_ASK = "import sys, json; print(json.dumps([sys.executable, sys.prefix, sys.base_prefix, sys.version.split()[0]]))"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that answered. `roots` are the folders it is read from."""

    executable: str
    roots: tuple[str, ...]
    version: str


def find_interpreter(setting: str) -> Interpreter:
    """The interpreter of the setting, or the one Benchtop runs in.

    The packaged application is its own Python (`desktop.__main__`). Raises NoSandboxError when it does not answer.
    """
    return _ask(setting or sys.executable)


@functools.lru_cache(maxsize=4)
def _ask(executable: str) -> Interpreter:
    try:
        answer = subprocess.run([executable, "-I", "-c", _ASK], capture_output=True, timeout=20, check=True, text=True)
        path, prefix, base, version = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        message = f"{executable} did not answer as a Python."
        raise NoSandboxError(message, hint="Check the Python named under Settings → Sandbox.") from error
    real = str(Path(path).resolve().parents[1])
    return Interpreter(path, tuple(dict.fromkeys((prefix, base, real))), version)
