"""Answers and errors as OpenAI's clients expect them."""

from __future__ import annotations

import base64
import secrets
import time
from typing import Any

from desktop.core.errors import AppError, InputError
from desktop.core.models import Answer, Usage, Vectors

_STATUS = {
    "api.bad_request": 400,
    "api.too_large": 413,
    "api.unauthorised": 401,
    "api.too_many": 429,
    "api.unknown_model": 404,
    "engines.context_too_long": 400,
    "engines.unsupported_schema": 400,
    "engines.no_embeddings": 400,
    "engines.invalid_answer": 502,
    "engines.bad_reply": 502,
    "engines.refused": 502,
    "engines.timeout": 504,
}
_UNAVAILABLE = ("models.", "engines.", "app.breaker_open", "net.")


class BadRequestError(InputError):
    """The request cannot be understood."""

    code = "api.bad_request"


class TooLargeRequestError(InputError):
    """The request's body is larger than is taken."""

    code = "api.too_large"


class TooManyError(AppError):
    """More requests at once than are taken."""

    code = "api.too_many"
    retryable = True


class UnauthorisedError(InputError):
    """No token, or a wrong one."""

    code = "api.unauthorised"


class UnknownModelError(InputError):
    """There is no model of this name; names from outside never load anything."""

    code = "api.unknown_model"


def status_of(error: AppError) -> int:
    """The HTTP status of an error."""
    if error.code in _STATUS:
        return _STATUS[error.code]
    if isinstance(error, InputError) and not error.code.startswith("net."):
        return 400
    return 503 if error.code.startswith(_UNAVAILABLE) else 500


def to_error(error: AppError) -> dict[str, Any]:
    """The body of an error."""
    status = status_of(error)
    kind = "rate_limit_error" if status == 429 else "invalid_request_error" if status < 500 else "server_error"
    words = {"message": f"{error} {error.hint}".strip(), "type": kind, "code": error.code, "param": None}
    return {"error": words}


def new_id(prefix: str) -> str:
    """An id such as chatcmpl-0123456789abcdef."""
    return f"{prefix}-{secrets.token_hex(8)}"


def to_usage(usage: Usage) -> dict[str, Any]:
    """Tokens."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


def to_chat(answer: Answer, id_: str) -> dict[str, Any]:
    """A whole chat answer."""
    message = {"role": "assistant", "content": answer.text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_of(answer)}
    return _whole(answer, id_, "chat.completion", choice)


def to_completion(answer: Answer, id_: str) -> dict[str, Any]:
    """A whole plain completion."""
    choice = {"index": 0, "text": answer.text, "logprobs": None, "finish_reason": finish_of(answer)}
    return _whole(answer, id_, "text_completion", choice)


def to_chunk(id_: str, model: str, *, is_chat: bool, text: str | None, finish: str | None = None) -> dict[str, Any]:
    """One event of a stream; `text` None for the last one."""
    choice: dict[str, Any] = {"index": 0, "logprobs": None, "finish_reason": finish}
    if is_chat:
        choice["delta"] = {} if text is None else {"role": "assistant", "content": text}
    else:
        choice["text"] = text or ""
    kind = "chat.completion.chunk" if is_chat else "text_completion"
    return {"id": id_, "object": kind, "created": int(time.time()), "model": model, "choices": [choice]}


def to_usage_chunk(id_: str, answer: Answer, *, is_chat: bool) -> dict[str, Any]:
    """The event after the last one, for clients that asked for the usage."""
    return to_chunk(id_, answer.model, is_chat=is_chat, text=None) | {"choices": [], "usage": to_usage(answer.usage)}


def to_embeddings(vectors: Vectors, *, is_base64: bool) -> dict[str, Any]:
    """Embeddings as lists of numbers, or as base64 of little-endian float32."""

    def shown(row: Any) -> Any:
        return base64.b64encode(row.astype("<f4").tobytes()).decode() if is_base64 else row.tolist()

    data = [{"object": "embedding", "index": i, "embedding": shown(row)} for i, row in enumerate(vectors.values)]
    return {
        "object": "list",
        "data": data,
        "model": vectors.model,
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
    }


def finish_of(answer: Answer) -> str:
    """Why it ended."""
    return "length" if answer.finish == "length" else "stop"


def _whole(answer: Answer, id_: str, kind: str, choice: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": id_,
        "object": kind,
        "created": int(time.time()),
        "model": answer.model,
        "choices": [choice],
        "usage": to_usage(answer.usage),
        "benchtop": {
            "engine": answer.engine,
            "tier": answer.tier,
            "enforced": answer.enforced,
            "degraded": answer.degraded,
            "is_from_cache": answer.is_from_cache,
            "why": list(answer.why),
        },
    }
