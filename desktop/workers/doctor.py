"""What works on this machine and what to do about what does not: the list behind `benchtop doctor`.

Reads and asks only; repairs nothing. Names libraries of other layers without importing them.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from desktop.core.config import SettingsStore
from desktop.core.errors import NoSandboxError
from desktop.core.paths import Paths
from desktop.core.ports import Isolation, Sandbox
from desktop.store.db import Database
from desktop.workers.workbench import Checkup, store_checkups

GIB = 1024**3
LOW_DISK_BYTES, LARGE_CACHE_BYTES = 5 * GIB, 20 * GIB


class _Keychain(Protocol):
    def fault(self) -> str | None: ...


class _Cache(Protocol):
    folder: Path

    def size_bytes(self) -> int: ...


def checkups(
    *,
    paths: Paths,
    store: Database,
    settings: SettingsStore,
    sandbox: Sandbox,
    secrets: _Keychain,
    cache: _Cache,
    runtimes: Sequence[str],
) -> list[Checkup]:
    """Everything worth knowing, in the order a person should look at it. May take a few seconds (Docker)."""
    return [
        _python(),
        *store_checkups(store, paths),
        *_isolation(sandbox),
        _local_models(runtimes),
        _keychain(secrets),
        *_disk(paths.home),
        _cache_size(cache),
        _settings(settings),
        _window(),
    ]


def _python() -> Checkup:
    version = ".".join(map(str, sys.version_info[:3]))
    return Checkup("Python", sys.version_info >= (3, 11), version, "Benchtop needs Python 3.11 or newer.")


def _isolation(sandbox: Sandbox) -> Iterator[Checkup]:
    """Docker and the operating system's own sandbox; one of them is enough for scripts nobody has to trust."""

    def ask(kind: Isolation) -> Checkup | NoSandboxError:
        try:
            choice = asyncio.run(sandbox.choose(kind, "person"))
        except NoSandboxError as error:
            return error
        return Checkup("Docker" if kind == "docker" else "System sandbox", True, choice.detail)

    found = {kind: ask(kind) for kind in ("docker", "os")}
    works = any(isinstance(one, Checkup) for one in found.values())
    for kind, one in found.items():
        if isinstance(one, Checkup):
            yield one
        else:
            yield Checkup(
                "Docker" if kind == "docker" else "System sandbox", None if works else False, str(one), one.hint
            )


def _local_models(runtimes: Sequence[str]) -> Checkup:
    if not runtimes:
        remedy = "Benchtop's rules plan and report without a model. For models on this machine: make gguf."
        return Checkup("Local models", None, "no runtime for models is installed", remedy)
    names = {"mlx": "MLX", "gguf": "GGUF (llama.cpp)", "coreml": "Core ML"}
    return Checkup("Local models", True, "runtimes: " + ", ".join(names.get(name, name) for name in runtimes))


def _keychain(secrets: _Keychain) -> Checkup:
    fault = secrets.fault()
    remedy = "Only needed to remember API keys. Unlock or start the system's keychain."
    return Checkup("Keychain", None if fault else True, fault or "ready", remedy if fault else "")


def _disk(home: Path) -> Iterator[Checkup]:
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    enough = free >= LOW_DISK_BYTES
    yield Checkup(
        "Disk",
        True if enough else None,
        f"{free / GIB:.1f} GiB free",
        "" if enough else "Make room: 5 GiB is a good start.",
    )
    writable = os.access(there, os.W_OK)
    yield Checkup(
        "Data folder", writable, str(home), "" if writable else "Check its permissions, or set BENCHTOP_HOME."
    )


def _cache_size(cache: _Cache) -> Checkup:
    size = cache.size_bytes()
    is_large = size > LARGE_CACHE_BYTES
    remedy = f"What is in {cache.folder} may be deleted while Benchtop is closed; it is fetched again when needed."
    return Checkup(
        "Cache", None if is_large else True, f"{size / GIB:.2f} GiB in {cache.folder}", remedy if is_large else ""
    )


def _settings(settings: SettingsStore) -> Checkup:
    settings.fields()  # reads and checks every section
    fault = settings.fault
    remedy = "The last good values are in force. Repair that line, or delete the file to get the defaults."
    return Checkup("Settings", not fault, fault or str(settings.path), remedy if fault else "")


def _window() -> Checkup:
    if importlib.util.find_spec("PySide6") is None:
        return Checkup("Window", False, "Qt is not installed", "Install Benchtop again: make setup.")
    has_display = sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    if has_display:
        return Checkup("Window", True, "Qt is installed, and there is a display")
    return Checkup(
        "Window", None, "Qt is installed, but there is no display", "Everything works from the command line."
    )
