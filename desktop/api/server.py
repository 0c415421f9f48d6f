"""The routes and the server. Requests run on the loop that serves them: the workers', where the gateway lives."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import uvicorn
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from desktop.api import shapes
from desktop.api.schema import ChatRequest, CompletionRequest, EmbeddingsRequest
from desktop.core.errors import AppError, InputError
from desktop.core.models import Answer, Message, ModelRoom, Prompt, Task, Tier

MOST_AT_ONCE = 64
MOST_BODY_BYTES = 32 * 1024 * 1024
LOOPBACK = "127.0.0.1"
_TIERS: tuple[Tier, ...] = ("small", "medium", "large")
_DEFAULT_TOKENS = 1024
_log = logging.getLogger(__name__)
B = TypeVar("B", bound=BaseModel)


class BusyPortError(InputError):
    """The port is taken."""

    code = "api.busy_port"


async def serve(models: ModelRoom, *, port: int, token: str, on_ready: Callable[[str], None]) -> None:
    """Serve on loopback until cancelled; `on_ready` gets the address. Port 0 takes a free one.

    raises   BusyPortError
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError as fault:
            raise BusyPortError(
                f"Port {port} cannot be used: {fault.strerror}.", hint="Choose another with --port; 0 takes a free one."
            ) from None
        config = uvicorn.Config(
            make_app(models, token=token),
            log_config=None,
            access_log=False,
            lifespan="off",
            http="h11",
            ws="none",
            server_header=False,
            limit_concurrency=4 * MOST_AT_ONCE,
            timeout_graceful_shutdown=2,
        )
        server = uvicorn.Server(config)
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        try:
            on_ready(f"http://{LOOPBACK}:{listener.getsockname()[1]}")
            await asyncio.shield(serving)
        finally:
            server.should_exit = True
            await asyncio.wait([serving], timeout=5)
    finally:
        listener.close()


def make_app(models: ModelRoom, *, token: str) -> Starlette:
    """The application. Every route but /health wants `Authorization: Bearer <token>`."""
    door = _Door(models, token)
    return Starlette(
        routes=[
            Route("/health", door.health),
            Route("/metrics", door.let_in(door.metrics)),
            Route("/v1/models", door.let_in(door.list_models)),
            Route("/v1/chat/completions", door.let_in(door.chat), methods=["POST"]),
            Route("/v1/completions", door.let_in(door.complete), methods=["POST"]),
            Route("/v1/embeddings", door.let_in(door.embed), methods=["POST"]),
        ],
        # a page in a browser that has its own name resolve to this machine gets nothing
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[LOOPBACK, "localhost"], www_redirect=False)],
        exception_handlers={HTTPException: _http_fault, Exception: _bug},
    )


