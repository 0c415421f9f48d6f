"""Once a second: progress, spans and the audit trail's head are stored, settings read again, backups made when due."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from desktop.core.clock import Clock
from desktop.core.config import SettingsStore
from desktop.core.errors import AppError
from desktop.core.paths import Paths
from desktop.core.trace import SpanBuffer
from desktop.store import audit, spans
from desktop.store import jobs as rows
from desktop.store.db import Database
from desktop.workers.live import LiveJob

_TICK_S = 1.0
_FIRST_BACKUP_S = 10.0
_BACKUP_EVERY_S = 3600.0
_log = logging.getLogger(__name__)


class Upkeep:
    """The runtime's housekeeping, on its loop."""

    def __init__(
        self,
        store: Database,
        settings: SettingsStore,
        paths: Paths,
        clock: Clock,
        waiting_spans: SpanBuffer,
        live: Mapping[str, LiveJob],
    ) -> None:
        self._store, self._settings, self._clock = store, settings, clock
        self._spans, self._live = waiting_spans, live
        self._head_path = paths.home / audit.HEAD_FILE
        self._head: audit.Head | None = None

    async def run(self) -> None:
        """Tick until cancelled; a fault is logged and tried again at the next tick."""
        backup_at_s = self._clock.monotonic_s() + _FIRST_BACKUP_S
        while True:
            await asyncio.sleep(_TICK_S)
            try:
                self._settings.poll()
                await self.store_all()
                if self._clock.monotonic_s() >= backup_at_s:
                    backup_at_s = self._clock.monotonic_s() + _BACKUP_EVERY_S
                    await asyncio.to_thread(self._store.backup_if_due)
            except AppError as error:
                _log.warning("upkeep: %s", error)
            except Exception:  # one bad tick must not end all later ones
                _log.exception("upkeep failed")

    async def store_all(self) -> None:
        """One write for every span and all progress since the last; then the audit trail's head beside the store."""
        taken = self._spans.drain()
        moved = [live.stored() for live in self._live.values() if not live.is_stored]
        if taken or moved:

            def write(db: Any) -> None:
                spans.write_spans(db, taken)
                for record in moved:
                    rows.write_progress(db, record)

            await self._store.write(write)
        head = audit.read_head(self._store)
        if head != self._head:
            audit.save_head(self._head_path, head)
            self._head = head
