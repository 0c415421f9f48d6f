"""Which processes this one has started. Shared by the tests of this folder."""

from __future__ import annotations

import psutil


def offspring() -> list[psutil.Process]:
    """This process's children but the tracker that multiprocessing keeps, and the children's guards."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.name() != "sh" and "resource_tracker" not in " ".join(process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
