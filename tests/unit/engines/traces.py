"""Random lives of a memory budget: one seeded trace of steps, with what must never happen checked after each.

Never: a model unloaded while somebody holds it · models together above the limit, or a load begun beyond the live
line · one file loaded twice · somebody waiting for ever. Also run at full length by `benchmarks.memory_traces`.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

from desktop.core.errors import AppError
from desktop.engines.engine import ModelFiles
from desktop.engines.errors import EngineLostError
from tests.unit.engines.memory_rig import GIB, FakeModel, Rig, out_of_memory, settle

SIZES = {"m0": 0.5, "m1": 1, "m2": 1.5, "m3": 2, "m4": 3, "m5": 4, "m6": 5, "m7": 7, "m8": 11}


class Trace:
    """`counts` says how often each step was taken and how the leases ended."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        cap_gib = self.chance.choice([0, 8])
        self.limit_bytes = (cap_gib or 12) * GIB  # three quarters of 16 GiB when nobody set less
        self.rig = Rig(folder, dict(SIZES), medium_idle_min=self.chance.choice([0, 1, 5, -1]), budget_gib=cap_gib)
        self.rig.engine.on_load = self._check_load
        self.counts: Counter[str] = Counter()
        self._users: dict[asyncio.Task[None], asyncio.Event] = {}
        self._held: list[FakeModel] = []
        self._faults: list[BaseException] = []

    async def run(self, n_steps: int) -> None:
        steps = {
            self._acquire: 30,
            self._end_one: 30,
            self._cancel_one: 6,
            self._pass_time: 16,
            self._unload_one: 4,
            self._tick: 6,
            self._pressure: 2,
            self._others: 4,
            self._crash: 1,
            self._fault: 1,
            self._pin: 1,
        }
        choices = self.chance.choices(list(steps), list(steps.values()), k=n_steps)
        for step in choices:
            await step()
            self.counts[step.__name__] += 1
            await settle(6)
            self._check()
        await self._finish()

    # ---- steps ---------------------------------------------------------------------------------------------------

    async def _acquire(self) -> None:
        if len(self._users) > 12:
            return
        done = asyncio.Event()
        task = asyncio.ensure_future(self._use(done))
        self._users[task] = done
        task.add_done_callback(self._on_ended)

    def _on_ended(self, task: asyncio.Task[None]) -> None:
        self._users.pop(task)
        if not task.cancelled() and (fault := task.exception()):
            self._faults.append(fault)

    async def _use(self, done: asyncio.Event) -> None:
        rig, name = self.rig, self.chance.choice(list(SIZES))
        wanted = rig.wanted(
            name, tier=self.chance.choice(["small", "medium"]), context=self.chance.choice([4096, 8192])
        )
        bulk = self.chance.random() < 0.3
        revoked = done.set if bulk else None
        try:
            async with rig.budget.lease(wanted, may_wait=self.chance.random() < 0.7, on_revoke=revoked) as lease:
                model = lease.model
                assert isinstance(model, FakeModel)
                self._held.append(model)
                try:
                    await done.wait()
                    model.use()
                finally:
                    self._held.remove(model)
            self.counts["served"] += 1
        except AppError as fault:
            self.counts[type(fault).__name__] += 1

    async def _end_one(self) -> None:
        if self._users:
            self._users[self.chance.choice(list(self._users))].set()

    async def _cancel_one(self) -> None:
        if self._users:
            self.chance.choice(list(self._users)).cancel()

    async def _pass_time(self) -> None:
        await self.rig.clock.advance(self.chance.choice([0.1, 0.5, 2, 5, 20]))

    async def _unload_one(self) -> None:
        try:
            freed = await self.rig.during(self.rig.budget.unload(self.chance.choice(list(SIZES))))
            self.counts["unloaded"] += bool(freed)
        except AppError as fault:
            self.counts[type(fault).__name__] += 1

    async def _tick(self) -> None:
        await self.rig.during(self.rig.budget.tick())

    async def _pressure(self) -> None:
        self.rig.machine.level = self.chance.choice(["normal", "normal", "normal", "critical"])
        await self.rig.during(self.rig.budget.tick())

    async def _others(self) -> None:
        self.rig.machine.others = int(self.chance.choice([1, 2, 2, 4, 8]) * GIB)

    async def _crash(self) -> None:
        if self.rig.engine.living:
            self.chance.choice(self.rig.engine.living).die()

    async def _fault(self) -> None:
        fault = self.chance.choice([out_of_memory(), EngineLostError("gone", hint="")])
        self.rig.engine.outcomes.setdefault(self.chance.choice(list(SIZES)), []).append(fault)

    async def _pin(self) -> None:
        wanted = self.rig.wanted(self.chance.choice(["m0", "m1", "m2"]))
        if self.chance.random() < 0.3:
            self.rig.budget.pin(wanted)
        else:
            self.rig.budget.unpin(wanted)

    # ---- what must hold ------------------------------------------------------------------------------------------

    def _check_load(self, files: ModelFiles) -> None:
        """Called by the engine as a load begins: by then the room is there."""
        rig = self.rig
        if files.id in rig.engine.ran_out:  # a second try has its room already, whatever other programs took since
            rig.engine.ran_out.discard(files.id)
        else:
            used = rig.machine.others + rig.engine.bytes + rig.engine.sizes[files.id]
            self.counts["loads"] += 1
            assert used < 0.85 * rig.machine.total, f"{files.id} begins with {used / GIB:.1f} GiB in use"

    def _check(self) -> None:
        rig = self.rig
        assert not self._faults, self._faults
        assert rig.engine.bytes <= self.limit_bytes, f"{rig.engine.bytes / GIB:.1f} GiB held"
        assert rig.budget.status().charged_bytes <= self.limit_bytes
        for model in self._held:
            assert not model.is_closed or model.is_dead, f"{model.id} was unloaded while in use"

    async def _finish(self) -> None:
        """Everyone lets go: nobody is left waiting, and all memory comes back."""
        rig = self.rig
        rig.machine.level, rig.machine.others = "normal", 1 * GIB
        for name in ("m0", "m1", "m2"):
            rig.budget.unpin(rig.wanted(name))
        await self._tick()
        for _ in range(400):
            for done in self._users.values():
                done.set()
            await rig.clock.advance(1)
            if not self._users:
                break
        assert not self._users, "somebody waits for ever"
        assert not self._faults, self._faults
        await rig.during(rig.budget.aclose())
        assert rig.engine.living == []
        assert rig.engine.loading == []
        assert rig.charged_gib == 0
