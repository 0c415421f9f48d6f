"""One SQLite file: one writer, migrations, backups, audit trail, full-text search, blobs."""

from __future__ import annotations

import importlib
import sys
import threading
from typing import Any


def _import_sqlite_utils() -> None:
    """Import sqlite-utils without the pandas and numpy it takes along when they are installed.

    It would cost the start 0.25 s for types we never hand it. Other threads' imports are left alone.
    """
    if "sqlite_utils" in sys.modules:
        return
    import_module, here = importlib.import_module, threading.get_ident()

    def without_numerics(name: str, package: str | None = None) -> Any:
        if name in ("numpy", "pandas") and threading.get_ident() == here:
            raise ModuleNotFoundError(name)
        return import_module(name, package)

    importlib.import_module = without_numerics
    try:
        import_module("sqlite_utils")
    finally:
        importlib.import_module = import_module


_import_sqlite_utils()
