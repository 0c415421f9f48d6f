"""The models there are: those that ship as data in resources/catalog, and the person's own, imported ones.

A model is named by an id, never by a path or an address: what is not in here is never loaded. What lies on the disk,
and where, is `installed`'s.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from desktop.core.models import EngineName, Tier
from desktop.engines.errors import CatalogueError, UnknownModelError
from desktop.engines.estimate import Need, Shape, need

ModelId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,79}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,200}$")]
Capability = Literal["chat", "json", "code", "thinking", "embed"]
LOCAL_ENGINES: tuple[EngineName, ...] = ("mlx", "gguf", "coreml")
DEFAULT_CONTEXT = {"small": 8192, "medium": 16384, "large": 32768}  # tokens a load holds when nobody asks for another


class ShapeEntry(BaseModel):
    """See `estimate.Shape`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    attention_layers: int = Field(gt=0, le=10_000)
    kv_heads: int = Field(gt=0, le=10_000)
    head_dim: int = Field(gt=0, le=100_000)
    hidden: int = Field(gt=0, le=1_000_000)
    intermediate: int = Field(gt=0, le=10_000_000)
    vocabulary: int = Field(gt=0, le=100_000_000)
    number_bytes: int = Field(2, ge=1, le=8)

    def to_shape(self) -> Shape:
        """As the estimate takes it."""
        return Shape(**self.model_dump())


class CatalogEntry(BaseModel):
    """One model.

    repository      on the Hugging Face hub; empty for the person's own
    revision        commit; None: the newest at the first download, kept from then on
    files           name → SHA-256, None: the repository's own, kept from the first download on; empty: every file
    bytes           of the weights; 0 for a model on a server
    context_tokens  longest the model was trained for
    template        of its conversations: "chatml", "own" (comes with the files), "server", "none" (embeddings)
    pooling         how token vectors become one; empty for a model that gives no embeddings
    query_prefix    what an embedding model wants in front of a question
    family          models of one family are the same weights for different runtimes: they share the load
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: ModelId
    title: str = Field(min_length=1, max_length=200)
    tier: Tier
    engine: EngineName
    repository: Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+)?$")] = ""
    revision: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")] | None = None
    files: dict[FileName, Sha256 | None] = {}
    bytes: int = Field(0, ge=0)
    bits: int = Field(16, ge=1, le=64)
    shape: ShapeEntry | None = None
    context_tokens: int = Field(gt=0, le=100_000_000)
    template: Literal["chatml", "own", "server", "none"] = "own"
    licence: str = Field(min_length=1)
    capabilities: tuple[Capability, ...] = ()
    pooling: Literal["", "mean", "cls", "last"] = ""
    query_prefix: str = Field(default="", max_length=500)
    family: str = Field(default="", max_length=80)

    @model_validator(mode="after")
    def _is_whole(self) -> CatalogEntry:
        if self.is_local and (not self.bytes or self.shape is None):
            raise ValueError(f"{self.id}: a model for this machine needs bytes and shape")
        if self.engine == "gguf" and self.repository and len(self.files) != 1:
            raise ValueError(f"{self.id}: a GGUF model names its one file")
        if ("embed" in self.capabilities) != bool(self.pooling):
            raise ValueError(f"{self.id}: an embedding model, and only that, says how it pools")
        return self

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine."""
        return self.engine in LOCAL_ENGINES

    def context(self, wish: int | None = None) -> int:
        """Tokens a load holds: what is asked for or the tier's default, and no more than the model was trained for."""
        return min(wish or DEFAULT_CONTEXT[self.tier], self.context_tokens)

    def need(self, context_tokens: int, kv_bits: int = 16) -> Need:
        """What a load takes; nothing for a model on a server."""
        if self.shape is None:
            return Need(0)
        is_gguf = self.engine == "gguf"
        return need(
            self.shape.to_shape(),
            self.bytes,
            context_tokens,
            kv_bits=kv_bits,
            has_kv_upfront=is_gguf,
            is_repacked=is_gguf and self.bits == 4 and sys.platform != "darwin",
        )


class _CatalogFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    models: list[CatalogEntry]


def load_catalog(folder: Path) -> dict[str, CatalogEntry]:
    """The shipped entries by id, in the order of files and entries. Raises CatalogueError."""
    import yaml

    entries: dict[str, CatalogEntry] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            found = _CatalogFile.model_validate(yaml.safe_load(path.read_text("utf-8"))).models
        except (OSError, ValueError, yaml.YAMLError, ValidationError) as fault:
            raise CatalogueError(
                f"{path.name} of the model catalogue cannot be understood: {_first(fault)}.",
                hint="Correct the file, or install Benchtop again.",
                file=path.name,
            ) from fault
        for entry in found:
            if entry.id in entries:
                raise CatalogueError(
                    f"The model catalogue names {entry.id} twice.", hint="Correct the file.", file=path.name
                )
            entries[entry.id] = entry
    return entries


def unknown_model(name: str, known: Iterable[str]) -> UnknownModelError:
    """The error of a name nobody gave a model; close ones are offered."""
    import difflib

    shown = re.sub(r"[^\x20-\x7e]", "?", name)[:80]
    close = difflib.get_close_matches(name[:80].lower(), list(known), n=1, cutoff=0.6)
    hint = f"Did you mean {close[0]}? " if close else ""
    return UnknownModelError(
        f"There is no model called {shown!r}.",
        hint=f"{hint}`benchtop models list` shows the names; a model of your own is imported first.",
    )


def _first(fault: Exception) -> str:
    if isinstance(fault, ValidationError):
        one = fault.errors()[0]
        return f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}"
    return str(fault).splitlines()[0] if str(fault) else type(fault).__name__
