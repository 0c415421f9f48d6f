"""Linux without Docker: bubblewrap around the script. Reduced isolation: see docs/adr/0005-sandbox.md.

Namespaces for users, processes, network, mounts and the rest; only the interpreter, the system's libraries and the
run's own folders can be seen; the launcher adds the system-call filter and limits. Memory and processes are capped by
a control group where this user may make one, by the watcher otherwise.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from pathlib import Path

from desktop.core.paths import resources_dir
from desktop.core.ports import IsolationChoice, RunSpec
from desktop.sandbox.child import Command, Work, launch_limits
from desktop.sandbox.container import ENVIRONMENT, LAUNCHER, launch_word
from desktop.sandbox.interpreter import Interpreter

TMP_BYTES = 256 << 20
_SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/lib32", "/sbin")
# What the new /proc shares with the machine: a root that starts this would still own these files.
_PROC_READ_ONLY = ("/proc/sys", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/scsi", "/proc/acpi", "/proc/driver")
_PROC_HIDDEN = (
    "/proc/sysrq-trigger",
    "/proc/kcore",
    "/proc/keys",
    "/proc/timer_list",
    "/proc/sched_debug",
    "/proc/kmsg",
)
_ETC = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/fonts", "/etc/alternatives")


@functools.lru_cache(maxsize=1)
def version() -> str | None:
    """The version of a bubblewrap that really works here (containers often forbid it), or None."""
    program = shutil.which("bwrap") if sys.platform == "linux" else None
    if program is None:
        return None
    probe = [program, "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--proc", "/proc", "--", "/bin/true"]
    try:
        subprocess.run(probe, check=True, capture_output=True, timeout=10)
        answer = subprocess.run([program, "--version"], check=True, capture_output=True, timeout=10, text=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.split()[-1]


def choice(python: Interpreter) -> IsolationChoice:
    """How a run is labelled."""
    return IsolationChoice("os", True, f"bubblewrap {version()}, Python {python.version}, reduced isolation")


def arguments(run: RunSpec, work: Work, python: Interpreter) -> list[str]:
    """bubblewrap's own arguments, before the program."""
    options = ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--uid", "10001"]
    options += ["--gid", "10001", "--hostname", "sandbox", "--clearenv"]
    env = {**ENVIRONMENT, "PATH": "/usr/bin:/bin", "HOME": "/tmp", "TMPDIR": "/tmp", "MPLCONFIGDIR": "/tmp/mpl"}
    for name, value in env.items():
        options += ["--setenv", name, value]
    for path in _SYSTEM:
        place = Path(path)
        if place.is_symlink():
            options += ["--symlink", str(place.readlink()), path]
        elif place.is_dir():
            options += ["--ro-bind", path, path]
    options += ["--proc", "/proc"]
    for path in _PROC_READ_ONLY:
        options += ["--ro-bind", path, path] if Path(path).is_dir() else []
    for path in _PROC_HIDDEN:
        options += ["--ro-bind", "/dev/null", path] if Path(path).exists() else []
    options += ["--dev", "/dev", "--size", str(TMP_BYTES), "--tmpfs", "/tmp"]
    for path in (*_ETC, *(root for root in python.roots if not root.startswith("/usr/"))):  # one may lie below /tmp
        if Path(path).exists() and path != "/usr":
            options += ["--ro-bind", path, path]
    options += ["--ro-bind", str(work.input), "/input", "--bind", str(work.output), "/output"]
    options += ["--ro-bind", str(resources_dir() / "sandbox" / "launch.py"), LAUNCHER]
    return [*options, "--remount-ro", "/", "--chdir", "/output"]


def command(run: RunSpec, work: Work, python: Interpreter) -> Command:
    """bubblewrap, the launcher in it, then the script."""
    limits = launch_limits(run.limits, system_filter=True)
    launcher = (python.executable, "-I", "-S", "-B", LAUNCHER, "run", launch_word(limits), "--")
    script = (python.executable, "-I", "-B", "-u", "/input/analysis.py")
    program = shutil.which("bwrap") or "bwrap"
    return Command((program, *arguments(run, work, python), "--", *launcher, *script), {}, work.root)
