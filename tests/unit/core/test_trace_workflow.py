"""Spans nest and cost nothing outside a trace; workflows run side by side, skip what is done, stop as one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from desktop.core.errors import InputError
from desktop.core.trace import SpanBuffer, Trace, span
from desktop.core.workflow import Step, run_workflow


async def test_spans_nest_across_tasks_and_threads() -> None:
    buffer = SpanBuffer()

    def in_thread() -> None:
        with span("thread"):
            pass

    async def branch(name: str) -> None:
        with span(name, n=1) as one:
            await asyncio.to_thread(in_thread)
            one.facts["status"] = 200

    with Trace(buffer, "job"), span("root"):
        await asyncio.gather(branch("left"), branch("right"))
    spans = {one.name: one for one in buffer.drain() if one.name != "thread"}
    assert {name: one.trace_id for name, one in spans.items()} == {"left": "job", "right": "job", "root": "job"}
    assert spans["root"].parent_id is None
    assert spans["left"].parent_id == spans["right"].parent_id == spans["root"].span_id
    assert spans["left"].facts == {"n": 1, "status": 200}
    assert spans["root"].duration_us >= spans["left"].duration_us > 0
    assert buffer.drain() == []


def test_a_failing_block_is_marked_and_the_error_goes_on() -> None:
    buffer = SpanBuffer()
    with pytest.raises(LookupError), Trace(buffer, "t"), span("bad"):
        raise LookupError
    assert [one.is_ok for one in buffer.drain()] == [False]


def test_outside_a_trace_nothing_is_kept_and_a_flood_is_bounded() -> None:
    with span("nowhere"):
        pass
    buffer = SpanBuffer(capacity=10)
    with Trace(buffer, "t"):
        for n in range(100):
            with span(str(n)):
                pass
    assert [one.name for one in buffer.drain()] == [str(n) for n in range(90, 100)]


class MemorySteps:
    def __init__(self) -> None:
        self.noted: dict[tuple[str, str, str], Any] = {}

    async def read(self, workflow: str, name: str, inputs_hash: str) -> tuple[Any] | None:
        key = (workflow, name, inputs_hash)
        return (self.noted[key],) if key in self.noted else None

    async def write(self, workflow: str, name: str, inputs_hash: str, output: Any) -> None:
        self.noted[workflow, name, inputs_hash] = output


class Kitchen:
    def __init__(self) -> None:
        self.began: list[str] = []
        self.cancelled: list[str] = []

    def step(self, name: str, *after: str, inputs: Any = None, wait_s: float = 0.0, fails: bool = False) -> Step:
        async def run(outputs: Mapping[str, Any]) -> Any:
            self.began.append(name)
            try:
                await asyncio.sleep(wait_s)
            except asyncio.CancelledError:
                self.cancelled.append(name)
                raise
            if fails:
                raise InputError(f"{name} failed", hint="x")
            return {"name": name, "from": sorted(outputs)}

        return Step(name, run, after, inputs)


async def test_order_outputs_and_resume() -> None:
    log, kitchen = MemorySteps(), Kitchen()

    def recipe(oven: int, *, fails: bool = False) -> list[Step]:
        return [
            kitchen.step("serve", "bake", "sauce"),
            kitchen.step("bake", "mix", inputs={"oven": oven}, fails=fails),
            kitchen.step("mix"),
            kitchen.step("sauce"),
        ]

    with pytest.raises(InputError, match="bake failed"):
        await run_workflow("w", recipe(180, fails=True), log)
    assert "serve" not in kitchen.began
    kitchen.began.clear()
    outputs = await run_workflow("w", recipe(180), log)
    assert outputs["serve"] == {"name": "serve", "from": ["bake", "sauce"]}
    assert kitchen.began == ["bake", "serve"]  # mix and sauce were done
    kitchen.began.clear()
    assert await run_workflow("w", recipe(180), log) == outputs
    assert kitchen.began == []
    await run_workflow("w", recipe(200), log)
    assert kitchen.began == ["bake"]  # its output is the same, so serve need not run again
    kitchen.began.clear()
    await run_workflow("other", recipe(180), log)
    assert len(kitchen.began) == 4


async def test_steps_run_side_by_side_and_a_failure_cancels_the_others() -> None:
    kitchen = Kitchen()
    steps = [
        kitchen.step("slow", wait_s=60),
        kitchen.step("bad", wait_s=0.02, fails=True),
        kitchen.step("late", "slow"),
    ]
    with pytest.raises(InputError, match="bad failed"):
        await run_workflow("w", steps, MemorySteps())
    assert kitchen.cancelled == ["slow"]


async def test_cancelling_the_workflow_cancels_its_steps() -> None:
    kitchen = Kitchen()
    task = asyncio.create_task(
        run_workflow("w", [kitchen.step("a", wait_s=60), kitchen.step("b", wait_s=60)], MemorySteps())
    )
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(kitchen.cancelled) == ["a", "b"]


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([("a", ("b",)), ("b", ("a",))], id="a circle"),
        pytest.param([("a", ("nobody",))], id="after nobody"),
        pytest.param([("a", ()), ("a", ())], id="one name twice"),
    ],
)
async def test_impossible_workflows_are_refused_before_anything_runs(steps: list[tuple[str, tuple[str, ...]]]) -> None:
    kitchen = Kitchen()
    with pytest.raises(ValueError, match="step"):
        await run_workflow("w", [kitchen.step(name, *after) for name, after in steps], MemorySteps())
    assert kitchen.began == []
