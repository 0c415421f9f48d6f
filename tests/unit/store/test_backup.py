"""Backups, migrations and damage: whatever happens to the file, a sound store comes back and a person is told."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlite_utils
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desktop.core.events import EventBus
from desktop.store import backup, schema
from desktop.store.db import Database
from desktop.store.errors import StoreDamagedError, StoreInUseError
from desktop.store.lock import StoreLock

ROOT = Path(__file__).resolve().parents[3]
DAY_S = 86_400.0


class SetClock:
    def __init__(self, now_s: float = 1_800_000_000.0) -> None:
        self.time_s = now_s

    def now_s(self) -> float:
        self.time_s += 0.001
        return self.time_s

    def monotonic_s(self) -> float:
        return self.time_s


def m001_notes(db: sqlite_utils.Database) -> None:
    db.conn.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT")


def m002_stars(db: sqlite_utils.Database) -> None:
    db.conn.execute("ALTER TABLE notes ADD COLUMN stars INTEGER NOT NULL DEFAULT 0")
    db.conn.execute("UPDATE notes SET stars = length(text)")


def m003_broken(db: sqlite_utils.Database) -> None:
    db.conn.execute("UPDATE notes SET stars = -1")
    db.conn.execute("INSERT INTO nowhere VALUES (1)")


def open_store(home: Path, *pairs: object, clock: SetClock | None = None) -> Database:
    return Database.open(
        home / "s.sqlite",
        {"notes": pairs or (("m001_notes", m001_notes),)},  # type: ignore[dict-item]
        backups_dir=home / "backups",
        bus=EventBus(),
        clock=clock or SetClock(),
    )


def fill(home: Path, *notes: str) -> None:
    store = open_store(home)
    store.write_now(lambda db: db.conn.executemany("INSERT INTO notes (text) VALUES (?)", [(n,) for n in notes]))
    store.close()


def texts(store: Database) -> list[str]:
    return [row["text"] for row in store.read("SELECT text FROM notes ORDER BY id")]


def test_a_migration_is_backed_up_applied_once_and_noted(tmp_path: Path) -> None:
    fill(tmp_path, "one", "three")
    pairs = (("m001_notes", m001_notes), ("m002_stars", m002_stars))
    for _ in range(2):
        store = open_store(tmp_path, *pairs)
        assert [row["stars"] for row in store.read("SELECT stars FROM notes ORDER BY id")] == [3, 5]
        names = [row["name"] for row in store.read("SELECT name FROM migrations WHERE studio = 'notes'")]
        assert names == ["m001_notes", "m002_stars"]
        store.close()
    (made,) = backup.backups(tmp_path / "backups")
    assert made.stem.endswith("-before-m002_stars")
    assert backup.check(made) == []
    conn = sqlite3.connect(made)
    assert conn.execute("SELECT text FROM notes ORDER BY id").fetchall() == [("one",), ("three",)]
    assert [row[1] for row in conn.execute("PRAGMA table_info(notes)")] == ["id", "text"]
    conn.close()


def test_a_failing_migration_leaves_the_step_before_it(tmp_path: Path) -> None:
    fill(tmp_path, "one")
    pairs = (("m001_notes", m001_notes), ("m002_stars", m002_stars), ("m003_broken", m003_broken))
    with pytest.raises(sqlite3.OperationalError):
        open_store(tmp_path, *pairs)
    store = open_store(tmp_path, *pairs[:2])
    assert store.read("SELECT text, stars FROM notes") == [{"text": "one", "stars": 3}]
    store.close()


def test_two_migrations_of_one_name_are_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="share a name"):
        open_store(tmp_path, ("m001_notes", m001_notes), ("m001_notes", m002_stars))


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.unit.store.test_backup import m001_notes, m002_stars, open_store
def killing(db):
    m002_stars(db)
    os.kill(os.getpid(), signal.SIGKILL)
def m002_later(db):
    m002_stars(db)
pairs = [("m001_notes", m001_notes), ("m002_stars", killing)]
if {when!r} == "between":
    import desktop.store.migrate as migrate
    pairs = [("m001_notes", m001_notes), ("m002_stars", m002_stars),
             ("m003_kill", lambda db: os.kill(os.getpid(), signal.SIGKILL))]
if {when!r} == "in backup":
    import desktop.store.backup as backup
    backup.check = lambda path: os.kill(os.getpid(), signal.SIGKILL) if path.suffix == ".partial" else []
open_store(Path({home!r}), *pairs)
"""


