"""Whether a model would go into memory, as an answer a person can read. The arithmetic is `ledger`'s."""

from __future__ import annotations

from desktop.core.models import FitAnswer
from desktop.core.sizes import size_words
from desktop.engines.catalog import CatalogEntry
from desktop.engines.slots import Fit


def to_answer(entry: CatalogEntry, context_tokens: int, fit: Fit, limit_bytes: int) -> FitAnswer:
    """A fit of this model at this context."""
    return FitAnswer(
        model=entry.id,
        context_tokens=context_tokens,
        verdict=fit.verdict,
        need_bytes=fit.need_bytes,
        free_bytes=fit.free_bytes,
        evictable_bytes=fit.evictable_bytes,
        limit_bytes=limit_bytes,
        unload=fit.unload,
        words=_words(entry.title, fit) if entry.is_local else f"{entry.title} takes no memory of this machine.",
    )


def _words(title: str, fit: Fit) -> str:
    need, free = size_words(fit.need_bytes), size_words(fit.free_bytes)
    if fit.is_loaded:
        return f"{title} is in memory; it takes {need}."
    if fit.verdict == "fits":
        return f"{title} fits: it needs {need}, and {free} are free."
    if fit.verdict == "after":
        gone = " and ".join(fit.unload) or "a model that is on its way out"
        return f"{title} fits after unloading {gone}: it needs {need}, and {free} are free."
    if fit.verdict == "busy":
        return f"{title} fits once requests under way have ended: it needs {need}, and {free} are free."
    evictable = size_words(fit.evictable_bytes)
    return f"{title} does not fit: it needs {need}; {free} are free, and {evictable} could be freed by unloading."
