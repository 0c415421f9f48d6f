"""Talking to a Hugging Face hub with its own library. Runs in a child process: see `download` for what is fetched.

The library makes its own connections, so this module holds them to the hosts that consent was given for. A download
continues where it stopped, also after a restart; a file counts only when its size and its SHA-256 are as announced.
Tokens travel in headers alone, never to another host than the hub, and never into a message.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from desktop.core.errors import AppError
from desktop.core.progress import report_progress
from desktop.engines.errors import (
    BadReplyError,
    DamagedDownloadError,
    ModelExistsError,
    ModelGatedError,
    NoDiskSpaceError,
    RequestRefusedError,
    ServerBusyError,
    ServerUnreachableError,
    UnknownModelError,
)

_BLOCK = 1 << 20
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Hub:
    """Which hub, who may be reached (the hub's host and its domains), and as whom."""

    base_url: str
    domains: tuple[str, ...]
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a repository as its hub lists it. `sha256` None for small files kept in git itself."""

    name: str
    bytes: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """A repository at one commit."""

    repository: str
    revision: str
    files: tuple[RemoteFile, ...]
    licence: str = ""


def list_files(hub: Hub, repository: str, revision: str | None) -> Listing:
    """What a repository holds, at a commit or now. Raises the typed errors of this module."""
    with _session(hub):
        from huggingface_hub import HfApi

        api = HfApi(endpoint=hub.base_url, token=hub.token or False, library_name="benchtop")
        info = api.model_info(repository, revision=revision, files_metadata=True, timeout=30)
        if not info.sha or info.siblings is None:
            raise BadReplyError("The hub did not say which commit or files there are.", hint="Try again later.")
        files = tuple(
            RemoteFile(one.rfilename, int(one.size or 0), str(one.lfs.sha256) if one.lfs else None)
            for one in info.siblings
        )
        licences = [tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:")]
        return Listing(repository, info.sha, files, licences[0] if licences else "")


def download_files(hub: Hub, listing: Listing, folder: Path, expected: dict[str, str | None]) -> dict[str, str]:
    """Fetch `listing`'s files into `folder`; returns SHA-256 by name.

    expected  hash by name where one is known; None: the hub's own, or what comes
    Files that are there in full are hashed and kept; unfinished ones continue. Raises the typed errors of this module,
    and ModelExistsError while another download into the same folder is under way.
    """
    total = sum(file.bytes for file in listing.files) or 1
    folder.mkdir(parents=True, exist_ok=True)
    bar = _Bar(total)
    hashes: dict[str, str] = {}
    with _session(hub), _alone(folder):
        for file in listing.files:
            begun = bar.done
            hashes[file.name] = _fetch(hub, listing, file, folder, expected.get(file.name), bar)
            bar.done = begun + file.bytes
    return hashes


def _fetch(hub: Hub, listing: Listing, file: RemoteFile, folder: Path, expected: str | None, bar: _Bar) -> str:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import http_get

    wanted = expected or file.sha256
    target, part = folder / file.name, folder / f"{file.name}.part"
    if target.is_file() and target.stat().st_size == file.bytes:
        digest = _sha256(target)
        if wanted in (None, digest):
            return digest
        target.unlink()
    url = hf_hub_url(listing.repository, file.name, revision=listing.revision, endpoint=hub.base_url)
    head = get_hf_file_metadata(url, token=hub.token or False, endpoint=hub.base_url, retry_on_errors=True)
    if head.commit_hash not in (None, listing.revision):
        raise BadReplyError(f"The hub answered with another version of {file.name}.", hint="Try again.")
    if head.size is not None and head.size != file.bytes:
        raise DamagedDownloadError(f"The hub announces another size of {file.name} now.", hint="Try again.")
    location = head.location or url
    headers = {"authorization": f"Bearer {hub.token}"} if hub.token and _is_same_host(location, hub.base_url) else {}
    begun = part.stat().st_size if part.is_file() else 0
    if begun > file.bytes:
        part.unlink()
        begun = 0
    bar.done += begun
    with part.open("r+b" if part.is_file() else "w+b") as stream:
        stream.seek(begun)
        http_get(location, stream, resume_size=begun, headers=headers, expected_size=file.bytes, tqdm_class=bar.cls)
    digest = _sha256(part)
    if wanted is not None and digest != wanted:
        part.unlink()
        raise DamagedDownloadError(
            f"{file.name} is not what it should be: its hash differs from the one that is known.",
            hint="Try again; if it happens again, the repository was changed: do not use it.",
            file=file.name,
            expected=wanted,
            got=digest,
        )
    part.replace(target)
    return digest


class _Bar:
    """Stands in for the library's progress bar: tells the job how far all files together are, and how quickly."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self._began_s, self._fresh = time.monotonic(), 0
        bar = self

        class Tqdm:
            def __init__(self, *_args: Any, **_facts: Any) -> None: ...

            def update(self, n: float | None = 1) -> None:
                bar.add(int(n or 0))

            def __enter__(self) -> Tqdm:
                return self

            def __exit__(self, *_exc: object) -> None: ...

            def close(self) -> None: ...

        self.cls: Any = Tqdm

    def add(self, n: int) -> None:
        """`n` more bytes have come."""
        self.done += n
        self._fresh += max(0, n)
        speed = self._fresh / max(0.001, time.monotonic() - self._began_s)
        report_progress(min(1.0, self.done / self.total), f"{_mb(self.done)} of {_mb(self.total)}, {_mb(speed)}/s")


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One download into a folder at a time; the system lets go of the lock when the process ends, however it does."""
    with (folder / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ModelExistsError("This model is being downloaded already.", hint="Wait for that download.") from None
        yield


@contextlib.contextmanager
def _session(hub: Hub) -> Iterator[None]:
    """The library with connections held to the hub's hosts, and its errors as ours."""
    os.environ |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}
    import httpx2
    from huggingface_hub import close_session, constants, errors, set_client_factory

    constants.HF_HUB_DISABLE_XET = True  # its connections could not be held to the hosts agreed to
    constants.DOWNLOAD_CHUNK_SIZE = _BLOCK  # what a broken connection loses at most

    def check(request: httpx2.Request) -> None:
        _check_host(str(request.url), hub)

    def client() -> httpx2.Client:
        is_local = urlsplit(hub.base_url).scheme == "http"
        hooks = {"request": [check]}
        return httpx2.Client(event_hooks=hooks, follow_redirects=True, timeout=30, trust_env=not is_local)

    set_client_factory(client)
    try:
        yield
    except errors.GatedRepoError:
        raise ModelGatedError(
            "The publisher gives this model only to people who accepted its terms.",
            hint="Accept them on the model's page, then keep your access token: "
            "benchtop settings key huggingface_token",
        ) from None
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.RemoteEntryNotFoundError) as fault:
        raise UnknownModelError(
            f"The hub has no such {'file' if isinstance(fault, errors.RemoteEntryNotFoundError) else 'repository'} "
            "(or wants a token to show it).",
            hint="It may have been renamed or withdrawn; a private one needs a token.",
        ) from None
    except errors.HfHubHTTPError as fault:
        raise _refused(fault.response.status_code) from None
    except (httpx2.TransportError, httpx2.TooManyRedirects) as fault:
        raise ServerUnreachableError(
            "The connection to the hub failed or broke off.",
            hint="Check the network and run it again: it goes on where it stopped.",
            reason=type(fault).__name__,
        ) from None
    except OSError as fault:
        raise _disk_fault(fault) from None
    except ValueError as fault:
        raise BadReplyError("The hub's reply cannot be understood.", hint="Try again later.") from fault
    finally:
        close_session()


