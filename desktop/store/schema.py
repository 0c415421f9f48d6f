"""Core's own migrations: the tables every studio shares. Append only; never edit one that was shipped."""

from __future__ import annotations

import sqlite_utils


def _run(db: sqlite_utils.Database, *statements: str) -> None:
    for statement in statements:
        db.conn.execute(statement)


def m001_jobs(db: sqlite_utils.Database) -> None:
    """The queue. `params`, `result`, `error`, `warnings` and `after` are JSON."""
    _run(
        db,
        """CREATE TABLE jobs (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, title TEXT NOT NULL, studio TEXT NOT NULL,
            project TEXT NOT NULL, lane TEXT NOT NULL,
            state TEXT NOT NULL
                CHECK (state IN ('waiting', 'running', 'done', 'failed', 'cancelled', 'interrupted')),
            params TEXT NOT NULL, created_s REAL NOT NULL, started_s REAL, ended_s REAL,
            step TEXT NOT NULL DEFAULT '', done_frac REAL NOT NULL DEFAULT 0, note TEXT NOT NULL DEFAULT '',
            result TEXT, error TEXT, warnings TEXT NOT NULL DEFAULT '[]', attempt INTEGER NOT NULL DEFAULT 1,
            rerun_of TEXT, after TEXT NOT NULL DEFAULT '[]'
        ) STRICT""",
        "CREATE INDEX jobs_by_state ON jobs (state, seq)",
    )


def m002_audit(db: sqlite_utils.Database) -> None:
    """The audit trail: rows can be added and read, nothing else."""
    _run(
        db,
        """CREATE TABLE audit (
            seq INTEGER PRIMARY KEY, at_s REAL NOT NULL, job_id TEXT, project TEXT NOT NULL,
            what TEXT NOT NULL, by TEXT NOT NULL, because TEXT NOT NULL, inputs TEXT NOT NULL,
            previous TEXT NOT NULL, hash TEXT NOT NULL
        ) STRICT""",
        """CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
           BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END""",
        """CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
           BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END""",
    )


def m003_spans(db: sqlite_utils.Database) -> None:
    """What took how long. `facts` is JSON."""
    _run(
        db,
        """CREATE TABLE spans (
            seq INTEGER PRIMARY KEY AUTOINCREMENT, trace_id TEXT NOT NULL, span_id TEXT NOT NULL, parent_id TEXT,
            name TEXT NOT NULL, started_s REAL NOT NULL, duration_us REAL NOT NULL, is_ok INTEGER NOT NULL,
            facts TEXT NOT NULL
        ) STRICT""",
        "CREATE INDEX spans_by_name ON spans (name, duration_us)",
        "CREATE INDEX spans_by_trace ON spans (trace_id)",
    )


def m004_steps(db: sqlite_utils.Database) -> None:
    """Workflow steps that are done, by workflow and hash of what went in. `output` is JSON."""
    _run(
        db,
        """CREATE TABLE steps (
            workflow TEXT NOT NULL, name TEXT NOT NULL, inputs_hash TEXT NOT NULL, output TEXT NOT NULL,
            done_s REAL NOT NULL, PRIMARY KEY (workflow, name, inputs_hash)
        ) STRICT""",
    )


def m005_search(db: sqlite_utils.Database) -> None:
    """Full-text search over whatever has a title: `documents` says what each row of the index is."""
    _run(
        db,
        """CREATE TABLE documents (
            rowid INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, UNIQUE (kind, id)
        ) STRICT""",
        """CREATE VIRTUAL TABLE search USING fts5 (
            title, text, tokenize = "unicode61 remove_diacritics 2", prefix = '2 3'
        )""",
    )


def m006_model_sizes(db: sqlite_utils.Database) -> None:
    """What models were measured to take when they were loaded, by what was loaded and how."""
    _run(
        db,
        """CREATE TABLE model_sizes (
            size_key TEXT PRIMARY KEY, measured_bytes INTEGER NOT NULL, measured_s REAL NOT NULL
        ) STRICT""",
    )


core = (
    ("m001_jobs", m001_jobs),
    ("m002_audit", m002_audit),
    ("m003_spans", m003_spans),
    ("m004_steps", m004_steps),
    ("m005_search", m005_search),
    ("m006_model_sizes", m006_model_sizes),
)