@pytest.mark.parametrize("when", ["in backup", "inside", "between"])
def test_killed_at_each_step_of_a_migration(tmp_path: Path, when: str) -> None:
    fill(tmp_path, "one", "three")
    code = KILLED.format(root=str(ROOT), home=str(tmp_path), when=when)
    killed = subprocess.run([sys.executable, "-c", code], timeout=60, check=False, cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    store = open_store(tmp_path, ("m001_notes", m001_notes), ("m002_stars", m002_stars))
    assert store.read("SELECT text, stars FROM notes ORDER BY id") == [
        {"text": "one", "stars": 3},
        {"text": "three", "stars": 5},
    ]
    assert store.checkup() == []
    assert store.notices == ()
    store.close()
    for made in backup.backups(tmp_path / "backups"):
        assert backup.check(made) == []


def test_daily_backups_are_thinned_and_each_can_be_restored(tmp_path: Path) -> None:
    clock = SetClock()
    store = open_store(tmp_path, clock=clock)
    for day in range(60):
        store.write_now(lambda db, day=day: db.conn.execute("INSERT INTO notes (text) VALUES (?)", (f"day {day}",)))
        assert store.backup_if_due() is not None
        assert store.backup_if_due() is None
        clock.time_s += DAY_S
    store.close()
    kept = backup.backups(tmp_path / "backups")
    ages = [round((clock.time_s - backup._made_at(one).timestamp()) / DAY_S) for one in kept]
    assert ages[:7] == [1, 2, 3, 4, 5, 6, 7]
    assert 8 <= len(kept) <= 11
    assert 21 <= ages[-1] <= 35
    for one in kept:
        home = tmp_path / f"restored-{one.stem}"
        home.mkdir()
        backup.restore(one, home / "s.sqlite", home / "backups", clock)
        again = open_store(home)
        made_on = 60 - round((clock.time_s - backup._made_at(one).timestamp()) / DAY_S)
        assert texts(again)[-1] == f"day {made_on}"
        again.close()


def test_restoring_keeps_what_it_replaces(tmp_path: Path) -> None:
    fill(tmp_path, "old")
    made = backup.make(tmp_path / "s.sqlite", tmp_path / "backups", SetClock(), reason="daily")
    fill(tmp_path, "new")
    aside = backup.restore(made, tmp_path / "s.sqlite", tmp_path / "backups", SetClock(1_900_000_000.0))
    store = open_store(tmp_path)
    assert texts(store) == ["old"]
    store.close()
    backup.restore(aside, tmp_path / "s.sqlite", tmp_path / "backups", SetClock(1_950_000_000.0))
    store = open_store(tmp_path)
    assert texts(store) == ["old", "new"]
    store.close()


def test_a_damaged_backup_is_not_restored(tmp_path: Path) -> None:
    fill(tmp_path, "kept")
    made = backup.make(tmp_path / "s.sqlite", tmp_path / "backups", SetClock(), reason="daily")
    _scribble(made)
    with pytest.raises(StoreDamagedError):
        backup.restore(made, tmp_path / "s.sqlite", tmp_path / "backups", SetClock())
    store = open_store(tmp_path)
    assert texts(store) == ["kept"]
    store.close()


@pytest.mark.parametrize("damage", ["pages", "header", "empty", "cut"])
def test_a_damaged_store_is_set_aside_and_the_newest_good_backup_comes_back(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "s.sqlite"
    fill(tmp_path, *("saved " * 50 for _ in range(400)))
    backup.make(path, tmp_path / "backups", SetClock(1_800_000_000.0), reason="daily")
    newest = backup.make(path, tmp_path / "backups", SetClock(1_800_100_000.0), reason="daily")
    _scribble(newest)  # so the one before it is the newest good one
    fill(tmp_path, "unsaved")
    match damage:
        case "pages":
            _scribble(path)
        case "header":
            path.write_bytes(b"garbage!" * 100 + path.read_bytes()[800:])
        case "empty":
            path.write_bytes(b"\x00" * 5000)
        case "cut":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    broken = path.read_bytes()
    store = open_store(tmp_path, clock=SetClock(1_800_200_000.0))
    assert len(texts(store)) == 400
    (notice,) = store.notices
    assert notice.code == "store.restored"
    store.close()
    (aside,) = tmp_path.glob("s-damaged-*.sqlite")
    assert aside.read_bytes() == broken


def test_damage_without_a_backup_starts_anew_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "s.sqlite").write_bytes(b"this was never a database" * 400)
    store = open_store(tmp_path)
    assert texts(store) == []
    assert [notice.code for notice in store.notices] == ["store.started_anew"]
    store.close()
    assert list(tmp_path.glob("s-damaged-*.sqlite"))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0, 1), noise=st.sampled_from(["cut", "zeros", "noise"]), seed=st.integers(0, 2**32))
