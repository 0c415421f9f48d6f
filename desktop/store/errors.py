"""What can go wrong with the store, as typed errors, and how SQLite's own errors become them."""

from __future__ import annotations

import sqlite3

from desktop.core.errors import AppError


class StoreInUseError(AppError):
    """Another process holds the store for writing."""

    code = "store.in_use"


class StoreFullError(AppError):
    """No room left on the disk; nothing of the write was kept."""

    code = "store.disk_full"
    retryable = True


class StoreUnwritableError(AppError):
    """The disk or the folder refused the write; nothing of it was kept."""

    code = "store.unwritable"


class StoreBusyError(AppError):
    """Another program kept the file locked for longer than we wait."""

    code = "store.busy"
    retryable = True


class StoreDamagedError(AppError):
    """The file's contents contradict each other."""

    code = "store.damaged"


class StoreNewerError(AppError):
    """The store was made by a newer major version of Benchtop."""

    code = "store.newer"


class StoreOlderError(AppError):
    """The store must be upgraded first, which a process that only reads cannot do."""

    code = "store.older"


class StoreForeignError(AppError):
    """The file is a database of another program."""

    code = "store.foreign"


class StoreReadOnlyError(AppError):
    """This process opened the store for reading only."""

    code = "store.read_only"


def typed_error(error: sqlite3.Error, path: object) -> AppError | None:
    """The AppError an SQLite error means, or None for one that is a mistake of ours (syntax, constraint)."""
    name = getattr(error, "sqlite_errorname", "") or ""
    facts = {"sqlite": f"{name} {error}".strip(), "path": str(path)}
    if name == "SQLITE_FULL":
        return StoreFullError(
            "The disk is full: the change was not saved.", hint="Free some disk space and try again.", **facts
        )
    if name.startswith(("SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StoreUnwritableError(
            f"The data folder refused a read or a write: {error}.",
            hint="Check that the disk has room, is connected, and that you may write to the data folder.",
            **facts,
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreBusyError(
            "Another program keeps the store locked.",
            hint="Close other programs that have Benchtop's database open, then try again.",
            **facts,
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StoreDamagedError(
            f"The store is damaged: {error}.",
            hint="Quit and start Benchtop again: it sets the damaged file aside and restores the newest backup.",
            **facts,
        )
    return None
