"""One byte budget over all local models and runtimes: who is loaded, who waits, who must go.

Everything here runs on one asyncio loop. Callers hold a model through `lease`; it is never unloaded meanwhile. Room is
made before a load and never after it. The arithmetic is `ledger`'s, the steps under pressure are `relief`'s; remote
models do not pass through here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from desktop.core.clock import Clock
from desktop.core.errors import AppError
from desktop.core.models import EngineName
from desktop.engines.engine import Engine
from desktop.engines.errors import EngineLostError, MemoryPressureError, ModelInUseError, PinRefusedError
from desktop.engines.footprint import Machine
from desktop.engines.ledger import PIN_FRAC, Ledger, Plan
from desktop.engines.memory_settings import MemorySettings
from desktop.engines.relief import Relief
from desktop.engines.residents import Residents, no_room
from desktop.engines.slots import (
    Fit,
    Lease,
    MeasuredSizes,
    MemoryEvent,
    MemoryStatus,
    Request,
    Slot,
    Waiter,
    Wanted,
)

TICK_S = 5.0  # how often idle times and pressure are looked at
ASLEEP_S = 30.0  # a look that comes this much too late: the machine slept, and nobody was idle meanwhile
STARVED_S = 10.0  # a request that waited this long lets nobody pass it any more
_LOOK_AGAIN_S = 0.1


class MemoryBudget:
    """Loads, lends, unloads. Start `run` as a task for idle times and pressure; `aclose` unloads everything."""

    def __init__(
        self,
        engines: Mapping[EngineName, Engine],
        *,
        machine: Machine,
        settings: Callable[[], MemorySettings],
        sizes: MeasuredSizes,
        clock: Clock,
        on_event: Callable[[MemoryEvent], Awaitable[None]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """on_event: each load, unload, loss and pressure step, for the audit trail; its failures are logged only."""
        self._clock, self._sleep = clock, sleep
        self._ledger = Ledger(machine, settings, clock)
        self._residents = Residents(
            self._ledger, engines, sizes, on_event=on_event, on_change=self._pump, grant=self._grant
        )
        self._relief = Relief(self._ledger, self._residents.unload, self._residents.tell)
        self._queue: list[Request] = []
        self._last_tick_s = clock.monotonic_s()
        self._is_look_planned = self._is_closed = False

    # ---- for the gateway -----------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def lease(
        self, wanted: Wanted, *, may_wait: bool = True, on_revoke: Callable[[], None] | None = None
    ) -> AsyncIterator[Lease]:
        """Hold a model, loading it first where it is not; the memory it takes is not given to another meanwhile.

        may_wait   also for requests of others to end; without it a model that would need that raises at once
        on_revoke  called when this is bulk work that must stop because memory ran out
        raises     BudgetExceededError (facts needs_bytes, free_bytes, evictable_bytes; nothing was changed),
                   MemoryPressureError, EngineMissingError, BadModelError, EngineLostError, OutOfMemoryError
        """
        slot = await self._acquire(wanted, may_wait=may_wait, on_revoke=on_revoke)
        try:
            if slot.model is None:
                raise AssertionError("a granted model is loaded")
            yield Lease(slot.model, slot.wanted.files)
            self._residents.forgive(slot.key)
        except EngineLostError as fault:
            self._residents.lose(slot, str(fault))
            raise
        finally:
            self._release(slot, on_revoke)

    async def load(self, wanted: Wanted) -> None:
        """Load a model ahead of its use. It obeys every rule of the budget and goes when idle like any other."""
        async with self.lease(wanted):
            pass

    async def unload(self, model_id: str) -> int:
        """Unload by id and wait until the memory is back; the bytes it was charged, 0 when it was not loaded.

        raises  ModelInUseError
        """
        freed = 0
        for slot in [slot for slot in self._ledger.slots.values() if slot.id == model_id]:
            if slot.state != "unloading" and (not self._ledger.is_idle(slot) or self._is_wanted(slot)):
                raise ModelInUseError(
                    f"{model_id} is in use.", hint="Stop what uses it, or wait until it is done.", model=model_id
                )
            freed += slot.charge_bytes
            await self._residents.unload(slot, "a person asked for it")
        return freed

    def pin(self, wanted: Wanted) -> None:
        """Keep a model once it is loaded: neither evicted nor unloaded when idle. Raises PinRefusedError."""
        slot = self._ledger.slots.get(wanted.key)
        pinned = {**self._ledger.pins, wanted.key: slot.charge_bytes if slot else self._residents.need_bytes(wanted)}
        most = int(PIN_FRAC * self._ledger.limit_bytes)
        if sum(pinned.values()) > most:
            raise PinRefusedError(
                f"Pinning {wanted.files.id} would leave too little memory for anything else.",
                hint="Unpin another model first.",
                pinned_bytes=sum(pinned.values()),
                most_bytes=most,
            )
        self._ledger.pins[wanted.key] = pinned[wanted.key]

    def unpin(self, wanted: Wanted) -> None:
        """Harmless when it is not pinned."""
        self._ledger.pins.pop(wanted.key, None)
        self._pump()

    def fit(self, wanted: Wanted) -> Fit:
        """Whether it would go in now, after unloading which others, or never. Changes nothing."""
        slot = self._ledger.slots.get(wanted.key)
        if slot is not None and slot.state != "unloading" and slot.serves(wanted):
            return Fit("fits", slot.charge_bytes, self._ledger.free_bytes, 0, is_loaded=True)
        return self.fit_bytes(self._residents.need_bytes(wanted))

    def fit_bytes(self, need_bytes: int) -> Fit:
        """The same for a model that is not on this machine yet."""
        return to_fit(self._ledger.plan(need_bytes), need_bytes)

    def status(self) -> MemoryStatus:
        """The budget now. Resets no idle time."""
        return self._ledger.status(is_refusing=self._relief.is_refusing)

    async def run(self) -> None:
        """Look after idle times, dead engines and pressure until cancelled."""
        while True:
            await self._sleep(TICK_S)
            await self.tick()

    async def tick(self) -> None:
        """One look. `run` calls it every five seconds."""
        now_s = self._clock.monotonic_s()
        late_s, self._last_tick_s = now_s - self._last_tick_s - TICK_S, now_s
        if late_s > ASLEEP_S:
            for slot in self._ledger.slots.values():
                slot.finished_s += late_s
        for slot in self._ledger.idle_slots():
            if self._is_free_to_go(slot) and now_s - slot.finished_s >= self._idle_limit_s(slot):
                self._residents.start_unload(slot, f"idle for {(now_s - slot.finished_s) / 60:.0f} min")
        await asyncio.gather(*(self._residents.look_for_life(slot) for slot in self._ledger.slots.values()))
        await self._relief.check()

    async def aclose(self) -> None:
        """Refuse whoever waits, unload everything and wait for it."""
        self._is_closed = True
        waiters = [one for request in self._queue for one in request.waiters]
        self._queue.clear()
        for slot in tuple(self._ledger.slots.values()):
            waiters += slot.waiting
            slot.waiting = []
            if slot.state == "loading" and slot.task:
                slot.state = "unloading"
                slot.task.cancel()
            elif slot.state == "loaded":
                self._residents.start_unload(slot, "Benchtop quits")
        for waiter in waiters:
            if not waiter.granted.done():
                waiter.granted.cancel()
        while self._residents.tasks:
            await asyncio.gather(*self._residents.tasks, return_exceptions=True)

    # ---- getting a model -----------------------------------------------------------------------------------------

    async def _acquire(self, wanted: Wanted, *, may_wait: bool, on_revoke: Callable[[], None] | None) -> Slot:
        while (pause_s := self._residents.pause_s(wanted.key)) > 0:
            await self._sleep(pause_s)
        if self._relief.is_refusing or self._is_closed:
            raise MemoryPressureError(
                "This machine is short of memory, so no new work is taken.", hint="Close other programs; try again."
            )
        waiter = Waiter(wanted, asyncio.get_running_loop().create_future(), may_wait, on_revoke)
        slot = self._ledger.slots.get(wanted.key)
        if slot and slot.state == "loaded" and slot.serves(wanted) and not self._has_starved():
            self._grant(slot, waiter)
        elif slot and slot.state == "loading" and slot.serves(wanted):
            slot.waiting.append(waiter)
        else:
            self._enqueue(waiter)
        try:
            return await waiter.granted
        except asyncio.CancelledError:
            if waiter.granted.cancelled():
                self._withdraw(waiter)
            elif waiter.granted.exception() is None:
                self._release(waiter.granted.result(), on_revoke)
            raise

    def _has_starved(self) -> bool:
        now_s = self._clock.monotonic_s()
        return bool(self._queue) and now_s - self._queue[0].since_s > STARVED_S

    def _enqueue(self, waiter: Waiter) -> None:
        key = waiter.wanted.key
        for request in self._queue:
            if request.key == key:
                request.waiters.append(waiter)
                break
        else:
            self._queue.append(Request(key, [waiter], self._clock.monotonic_s()))
        self._pump()

    def _withdraw(self, waiter: Waiter) -> None:
        """A caller gave up: a load nobody waits for any more is stopped."""
        for request in tuple(self._queue):
            if waiter in request.waiters:
                request.waiters.remove(waiter)
                if not request.waiters:
                    self._queue.remove(request)
        for slot in self._ledger.slots.values():
            if waiter in slot.waiting:
                slot.waiting.remove(waiter)
                if slot.state == "loading" and not slot.waiting and slot.task:
                    slot.state = "unloading"
                    slot.task.cancel()
        self._pump()

    def _grant(self, slot: Slot, waiter: Waiter) -> None:
        if waiter.granted.done():
            return
        slot.leases += 1
        if waiter.on_revoke:
            slot.revokes.append(waiter.on_revoke)
        waiter.granted.set_result(slot)

    def _release(self, slot: Slot, on_revoke: Callable[[], None] | None) -> None:
        slot.leases -= 1
        if on_revoke in slot.revokes:
            slot.revokes.remove(on_revoke)
        slot.finished_s = self._clock.monotonic_s()
        if slot.leases or self._ledger.slots.get(slot.key) is not slot or slot.state != "loaded":
            return
        if self._is_closed or (self._idle_limit_s(slot) == 0 and self._is_free_to_go(slot)):
            self._residents.start_unload(slot, "it is not kept when idle")
        else:
            self._residents.spawn(self._measure(slot))
        self._pump()

    # ---- making room ---------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Serve the queue from its head as far as it goes now. Called whenever something may have come free."""
        while self._queue and not self._is_closed:
            request = self._queue[0]
            slot = self._ledger.slots.get(request.key)
            if slot is not None and not self._make_way(slot, request):
                return
            if request.waiters and not self._make_room(request):
                return
            if not request.waiters:
                self._queue.pop(0)

    def _make_way(self, slot: Slot, request: Request) -> bool:
        """The model is there: serve who can be served; who needs a longer context waits until the slot is gone."""
        if slot.state == "unloading":
            return False
        served = [one for one in request.waiters if slot.serves(one.wanted)]
        request.waiters = [one for one in request.waiters if one not in served]
        if slot.state == "loading":
            slot.waiting += served
        else:
            for waiter in served:
                self._grant(slot, waiter)
        if not request.waiters:
            return True
        if self._ledger.is_idle(slot):
            self._residents.start_unload(slot, "a longer context is wanted")
        else:
            self._refuse_impatient(request, self._ledger.plan(self._residents.need_bytes(request.wanted)))
        return not request.waiters

    def _make_room(self, request: Request) -> bool:
        """Start the load, or what has to happen before it; whether the queue may move on."""
        if self._ledger.slots.get(request.key) is not None:
            return not request.waiters
        plan = self._ledger.plan(self._residents.need_bytes(request.wanted))
        if plan.verdict == "fits":
            self._residents.start_load(request.key, request.wanted, request.waiters)
            request.waiters = []
        elif plan.verdict == "evict":
            for victim in plan.victims:
                self._residents.start_unload(victim, f"room for {request.wanted.files.id}")
        elif plan.verdict == "settle":
            self._look_again()
        elif plan.verdict == "busy":
            self._refuse_impatient(request, plan)
        elif plan.verdict == "never":
            self._refuse(request.waiters, plan)
            request.waiters = []
        return not request.waiters

    def _refuse_impatient(self, request: Request, plan: Plan) -> None:
        self._refuse([one for one in request.waiters if not one.may_wait], plan)
        request.waiters = [one for one in request.waiters if one.may_wait]

    def _refuse(self, waiters: list[Waiter], plan: Plan) -> None:
        for waiter in waiters:
            if not waiter.granted.done():
                waiter.granted.set_exception(no_room(waiter.wanted, self._residents.need_bytes(waiter.wanted), plan))

    def _look_again(self) -> None:
        if not self._is_look_planned:
            self._is_look_planned = True
            self._residents.spawn(self._pump_later())

    async def _pump_later(self) -> None:
        await self._sleep(_LOOK_AGAIN_S)
        self._is_look_planned = False
        self._pump()

    # ---- small things --------------------------------------------------------------------------------------------

    async def _measure(self, slot: Slot) -> None:
        """What it holds after a request: caches that grew count, and are trimmed when they exceed the budget."""
        if slot.model is None:
            return
        try:
            held = await slot.model.memory_bytes()
        except AppError as fault:
            if not slot.leases:
                self._residents.lose(slot, str(fault))
            return
        if slot.state == "loaded":
            slot.held_bytes = held
            slot.charge_bytes = max(slot.floor_bytes, held)
            await self._relief.trim()

    def _is_free_to_go(self, slot: Slot) -> bool:
        """Idle, not pinned, and not what somebody in the queue waits for."""
        return self._ledger.is_idle(slot) and slot.key not in self._ledger.pins and not self._is_wanted(slot)

    def _is_wanted(self, slot: Slot) -> bool:
        return any(request.key == slot.key for request in self._queue)

    def _idle_limit_s(self, slot: Slot) -> float:
        return self._ledger.settings().idle_s(slot.wanted.tier)


def to_fit(plan: Plan, need_bytes: int) -> Fit:
    """A plan as the answer to "would it fit?"."""
    verdict = {"fits": "fits", "never": "never", "busy": "busy"}.get(plan.verdict, "after")
    unload = tuple(slot.id for slot in plan.victims)
    return Fit(verdict, need_bytes, plan.free_bytes, plan.evictable_bytes, unload)  # type: ignore[arg-type]
