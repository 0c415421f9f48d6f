"""Feature flags: declared with their defaults in resources/config/gateway, changed in the data folder's flags.yaml.

A change holds at the next question, without a restart. A share in percent is decided by a stable hash of name and key,
so the same key always gets the same side, and raising the share moves nobody back.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from desktop.gateway.errors import FlagsError

_log = logging.getLogger(__name__)


class Flag(BaseModel):
    """One feature. `percent` is the share of keys for which it is on, once it is on at all."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    enabled: bool = False  # not "on", which YAML reads as true
    percent: float = Field(100, ge=0, le=100)
    help: str = ""


_FLAGS = TypeAdapter(dict[str, Flag])


class Flags:
    """The flags as they are now. Thread-safe enough: a reload replaces the whole table at once."""

    def __init__(self, declared: Path, changed: Path) -> None:
        """Raises FlagsError when the file that comes with the program is broken; the person's own never stops it."""
        self._changed = changed
        self._declared = _load(declared)
        self._flags = dict(self._declared)
        self._seen: tuple[int, int, int] | None = None
        self.fault: FlagsError | None = None

    def is_on(self, name: str, key: str = "") -> bool:
        """Whether a feature is on for this key (a person, a project, a request). KeyError for one never declared."""
        self._reload()
        flag = self._flags[name]
        return flag.enabled and _share(name, key) < flag.percent

    def all(self) -> Mapping[str, Flag]:
        """Every flag as it is now."""
        self._reload()
        return self._flags

    def _reload(self) -> None:
        stamp = _stamp(self._changed)
        if stamp == self._seen:
            return
        self._seen, self.fault = stamp, None
        try:
            changes = _load(self._changed, known=self._declared) if stamp else {}
        except FlagsError as fault:
            self.fault = fault
            _log.warning("%s", fault)
            return
        self._flags = self._declared | changes
        _log.info(
            "feature flags now: %s", {name: flag.percent if flag.enabled else 0 for name, flag in self._flags.items()}
        )


def _load(path: Path, known: Mapping[str, Flag] | None = None) -> dict[str, Flag]:
    hint = f"Write lines such as “answer_cache: {{enabled: true, percent: 50}}” in {path.name}, or remove the file."
    try:
        values: Any = yaml.safe_load(path.read_text("utf-8-sig")) or {}
        if known is not None and isinstance(values, dict):  # what is not said stays as declared
            base = {name: flag.model_dump() for name, flag in known.items()}
            values = {
                name: base.get(name, {}) | part if isinstance(part, dict) else part for name, part in values.items()
            }
        flags = _FLAGS.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise FlagsError(f"{path.name}: {where or 'the file'}: {first['msg']}.", hint=hint) from None
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise FlagsError(f"{path.name} cannot be read: {error}", hint=hint) from None
    if known is not None and (unknown := sorted(set(flags) - set(known))):
        raise FlagsError(f"{path.name}: there is no flag {unknown[0]}.", hint=f"There are: {', '.join(sorted(known))}.")
    return flags


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _share(name: str, key: str) -> float:
    """A number in 0..100, uniform over keys, the same for the same name and key on every machine."""
    digest = hashlib.sha256(f"{name}\0{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 * 100
