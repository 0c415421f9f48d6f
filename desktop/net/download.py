"""One attempt to bring one address into the cache: request, redirects, resume, limits, and proof that it is whole.

A body that breaks off stays as `.part` with the validator it may be resumed under; the next attempt asks for the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import json
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

from desktop.core.errors import AppError
from desktop.net.cache import ContentCache, Entry
from desktop.net.errors import (
    BadReplyError,
    ConnectionLostError,
    DamagedFileError,
    HtmlInsteadOfDataError,
    NetTimeoutError,
    RefusedError,
    ServerBusyError,
    TooLargeError,
    UnreachableError,
    disk_fault,
    not_found,
)

MAX_REDIRECTS = 5
SLOWEST_BYTES = 1024  # a body that brings less than this in one idle time counts as stopped
Depart = Callable[[httpx.Request, str], Awaitable[None]]


class Download:
    """One attempt. `known` is the cached entry to revalidate, `check` says whether a redirect may be followed."""

    def __init__(
        self,
        url: str,
        *,
        cache: ContentCache,
        known: Entry | None,
        max_bytes: int,
        on_progress: Callable[[int, int | None], None] | None,
        page: bool,
        now_s: float,
        idle_s: float,
        check: Callable[[str], str],
    ) -> None:
        self._url, self._cache, self._known, self._page = url, cache, known, page
        self._max_bytes, self._on_progress, self._check = max_bytes, on_progress, check
        self._now_s, self._idle_s = now_s, idle_s
        self._part = cache.partial(url)
        self._validator = self._part.with_suffix(".json")
        self._extra = ""

    async def run(self, client: httpx.AsyncClient, extra: str, depart: Depart) -> tuple[Entry, bool]:
        """The entry now in the cache, and whether the server said that the old copy is still good.

        extra  query text added to what is sent, and never kept
        """
        self._extra = extra
        headers = self._conditions()
        url = self._url
        with _typed_faults():
            for _ in range(MAX_REDIRECTS):
                request = client.build_request("GET", url + (extra if url == self._url else ""), headers=headers)
                await depart(request, url)
                reply = await client.send(request, stream=True)
                try:
                    if not reply.has_redirect_location:
                        return await self._take(reply)
                    url = self._check(str(reply.url.join(reply.headers["location"])))
                finally:
                    await reply.aclose()
        raise BadReplyError("The server sends from one address to the next.", hint="Try again later.", url=self._url)

    def _conditions(self) -> dict[str, str]:
        """Headers that revalidate the cached copy, or resume the partial one."""
        if self._known:
            pairs = {"If-None-Match": self._known.etag, "If-Modified-Since": self._known.last_modified}
            return {name: value for name, value in pairs.items() if value}
        with contextlib.suppress(OSError, ValueError, KeyError):
            validator = json.loads(self._validator.read_text("utf-8"))["validator"]
            if validator and (size := self._part.stat().st_size):
                return {"Range": f"bytes={size}-", "If-Range": validator}
        return {}

    async def _take(self, reply: httpx.Response) -> tuple[Entry, bool]:
        if reply.status_code == 304 and self._known:
            entry = replace(self._known, fetched_s=self._now_s)
            self._cache.remember(entry)
            return entry, True
        if reply.status_code == 416:
            self._drop_part()
            raise ConnectionLostError("The rest of the file could not be had.", hint="Try again.", url=self._url)
        _raise_for_status(reply, self._url)
        if reply.headers.get("content-encoding", "identity").lower() not in ("", "identity") and not _is_gzip(
            self._url
        ):
            raise BadReplyError("The reply is packed in a way that was not asked for.", hint="Try again later.")
        begun = self._begun(reply)
        total = _announced(reply, begun)
        if total is not None and total > self._max_bytes:
            raise self._too_large(total)
        await self._receive(reply, begun, total)
        return await asyncio.to_thread(self._finish, reply), False

    def _begun(self, reply: httpx.Response) -> int:
        """How many bytes of the part stay: all of them when the server sends the rest of the same file."""
        if reply.status_code == 206:
            begun = self._part.stat().st_size
            if reply.headers.get("content-range", "").removeprefix("bytes ").split("-")[0] == str(begun):
                return begun
            self._drop_part()
            raise ConnectionLostError("The server sent another part than asked for.", hint="Try again.", url=self._url)
        etag = reply.headers.get("etag", "")
        validator = etag if etag and not etag.startswith("W/") else reply.headers.get("last-modified", "")
        self._part.write_bytes(b"")
        self._validator.write_text(json.dumps({"validator": validator}), "utf-8")
        return 0

    async def _receive(self, reply: httpx.Response, begun: int, total: int | None) -> None:
        received, is_first = begun, begun == 0
        with self._part.open("ab") as out:
            async for chunk in _lively(reply.aiter_raw(), self._idle_s):
                if is_first and not self._page and _looks_like_html(chunk):
                    self._drop_part()
                    raise _html(self._url)
                is_first = False
                received += len(chunk)
                if received > self._max_bytes:
                    self._drop_part()
                    raise self._too_large(received)
                out.write(chunk)
                if self._on_progress:
                    self._on_progress(received, total)
        if total is not None and received != total:
            raise ConnectionLostError(
                f"The download broke off after {received:,} of {total:,} bytes.",
                hint="Try again: it continues where it stopped.",
                url=self._url,
            )

    def _finish(self, reply: httpx.Response) -> Entry:
        if _is_gzip(self._url) and not is_whole_gzip(self._part):
            self._drop_part()
            raise DamagedFileError(
                "The file came complete, but is damaged: its gzip data does not end as it should.",
                hint="Try again later; if it stays so, the file on the server is damaged.",
                url=self._url,
            )
        entry = Entry(
            self._url,
            self._now_s,
            media_type=reply.headers.get("content-type", ""),
            etag=reply.headers.get("etag", ""),
            last_modified=reply.headers.get("last-modified", ""),
        )
        kept = self._cache.keep(entry, self._part)
        self._drop_part()
        return kept

    def _drop_part(self) -> None:
        self._part.unlink(missing_ok=True)
        self._validator.unlink(missing_ok=True)

    def _too_large(self, size: int) -> TooLargeError:
        return TooLargeError(
            f"The file is larger than the {self._max_bytes:,} bytes that are allowed for it ({size:,} bytes or more).",
            hint="Download it yourself and give Benchtop the file.",
            url=self._url,
        )


def is_whole_gzip(path: Path) -> bool:
    """Whether every gzip member ends with a right checksum and nothing else follows but zero padding."""
    unpacker, is_open = zlib.decompressobj(wbits=31), False
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            while chunk:
                if not is_open:
                    chunk = chunk.lstrip(b"\0")
                    if not chunk:
                        break
                    unpacker, is_open = zlib.decompressobj(wbits=31), True
                try:
                    unpacked = unpacker.decompress(chunk, 1 << 22)
                    while unpacker.unconsumed_tail and not unpacker.eof and unpacked:
                        unpacked = unpacker.decompress(unpacker.unconsumed_tail, 1 << 22)
                except zlib.error:
                    return False
                chunk = unpacker.unused_data if unpacker.eof else b""
                is_open = not unpacker.eof
    return not is_open and path.stat().st_size > 0


async def _lively(chunks: AsyncIterator[bytes], idle_s: float) -> AsyncIterator[bytes]:
    """The chunks, as long as they keep coming: a trickle is as dead as silence."""
    since_s, brought = time.monotonic(), 0
    async for chunk in chunks:
        brought += len(chunk)
        waited_s = time.monotonic() - since_s
        if waited_s > idle_s:
            if brought < SLOWEST_BYTES:
                raise _timeout()
            since_s, brought = time.monotonic(), 0
        yield chunk


@contextlib.contextmanager
def _typed_faults() -> Iterator[None]:
    try:
        yield
    except AppError:
        raise
    except httpx.ConnectError:
        raise UnreachableError(
            "The server cannot be reached.", hint="Check the network connection; what is in the cache stays usable."
        ) from None
    except httpx.TimeoutException:
        raise _timeout() from None
    except (httpx.NetworkError, httpx.RemoteProtocolError):
        raise ConnectionLostError(
            "The connection broke off.", hint="Try again: a download continues where it stopped."
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL) as fault:
        raise BadReplyError(
            "The server's reply cannot be understood.", hint="Try again later.", reason=type(fault).__name__
        ) from None
    except OSError as fault:
        raise disk_fault(fault) from None


def _raise_for_status(reply: httpx.Response, url: str) -> None:
    status = reply.status_code
    if status in (404, 410):
        raise not_found(url)
    if status == 429 or status >= 500:
        wait_s = _retry_after_s(reply.headers.get("retry-after", ""))
        when = f" It asks to wait {wait_s:.0f} s." if wait_s else ""
        facts = {} if wait_s is None else {"retry_after_s": wait_s}
        raise ServerBusyError(
            f"The server is busy or broken (HTTP {status}).{when}", hint="Try again later.", status=status, **facts
        )
    if status not in (200, 206):
        raise RefusedError(
            f"The server declined (HTTP {status}).", hint="Check the accession and, if you use one, the API key."
        )


def _retry_after_s(value: str) -> float | None:
    """Seconds from a Retry-After header: a number, or a date."""
    with contextlib.suppress(ValueError):
        return max(0.0, float(value))
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    return None


def _announced(reply: httpx.Response, begun: int) -> int | None:
    length = reply.headers.get("content-length", "")
    return begun + int(length) if length.isdigit() else None


def _is_gzip(url: str) -> bool:
    parts = urlsplit(url)
    names = [parts.path, *parse_qs(parts.query).get("file", [])]
    return any(name.endswith((".gz", ".tgz")) for name in names)


def _looks_like_html(head: bytes) -> bool:
    return head[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html"))


def _html(url: str) -> HtmlInsteadOfDataError:
    return HtmlInsteadOfDataError(
        "The server sent a web page where a data file was asked for.",
        hint="The record may be private or withdrawn, or the server in maintenance: open it in a browser.",
        url=url,
    )


def _timeout() -> NetTimeoutError:
    return NetTimeoutError("The server did not answer in time.", hint="Try again later, or check the network.")
