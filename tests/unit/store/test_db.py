"""One writer, many readers: what is durable, what is told, what a failing write leaves behind."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlite_utils

from desktop.core.events import Event, EventBus, TablesChanged
from desktop.store.connect import APPLICATION_ID
from desktop.store.db import Database
from desktop.store.errors import (
    StoreForeignError,
    StoreFullError,
    StoreInUseError,
    StoreNewerError,
    StoreOlderError,
    StoreReadOnlyError,
    StoreUnwritableError,
)


def m001_notes(db: sqlite_utils.Database) -> None:
    db.conn.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT")
    db.conn.execute("CREATE TABLE tags (note INTEGER REFERENCES notes ON DELETE CASCADE, tag TEXT) STRICT")


MIGRATIONS = {"notes": (("m001_notes", m001_notes),)}


def open_store(home: Path, *, is_read_only: bool = False, bus: EventBus | None = None) -> Database:
    return Database.open(
        home / "s.sqlite", MIGRATIONS, backups_dir=home / "backups", bus=bus or EventBus(), is_read_only=is_read_only
    )


def add(text: str) -> object:
    return lambda db: db.conn.execute("INSERT INTO notes (text) VALUES (?)", (text,)).lastrowid


@pytest.fixture
def heard() -> list[Event]:
    return []


@pytest.fixture
def store(tmp_path: Path, heard: list[Event]) -> Iterator[Database]:
    bus = EventBus()
    db = open_store(tmp_path, bus=bus)
    bus.subscribe(heard.append)
    yield db
    db.close()


def texts(store: Database) -> list[str]:
    return [row["text"] for row in store.read("SELECT text FROM notes ORDER BY id")]


async def test_a_write_returns_its_value_and_is_read_back(store: Database) -> None:
    assert await store.write(add("a")) == 1
    assert store.write_now(add("b")) == 2
    assert texts(store) == ["a", "b"]


async def test_waiting_writes_share_a_group_and_one_failure_stays_alone(store: Database) -> None:
    def boom(db: sqlite_utils.Database) -> None:
        db.conn.execute("INSERT INTO notes (text) VALUES ('half')")
        raise LookupError("mine")

    gate = threading.Event()
    blocker = asyncio.create_task(store.write(lambda _: gate.wait(10)))
    await asyncio.sleep(0.05)
    group = [
        asyncio.create_task(store.write(change))
        for change in (add("a"), boom, add("b"), add("a"), lambda db: db.conn.execute("SELEC"), add("c"))
    ]
    await asyncio.sleep(0.05)
    gate.set()
    results = await asyncio.gather(*group, return_exceptions=True)
    await blocker
    assert [type(one) for one in results] == [
        int,
        LookupError,
        int,
        sqlite3.IntegrityError,
        sqlite3.OperationalError,
        int,
    ]
    assert texts(store) == ["a", "b", "c"]


async def test_many_threads_write_and_read_at_once(store: Database) -> None:
    def work(n: int) -> None:
        for k in range(20):
            store.write_now(add(f"{n}-{k}"))
            assert f"{n}-{k}" in texts(store)

    await asyncio.gather(*(asyncio.to_thread(work, n) for n in range(6)))
    assert len(texts(store)) == 120
    assert store.checkup() == []


@pytest.mark.parametrize(
    "sql", ["COMMIT", "ROLLBACK", "BEGIN"], ids=["commits early", "rolls the group back", "begins another"]
)
def test_a_change_cannot_end_the_transaction(store: Database, sql: str) -> None:
    def greedy(db: sqlite_utils.Database) -> None:
        db.conn.execute("INSERT INTO notes (text) VALUES ('half')")
        db.conn.execute(sql)

    with pytest.raises(sqlite3.DatabaseError):
        store.write_now(greedy)
    assert texts(store) == []
    store.write_now(add("after"))
    assert texts(store) == ["after"]


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        pytest.param("INSERT INTO notes (text) VALUES ('x')", {"notes"}, id="insert"),
        pytest.param("UPDATE notes SET text = 'y' WHERE id = 1", {"notes"}, id="update"),
        pytest.param("UPDATE notes SET text = 'y' WHERE id = 99", None, id="update of nothing"),
        pytest.param("DELETE FROM notes", {"notes", "tags"}, id="delete that cascades"),
        pytest.param("SELECT * FROM notes", None, id="only a read"),
        pytest.param("CREATE TABLE more (x)", {"more"}, id="new table"),
        pytest.param("ALTER TABLE tags ADD COLUMN colour TEXT", {"tags"}, id="new column"),
    ],
)
def test_it_tells_which_tables_really_changed(
    store: Database, heard: list[Event], sql: str, tables: set[str] | None
) -> None:
    store.write_now(add("first"))
    store.write_now(lambda db: db.conn.execute("INSERT INTO tags VALUES (1, 't')"))
    heard.clear()
    for _ in range(1 if tables in ({"more"}, {"tags"}) else 2):  # a repeated statement must be noticed again
        store.write_now(lambda db: db.conn.execute(sql.replace("'x'", f"'x{len(heard)}'")).fetchall())
    told = [event.tables for event in heard if isinstance(event, TablesChanged)]
    assert (told[0] if told else None) == (None if tables is None else frozenset(tables))


def test_sqlite_utils_tables_are_noticed_too(store: Database, heard: list[Event]) -> None:
    store.write_now(lambda db: db["notes"].insert_all([{"text": "p"}, {"text": "q"}]))
    assert heard == [TablesChanged(frozenset({"notes"}))]
    assert texts(store) == ["p", "q"]


def test_a_failed_write_tells_nothing(store: Database, heard: list[Event]) -> None:
    def boom(db: sqlite_utils.Database) -> None:
        db.conn.execute("INSERT INTO notes (text) VALUES ('half')")
        raise LookupError

    with pytest.raises(LookupError):
        store.write_now(boom)
    assert heard == []


def test_a_full_disk_is_a_typed_error_and_keeps_nothing(store: Database) -> None:
    store.write_now(add("before"))
    (pages,) = store.read("PRAGMA page_count")[0].values()
    store.write_now(lambda db: db.conn.execute(f"PRAGMA max_page_count={pages + 2}").fetchall())

    def flood(db: sqlite_utils.Database) -> None:
        db.conn.executemany("INSERT INTO notes (text) VALUES (?)", [(f"{n}" * 500,) for n in range(2000)])

    with pytest.raises(StoreFullError) as caught:
        store.write_now(flood)
    assert caught.value.hint
    assert texts(store) == ["before"]
    store.write_now(lambda db: db.conn.execute("PRAGMA max_page_count=1000000").fetchall())
    store.write_now(add("after"))
    assert texts(store) == ["before", "after"]
    assert store.checkup() == []


LIMITED = """
import resource, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.unit.store.test_db import open_store, add, texts
from desktop.core.errors import AppError
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = open_store(Path({home!r}))
store.write_now(add("before"))
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
try:
    store.write_now(lambda db: db.conn.executemany("INSERT INTO notes (text) VALUES (?)",
                                                   [(str(n) * 2000,) for n in range(1000, 3000)]))
