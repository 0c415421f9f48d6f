"""Fast reads for the front ends: the models there are, whether one would fit, the Trash of models.

`fit` here knows the machine as it is now and no loaded models: where Benchtop runs, `ModelRoom.fit` knows those too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from desktop.core.clock import SystemClock
from desktop.core.models import EngineName, FitAnswer, Tier
from desktop.core.paths import Paths, resources_dir
from desktop.engines.fitting import to_answer
from desktop.engines.footprint import Machine, this_machine
from desktop.engines.installed import Installed, KnownModel
from desktop.engines.ledger import Ledger
from desktop.engines.memory import to_fit
from desktop.engines.memory_settings import MemorySettings

ModelState = Literal["available", "on disk", "linked", "in Trash", "on a server"]


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
    return to_answer(entry, context, to_fit(ledger.plan(need), need), ledger.limit_bytes)


def check_known(paths: Paths, model: str) -> None:
    """Raises UnknownModelError for a name nobody gave."""
    installed(paths).find(model)


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
