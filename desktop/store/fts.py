"""Full-text search over whatever has a title: one index for the Library and the palette.

Ranks by BM25 with the title counting more; the last word matches as a prefix, so results come while one types.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import sqlite_utils

from desktop.store.db import Database

_WORD = re.compile(r"\w+")
_TITLE_WEIGHT = 5.0
_MAX_WORDS = 16


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing found; `snippet` shows the words in their place, between \x02 and \x03."""

    kind: str
    id: str
    title: str
    snippet: str


def write_document(db: sqlite_utils.Database, *, kind: str, ref: str, title: str, text: str) -> None:
    """Make a thing findable, or renew what is findable of it."""
    delete_document(db, kind=kind, ref=ref)
    cursor = db.conn.execute("INSERT INTO documents (kind, id) VALUES (?, ?)", (kind, ref))
    db.conn.execute("INSERT INTO search (rowid, title, text) VALUES (?, ?, ?)", (cursor.lastrowid, title, text))


def delete_document(db: sqlite_utils.Database, *, kind: str, ref: str) -> None:
    """Make a thing unfindable; harmless when it is not there."""
    db.conn.execute(
        "DELETE FROM search WHERE rowid = (SELECT rowid FROM documents WHERE kind = ? AND id = ?)", (kind, ref)
    )
    db.conn.execute("DELETE FROM documents WHERE kind = ? AND id = ?", (kind, ref))


def search(store: Database, query: str, *, kinds: Collection[str] = (), limit: int = 50) -> list[Hit]:
    """The best matches that hold every word, best first. Any text is a valid query; one without words finds nothing."""
    words = _WORD.findall(query)[:_MAX_WORDS]
    if not words:
        return []
    match = " AND ".join(f'"{word}"' for word in words[:-1]) + (" AND " if len(words) > 1 else "") + f'"{words[-1]}"*'
    chosen = ", ".join("?" for _ in kinds)
    rows = store.read(
        "SELECT documents.kind, documents.id, search.title, snippet(search, -1, char(2), char(3), '…', 16) AS snippet"
        " FROM search JOIN documents ON documents.rowid = search.rowid WHERE search MATCH ?"
        + (f" AND documents.kind IN ({chosen})" if kinds else "")
        + f" ORDER BY bm25(search, {_TITLE_WEIGHT}, 1.0), documents.rowid DESC LIMIT ?",
        (match, *kinds, limit),
    )
    return [Hit(**row) for row in rows]
