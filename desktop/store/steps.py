"""Finished workflow steps in the store: what lets a workflow go on where a crash left it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from desktop.core.clock import Clock
from desktop.store.db import Database

_NOTE = "INSERT OR REPLACE INTO steps VALUES (?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class StoredSteps:
    """`desktop.core.workflow.StepLog` over the store."""

    store: Database
    clock: Clock

    async def read(self, workflow: str, name: str, inputs_hash: str) -> tuple[Any] | None:
        rows = self.store.read(
            "SELECT output FROM steps WHERE workflow = ? AND name = ? AND inputs_hash = ?",
            (workflow, name, inputs_hash),
        )
        return (json.loads(rows[0]["output"]),) if rows else None

    async def write(self, workflow: str, name: str, inputs_hash: str, output: Any) -> None:
        row = (workflow, name, inputs_hash, json.dumps(output, ensure_ascii=False), self.clock.now_s())
        await self.store.write(lambda db: db.conn.execute(_NOTE, row))
