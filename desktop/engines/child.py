"""The main module of a model's process: loads one model and answers for it until the pipe closes.

Two threads: the main one owns the model and does all its work, step by step; the other reads the pipe, so that a stop
is seen within one step. Single calls go before batches. Started by `host`; never imported by the window.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Generator
from typing import Any

from desktop.core.errors import AppError
from desktop.engines.engine import Piece
from desktop.engines.errors import BadModelError, EngineLostError, OutOfMemoryError
from desktop.engines.headers import check_files
from desktop.engines.protocol import (
    Ask,
    Close,
    Done,
    Down,
    Ready,
    Start,
    Stop,
    Up,
    Wrote,
    failure,
    frame_length,
    pack_vectors,
    read_down,
    to_frame,
)
from desktop.engines.runtime import Runtime

RUNTIMES = {
    "mlx": "desktop.engines.mlx:MlxRuntime",
    "gguf": "desktop.engines.gguf:GgufRuntime",
    "coreml": "desktop.engines.coreml:CoremlRuntime",
}
_SEND_EVERY_S = 0.015  # pieces written within this time travel together: nobody reads faster
_OUT_OF_MEMORY = ("out of memory", "unable to allocate", "insufficient memory", "bad_alloc", "failed to allocate")


def main() -> None:
    """Serve the socket whose number is the last argument."""
    guard = _end_with_parent()
    pipe = socket.socket(fileno=int(sys.argv[-1]))
    try:
        _Child(pipe).serve()
    except (EOFError, OSError):
        pass
    finally:
        guard.kill()
        sys.stdout.flush()
        os._exit(0)  # no destructors: a runtime that hangs or crashes in one has nothing more to say


def _end_with_parent() -> subprocess.Popen[bytes]:
    """End this process group when the parent is gone, even by kill -9, even while C code holds the interpreter.

    Standard input is a pipe whose other end only the parent has: a shell of a few kilobytes waits for it to close.
    """
    return subprocess.Popen(["/bin/sh", "-c", f"read _; kill -9 -{os.getpgid(0)}"], stdin=0, env={})


def read_exactly(pipe: socket.socket, n_bytes: int) -> bytes:
    """Bytes from the pipe; EOFError when it ended before."""
    parts = bytearray()
    while len(parts) < n_bytes:
        part = pipe.recv(min(n_bytes - len(parts), 1 << 20))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


def to_app_error(error: Exception) -> AppError:
    """What a runtime raised, typed."""
    if isinstance(error, AppError):
        return error
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or any(sign in text.lower() for sign in _OUT_OF_MEMORY):
        return OutOfMemoryError(
            "The model ran out of memory.",
            hint="Close other programs, unload other models or use a smaller one.",
            detail=text,
        )
    return EngineLostError("The engine failed in the middle of a request.", hint="Try again.", detail=text)


class _Child:
    def __init__(self, pipe: socket.socket) -> None:
        self._pipe = pipe
        self._sending = threading.Lock()
        self._inbox: queue.SimpleQueue[Ask | None] = queue.SimpleQueue()
        self._open: dict[int, set[str]] = {}  # requests under way → their calls that are to stop; "": all of it
        self._singles: deque[tuple[int, Generator[Any, None, Any]]] = deque()
        self._batches: deque[tuple[int, Generator[Any, None, Any]]] = deque()
        self._runtime: Runtime

    def serve(self) -> None:
        """Load, say so, then answer until told to close or the parent is gone."""
        start = self._read()
        if not isinstance(start, Start):
            raise EOFError
        try:
            check_files(start.files.path)
            module, _, name = RUNTIMES[start.files.engine].partition(":")
            self._runtime = getattr(importlib.import_module(module), name)(start.files, start.caches)
        except Exception as error:
            self._send(failure(-1, _load_error(error)))
            return
        self._send(Ready(parallel=self._runtime.parallel))
        threading.Thread(target=self._listen, name="pipe", daemon=True).start()
        while self._take_in():
            self._step()

    def _read(self) -> Down:
        return read_down(read_exactly(self._pipe, frame_length(read_exactly(self._pipe, 4))))

    def _send(self, message: Up) -> None:
        with self._sending:
            self._pipe.sendall(to_frame(message))

    def _listen(self) -> None:
        """The second thread: sorts what comes in. Memory is told from here, so that a long step does not delay it."""
        with contextlib.suppress(EOFError, OSError, ValueError):
            while not isinstance(message := self._read(), Close):
                if isinstance(message, Stop):
                    if (stopped := self._open.get(message.id)) is not None:
                        stopped.add(message.call_id)
                elif isinstance(message, Ask) and message.do == "memory":
                    self._send(Done(id=message.id, number=self._runtime.memory_bytes()))
                elif isinstance(message, Ask):
                    self._open[message.id] = set()
                    self._inbox.put(message)
        self._inbox.put(None)

    def _take_in(self) -> bool:
        """Turn what came in into work; wait where there is none. False when it is time to end."""
        while True:
            is_idle = not self._singles and not self._batches
            try:
                ask = self._inbox.get(block=is_idle, timeout=0 if is_idle and self._is_untidy else None)
            except queue.Empty:
                if is_idle:
                    self._is_untidy = self._runtime.tidy()
                    continue
                return True
            if ask is None:
                for _, work in (*self._singles, *self._batches):
                    work.close()
                deadline_s = time.monotonic() + 1
                while time.monotonic() < deadline_s and self._runtime.tidy():
                    pass
                return False
            if ask.do == "count_tokens":  # needs the tokenizer only: not behind an answer under way
                self._singles.appendleft((ask.id, self._work(ask)))
            else:
                (self._batches if ask.do == "generate_many" else self._singles).append((ask.id, self._work(ask)))
            self._is_untidy = True

    _is_untidy = False

    def _step(self) -> None:
        """One step of the first single request, or of the first batch when there is none."""
        line = self._singles or self._batches
        request, work = line[0]
        try:
            if "" in self._open[request]:
                work.close()
            else:
                next(work)
                return
        except StopIteration:
            pass
        except (EOFError, OSError):
            raise
        except Exception as error:
            self._send(failure(request, to_app_error(error)))
        del self._open[request]
        line.popleft()

    def _work(self, ask: Ask) -> Generator[None]:
        """The request as steps; answers are sent on the way."""
        match ask.do:
            case "generate":
                letter = _Letter(self, ask.id, 0)
                for piece in self._runtime.write(ask.calls[0]):
                    letter.add(piece)
                    yield
            case "generate_many":
                letters = [_Letter(self, ask.id, index) for index in range(len(ask.calls))]

                def tell(index: int, news: Piece | AppError) -> None:
                    if isinstance(news, AppError):
                        self._send(failure(ask.id, news, index))
                    else:
                        letters[index].add(news)

                yield from self._runtime.write_many(ask.calls, tell, self._open[ask.id].__contains__)
                self._send(Done(id=ask.id))
            case "embed":
                self._send(pack_vectors(ask.id, (yield from self._runtime.embed(ask.texts))))
            case "count_tokens":
                self._send(Done(id=ask.id, number=self._runtime.count_tokens(ask.messages)))
            case "drop_caches":
                self._send(Done(id=ask.id, number=self._runtime.drop_caches(ask.n_bytes)))
            case "limit_buffers":
                self._send(Done(id=ask.id, number=self._runtime.limit_buffers(ask.n_bytes)))
            case "memory":
                pass  # answered by the other thread
        yield


class _Letter:
    """Pieces of one answer on their way out; text waits a moment so that many tokens travel in one frame."""

    def __init__(self, child: _Child, request: int, index: int) -> None:
        self._child, self._request, self._index = child, request, index
        self._text: list[str] = []
        self._sent_s = 0.0

    def add(self, piece: Piece) -> None:
        """Take a piece; send what has gathered when it is the last one or time has passed."""
        if piece.text:
            self._text.append(piece.text)
        if piece.finish is None and (not self._text or time.monotonic() - self._sent_s < _SEND_EVERY_S):
            return
        self._sent_s = time.monotonic()
        text = "".join(self._text)
        self._text.clear()
        out = Piece(text=text, finish=piece.finish, usage=piece.usage, enforced=piece.enforced)
        self._child._send(Wrote(id=self._request, index=self._index, piece=out))


def _load_error(error: Exception) -> AppError:
    if isinstance(error, AppError):
        return error
    typed = to_app_error(error)
    if isinstance(typed, OutOfMemoryError):
        return typed
    return BadModelError(
        f"The model cannot be loaded: {' '.join(str(error).split())}"[:300],
        hint="Download or import it again; a file may be incomplete, or of a kind this runtime does not know.",
        detail=type(error).__name__,
    )


if __name__ == "__main__":
    main()
