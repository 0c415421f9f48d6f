"""The life of a model in memory: loaded, measured, lost or unloaded, each told to the audit trail.

Does what it is asked; whether there is room and who waits is `memory`'s. Runs on the budget's asyncio loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from desktop.core.errors import AppError
from desktop.core.models import EngineName
from desktop.core.resilience import Retries
from desktop.engines.engine import Engine
from desktop.engines.errors import BudgetExceededError, EngineLostError
from desktop.engines.ledger import Ledger, Plan
from desktop.engines.loading import load_patiently
from desktop.engines.slots import MeasuredSizes, MemoryEvent, Slot, Step, Waiter, Wanted

RESTARTS = Retries(attempts=1, first_s=0.5, longest_s=30.0)
_HEALTH_S = 2.0
_log = logging.getLogger(__name__)


class Residents:
    """Carries models in and out of the ledger's slots. `tasks` are what is under way."""

    def __init__(
        self,
        ledger: Ledger,
        engines: Mapping[EngineName, Engine],
        sizes: MeasuredSizes,
        *,
        on_event: Callable[[MemoryEvent], Awaitable[None]],
        on_change: Callable[[], None],
        grant: Callable[[Slot, Waiter], None],
    ) -> None:
        """on_change: something came free or changed state; grant: gives a waiter of a loaded slot its lease."""
        self._ledger, self._engines, self._sizes = ledger, engines, sizes
        self._on_event, self._on_change, self._grant = on_event, on_change, grant
        self._failures: dict[Path, int] = {}
        self._not_before_s: dict[Path, float] = {}
        self.tasks: set[asyncio.Task[None]] = set()

    def pause_s(self, key: Path) -> float:
        """How long a model that was lost must wait before it is loaded again; 0 or less: no longer."""
        return self._not_before_s.get(key, 0.0) - self._ledger.clock.monotonic_s()

    def forgive(self, key: Path) -> None:
        """A request went well: the next loss is the first again."""
        self._failures.pop(key, None)

    def start_load(self, key: Path, wanted: Wanted, waiting: list[Waiter]) -> None:
        """Take the room now, load in the background, then grant `waiting` (others may join them)."""
        slot = Slot(key, wanted, self.need_bytes(wanted), waiting=waiting)
        self._ledger.slots[key] = slot
        slot.task = self.spawn(self._load(slot))

    async def _load(self, slot: Slot) -> None:
        before = self._ledger.held_bytes
        try:
            slot.model = await load_patiently(
                slot,
                self._engines,
                evict_idle=self._evict_all_idle,
                on_halved=lambda: self._tell("context_halved", slot, before, "memory ran out while it loaded"),
            )
            held = await slot.model.memory_bytes()
            need = slot.wanted.need
            slot.held_bytes = slot.loaded_bytes = held
            slot.floor_bytes = slot.charge_bytes = held + (0 if need.has_kv_upfront else need.kv_bytes)
            slot.is_measured = True
            await self._keep_size(slot, held)
            await self._fit_what_was_measured(slot)
        except asyncio.CancelledError:
            await self._drop(slot)
            raise
        except Exception as fault:
            await self._fail_load(slot, fault, before)
            return
        slot.state, slot.finished_s = "loaded", self._ledger.clock.monotonic_s()
        waiting, slot.waiting = slot.waiting, []
        for waiter in waiting:
            self._grant(slot, waiter)
        self._on_change()
        await self._tell("loaded", slot, before, "it was asked for")

    async def _keep_size(self, slot: Slot, held: int) -> None:
        try:
            await self._sizes.keep(slot.wanted.size_key, held)
        except AppError:  # a full disk: the next estimate is as rough as this one was
            _log.warning("the measured size of %s could not be kept", slot.id, exc_info=True)

    async def _fit_what_was_measured(self, slot: Slot) -> None:
        """It took more than was thought: idle models go, or else it does."""
        over = self._ledger.charged_bytes - self._ledger.limit_bytes
        if over <= 0:
            return
        for other in self._ledger.idle_slots():
            await self.unload(other, f"{slot.id} is larger than was estimated")
            if self._ledger.charged_bytes <= self._ledger.limit_bytes:
                return
        plan = Plan("never", self._ledger.free_bytes, 0)
        raise no_room(slot.wanted, slot.charge_bytes, plan)

    async def _fail_load(self, slot: Slot, fault: Exception, before: int) -> None:
        if isinstance(fault, EngineLostError):
            self._back_off(slot.key)
        waiting, slot.waiting = slot.waiting, []
        slot.state = "unloading"
        await self._drop(slot)
        if not isinstance(fault, AppError):
            _log.error("loading %s failed unexpectedly", slot.id, exc_info=fault)
        for waiter in waiting:
            if not waiter.granted.done():
                waiter.granted.set_exception(fault)
        await self._tell("load_failed", slot, before, str(fault))

    async def _evict_all_idle(self) -> None:
        for slot in self._ledger.idle_slots():
            await self.unload(slot, "memory ran out while another model loaded")

    # ---- unloading -----------------------------------------------------------------------------------------------

    def start_unload(self, slot: Slot, because: str) -> asyncio.Task[None]:
        """Begin to unload a model nobody uses; its charge counts until the memory is back."""
        slot.state = "unloading"
        slot.task = self.spawn(self._run_unload(slot, because))
        return slot.task

    async def _run_unload(self, slot: Slot, because: str) -> None:
        before = self._ledger.held_bytes
        await self._drop(slot)
        await self._tell("unloaded", slot, before, because)

    async def unload(self, slot: Slot, because: str) -> None:
        """Unload a model that is idle or on its way out; the memory is back when this returns."""
        task = slot.task if slot.state == "unloading" else None
        if task is None and self._ledger.is_idle(slot):
            task = self.start_unload(slot, because)
        if task is not None:
            await asyncio.wait({task})

    async def _drop(self, slot: Slot) -> None:
        """Close the model, then forget the slot: its charge counts until the memory is back."""
        model, slot.model = slot.model, None
        if model is not None:
            try:
                await model.aclose()
            except Exception:
                _log.warning("%s did not unload cleanly", slot.id, exc_info=True)
        if self._ledger.slots.get(slot.key) is slot:
            del self._ledger.slots[slot.key]
        self._ledger.freed_at_s = self._ledger.clock.monotonic_s()
        self._on_change()

    def lose(self, slot: Slot, because: str) -> None:
        """The engine is gone: so is its charge. The next load of this model waits a while."""
        if self._ledger.slots.get(slot.key) is not slot or slot.state != "loaded":
            return
        before = self._ledger.held_bytes
        del self._ledger.slots[slot.key]
        self._back_off(slot.key)
        self.spawn(self._bury(slot, before, because))
        self._on_change()

    async def _bury(self, slot: Slot, before: int, because: str) -> None:
        await self._drop(slot)
        await self._tell("lost", slot, before, because)

    def _back_off(self, key: Path) -> None:
        self._failures[key] = self._failures.get(key, 0) + 1
        pause_s = RESTARTS.wait_s(self._failures[key], random.random())
        self._not_before_s[key] = self._ledger.clock.monotonic_s() + pause_s

    async def look_for_life(self, slot: Slot) -> None:
        """Notice an idle model whose engine is gone."""
        if slot.model is None or not self._ledger.is_idle(slot):
            return
        with contextlib.suppress(AppError, TimeoutError):
            async with asyncio.timeout(_HEALTH_S):
                health = await slot.model.health()
            if health.state == "down" and self._ledger.is_idle(slot):
                self.lose(slot, health.detail or "its process is gone")

    def need_bytes(self, wanted: Wanted) -> int:
        """What a load will take: as measured last time, with room for the cache that grows later, or the estimate."""
        measured = self._sizes.find(wanted.size_key)
        if measured is None:
            return wanted.need.total_bytes
        return measured + (0 if wanted.need.has_kv_upfront else wanted.need.kv_bytes)

    async def _tell(self, step: Step, slot: Slot, before: int, because: str) -> None:
        await self.tell(MemoryEvent(step, (slot.id,), before, self._ledger.held_bytes, because))

    async def tell(self, event: MemoryEvent) -> None:
        """Hand an event on; that it could not be kept is logged and stops nothing."""
        try:
            await self._on_event(event)
        except Exception:
            _log.exception("the event %s of %s could not be kept", event.step, event.models)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task of the budget's own: no caller's cancellation reaches it."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task


def no_room(wanted: Wanted, need_bytes: int, plan: Plan) -> BudgetExceededError:
    """The error that names what is needed, free, and could be freed."""
    gib = 1024**3
    return BudgetExceededError(
        f"{wanted.files.id} needs {need_bytes / gib:.1f} GiB; {plan.free_bytes / gib:.1f} GiB are free and "
        f"{plan.evictable_bytes / gib:.1f} GiB could be freed.",
        hint="Choose a smaller model or a shorter context, close other programs, or raise the budget in the settings.",
        needs_bytes=need_bytes,
        free_bytes=plan.free_bytes,
        evictable_bytes=plan.evictable_bytes,
    )
