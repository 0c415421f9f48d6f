"""How the store's tables come to be and change: append-only named functions, each in one transaction.

`user_version` is major * 65536 + the number of migrations applied. A store with migrations we do not know (a newer
minor version made it) opens; a newer major is refused. Going back is restoring a backup.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlite_utils

from desktop.store.connect import APPLICATION_ID, connect_reader
from desktop.store.errors import StoreForeignError, StoreNewerError, StoreOlderError
from desktop.store.schema import core

Migrations = Sequence[tuple[str, Callable[[sqlite_utils.Database], None]]]
MAJOR = 1
_MINOR_BITS = 16


@dataclass(frozen=True, slots=True)
class Pending:
    """A migration that this store has not had yet."""

    studio: str
    name: str
    run: Callable[[sqlite_utils.Database], None]


def check_version(path: Path) -> None:
    """Raises StoreForeignError or StoreNewerError when this program must keep its hands off the file."""
    conn = connect_reader(path)
    try:
        application_id = conn.execute("PRAGMA application_id").fetchone()[0]
        version = conn.execute("PRAGMA user_version").fetchone()[0]
        n_tables = conn.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    finally:
        conn.close()
    if application_id != APPLICATION_ID and (application_id or version or n_tables):
        raise StoreForeignError(
            f"{path.name} is a database of another program.",
            hint="Move it elsewhere, or set BENCHTOP_HOME to another folder.",
            application_id=hex(application_id),
        )
    if version >> _MINOR_BITS > MAJOR:
        raise StoreNewerError(
            f"The store was made by a newer Benchtop (format {version >> _MINOR_BITS}, this one reads {MAJOR}).",
            hint="Install the newer Benchtop, or restore a backup from before the upgrade.",
        )


def check_readable(path: Path, migrations: Mapping[str, Migrations]) -> None:
    """`check_version`, and StoreOlderError when tables this program reads may not be there yet."""
    check_version(path)
    conn = connect_reader(path)
    try:
        todo = pending(conn, migrations)
    finally:
        conn.close()
    if todo:
        raise StoreOlderError(
            "The store was made by an older Benchtop and has to be upgraded first.",
            hint="Quit every Benchtop, then start this one once.",
            missing=", ".join(one.name for one in todo),
        )


def pending(conn: sqlite3.Connection, migrations: Mapping[str, Migrations]) -> list[Pending]:
    """What is still to be applied, core's first, each studio's in its own order."""
    found = conn.execute("SELECT 1 FROM sqlite_master WHERE type='table' AND name='migrations'").fetchone()
    applied = {tuple(row) for row in conn.execute("SELECT studio, name FROM migrations")} if found else set()
    todo: list[Pending] = []
    for studio, pairs in {"core": core, **migrations}.items():
        names = [name for name, _ in pairs]
        if len(set(names)) != len(names):
            msg = f"two migrations of {studio} share a name"
            raise ValueError(msg)
        todo += [Pending(studio, name, run) for name, run in pairs if (studio, name) not in applied]
    return todo


def apply(conn: sqlite3.Connection, one: Pending, now_s: float) -> None:
    """Apply one migration and note it, inside the transaction that the caller holds."""
    conn.execute(
        "CREATE TABLE IF NOT EXISTS migrations"
        " (studio TEXT NOT NULL, name TEXT NOT NULL, applied_s REAL NOT NULL, PRIMARY KEY (studio, name)) STRICT"
    )
    one.run(sqlite_utils.Database(conn, execute_plugins=False))
    conn.execute("INSERT INTO migrations VALUES (?, ?, ?)", (one.studio, one.name, now_s))
    (n_applied,) = conn.execute("SELECT count(*) FROM migrations").fetchone()
    conn.execute(f"PRAGMA application_id={APPLICATION_ID}")
    conn.execute(f"PRAGMA user_version={(MAJOR << _MINOR_BITS) + n_applied}")
