"""Runs a confined command as a child of this process and watches it: clock, memory, outputs, log.

Used by every isolation that is not a container. The confinement itself is in the command (bubblewrap, Seatbelt, or
plain limits); what stands here is what no operating system caps for us without root: total memory, the size of a
folder, and that nothing is left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from desktop.core.ports import IsolationChoice, Limits, RunOutcome, RunSpec, RunStatus
from desktop.sandbox.cgroup import Cgroup
from desktop.sandbox.logtap import LogTap
from desktop.sandbox.outputs import collect_folder
from desktop.sandbox.staging import stage_input

_WATCH_S = 0.1
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Work:
    """The folders of one run on this machine: input (read only to the script), output, tmp."""

    root: Path

    @property
    def input(self) -> Path:
        return self.root / "input"

    @property
    def output(self) -> Path:
        return self.root / "output"

    @property
    def tmp(self) -> Path:
        return self.root / "tmp"


@dataclass(frozen=True, slots=True)
class Command:
    """What to start, and how."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path


def launch_limits(limits: Limits, *, system_filter: bool) -> dict[str, int]:
    """What the launcher sets before the script starts."""
    return {
        "filter": system_filter,
        "exec_system": system_filter,
        "core": 0,
        "fsize": min(limits.output_bytes, 512 * _MIB),
        "nofile": 1024,
        "cpu_s": int(limits.wall_s * limits.cpus) + 5,
        "data": int(limits.memory_mb * _MIB * 1.5),
        "oom_first": True,
    }


@dataclass
class _Watch:
    """What the watcher saw."""

    limits: Limits
    seen: dict[int, psutil.Process] = field(default_factory=dict)
    peak_bytes: int = 0
    is_over_memory: bool = False
    is_over_output: bool = False

    def look(self, pid: int, output: Path) -> bool:
        """Whether the run must be stopped."""
        with contextlib.suppress(psutil.Error):
            main = psutil.Process(pid)
            for process in [main, *main.children(recursive=True)]:
                self.seen.setdefault(process.pid, process)
        total = 0
        for process in list(self.seen.values()):
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
        self.peak_bytes = max(self.peak_bytes, total)
        self.is_over_memory = total > self.limits.memory_mb * _MIB
        self.is_over_output = _is_larger(output, self.limits.output_bytes, self.limits.output_entries)
        return self.is_over_memory or self.is_over_output

    def kill_all(self, pid: int) -> None:
        """Everything that was ever seen below the child, and its process group."""
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(pid).children(recursive=True):
                self.seen.setdefault(process.pid, process)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        for process in list(self.seen.values()):  # another thread may still be looking
            with contextlib.suppress(psutil.Error):  # psutil checks that the number was not given to another
                process.kill()


def _is_larger(folder: Path, max_bytes: int, max_entries: int) -> bool:
    entries = total = 0
    stack = [str(folder)]
    while stack:
        with contextlib.suppress(OSError), os.scandir(stack.pop()) as listing:
            for entry in listing:
                entries += 1
                if entries > max_entries:
                    return True
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        stack.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
        if total > max_bytes:
            return True
    return False


async def run_child(
    run: RunSpec,
    scratch: Path,
    choice: IsolationChoice,
    command: Callable[[Work], Command],
    on_line: Callable[[str], None],
) -> RunOutcome:
    """Run to the end in folders of its own below `scratch`; they are gone afterwards. Cancelling kills at once."""
    scratch.mkdir(parents=True, exist_ok=True)
    work = Work(Path(tempfile.mkdtemp(prefix="run-", dir=scratch)))
    try:
        work.output.mkdir()
        work.tmp.mkdir()
        work.root.chmod(0o755)
        await asyncio.to_thread(stage_input, run.script, run.input_dir, work.input)
        return await _run(run, work, choice, command(work), on_line)
    finally:
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, work.root, ignore_errors=True))


async def _run(
    run: RunSpec, work: Work, choice: IsolationChoice, command: Command, on_line: Callable[[str], None]
) -> RunOutcome:
    tap, watch = LogTap(run.limits.log_bytes), _Watch(run.limits)
    cgroup = Cgroup.make(run.limits)
    started = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(cgroup.entered(command.argv) if cgroup is not None else command.argv),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(command.env),
        cwd=command.cwd,
        start_new_session=True,
    )
    pump = asyncio.create_task(tap.pump(on_line))
    reader = asyncio.create_task(_read(process, tap))
    is_timeout = False
    try:
        ended = asyncio.create_task(process.wait())
        while not ended.done():
            left_s = run.limits.wall_s - (time.monotonic() - started)
            await asyncio.wait({ended}, timeout=max(0.0, min(_WATCH_S, left_s)))
            is_timeout = time.monotonic() - started >= run.limits.wall_s
            must_stop = await asyncio.to_thread(watch.look, process.pid, work.output)
            if not ended.done() and (is_timeout or must_stop):
                watch.kill_all(process.pid)
                await ended
                break
        else:
            is_timeout = False
        wall_s = time.monotonic() - started
    finally:
        watch.kill_all(process.pid)
        is_oom = watch.is_over_memory
        if cgroup is not None:
            is_oom = cgroup.end() > 0 or is_oom
        await asyncio.shield(process.wait())
        await asyncio.wait({reader}, timeout=0.5)
        reader.cancel()
        pump.cancel()
        process._transport.close()  # type: ignore[attr-defined]  # a grandchild may hold the pipe open for ever
    tap.end()
    await tap.flush(on_line)
    exit_code = process.returncode
    if exit_code not in (0, None) and watch.peak_bytes > 0.9 * run.limits.memory_mb * _MIB:
        is_oom = True
    status: RunStatus = "failed"
    if is_timeout:
        status = "timeout"
    elif is_oom:
        status = "out_of_memory"
    elif exit_code == 0 and not watch.is_over_output:
        status = "ok"
    collected = await asyncio.to_thread(collect_folder, work.output, run.output_dir, run.limits)
    return RunOutcome(
        status=status,
        exit_code=None if is_timeout else exit_code,
        wall_s=wall_s,
        isolation=choice,
        outputs=collected.outputs,
        dropped=collected.dropped,
        log=tap.text(),
        log_truncated=tap.is_truncated,
    )


async def _read(process: asyncio.subprocess.Process, tap: LogTap) -> None:
    assert process.stdout is not None
    while chunk := await process.stdout.read(1 << 16):
        tap.feed(chunk)
        await asyncio.sleep(0)
