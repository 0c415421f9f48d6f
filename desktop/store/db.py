"""One SQLite file, one writer thread, many readers.

Every write of the program goes through `Database.write` (or `write_now`): waiting writes share one transaction and one
flush to the disk, each is told only once it is durable, and one that fails does not take the others along.
Not here: what the tables mean (`jobs.py`, `audit.py`, … and the studios' repos) and how files are replaced
(`backup.py`, `migrate.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import sqlite_utils

from desktop.core.clock import Clock, SystemClock
from desktop.core.events import EventBus, TablesChanged
from desktop.store import backup, migrate
from desktop.store.connect import WriterConnection, connect_reader, connect_writer
from desktop.store.errors import StoreReadOnlyError, StoreUnwritableError, typed_error
from desktop.store.lock import StoreLock

T = TypeVar("T")
Change = Callable[[sqlite_utils.Database], T]
_GROUP_MAX = 256
_POOL_MAX = 8


@dataclass(slots=True)
class _Waiting:
    change: Change[Any]
    answer: Future[Any]


class Database:
    """The store. Build it with `Database.open`; `close` it on the way out."""

    def __init__(self, path: Path, *, bus: EventBus, clock: Clock, backups_dir: Path, lock: StoreLock | None) -> None:
        """Use `open`; this only sets the fields."""
        self.path = path
        self.backups_dir = backups_dir
        self.notices: tuple[backup.Notice, ...] = ()  # what happened to the file at start, for a person
        self._bus, self._clock, self._lock = bus, clock, lock
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._readers: list[sqlite3.Connection] = []
        self._pool_lock = threading.Lock()
        self._closed = False
        self._writer: threading.Thread | None = None

    @classmethod
    def open(
        cls,
        path: Path,
        migrations: Mapping[str, migrate.Migrations],
        *,
        backups_dir: Path,
        bus: EventBus,
        clock: Clock | None = None,
        is_read_only: bool = False,
    ) -> Database:
        """Check, if need be restore, and migrate the store; make it when there is none.

        migrations    studio key → its append-only (name, function) pairs; core's own come first by themselves
        is_read_only  for a second process: takes no lock, changes nothing, every write raises StoreReadOnlyError
        raises        StoreInUseError, StoreNewerError, StoreForeignError, StoreUnwritableError, StoreFullError;
                      when only reading also StoreOlderError
        """
        clock = clock or SystemClock()
        lock = None if is_read_only else StoreLock(path.with_name(path.name + ".lock"))
        db = cls(path, bus=bus, clock=clock, backups_dir=backups_dir, lock=lock)
        try:
            if is_read_only:
                if not path.is_file():
                    raise StoreUnwritableError(f"There is no store at {path} yet.", hint="Start Benchtop once first.")
                migrate.check_readable(path, migrations)
                return db
            db.notices = backup.check_or_restore(path, backups_dir, clock)
            is_new = not path.exists()
            db._start_writer()
            pending = db._write_alone(lambda conn: migrate.pending(conn, migrations))
            if pending and not is_new:
                backup.make(path, backups_dir, clock, reason=f"before-{pending[-1].name}")
            for one in pending:
                db._write_alone(partial(migrate.apply, one=one, now_s=clock.now_s()))
        except sqlite3.Error as error:
            db.close()
            raise typed_error(error, path) or error from error
        except BaseException:
            db.close()
            raise
        return db

    # ---- writing -------------------------------------------------------------------------------------------------

    async def write(self, change: Change[T]) -> T:
        """Run `change` in a transaction on the writer's thread; returns its value once it is on the disk.

        `change` must touch nothing but the database it is given: it is run again by itself when the group it was in
        was lost. What it raises undoes it alone and comes back here; SQLite's own failures come as typed AppErrors.
        """
        return await asyncio.wrap_future(self._enqueue(change))

    def write_now(self, change: Change[T]) -> T:
        """`write` for callers that may block for a flush of the disk (some milliseconds)."""
        return self._enqueue(change).result()

    def _enqueue(self, change: Change[T]) -> Future[T]:
        if self._lock is None:
            raise StoreReadOnlyError(
                "This Benchtop only reads the store.", hint="Make the change in the window that is open, or quit it."
            )
        if threading.current_thread() is self._writer:
            msg = "a listener of TablesChanged may not wait for a write"
            raise RuntimeError(msg)
        with self._pool_lock:
            if self._closed or self._writer is None:
                msg = "the store is closed"
                raise RuntimeError(msg)
            answer: Future[T] = Future()
            self._queue.put(_Waiting(change, answer))
        return answer

    def _write_alone(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on the writer's connection inside a transaction of its own (start-up only)."""
        return self.write_now(lambda db: work(db.conn))

    def _start_writer(self) -> None:
        ready: Future[None] = Future()
        self._writer = threading.Thread(target=self._write_loop, args=(ready,), name="store-writer", daemon=True)
        self._writer.start()
        try:
            ready.result()
        except BaseException:
            self._writer.join()
            self._writer = None
            raise

    def _write_loop(self, ready: Future[None]) -> None:
        try:
            conn = connect_writer(self.path)
        except BaseException as error:
            ready.set_exception(error)
            return
        try:
            db = sqlite_utils.Database(conn, execute_plugins=False)
            ready.set_result(None)
            while (first := self._queue.get()) is not None:
                group, is_last = [first], False
                with contextlib.suppress(queue.Empty):
                    while len(group) < _GROUP_MAX and not is_last:
                        another = self._queue.get_nowait()
                        if another is None:
                            is_last = True
                        else:
                            group.append(another)
                self._commit([one for one in group if one.answer.set_running_or_notify_cancel()], db, conn)
                if is_last:
                    break
            with contextlib.suppress(sqlite3.Error):  # a reader elsewhere may hold it; the next start will do it
                conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            conn.close()

    def _commit(self, group: list[_Waiting], db: sqlite_utils.Database, conn: WriterConnection) -> None:
        """One transaction for the group; tell each member its outcome after the commit."""
        if not group:
            return
        done: list[tuple[_Waiting, Any]] = []
        failed: list[tuple[_Waiting, BaseException]] = []
        touched: set[str] = set()
        try:
            conn.execute("BEGIN IMMEDIATE")
            for one in group:
                value, error = self._try(one, db, conn)
                if error is None:
                    done.append((one, value))
                    touched |= conn.touched
                else:
                    failed.append((one, error))
                    if not conn.in_transaction:  # the error took the whole transaction with it
                        break
            if conn.in_transaction:
                conn.execute("COMMIT")
            else:
                raise failed[-1][1]
        except BaseException as error:
            if conn.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    conn.execute("ROLLBACK")
            if len(group) > 1:  # give each its own transaction and its own verdict
                for one in group:
                    self._commit([one], db, conn)
            else:
                group[0].answer.set_exception(self._typed(error))
            return
        if touched:
            self._bus.publish(TablesChanged(frozenset(touched)))
        for one, value in done:
            one.answer.set_result(value)
        for one, reason in failed:
            one.answer.set_exception(self._typed(reason))

    def _try(
        self, one: _Waiting, db: sqlite_utils.Database, conn: WriterConnection
    ) -> tuple[Any, BaseException | None]:
        conn.touched = set()
        conn.execute("SAVEPOINT change")
        conn.is_guarded = True
        try:
            value = one.change(db)
        except BaseException as error:
            conn.is_guarded = False
            if conn.in_transaction:
                conn.execute("ROLLBACK TO change")
                conn.execute("RELEASE change")
            return None, error
        conn.is_guarded = False
        conn.execute("RELEASE change")
        return value, None

    def _typed(self, error: BaseException) -> BaseException:
        if isinstance(error, sqlite3.Error):
            return typed_error(error, self.path) or error
        return error

    # ---- reading -------------------------------------------------------------------------------------------------

    def read(self, sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> list[dict[str, Any]]:
        """Rows of a query, on a read-only connection no one else uses meanwhile. Any thread."""
        with self._pool_lock:
            if self._closed:
                msg = "the store is closed"
                raise RuntimeError(msg)
            conn = self._readers.pop() if self._readers else None
        try:
            conn = conn or connect_reader(self.path)
            rows = [dict(row) for row in conn.execute(sql, params)]
        except sqlite3.Error as error:
            if conn is not None:
                conn.close()
            raise typed_error(error, self.path) or error from error
        with self._pool_lock:
            if not self._closed and len(self._readers) < _POOL_MAX:
                self._readers.append(conn)
                return rows
        conn.close()
        return rows

    # ---- looking after the file ----------------------------------------------------------------------------------

    def backup_if_due(self) -> Path | None:
        """Make today's backup when there is none yet, and drop those past keeping. Takes as long as a file copy."""
        return backup.make_daily(self.path, self.backups_dir, self._clock)

    def checkup(self) -> list[str]:
        """Full integrity check and foreign keys, on a reader; empty when all is well."""
        rows = self.read("PRAGMA integrity_check") + self.read("PRAGMA foreign_key_check")
        return [text for row in rows if (text := " ".join(str(value) for value in row.values())) != "ok"]

    def close(self) -> None:
        """Finish the writes already handed in, checkpoint, free the lock. Harmless when called twice."""
        with self._pool_lock:
            was_closed, self._closed = self._closed, True
            readers, self._readers = self._readers, []
        if was_closed:
            return
        for conn in readers:
            conn.close()
        if self._writer is not None:
            self._queue.put(None)
            self._writer.join()
        if self._lock is not None:
            self._lock.release()
