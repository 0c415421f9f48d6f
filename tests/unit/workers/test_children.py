"""Child processes: answers, errors and progress come back; nothing outlives a cancel, a close or the parent."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from desktop.workers.children import Children
from desktop.workers.errors import ChildDiedError
from tests.unit.workers import rig as toys
from tests.unit.workers.family import is_alive, offspring

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
async def children(tmp_path: Path) -> AsyncIterator[Children]:
    made = Children(limit=2, log=tmp_path / "children.log")
    yield made
    made.close()


async def until(condition: object, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.02)


async def test_a_result_with_its_progress_and_without_its_noise(
    children: Children, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    heard: list[tuple[float, str]] = []
    text, pid = await children.run(toys.whoami, "ada", on_progress=lambda *told: heard.append(told))
    assert text == "ADA"
    assert pid != os.getpid()
    assert heard == [(0.25, "a quarter"), (1.0, "all")]
    assert "noise" not in "".join(capfd.readouterr())
    assert "noise" in (tmp_path / "children.log").read_text()


async def test_the_warm_child_is_used_again(children: Children) -> None:
    children.warm_up()
    (warm,) = offspring()
    pids = {(await children.run(toys.whoami, "x"))[1] for _ in range(3)}
    assert pids == {warm.pid}


async def test_a_child_starts_without_the_scientific_stack(children: Children) -> None:
    assert await children.run(toys.loaded, ("numpy", "pandas", "scipy", "matplotlib", "PySide6")) == []


async def test_no_more_run_at_once_than_allowed(children: Children, tmp_path: Path) -> None:
    tasks = [asyncio.create_task(children.run(toys.sleep_and_write, str(tmp_path / str(n)), 60)) for n in range(4)]
    await until(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
    await asyncio.sleep(0.2)
    assert len(list(tmp_path.glob("*.pid"))) == 2
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert offspring() == []


async def test_cancelling_kills_what_the_child_started_too(children: Children, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    task = asyncio.create_task(children.run(toys.start_sleeper, str(note)))
    await until(lambda: note.exists() and note.read_text())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not is_alive(int(note.read_text())))


async def test_a_child_killed_from_outside_is_a_typed_error(children: Children, tmp_path: Path) -> None:
    target = tmp_path / "t"
    task = asyncio.create_task(children.run(toys.sleep_and_write, str(target), 60))
    note = Path(f"{target}.pid")
    await until(lambda: note.exists() and note.read_text())
    os.kill(int(note.read_text()), signal.SIGKILL)
    with pytest.raises(ChildDiedError, match="signal 9") as caught:
        await task
    assert caught.value.facts["function"] == "tests.unit.workers.rig.sleep_and_write"
    assert await children.run(toys.add, 1, 2) == 3


async def test_errors_keep_their_kind_and_say_where(children: Children) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        await children.run(toys.fail_untyped)
    assert "fail_untyped" in "".join(caught.value.__notes__)
    with pytest.raises(RuntimeError, match="AwkwardError: 1-2"):
        await children.run(toys.fail_awkwardly)
    with pytest.raises((AttributeError, TypeError)):  # what cannot be sent is refused here
        await children.run(lambda: 1)
    with pytest.raises((AttributeError, TypeError)):  # and so is what cannot come back
        await children.run(toys.give_back_a_lambda)
    assert await children.run(toys.add, 1, 2) == 3


async def test_nothing_is_left_after_many_calls(tmp_path: Path) -> None:
    async def round_trip() -> None:
        children = Children(limit=2, log=tmp_path / "log")
        children.warm_up()
        await asyncio.gather(*(children.run(toys.add, n, n) for n in range(4)))
        task = asyncio.create_task(children.run(time.sleep, 60))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        children.close()

    await round_trip()
    gc.collect()  # what earlier tests left is not ours to count
    n_files, threads = len(list(Path("/dev/fd").iterdir())), set(threading.enumerate())
    for _ in range(3):
        await round_trip()
    assert offspring() == []
    assert len(list(Path("/dev/fd").iterdir())) <= n_files
    assert set(threading.enumerate()) <= threads


PARENT = """
import asyncio, sys
sys.path.insert(0, {root!r})
from desktop.workers.children import Children
from tests.unit.workers import rig as toys
from tests.unit.workers.family import is_alive, offspring
async def main():
    children = Children(limit=4)
    asyncio.get_running_loop().call_later(0, children.warm_up)
    await asyncio.gather(*(children.run(getattr(toys, name), {home!r} + "/" + name) for name in {names!r}))
if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("sleep_long", id="asleep"),
        pytest.param("spin", id="busy in Python"),
        pytest.param("start_sleeper", id="with a process of its own"),
        pytest.param("hold_the_interpreter", id="busy in C"),
    ],
)
def test_no_child_outlives_a_parent_that_was_killed(tmp_path: Path, name: str) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT.format(root=str(ROOT), home=str(tmp_path), names=[name]))
    parent = subprocess.Popen([sys.executable, str(script)], cwd=ROOT)
    note = tmp_path / name
    try:
        deadline = time.monotonic() + 30
        while not (note.exists() and note.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        family = psutil.Process(parent.pid).children(recursive=True)
        assert family
    finally:
        parent.kill()
        parent.wait()
    _, alive = psutil.wait_procs(family, timeout=5)
    for process in alive:
        process.kill()
    assert alive == []
