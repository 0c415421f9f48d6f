"""argv → window or command line."""

from __future__ import annotations

import multiprocessing
import sys


def main() -> int:
    """The `benchtop` command. Without arguments it opens the window."""
    multiprocessing.freeze_support()
    from desktop.app import main as start

    return start(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
