"""What is known of a model server before it is asked, and the port through which anything leaves for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol
from urllib.parse import quote, urlsplit

Address = Literal["chat/completions", "embeddings", "models", "health"]
ServerKind = Literal["openai", "databricks"]


@dataclass(frozen=True, slots=True)
class ModelServer:
    """One model behind one address.

    id              the destination consent is given to; also the model's id in this program
    url             of an OpenAI-compatible server, with or without /v1; of a Databricks workspace
    model           the name the server knows it by; the endpoint's name on Databricks
    key_name        the name of its token in the keychain; empty when it wants none
    embeds          answers embeddings instead of text
    first_token_s   longest silence before the first token; stall_s between two; total_s for a whole answer
    """

    id: str
    kind: ServerKind
    url: str
    model: str
    key_name: str = ""
    context_tokens: int = 32_768
    parallel: int = 8
    embeds: bool = False
    first_token_s: float = 60.0
    stall_s: float = 30.0
    total_s: float = 600.0

    @property
    def is_loopback(self) -> bool:
        """Whether it runs on this machine (or at the near end of a tunnel)."""
        return urlsplit(self.url).hostname in ("127.0.0.1", "localhost", "::1")

    def address(self, what: Address) -> str:
        """Where to ask for it."""
        base = self.url.rstrip("/")
        if self.kind == "databricks":
            if what in ("models", "health"):
                return f"{base}/api/2.0/serving-endpoints/{quote(self.model, safe='')}"
            return f"{base}/serving-endpoints/{quote(self.model, safe='')}/invocations"
        if what == "health":
            return f"{base.removesuffix('/v1')}/health"
        return f"{base if base.endswith('/v1') else base + '/v1'}/{what}"


class Departures(Protocol):
    """Asked before anything is sent: consent, safety of the address, and a row of the audit trail."""

    async def depart(self, destination: str, *, method: str, url: str, size_bytes: int) -> None:
        """Returns when the request may be sent. Raises `net.consent_needed`, `net.insecure_url` or a store's error."""
