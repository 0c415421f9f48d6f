"""The rows of the job queue. What they mean and who may change which is `desktop.workers.runtime`'s business."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, fields
from typing import Any

import sqlite_utils

from desktop.core.jobs import JobError, JobRecord, JobState
from desktop.store.db import Database

_JSON = ("params", "result", "error", "warnings", "after")
_COLUMNS = tuple(field.name for field in fields(JobRecord) if field.name != "time_left_s")


def to_row(record: JobRecord) -> dict[str, Any]:
    """A record as the columns it is kept in."""
    values = {
        name: asdict(record.error) if name == "error" and record.error else getattr(record, name) for name in _COLUMNS
    }
    return {
        name: json.dumps(value, ensure_ascii=False) if name in _JSON and value is not None else value
        for name, value in values.items()
    } | {"state": record.state.value}


def to_record(row: dict[str, Any]) -> JobRecord:
    """A row as a record."""
    values = {name: row[name] for name in _COLUMNS}
    for name in _JSON:
        values[name] = None if values[name] is None else json.loads(values[name])
    values["state"] = JobState(values["state"])
    values["error"] = JobError(**values["error"]) if values["error"] else None
    values["warnings"], values["after"] = tuple(values["warnings"]), tuple(values["after"])
    return JobRecord(**values)


def write_new(db: sqlite_utils.Database, record: JobRecord) -> None:
    """Add a job. When it is the rerun of another, jobs that wait for that one wait for this one from now on."""
    row = to_row(record)
    db.conn.execute(
        f"INSERT INTO jobs ({', '.join(row)}) VALUES ({', '.join('?' for _ in row)})",
        tuple(row.values()),
    )
    if record.rerun_of:
        db.conn.execute(
            "UPDATE jobs SET after = replace(after, ?, ?) WHERE state = 'waiting'",
            (json.dumps(record.rerun_of), json.dumps(record.id)),
        )


def write_record(db: sqlite_utils.Database, record: JobRecord) -> None:
    """Replace what is kept of a job."""
    row = to_row(record)
    row.pop("after")  # changed by reruns only, in the store itself
    db.conn.execute(
        f"UPDATE jobs SET {', '.join(f'{name} = ?' for name in row)} WHERE id = ?",
        (*row.values(), record.id),
    )


def write_progress(db: sqlite_utils.Database, record: JobRecord) -> None:
    """Note how far a running job is; an ended one is left alone."""
    db.conn.execute(
        "UPDATE jobs SET step = ?, done_frac = ?, note = ?, warnings = ? WHERE id = ? AND state = 'running'",
        (record.step, record.done_frac, record.note, json.dumps(record.warnings, ensure_ascii=False), record.id),
    )


def write_interrupted(db: sqlite_utils.Database, now_s: float) -> int:
    """At start: what still says it is running was cut off. Returns how many there were."""
    cursor = db.conn.execute("UPDATE jobs SET state = 'interrupted', ended_s = ? WHERE state = 'running'", (now_s,))
    return int(cursor.rowcount)


def read_one(store: Database, job_id: str) -> JobRecord | None:
    """The job with this id."""
    rows = store.read("SELECT * FROM jobs WHERE id = ?", (job_id,))
    return to_record(rows[0]) if rows else None


def read_many(
    store: Database,
    *,
    states: Collection[JobState] = (),
    project: str | None = None,
    limit: int = 500,
    newest_first: bool = True,
) -> list[JobRecord]:
    """Jobs in these states (all when empty), of one project or all."""
    wanted = [state.value for state in states or JobState]
    sql = "SELECT * FROM jobs WHERE state IN (SELECT value FROM json_each(?))"
    params: list[Any] = [json.dumps(wanted)]
    if project is not None:
        sql += " AND project = ?"
        params.append(project)
    sql += f" ORDER BY seq {'DESC' if newest_first else 'ASC'} LIMIT ?"
    return [to_record(row) for row in store.read(sql, [*params, limit])]


def read_interrupted(store: Database) -> list[JobRecord]:
    """Interrupted jobs that were not run again yet, oldest first."""
    rows = store.read(
        "SELECT * FROM jobs AS old WHERE state = 'interrupted'"
        " AND NOT EXISTS (SELECT 1 FROM jobs WHERE rerun_of = old.id) ORDER BY seq"
    )
    return [to_record(row) for row in rows]
