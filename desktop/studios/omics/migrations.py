"""The Omics studio's tables, append-only. SQL is here and in `repo.py` alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite_utils


def m001_runs(db: sqlite_utils.Database) -> None:
    """Finished analyses. `summary` and `hashes` are JSON; times are UTC epoch seconds.

    `published_s` is empty until the folder is in its place; `trashed_s` is set in the Trash.
    """
    db.execute(
        """CREATE TABLE omics_runs (
            id TEXT PRIMARY KEY, job_id TEXT NOT NULL, project TEXT NOT NULL, kind TEXT NOT NULL,
            title TEXT NOT NULL, question TEXT NOT NULL, headline TEXT NOT NULL, accession TEXT NOT NULL,
            source TEXT NOT NULL, out_dir TEXT NOT NULL, summary TEXT NOT NULL, hashes TEXT NOT NULL,
            script_sha256 TEXT NOT NULL,
            script_origin TEXT NOT NULL CHECK (script_origin IN ('template', 'person', 'model')),
            created_s REAL NOT NULL, published_s REAL, trashed_s REAL
        ) STRICT"""
    )
    db.execute("CREATE INDEX omics_runs_by_time ON omics_runs (project, created_s)")


def m002_templates(db: sqlite_utils.Database) -> None:
    """Plans kept as templates. `template` is JSON; names differ in more than case."""
    db.execute(
        """CREATE TABLE omics_templates (
            name TEXT PRIMARY KEY COLLATE NOCASE, template TEXT NOT NULL, created_s REAL NOT NULL
        ) STRICT"""
    )


omics = (("m001_runs", m001_runs), ("m002_templates", m002_templates))
