"""Steps with dependencies: those that can run side by side do, those done before are not done again.

A step is known by its workflow, its name and the hash of all that goes into it: its own inputs and the outputs of the
steps it comes after. Outputs are JSON values; what is large goes to a file and its hash into the output. Cancelling
the task cancels every step under way.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from desktop.core.trace import span


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    run     gets the outputs of the steps in `after`, by name; returns a JSON value
    inputs  JSON value: everything else its result depends on (parameters, file hashes, versions)
    """

    name: str
    run: Callable[[Mapping[str, Any]], Awaitable[Any]]
    after: tuple[str, ...] = ()
    inputs: Any = field(default=None)


class StepLog(Protocol):
    """Where finished steps are noted."""

    async def read(self, workflow: str, name: str, inputs_hash: str) -> tuple[Any] | None:
        """The output noted for these inputs, in a tuple; None when there is none."""

    async def write(self, workflow: str, name: str, inputs_hash: str, output: Any) -> None:
        """Note an output; durable once this returns."""


async def run_workflow(workflow: str, steps: Sequence[Step], log: StepLog) -> dict[str, Any]:
    """Run the steps that are not done yet; returns every output by step name.

    raises   what the first failing step raised (the others are cancelled; finished ones stay noted), and
             ValueError for a step that comes after an unknown one or, through others, after itself
    """
    _check(steps)
    tasks: dict[str, asyncio.Task[Any]] = {}
    is_ready = asyncio.Event()

    async def work(step: Step) -> Any:
        await is_ready.wait()
        outputs = {name: await asyncio.shield(tasks[name]) for name in step.after}
        inputs_hash = _hash([step.inputs, outputs])
        noted = await log.read(workflow, step.name, inputs_hash)
        if noted is not None:
            return noted[0]
        with span(f"workflow.{step.name}"):
            output = await step.run(outputs)
        await log.write(workflow, step.name, inputs_hash, output)
        return output

    try:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                tasks[step.name] = group.create_task(work(step), name=f"step {step.name}")
            is_ready.set()
    except BaseExceptionGroup as several:
        raise _first(several) from None
    return {name: task.result() for name, task in tasks.items()}


def _check(steps: Sequence[Step]) -> None:
    done: set[str] = set()
    left = {step.name: step for step in steps}
    if len(left) != len(steps):
        raise ValueError("two steps share a name")
    while left:
        ready = [name for name, step in left.items() if done.issuperset(step.after)]
        if not ready:
            raise ValueError(f"these steps can never begin: {', '.join(sorted(left))}")
        done.update(ready)
        for name in ready:
            del left[name]


def _hash(value: Any) -> str:
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error in it: failures of one step reach the steps after it, so there may be many of one."""
    error = several.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
