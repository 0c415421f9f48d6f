"""The tables of finished runs and of templates: the only code that knows them. Files are not touched here."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from desktop.core.ports import Store
from desktop.studios.omics.template_schema import PlanTemplate

if TYPE_CHECKING:
    import sqlite_utils

_COLUMNS = (
    "id, job_id, project, kind, title, question, headline, accession, source, out_dir, summary, hashes, "
    "script_sha256, script_origin, created_s, published_s, trashed_s"
)


@dataclass(frozen=True, slots=True)
class RunRow:
    """One finished run. Times are UTC epoch seconds; `hashes` file → sha256; `script_origin` who wrote the script."""

    id: str
    job_id: str
    project: str
    kind: str
    title: str
    question: str
    headline: str
    accession: str
    source: str
    out_dir: str
    script_sha256: str
    script_origin: str
    created_s: float
    summary: dict[str, Any] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    published_s: float | None = None  # None: the folder may not be in its place yet
    trashed_s: float | None = None


def write_run(db: sqlite_utils.Database, run: RunRow) -> None:
    """Add a run, or renew it when the same job finished it again."""
    row = {name: getattr(run, name) for name in RunRow.__dataclass_fields__}
    row |= {"summary": json.dumps(run.summary), "hashes": json.dumps(run.hashes)}
    db.table("omics_runs").upsert(row, pk="id")


def write_published(db: sqlite_utils.Database, run_id: str, published_s: float) -> None:
    """The run's folder is in its place."""
    db.execute("UPDATE omics_runs SET published_s = ? WHERE id = ?", [published_s, run_id])


def write_trashed(db: sqlite_utils.Database, run_id: str, trashed_s: float | None) -> int:
    """Move to the Trash (a time) or back (None); returns how many rows changed."""
    changed = db.execute("UPDATE omics_runs SET trashed_s = ? WHERE id = ?", [trashed_s, run_id])
    return changed.rowcount


def read_run(store: Store, run_id: str) -> RunRow | None:
    """One run by its id, published or not."""
    rows = store.read(f"SELECT {_COLUMNS} FROM omics_runs WHERE id = ?", [run_id])
    return _run(rows[0]) if rows else None


def read_runs(
    store: Store, *, project: str | None = None, text: str = "", in_trash: bool = False, limit: int = 200
) -> list[RunRow]:
    """Runs, newest first. `text`: every word must stand in title, question, headline, accession or source."""
    where = ["published_s IS NOT NULL", "trashed_s IS NOT NULL" if in_trash else "trashed_s IS NULL"]
    values: list[Any] = []
    if project is not None:
        where.append("project = ?")
        values.append(project)
    for word in text.split():
        escaped = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        where.append(
            "(title || ' ' || question || ' ' || headline || ' ' || accession || ' ' || source) LIKE ? ESCAPE '\\'"
        )
        values.append(f"%{escaped}%")
    query = f"SELECT {_COLUMNS} FROM omics_runs WHERE {' AND '.join(where)} ORDER BY created_s DESC, id LIMIT ?"
    return [_run(row) for row in store.read(query, [*values, limit])]


def _run(row: dict[str, Any]) -> RunRow:
    return RunRow(**(row | {"summary": json.loads(row["summary"]), "hashes": json.loads(row["hashes"])}))


# ---- templates ------------------------------------------------------------------------------------------------------


def write_template(db: sqlite_utils.Database, template: PlanTemplate, created_s: float) -> None:
    """Keep a template, in the place of one of that name."""
    db.execute(
        "INSERT INTO omics_templates VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET name = excluded.name, "
        "template = excluded.template, created_s = excluded.created_s",
        [template.name, template.model_dump_json(), created_s],
    )


def write_template_gone(db: sqlite_utils.Database, name: str) -> int:
    """Forget a template; returns how many went."""
    return db.execute("DELETE FROM omics_templates WHERE name = ?", [name]).rowcount


def read_templates(store: Store, name: str | None = None) -> list[PlanTemplate]:
    """All templates by name, or the one of that name."""
    where, values = ("WHERE name = ?", [name]) if name is not None else ("", [])
    rows = store.read(f"SELECT template FROM omics_templates {where} ORDER BY name COLLATE NOCASE", values)
    return [PlanTemplate.model_validate_json(row["template"]) for row in rows]
