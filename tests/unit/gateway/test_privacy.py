"""Attacks on one promise: what is private never leaves this machine, whatever is asked, allowed, named or broken."""

from __future__ import annotations

import asyncio
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desktop.core.errors import AppError
from desktop.core.models import Message, Prompt, Task
from desktop.engines.errors import EngineLostError, InvalidAnswerError
from desktop.gateway.errors import NoModelError
from tests.stand_ins.fleet import House, as_json, make_house
from tests.stand_ins.model_server import ModelServerStandIn, standing_in

SCHEMA = {
    "type": "object",
    "properties": {"kind": {"type": "string", "enum": ["de", "pca"]}},
    "required": ["kind"],
    "additionalProperties": False,
}
SECRET = "SECRET-patient-4711"
TIERS = ("small", "medium", "large")
NAMES = ("", "small", "medium", "far-small", "far-large", "nobody", "../../etc/passwd")


def house_beside(folder: Path, url: str, *locals_: str, **more: Any) -> House:
    """Local models of these tiers beside an allowed server in every tier, one of them called as a local model is."""
    servers = [{"id": f"far-{tier}", "url": url, "model": "m-1", "tier": tier} for tier in TIERS]
    servers.append({"id": "small", "url": url, "model": "m-1", "tier": "large"})
    house = make_house(folder, servers=servers, allowed=[server["id"] for server in servers], **more)
    for tier in locals_:
        house.fleet.add(tier, tier, is_loaded=True, piece_s=0, context_tokens=4000)  # type: ignore[arg-type]
    return house


def private(text: str = SECRET, **changes: Any) -> Prompt:
    return Prompt((Message("user", text),), changes.pop("task", Task("t.ask")), **changes)


def seen(server: ModelServerStandIn) -> str:
    """All that arrived there."""
    return json.dumps([[asked.path, asked.headers, asked.body] for asked in server.asked])


async def end(house: House, prompt: Prompt) -> AppError | None:
    try:
        await house.gateway.generate(prompt)
    except AppError as error:
        return error
    return None


requests = st.builds(
    private,
    st.sampled_from([SECRET, SECRET * 2000]),
    task=st.builds(
        Task, st.just("t.ask"), is_bulk=st.booleans(), has_code=st.booleans(), lowest=st.sampled_from(TIERS)
    ),
    schema=st.sampled_from([None, SCHEMA]),
    tier=st.sampled_from([None, *TIERS]),
    model=st.sampled_from(NAMES),
    max_tokens=st.sampled_from([10, 100_000]),
    temperature=st.sampled_from([0.0, 1.0]),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    requests=st.lists(requests, min_size=1, max_size=6),
    here=st.sets(st.sampled_from(TIERS)),
    broken=st.sets(st.sampled_from(TIERS)),
    says=st.sampled_from([{"kind": "de"}, {"kind": "nonsense"}]),
    chosen=st.sampled_from(NAMES[:5]),
)
def test_no_mix_of_requests_models_faults_and_settings_lets_it_out(
    requests: list[Prompt], here: set[str], broken: set[str], says: dict[str, str], chosen: str
) -> None:
    async def attack(folder: Path, server: ModelServerStandIn) -> None:
        house = house_beside(folder, server.base, *here, large=chosen, small=chosen)
        for tier in here:
            model = house.fleet.models[tier]
            model.says = as_json(says)
            model.faults = [EngineLostError("gone", hint="again")] * (5 if tier in broken else 0)
        public = [
            replace(one, messages=(Message("user", "hello"),), task=replace(one.task, is_private=False))
            for one in requests
        ]
        await asyncio.gather(*(end(house, one) for pair in zip(requests, public, strict=True) for one in pair))
        await house.gateway.generate_many(requests)

    with tempfile.TemporaryDirectory() as folder, standing_in() as server:
        asyncio.run(attack(Path(folder), server))
        assert SECRET not in seen(server)


async def test_an_answer_a_server_gave_is_not_handed_to_a_private_request(tmp_path: Path) -> None:
    with standing_in() as server:
        house = house_beside(tmp_path, server.base)
        public = private("hello", task=Task("t.ask", is_private=False), tier="small")
        first, second = await asyncio.gather(house.gateway.generate(public), end(house, private("hello", tier="small")))
        assert first.engine == "openai"
        assert isinstance(second, NoModelError)
        assert isinstance(await end(house, private("hello", tier="small")), NoModelError)


async def test_a_private_answer_that_stays_invalid_is_not_taken_to_a_server(tmp_path: Path) -> None:
    with standing_in() as server:
        house = house_beside(tmp_path, server.base, "small")
        house.fleet.models["small"].says = as_json({"kind": "nonsense"})
        assert isinstance(await end(house, private(schema=SCHEMA)), InvalidAnswerError)
        assert server.asked == []


async def test_a_server_called_as_a_local_model_is_does_not_get_its_requests(tmp_path: Path) -> None:
    with standing_in() as server:
        house = house_beside(tmp_path, server.base, "small")
        may_leave = private("hello", task=Task("t.ask", is_private=False), model="small")
        assert (await house.gateway.generate(may_leave)).engine == "gguf"
        house.fleet.models["small"].faults = [EngineLostError("gone", hint="again")] * 9
        assert isinstance(await end(house, replace(may_leave, messages=(Message("user", "again"),))), EngineLostError)
        assert server.asked == []
        rows = [row for row in house.gateway.status()["models"] if row["id"] == "small"]
        assert [row["is_remote"] for row in rows] == [False]


async def test_consent_taken_back_holds_for_the_next_request_and_the_next_attempt(tmp_path: Path) -> None:
    with standing_in() as server:
        house = house_beside(tmp_path, server.base)
        public = private("hello", task=Task("t.ask", is_private=False), tier="large")
        await house.gateway.generate(public)
        asked = len(server.asked)
        house.outside.allowed.clear()
        assert isinstance(await end(house, replace(public, messages=(Message("user", "x"),))), NoModelError)
        assert len(server.asked) == asked


@pytest.mark.parametrize(
    "ref", ["https://evil.example.org/s.json", "http://127.0.0.1:1/s.json", "file:///etc/passwd", "//evil/s"]
)
async def test_a_schema_cannot_make_anything_be_fetched(tmp_path: Path, ref: str) -> None:
    house = house_beside(tmp_path, "http://127.0.0.1:9", "small")
    error = await end(house, private(schema={"type": "object", "properties": {"a": {"$ref": ref}}}))
    assert error is not None
    assert error.code == "engines.unsupported_schema"
    assert house.fleet.models["small"].calls == []
