"""Copies of the store: made with SQLite's backup, proven by an integrity check, pruned, and put back when needed.

Works on files only, so that a store too damaged to open can still be replaced.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from desktop.core.clock import Clock
from desktop.core.files import flush, sync_folder
from desktop.store.connect import connect_reader
from desktop.store.errors import StoreDamagedError, StoreUnwritableError, typed_error
from desktop.store.migrate import check_version

_KEEP_DAYS = 7
_KEEP_WEEKS = 4
_KEEP_OTHERS = 5  # made before migrations and restores
_STAMP = "%Y%m%dT%H%M%S%fZ"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened to the store at start and a person must be told."""

    code: str
    message: str
    hint: str


def _utc(clock: Clock) -> datetime:
    return datetime.fromtimestamp(clock.now_s(), UTC)


def _made_at(path: Path) -> datetime:
    return datetime.strptime(path.stem.split("-")[1], _STAMP).replace(tzinfo=UTC)


def backups(backups_dir: Path) -> list[Path]:
    """Every backup, newest first."""
    found = []
    for path in backups_dir.glob("store-*.sqlite") if backups_dir.is_dir() else ():
        with contextlib.suppress(ValueError, IndexError):
            _made_at(path)
            found.append(path)
    return sorted(found, key=_made_at, reverse=True)


def check(path: Path) -> list[str]:
    """What an integrity check says against the file; empty when it is sound."""
    try:
        conn = connect_reader(path)
        try:
            return [row[0] for row in conn.execute("PRAGMA integrity_check(20)") if row[0] != "ok"]
        finally:
            conn.close()
    except sqlite3.DatabaseError as error:
        if (getattr(error, "sqlite_errorname", "") or "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return [str(error)]
        raise


def make(path: Path, backups_dir: Path, clock: Clock, *, reason: str) -> Path:
    """A verified copy of the store as it is now, while others go on reading and writing it.

    reason   goes into the file name: "daily", "before-m003_spans"
    raises   StoreFullError, StoreUnwritableError, StoreDamagedError; nothing half-written stays
    """
    target = backups_dir / f"store-{_utc(clock).strftime(_STAMP)}-{reason}.sqlite"
    partial = target.with_suffix(".partial")
    try:
        backups_dir.mkdir(parents=True, exist_ok=True)
        source = connect_reader(path)
        try:
            copy = sqlite3.connect(partial, isolation_level=None)
            try:
                source.backup(copy)
                copy.execute("PRAGMA journal_mode=DELETE").fetchall()
            finally:
                copy.close()
        finally:
            source.close()
        faults = check(partial)
        if faults:
            raise StoreDamagedError(
                f"A backup of the store did not pass its check: {faults[0]}.",
                hint="Restart Benchtop: it checks the store and restores the newest good backup.",
            )
        _sync_file(partial)
        partial.replace(target)
        sync_folder(backups_dir)
    except sqlite3.Error as error:
        raise typed_error(error, path) or error from error
    except OSError as error:
        raise StoreUnwritableError(
            f"The backup could not be written: {error.strerror}.", hint="Check the disk's free space."
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return target


def make_daily(path: Path, backups_dir: Path, clock: Clock) -> Path | None:
    """Today's backup if there is none yet; then drop what is past keeping."""
    today = _utc(clock).date()
    if any(_made_at(one).date() == today for one in backups(backups_dir) if one.stem.endswith("-daily")):
        return None
    made = make(path, backups_dir, clock, reason="daily")
    found = backups(backups_dir)
    for one in set(found) - _kept(found):
        one.unlink(missing_ok=True)
    return made


def _kept(found: list[Path]) -> set[Path]:
    """The newest of each of 7 days, of this week and the 4 before, and the newest 5 made for another reason."""
    daily = [one for one in found if one.stem.endswith("-daily")]
    others = [one for one in found if one not in daily]
    kept = set(others[:_KEEP_OTHERS])
    by_day: dict[object, Path] = {}
    by_week: dict[object, Path] = {}
    for one in daily:
        made = _made_at(one)
        by_day.setdefault(made.date(), one)
        by_week.setdefault(made.isocalendar()[:2], one)
    return kept | set(list(by_day.values())[:_KEEP_DAYS]) | set(list(by_week.values())[: _KEEP_WEEKS + 1])


def check_or_restore(path: Path, backups_dir: Path, clock: Clock) -> tuple[Notice, ...]:
    """At start: leave a sound store alone; set a damaged one aside and put the newest good backup in its place.

    raises   StoreForeignError, StoreNewerError: those files are not ours to touch
    """
    if not path.exists():
        return ()
    faults = check(path)
    if not faults:
        check_version(path)
        return ()
    aside = path.with_name(f"{path.stem}-damaged-{_utc(clock).strftime(_STAMP)}{path.suffix}")
    _move(path, aside)
    for candidate in backups(backups_dir):
        if not check(candidate):
            _copy_into_place(candidate, path)
            return (
                Notice(
                    "store.restored",
                    f"The store was damaged ({faults[0]}). The backup of {_made_at(candidate):%Y-%m-%d %H:%M} UTC"
                    " was restored.",
                    f"Work done since then is missing. The damaged file is kept as {aside.name}.",
                ),
            )
    return (
        Notice(
            "store.started_anew",
            f"The store was damaged ({faults[0]}) and there is no good backup. An empty one was started.",
            f"Results on disk are untouched. The damaged file is kept as {aside.name}.",
        ),
    )


def restore(chosen: Path, path: Path, backups_dir: Path, clock: Clock) -> Path:
    """Put a backup in the store's place while no one has it open; returns where the present one was kept.

    raises   StoreDamagedError if the backup is not sound; the store is untouched then
    """
    faults = check(chosen)
    if faults:
        raise StoreDamagedError(f"That backup is damaged: {faults[0]}.", hint="Choose another backup.")
    check_version(chosen)
    aside = make(path, backups_dir, clock, reason="before-restore") if path.exists() and not check(path) else path
    if aside == path and path.exists():
        aside = path.with_name(f"{path.stem}-damaged-{_utc(clock).strftime(_STAMP)}{path.suffix}")
        _move(path, aside)
    _copy_into_place(chosen, path)
    return aside


def _move(path: Path, aside: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(aside.with_name(aside.name + suffix))
    sync_folder(path.parent)


def _copy_into_place(source: Path, path: Path) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(source.read_bytes())
        _sync_file(partial)
        for suffix in ("-wal", "-shm"):  # another file's journal must never meet this file
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        partial.replace(path)
        sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _sync_file(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        flush(fd)
    finally:
        os.close(fd)
