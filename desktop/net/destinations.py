"""The destinations there are: whose hosts they cover, how often they may be asked, which key raises the limit.

Consent is given to a destination, so an address outside its hosts is refused even after a redirect.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from desktop.net.config import LOOPBACK, NetSettings
from desktop.net.errors import InsecureUrlError


@dataclass(frozen=True, slots=True)
class Destination:
    """`per_s` requests a second without a key, `per_s_with_key` with the one called `secret` in the keychain."""

    key: str
    title: str
    domains: tuple[str, ...]
    settings: tuple[str, ...]  # NetSettings fields that hold base addresses of this destination
    per_s: float
    per_s_with_key: float
    secret: str


DESTINATIONS = {
    "ncbi": Destination(
        key="ncbi",
        title="NCBI (GEO, SRA, PubMed)",
        domains=("ncbi.nlm.nih.gov",),
        settings=("geo_url", "ncbi_url", "eutils_url"),
        per_s=3,
        per_s_with_key=10,
        secret="ncbi_api_key",
    ),
    "huggingface": Destination(
        key="huggingface",
        title="Hugging Face (models)",
        domains=("huggingface.co", "hf.co"),  # hf.co: where the large files are kept
        settings=("huggingface_url",),
        per_s=5,
        per_s_with_key=10,
        secret="huggingface_token",
    ),
}


def checked_url(url: str, destination: Destination, settings: NetSettings) -> str:
    """The address to ask, https unless on this machine, ftp:// rewritten; InsecureUrlError for anything else."""
    if url.startswith("ftp://"):
        url = "https://" + url.removeprefix("ftp://")
    parts = urlsplit(url)
    bases = {urlsplit(getattr(settings, field))[:2] for field in destination.settings}
    host = (parts.hostname or "").rstrip(".")
    inside = parts[:2] in bases or any(host == one or host.endswith("." + one) for one in destination.domains)
    if not (inside and is_secure(url)):
        raise InsecureUrlError(
            f"Benchtop does not fetch {parts.scheme}://{parts.hostname or ''}… as {destination.title}.",
            hint="Only https addresses of the destination you agreed to are read.",
            host=parts.hostname or "",
        )
    return url


def is_secure(url: str) -> bool:
    """Whether it is https, or plain http to this machine, with no name or password in the address."""
    parts = urlsplit(url)
    is_here = parts.scheme == "http" and (parts.hostname or "").rstrip(".") in LOOPBACK
    return (parts.scheme == "https" or is_here) and parts.username is None


def is_loopback(url: str) -> bool:
    """Whether the address is on this machine."""
    return urlsplit(url).hostname in LOOPBACK
