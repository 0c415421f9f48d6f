"""`Net` over httpx: consent, cache, offline answers, patience and manners. What a reply means is not known here.

One request at a time for an address; a connection lives as long as its fetch, so cancelling leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import functools
import random
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from desktop import __version__
from desktop.core.clock import Clock
from desktop.core.errors import AppError, OfflineError
from desktop.core.ports import Fetched, Permit
from desktop.net.cache import MISSING_KEPT_S, ContentCache, Entry
from desktop.net.config import NetSettings
from desktop.net.destinations import DESTINATIONS, Destination, checked_url, is_loopback, is_secure
from desktop.net.errors import (
    ConnectionLostError,
    ConsentNeededError,
    InsecureUrlError,
    NetTimeoutError,
    NotFoundError,
    ServerBusyError,
    not_found,
)
from desktop.net.limiter import Limiter
from desktop.net.secrets import Secrets

if TYPE_CHECKING:
    import httpx

    from desktop.net.download import Depart

USER_AGENT = f"Benchtop/{__version__} (desktop application)"
BACKOFF_S, BACKOFF_CAP_S, RETRY_AFTER_CAP_S = 0.5, 30.0, 60.0
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class Departure:
    """Something is about to leave this machine: the request as sent, without secrets."""

    destination: str
    method: str
    url: str
    bytes: int
    consent: str  # why it may


class HttpNet:
    """The process's one way out.

    on_departure is awaited before each request; when it raises, the request is not sent.
    """

    def __init__(
        self,
        cache: ContentCache,
        *,
        settings: Callable[[], NetSettings],
        secrets: Secrets,
        clock: Clock,
        on_departure: Callable[[Departure], Awaitable[None]],
    ) -> None:
        self.cache = cache
        self._settings, self._secrets, self._clock, self._on_departure = settings, secrets, clock, on_departure
        self._keys: dict[str, str | None] = {}
        self._limiters = {
            key: Limiter(functools.partial(self._per_s, place), clock, cache.folder / "limits" / key)
            for key, place in DESTINATIONS.items()
        }

    def is_allowed(self, destination: str) -> bool:
        """Whether the settings alone let requests go there, without asking the person."""
        settings = self._settings()
        return settings.mode == "allow" or (settings.mode == "ask" and destination in settings.allowed)

    async def depart(self, destination: str, *, method: str, url: str, size_bytes: int) -> None:
        """Let a request go that another part of the program sends itself, such as a prompt for a model server.

        Consent, safety of the address and the row in the audit trail are the same as for a fetch.
        raises   ConsentNeededError, InsecureUrlError, and what `on_departure` raises
        """
        if not is_secure(url):
            raise InsecureUrlError(
                "Benchtop sends prompts by https only (plain http is for this machine).",
                hint="Change the server's address in the settings to one that begins with https://.",
                host=urlsplit(url).hostname or "",
            )
        if not self.is_allowed(destination):
            raise ConsentNeededError(
                f"Nothing may be sent to {destination}"
                + ("; the network is switched off." if self._settings().mode == "never" else " yet."),
                hint=f"Add {destination} to net.allowed in the settings (and net: mode: ask), or use local models.",
                destination=destination,
            )
        await self._on_departure(Departure(destination, method, url, size_bytes, "allowed in the settings"))

    async def fetch(
        self,
        url: str,
        *,
        destination: str,
        max_bytes: int = 2**31,
        refresh: bool = False,
        on_progress: Progress | None = None,
        allow: bool = False,
        page: bool = False,
    ) -> Fetched:
        """See `desktop.core.ports.Net.fetch`."""
        settings, place = self._settings(), DESTINATIONS[destination]
        url = checked_url(url, place, settings)
        if (known := await self._cached(url)) and not refresh:
            return self._answer(known)
        may_ask = settings.mode != "never" and (allow or self.is_allowed(destination))
        if not may_ask:
            if known:
                return self._answer(known)
            raise _no_consent(place, settings)
        async with self.cache.turn(url):
            if not refresh and (known := await self._cached(url)):
                return self._answer(known)
            try:
                consent = "allowed for this job" if allow else "allowed in the settings"
                depart = functools.partial(self._depart, place, consent)
                entry, from_cache = await self._patiently(
                    url, place, settings, depart, known, max_bytes, on_progress, page
                )
            except (OfflineError, ServerBusyError, NetTimeoutError, ConnectionLostError):
                if known:
                    return self._answer(known)
                raise
            except NotFoundError:
                self.cache.remember(Entry(url, self._clock.now_s(), missing=True))
                raise
        return self._answer(entry, from_cache=from_cache)

    async def permit(self, paths: Sequence[str], *, destination: str, allow: bool = False) -> Permit:
        """See `desktop.core.ports.Net.permit`."""
        settings, place = self._settings(), DESTINATIONS[destination]
        if settings.mode == "never" or not (allow or self.is_allowed(destination)):
            raise _no_consent(place, settings)
        base = getattr(settings, place.settings[0])
        consent = "allowed for this job" if allow else "allowed in the settings"
        for path in paths:
            url = checked_url(f"{base}{path}", place, settings)
            await self._on_departure(Departure(place.key, "GET", url, len(url), consent))
        return Permit(base, place.domains, await self._key(place))

    async def _patiently(
        self,
        url: str,
        place: Destination,
        settings: NetSettings,
        depart: Depart,
        known: Entry | None,
        max_bytes: int,
        on_progress: Progress | None,
        page: bool,
    ) -> tuple[Entry, bool]:
        from desktop.net.download import Download

        limiter = self._limiters[place.key]
        key = await self._key(place)
        extra = _extra_params(url, settings, key)
        for attempt in range(1, settings.attempts + 1):
            download = Download(
                url,
                cache=self.cache,
                known=None if known is None or known.missing else known,
                max_bytes=max_bytes,
                on_progress=on_progress,
                page=page,
                now_s=self._clock.now_s(),
                idle_s=settings.idle_timeout_s,
                check=functools.partial(checked_url, destination=place, settings=settings),
            )
            try:
                async with self._client(url, settings) as client:
                    return await download.run(client, extra, depart)
            except AppError as fault:
                asked_s = fault.facts.get("retry_after_s")
                pause_s = min(BACKOFF_CAP_S, BACKOFF_S * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0)
                if isinstance(asked_s, int | float):
                    pause_s = float(asked_s) + random.uniform(0, 0.1)
                    limiter.hold(min(pause_s, RETRY_AFTER_CAP_S))
                if not _is_worth_another(fault) or attempt == settings.attempts or pause_s > RETRY_AFTER_CAP_S:
                    raise
            await asyncio.sleep(pause_s)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _client(self, url: str, settings: NetSettings) -> httpx.AsyncClient:
        import httpx

        return httpx.AsyncClient(
            verify=_tls(),
            follow_redirects=False,
            trust_env=not is_loopback(url),  # a proxy may be needed for the world, never for this machine
            timeout=httpx.Timeout(settings.idle_timeout_s, connect=min(10.0, settings.idle_timeout_s)),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
            | ({"From": settings.email} if settings.email else {}),
        )

    async def _depart(self, place: Destination, consent: str, request: httpx.Request, shown_url: str) -> None:
        await self._limiters[place.key].turn()
        size = sum(len(name) + len(value) + 4 for name, value in request.headers.raw) + len(str(request.url)) + 16
        await self._on_departure(Departure(place.key, request.method, shown_url, size, consent))

    async def _cached(self, url: str) -> Entry | None:
        entry = await asyncio.to_thread(self.cache.find, url)
        is_stale = entry is not None and entry.missing and self._clock.now_s() - entry.fetched_s > MISSING_KEPT_S
        return None if is_stale else entry

    def _answer(self, entry: Entry, *, from_cache: bool = True) -> Fetched:
        if entry.missing:
            raise not_found(entry.url)
        return Fetched(
            entry.url,
            self.cache.path(entry),
            entry.sha256,
            entry.bytes,
            entry.fetched_s,
            from_cache,
            entry.media_type,
        )

    async def _key(self, place: Destination) -> str | None:
        self._keys[place.key] = await asyncio.to_thread(self._secrets.get, place.secret)
        return self._keys[place.key]

    def _per_s(self, place: Destination) -> float:
        return place.per_s_with_key if self._keys.get(place.key) else place.per_s


@functools.cache
def _tls() -> ssl.SSLContext:
    """Made once: loading the root certificates is the slow part of a client."""
    import httpx

    return httpx.create_ssl_context()


def _extra_params(url: str, settings: NetSettings, key: str | None) -> str:
    """What NCBI asks programs to send along with E-utilities calls; kept out of the cache, the trail and the logs."""
    if not url.startswith(settings.eutils_url):
        return ""
    extra = {"tool": "benchtop"}
    if settings.email:
        extra["email"] = settings.email
    if key:
        extra["api_key"] = key
    return ("&" if urlsplit(url).query else "?") + urlencode(extra)


def _is_worth_another(fault: AppError) -> bool:
    return isinstance(fault, ServerBusyError | NetTimeoutError | ConnectionLostError)


def _no_consent(place: Destination, settings: NetSettings) -> ConsentNeededError:
    if settings.mode == "never":
        return ConsentNeededError(
            "This is not in the cache, and the network is switched off in the settings.",
            hint="Set net: mode: ask in the settings, or use files that are already on this machine.",
            destination=place.key,
        )
    return ConsentNeededError(
        f"This is not in the cache, and {place.title} has not been allowed.",
        hint=f"Allow {place.title} for this job (--yes on the command line), or add {place.key} to net.allowed in "
        "the settings.",
        destination=place.key,
    )
