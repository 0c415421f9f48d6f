"""Finds a Docker engine the way people have them, and says which it chose.

Explicit setting, DOCKER_HOST, the current context, then the sockets that Docker Desktop, colima, OrbStack, Rancher
Desktop, Podman and Linux packages leave. The SDK's own `from_env` ignores contexts, and an application started from
the Finder has no shell environment, so this looks itself.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import docker

PING_S = 2
CALL_S = 30
_log = logging.getLogger(__name__)
_SOCKETS = (
    ("Docker Desktop", "~/.docker/run/docker.sock"),
    ("Docker Desktop", "~/.docker/desktop/docker.sock"),
    ("colima", "~/.colima/default/docker.sock"),
    ("colima", "~/.config/colima/default/docker.sock"),
    ("OrbStack", "~/.orbstack/run/docker.sock"),
    ("Rancher Desktop", "~/.rd/docker.sock"),
    ("Podman", "~/.local/share/containers/podman/machine/podman.sock"),
    ("Podman", "$XDG_RUNTIME_DIR/podman/podman.sock"),
    ("Docker rootless", "$XDG_RUNTIME_DIR/docker.sock"),
    ("Docker", "/var/run/docker.sock"),
)


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answered. `found_by` says why it was looked for; `api` is the API version to speak."""

    url: str
    found_by: str
    version: str
    api: str
    architecture: str = ""

    def client(self, timeout_s: int | None = CALL_S) -> docker.APIClient:
        """A connection of its own; the caller closes it. Not to be shared between threads."""
        import docker

        return docker.APIClient(base_url=self.url, version=self.api, timeout=timeout_s)  # type: ignore[arg-type]


def candidates(setting: str, env: Mapping[str, str], home: Path) -> Iterator[tuple[str, str]]:
    """(url, found by) in the order they are tried; an explicit setting or DOCKER_HOST is the only one then."""
    if setting:
        yield setting, "setting"
        return
    if env.get("DOCKER_HOST"):
        yield env["DOCKER_HOST"], "DOCKER_HOST"
        return
    config = Path(env.get("DOCKER_CONFIG") or home / ".docker")
    name = env.get("DOCKER_CONTEXT") or _text(_json(config / "config.json"), "currentContext")
    if name and name != "default":
        meta = config / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"
        endpoints = _json(meta).get("Endpoints")
        host = _text(endpoints.get("docker") if isinstance(endpoints, dict) else None, "Host")
        if host:
            yield host, f"context {name}"
    runtime = env.get("XDG_RUNTIME_DIR")
    for who, path in _SOCKETS:
        if path.startswith("$") and not runtime:
            continue
        place = Path(path.replace("$XDG_RUNTIME_DIR", runtime or "").replace("~", str(home), 1))
        if place.is_socket():
            yield f"unix://{place}", who


def _json(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: object, key: str) -> str:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def ping(url: str, found_by: str) -> Engine | None:
    """Ask one engine for its version; None when it does not answer in time."""
    import docker
    from docker.constants import DEFAULT_DOCKER_API_VERSION

    client = None
    try:
        if url.startswith("unix://"):  # asked first because the SDK leaves its socket open when nobody listens
            with socket.socket(socket.AF_UNIX) as knock:
                knock.settimeout(PING_S)
                knock.connect(url.removeprefix("unix://"))
        client = docker.APIClient(base_url=url, version="1.41", timeout=PING_S)
        facts = client.version(api_version=False)
        api = min(str(facts["ApiVersion"]), DEFAULT_DOCKER_API_VERSION, key=_version_key)
        return Engine(url, found_by, str(facts["Version"]), api, str(facts.get("Arch", "")))
    except Exception as error:  # the SDK raises whatever requests, urllib3 and http.client do
        _log.info("no engine at %s: %s", url, type(error).__name__)
        return None
    finally:
        if client is not None:
            client.close()


def _version_key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def find_engine(setting: str = "", env: Mapping[str, str] | None = None, home: Path | None = None) -> Engine | None:
    """The first candidate that answers; all are asked at once, so that a dead one costs nothing. Blocks ≤ 2 s."""
    tried = list(dict(candidates(setting, os.environ if env is None else env, home or Path.home())).items())
    if not tried:
        return None
    import docker  # noqa: F401  here once: threads that import one package at a time may each see half of it

    with ThreadPoolExecutor(len(tried)) as pool:
        answers = pool.map(lambda pair: ping(*pair), tried)
        return next((engine for engine in answers if engine is not None), None)
