"""The local models as the gateway sees them: what is on this disk, lent out within the memory budget.

Ids only: a path comes from the catalogue's notes (`installed`), room from the budget (`memory`).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from desktop.core.models import EngineName, FitAnswer
from desktop.engines.catalog import CatalogEntry
from desktop.engines.engine import Engine, FleetModel, LoadedModel
from desktop.engines.fitting import to_answer
from desktop.engines.installed import Installed, Note
from desktop.engines.memory import MemoryBudget

_LEAST_FIXED_TOKENS = 16_384  # a context longer than a tier's default comes in steps, so that loads can be shared


class LocalFleet:
    """`desktop.engines.engine.Fleet` over `Installed` and `MemoryBudget`."""

    def __init__(self, installed: Installed, budget: MemoryBudget, engines: Mapping[EngineName, Engine]) -> None:
        self._installed, self._budget = installed, budget
        self._engines = engines
        self._seen: tuple[tuple[Path, int], ...] | None = None
        self._known: list[tuple[CatalogEntry, Note]] = []

    def status(self) -> Sequence[FleetModel]:
        """See the port. The disk is read again only when a model came or went."""
        loaded = {slot.id for slot in self._budget.status().slots if slot.state == "loaded"}
        return [
            FleetModel(
                entry.id,
                entry.engine,
                None if entry.pooling else entry.tier,
                entry.context_tokens,
                entry.family,
                entry.pooling,
                entry.query_prefix,
                entry.id in loaded,
                str(note.added_s),
            )
            for entry, note in self._on_disk()
        ]

    @contextlib.asynccontextmanager
    async def lease(self, model_id: str, *, context_tokens: int) -> AsyncIterator[LoadedModel]:
        """See the port. Raises also UnknownModelError and NotInstalledError, for one deleted a moment ago."""
        entry = self._installed.find(model_id).entry
        wish: int | None = None
        if context_tokens > entry.context():
            wish = _LEAST_FIXED_TOKENS
            while wish < context_tokens:
                wish *= 2
        wanted = await asyncio.to_thread(self._installed.wanted, model_id, context_tokens=wish)
        async with self._budget.lease(wanted) as lease:
            yield lease.model

    async def run(self) -> None:
        """See the port."""
        await self._budget.run()

    async def aclose(self) -> None:
        """See the port."""
        await self._budget.aclose()

    async def load(self, model_id: str) -> None:
        """See the port."""
        async with self.lease(model_id, context_tokens=0):
            pass

    async def unload(self, model_id: str) -> int:
        """See the port."""
        return await self._budget.unload(model_id)

    def pin(self, model_id: str, *, is_pinned: bool) -> None:
        """See the port."""
        wanted = self._installed.wanted(model_id)
        if is_pinned:
            self._budget.pin(wanted)
        else:
            self._budget.unpin(wanted)

    def fit(self, model_id: str, *, context_tokens: int | None = None) -> FitAnswer:
        """See the port."""
        known = self._installed.find(model_id)
        context = known.entry.context(context_tokens)
        if known.note is None:
            fit = self._budget.fit_bytes(known.entry.need(context).total_bytes)
        else:
            fit = self._budget.fit(self._installed.wanted(model_id, context_tokens=context_tokens))
        return to_answer(known.entry, context, fit, self._budget.status().limit_bytes)

    def memory(self) -> dict[str, Any]:
        """See the port."""
        status = asdict(self._budget.status())
        for slot in status["slots"]:
            slot["idle_limit_s"] = slot["idle_limit_s"] if math.isfinite(slot["idle_limit_s"]) else None
        return status | {"slots": list(status["slots"])}

    def _on_disk(self) -> list[tuple[CatalogEntry, Note]]:
        folder = self._installed.folder
        seen = tuple((path, _stamp(path)) for path in (folder, folder / ".trash"))
        if seen != self._seen:
            self._known = [
                (known.entry, known.note)
                for known in self._installed.models()
                if known.note is not None and not known.is_trashed and self._can_run(known.entry.engine)
            ]
            self._seen = seen
        return self._known

    def _can_run(self, engine: EngineName) -> bool:
        return engine in self._engines and self._engines[engine].is_available()


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
