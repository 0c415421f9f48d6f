"""The headless half of the application as one object: what `app.py` builds and every front end is handed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from desktop.core.config import SECTIONS, SettingsStore
from desktop.core.events import EventBus
from desktop.core.jobs import Studio
from desktop.core.models import ModelRoom
from desktop.core.paths import Paths
from desktop.core.ports import Net, Sandbox, Secrets
from desktop.store import audit
from desktop.store.connect import sqlite_fault
from desktop.store.db import Database
from desktop.workers.runtime import JobRuntime


@dataclass(frozen=True, slots=True)
class Checkup:
    """One thing that works on this machine (ok), does not (not ok) or could be better (None); and what to do."""

    name: str
    ok: bool | None
    detail: str
    remedy: str = ""


_SYNCED = ("Mobile Documents", "CloudStorage", "Dropbox", "OneDrive", "Google Drive", "Nextcloud")


def settings_sections(studios: Iterable[Studio]) -> dict[str, str]:
    """Every section of the settings file by name, as references to be resolved when asked for."""
    own = {
        **SECTIONS,
        "net": "desktop.net.config:NetSettings",
        "sandbox": "desktop.sandbox.config:SandboxSettings",
        "memory": "desktop.engines.memory_settings:MemorySettings",
        "models": "desktop.gateway.config:ModelsSettings",
        "servers": "desktop.gateway.config:ServersSettings",
    }
    return own | {studio.key: studio.settings for studio in studios}


@dataclass(slots=True)
class Workbench:
    """Everything a front end needs. `close` it last."""

    paths: Paths
    bus: EventBus
    settings: SettingsStore
    store: Database
    runtime: JobRuntime
    sandbox: Sandbox
    net: Net
    models: ModelRoom
    secrets: Secrets
    doctor: Callable[[], list[Checkup]]

    def close(self) -> None:
        """Stop the runtime, then close the store. Harmless when called twice."""
        self.runtime.stop()
        self.store.close()


def store_checkups(store: Database, paths: Paths) -> list[Checkup]:
    """What the doctor says about the store, its SQLite and the audit trail."""
    fault, faults = sqlite_fault(), store.checkup()
    synced = next((part for part in paths.home.parts if part.startswith(_SYNCED)), "")
    broken = audit.verify(store, audit.load_head(paths.home / audit.HEAD_FILE))
    found = [
        Checkup(
            "SQLite",
            None if fault else True,
            fault or "free of the WAL-reset bug",
            "Use a Python with SQLite 3.51.3 or newer." if fault else "",
        ),
        Checkup(
            "Store",
            not faults,
            faults[0] if faults else f"sound: {store.path}",
            "Restart Benchtop: it restores the newest good backup." if faults else "",
        ),
        Checkup(
            "Audit trail",
            broken is None,
            broken.reason if broken else f"unbroken, {audit.read_head(store).count} entries",
            "Someone or something changed it; entries from before that row can be trusted." if broken else "",
        ),
    ]
    if synced:
        remedy = "A sync service may damage an open database: set BENCHTOP_HOME to a local folder."
        found.append(Checkup("Synced folder", None, f"{paths.home} is kept by {synced}", remedy))
    return found
