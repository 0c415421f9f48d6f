"""Models on a server, against stand-ins that speak as vLLM and Databricks do, faults included."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.core.errors import AppError, OfflineError
from desktop.core.models import Message
from desktop.engines.engine import Call, Piece
from desktop.engines.remote.model import RemoteModel
from desktop.engines.remote.server import ModelServer, ServerKind
from desktop.engines.remote.sse import read_events
from desktop.engines.thinking import ThoughtFilter, without_thoughts
from tests.stand_ins.model_server import ModelServerStandIn, Slip, standing_in

SCHEMA = {
    "type": "object",
    "properties": {"kind": {"type": "string", "enum": ["de", "pca"]}, "n": {"type": "integer"}},
    "required": ["kind", "n"],
    "additionalProperties": False,
}
KINDS: tuple[ServerKind, ...] = ("openai", "databricks")


class Trail:
    """Notes what leaves; refuses when told to."""

    def __init__(self, *, allows: bool = True) -> None:
        self.allows, self.rows = allows, cast("list[tuple[str, str, str, int]]", [])

    async def depart(self, destination: str, *, method: str, url: str, size_bytes: int) -> None:
        if not self.allows:
            raise OfflineError("Not allowed.", hint="Allow it.")
        self.rows.append((destination, method, url, size_bytes))


def model(server: ModelServerStandIn, kind: ServerKind = "openai", **changes: Any) -> RemoteModel:
    trail = changes.pop("trail", None) or Trail()
    token = changes.pop("token", server.token)
    values = {"first_token_s": 5, "stall_s": 5, "total_s": 20, "key_name": "t" if token else "", **changes}
    about = ModelServer("far", kind, values.pop("url", server.base), values.pop("model", server.model), **values)
    return RemoteModel(about, departures=trail, secret=lambda name: token)


def call(text: str = "hello there", **changes: Any) -> Call:
    values = {"max_tokens": 100, **changes}
    return Call("c1", (Message("system", "Be brief."), Message("user", text)), **values)


async def answer(remote: RemoteModel, request: Call) -> tuple[str, Piece]:
    pieces = [piece async for piece in remote.generate(request)]
    return "".join(piece.text for piece in pieces), pieces[-1]


async def fault(remote: RemoteModel, request: Call | None = None) -> AppError:
    with pytest.raises(AppError) as caught:
        await answer(remote, request or call())
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("style", ["text", "list", "think", "reasoning"])
@pytest.mark.parametrize("streams", [True, False])
async def test_an_answer_comes_as_text_however_it_was_sent(kind: ServerKind, style: str, streams: bool) -> None:
    with standing_in(style=style, streams=streams, token="s3cret") as server:
        trail = Trail()
        text, last = await answer(model(server, kind, trail=trail), call())
        assert text == "You said hello there"
        assert (last.finish, last.enforced) == ("stop", "none")
        assert last.usage is not None
        assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (12, 4)
        (asked,) = server.asked
        assert asked.body["messages"][0] == {"role": "system", "content": "Be brief."}
        ((destination, method, url, size_bytes),) = trail.rows
        assert (destination, method) == ("far", "POST")
        assert url == server.base + asked.path
        assert size_bytes > len(json.dumps(asked.body))


async def test_half_a_letter_is_no_fault_on_the_way_there_nor_back() -> None:
    with standing_in() as server:
        server.slip(Slip(raw=b'{"choices": [{"message": {"content": "\\ud800x"}, "finish_reason": "stop"}]}'))
        text, last = await answer(model(server), call("half \ud83e"))
    assert text == "?x"
    assert last.usage is not None


async def test_text_streams_as_it_is_written() -> None:
    with standing_in(answer=lambda _: "one two three") as server:
        server.slip(Slip(pause_s=0.05))
        pieces = [piece.text async for piece in model(server).generate(call())]
    assert [piece for piece in pieces if piece] == ["one ", "two ", "three"]


async def test_a_limit_reached_is_said() -> None:
    with standing_in(answer=lambda _: "a b c d e") as server:
        text, last = await answer(model(server), call(max_tokens=2))
    assert (text, last.finish) == ("a b ", "length")


@pytest.mark.parametrize(
    ("kind", "enforces", "enforced"),
    [
        pytest.param("openai", ("json_schema",), "server", id="response_format"),
        pytest.param("openai", ("structured_outputs",), "server", id="structured_outputs"),
        pytest.param("openai", ("json_object",), "server", id="json_object with a schema"),
        pytest.param("openai", (), "none", id="ignored by the server"),
        pytest.param("databricks", ("json_schema",), "server", id="Databricks"),
        pytest.param("databricks", (), "none", id="Databricks without"),
    ],
)
async def test_what_the_server_enforces_is_found_out_once(
    kind: ServerKind, enforces: tuple[str, ...], enforced: str
) -> None:
    with standing_in(enforces=enforces) as server:
        remote = model(server, kind)
        text, last = await answer(remote, call(schema=SCHEMA))
        probes = len(server.asked) - 1
        await answer(remote, call(schema=SCHEMA))
        assert last.enforced == enforced
        assert len(server.asked) == probes + 2
        sent = server.asked[-1].body
        if enforced == "server":
            assert json.loads(text) == {"kind": "de", "n": 1}
        else:
            assert '"enum"' in sent["messages"][0]["content"]
            assert "response_format" not in sent
        if sent.get("response_format", {}).get("type") == "json_schema":
            assert sent["response_format"]["json_schema"]["name"]
            assert sent["response_format"]["json_schema"]["strict"] is True


@pytest.mark.parametrize(
    ("slip", "code"),
    [
        pytest.param(Slip(html=True), "engines.bad_reply", id="a sign-in page over 200"),
        pytest.param(Slip(status=502, body=b"<html>Bad gateway</html>"), "engines.busy", id="502 as a page"),
        pytest.param(Slip(raw=b"{not json"), "engines.bad_reply", id="broken JSON"),
        pytest.param(Slip(raw=b"[]"), "engines.bad_reply", id="JSON of another kind"),
        pytest.param(Slip(raw=b'{"choices": []}'), "engines.bad_reply", id="no choices"),
        pytest.param(Slip(raw=b'{"choices": [{"message": {"content": 7}}]}'), "engines.bad_reply", id="odd content"),
        pytest.param(Slip(garbage=b"data: {half\n\n"), "engines.bad_reply", id="broken event"),
        pytest.param(Slip(garbage=b"data: \xff\xfe\n\n"), "engines.bad_reply", id="not UTF-8"),
        pytest.param(Slip(cut_after=3), "engines.lost", id="half a stream"),
        pytest.param(Slip(cut_after=3, reset=True), "engines.lost", id="connection reset in the stream"),
        pytest.param(Slip(accept_and_drop=True), "engines.lost", id="dropped after the request"),
        pytest.param(Slip(accept_and_drop=True, reset=True), "engines.lost", id="reset after the request"),
        pytest.param(Slip(status=500, body={"detail": "boom"}), "engines.lost", id="500"),
        pytest.param(Slip(status=504), "engines.timeout", id="504"),
        pytest.param(Slip(status=503), "engines.busy", id="503 without a body"),
        pytest.param(Slip(status=429, headers={"Retry-After": "7"}), "engines.busy", id="429"),
        pytest.param(Slip(status=401, body={"error": "bad token"}), "engines.not_authorised", id="401"),
        pytest.param(Slip(status=403), "engines.not_authorised", id="403"),
        pytest.param(
            Slip(status=307, headers={"Location": "https://example.org/"}), "engines.bad_reply", id="redirect"
        ),
        pytest.param(Slip(status=422, body={"detail": [{"msg": "bad"}]}), "engines.refused", id="422"),
        pytest.param(
            Slip(status=400, body={"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "Exceeded"}),
            "engines.busy",
            id="a Databricks limit as 400",
        ),
        pytest.param(
            Slip(status=400, body={"object": "error", "message": "maximum context length is 4096 tokens", "code": 400}),
            "engines.context_too_long",
            id="too long, as vLLM says it",
        ),
        pytest.param(
            Slip(error_event={"error": {"message": "engine died", "code": 500}}),
            "engines.lost",
            id="error in the stream",
        ),
        pytest.param(Slip(silent_s=30), "engines.timeout", id="silence"),
        pytest.param(Slip(pause_s=30), "engines.timeout", id="stall"),
    ],
)
async def test_every_fault_is_a_typed_error_and_asked_once(slip: Slip, code: str) -> None:
    with standing_in(token="s3cret") as server:
        server.slip(slip)
        limits = {"first_token_s": 0.3, "stall_s": 0.3} if slip.silent_s or slip.pause_s else {}
        error = await fault(model(server, **limits))
        assert error.code == code
        assert "s3cret" not in f"{error} {error.hint} {error.facts}"
        assert len(server.asked) == 1


async def test_retry_after_and_the_servers_words_are_passed_on() -> None:
    words = "REQUEST_LIMIT_EXCEEDED: Exceeded workspace input tokens per minute rate limit for m-1."
    with standing_in() as server:
        server.slip(
            Slip(
                status=429,
                headers={"Retry-After": "7"},
                body={"error_code": "REQUEST_LIMIT_EXCEEDED", "message": words},
            )
        )
        error = await fault(model(server, "databricks"))
    assert error.facts["retry_after_s"] == 7
    assert words in str(error)
    assert error.retryable


@pytest.mark.parametrize(("limits", "phase"), [({"first_token_s": 0.2}, "first"), ({"total_s": 0.3}, "total")])
async def test_the_first_token_and_the_whole_have_limits_of_their_own(limits: dict[str, float], phase: str) -> None:
    with standing_in(answer=lambda _: " ".join("abcdefghijklmnop")) as server:
        server.slip(Slip(silent_s=0.6) if phase == "first" else Slip(pause_s=0.05))
        error = await fault(model(server, **{"stall_s": 0.25, **limits}))
    assert (error.code, error.facts["phase"]) == ("engines.timeout", phase)


async def test_nothing_is_sent_without_consent() -> None:
    with standing_in() as server:
        remote = model(server, trail=Trail(allows=False))
        for work in (answer(remote, call()), answer(remote, call(schema=SCHEMA)), remote.embed(["x"])):
            with pytest.raises(AppError):
                await work
        assert (await remote.health()).state == "down"
        assert server.asked == []


async def test_a_server_that_is_not_there() -> None:
    with standing_in() as server:
        remote = model(server)
    error = await fault(remote)
    assert error.code == "engines.unreachable"
    assert (await remote.health()).state == "down"


async def test_stopping_early_closes_the_connection() -> None:
    with standing_in(answer=lambda _: " ".join(["word"] * 2000)) as server:
        server.slip(Slip(pause_s=0.01))
        pieces = cast("Any", model(server).generate(call(max_tokens=5000)))
        async with aclosing(pieces):
            async for piece in pieces:
                if piece.text:
                    break
        for _ in range(200):
            if not server.open_streams:
                break
            await asyncio.sleep(0.02)
        assert server.open_streams == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_many_at_once_keep_their_order_and_fail_alone(kind: ServerKind) -> None:
    with standing_in() as server:
        server.slip(Slip(status=400, body={"error": "no"}, times=1))
        results = await model(server, kind, parallel=1).generate_many([call(f"text {i}") for i in range(5)])
    failed, *rest = results
    assert isinstance(failed, AppError)
    assert ["".join(p.text for p in pieces) for pieces in rest if isinstance(pieces, tuple)] == [
        f"You said text {i}" for i in range(1, 5)
    ]


async def test_one_of_many_can_be_stopped() -> None:
    with standing_in() as server:
        server.slip(Slip(silent_s=5, times=1))
        remote = model(server, parallel=1)
        calls = [Call(f"c{n}", call(f"text {n}").messages, 100) for n in range(3)]
        many = asyncio.ensure_future(remote.generate_many(calls))
        while not server.asked:
            await asyncio.sleep(0.01)
        await remote.stop_call("c0")
        results = await many
    ends = [pieces[-1].finish for pieces in results if isinstance(pieces, tuple)]
    assert ends == ["cancelled", "stop", "stop"]


@pytest.mark.parametrize("kind", KINDS)
async def test_embeddings_are_unit_vectors_in_order(kind: ServerKind) -> None:
    texts = ["x" * n for n in range(130)]
    with standing_in() as server:
        vectors = await model(server, kind, embeds=True).embed(texts)
        assert len(server.asked) == 3
        with pytest.raises(AppError, match="no embeddings"):
            await model(server, kind).embed(texts)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(vectors[:, 0] / vectors[:, 1], np.arange(130) / 3, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
async def test_health_is_readiness(kind: ServerKind) -> None:
    with standing_in() as server:
        assert (await model(server, kind).health()).state == "ok"
        server.ready = False
        assert (await model(server, kind).health()).state == "loading"
        server.ready = True
        server.slip(Slip(status=200, body=b"<html>Sign in</html>", times=2))
        assert (await model(server, kind).health()).state == "down"
        if kind == "openai":
            assert (await model(server, kind, model="other").health()).state == "degraded"


async def test_the_wire_script_of_serving(shared_data: Path) -> None:
    rows = [json.loads(line) for line in (shared_data / "slides" / "wire_dev.jsonl").read_text().splitlines()]
    for row in (row for row in rows if row["api"] == "serving"):
        reply = row["routes"][0]["replies"][0]
        with standing_in() as server:
            server.slip(Slip(raw=json.dumps(reply["body"]).encode()))
            text, last = await answer(model(server, "databricks"), call())
        assert text == row["expect"]["text"]
        assert last.usage is not None
        assert last.usage.prompt_tokens + last.usage.completion_tokens == row["expect"]["usage_total"]


PARTS = st.lists(st.sampled_from(["<think>", "</think>", "a", " ", "<", "<th", "ink>", "b\n"]), max_size=8)


@given(PARTS, st.lists(st.integers(1, 5), min_size=1, max_size=30))
def test_thoughts_are_cut_the_same_however_the_text_is_split(parts: list[str], sizes: list[int]) -> None:
    text = "".join(parts)
    whole, pieces, left = ThoughtFilter(), ThoughtFilter(), text
    expected = whole.feed(text) + whole.rest()
    shown = ""
    for size in sizes:
        shown, left = shown + pieces.feed(left[:size]), left[size:]
    assert shown + pieces.feed(left) + pieces.rest() == expected
    if "<think>" not in text and "</think>" not in text:
        assert expected == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<think>a</think>\n\nb", "b"),
        ("thought opened by the template</think>b", "b"),
        ("<think>never closed", ""),
        ("say <think> and </think>", "say <think> and </think>"),
        ("<thin", "<thin"),
        ("", ""),
    ],
)
def test_whole_answers_without_thoughts(text: str, shown: str) -> None:
    assert without_thoughts(text) == shown


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), min_size=1), max_size=5),
    st.integers(1, 9),
)
async def test_events_are_read_however_the_bytes_are_split(texts: list[str], size: int) -> None:
    data = "".join(f": note\nevent: x\ndata: {text}\r\n\r\n" for text in texts).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(data), size):
            yield data[start : start + size]

    assert [text async for text in read_events(chunks())] == texts
