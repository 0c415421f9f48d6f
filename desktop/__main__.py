"""argv → window or command line; in the packaged application also the Python that analysis scripts run in."""

from __future__ import annotations

import multiprocessing
import sys


def main() -> int:
    """The `benchtop` command. Without arguments it opens the window."""
    multiprocessing.freeze_support()
    if getattr(sys, "frozen", False) and sys.argv[1:2] == ["-I"]:
        return _as_python(sys.argv[1:])
    from desktop.app import main as start

    return start(sys.argv[1:])


def _as_python(argv: list[str]) -> int:
    """Do what `python -I … FILE ARG…` or `python -I -c CODE` does: the packaged application brings no other Python."""
    import runpy

    while argv and argv[0].startswith("-") and argv[0] != "-c":
        argv = argv[1:]
    if not argv:
        return 2
    if argv[0] == "-c":
        sys.argv = argv
        exec(compile(argv[1], "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102
        return 0
    sys.argv = argv
    runpy.run_path(argv[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
