"""Spans in the store: written in batches, asked for percentiles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import sqlite_utils

from desktop.core.trace import Span
from desktop.store.db import Database

_KEEP = 200_000


@dataclass(frozen=True, slots=True)
class Latency:
    """How long the spans of one name took; percentiles by nearest rank, in milliseconds."""

    name: str
    count: int
    failed: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


def write_spans(db: sqlite_utils.Database, spans: Sequence[Span]) -> None:
    """Add a batch, and drop the oldest beyond what is kept."""
    db.conn.executemany(
        "INSERT INTO spans (trace_id, span_id, parent_id, name, started_s, duration_us, is_ok, facts)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (s.trace_id, s.span_id, s.parent_id, s.name, s.started_s, s.duration_us, int(s.is_ok), json.dumps(s.facts))
            for s in spans
        ],
    )
    db.conn.execute("DELETE FROM spans WHERE seq <= (SELECT max(seq) FROM spans) - ?", (_KEEP,))


def read_latencies(store: Database, *, since_s: float = 0.0) -> list[Latency]:
    """One row for each span name, slowest p95 first."""
    rows = store.read(
        """
        WITH ranked AS (
            SELECT name, duration_us, is_ok,
                   row_number() OVER (PARTITION BY name ORDER BY duration_us) AS rank,
                   count(*) OVER (PARTITION BY name) AS n
            FROM spans WHERE started_s >= ?
        )
        SELECT name, n AS count, sum(1 - is_ok) AS failed,
               min(CASE WHEN rank >= 0.50 * n THEN duration_us END) / 1000 AS p50_ms,
               min(CASE WHEN rank >= 0.95 * n THEN duration_us END) / 1000 AS p95_ms,
               min(CASE WHEN rank >= 0.99 * n THEN duration_us END) / 1000 AS p99_ms
        FROM ranked GROUP BY name ORDER BY p95_ms DESC
        """,
        (since_s,),
    )
    return [Latency(**row) for row in rows]


def read_trace(store: Database, trace_id: str) -> list[Span]:
    """The spans of one trace (a job), in the order they began."""
    rows = store.read("SELECT * FROM spans WHERE trace_id = ? ORDER BY started_s, seq", (trace_id,))
    return [
        Span(
            trace_id=row["trace_id"],
            span_id=row["span_id"],
            parent_id=row["parent_id"],
            name=row["name"],
            started_s=row["started_s"],
            duration_us=row["duration_us"],
            is_ok=bool(row["is_ok"]),
            facts=json.loads(row["facts"]),
        )
        for row in rows
    ]
