"""A server on loopback that speaks as vLLM and as Databricks model serving do, with faults to switch on.

Real HTTP over real sockets. Deterministic: the answer to a message is `answer(messages)`, streamed word by word.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LOGIN_PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Sign in to continue</body></html>"


@dataclass
class Slip:
    """What to do wrong with the next requests. `times` None means always.

    status, headers, body   answer with it                 html        a sign-in page over 200
    silent_s                wait before the first byte     pause_s     wait between events
    cut_after               send this many events, then close (reset: with RST)
    garbage                 send this instead of an event  raw         the whole body of a 200, as JSON
    accept_and_drop         read the request, close without an answer
    error_event             an error in the middle of the stream
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    html: bool = False
    silent_s: float = 0.0
    pause_s: float = 0.0
    cut_after: int | None = None
    reset: bool = False
    garbage: bytes = b""
    raw: bytes | None = None
    accept_and_drop: bool = False
    error_event: Any = None
    times: int | None = None


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


class ModelServerStandIn:
    """Use as a context manager.

    enforces      which ways of asking for a schema work: "json_schema", "structured_outputs", "json_object"
    style         how content comes: "text", "list" (parts, with reasoning), "think" (tags in the text),
                  "reasoning" (reasoning_content beside it)
    token         the bearer token wanted; empty for none
    """

    def __init__(
        self,
        *,
        model: str = "m-1",
        enforces: tuple[str, ...] = ("json_schema",),
        style: str = "text",
        token: str = "",
        streams: bool = True,
        answer: Callable[[list[dict[str, str]]], str] = lambda messages: f"You said {messages[-1]['content']}",
    ) -> None:
        self.model, self.enforces, self.style, self.token, self.streams = model, enforces, style, token, streams
        self.answer = answer
        self.asked: list[Asked] = []
        self.slips: list[Slip] = []
        self.open_streams = 0
        self.ready = True
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def __enter__(self) -> ModelServerStandIn:
        server = self

        class Handler(_Handler):
            stand_in = server

        self._http = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def slip(self, slip: Slip) -> None:
        with self._lock:
            self.slips.append(slip)

    def chats(self) -> list[Asked]:
        """The requests for text, probes for schemas left out."""
        return [a for a in self.asked if a.method == "POST" and not is_probe(a.body)]

    def next_slip(self) -> Slip:
        with self._lock:
            for slip in self.slips:
                if slip.times is None:
                    return slip
                if slip.times > 0:
                    slip.times -= 1
                    return slip
        return Slip()

    def wait(self, seconds: float) -> None:
        self._stopped.wait(seconds)


