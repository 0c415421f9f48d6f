"""A plain child process with limits: no isolation, for the application's own templates alone.

Own process group, resource limits, clean environment, a home folder of its own. Works on macOS and Linux.
"""

from __future__ import annotations

from desktop.core.paths import resources_dir
from desktop.core.ports import IsolationChoice, RunSpec
from desktop.sandbox.child import Command, Work, launch_limits
from desktop.sandbox.container import ENVIRONMENT, launch_word
from desktop.sandbox.interpreter import Interpreter
from desktop.sandbox.staging import SCRIPT_NAME


def choice(python: Interpreter) -> IsolationChoice:
    """How a run is labelled."""
    return IsolationChoice("process", True, f"child process with limits, Python {python.version}, no isolation")


def command(run: RunSpec, work: Work, python: Interpreter) -> Command:
    """The launcher, then the script, both in the given interpreter."""
    limits = launch_limits(run.limits, system_filter=False)
    env = {
        **ENVIRONMENT,
        "PATH": "/usr/bin:/bin",
        "HOME": str(work.tmp),
        "TMPDIR": str(work.tmp),
        "MPLCONFIGDIR": str(work.tmp / "mpl"),
    }
    launcher = (python.executable, "-I", "-S", "-B", str(resources_dir() / "sandbox" / "launch.py"))
    script = (python.executable, "-I", "-B", "-u", str(work.input / SCRIPT_NAME))
    return Command((*launcher, "run", launch_word(limits), "--", *script), env, work.output)
