"""Fast reads for the front ends: the models there are, whether one would fit, the Trash of models.

`fit` here knows the machine as it is now and no loaded models: a running gateway asks its own budget.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from desktop.core.clock import SystemClock
from desktop.core.models import EngineName, Tier
from desktop.core.paths import Paths, resources_dir
from desktop.engines.footprint import Machine, this_machine
from desktop.engines.installed import Installed, KnownModel
from desktop.engines.ledger import Ledger
from desktop.engines.memory import to_fit
from desktop.engines.memory_settings import MemorySettings
from desktop.engines.slots import Fit

ModelState = Literal["available", "on disk", "linked", "in Trash", "on a server"]
_GIB = 1024**3


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model as a list shows it. `bytes` of its files, or of its weights while it is not on this machine."""

    id: str
    title: str
    tier: Tier
    engine: EngineName
    state: ModelState
    bytes: int
    bits: int
    context_tokens: int
    capabilities: tuple[str, ...]
    licence: str
    repository: str
    source: str


@dataclass(frozen=True, slots=True)
class FitAnswer:
    """Whether a model would go into memory, with `words` for a person."""

    model: str
    context_tokens: int
    verdict: Literal["fits", "after", "busy", "never"]
    need_bytes: int
    free_bytes: int
    evictable_bytes: int
    limit_bytes: int
    unload: tuple[str, ...]
    words: str


def list_models(paths: Paths) -> list[ModelRow]:
    """Every model by name, small ones first: of the catalogue, on this machine, in the Trash. Raises CatalogueError."""
    rows = [_row(known) for known in installed(paths).models()]
    return sorted(rows, key=lambda row: ("embed" in row.capabilities, get_args(Tier).index(row.tier)))


def fit(paths: Paths, model: str, settings: MemorySettings, *, context_tokens: int | None = None) -> FitAnswer:
    """Whether it would fit now. Raises UnknownModelError."""
    return fit_of(installed(paths), model, settings, context_tokens=context_tokens)


def fit_of(
    models: Installed,
    model: str,
    settings: MemorySettings,
    *,
    context_tokens: int | None = None,
    machine: Machine | None = None,
) -> FitAnswer:
    """`fit` over models that are open already."""
    entry = models.find(model).entry
    context = entry.context(context_tokens)
    ledger = Ledger(machine or this_machine(), lambda: settings, SystemClock())
    need = entry.need(context).total_bytes
    answer = to_fit(ledger.plan(need), need)
    return FitAnswer(
        model=entry.id,
        context_tokens=context,
        verdict=answer.verdict,
        need_bytes=need,
        free_bytes=answer.free_bytes,
        evictable_bytes=answer.evictable_bytes,
        limit_bytes=ledger.limit_bytes,
        unload=answer.unload,
        words=to_words(entry.title, answer) if entry.is_local else f"{entry.title} takes no memory of this machine.",
    )


def to_words(title: str, answer: Fit) -> str:
    """A fit in one sentence."""
    need, free = f"{answer.need_bytes / _GIB:.1f} GiB", f"{answer.free_bytes / _GIB:.1f} GiB"
    if answer.verdict == "fits":
        return f"{title} fits: it needs {need}, and {free} are free."
    if answer.verdict == "after":
        gone = " and ".join(answer.unload) or "a model that is on its way out"
        return f"{title} fits after unloading {gone}: it needs {need}, and {free} are free."
    if answer.verdict == "busy":
        return f"{title} fits once requests under way have ended: it needs {need}, and {free} are free."
    evictable = f"{answer.evictable_bytes / _GIB:.1f} GiB"
    return f"{title} does not fit: it needs {need}; {free} are free, and {evictable} could be freed by unloading."


def trash_model(paths: Paths, model: str) -> None:
    """Move a model to the Trash. Raises NotInstalledError."""
    installed(paths).trash(model)


def restore_model(paths: Paths, model: str) -> None:
    """Put a model back from the Trash. Raises NotInstalledError, ModelExistsError."""
    installed(paths).restore(model)


def empty_trash(paths: Paths) -> int:
    """Delete every model in the Trash for good; the bytes that came free."""
    return installed(paths).empty_trash()


def installed(paths: Paths) -> Installed:
    """The models of this data folder, and the shipped catalogue."""
    return Installed(paths.models, resources_dir() / "catalog")


def _row(known: KnownModel) -> ModelRow:
    entry, note = known.entry, known.note
    state: ModelState = "available" if entry.is_local else "on a server"
    if note is not None:
        state = "in Trash" if known.is_trashed else "linked" if note.link else "on disk"
    return ModelRow(
        id=entry.id,
        title=entry.title,
        tier=entry.tier,
        engine=entry.engine,
        state=state,
        bytes=sum(kept.bytes for kept in note.files.values()) if note else entry.bytes,
        bits=entry.bits,
        context_tokens=entry.context_tokens,
        capabilities=entry.capabilities,
        licence=entry.licence,
        repository=entry.repository,
        source=note.source if note else "",
    )