class _Door:
    """What answers each route."""

    def __init__(self, models: ModelRoom, token: str) -> None:
        self._models, self._token = models, token.encode()
        self._in_flight = 0  # streams count until their first word

    def let_in(self, answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """The route behind the token, with errors in the API's own shape."""

        async def guarded(request: Request) -> Response:
            try:
                given = request.headers.get("authorization", "").removeprefix("Bearer ").encode()
                if not hmac.compare_digest(given, self._token):
                    raise shapes.UnauthorisedError("The token is missing or wrong.", hint="It is shown at the start.")
                if self._in_flight >= MOST_AT_ONCE:
                    raise shapes.TooManyError(
                        f"{MOST_AT_ONCE} requests are under way.", hint="Wait for one of them.", retry_after_s=1
                    )
                self._in_flight += 1
                try:
                    return await answer(request)
                finally:
                    self._in_flight -= 1
            except AppError as error:
                return _fault(error)

        return guarded

    async def health(self, request: Request) -> Response:
        """Readiness: whether a request would find a model."""
        rows = self._models.status()["models"]
        resting = [row["id"] for row in rows if row["breaker"] == "open"]
        state = "down" if len(resting) == len(rows) else "degraded" if resting else "ok"
        return JSONResponse({"status": state, "models": len(rows)}, status_code=503 if state == "down" else 200)

    async def metrics(self, request: Request) -> Response:
        """Prometheus' text."""
        return PlainTextResponse(self._models.to_prometheus(), media_type="text/plain; version=0.0.4")

    async def list_models(self, request: Request) -> Response:
        """The models there are, and the names that let Benchtop choose."""
        rows = self._models.status()["models"]
        names = [("auto", "benchtop"), *((tier, "benchtop") for tier in _TIERS)]
        names += [(str(row["id"]), str(row["engine"])) for row in rows]
        data = [{"id": name, "object": "model", "created": 0, "owned_by": owner} for name, owner in names]
        return JSONResponse({"object": "list", "data": data})

    async def chat(self, request: Request) -> Response:
        """A chat completion, whole or streamed."""
        body = await _body(request, ChatRequest)
        wanted = body.response_format
        prompt = Prompt(
            tuple(message.to_message() for message in body.messages),
            schema=wanted.json_schema.body if wanted.type == "json_schema" and wanted.json_schema else None,
            check=_object_check if wanted.type == "json_object" else None,
            max_tokens=body.max_completion_tokens or body.max_tokens or _DEFAULT_TOKENS,
            **self._how(body),
        )
        return await self._answer(prompt, body, is_chat=True)

    async def complete(self, request: Request) -> Response:
        """A plain completion, whole or streamed."""
        body = await _body(request, CompletionRequest)
        messages = (Message("user", str(body.prompt)),)
        prompt = Prompt(messages, max_tokens=body.max_tokens or _DEFAULT_TOKENS, **self._how(body))
        return await self._answer(prompt, body, is_chat=False)

    async def embed(self, request: Request) -> Response:
        """Embeddings of texts."""
        body = await _body(request, EmbeddingsRequest)
        texts = [body.input] if isinstance(body.input, str) else body.input
        rows = {row["id"]: row for row in self._models.status()["models"] if row["tier"] is None}
        if body.model not in ("auto", *rows):
            raise _unknown(body.model)
        if body.model == "auto" and any(row["is_remote"] for row in rows.values()):
            raise shapes.UnknownModelError(
                "The model for embeddings is on a server, so texts would leave this machine.",
                hint=f"Name it to agree to that: {', '.join(rows)}.",
            )
        vectors = await self._models.embed(texts)
        return JSONResponse(shapes.to_embeddings(vectors, is_base64=body.encoding_format == "base64"))

    def _how(self, body: ChatRequest | CompletionRequest) -> dict[str, Any]:
        """Sampling and routing. Text leaves the machine only for a server's model (or "large") asked for by name."""
        rows = {row["id"]: row for row in self._models.status()["models"]}
        if body.model not in ("auto", *_TIERS) and (body.model not in rows or rows[body.model]["tier"] is None):
            raise _unknown(body.model)
        row = rows.get(body.model)
        may_leave = body.model == "large" or bool(row and row["is_remote"])
        return {
            "task": Task("api.generate", is_private=not may_leave),
            "temperature": 0.0 if body.temperature is None else body.temperature,
            "top_p": 1.0 if body.top_p is None else body.top_p,
            "seed": body.seed,
            "stop": body.stops,
            "tier": body.model if body.model in _TIERS else row["tier"] if row else None,
            "model": body.model if row else "",
        }

    async def _answer(self, prompt: Prompt, body: ChatRequest | CompletionRequest, *, is_chat: bool) -> Response:
        id_ = shapes.new_id("chatcmpl" if is_chat else "cmpl")
        if not body.stream:
            answer = await self._models.generate(prompt)
            return JSONResponse(shapes.to_chat(answer, id_) if is_chat else shapes.to_completion(answer, id_))
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        work = asyncio.ensure_future(self._models.generate(prompt, on_text=pieces.put_nowait))
        work.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            first = await pieces.get()
            if first is None:
                work.result()  # what fails before the first word has a status of its own
        except BaseException:
            work.cancel()
            raise
        events = _events(id_, first, pieces, work, body, is_chat=is_chat)
        return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _events(
    id_: str,
    piece: str | None,
    pieces: asyncio.Queue[str | None],
    work: asyncio.Future[Answer],
    body: ChatRequest | CompletionRequest,
    *,
    is_chat: bool,
) -> AsyncIterator[str]:
    """The stream; whoever hangs up cancels the work."""
    try:
        while piece is not None:
            yield _event(shapes.to_chunk(id_, body.model, is_chat=is_chat, text=piece))
            piece = await pieces.get()
        try:
            answer = await work
        except AppError as error:
            yield _event(shapes.to_error(error))
            return
        finish = shapes.finish_of(answer)
        yield _event(shapes.to_chunk(id_, answer.model, is_chat=is_chat, text=None, finish=finish))
        if body.wants_usage:
            yield _event(shapes.to_usage_chunk(id_, answer, is_chat=is_chat))
        yield "data: [DONE]\n\n"
    finally:
        work.cancel()


async def _body(request: Request, schema: type[B]) -> B:
    """The request's JSON, checked. Raises BadRequestError, TooLargeRequestError."""
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > MOST_BODY_BYTES:
            raise shapes.TooLargeRequestError("The request is larger than 32 MiB.", hint="Send less at a time.")
    try:
        return schema.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise shapes.BadRequestError(
            f"{where or 'The body'}: {first['msg']}.",
            hint="The shape is OpenAI's; n and tools are not supported.",
        ) from None
    except RecursionError:
        raise shapes.BadRequestError("The body nests too deeply.", hint="Send a simpler request.") from None


def _object_check(text: str) -> str | None:
    """What keeps a text from being one JSON object."""
    try:
        return None if isinstance(json.loads(text), dict) else "it is JSON, but not an object"
    except (ValueError, RecursionError):
        return "it is not one JSON object and nothing else"


def _unknown(name: str) -> shapes.UnknownModelError:
    return shapes.UnknownModelError(
        f"There is no model called {name[:80]!r}.", hint="GET /v1/models lists them; auto lets Benchtop choose."
    )


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


def _fault(error: AppError) -> Response:
    retry_s = error.facts.get("retry_after_s")
    headers = {"Retry-After": f"{max(1, round(retry_s))}"} if isinstance(retry_s, int | float) else {}
    return JSONResponse(shapes.to_error(error), status_code=shapes.status_of(error), headers=headers)


async def _http_fault(request: Request, error: Exception) -> Response:
    """Unknown paths and methods, in the API's own shape."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    fault = shapes.BadRequestError("There is nothing at this path for this method.", hint="See docs/guide/api.md.")
    return JSONResponse(shapes.to_error(fault), status_code=status)


async def _bug(request: Request, error: Exception) -> Response:
    """Anything else is a bug: logged, and no traceback leaves."""
    _log.error("the local API failed", exc_info=error)
    words = {"message": "Benchtop made a mistake; its log has the details.", "type": "server_error", "code": "app.bug"}
    return JSONResponse({"error": words | {"param": None}}, status_code=500)
