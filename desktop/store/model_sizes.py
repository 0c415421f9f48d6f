"""What models were measured to take, kept for the next estimate. What a key means is the memory budget's business."""

from __future__ import annotations

from desktop.core.clock import Clock
from desktop.store.db import Database


class ModelSizes:
    """Measured bytes by key."""

    def __init__(self, store: Database, clock: Clock) -> None:
        self._store, self._clock = store, clock

    def find(self, size_key: str) -> int | None:
        """Bytes as measured last; None when that never happened."""
        rows = self._store.read("SELECT measured_bytes FROM model_sizes WHERE size_key = ?", [size_key])
        return int(rows[0]["measured_bytes"]) if rows else None

    async def keep(self, size_key: str, measured_bytes: int) -> None:
        """Remember a measurement in place of the one before."""
        row = {"size_key": size_key, "measured_bytes": measured_bytes, "measured_s": self._clock.now_s()}
        await self._store.write(lambda db: db.table("model_sizes").upsert(row, pk="size_key"))
