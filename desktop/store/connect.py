"""SQLite connections as this program wants them: the pragmas, the reader, and the writer that knows what it touched.

Not a query layer: `db.py` decides who may use which connection and when.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

APPLICATION_ID = 0x42544F50  # "BTOP"
SAFE_SQLITE = (3, 51, 3)  # earlier ones may corrupt a WAL written and checkpointed by two connections at once
_BUSY_MS = 5000
_WAL_LIMIT_BYTES = 64 * 1024 * 1024
_ROW_CHANGES = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}
_TABLE_CHANGES = {
    sqlite3.SQLITE_CREATE_TABLE,
    sqlite3.SQLITE_DROP_TABLE,
    sqlite3.SQLITE_CREATE_VTABLE,
    sqlite3.SQLITE_DROP_VTABLE,
}


class _CountingCursor(sqlite3.Cursor):
    """Tells its connection which tables a statement wrote to, if it changed any row."""

    connection: WriterConnection

    def execute(self, sql: str, parameters: Any = (), /) -> _CountingCursor:
        with self.connection.watching():
            super().execute(sql, parameters)
        return self

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> _CountingCursor:
        with self.connection.watching():
            super().executemany(sql, parameters)
        return self


class WriterConnection(sqlite3.Connection):
    """The one connection that writes.

    `touched` collects the tables whose rows or columns statements really changed: the authorizer names the tables
    when a statement is prepared, the change counter says whether it did anything. While `is_guarded`, a statement
    that would begin or end the transaction is refused, so that no change function can commit half of a group.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.touched: set[str] = set()
        self.is_guarded = False
        self._named: set[str] = set()
        self.set_authorizer(self._authorize)

    def cursor(self, factory: Any = _CountingCursor) -> Any:
        return super().cursor(factory)

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        return _CountingCursor(self).execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        return _CountingCursor(self).executemany(sql, parameters)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count the row changes of the statement run inside."""
        self._named.clear()
        before = self.total_changes
        yield
        if self.total_changes != before:
            self.touched |= self._named

    def _authorize(self, action: int, first: str | None, second: str | None, schema: str | None, _: str | None) -> int:
        is_ours = schema == "main" and first is not None and not first.startswith("sqlite_")
        if action in _ROW_CHANGES and is_ours:
            self._named.add(str(first))
        elif action in _TABLE_CHANGES and is_ours:
            self.touched.add(str(first))
        elif action == sqlite3.SQLITE_ALTER_TABLE and first == "main" and second:
            self.touched.add(second)
        elif action == sqlite3.SQLITE_TRANSACTION and self.is_guarded:
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK


def connect_writer(path: Path) -> WriterConnection:
    """The writing connection, durable to power loss, in WAL mode. Use it on the thread that made it."""
    # No statement cache: SQLite asks the authorizer only when it prepares a statement.
    conn = sqlite3.connect(path, isolation_level=None, factory=WriterConnection, cached_statements=0)
    pragmas = {
        "busy_timeout": _BUSY_MS,
        "journal_mode": "WAL",
        "synchronous": "FULL",
        "foreign_keys": "ON",
        "trusted_schema": "OFF",
        "cell_size_check": "ON",
        "mmap_size": 0,
        "journal_size_limit": _WAL_LIMIT_BYTES,
    }
    if sys.platform == "darwin":  # there fsync alone does not flush the drive
        pragmas |= {"fullfsync": "ON", "checkpoint_fullfsync": "ON"}
    try:
        for name, value in pragmas.items():
            conn.execute(f"PRAGMA {name}={value}").fetchall()
    except BaseException:
        conn.close()
        raise
    return conn


def connect_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection that never checkpoints. One thread at a time may use it."""
    conn = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
    try:
        for pragma in (f"busy_timeout={_BUSY_MS}", "wal_autocheckpoint=0", "trusted_schema=OFF", "query_only=ON"):
            conn.execute(f"PRAGMA {pragma}").fetchall()
    except BaseException:
        conn.close()
        raise
    conn.row_factory = sqlite3.Row
    return conn


def sqlite_fault() -> str | None:
    """What is wrong with the SQLite this Python has, or None."""
    if sqlite3.sqlite_version_info >= SAFE_SQLITE:
        return None
    return (
        f"SQLite {sqlite3.sqlite_version} has the WAL-reset bug (fixed in 3.51.3). Benchtop keeps clear of it by "
        "writing and checkpointing on one connection only; do not open its database with other programs while it runs."
    )
