"""Settings of the gateway: which models answer, which servers there are, and how patient to be. No secrets."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from desktop.core.models import Tier
from desktop.engines.remote.server import ModelServer


class ModelsSettings(BaseModel):
    """Which model answers in each slot, and the limits on asking."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    small: str = Field(
        "", title="Small model", description="Id of the model for light tasks; empty: the best there is."
    )
    medium: str = Field("", title="Medium model", description="Id of the model for demanding tasks; empty: the best.")
    large: str = Field("", title="Large model", description="Id of the model server for the heaviest tasks.")
    embedding: str = Field(
        "",
        title="Embedding model",
        description="Id of the model for search; naming a model server here means that texts go there.",
    )
    remote_tokens: int = Field(
        2_000_000,
        ge=0,
        title="Tokens sent away at most",
        description="Servers are not asked once this many tokens went to and came from them since the start.",
    )
    first_token_s: float = Field(
        180, gt=0, le=3600, title="Patience, first word (s)", description="A local model silent this long is given up."
    )
    stall_s: float = Field(
        60, gt=0, le=3600, title="Patience, between words (s)", description="One that stops this long is given up."
    )
    total_s: float = Field(
        1800, gt=0, le=86400, title="Patience, whole answer (s)", description="The longest an answer may take."
    )
    batch_wait_ms: int = Field(
        200, ge=0, le=200, title="Collect bulk work (ms)", description="Bulk requests wait this long for company."
    )
    cache_mb: int = Field(
        64, ge=0, le=4096, title="Answers kept (MB)", description="Answers to repeated requests come from memory."
    )


class ServerSettings(BaseModel):
    """A model on a server: `kind` openai (vLLM, llama.cpp, any OpenAI-compatible) or databricks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="Its name in this program; what consent names.")
    kind: Literal["openai", "databricks"] = "openai"
    url: str = Field(description="Address of the server, or of the Databricks workspace.")
    model: str = Field(min_length=1, description="The name the server knows the model or endpoint by.")
    key_name: str = Field("", description="Name of its token in the keychain (benchtop settings key NAME).")
    tier: Tier = "large"
    embeds: bool = False
    context_tokens: int = Field(32_768, ge=256)
    parallel: int = Field(8, ge=1, le=256)
    first_token_s: float = Field(60, gt=0, le=3600)
    stall_s: float = Field(30, gt=0, le=3600)
    total_s: float = Field(600, gt=0, le=86400)

    @field_validator("url")
    @classmethod
    def _is_safe(cls, value: str) -> str:
        parts = urlsplit(value)
        is_here = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
        if not (parts.scheme == "https" or is_here) or not parts.hostname or parts.username is not None:
            raise ValueError("must begin with https:// (http:// only for this machine), without a name or password")
        return value.rstrip("/")

    def to_server(self) -> ModelServer:
        """As the engine takes it."""
        values = self.model_dump(exclude={"tier"})
        return ModelServer(**values)


class ServersSettings(BaseModel):
    """The model servers there are. Each is asked only once it is in net.allowed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    known: tuple[ServerSettings, ...] = Field(
        (), title="Model servers", description="Each with id, kind, url, model and key_name; asked only when allowed."
    )

    @field_validator("known")
    @classmethod
    def _are_different(cls, value: tuple[ServerSettings, ...]) -> tuple[ServerSettings, ...]:
        if len({server.id for server in value}) < len(value):
            raise ValueError("two servers have the same id")
        return value
