"""Child processes for heavy Python: module-level functions in, results, errors and progress out.

Always spawned, never forked. One idle child is kept warm (an interpreter with nothing scientific imported until a
function does so). A child leads a process group of its own, ends with it, and ends when its parent is gone, however
the parent went. Nothing is shared with it but what goes through the pipe.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import subprocess
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any, TypeVar

from desktop.core.progress import listening
from desktop.workers.errors import ChildDiedError

T = TypeVar("T")
_PROGRESS_EVERY_S = 0.1
_REUSE_MAX = 50
_IDLE_RSS_BYTES = 600 * 1024 * 1024  # a child that grew beyond this is not kept
_spawn = multiprocessing.get_context("spawn")


class _Child:
    """One process and the pipe to it. Belongs to one call at a time."""

    def __init__(self, log: Path | None) -> None:
        ours, theirs = _spawn.Pipe()
        self.pipe: Connection = ours
        self.process = _spawn.Process(target=_serve, args=(theirs, str(log) if log else None), daemon=True)
        self.process.start()
        theirs.close()
        self.n_calls = 0
        self._ended: tuple[int | None] | None = None

    def ask(self, payload: bytes, on_progress: Callable[[float, str], None]) -> tuple[Any, ...]:
        """Send a call and wait for its end: ("result", value, rss_bytes) or ("error", error, traceback). Blocks."""
        self.pipe.send_bytes(payload)
        while True:
            answer: tuple[Any, ...] = self.pipe.recv()
            if answer[0] != "progress":
                self.n_calls += 1
                return answer
            on_progress(answer[1], answer[2])

    def kill(self) -> int | None:
        """End the process and everything it started; returns its exit code. Harmless when called twice."""
        if self._ended is not None:
            return self._ended[0]
        if self.process.pid is not None and self.process.exitcode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.kill()  # it may not have reached its own group yet
        self.process.join()
        exit_code = self.process.exitcode
        self.process.close()
        self._ended = (exit_code,)
        return exit_code

    def bury(self) -> int | None:
        """`kill`, then close the pipe; only when no thread reads from it."""
        exit_code = self.kill()
        self.pipe.close()
        return exit_code


class Children:
    """A small set of child processes, used from one asyncio loop."""

    def __init__(self, *, limit: int, log: Path | None = None, keep_warm: bool = True) -> None:
        """limit: how many may work at once; log: where the children's own output goes (nowhere when None)."""
        self._limit = asyncio.Semaphore(limit)
        self._log, self._keep_warm = log, keep_warm
        self._idle: _Child | None = None
        self._threads = ThreadPoolExecutor(max_workers=limit, thread_name_prefix="child-pipe")
        self._busy: set[_Child] = set()
        self._closed = False

    def warm_up(self) -> None:
        """Have a child ready for the next call."""
        if self._keep_warm and self._idle is None and not self._closed:
            self._idle = _Child(self._log)

    async def run(
        self, fn: Callable[..., T], /, *args: Any, on_progress: Callable[[float, str], None] | None = None
    ) -> T:
        """Run `fn(*args)` in a child; cancelling this task kills it.

        fn           importable by name; its arguments, result and errors must pickle
        on_progress  called on another thread with what `report_progress` told in the child
        raises       what `fn` raised, or ChildDiedError when the process ended without an answer
        """
        loop = asyncio.get_running_loop()
        async with self._limit:
            payload = await loop.run_in_executor(self._threads, _pickled, fn, args)
            child = self._take()
            self._busy.add(child)
            exchange = loop.run_in_executor(self._threads, child.ask, payload, on_progress or _ignore)
            try:
                answer = await asyncio.shield(exchange)
            except (EOFError, OSError) as error:
                raise _died(child.bury(), fn) from error
            except BaseException:  # cancelled: the dead pipe ends the thread, then both can go
                child.kill()
                with contextlib.suppress(Exception):
                    await exchange
                child.pipe.close()
                raise
            finally:
                self._busy.discard(child)
            self._give_back(child, answer[2] if answer[0] == "result" else 0)
            if answer[0] == "result":
                return answer[1]  # type: ignore[no-any-return]
            failure: Exception = answer[1]
            failure.add_note(answer[2])
            raise failure

    def close(self) -> None:
        """Kill what is left and let the threads go."""
        self._closed = True
        for child in tuple(self._busy):
            child.kill()
        if self._idle is not None:
            self._idle.bury()
            self._idle = None
        self._threads.shutdown(wait=True)

    def _take(self) -> _Child:
        child, self._idle = self._idle, None
        if child is not None and child.process.is_alive():
            return child
        if child is not None:
            child.bury()
        return _Child(self._log)

    def _give_back(self, child: _Child, rss_bytes: int) -> None:
        is_worn = child.n_calls >= _REUSE_MAX or rss_bytes > _IDLE_RSS_BYTES
        if self._closed or is_worn or self._idle is not None or not self._keep_warm:
            child.bury()
        else:
            self._idle = child