def _refused(status: int) -> AppError:
    if status == 429 or status >= 500:
        return ServerBusyError(f"The hub is busy (HTTP {status}).", hint="Try again in a few minutes.", status=status)
    return RequestRefusedError(
        f"The hub declined (HTTP {status}).", hint="Check the token: benchtop settings key huggingface_token"
    )


def _disk_fault(fault: OSError) -> AppError:
    if fault.errno is None:  # the library's own word for a file that came shorter than announced
        return DamagedDownloadError("A file came shorter than announced.", hint="Run it again: it goes on there.")
    return NoDiskSpaceError(
        f"The download cannot be written: {fault.strerror}.", hint="Make room on the disk of Benchtop's data folder."
    )


def _check_host(url: str, hub: Hub) -> None:
    """Only the hub itself and its own domains, and only over https; a hub on this machine may send on within it."""
    parts, base = urlsplit(url), urlsplit(hub.base_url)
    host = (parts.hostname or "").rstrip(".")
    is_own = any(host == domain or host.endswith("." + domain) for domain in hub.domains) and parts.scheme == "https"
    is_local = base.hostname in _LOOPBACK and host in _LOOPBACK
    if not is_own and not is_local and parts[:2] != base[:2]:
        raise RequestRefusedError(
            f"The hub sends to {host}, which you did not agree to.", hint="Nothing was fetched from there.", host=host
        )


def _is_same_host(url: str, base: str) -> bool:
    return urlsplit(url)[:2] == urlsplit(base)[:2]


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _mb(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"
