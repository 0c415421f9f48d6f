"""Computed beginnings of prompts: kept in memory and on disk within two bounds of bytes, least recently used out first.

Knows nothing of a runtime: a `Codec` says how the state of a model is saved. An entry serves a prompt as far as their
tokens are equal, one by one. Entries on disk survive a restart and are shared by no other model: `key` stands for
weights, template and precision. Runs in a model's process only.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np

from desktop.engines.protocol import CacheLimits

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")
_FEWEST = 16  # tokens below which an entry saves nothing
_FEWEST_ON_DISK = 128
_CHECKSUM_BYTES = 4


class Codec(Protocol[T]):
    """How the state of one runtime goes to disk."""

    def save(self, state: T, path: Path) -> None:
        """Write the state to a new file."""

    def load(self, path: Path) -> tuple[T, int]:
        """The state and its bytes. Raises anything when the file is not whole."""

    def is_trimmable(self, state: T) -> bool:
        """Whether the state can be cut back to fewer tokens."""


@dataclass(slots=True)
class _Entry(Generic[T]):
    tokens: NDArray[np.int32]
    state: T
    n_bytes: int
    is_saved: bool


class PrefixCache(Generic[T]):
    """Finds the longest computed beginning of a prompt. Used from one thread; `ram_bytes` from any."""

    def __init__(self, codec: Codec[T], key: str, limits: CacheLimits) -> None:
        self._codec, self._limits = codec, limits
        self._entries: OrderedDict[str, _Entry[T]] = OrderedDict()  # the least recently used first
        self._folder = limits.folder / key if limits.folder is not None and limits.disk_bytes > 0 else None
        self._on_disk: dict[str, NDArray[np.int32]] = self._read_folder()
        self.ram_bytes = 0

    def find(self, tokens: NDArray[np.int32]) -> tuple[T, int, int] | None:
        """(state, tokens in it, how many of them are those of `tokens`); None when nothing serves. Counts as a use.

        A state that cannot be cut back is found only when all its tokens fit.
        """
        best: tuple[int, str] | None = None
        for name, entry in self._entries.items():
            n_same = common(entry.tokens, tokens)
            if n_same < len(entry.tokens) and not self._codec.is_trimmable(entry.state):
                continue
            if n_same >= _FEWEST and (best is None or n_same > best[0]):
                best = (n_same, name)
        for name in sorted(self._on_disk, key=lambda name: -common(self._on_disk[name], tokens)):
            n_same = common(self._on_disk[name], tokens)
            if n_same < _FEWEST or (best is not None and n_same <= best[0]):
                break
            if self._fetch(name) and (
                n_same == len(self._entries[name].tokens) or self._codec.is_trimmable(self._entries[name].state)
            ):
                best = (n_same, name)
                break
        if best is None:
            return None
        n_same, name = best
        self._entries.move_to_end(name)
        self._touch(name)
        entry = self._entries[name]
        self._shrink(self._limits.ram_bytes, spare=name)
        return entry.state, len(entry.tokens), n_same

    def put(self, tokens: NDArray[np.int32], state: T, n_bytes: int) -> None:
        """Remember the state after `tokens`; entries that it makes superfluous go."""
        if len(tokens) < _FEWEST or n_bytes > self._limits.ram_bytes:
            return
        name = _name(tokens)
        if self._codec.is_trimmable(state):
            for other in [other for other, entry in self._entries.items() if _begins(entry.tokens, tokens)]:
                self._drop(other)
        is_saved = name in self._on_disk
        self._drop(name)
        self._entries[name] = _Entry(tokens, state, n_bytes, is_saved)
        self.ram_bytes += n_bytes
        self._shrink(self._limits.ram_bytes)

    def keep(self, n_bytes: int) -> int:
        """Forget the least recently used until at most `n_bytes` are held in memory; returns the bytes given back."""
        before = self.ram_bytes
        self._shrink(n_bytes)
        return before - self.ram_bytes

    def save_one(self) -> bool:
        """Write one entry that is not on disk yet; False when there is none."""
        if self._folder is None:
            return False
        for name, entry in self._entries.items():
            if not entry.is_saved and len(entry.tokens) >= _FEWEST_ON_DISK:
                entry.is_saved = True  # also when writing fails: not tried for ever
                with contextlib.suppress(Exception):  # a full disk, in whatever words the runtime has for it
                    self._write(name, entry)
                return True
        return False

    def _shrink(self, n_bytes: int, spare: str = "") -> None:
        for name in list(self._entries):
            if self.ram_bytes <= n_bytes:
                return
            if name != spare:
                self._drop(name)

    def _drop(self, name: str) -> None:
        entry = self._entries.pop(name, None)
        if entry is not None:
            self.ram_bytes -= entry.n_bytes

    # ---- on disk: NAME.kv holds the state; NAME.tokens, written after it, its tokens and the state's checksum

    def _read_folder(self) -> dict[str, NDArray[np.int32]]:
        found: dict[str, NDArray[np.int32]] = {}
        if self._folder is None or not self._folder.is_dir():
            return found
        for path in self._folder.glob("*.tokens"):
            with contextlib.suppress(OSError, ValueError):
                tokens = np.frombuffer(path.read_bytes()[:-_CHECKSUM_BYTES], "<i4").astype(np.int32)
                if _name(tokens) == path.stem and path.with_suffix(".kv").is_file():
                    found[path.stem] = tokens
        return found

    def _write(self, name: str, entry: _Entry[T]) -> None:
        assert self._folder is not None
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        half = self._folder / f"{name}.{os.getpid()}.safetensors"  # the name that MLX insists on
        try:
            self._codec.save(entry.state, half)
            half.chmod(0o600)
            checksum = _checksum(half)
            n_bytes = half.stat().st_size
            if n_bytes > self._limits.disk_bytes:
                return
            self._evict(self._limits.disk_bytes - n_bytes)
            half.replace(self._folder / f"{name}.kv")
            tokens = half.with_suffix(".half")
            tokens.write_bytes(entry.tokens.astype("<i4").tobytes() + checksum)
            tokens.replace(self._folder / f"{name}.tokens")
            self._on_disk[name] = entry.tokens
        finally:
            half.unlink(missing_ok=True)

    def _fetch(self, name: str) -> bool:
        """Bring an entry from disk into memory; one that is not whole is removed."""
        assert self._folder is not None
        if name in self._entries:
            return True
        path = self._folder / f"{name}.kv"
        try:
            if path.with_suffix(".tokens").read_bytes()[-_CHECKSUM_BYTES:] != _checksum(path):
                raise ValueError("the file has changed since it was written")
            state, n_bytes = self._codec.load(path)
        except Exception:  # whatever the runtime says of a damaged file
            self._remove(path)
            del self._on_disk[name]
            return False
        self._entries[name] = _Entry(self._on_disk[name], state, n_bytes, is_saved=True)
        self.ram_bytes += n_bytes
        return True

    def _touch(self, name: str) -> None:
        """A use counts on disk too: the time of the file is its last use."""
        if self._folder is not None and name in self._on_disk:
            with contextlib.suppress(OSError):
                os.utime(self._folder / f"{name}.kv")

    def _evict(self, n_bytes: int) -> None:
        """Remove the least recently used files, of any model, until at most `n_bytes` are held."""
        assert self._limits.folder is not None
        files = []
        for path in self._limits.folder.glob("*/*.kv"):
            with contextlib.suppress(OSError):
                facts = path.stat()
                files.append((facts.st_mtime_ns, facts.st_size, path))
        held = sum(size for _, size, _ in files)
        for _, size, path in sorted(files, key=lambda file: file[0]):
            if held <= n_bytes:
                return
            self._remove(path)
            if path.parent == self._folder:
                self._on_disk.pop(path.stem, None)
            held -= size

    def _remove(self, path: Path) -> None:
        path.with_suffix(".tokens").unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def common(one: NDArray[np.int32], other: NDArray[np.int32]) -> int:
    """How many tokens at the beginning are equal."""
    n = min(len(one), len(other))
    differs = np.flatnonzero(one[:n] != other[:n])
    return int(differs[0]) if len(differs) else n


def _begins(one: NDArray[np.int32], other: NDArray[np.int32]) -> bool:
    return len(one) <= len(other) and common(one, other) == len(one)


def _checksum(path: Path) -> bytes:
    """CRC-32 of a file: finds damage, at the speed of memory."""
    value = 0
    with path.open("rb") as file:
        while part := file.read(1 << 22):
            value = zlib.crc32(part, value)
    return value.to_bytes(_CHECKSUM_BYTES, "big")


def _name(tokens: NDArray[np.int32]) -> str:
    return hashlib.sha256(tokens.astype("<i4").tobytes()).hexdigest()[:40]