def test_a_damaged_journal_tail_loses_only_whole_transactions_from_the_end(
    wal_home: Path, cut: float, noise: str, seed: int
) -> None:
    import random

    home = wal_home / f"try-{cut}-{noise}-{seed}"
    shutil.copytree(wal_home / "crashed", home, dirs_exist_ok=True)
    wal = home / "s.sqlite-wal"
    data = wal.read_bytes()
    at = int(cut * len(data))
    tail = {"cut": b"", "zeros": bytes(len(data) - at), "noise": random.Random(seed).randbytes(len(data) - at)}[noise]
    wal.write_bytes(data[:at] + tail)
    store = open_store(home)
    found = texts(store)
    assert found == [f"{k // 3}" for k in range(len(found))]
    assert len(found) % 3 == 0
    assert store.checkup() == []
    store.close()
    shutil.rmtree(home)


@pytest.fixture(scope="module")
def wal_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store killed with twenty transactions of three rows in its journal."""
    home = tmp_path_factory.mktemp("wal")
    crashed = home / "crashed"
    crashed.mkdir()
    code = (
        f"import os, signal, sys; from pathlib import Path; sys.path.insert(0, {str(ROOT)!r})\n"
        "from tests.unit.store.test_backup import open_store\n"
        f"store = open_store(Path({str(crashed)!r}))\n"
        "for n in range(20):\n"
        "    store.write_now(lambda db: db.conn.executemany('INSERT INTO notes (text) VALUES (?)', [(str(n),)] * 3))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code], timeout=60, check=False, cwd=ROOT)
    assert (crashed / "s.sqlite-wal").stat().st_size > 60_000
    return home


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path; from desktop.store.lock import StoreLock\n"
        f"lock = StoreLock(Path({str(tmp_path / 'l')!r})); print('held', flush=True); sys.stdin.read()\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    assert owner.stdout is not None
    assert owner.stdin is not None
    with owner:
        assert owner.stdout.readline() == b"held\n"
        with pytest.raises(StoreInUseError) as caught:
            StoreLock(tmp_path / "l")
        assert caught.value.facts["pid"] == str(owner.pid)
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait(10)
    StoreLock(tmp_path / "l").release()


def test_every_shipped_schema_opens(tmp_path: Path) -> None:
    shipped = sorted((ROOT / "tests" / "databases").glob("core-*.sqlite"))
    assert shipped, "each release's empty store belongs here: see tests/databases/README.md"
    for one in shipped:
        home = tmp_path / one.stem
        home.mkdir()
        shutil.copy(one, home / "s.sqlite")
        store = open_store(home)
        assert {row["name"] for row in store.read("SELECT name FROM migrations WHERE studio = 'core'")} >= {
            name for name, _ in schema.core
        }
        assert store.checkup() == []
        assert store.read("SELECT title FROM jobs") == [{"title": "kept from that version"}]
        store.close()


def _scribble(path: Path) -> None:
    """Overwrite the second half, as a failing disk would."""
    data = bytearray(path.read_bytes())
    half = len(data) // 2
    data[half:] = b"\xa5" * (len(data) - half)
    path.write_bytes(bytes(data))
