"""What a failing model server means, as typed errors: by status, by the error body's several shapes, by httpx's kind.

A server's own words are passed on, cut short; they may name its limits. They never hold our token.
"""

from __future__ import annotations

import contextlib
import email.utils
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from desktop.core.errors import AppError
from desktop.engines.errors import (
    BadReplyError,
    ContextTooLongError,
    EngineLostError,
    EngineTimeoutError,
    NotAuthorisedError,
    RequestRefusedError,
    ServerBusyError,
    ServerUnreachableError,
)

_MOST_WORDS = 300
_BUSY = (408, 425, 429, 502, 503, 529)
_CONTEXT = re.compile(r"context.?(length|window|size)|maximum.{0,20}tokens|too many tokens|prompt is too long", re.I)


def fault_of_status(status: int, headers: Mapping[str, str], body: bytes) -> AppError:
    """The error of a reply that is not 2xx."""
    if 300 <= status < 400:
        return BadReplyError(
            "The model server sends the request elsewhere, which is not followed: it carries a prompt and a token.",
            hint="Give the server's final address in the settings.",
            status=status,
        )
    try:
        data = json.loads(body)
    except ValueError:
        data = None
    return fault_of_body(data, status=status, retry_after_s=_retry_after_s(headers))


def fault_of_body(data: Any, *, status: int | None, retry_after_s: float | None = None) -> AppError:
    """The error an error body means; `status` None for one that came in the middle of a stream or over 200."""
    code, words = _code_and_words(data)
    facts: dict[str, object] = {"status": status} if status is not None else {}
    if retry_after_s is not None:
        facts["retry_after_s"] = retry_after_s
    said = f": {words}" if words else "."
    if status is None and code.isdigit():
        status = int(code)
    if status in (401, 403):
        hint = "Store a valid token in the keychain, and check that it may use this model."
        return NotAuthorisedError(f"The model server does not accept the token{said}", hint=hint, **facts)
    if status == 504:
        return EngineTimeoutError(f"The model server gave up waiting{said}", hint="Try again later.", phase="server")
    if "REQUEST_LIMIT_EXCEEDED" in code or status in _BUSY:
        return ServerBusyError(f"The model server is busy or not ready{said}", hint="Try again later.", **facts)
    if status in (400, 413, 422, None) and _CONTEXT.search(words):
        hint = "Shorten the text, ask for a shorter answer, or choose a model with a longer context."
        return ContextTooLongError(f"The prompt is too long for the model server{said}", hint=hint, **facts)
    if status is None or status >= 500:
        return EngineLostError(f"The model server failed while answering{said}", hint="Try another model.", **facts)
    hint = "Check the model's name and address in the settings."
    return RequestRefusedError(f"The model server declined the request ({status}){said}", hint=hint, **facts)


def not_json(status: int, body: bytes) -> BadReplyError:
    """The error of a body that should have been JSON."""
    is_page = body.lstrip()[:1] == b"<"
    return BadReplyError(
        "The model server answered with a web page." if is_page else "The model server's answer is not JSON.",
        hint="Check its address: a login page or a proxy may stand in between." if is_page else "Try again later.",
        status=status,
        is_page=is_page,
    )


@contextlib.asynccontextmanager
async def typed_faults(name: str) -> AsyncIterator[None]:
    """Turns httpx's errors into this program's."""
    import httpx

    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as fault:
        raise ServerUnreachableError(
            f"{name} cannot be reached.",
            hint="Check that the server runs, and the network.",
            reason=type(fault).__name__,
        ) from None
    except httpx.TimeoutException as fault:
        raise EngineTimeoutError(
            f"{name} stopped sending.", hint="Try again, or another model.", phase=type(fault).__name__
        ) from None
    except httpx.InvalidURL:
        raise ServerUnreachableError(f"The address of {name} is not one.", hint="Check it in the settings.") from None
    except (httpx.HTTPError, httpx.StreamError) as fault:
        raise lost(name, reason=type(fault).__name__) from None


def lost(name: str, **facts: object) -> EngineLostError:
    """The error of a connection that ended before the answer did."""
    return EngineLostError(f"The connection to {name} broke before the answer was whole.", hint="Try again.", **facts)


def _code_and_words(data: Any) -> tuple[str, str]:
    """An error body's code and message: OpenAI's, vLLM's older one, Databricks', FastAPI's, or just text."""
    if not isinstance(data, dict):
        return "", ""
    inner = data.get("error")
    source = inner if isinstance(inner, dict) else data
    code = source.get("error_code") or source.get("code") or source.get("type") or ""
    words = inner if isinstance(inner, str) else source.get("message") or source.get("detail") or ""
    text = words if isinstance(words, str) else json.dumps(words)
    return str(code), " ".join(text.split())[:_MOST_WORDS]


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds, given as a number or as a date; None when absent or nonsense."""
    value = headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(value)) if float(value) < float("inf") else None
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, IndexError):
        return None
