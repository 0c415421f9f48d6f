"""A stand-in server and a net that asks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from keyring.backend import KeyringBackend

from desktop.core.clock import SystemClock
from desktop.net.cache import ContentCache
from desktop.net.config import NetSettings
from desktop.net.http import Departure, HttpNet
from desktop.net.secrets import Redactor, Secrets
from tests.stand_ins.geo import GeoServer


class MemoryKeyring(KeyringBackend):
    """An operating system's keychain, in memory."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.values.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.values[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.values[service, username]


@pytest.fixture
def keychain() -> MemoryKeyring:
    return MemoryKeyring()


@pytest.fixture
def server() -> Iterator[GeoServer]:
    with GeoServer() as running:
        yield running


@pytest.fixture
def departures() -> list[Departure]:
    return []


MakeNet = Callable[..., HttpNet]


@pytest.fixture
def make_net(server: GeoServer, tmp_path: Path, keychain: MemoryKeyring, departures: list[Departure]) -> MakeNet:
    """make_net(mode="allow", attempts=3, …): a net over one cache folder; call it again for a restarted program."""

    async def note(departure: Departure) -> None:
        departures.append(departure)

    def make(**changes: object) -> HttpNet:
        values = {
            "mode": "allow",
            "attempts": 3,
            "idle_timeout_s": 5,
            "geo_url": f"{server.base}/geo",
            "ncbi_url": f"{server.base}/ncbi",
            "eutils_url": f"{server.base}/eutils",
            **changes,
        }
        settings = NetSettings.model_validate(values)
        return HttpNet(
            ContentCache(tmp_path / "cache"),
            settings=lambda: settings,
            secrets=Secrets(Redactor(), keychain),
            clock=SystemClock(),
            on_departure=note,
        )

    return make
