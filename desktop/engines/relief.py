"""What happens when memory gets scarce while models are loaded: one step after another until it is enough.

Buffer pools → prompt caches → smaller buffers → idle models → no new work → bulk work stops. Each step that did
something is one event with the bytes before and after. Requests under way are never touched, except bulk work at last.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from desktop.core.errors import AppError
from desktop.engines.engine import LoadedModel
from desktop.engines.ledger import Ledger
from desktop.engines.slots import MemoryEvent, Slot, Step

TIGHT_FRAC = 0.90  # of RAM used by all programs counts as scarce even where the system does not complain yet
BUFFERS_TIGHT_BYTES = 64 * 1024**2  # what a runtime may keep for reuse once memory was scarce
_ANSWER_S = 2.0
_log = logging.getLogger(__name__)


class Evict(Protocol):
    """Unloads an idle model; awaiting it waits until its memory is back."""

    def __call__(self, slot: Slot, because: str) -> Awaitable[None]: ...


class Relief:
    """Watches pressure and relieves it. `is_refusing`: new work is turned away until memory is no longer scarce."""

    def __init__(self, ledger: Ledger, evict: Evict, tell: Callable[[MemoryEvent], Awaitable[None]]) -> None:
        self._ledger, self._evict, self._tell = ledger, evict, tell
        self.is_refusing = False

    async def check(self) -> None:
        """Look at the machine; when memory is scarce, take steps in their order until it is not."""
        if not self._is_tight():
            if self.is_refusing:
                self.is_refusing = False
                await self._say("work_accepted", (), self._ledger.held_bytes)
            return
        was_refusing = self.is_refusing
        steps = (self._clear_buffers, self._drop_caches, self._limit_buffers, self._evict_idle, self._refuse)
        for step in steps:
            if await step() and not self._is_tight():
                return
        if was_refusing:  # since an earlier look, and it did not help
            await self._cancel_bulk()

    async def trim(self) -> None:
        """Caches grew beyond the budget: give them back, least recently finished model first, until all is within."""
        for slot in self._ledger.idle_slots():
            over = self._ledger.charged_bytes - self._ledger.limit_bytes
            if over <= 0:
                return
            keep = max(0, slot.held_bytes - slot.loaded_bytes - over)
            await self._on_caches("caches_dropped", [slot], partial(_drop_to, keep))

    def _is_tight(self) -> bool:
        machine = self._ledger.machine
        if not self._ledger.slots and not self.is_refusing:
            return False  # nothing here that could be given back; loads are held to the live check anyway
        return machine.pressure() != "normal" or self._ledger.used_bytes >= TIGHT_FRAC * machine.total_bytes()

    async def _clear_buffers(self) -> bool:
        slots = self._ledger.idle_slots()
        return await self._on_caches("buffers_cleared", slots, lambda model: model.drop_caches(2**62))

    async def _drop_caches(self) -> bool:
        slots = [slot for slot in self._ledger.idle_slots() if slot.held_bytes > slot.loaded_bytes]
        return await self._on_caches("caches_dropped", slots, lambda model: model.drop_caches(0))

    async def _limit_buffers(self) -> bool:
        slots = self._ledger.idle_slots()
        return await self._on_caches("buffers_limited", slots, lambda model: model.limit_buffers(BUFFERS_TIGHT_BYTES))

    async def _evict_idle(self) -> bool:
        before, gone = self._ledger.held_bytes, []
        for slot in self._ledger.idle_slots():
            if not self._is_tight():
                break
            if not self._ledger.is_idle(slot):
                continue  # somebody took it while another one went
            await self._evict(slot, "memory is scarce")
            gone.append(slot.id)
        return await self._say("idle_evicted", gone, before)

    async def _refuse(self) -> bool:
        if self.is_refusing:
            return False
        self.is_refusing = True
        await self._say("work_refused", [slot.id for slot in self._ledger.slots.values()], self._ledger.held_bytes)
        return False

    async def _cancel_bulk(self) -> bool:
        before = self._ledger.held_bytes
        slots = [slot for slot in self._ledger.slots.values() if slot.revokes]
        for slot in slots:
            for revoke in tuple(slot.revokes):
                revoke()
        return await self._say("bulk_cancelled", [slot.id for slot in slots], before)

    async def _on_caches(self, step: Step, slots: list[Slot], work: Callable[[LoadedModel], Awaitable[int]]) -> bool:
        """Do it on each idle model; whether any gave something back. One that does not answer in time is passed by."""
        before, done = self._ledger.held_bytes, []
        for slot in slots:
            if slot.model is None or not self._ledger.is_idle(slot):
                continue
            try:
                async with asyncio.timeout(_ANSWER_S):
                    freed = await work(slot.model)
            except (AppError, TimeoutError):
                _log.warning("%s did not give caches back", slot.id, exc_info=True)
                continue
            if freed > 0:
                slot.held_bytes = max(0, slot.held_bytes - freed)
                slot.charge_bytes = max(slot.floor_bytes, slot.held_bytes)
                done.append(slot.id)
        return await self._say(step, done, before)

    async def _say(self, step: Step, models: tuple[str, ...] | list[str], before: int) -> bool:
        """One event when the step did something; whether it did."""
        if models or step in ("work_refused", "work_accepted"):
            after = self._ledger.held_bytes
            await self._tell(MemoryEvent(step, tuple(models), before, after, "memory is scarce"))
        return bool(models)


def _drop_to(keep_bytes: int, model: LoadedModel) -> Awaitable[int]:
    return model.drop_caches(keep_bytes)
