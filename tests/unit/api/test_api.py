"""The local API as OpenAI's own client sees it, and what it does with everybody else."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from desktop.api.server import MOST_BODY_BYTES, BusyPortError, serve
from desktop.core.models import Usage
from desktop.engines.errors import EngineLostError, ServerBusyError
from tests.stand_ins.fleet import House, as_json, make_house
from tests.stand_ins.model_server import standing_in

TOKEN = "local-token"
SCHEMA = {
    "type": "object",
    "properties": {"kind": {"type": "string", "enum": ["de", "pca"]}},
    "required": ["kind"],
    "additionalProperties": False,
}


@asynccontextmanager
async def open_door(house: House) -> AsyncIterator[str]:
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.ensure_future(serve(house.gateway, port=0, token=TOKEN, on_ready=ready.set_result))
    try:
        yield await ready
    finally:
        serving.cancel()
        await asyncio.wait([serving])


@pytest.fixture
async def house(tmp_path: Path) -> House:
    house = make_house(tmp_path)
    for tier in ("small", "medium"):
        house.fleet.add(f"{tier}-model", tier, is_loaded=True, piece_s=0.001)
    house.fleet.add("e5", None, pooling="mean", is_loaded=True)
    return house


@pytest.fixture
async def url(house: House) -> AsyncIterator[str]:
    async with open_door(house) as url:
        yield url


@pytest.fixture
async def client(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=TOKEN, max_retries=0, timeout=10) as client:
        yield client


@pytest.fixture
async def http(url: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as http:
        yield http


def said(text: str) -> Any:
    return [{"role": "user", "content": text}]


async def test_chat(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="auto", messages=said("hello"))
    assert answer.choices[0].message.content == "echo hello"
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.model, answer.usage and answer.usage.total_tokens) == ("small-model", 9)


async def test_chat_in_parts_and_by_name(client: openai.AsyncOpenAI) -> None:
    messages: Any = [
        {"role": "developer", "content": "x"},
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
    ]
    for name in ("medium", "medium-model"):
        answer = await client.chat.completions.create(model=name, messages=messages, max_completion_tokens=7)
        assert (answer.model, answer.choices[0].message.content) == ("medium-model", "echo hi")


async def test_chat_streamed(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="auto", messages=said("a b c"), stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert [piece for piece in pieces if piece] == ["echo", " a", " b", " c"]
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 4


async def test_answers_to_a_schema(client: openai.AsyncOpenAI, house: House) -> None:
    house.fleet.models["small-model"].says = as_json({"kind": "nonsense"})
    house.fleet.models["medium-model"].says = as_json({"kind": "de"})
    how: Any = {"type": "json_schema", "json_schema": {"name": "plan", "strict": True, "schema": SCHEMA}}
    answer = await client.chat.completions.create(model="auto", messages=said("x"), response_format=how)
    assert json.loads(answer.choices[0].message.content or "") == {"kind": "de"}
    stream = await client.chat.completions.create(model="auto", messages=said("y"), response_format=how, stream=True)
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert json.loads(text) == {"kind": "de"}
    how["json_schema"]["schema"] = {"type": "object", "patternProperties": {}}
    with pytest.raises(openai.BadRequestError, match="patternProperties"):
        await client.chat.completions.create(model="auto", messages=said("z"), response_format=how)
    as_object: Any = {"type": "json_object"}
    answer = await client.chat.completions.create(model="medium", messages=said("o"), response_format=as_object)
    assert json.loads(answer.choices[0].message.content or "") == {"kind": "de"}


async def test_plain_completions(client: openai.AsyncOpenAI) -> None:
    answer = await client.completions.create(model="auto", prompt="once", stop=["\n"], seed=3)
    assert answer.choices[0].text == "echo once"
    stream = await client.completions.create(model="auto", prompt=["once upon"], stream=True)
    assert "".join([chunk.choices[0].text async for chunk in stream]) == "echo once upon"


async def test_embeddings_as_numbers_and_packed(client: openai.AsyncOpenAI) -> None:
    packed = await client.embeddings.create(model="auto", input=["a", "bb"])  # the client asks for base64 by itself
    plain = await client.embeddings.create(model="e5", input="bb", encoding_format="float")
    assert [row.embedding for row in packed.data] == [[1.0, 0.0], [2.0, 0.0]]
    assert plain.data[0].embedding == [2.0, 0.0]
    assert packed.model == "e5"


async def test_models_health_and_figures(client: openai.AsyncOpenAI, http: httpx.AsyncClient) -> None:
    names = [model.id async for model in await client.models.list()]
    assert names == ["auto", "small", "medium", "large", "small-model", "medium-model", "e5"]
    await client.chat.completions.create(model="auto", messages=said("x"))
    health = await http.get("/health", headers={"Authorization": ""})
    assert (health.status_code, health.json()["status"]) == (200, "ok")
    figures = (await http.get("/metrics")).text
    assert 'benchtop_requests_total{model="small-model"} 1' in figures
    assert 'benchtop_memory_bytes{of="limit"} 1000000000' in figures
    assert 'benchtop_breaker_open{model="small-model"} 0' in figures
    assert all(line.startswith(("#", "benchtop_")) for line in figures.splitlines())


async def test_health_without_a_model_is_not_ready(tmp_path: Path) -> None:
    async with open_door(make_house(tmp_path)) as url, httpx.AsyncClient(trust_env=False) as http:
        health = await http.get(f"{url}/health")
    assert (health.status_code, health.json()["status"]) == (503, "down")


@pytest.mark.parametrize("path", ["/v1/models", "/metrics", "/v1/chat/completions", "/v1/embeddings"])
@pytest.mark.parametrize("header", ["", "Bearer wrong", f"Basic {TOKEN}"])
async def test_nothing_without_the_token(http: httpx.AsyncClient, path: str, header: str) -> None:
    reply = await http.request(
        "GET" if path in ("/v1/models", "/metrics") else "POST", path, headers={"Authorization": header}
    )
    assert reply.status_code == 401
    assert reply.json()["error"]["code"] == "api.unauthorised"


async def test_a_page_in_a_browser_cannot_come_in_under_its_own_name(http: httpx.AsyncClient) -> None:
    assert (await http.get("/v1/models", headers={"Host": "evil.example.org"})).status_code == 400
    assert "access-control-allow-origin" not in (await http.get("/v1/models")).headers


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"", 400, id="nothing"),
        pytest.param(b"{", 400, id="half"),
        pytest.param(b"[]", 400, id="a list"),
        pytest.param(b"\xff\xfe", 400, id="not UTF-8"),
        pytest.param(b"[" * 100_000, 400, id="deep"),
        pytest.param({"messages": []}, 400, id="no messages"),
        pytest.param({"messages": [{"role": "robot", "content": "x"}]}, 400, id="unknown role"),
        pytest.param({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, id="a picture"),
        pytest.param({"messages": [{"role": "user", "content": "x"}], "n": 2}, 400, id="n"),
        pytest.param({"messages": [{"role": "user", "content": "x"}], "tools": [{}]}, 400, id="tools"),
        pytest.param({"messages": [{"role": "user", "content": "x"}], "max_tokens": -1}, 400, id="negative"),
        pytest.param({"messages": [{"role": "user", "content": "x"}], "max_tokens": 10**30}, 400, id="absurd"),
        pytest.param({"messages": [{"role": "user", "content": "x"}], "model": "/etc/passwd"}, 404, id="a path"),
        pytest.param({"messages": [{"role": "user", "content": "x"}], "model": "e5"}, 404, id="not for text"),
        pytest.param(b" " * (MOST_BODY_BYTES + 1), 413, id="too large"),
    ],
)
async def test_bad_requests_are_told_in_the_apis_own_shape(http: httpx.AsyncClient, body: Any, status: int) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = await http.post("/v1/chat/completions", content=content)
    assert reply.status_code == status
    assert set(reply.json()["error"]) == {"message", "type", "code", "param"}
    assert "Traceback" not in reply.text


async def test_unknown_paths(http: httpx.AsyncClient) -> None:
    assert (await http.get("/")).status_code == 404
    assert (await http.get("/v1/chat/completions")).status_code == 405


async def test_failures_have_a_status_and_say_when_to_come_back(client: openai.AsyncOpenAI, house: House) -> None:
    small = house.fleet.models["small-model"]
    small.faults = [ServerBusyError("busy", hint="later", retry_after_s=120)]
    with pytest.raises(openai.InternalServerError) as caught:
        await client.chat.completions.create(model="small", messages=said("x"))
    assert caught.value.status_code == 503
    assert caught.value.response.headers["retry-after"] == "120"


async def test_a_failure_in_the_middle_of_a_stream_is_told_in_it(client: openai.AsyncOpenAI, house: House) -> None:
    small = house.fleet.models["small-model"]
    small.faults, small.fault_after = [EngineLostError("gone", hint="again")], 2
    stream = await client.chat.completions.create(model="auto", messages=said("a b c"), stream=True)
    with pytest.raises(openai.APIError, match="gone"):
        async for _ in stream:
            pass


async def test_hanging_up_stops_the_model(client: openai.AsyncOpenAI, house: House) -> None:
    small = house.fleet.models["small-model"]
    small.piece_s = 0.05
    stream = await client.chat.completions.create(model="auto", messages=said("a " * 500), stream=True)
    async for _ in stream:
        break
    await stream.close()
    for _ in range(100):
        if not small.running:
            break
        await asyncio.sleep(0.02)
    assert small.running == 0


async def test_text_leaves_only_when_a_server_is_asked_by_name(tmp_path: Path) -> None:
    with standing_in() as server:
        far = {"id": "far", "url": server.base, "model": "m-1"}
        house = make_house(tmp_path, servers=[far], allowed=["far"])
        async with (
            open_door(house) as url,
            openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=TOKEN, max_retries=0) as client,
        ):
            with pytest.raises(openai.InternalServerError):
                await client.chat.completions.create(model="auto", messages=said("x"))
            assert server.asked == []
            for name in ("far", "large"):
                answer = await client.chat.completions.create(model=name, messages=said(f"to {name}"))
                assert answer.choices[0].message.content == f"You said to {name}"


async def test_a_taken_port_is_said(house: House, url: str) -> None:
    port = int(url.rpartition(":")[2])
    with pytest.raises(BusyPortError, match=str(port)):
        await serve(house.gateway, port=port, token=TOKEN, on_ready=lambda _: None)


async def test_texts_for_vectors_leave_only_when_the_server_is_named(tmp_path: Path) -> None:
    with standing_in() as server:
        far = {"id": "far", "url": server.base, "model": "m-1", "embeds": True}
        house = make_house(tmp_path, servers=[far], allowed=["far"], embedding="far")
        async with (
            open_door(house) as url,
            openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=TOKEN, max_retries=0) as client,
        ):
            for name in ("auto", "e5", "small"):
                with pytest.raises(openai.NotFoundError):
                    await client.embeddings.create(model=name, input="SECRET")
            assert server.asked == []


async def test_too_long_a_text_is_the_caller_s_fault(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="tokens") as caught:
        await client.chat.completions.create(model="auto", messages=said("x " * 400_000))
    assert caught.value.code == "engines.context_too_long"


async def test_more_requests_than_are_taken_at_once_are_told_to_wait(
    client: openai.AsyncOpenAI, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop.api.server.MOST_AT_ONCE", 1)
    house.fleet.models["small-model"].piece_s = 0.2
    first = asyncio.ensure_future(client.chat.completions.create(model="auto", messages=said("a b c")))
    while not house.fleet.models["small-model"].running:
        await asyncio.sleep(0.01)
    with pytest.raises(openai.RateLimitError) as caught:
        await client.chat.completions.create(model="auto", messages=said("x"))
    assert caught.value.response.headers["retry-after"] == "1"
    assert (await first).choices[0].message.content == "echo a b c"


async def test_the_figures_are_prometheus_text(
    client: openai.AsyncOpenAI, http: httpx.AsyncClient, house: House
) -> None:
    house.gateway.metrics.note_answer('odd"\\\nname', Usage(1_234_567, 2), 0.25, 1.0)
    await client.chat.completions.create(model="auto", messages=said("x"))
    text = (await http.get("/metrics")).text
    families = re.findall(r"^# TYPE (\S+) (?:counter|gauge|summary)$", text, re.MULTILINE)
    assert len(families) == len(set(families)) == len(re.findall(r"^# HELP \S+ \S", text, re.MULTILINE))
    assert text.endswith("\n")
    label = r'[a-z_]+="(?:[^"\\\n]|\\["\\n])*"'
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    for line in samples:
        assert re.fullmatch(rf"benchtop_[a-z_]+\{{{label}(?:,{label})*\}} [0-9.e+-]+", line), line
    keys = [line.rpartition(" ")[0] for line in samples]
    assert len(keys) == len(set(keys))
    assert any(
        line.startswith('benchtop_prompt_tokens_total{model="odd') and line.endswith(" 1234567") for line in samples
    )
