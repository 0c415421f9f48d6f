"""The shapes of an OpenAI-compatible conversation: bodies to send, and what comes back, checked field by field.

Pure: no connection is opened here. A reply of another shape is a BadReplyError, never a KeyError.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from desktop.core.models import Enforced, Finish, Message, Usage
from desktop.engines.engine import Call
from desktop.engines.errors import BadReplyError, RequestRefusedError
from desktop.engines.remote.faults import fault_of_body
from desktop.engines.remote.server import ModelServer

Enforcing = Literal["json_schema", "structured_outputs", "json_object", "none"]  # how a server is asked to hold to one
_FINISH: Mapping[str, Finish] = {
    "stop": "stop", "eos": "stop", "tool_calls": "stop", "function_call": "stop", "length": "length"
}  # fmt: skip
_ASK_FOR_JSON = "Answer with one JSON value and nothing else. It must satisfy this JSON Schema:\n"


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one event of a stream (or one whole reply) carries; `is_thought`: the model is at work on its reasoning."""

    text: str = ""
    finish: Finish | None = None
    usage: Usage | None = None
    is_thought: bool = False


def chat_body(server: ModelServer, call: Call, how: Enforcing, *, is_stream: bool) -> dict[str, Any]:
    """The JSON to send for a call."""
    messages = list(call.messages)
    if call.schema is not None and how == "none":
        messages = _with_system(messages, _ASK_FOR_JSON + json.dumps(call.schema, ensure_ascii=False))
    body: dict[str, Any] = {
        "model": server.model,
        "messages": [{"role": message.role, "content": message.content} for message in messages],
        "max_tokens": call.max_tokens,
        "temperature": call.temperature,
        "stream": is_stream,
    }
    if call.top_p != 1.0:
        body["top_p"] = call.top_p
    if call.stop:
        body["stop"] = list(call.stop)
    if server.kind == "openai":  # Databricks answers 400 to fields it does not know
        if call.seed is not None:
            body["seed"] = call.seed
        if is_stream:
            body["stream_options"] = {"include_usage": True}
    if call.schema is not None and how == "json_schema":
        shape = {"name": "answer", "schema": dict(call.schema), "strict": is_closed(call.schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": shape}
    if call.schema is not None and how == "json_object":  # llama.cpp's way
        body["response_format"] = {"type": "json_object", "schema": dict(call.schema)}
    if call.schema is not None and how == "structured_outputs":
        body["structured_outputs"] = {"json": dict(call.schema)}
    return body


def enforced_by(how: Enforcing) -> Enforced:
    """What an answer may claim."""
    return "none" if how == "none" else "server"


def is_closed(schema: Any) -> bool:
    """Whether every object in it forbids further properties and needs all it names: what "strict" demands."""
    if isinstance(schema, Mapping):
        if "properties" in schema and (
            schema.get("additionalProperties") is not False
            or set(schema.get("required", ())) != {*schema["properties"]}
        ):
            return False
        return all(map(is_closed, schema.values()))
    return not isinstance(schema, list | tuple) or all(map(is_closed, schema))


def read_chunk(data: Any, part: Literal["delta", "message"]) -> Chunk:
    """One event of a stream ("delta") or a whole reply ("message"). Raises BadReplyError, or the server's own error."""
    if not isinstance(data, dict):
        raise bad_reply("something that is not a JSON object")
    if "error" in data or data.get("object") == "error" or "error_code" in data:
        raise fault_of_body(data, status=None)
    choices = data.get("choices")
    usage = _usage(data.get("usage"))
    if not isinstance(choices, list) or (part == "message" and not choices):
        raise bad_reply("no choices")
    if not choices:
        return Chunk(usage=usage)
    choice = choices[0]
    said = choice.get(part) if isinstance(choice, dict) else None
    if not isinstance(said, dict) and not (part == "delta" and isinstance(choice, dict)):
        raise bad_reply(f"a choice without a {part}")
    reason = choice.get("finish_reason")
    if reason == "content_filter":
        raise RequestRefusedError(
            "The model server's content filter stopped the answer.", hint="Ask in other words, or another model."
        )
    finish = _FINISH.get(reason, "stop") if isinstance(reason, str) else None
    if not said:
        return Chunk("", finish, usage)
    text = _text(said.get("content"))
    is_thought = bool(said.get("reasoning_content") or said.get("reasoning") or (said.get("content") and not text))
    return Chunk(text, finish, usage, is_thought)


def read_vectors(data: Any, count: int) -> list[list[float]]:
    """The embeddings of a reply, in the order of the texts."""
    rows = data.get("data") if isinstance(data, dict) else None
    if isinstance(data, dict) and "data" not in data and ("error" in data or "error_code" in data):
        raise fault_of_body(data, status=None)
    if not isinstance(rows, list) or len(rows) != count or not all(isinstance(row, dict) for row in rows):
        raise bad_reply(f"not one embedding for each of {count} texts")
    ordered = sorted(enumerate(rows), key=lambda pair: pair[1].get("index", pair[0]))
    vectors = [row.get("embedding") for _, row in ordered]
    widths = {len(vector) if isinstance(vector, list) else 0 for vector in vectors}
    numbers = all(isinstance(x, int | float) for vector in vectors if isinstance(vector, list) for x in vector)
    if len(widths) != 1 or 0 in widths or not numbers:
        raise bad_reply("embeddings that are no vectors of one length")
    return vectors


def bad_reply(what: str, **facts: object) -> BadReplyError:
    """The error of a reply in another shape."""
    return BadReplyError(
        f"The model server sent {what}.", hint="Check that its address is that of an OpenAI-compatible API.", **facts
    )


def _text(content: Any) -> str:
    """The text of a content field: a string, nothing, or a list of parts of which only the text ones are the answer."""
    if content is None:
        return ""
    if isinstance(content, str):
        return _whole_letters(content)
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, dict | str)]
        text = "".join(
            part if isinstance(part, str) else str(part.get("text") or "")
            for part in parts
            if isinstance(part, str) or part.get("type") in ("text", "output_text")
        )
        return _whole_letters(text)
    raise bad_reply("content that is neither text nor a list of parts")


def _whole_letters(text: str) -> str:
    """The text with a question mark for each half of a surrogate pair: JSON can say it, no file or socket can."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _usage(data: Any) -> Usage | None:
    if not isinstance(data, dict):
        return None
    details = data.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return Usage(*(_count(n) for n in (data.get("prompt_tokens"), data.get("completion_tokens"), cached)))


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0


def _with_system(messages: list[Message], text: str) -> list[Message]:
    """The messages with `text` at the end of the system message; some templates take only one, and only in front."""
    if messages and messages[0].role == "system":
        return [Message("system", f"{messages[0].content}\n\n{text}"), *messages[1:]]
    return [Message("system", text), *messages]