except AppError as error:
    print(error.code)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(texts(store) == ["before"], store.write_now(add("after")))
store.close()
"""


def test_a_file_that_may_not_grow_is_a_typed_error(tmp_path: Path) -> None:
    root = str(Path(__file__).resolve().parents[3])
    done = subprocess.run(
        [sys.executable, "-c", LIMITED.format(root=root, home=str(tmp_path))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=root,
    )
    code, kept = done.stdout.splitlines()
    assert code in {"store.disk_full", "store.unwritable"}
    assert kept == "True 2", done.stderr


def test_a_second_writer_is_refused_and_a_reader_is_not(store: Database, tmp_path: Path) -> None:
    store.write_now(add("shared"))
    with pytest.raises(StoreInUseError) as caught:
        open_store(tmp_path)
    assert caught.value.facts["pid"]
    reader = open_store(tmp_path, is_read_only=True)
    try:
        assert texts(reader) == ["shared"]
        with pytest.raises(StoreReadOnlyError):
            reader.write_now(add("no"))
        store.write_now(add("later"))
        assert texts(reader) == ["shared", "later"]
        with pytest.raises(StoreUnwritableError):
            reader.read("DELETE FROM notes")
    finally:
        reader.close()


def test_the_lock_of_a_closed_store_is_free(tmp_path: Path) -> None:
    for _ in range(3):
        store = open_store(tmp_path)
        store.close()
        store.close()
    with pytest.raises(RuntimeError, match="closed"):
        store.read("SELECT 1")


def test_writes_handed_in_before_close_are_kept(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    threads = [threading.Thread(target=store.write_now, args=(add(str(n)),)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    again = open_store(tmp_path)
    assert sorted(texts(again)) == sorted(str(n) for n in range(20))
    again.close()


def test_the_writer_is_durable_and_strict(store: Database) -> None:
    def pragma(name: str) -> object:
        return store.write_now(lambda db: db.conn.execute(f"PRAGMA {name}").fetchone()[0])

    assert pragma("journal_mode") == "wal"
    assert pragma("synchronous") == 2
    assert pragma("foreign_keys") == 1
    assert pragma("trusted_schema") == 0
    assert pragma("cell_size_check") == 1
    assert pragma("journal_size_limit") == 64 * 1024 * 1024
    assert pragma("application_id") == APPLICATION_ID


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    conn = sqlite3.connect(tmp_path / "s.sqlite")
    conn.execute("CREATE TABLE theirs (x)")
    conn.commit()
    conn.close()
    before = (tmp_path / "s.sqlite").read_bytes()
    with pytest.raises(StoreForeignError):
        open_store(tmp_path)
    assert (tmp_path / "s.sqlite").read_bytes() == before


def test_a_newer_major_is_refused_and_a_newer_minor_opens(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.write_now(lambda db: db.conn.execute("INSERT INTO migrations VALUES ('notes', 'm002_future', 1.0)"))
    store.close()
    store = open_store(tmp_path)
    store.write_now(add("fine"))
    version = store.read("PRAGMA user_version")[0]["user_version"]
    store.write_now(lambda db: db.conn.execute(f"PRAGMA user_version={version + 65536}").fetchall())
    store.close()
    with pytest.raises(StoreNewerError):
        open_store(tmp_path)
    with pytest.raises(StoreNewerError):
        open_store(tmp_path, is_read_only=True)


def test_no_threads_or_files_stay_open(tmp_path: Path) -> None:
    open_store(tmp_path).close()  # imports done
    before = set(threading.enumerate())
    n_files = _open_files()
    store = open_store(tmp_path)
    readers = [threading.Thread(target=texts, args=(store,)) for _ in range(12)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    store.close()
    assert set(threading.enumerate()) == before
    assert _open_files() == n_files


def _open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_a_reader_needs_no_writer(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.write_now(add("kept"))
    store.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.sqlite", "s.sqlite.lock"]
    reader = open_store(tmp_path, is_read_only=True)
    assert texts(reader) == ["kept"]
    reader.close()
    store = open_store(tmp_path)
    store.write_now(add("later"))
    store.close()
    with pytest.raises(StoreUnwritableError):
        open_store(tmp_path / "nowhere", is_read_only=True)


def test_a_folder_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnwritableError):
        open_store(tmp_path / "file" / "deeper")


def test_closing_waits_for_no_reader_elsewhere(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.write_now(add("kept"))
    reader = open_store(tmp_path, is_read_only=True)
    assert texts(reader) == ["kept"]
    store.close()
    assert texts(reader) == ["kept"]
    reader.close()


async def test_an_error_that_ends_the_transaction_takes_no_other_write_along(store: Database) -> None:
    store.write_now(add("taken"))
    gate = threading.Event()
    blocker = asyncio.create_task(store.write(lambda _: gate.wait(10)))
    await asyncio.sleep(0.05)

    def wreck(db: sqlite_utils.Database) -> None:
        db.conn.execute("INSERT OR ROLLBACK INTO notes (text) VALUES ('taken')")

    group = [asyncio.create_task(store.write(change)) for change in (add("a"), wreck, add("b"))]
    await asyncio.sleep(0.05)
    gate.set()
    results = await asyncio.gather(*group, return_exceptions=True)
    await blocker
    assert [type(one) for one in results] == [int, sqlite3.IntegrityError, int]
    assert texts(store) == ["taken", "a", "b"]


async def test_a_cancelled_write_that_has_not_begun_is_not_done(store: Database) -> None:
    gate = threading.Event()
    blocker = asyncio.create_task(store.write(lambda _: gate.wait(10)))
    await asyncio.sleep(0.05)
    task = asyncio.create_task(store.write(add("never")))
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    gate.set()
    await blocker
    await store.write(add("after"))
    assert texts(store) == ["after"]


def test_a_reader_does_not_upgrade_an_older_store(tmp_path: Path) -> None:
    Database.open(tmp_path / "s.sqlite", {}, backups_dir=tmp_path / "b", bus=EventBus()).close()
    with pytest.raises(StoreOlderError) as caught:
        open_store(tmp_path, is_read_only=True)
    assert caught.value.facts["missing"] == "m001_notes"
    open_store(tmp_path).close()
    open_store(tmp_path, is_read_only=True).close()
