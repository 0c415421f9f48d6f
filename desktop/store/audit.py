"""The audit trail: who decided what, because of what, on which inputs. Rows are added, never changed.

Each row's hash covers its content and the hash before it, so that an edited, swapped or removed row is found; a cut-off
tail is found against a head (count and hash) kept elsewhere. It shows tampering, it does not prevent it: whoever may
write the file can also rebuild the whole chain and the head.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlite_utils

from desktop.core.files import write_atomic
from desktop.store.db import Database

HEAD_FILE = "audit.head"
_START = "0" * 64
_PAGE = 5000


@dataclass(frozen=True, slots=True)
class Head:
    """How long the trail is and its last hash: enough, kept elsewhere, to notice a cut-off tail."""

    count: int
    hash: str


@dataclass(frozen=True, slots=True)
class Break:
    """The first row that does not fit, and why."""

    seq: int
    reason: str


def write_entry(
    db: sqlite_utils.Database,
    *,
    at_s: float,
    what: str,
    by: str,
    because: str,
    inputs: Mapping[str, str] | None = None,
    job_id: str | None = None,
    project: str = "default",
) -> Head:
    """Append a row; returns the trail's new head.

    what     "chose DESeq2 on GSE1 counts"        by   "rule:…", "model:…" or "person"
    because  the reason, for a person             inputs   name → sha256 of what the decision rests on
    """
    last = db.conn.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    seq, previous = (last[0] + 1, last[1]) if last else (1, _START)
    row: dict[str, Any] = {
        "seq": seq,
        "at_s": at_s,
        "job_id": job_id,
        "project": project,
        "what": what,
        "by": by,
        "because": because,
        "inputs": json.dumps(dict(inputs or {}), sort_keys=True, ensure_ascii=False),
        "previous": previous,
    }
    row["hash"] = _hash(row)
    db.conn.execute(
        "INSERT INTO audit (seq, at_s, job_id, project, what, by, because, inputs, previous, hash)"
        " VALUES (:seq, :at_s, :job_id, :project, :what, :by, :because, :inputs, :previous, :hash)",
        row,
    )
    return Head(seq, row["hash"])


def read_entries(store: Database, *, job_id: str | None = None) -> Iterator[dict[str, Any]]:
    """The trail's rows in order, all or one job's."""
    seq = 0
    while True:
        rows = store.read(
            "SELECT * FROM audit WHERE seq > ? AND (? IS NULL OR job_id = ?) ORDER BY seq LIMIT ?",
            (seq, job_id, job_id, _PAGE),
        )
        if not rows:
            return
        yield from rows
        seq = rows[-1]["seq"]


def read_head(store: Database) -> Head:
    """The trail's present head."""
    rows = store.read("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
    return Head(rows[0]["seq"], rows[0]["hash"]) if rows else Head(0, _START)


def verify(store: Database, head: Head | None = None) -> Break | None:
    """The first row that breaks the chain, or None. With a head kept elsewhere a missing tail is found too."""
    previous, seq, at_head = _START, 0, _START
    for row in read_entries(store):
        seq += 1
        if row["seq"] != seq:
            return Break(seq, f"row {seq} is missing")
        if row["previous"] != previous:
            return Break(seq, f"row {seq} does not follow the row before it")
        if _hash(row) != row["hash"]:
            return Break(seq, f"row {seq} was changed after it was written")
        previous = row["hash"]
        if head is not None and seq == head.count:
            at_head = previous
    if head is not None and (seq < head.count or at_head != head.hash):
        return Break(min(seq, head.count) + 1, "the end of the trail is missing or was written anew")
    return None


def save_head(path: Path, head: Head) -> None:
    """Keep the head beside the store."""
    write_atomic(path, json.dumps({"count": head.count, "hash": head.hash}).encode())


def load_head(path: Path) -> Head | None:
    """The head kept beside the store; None when there is none or it cannot be read."""
    try:
        kept = json.loads(path.read_bytes())
        return Head(int(kept["count"]), str(kept["hash"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def export_lines(store: Database) -> Iterator[str]:
    """The whole trail as JSON lines, oldest first."""
    for row in read_entries(store):
        yield json.dumps({**row, "inputs": json.loads(row["inputs"])}, ensure_ascii=False, sort_keys=True)


def _hash(row: Mapping[str, Any]) -> str:
    content = {name: value for name, value in row.items() if name != "hash"}
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