def _pickled(fn: Callable[..., Any], args: tuple[Any, ...]) -> bytes:
    return bytes(ForkingPickler.dumps((fn, args)))


def _ignore(_frac: float, _note: str) -> None:
    return None


def _died(exit_code: int | None, fn: Callable[..., Any]) -> ChildDiedError:
    how = f"signal {-exit_code}" if exit_code is not None and exit_code < 0 else f"exit code {exit_code}"
    return ChildDiedError(
        f"A worker process ended in the middle of its work ({how}).",
        hint="If the data is large this is usually lack of memory: close other programs and run it again.",
        function=f"{fn.__module__}.{fn.__qualname__}",
        exit_code=str(exit_code),
    )


# ---- in the child ------------------------------------------------------------------------------------------------


def _serve(pipe: Connection, log: str | None) -> None:
    """The child's main: answer calls until the pipe closes."""
    os.setsid()  # ⌃C in a terminal is the parent's to handle; and our group can be ended as one
    sink = os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.close(sink)
    guard = _watch_parent()
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.send(_answer(pipe, pipe.recv_bytes()))
    if guard is not None:
        guard.kill()


def _answer(pipe: Connection, payload: bytes) -> tuple[Any, ...]:
    last_s = 0.0

    def tell(done_frac: float, note: str) -> None:
        nonlocal last_s
        now_s = time.monotonic()
        if now_s - last_s >= _PROGRESS_EVERY_S or done_frac >= 1:
            last_s = now_s
            pipe.send(("progress", done_frac, note))

    try:
        fn, args = ForkingPickler.loads(payload)
        with listening(tell):
            value = fn(*args)
        ForkingPickler.dumps(value)
        return ("result", value, _rss_bytes())
    except Exception as error:
        return ("error", _portable(error), traceback.format_exc())


def _portable(error: Exception) -> Exception:
    """The error itself if it survives the pipe, else one that says the same."""
    try:
        copy = ForkingPickler.loads(ForkingPickler.dumps(error))
        if type(copy) is type(error):
            return error
    except Exception:  # an error class whose constructor wants more than it pickles
        pass
    return RuntimeError(f"{type(error).__name__}: {error}")


def _rss_bytes() -> int:
    """What this process holds now. Not getrusage's peak: on Linux that begins with what the parent held."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def _watch_parent() -> subprocess.Popen[bytes] | None:
    """End this process group when the parent ends, even by kill -9, and even while C code holds the interpreter.

    A shell of a few kilobytes waits for the parent's end of a pipe to close. A thread could not run in the second case,
    and Linux's parent-death signal neither exists on macOS nor reaches what this process started.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return None
    return subprocess.Popen(["/bin/sh", "-c", f"read _; kill -9 -{os.getpgid(0)}"], stdin=parent.sentinel, env={})
