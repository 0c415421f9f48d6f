"""The byte accounts of the memory budget: what is charged, what is free, and whether another model would go in.

Reads the machine and the slots, changes nothing and waits for nothing. Who acts on its answers is `memory`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from desktop.core.clock import Clock
from desktop.engines.footprint import Machine
from desktop.engines.memory_settings import MemorySettings
from desktop.engines.slots import MemoryStatus, Slot, SlotStatus
from desktop.engines.victims import Candidate, smallest_victims

RAM_FRAC = 0.75  # of RAM for all models together, when nobody set less
LIVE_FRAC = 0.85  # used by all programs, the new model included, must stay below this part of RAM
PIN_FRAC = 0.80  # of the budget may be pinned
FREED_WITHIN_S = 2.0  # how long the machine's own number may lag behind an unload
_GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Plan:
    """How to make room for one model.

    verdict  "fits" now · "evict" the victims first · "wait" for unloads under way · "settle": the machine has yet to
             notice an unload · "busy": only once requests end · "never"
    """

    verdict: Literal["fits", "evict", "wait", "settle", "busy", "never"]
    free_bytes: int
    evictable_bytes: int
    victims: tuple[Slot, ...] = ()


class Ledger:
    """Slots by resolved path, and the arithmetic over them."""

    def __init__(self, machine: Machine, settings: Callable[[], MemorySettings], clock: Clock) -> None:
        self.machine, self.settings, self.clock = machine, settings, clock
        self.slots: dict[Path, Slot] = {}
        self.pins: dict[Path, int] = {}
        self.freed_at_s = float("-inf")  # monotonic time of the last unload

    @property
    def limit_bytes(self) -> int:
        """What all models together may take: the least of the person's cap, 0.75 · RAM and Metal's working set."""
        limits = [int(RAM_FRAC * self.machine.total_bytes())]
        if cap_gib := self.settings().budget_gib:
            limits.append(int(cap_gib * _GIB))
        if recommended := self.machine.recommended_bytes():
            limits.append(recommended)
        return min(limits)

    @property
    def charged_bytes(self) -> int:
        """What counts against the limit now; a model on its way out counts until its memory is back."""
        return sum(slot.charge_bytes for slot in self.slots.values())

    @property
    def held_bytes(self) -> int:
        """What the models hold, each as last measured."""
        return sum(slot.held_bytes for slot in self.slots.values())

    @property
    def free_bytes(self) -> int:
        """Room for another model by the budget and by the machine as it is now."""
        return max(0, min(self.limit_bytes - self.charged_bytes, self._live_free_bytes()))

    @property
    def used_bytes(self) -> int:
        """Taken by all programs of this machine."""
        return self.machine.total_bytes() - self.machine.available_bytes()

    def is_idle(self, slot: Slot) -> bool:
        """Loaded, and nobody uses it or waits for it."""
        return slot.state == "loaded" and not slot.leases and not slot.waiting

    def idle_slots(self) -> list[Slot]:
        """Idle and not pinned, least recently finished first."""
        idle = (slot for slot in self.slots.values() if self.is_idle(slot) and slot.key not in self.pins)
        return sorted(idle, key=lambda slot: (slot.finished_s, -slot.charge_bytes))

    def plan(self, need_bytes: int) -> Plan:
        """How to make room for `need_bytes` more."""
        over_budget = self.charged_bytes + need_bytes - self.limit_bytes
        short = max(over_budget, need_bytes - self._live_free_bytes())
        idle = {slot.key: slot for slot in self.idle_slots()}
        evictable = sum(slot.charge_bytes for slot in idle.values())
        free = self.free_bytes
        if short <= 0:
            return Plan("fits", free, evictable)
        coming = sum(slot.charge_bytes for slot in self.slots.values() if slot.state == "unloading")
        if short <= coming:
            return Plan("wait", free, evictable)
        if over_budget <= 0 and self.clock.monotonic_s() - self.freed_at_s < FREED_WITHIN_S:
            return Plan("settle", free, evictable)
        candidates = [Candidate(key, slot.charge_bytes, slot.finished_s) for key, slot in idle.items()]
        victims = smallest_victims(candidates, short - coming)
        if victims is not None:
            return Plan("evict", free, evictable, tuple(idle[one.key] for one in victims))
        in_use = sum(
            slot.charge_bytes
            for slot in self.slots.values()
            if slot.state != "unloading" and slot.key not in idle and slot.key not in self.pins
        )
        return Plan("busy" if short - coming <= evictable + in_use else "never", free, evictable)

    def status(self, *, is_refusing: bool) -> MemoryStatus:
        """The accounts as the front ends show them. Touches no timer."""
        now_s = self.clock.monotonic_s()
        return MemoryStatus(
            limit_bytes=self.limit_bytes,
            charged_bytes=self.charged_bytes,
            machine_total_bytes=self.machine.total_bytes(),
            machine_used_bytes=self.used_bytes,
            is_refusing=is_refusing,
            slots=tuple(
                SlotStatus(
                    id=slot.id,
                    engine=slot.wanted.files.engine,
                    tier=slot.wanted.tier,
                    state=slot.state,
                    bytes=slot.charge_bytes,
                    is_measured=slot.is_measured,
                    context_tokens=slot.wanted.files.context_tokens,
                    leases=slot.leases,
                    is_pinned=slot.key in self.pins,
                    idle_s=now_s - slot.finished_s if self.is_idle(slot) else None,
                    idle_limit_s=self.settings().idle_s(slot.wanted.tier),
                )
                for slot in self.slots.values()
            ),
        )

    def _live_free_bytes(self) -> int:
        """Below 85 % of RAM, after what loaded models were promised and have not taken yet."""
        promised = sum(slot.untouched_bytes for slot in self.slots.values())
        return int(LIVE_FRAC * self.machine.total_bytes()) - 1 - self.used_bytes - promised
