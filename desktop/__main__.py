"""argv → window or command line."""

from __future__ import annotations

import multiprocessing
import sys


def main() -> int:
    """The `benchtop` command. Without arguments it opens the window."""
    multiprocessing.freeze_support()
    if len(sys.argv) > 1:
        from desktop.cli import run

        return run(sys.argv[1:])
    from desktop.app import run_window

    return run_window()


if __name__ == "__main__":
    sys.exit(main())
