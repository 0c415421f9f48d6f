"""NCBI's E-utilities: search, summaries and links, as plain rows. What they are about is not judged here.

Limits, patience, cache and consent are the net's. A reply that is no answer (a web page, an error in JSON) is a typed
error and never an empty result.

Source: NCBI Bookshelf NBK25499; the shapes are those of its JSON replies, version 0.3.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from desktop.core.ports import JobContext
from desktop.net.errors import HtmlInsteadOfDataError, RefusedError, ServerBusyError
from desktop.studios.omics.sources.geo_urls import GeoUrls

DESTINATION = "ncbi"
REPLY_BYTES = 32 * 1024**2
_IGNORED = ("phrasesnotfound", "fieldsnotfound", "quotedphrasesnotfound", "phrasesignored")


@dataclass(frozen=True, slots=True)
class Found:
    """Identifiers in the order of the database, of how many; and the words of the question it did not know."""

    ids: tuple[str, ...]
    total: int
    unknown_words: tuple[str, ...] = ()


class Eutils:
    """Asks on behalf of one job. `allow_net` is the person's consent for it."""

    def __init__(self, ctx: JobContext, urls: GeoUrls, *, allow_net: bool) -> None:
        self._ctx, self._urls, self._allow = ctx, urls, allow_net

    async def search(self, db: str, term: str, *, limit: int = 50, start: int = 0) -> Found:
        """Identifiers of what matches a term in NCBI's query language."""
        reply = await self._ask("esearch", db=db, term=term, retmax=str(limit), retstart=str(start))
        found = reply.get("esearchresult")
        if not isinstance(found, dict):
            raise _no_answer()
        if said := found.get("ERROR"):
            raise RefusedError(f"NCBI did not understand the search: {str(said)[:200]}", hint="Use simpler words.")
        lists = [found.get(name) for name in ("errorlist", "warninglist")]
        unknown = [str(word) for one in lists if isinstance(one, dict) for key in _IGNORED for word in one.get(key, [])]
        ids = tuple(str(uid) for uid in found.get("idlist") or [])
        return Found(ids, _count(found.get("count"), len(ids)), tuple(dict.fromkeys(unknown)))

    async def summaries(self, db: str, ids: tuple[str, ...] | list[str]) -> list[dict[str, Any]]:
        """One row an identifier, in that order; those the database cannot tell of are left out."""
        if not ids:
            return []
        reply = await self._ask("esummary", db=db, id=",".join(ids))
        result = reply.get("result")
        if not isinstance(result, dict):
            raise _no_answer()
        rows = [result.get(str(uid)) for uid in result.get("uids") or []]
        return [row for row in rows if isinstance(row, dict) and "error" not in row]

    async def links(self, source: str, target: str, link: str, uid: str) -> list[str]:
        """Identifiers in `target` that a record of `source` leads to."""
        reply = await self._ask("elink", dbfrom=source, db=target, linkname=link, id=uid)
        sets = [s for s in reply.get("linksets") or [] if isinstance(s, dict)]
        return [str(i) for s in sets for linked in s.get("linksetdbs") or [] for i in linked.get("links") or []]

    async def _ask(self, name: str, **params: str) -> dict[str, Any]:
        url = self._urls.eutil(name, **params)
        page = await self._ctx.net.fetch(
            url, destination=DESTINATION, max_bytes=REPLY_BYTES, refresh=True, allow=self._allow, page=True
        )
        try:
            reply = json.loads(page.path.read_bytes())
        except (ValueError, RecursionError):
            reply = None
        if not isinstance(reply, dict):
            raise _no_answer()
        if said := reply.get("error"):
            raise ServerBusyError(f"NCBI declined: {str(said)[:200]}", hint="Wait a little, then try again.")
        return reply


def _count(value: object, floor: int) -> int:
    text = str(value)
    return max(int(text), floor) if text.isascii() and text.isdigit() else floor


def _no_answer() -> HtmlInsteadOfDataError:
    return HtmlInsteadOfDataError(
        "NCBI's search sent something that is not an answer.",
        hint="It may be in maintenance: try again later, or give the GSE accession itself.",
    )
