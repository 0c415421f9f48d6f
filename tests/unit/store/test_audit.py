"""The audit trail: it grows, it cannot be changed through the store, and tampering with the file is found."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desktop.core.events import EventBus
from desktop.store import audit
from desktop.store.db import Database


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    db = Database.open(tmp_path / "s.sqlite", {}, backups_dir=tmp_path / "b", bus=EventBus())
    yield db
    db.close()


def fill(store: Database, n: int) -> audit.Head:
    head = audit.read_head(store)
    for k in range(n):
        head = store.write_now(
            lambda db, k=k: audit.write_entry(
                db, at_s=float(k), what=f"chose {k}", by="rule:x", because="“so”", inputs={"counts": "ab"}, job_id="j"
            )
        )
    return head


def tamper(store: Database, *statements: str) -> None:
    """What someone with the file and SQLite's own tools could do."""
    conn = sqlite3.connect(store.path)
    conn.execute("DROP TRIGGER audit_no_update")
    conn.execute("DROP TRIGGER audit_no_delete")
    for statement in statements:
        conn.execute(statement)
    conn.commit()
    conn.close()


def test_entries_come_back_in_order_and_export_as_lines(store: Database) -> None:
    head = fill(store, 3)
    assert head == audit.read_head(store)
    assert audit.verify(store, head) is None
    lines = [json.loads(line) for line in audit.export_lines(store)]
    assert [line["what"] for line in lines] == ["chose 0", "chose 1", "chose 2"]
    assert lines[0]["inputs"] == {"counts": "ab"}
    assert [row["seq"] for row in audit.read_entries(store, job_id="other")] == []


def test_an_empty_trail_is_whole(store: Database) -> None:
    assert audit.verify(store, audit.read_head(store)) is None


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit SET what = 'nothing' WHERE seq = 1",
        "DELETE FROM audit WHERE seq = 2",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit SELECT seq, at_s, job_id, project, 'x', by, because, inputs, previous, hash FROM audit",
    ],
)
def test_the_store_refuses_changes(store: Database, sql: str) -> None:
    head = fill(store, 2)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        store.write_now(lambda db: db.conn.execute(sql))
    assert audit.verify(store, head) is None


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    row=st.integers(1, 8),
    column=st.sampled_from(["at_s", "job_id", "project", "what", "by", "because", "inputs", "previous", "hash"]),
)
def test_any_edit_of_the_file_is_found_at_its_row(
    tmp_path_factory: pytest.TempPathFactory, row: int, column: str
) -> None:
    home = tmp_path_factory.mktemp("audit")
    store = Database.open(home / "s.sqlite", {}, backups_dir=home / "b", bus=EventBus())
    try:
        head = fill(store, 8)
        tamper(store, f"UPDATE audit SET {column} = {'at_s + 1' if column == 'at_s' else repr('x')} WHERE seq = {row}")
        broken = audit.verify(store, head)
        assert broken is not None
        assert broken.seq == row
    finally:
        store.close()


@pytest.mark.parametrize(
    ("statements", "row"),
    [
        pytest.param(("DELETE FROM audit WHERE seq = 4",), 4, id="one removed"),
        pytest.param(("DELETE FROM audit WHERE seq >= 7",), 7, id="tail cut off"),
        pytest.param(("DELETE FROM audit",), 1, id="all removed"),
        pytest.param(
            (
                "UPDATE audit SET seq = 100 WHERE seq = 2",
                "UPDATE audit SET seq = 2 WHERE seq = 3",
                "UPDATE audit SET seq = 3 WHERE seq = 100",
            ),
            2,
            id="two swapped",
        ),
    ],
)
def test_missing_and_swapped_rows_are_found(store: Database, statements: tuple[str, ...], row: int) -> None:
    head = fill(store, 8)
    tamper(store, *statements)
    broken = audit.verify(store, head)
    assert broken is not None
    assert broken.seq == row


def test_a_trail_written_anew_does_not_fit_the_kept_head(store: Database, tmp_path: Path) -> None:
    audit.save_head(tmp_path / "head", fill(store, 3))
    tamper(store, "DELETE FROM audit")
    for k in range(4):
        store.write_now(
            lambda db, k=k: audit.write_entry(db, at_s=float(k), what="other", by="person", because="hides it")
        )
    assert audit.verify(store) is None
    assert audit.verify(store, audit.load_head(tmp_path / "head")) is not None


def test_a_head_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert audit.load_head(tmp_path / "none") is None
    (tmp_path / "bad").write_text("{")
    assert audit.load_head(tmp_path / "bad") is None
