"""Remote models against two real servers on loopback, each with a tiny random model made here."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from desktop.core.models import Message
from desktop.engines.engine import Call
from desktop.engines.remote.model import RemoteModel
from desktop.engines.remote.server import ModelServer
from tests.stand_ins.fleet import PretendOutside
from tests.unit.engines.tiny_models import why_not

SCHEMA = {
    "type": "object",
    "properties": {"kind": {"type": "string", "enum": ["de", "pca"]}},
    "required": ["kind"],
    "additionalProperties": False,
}
SERVER_NEEDS = ("fastapi", "sse_starlette", "starlette_context", "pydantic_settings")


@contextlib.contextmanager
def running(command: list[str], port: int, log: Path) -> Iterator[str]:
    url = f"http://127.0.0.1:{port}"
    cache = log.parent / "hub"
    cache.mkdir()
    environ = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_CACHE": str(cache)}
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, env=environ) as process:
        try:
            for _ in range(600):
                assert process.poll() is None, log.read_text(errors="replace")[-2000:]
                with contextlib.suppress(httpx.HTTPError):
                    if httpx.get(f"{url}/v1/models", trust_env=False, timeout=5).is_success:
                        break
                time.sleep(0.1)
            yield url
        finally:
            process.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def mlx_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    if why := why_not("mlx"):
        pytest.skip(why)
    model, port = str(request.getfixturevalue("tiny_mlx")), free_port()
    command = [sys.executable, "-m", "mlx_lm", "server", "--model", model, "--host", "127.0.0.1", "--port", str(port)]
    with running(command, port, tmp_path_factory.mktemp("mlx") / "log") as url:
        yield ModelServer("far", "openai", url, model)


@pytest.fixture(scope="module")
def llama_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    missing = [name for name in SERVER_NEEDS if importlib.util.find_spec(name) is None]
    if why := why_not("gguf") or (missing and f"not installed here: {', '.join(missing)}"):
        pytest.skip(str(why))
    model, port = str(request.getfixturevalue("tiny_gguf")), free_port()
    options = ["--host", "127.0.0.1", "--port", str(port), "--model_alias", "tiny", "--n_ctx", "2048"]
    command = [sys.executable, "-m", "llama_cpp.server", "--model", model, *options]
    with running(command, port, tmp_path_factory.mktemp("llama") / "log") as url:
        yield ModelServer("far", "openai", url, "tiny")


@pytest.fixture(params=["mlx_server", "llama_server"])
def server(request: pytest.FixtureRequest) -> ModelServer:
    found: ModelServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def remote(server: ModelServer) -> RemoteModel:
    return RemoteModel(server, departures=PretendOutside("far"), secret=lambda name: None)


def call(text: str = "Which genes change?", **more: object) -> Call:
    return Call(**{"id": "c", "messages": (Message("user", text),), "max_tokens": 24, **more})  # type: ignore[arg-type]


async def test_it_is_ready_and_streams(remote: RemoteModel) -> None:
    assert (await remote.health()).state == "ok"
    pieces = [piece async for piece in remote.generate(call())]
    assert pieces[-1].finish in ("stop", "length")
    assert len([piece for piece in pieces if piece.text]) > 1
    assert pieces[-1].usage is not None
    assert 0 < pieces[-1].usage.completion_tokens <= 24


async def test_streamed_and_whole_answers_are_the_same(remote: RemoteModel) -> None:
    streamed = "".join([piece.text async for piece in remote.generate(call())])
    (whole,) = await remote.generate_many([call()])
    assert isinstance(whole, tuple)
    assert ascii_of(whole[-1].text) == ascii_of(streamed)  # llama.cpp's server drops letters cut by a token's end


def ascii_of(text: str) -> str:
    return text.encode("ascii", "ignore").decode()


async def test_what_a_server_says_it_enforces_is_true(remote: RemoteModel) -> None:
    """Random weights satisfy no schema by chance, and both servers answer 200 to a format they do not know."""
    pieces = [piece async for piece in remote.generate(call(schema=SCHEMA, max_tokens=60))]
    text, enforced = "".join(piece.text for piece in pieces), pieces[-1].enforced
    is_valid = False
    with contextlib.suppress(ValueError):
        is_valid = json.loads(text) in ({"kind": "de"}, {"kind": "pca"})
    assert (enforced == "server") == is_valid


async def test_another_models_name_is_noticed(llama_server: ModelServer) -> None:
    other = dataclasses.replace(llama_server, model="no-such-model")
    remote = RemoteModel(other, departures=PretendOutside("far"), secret=lambda name: None)
    assert (await remote.health()).state == "degraded"
