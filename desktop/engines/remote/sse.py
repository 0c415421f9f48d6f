"""Reads a stream of server-sent events: bytes in, the data of each event out. Knows nothing of models.

Lines end with LF or CRLF only: str.splitlines would also cut at U+2028 inside a model's text.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from desktop.engines.errors import BadReplyError

MOST_LINE_BYTES = 4 * 1024 * 1024
MOST_STREAM_BYTES = 64 * 1024 * 1024


async def read_events(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """The data of each event, comments and other fields left out. An event cut off at the end is not given.

    raises   BadReplyError when a line or the whole stream is absurdly long, or it is not UTF-8
    """
    held, data, total = b"", [], 0
    async for chunk in chunks:
        total += len(chunk)
        *lines, held = (held + chunk).split(b"\n")
        if total > MOST_STREAM_BYTES or len(held) > MOST_LINE_BYTES:
            raise BadReplyError("The model server's answer does not end.", hint="Try again, or another model.")
        for line in lines:
            field, _, value = line.rstrip(b"\r").partition(b":")
            if field == b"data":
                data.append(value.removeprefix(b" "))
            elif not line.rstrip(b"\r") and data:
                yield _text(b"\n".join(data))
                data = []
            elif data and field not in (b"event", b"id", b"retry", b""):
                raise BadReplyError("The model server's stream is garbled.", hint="Try again.")
    if data and not held:  # some servers leave out the last empty line
        yield _text(b"\n".join(data))


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise BadReplyError("The model server's stream is not UTF-8.", hint="Try again.") from None
