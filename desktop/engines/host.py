"""Local engines as the rest of Benchtop sees them: each loaded model is a child process, spoken to over a socket.

Imports no model runtime: those live in the child (`child`, `mlx`, `gguf`, `coreml`). A child that dies is a typed error
for whoever waits on it; its request is never sent again. Closing a model ends its process: the memory is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from typing import IO, TYPE_CHECKING

from desktop.core.errors import AppError
from desktop.core.models import EngineName, Message
from desktop.engines.engine import Call, Health, ModelFiles, Piece
from desktop.engines.errors import EngineLostError, EngineMissingError, OutOfMemoryError
from desktop.engines.protocol import (
    Ask,
    CacheLimits,
    Close,
    Done,
    Down,
    Failed,
    Ready,
    Start,
    Stop,
    Up,
    Verb,
    Wrote,
    frame_length,
    read_up,
    to_error,
    to_frame,
    unpack_vectors,
)
from desktop.engines.schema import check_schema

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NEEDS: dict[str, tuple[str, ...]] = {
    "mlx": ("mlx", "mlx_lm", "llguidance"),
    "gguf": ("llama_cpp", "llguidance"),
    "coreml": ("coremltools",),
}
_START = "from desktop.engines.child import main; main()"
_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
}
_CLOSE_WITHIN_S = 1.5
_OUT_OF_MEMORY = (
    b"out of memory",
    b"insufficient memory",
    b"outofmemory",
    b"failed to allocate",
    b"bad_alloc",
    b"memory allocation of",
    b"cannot allocate memory",
)


def is_runtime_here(name: EngineName) -> bool:
    """Whether what a model's process needs is installed, and this machine can run it."""
    is_here = name != "coreml" or sys.platform == "darwin"
    return is_here and all(importlib.util.find_spec(needed) is not None for needed in _NEEDS[name])


class LocalEngine:
    """One runtime on this machine: loads models, each into a process of its own."""

    def __init__(self, name: EngineName, caches: CacheLimits = CacheLimits()) -> None:
        """That a model whose process died waits before it is loaded again is the memory budget's to see to."""
        self.name: EngineName = name
        self._caches = caches

    def is_available(self) -> bool:
        """Whether what the child needs is installed here."""
        return is_runtime_here(self.name)

    async def load(self, files: ModelFiles) -> LocalModel:
        """Start a process and wait until its model has answered one token. Cancelling ends the process."""
        if not self.is_available():
            raise EngineMissingError(
                f"The {self.name} runtime is not on this machine.",
                hint="Install Benchtop with this engine (Core ML: macOS only), or use another model.",
            )
        model = LocalModel(files)
        try:
            await model.start(Start(files=files, caches=self._caches))
        except BaseException:
            await model.aclose()
            raise
        return model


