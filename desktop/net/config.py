"""Settings of the net: who may be reached, at which addresses, and how patiently. Secrets are never here."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class NetSettings(BaseModel):
    """Nothing leaves the machine in mode "never"; "ask" needs consent for a job or a listed destination."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["ask", "allow", "never"] = Field(
        "ask", title="Network", description="ask: each destination needs your consent; allow: all; never: cache only."
    )
    allowed: tuple[str, ...] = Field(
        (), title="Always allowed", description="Destinations that need no further question, such as ncbi."
    )
    email: str = Field("", title="E-mail", description="Sent to NCBI with each request, as it asks; may stay empty.")
    geo_url: str = Field(
        "https://ftp.ncbi.nlm.nih.gov/geo", title="GEO files", description="Where GEO's file tree is read."
    )
    ncbi_url: str = Field("https://www.ncbi.nlm.nih.gov", title="NCBI", description="Where GEO records are read.")
    eutils_url: str = Field(
        "https://eutils.ncbi.nlm.nih.gov/entrez/eutils", title="E-utilities", description="Where NCBI is searched."
    )
    huggingface_url: str = Field(
        "https://huggingface.co", title="Hugging Face", description="Where models are downloaded from."
    )
    attempts: int = Field(5, ge=1, le=10, title="Attempts", description="Tries before a busy server is given up.")
    idle_timeout_s: float = Field(
        30, gt=0, le=600, title="Patience (s)", description="A server that sends nothing for this long is given up."
    )

    @field_validator("geo_url", "ncbi_url", "eutils_url", "huggingface_url")
    @classmethod
    def _is_safe(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise ValueError("must begin with https:// (http:// only for this machine)")
        return value.rstrip("/")
