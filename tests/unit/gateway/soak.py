"""Many requests through a gateway whose models fail, hang and are cancelled at random; every outcome counted. Virtual time."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from desktop.core.errors import AppError
from desktop.core.models import Answer, Message, Prompt, Task
from desktop.engines.engine import Call, Piece
from desktop.engines.errors import (
    BadReplyError,
    EngineLostError,
    OutOfMemoryError,
    RequestRefusedError,
    ServerBusyError,
    ServerUnreachableError,
)
from tests.stand_ins.fleet import House, PretendModel, make_house
from tests.stand_ins.virtual_time import run_virtual

KINDS = (EngineLostError, ServerBusyError, ServerUnreachableError, BadReplyError, OutOfMemoryError, RequestRefusedError)


@dataclass
class FaultyModel(PretendModel):
    """Fails and hangs at random, before or after its first words."""

    chance: random.Random = field(default_factory=random.Random)
    fault_frac: float = 0.2
    hang_frac: float = 0.05
    written: Counter[str] = field(default_factory=Counter)
    is_batching: bool = False

    async def generate(self, call: Call) -> AsyncIterator[Piece]:
        draw = self.chance.random()
        self.fault_after = self.chance.randrange(3)
        self.faults = []
        self.hang = None
        if draw < self.fault_frac:
            self.faults = [self.chance.choice(KINDS)("a fault on purpose", hint="none")]
        elif draw < self.fault_frac + self.hang_frac:
            self.hang = self.fault_after
        hang, fault_after, faults = self.hang, self.fault_after, list(self.faults)
        words = f"echo {call.messages[-1].content} end".split(" ")
        self.running += 1
        try:
            for number, word in enumerate(words):
                if faults and number == fault_after:
                    raise faults[0]
                if hang == number:
                    await asyncio.Event().wait()
                await asyncio.sleep(self.piece_s)
                yield Piece(word if number == 0 else f" {word}")
            if not self.is_batching:
                self.written[call.messages[-1].content] += 1
            yield Piece("", "stop")
        finally:
            self.running -= 1

    async def generate_many(self, calls: Sequence[Call]) -> list[tuple[Piece, ...] | Exception]:
        """A batch is handed over whole: one that hangs was never written, as when its process is killed."""
        self.is_batching = True
        try:
            results = await super().generate_many(calls)
        finally:
            self.is_batching = False
        self.written.update(
            call.messages[-1].content
            for call, result in zip(calls, results, strict=True)
            if not isinstance(result, Exception)
        )
        return results


@dataclass
class Tally:
    """How the requests ended, and what must be nothing."""

    answered: int = 0
    from_rules: int = 0
    failed: int = 0
    cancelled: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    left_behind: int = 0
    shown_again: int = 0
    virtual_s: float = 0.0

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.wrong or self.left_behind or self.shown_again)


def rule(prompt: Prompt) -> str:
    return f"rule {prompt.messages[-1].content} end"


def soak(requests: int, seed: int = 7) -> Tally:
    """Send them at random moments: interactive, streamed and bulk ones, a tenth of them twice, a tenth cancelled."""
    with tempfile.TemporaryDirectory() as folder:
        return run_virtual(_soak(requests, random.Random(seed), Path(folder)))


async def _soak(requests: int, chance: random.Random, folder: Path) -> Tally:
    house = make_house(folder, rules={"soak.half": f"{__name__}:rule"}, first_token_s=5, stall_s=2, total_s=60)
    models = [
        _faulty(house, chance, "q-mlx", "small", family="q"),
        _faulty(house, chance, "q-gguf", "small", family="q"),
        _faulty(house, chance, "medium", "medium"),
        _faulty(house, chance, "large", "large"),
    ]
    tally, began_s = Tally(), asyncio.get_running_loop().time()
    asked: Counter[str] = Counter()
    every = [_one(house, chance, number, requests, tally, asked) for number in range(requests)]
    outcomes = await asyncio.gather(*every, return_exceptions=True)
    tally.lost = sum(isinstance(outcome, BaseException) for outcome in outcomes)
    for _ in range(5):
        await asyncio.sleep(1)
    tally.left_behind = sum(model.running for model in models) + sum(house.fleet.leases.values())
    tally.left_behind += sum(figures.in_flight for figures in house.gateway.metrics.figures())
    written: Counter[str] = sum((model.written for model in models), Counter())
    tally.doubled = sum(count > asked[text] for text, count in written.items())
    tally.virtual_s = asyncio.get_running_loop().time() - began_s
    return tally


async def _one(
    house: House, chance: random.Random, number: int, requests: int, tally: Tally, asked: Counter[str]
) -> None:
    await asyncio.sleep(chance.uniform(0, requests / 20))
    name = number - 1 if chance.random() < 0.1 else number
    text = f"request-{name}"
    asked[text] += 1
    is_streamed, is_cancelled = chance.random() < 0.4, chance.random() < 0.1
    task = Task("soak.half" if name % 2 else "soak.other", is_bulk=name % 3 == 0)
    prompt = Prompt((Message("user", text),), task, max_tokens=50)
    shown: list[str] = []
    work = asyncio.ensure_future(house.gateway.generate(prompt, on_text=shown.append if is_streamed else None))
    if is_cancelled:
        asyncio.get_running_loop().call_later(chance.uniform(0, 0.2), work.cancel)
    answer: Answer | None = None
    with suppress(asyncio.CancelledError):
        try:
            answer = await work
        except AppError:
            tally.failed += 1
    if work.cancelled():
        tally.cancelled += 1
        tally.wrong += not is_cancelled
    if answer is not None:
        tally.answered += 1
        tally.from_rules += answer.engine == "rules"
        tally.wrong += answer.text != f"{'rule' if answer.engine == 'rules' else 'echo'} {text} end"
        tally.shown_again += is_streamed and "".join(shown) != answer.text


def _faulty(house: House, chance: random.Random, name: str, tier: str, **how: object) -> FaultyModel:
    house.fleet.add(name, tier, is_loaded=True, **how)  # type: ignore[arg-type]
    model = house.fleet.models[name] = FaultyModel(name, chance=random.Random(chance.random()))
    return model