def is_probe(body: Any) -> bool:
    return isinstance(body, dict) and (body.get("messages") or [{}])[-1].get("content") == "Say hello."


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is not news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stand_in: ModelServerStandIn

    def log_message(self, *args: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        server = self.stand_in
        self._note(None)
        if not self._is_let_in():
            return
        slip = server.next_slip()
        if slip.status:
            self._send(slip.status, slip.body, slip.headers)
        elif self.path == "/health":
            self._send(200 if server.ready else 503, None)
        elif self.path == "/v1/models":
            self._send(200, {"object": "list", "data": [{"id": server.model, "object": "model"}]})
        elif self.path == f"/api/2.0/serving-endpoints/{server.model}":
            self._send(200, {"name": server.model, "state": {"ready": "READY" if server.ready else "NOT_READY"}})
        else:
            self._send(404, {"error_code": "ENDPOINT_NOT_FOUND", "message": f"No API found for GET {self.path}"})

    def do_POST(self) -> None:
        server = self.stand_in
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        self._note(body)
        if not self._is_let_in():
            return
        slip = Slip() if is_probe(body) else server.next_slip()
        server.wait(slip.silent_s)
        is_databricks = self.path == f"/serving-endpoints/{server.model}/invocations"
        if slip.accept_and_drop:
            self._drop(reset=slip.reset)
        elif slip.status:
            self._send(slip.status, slip.body, slip.headers)
        elif slip.html:
            self._send_bytes(200, LOGIN_PAGE, "text/html; charset=utf-8")
        elif slip.raw is not None:
            self._send_bytes(200, slip.raw, "application/json")
        elif self.path == "/v1/embeddings" or (is_databricks and "input" in body):
            self._send(200, _embeddings(body["input"]))
        elif self.path == "/v1/chat/completions" or is_databricks:
            self._chat(body, slip, is_databricks=is_databricks)
        else:
            self._send(404, {"detail": "Not Found"})

    def _chat(self, body: dict[str, Any], slip: Slip, *, is_databricks: bool) -> None:
        server = self.stand_in
        if not is_databricks and body["model"] != server.model:
            message = f"The model `{body['model']}` does not exist."
            self._send(404, {"error": {"message": message, "type": "NotFoundError", "code": 404}})
            return
        if is_databricks and (strange := {"seed", "stream_options", "structured_outputs"} & set(body)):
            self._send(400, {"error_code": "BAD_REQUEST", "message": f"Unknown fields: {sorted(strange)}"})
            return
        text, finish = self._text(body), "stop"
        words = [word + " " for word in text.split(" ")]
        words[-1] = words[-1][:-1]
        if len(words) > body["max_tokens"]:
            words, finish = words[: body["max_tokens"]], "length"
        usage = {"prompt_tokens": 12, "completion_tokens": len(words), "total_tokens": 12 + len(words)}
        if body.get("stream") and server.streams:
            self._stream(words, finish, usage, slip, wants_usage=is_databricks or bool(body.get("stream_options")))
        else:
            message = {"role": "assistant", "content": self._content("".join(words), part="message")}
            if server.style == "reasoning":
                message["reasoning_content"] = "let me see"
            choice = {"index": 0, "message": message, "finish_reason": finish}
            self._send(
                200,
                {"id": "c1", "object": "chat.completion", "model": server.model, "choices": [choice], "usage": usage},
            )

    def _text(self, body: dict[str, Any]) -> str:
        schema = None
        if "json_schema" in self.stand_in.enforces and body.get("response_format", {}).get("type") == "json_schema":
            schema = body["response_format"]["json_schema"]["schema"]
        if "json_object" in self.stand_in.enforces and body.get("response_format", {}).get("type") == "json_object":
            schema = body["response_format"]["schema"]
        if "structured_outputs" in self.stand_in.enforces and "structured_outputs" in body:
            schema = body["structured_outputs"]["json"]
        answer = self.stand_in.answer(body["messages"])
        if schema is None:
            return answer
        return json.dumps(_example(schema))

    def _content(self, text: str, *, part: str) -> Any:
        if self.stand_in.style == "list":
            thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
            return [thought, {"type": "text", "text": text}]
        if self.stand_in.style == "think" and part == "message":
            return f"<think>well, {text}?</think>\n\n{text}"
        return text

    def _stream(self, words: list[str], finish: str, usage: dict[str, int], slip: Slip, *, wants_usage: bool) -> None:
        server = self.stand_in
        events: list[bytes] = [_event({"role": "assistant", "content": ""})]
        if server.style == "think":
            events += [_event({"content": piece}) for piece in ("<th", "ink>hm, wh", "at?</thi", "nk>\n\n")]
        if server.style == "reasoning":
            events += [_event({"reasoning_content": "let me"}), _event({"reasoning": " see"})]
        events += [_event({"content": self._content(word, part="delta")}) for word in words]
        if slip.error_event is not None:
            events = [*events[:2], b"data: " + json.dumps(slip.error_event).encode() + b"\n\n"]
        else:
            events.append(_event({}, finish=finish))
            if wants_usage:
                events.append(b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n")
            events.append(b": ping\n\ndata: [DONE]\n\n")
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Connection", "close")
        self.end_headers()
        with server._lock:
            server.open_streams += 1
        try:
            for number, event in enumerate(events):
                if slip.cut_after is not None and number == slip.cut_after:
                    self._drop(reset=slip.reset)
                    return
                if slip.garbage and number == 2:
                    event = slip.garbage
                if number > 1:
                    server.wait(slip.pause_s)
                self.wfile.write(event)
                self.wfile.flush()
        finally:
            self.close_connection = True
            with server._lock:
                server.open_streams -= 1

    def _drop(self, *, reset: bool) -> None:
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
            self.connection.close()

    def _is_let_in(self) -> bool:
        wanted = self.stand_in.token
        if not wanted or self.headers.get("Authorization") == f"Bearer {wanted}":
            return True
        self._send(401, {"error_code": 401, "message": "Credential was not sent or was of an unsupported type."})
        return False

    def _note(self, body: Any) -> None:
        self.stand_in.asked.append(Asked(self.command, self.path, dict(self.headers), body))

    def _send(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        if isinstance(value, bytes):
            self._send_bytes(status, value, "text/html", headers)
        else:
            self._send_bytes(status, b"" if value is None else json.dumps(value).encode(), "application/json", headers)

    def _send_bytes(self, status: int, data: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def _event(delta: dict[str, Any], *, finish: str | None = None) -> bytes:
    chunk = {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\r\n\r\n"


def _embeddings(texts: list[str]) -> dict[str, Any]:
    """In reverse order, as the protocol allows: `index` says which is which."""
    rows = [{"object": "embedding", "index": i, "embedding": [float(len(t)), 3.0, 4.0]} for i, t in enumerate(texts)]
    return {"object": "list", "data": rows[::-1], "usage": {"prompt_tokens": 1, "total_tokens": 1}}


def _example(schema: dict[str, Any]) -> Any:
    """A value that satisfies a simple schema."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        return {name: _example(part) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [_example(schema.get("items", {"type": "string"}))]
    return {"string": "text", "integer": 1, "number": 1.5, "boolean": True}.get(str(kind))


@contextlib.contextmanager
def standing_in(**how: Any) -> Iterator[ModelServerStandIn]:
    with ModelServerStandIn(**how) as server:
        yield server
