"""One program that the engine starts in a container: its log as bytes, the go-ahead on its input, how it ended.

Knows nothing of runs, policy or outputs.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import docker
import docker.errors
import requests
import urllib3
from docker.utils.socket import frames_iter

from desktop.sandbox.container import LAUNCHER, launch_word
from desktop.sandbox.engine import Engine

PYTHON = ("python", "-I", "-S", "-B", LAUNCHER)
_SCRIPT = ("python", "-I", "-B", "-u", "/input/analysis.py")
ANSWER_S = 2  # how long the engine may take to say whether a program runs; asked at least every _ASK_S
_ASK_S = 0.5
_SILENCE_S = 10  # an engine that has not answered for so long is lost; a script that takes every core makes it slow
Lost = (docker.errors.DockerException, requests.exceptions.RequestException, urllib3.exceptions.HTTPError)
EngineTrouble = (*Lost, OSError)


class EngineLostError(Exception):
    """The engine went away under a run, or no longer answers."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended. `exit_code` None: the engine does not know."""

    exit_code: int | None
    is_oom: bool


class Execution:
    """A script's interpreter in a container, started ahead: it waits for `go` before it reads the script.

    The launcher has applied limits and filter by then, so that a run costs one byte. Serves one run.
    """

    def __init__(self, engine: Engine, container: str, *, extra_filter: bool) -> None:
        """Blocks for about 0.1 s. Raises what `EngineTrouble` names, and leaves nothing open then."""
        self._engine, self._container = engine, container
        limits = {"filter": extra_filter, "oom_first": True, "wait": True}
        command = [*PYTHON, "run", launch_word(limits), "--", *_SCRIPT]
        with _opened(engine, 30) as client:
            self._job = str(client.exec_create(container, command, stdin=True, workdir="/output")["Id"])
        self._output = Connection(engine, lambda c: c.exec_start(self._job, socket=True))

    def is_waiting(self) -> bool:
        """Whether the program still runs, as far as the engine says within a short time."""
        try:
            with _opened(self._engine, ANSWER_S) as control:
                return bool(control.exec_inspect(self._job)["Running"])
        except EngineTrouble:
            return False

    def run(self, feed: Callable[[bytes], None]) -> Ended:
        """Give the go-ahead and wait for the end; `feed` gets the log on another thread. Raises EngineLostError."""
        stream_over = threading.Event()

        def read() -> None:
            with contextlib.suppress(*EngineTrouble, ValueError):
                for chunk in self._output.chunks():
                    feed(chunk)
            stream_over.set()

        try:
            self._output.send(b"g")
            reader = threading.Thread(target=read, name=f"log-{self._container}", daemon=True)
            reader.start()
            with _opened(self._engine, ANSWER_S) as control:
                pause_s, answered = 0.05, time.monotonic()
                while not stream_over.wait(pause_s):
                    try:
                        if control.exec_inspect(self._job)["Running"] is False:
                            break
                        answered = time.monotonic()
                    except requests.exceptions.Timeout:
                        if time.monotonic() - answered > _SILENCE_S:
                            raise
                    pause_s = min(_ASK_S, pause_s * 1.5)
            stream_over.wait(0.3)  # a child that holds the log open does not hold the run open
            self._output.end()
            reader.join(2)
            with _opened(self._engine, 30) as control:
                exit_code = _exit_code(control, self._job)
            is_oom = exit_code not in (0, None) and self._oom_kills() > 0
            return Ended(exit_code, is_oom)
        except EngineTrouble as error:
            self._output.end()
            raise EngineLostError from error

    def _oom_kills(self) -> int:
        with _opened(self._engine, 30) as client:
            state = client.inspect_container(self._container)["State"]
            if not state["Running"]:
                return int(bool(state["OOMKilled"]))
            job = str(client.exec_create(self._container, [*PYTHON, "oom"])["Id"])
            client.exec_start(job)
            return _exit_code(client, job) or 0

    def close(self) -> None:
        """Give the connection up; a program that still waits then ends by itself."""
        self._output.close()


class Connection:
    """Both ways to a program in a container. `end` wakes a reader in another thread; `close` frees."""

    def __init__(self, engine: Engine, open_stream: Callable[[docker.APIClient], Any]) -> None:
        """Raises what `EngineTrouble` names, and leaves nothing open then."""
        self._client = engine.client(None)  # no timeout: the connection lasts as long as the program
        try:
            self._stream: Any = open_stream(self._client)
        except BaseException:
            self._client.close()
            raise
        self._socket: Any = getattr(self._stream, "_sock", self._stream)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def settimeout(self, seconds: float) -> None:
        self._socket.settimeout(seconds)

    def chunks(self) -> Iterator[bytes]:
        for _, data in frames_iter(self._stream, tty=False):  # type: ignore[no-untyped-call]
            yield data

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.end()
        self._stream._response.close()  # closes the stream and gives the connection up
        self._client.close()


@contextlib.contextmanager
def _opened(engine: Engine, timeout_s: int) -> Iterator[docker.APIClient]:
    client = engine.client(timeout_s)
    try:
        yield client
    finally:
        client.close()


def _exit_code(client: docker.APIClient, job: str) -> int | None:
    for _ in range(40):  # the stream may end a moment before the engine has noted the exit
        state = client.exec_inspect(job)
        if state["Running"] is False:
            return None if state["ExitCode"] is None else int(state["ExitCode"])
        time.sleep(0.05)
    return None