class LocalModel:
    """A model in its process. Made by `LocalEngine.load`; used from one asyncio loop."""

    def __init__(self, files: ModelFiles) -> None:
        self.id, self.engine, self.parallel = files.id, files.engine, 1
        self._waiting: dict[int, asyncio.Queue[Up]] = {}
        self._calls: dict[str, int] = {}  # calls of running batches → their request
        self._n_asked = 0
        self._is_ready = self._is_closing = False
        self._lost: AppError | None = None
        self._ended = asyncio.Event()
        self._closing = asyncio.Lock()
        self._process: subprocess.Popen[bytes]
        self._output: IO[bytes]
        self._writer: asyncio.StreamWriter
        self._reading: asyncio.Task[None]

    @property
    def pid(self) -> int:
        """The child's process id: whose memory the system charges."""
        return self._process.pid

    async def start(self, start: Start) -> None:
        """Spawn the process and load. Raises BadModelError, OutOfMemoryError, EngineLostError."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                reader, self._writer = await asyncio.open_connection(sock=ours)
            except BaseException:
                ours.close()
                raise
            self._output = tempfile.TemporaryFile()  # noqa: SIM115  closed in aclose
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _START, str(theirs.fileno())],
                stdin=subprocess.PIPE,  # never written: its end is how the child learns that we are gone
                stdout=self._output,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                env=os.environ | _OFFLINE,
            )
        answers: asyncio.Queue[Up] = asyncio.Queue()
        self._waiting[-1] = answers
        self._reading = asyncio.create_task(self._read(reader), name=f"engine {self.id}")
        await self._send(start)
        ready = await self._next(answers)
        del self._waiting[-1]
        if isinstance(ready, Ready):
            self.parallel, self._is_ready = ready.parallel, True

    async def generate(self, call: Call) -> AsyncIterator[Piece]:
        """Write an answer piece by piece; closing the iterator or cancelling stops the model within a token."""
        check_schema(call.schema)
        request, answers = await self._ask("generate", calls=(call,))
        try:
            while True:
                news = await self._next(answers)
                if isinstance(news, Wrote):
                    if news.piece.finish:
                        self._forget(request)
                    yield news.piece
                    if news.piece.finish:
                        return
        finally:
            await self._give_up(request)

    async def generate_many(self, calls: Sequence[Call]) -> list[tuple[Piece, ...] | Exception]:
        """Answer several in one batch, in their order; one that fails does not fail the others."""
        written: list[list[Piece]] = [[] for _ in calls]
        failed: dict[int, Exception] = {}
        for index, call in enumerate(calls):
            try:
                check_schema(call.schema)
            except AppError as error:
                failed[index] = error
        kept = [index for index in range(len(calls)) if index not in failed]
        if kept:
            request, answers = await self._ask("generate_many", calls=tuple(calls[index] for index in kept))
            self._calls.update({calls[index].id: request for index in kept})
            try:
                while not isinstance(news := await self._next(answers, is_batch=True), Done):
                    if isinstance(news, Wrote):
                        written[kept[news.index]].append(news.piece)
                    elif isinstance(news, Failed):
                        failed[kept[news.index]] = to_error(news)
                self._forget(request)
            finally:
                for index in kept:
                    self._calls.pop(calls[index].id, None)
                await self._give_up(request)
        return [failed.get(index) or tuple(pieces) for index, pieces in enumerate(written)]

    async def stop_call(self, call_id: str) -> None:
        """Stop one call of a running batch: its pieces so far are its answer, the others go on unchanged."""
        if call_id in self._calls:
            await self._send(Stop(id=self._calls[call_id], call_id=call_id))

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors (N, D) of texts."""
        return unpack_vectors(await self._value("embed", texts=tuple(texts)))

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the messages in this model's own template, the opening of the answer included."""
        return (await self._value("count_tokens", messages=tuple(messages))).number

    async def health(self) -> Health:
        """Whether a request would be answered now."""
        if self._lost is not None or self._is_closing:
            return Health("down", str(self._lost or "unloaded"))
        return Health("ok" if self._is_ready else "loading")

    async def memory_bytes(self) -> int:
        """What the model holds now; answered also while it writes."""
        return (await self._value("memory")).number

    async def drop_caches(self, keep_bytes: int = 0) -> int:
        """Give prompt caches back, least recently used first; waits for a running answer. Returns the bytes freed."""
        return (await self._value("drop_caches", n_bytes=keep_bytes)).number

    async def limit_buffers(self, max_bytes: int) -> int:
        """Keep at most this much freed memory for reuse from now on; returns the bytes freed."""
        return (await self._value("limit_buffers", n_bytes=max_bytes)).number

    async def aclose(self) -> None:
        """End the process: asked first, so that a prompt cache can be saved, then by force. Harmless when repeated."""
        self._is_closing = True
        async with self._closing:
            if self._ended.is_set() or not hasattr(self, "_process"):
                return
            if self._is_ready and self._lost is None:
                with contextlib.suppress(Exception):
                    await self._send(Close())
                    await asyncio.wait_for(asyncio.shield(self._reading), _CLOSE_WITHIN_S)
            await asyncio.shield(self._bury())

    # ---- the other end of the pipe

    async def _ask(
        self,
        do: Verb,
        *,
        calls: tuple[Call, ...] = (),
        texts: tuple[str, ...] = (),
        messages: tuple[Message, ...] = (),
        n_bytes: int = 0,
    ) -> tuple[int, asyncio.Queue[Up]]:
        if self._lost is not None or self._is_closing:
            raise self._lost or EngineLostError(f"{self.id} has been unloaded.", hint="Load it again.")
        self._n_asked += 1
        request = self._n_asked
        self._waiting[request] = asyncio.Queue()
        ask = Ask(id=request, do=do, calls=calls, texts=texts, messages=messages, n_bytes=n_bytes)
        await self._send(ask)
        return request, self._waiting[request]

    async def _value(
        self,
        do: Verb,
        *,
        texts: tuple[str, ...] = (),
        messages: tuple[Message, ...] = (),
        n_bytes: int = 0,
    ) -> Done:
        request, answers = await self._ask(do, texts=texts, messages=messages, n_bytes=n_bytes)
        try:
            news = await self._next(answers)
            self._forget(request)
            assert isinstance(news, Done)
            return news
        finally:
            await self._give_up(request)

    async def _next(self, answers: asyncio.Queue[Up], *, is_batch: bool = False) -> Up:
        """The next frame for a request; its failure, or the child's, is raised."""
        news = await answers.get()
        if isinstance(news, Failed) and not (is_batch and news.index >= 0):
            raise self._lost if self._lost is not None and news.id == _GONE else to_error(news)
        return news

    def _forget(self, request: int) -> None:
        self._waiting.pop(request, None)

    async def _give_up(self, request: int) -> None:
        """Stop the child's work on a request that is still open."""
        if self._waiting.pop(request, None) is not None and self._lost is None:
            await self._send(Stop(id=request))

    async def _send(self, message: Down) -> None:
        with contextlib.suppress(OSError):  # a dead child is told of by `_read`
            self._writer.write(to_frame(message))
            await self._writer.drain()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Hand frames to who waits for them, until the child is gone; then tell everyone."""
        with contextlib.suppress(asyncio.IncompleteReadError, OSError, ValueError):
            while True:
                news = read_up(await reader.readexactly(frame_length(await reader.readexactly(4))))
                self._is_closing |= isinstance(news, Failed) and news.id == -1  # it said why it cannot load, and ends
                answers = self._waiting.get(-1 if isinstance(news, Ready) else news.id)
                if answers is not None:
                    answers.put_nowait(news)
        if self._is_closing:
            self._lost = EngineLostError(f"{self.id} has been unloaded.", hint="Load it again.")
        else:
            self._lost = await asyncio.to_thread(self._cause)
        for answers in self._waiting.values():
            answers.put_nowait(Failed(id=_GONE, index=-1, code="", message="", hint="", facts={}))

    def _cause(self) -> AppError:
        """Why the child is gone, from how it ended and its last words. Blocks for a moment."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.5)
        code = self._process.poll()
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        self._output.seek(max(0, os.fstat(self._output.fileno()).st_size - 4000))
        words = self._output.read()
        if any(sign in words.lower() for sign in _OUT_OF_MEMORY):
            return OutOfMemoryError(
                f"{self.id} ran out of memory; its process ended ({how}).",
                hint="Close other programs, unload other models or use a smaller one.",
            )
        last = words.decode("utf-8", "replace").strip().splitlines()[-1:]
        return EngineLostError(
            f"The process of {self.id} ended unexpectedly ({how}).",
            hint="The request was not repeated. Try again; if it ends again, memory may be short.",
            exit=how,
            output="".join(last)[:300],
        )

    async def _bury(self) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        await asyncio.to_thread(self._process.wait)
        if hasattr(self, "_reading"):
            self._writer.close()
            with contextlib.suppress(Exception):
                await self._writer.wait_closed()
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._output.close()
        self._ended.set()


_GONE = -2  # the id of the frame that tells a waiter that the child is gone
