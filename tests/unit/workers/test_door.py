"""The door of a running Benchtop: who may ask, what is answered, and what a broken or foreign one looks like."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from desktop.core.models import FitAnswer, ModelRoom
from desktop.core.paths import Paths
from desktop.engines.errors import ModelInUseError
from desktop.workers.door import Door, NobodyHomeError, NotAnsweringError, TurnedDownError, ask


@dataclass
class Room:
    """Models that are numbers in a set."""

    loaded: set[str] = field(default_factory=set)
    hangs: asyncio.Event | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    def status(self) -> dict[str, Any]:
        return {"memory": {"slots": sorted(self.loaded)}}

    def fit(self, model_id: str, *, context_tokens: int | None = None) -> FitAnswer:
        return FitAnswer(model_id, context_tokens or 1, "after", 3, 2, 1, 4, ("other",), "words")

    async def load(self, model_id: str) -> None:
        self.begun.set()
        if model_id == "slow":
            try:
                await asyncio.Event().wait()
            finally:
                self.stopped.set()
        self.loaded.add(model_id)

    async def unload(self, model_id: str) -> int:
        if model_id == "busy":
            raise ModelInUseError("busy is in use.", hint="Wait.", model="busy")
        if model_id == "odd":
            raise RuntimeError("a bug")
        self.loaded.remove(model_id)
        return 7


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


@pytest.fixture
async def room(paths: Paths) -> AsyncIterator[Room]:
    room = Room()
    task = asyncio.ensure_future(Door(cast(ModelRoom, room), paths).run())
    while not paths.running.exists():
        await asyncio.sleep(0.01)
    yield room
    task.cancel()
    await asyncio.wait([task])
    assert list(paths.home.iterdir()) == []


def asked(paths: Paths, *args: Any, **more: Any) -> Any:
    return asyncio.to_thread(partial(ask, paths, *args, **more))


async def test_load_show_fit_unload(room: Room, paths: Paths) -> None:
    assert paths.running.stat().st_mode & 0o777 == 0o600
    assert await asked(paths, "load", "m") is None
    shown = await asked(paths, "ps")
    assert shown["slots"] == ["m"]
    assert shown["pid"]
    fit = await asked(paths, "fit", "m", context=9)
    assert (fit["model"], fit["context_tokens"], fit["unload"]) == ("m", 9, ["other"])
    assert await asked(paths, "unload", "m") == 7
    assert room.loaded == set()


@pytest.mark.parametrize(
    ("do", "model", "code"),
    [
        pytest.param("unload", "busy", "engines.in_use", id="an expected failure"),
        pytest.param("unload", "odd", "app.bug", id="a mistake"),
        pytest.param("dance", "", "models.bad_question", id="another version's question"),
    ],
)
async def test_what_cannot_be_done_is_told_as_it_is(room: Room, paths: Paths, do: str, model: str, code: str) -> None:
    with pytest.raises(TurnedDownError) as caught:
        await asked(paths, do, model)
    assert caught.value.error.code == code
    assert caught.value.error.hint
    assert "a bug" not in caught.value.error.message


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"{}\n", id="no token"),
        pytest.param(b'{"token": "wrong", "do": "load", "model": "m"}\n', id="wrong token"),
        pytest.param(b'{"token": null, "do": "ps"}\n', id="a token that is none"),
        pytest.param(b"[1]\n", id="no object"),
        pytest.param(b"\xff\xfe\n", id="no text"),
        pytest.param(b"x" * 200_000, id="without an end"),
        pytest.param(b"GET /ps HTTP/1.1\r\nHost: localhost\r\n\r\n", id="a browser"),
        pytest.param(b"", id="nothing"),
    ],
)
async def test_who_does_not_know_the_token_hears_nothing(room: Room, paths: Paths, line: bytes) -> None:
    port = json.loads(paths.running.read_bytes())["port"]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(line)
        writer.write_eof()
        assert await reader.read() == b""
    except ConnectionResetError:  # closed before all of it was read
        pass
    finally:
        writer.close()
    assert room.loaded == set()


async def test_hanging_up_stops_a_load(room: Room, paths: Paths) -> None:
    known = json.loads(paths.running.read_bytes())
    _, writer = await asyncio.open_connection("127.0.0.1", known["port"])
    writer.write(json.dumps({"token": known["token"], "do": "load", "model": "slow"}).encode() + b"\n")
    await asyncio.wait_for(room.begun.wait(), 5)
    writer.close()
    await asyncio.wait_for(room.stopped.wait(), 5)


@contextmanager
def listening(reply: bytes | None) -> Iterator[int]:
    """Somebody else on a port: says `reply` to whoever comes, or nothing at all."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            line, _ = server.accept()
            with line:
                if reply is not None:
                    line.recv(65536)
                    line.sendall(reply)
                else:
                    line.recv(65536)
                    line.recv(1)  # until the other side gives up

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"[]\n", b"{}\n"])
def test_somebody_else_on_the_port_of_a_killed_one(paths: Paths, reply: bytes) -> None:
    with listening(reply) as port:
        paths.running.write_text(json.dumps({"port": port, "pid": 1, "token": "t"}))
        with pytest.raises(NobodyHomeError):
            ask(paths, "ps")


def test_one_that_hangs_is_said_to_hang(paths: Paths) -> None:
    with listening(None) as port:
        paths.running.write_text(json.dumps({"port": port, "pid": 4711, "token": "t"}))
        with pytest.raises(NotAnsweringError, match="4711"):
            ask(paths, "ps", timeout_s=0.1)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"port": "x", "token": "t"}', '{"port": 70000, "token": "t"}'])
def test_a_file_that_is_no_address(paths: Paths, text: str) -> None:
    paths.running.write_text(text)
    with pytest.raises(NobodyHomeError):
        ask(paths, "ps")
