"""A model on a server behind the port every engine answers to. Whether it may be asked is the departures' to say.

Each request has a connection of its own: cancelling one leaves nothing behind, and no idle connection is found closed.
Nothing is tried again here: that is the gateway's, which knows what was shown already.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import secrets
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from desktop.core.errors import AppError
from desktop.core.models import EngineName, Finish, Message, Usage
from desktop.engines.engine import Call, Health, Piece
from desktop.engines.errors import (
    BadReplyError,
    EngineLostError,
    NotAnEmbeddingModelError,
    RequestRefusedError,
    ServerBusyError,
)
from desktop.engines.patience import Patience, out_of_patience, patiently
from desktop.engines.remote import wire
from desktop.engines.remote.faults import fault_of_status, lost, not_json, typed_faults
from desktop.engines.remote.server import Address, Departures, ModelServer
from desktop.engines.remote.sse import MOST_STREAM_BYTES, read_events
from desktop.engines.thinking import ThoughtFilter, without_thoughts

if TYPE_CHECKING:
    import httpx
    import numpy as np
    from numpy.typing import NDArray

_TEXTS_A_REQUEST = 64
_BYTES_A_TOKEN, _TOKENS_A_MESSAGE = 3, 8
_PROBE_TOKENS = 256
_HEALTH_S = 10.0


class RemoteModel:
    """`desktop.engines.engine.LoadedModel` over HTTP."""

    def __init__(self, server: ModelServer, *, departures: Departures, secret: Callable[[str], str | None]) -> None:
        """secret   gives a keychain value by name; asked on a thread, since a keychain may ask the person."""
        self.id, self.parallel = server.id, server.parallel
        self.engine: EngineName = server.kind
        self._server, self._departures, self._secret = server, departures, secret
        self._enforcing: wire.Enforcing | None = None  # unknown until the first schema
        self._probing = asyncio.Lock()
        self._in_bulk: dict[str, asyncio.Future[Piece]] = {}
        self._stopped: set[str] = set()  # calls of a running batch that nobody wants any more

    def generate(self, call: Call) -> AsyncIterator[Piece]:
        """See the port. A thought comes as an empty piece: a sign of life."""
        server = self._server
        return patiently(self._pieces(call), Patience(server.first_token_s, server.stall_s, server.total_s), server.id)

    async def _pieces(self, call: Call) -> AsyncIterator[Piece]:
        how = await self._probe() if call.schema is not None else "none"
        thoughts, written = ThoughtFilter(), 0
        finish: Finish | None = None
        usage: Usage | None = None
        async with self._asked(wire.chat_body(self._server, call, how, is_stream=True)) as reply:
            if _is_json(reply):  # a server that does not stream
                chunk = wire.read_chunk(await _json_of(reply), "message")
                yield Piece(without_thoughts(chunk.text))
                finish, usage = chunk.finish or "stop", chunk.usage
            else:
                async for data in _events(reply):
                    if data.strip() == "[DONE]":
                        finish = finish or "stop"
                        break
                    chunk = wire.read_chunk(_parsed(data, reply), "delta")
                    finish, usage = chunk.finish or finish, chunk.usage or usage
                    if chunk.text or chunk.is_thought:
                        written += 1
                        yield Piece(thoughts.feed(chunk.text))
        if finish is None:
            raise lost(self._server.id)
        if usage is None:  # an estimate, since what leaves is limited by it: most servers send a token at a time
            usage = Usage(await self.count_tokens(call.messages), written)
        yield Piece(thoughts.rest(), finish, usage, wire.enforced_by(how))

    async def generate_many(self, calls: Sequence[Call]) -> list[tuple[Piece, ...] | Exception]:
        """See the port: sent side by side, since such servers batch by themselves; answers come whole."""
        turns = asyncio.Semaphore(self.parallel)

        async def in_turn(call: Call) -> Piece:
            async with turns:
                return await self._whole(call)

        async def one(call: Call) -> tuple[Piece, ...] | Exception:
            work = self._in_bulk[call.id] = asyncio.ensure_future(in_turn(call))
            try:
                return (await work,)
            except AppError as error:
                return error
            except asyncio.CancelledError:
                if call.id in self._stopped:
                    return (Piece("", "cancelled"),)
                raise
            finally:
                work.cancel()
                self._in_bulk.pop(call.id, None)
                self._stopped.discard(call.id)

        return list(await asyncio.gather(*map(one, calls)))

    async def stop_call(self, call_id: str) -> None:
        """See the port."""
        if (work := self._in_bulk.get(call_id)) is not None:
            self._stopped.add(call_id)
            work.cancel()

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See the port."""
        import numpy as np

        if not self._server.embeds:
            raise NotAnEmbeddingModelError(
                f"{self.id} gives no embeddings.", hint="Choose an embedding model in the settings."
            )
        rows: list[list[float]] = []
        for start in range(0, len(texts), _TEXTS_A_REQUEST):
            batch = list(texts[start : start + _TEXTS_A_REQUEST])
            data = await self._answer({"model": self._server.model, "input": batch}, "embeddings")
            rows += wire.read_vectors(data, len(batch))
        if len({len(row) for row in rows}) > 1:
            raise wire.bad_reply("embeddings of several lengths")
        vectors = np.asarray(rows, dtype=np.float32).reshape(len(rows), -1)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.where(norms > 0, norms, 1), dtype=np.float32)

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """An upper estimate: to count exactly, the text would have to leave this machine first."""
        return sum(
            len(message.content.encode("utf-8", "replace")) // _BYTES_A_TOKEN + _TOKENS_A_MESSAGE
            for message in messages
        )

    async def health(self) -> Health:
        """Readiness as the server tells it; asks it without any text of the person's."""
        try:
            if self._server.kind == "databricks":
                state = (await self._known()).get("state")
                is_ready = isinstance(state, dict) and state.get("ready") == "READY"
                return Health("ok") if is_ready else Health("loading", "the endpoint is not ready")
            with contextlib.suppress(RequestRefusedError):  # not every such server has it
                async with self._asked(None, "health"):
                    pass
            known = await self._known()
        except ServerBusyError as error:
            return Health("loading", str(error))
        except AppError as error:
            return Health("down", str(error))
        rows = known.get("data")
        names = [row.get("id") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        if self._server.model in names or not names:
            return Health("ok")
        return Health("degraded", f"the server has no model called {self._server.model}")

    async def _known(self) -> dict[str, Any]:
        """What the server says of its models; nothing when that is no JSON object (mlx-lm's fails without a cache)."""
        try:
            known = await self._answer(None, "models", within_s=_HEALTH_S)
        except BadReplyError as error:
            if error.facts.get("is_page"):
                raise
            return {}
        return known if isinstance(known, dict) else {}

    async def memory_bytes(self) -> int:
        """Nothing on this machine."""
        return 0

    async def drop_caches(self, keep_bytes: int = 0) -> int:
        """There are none."""
        return 0

    async def limit_buffers(self, max_bytes: int) -> int:
        """There are none."""
        return 0

    async def aclose(self) -> None:
        """Nothing is held between requests."""

    async def _whole(self, call: Call) -> Piece:
        how = await self._probe() if call.schema is not None else "none"
        data = await self._answer(wire.chat_body(self._server, call, how, is_stream=False))
        chunk = wire.read_chunk(data, "message")
        return Piece(without_thoughts(chunk.text), chunk.finish or "stop", chunk.usage, wire.enforced_by(how))

    async def _probe(self) -> wire.Enforcing:
        """Which way of holding to a schema works here, found out once with a schema nobody would answer by chance.

        Servers that do not know `response_format` ignore it and answer 200; so the answer itself is what counts.
        """
        async with self._probing:
            if self._enforcing is None:
                ways: tuple[wire.Enforcing, ...] = ("json_schema", "structured_outputs", "json_object")
                ways = ways[:1] if self._server.kind == "databricks" else ways
                for how in ways:
                    if await self._holds_to(how):
                        self._enforcing = how
                        break
                else:
                    self._enforcing = "none"
        return self._enforcing

    async def _holds_to(self, how: wire.Enforcing) -> bool:
        word = f"w{secrets.token_hex(3)}"
        schema = {
            "type": "object",
            "properties": {"word": {"type": "string", "enum": [word]}},
            "required": ["word"],
            "additionalProperties": False,
        }
        call = Call("probe", (Message("user", "Say hello."),), max_tokens=_PROBE_TOKENS, schema=schema)
        try:
            data = await self._answer(
                wire.chat_body(self._server, call, how, is_stream=False), within_s=self._server.first_token_s
            )
            chunk = wire.read_chunk(data, "message")
            return bool(json.loads(without_thoughts(chunk.text)) == {"word": word})
        except (
            RequestRefusedError,
            EngineLostError,
            BadReplyError,
            ValueError,
        ):  # some answer 500 to what they do not know
            return False

    async def _answer(
        self, body: dict[str, Any] | None, what: Address = "chat/completions", *, within_s: float | None = None
    ) -> Any:
        """The JSON of a whole reply. Raises EngineTimeoutError after `within_s` (else the server's total_s)."""
        limit_s = self._server.total_s if within_s is None else within_s
        try:
            async with asyncio.timeout(limit_s), self._asked(body, what) as reply:
                return await _json_of(reply)
        except TimeoutError:
            raise out_of_patience(self.id, "total", limit_s) from None

    @asynccontextmanager
    async def _asked(
        self, body: dict[str, Any] | None, what: Address = "chat/completions"
    ) -> AsyncIterator[httpx.Response]:
        """Send, and give the reply while its body is still to be read; anything but 2xx is raised."""
        import httpx

        server, url, method = self._server, self._server.address(what), "GET" if body is None else "POST"
        content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        headers = {"Accept": "application/json, text/event-stream"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if server.key_name and (token := await asyncio.to_thread(self._secret, server.key_name)):
            headers["Authorization"] = f"Bearer {token}"
        await self._departures.depart(
            server.id,
            method=method,
            url=url,
            size_bytes=len(content) + sum(map(len, headers.values())),
        )
        timeout = httpx.Timeout(
            max(server.first_token_s, server.stall_s), connect=min(10.0, server.first_token_s), pool=None
        )
        async with (
            typed_faults(server.id),
            httpx.AsyncClient(
                verify=_tls(), follow_redirects=False, trust_env=not server.is_loopback, timeout=timeout
            ) as client,
            client.stream(method, url, content=content or None, headers=headers) as reply,
        ):
            if not reply.is_success:
                raise fault_of_status(reply.status_code, reply.headers, await _body(reply))
            yield reply


@functools.cache
def _tls() -> ssl.SSLContext:
    import httpx

    return httpx.create_ssl_context()


def _is_json(reply: httpx.Response) -> bool:
    return "json" in reply.headers.get("content-type", "").lower()


async def _events(reply: httpx.Response) -> AsyncIterator[str]:
    if "html" in reply.headers.get("content-type", "").lower():
        raise not_json(reply.status_code, await _body(reply))
    async for data in read_events(reply.aiter_bytes()):
        yield data


async def _json_of(reply: httpx.Response) -> Any:
    return _parsed(await _body(reply), reply)


def _parsed(data: bytes | str, reply: httpx.Response) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise not_json(reply.status_code, data.encode() if isinstance(data, str) else data) from None


async def _body(reply: httpx.Response) -> bytes:
    """The whole body, refused when absurdly long."""
    parts, total = [], 0
    async for chunk in reply.aiter_bytes():
        parts.append(chunk)
        total += len(chunk)
        if total > MOST_STREAM_BYTES:
            raise wire.bad_reply("an answer of more than 64 MiB")
    return b"".join(parts)
