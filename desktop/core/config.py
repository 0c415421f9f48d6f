"""Settings: each declared once in a pydantic schema, kept in one YAML file, overridden by the environment.

Sections are named in `app.py` (core's and the net's) and in the studios' manifests, as "module:Class" strings that are
resolved when first asked for. A fault in the file never stops the program: the last good values of that section stay
and `fault` says what is wrong, with file and line. Secrets are not settings; they live in the keychain.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from desktop.core import config_file
from desktop.core.config_file import SettingsFault
from desktop.core.errors import AppError
from desktop.core.events import EventBus, SettingsChanged
from desktop.core.files import write_atomic
from desktop.core.jobs import resolve
from desktop.core.misfit import misfit

_UNITS = {"s": "s", "ms": "ms", "mb": "MB", "gib": "GiB", "bytes": "bytes", "usd": "USD", "pct": "%"}
PREFIX = "BENCHTOP_"


class GeneralSettings(BaseModel):
    """How the application looks and when it calls for attention."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    theme: Literal["system", "light", "dark"] = Field(
        "system", title="Appearance", description="system follows the Mac's own setting."
    )
    notify: bool = Field(True, title="Notifications", description="Tell me when a long job ends while I am elsewhere.")
    notify_after_s: float = Field(
        30, ge=0, title="Notify after (s)", description="Only jobs that took at least this long are announced."
    )


SECTIONS: Mapping[str, str] = {"general": f"{__name__}:GeneralSettings"}


class SettingsError(AppError):
    """A setting cannot be changed like this, or the file must be repaired by hand first."""

    code = "settings.bad_value"


@dataclass(frozen=True, slots=True)
class SettingField:
    """One setting, for the settings window and the reference. `schema` is its JSON schema."""

    section: str
    field: str
    title: str
    help: str
    default: Any
    unit: str
    current: Any
    schema: Mapping[str, Any]


class SettingsStore:
    """The settings as they are now. Thread-safe; every value handed out is immutable."""

    def __init__(
        self,
        path: Path,
        sections: Mapping[str, str | type[BaseModel]],
        bus: EventBus,
        *,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """sections   name → schema class or "module:Class"; nothing is imported before it is asked for."""
        self.path = path
        self.fault: str | None = None
        self._references, self._bus, self._environ = dict(sections), bus, environ
        self._schemas: dict[str, type[BaseModel]] = {}
        self._good: dict[str, BaseModel] = {}
        self._lock = threading.RLock()
        self._seen: tuple[int, int, int] | None = None
        self._file = config_file.EMPTY
        self._read()

    def get(self, section: str) -> Any:
        """The validated settings of a section: an instance of its schema."""
        with self._lock:
            if section not in self._good:
                self._good[section] = self._schema(section)()
                self._note(self._validate(section))
            return self._good[section]

    def change(self, section: str, **fields: Any) -> Any:
        """Set fields of a section, in the file and here; returns the new settings. Comments in the file stay.

        raises   SettingsError if a value does not fit, the environment overrides it, or the file has a fault
        """
        with self._lock:
            self.get(section)
            self._read()
            if self.fault is not None:
                raise SettingsError(f"The settings file has a fault: {self.fault}", hint="Repair that line first.")
            schema = self._schema(section)
            for name in fields:
                variable = _variable(section, name)
                if variable in self._environ:
                    raise SettingsError(f"{variable} sets this value.", hint="Change or remove that variable.")
            in_file = {**self._file.values.get(section, {}), **fields}
            try:
                checked = schema.model_validate({**in_file, **self._overrides(section)})
            except ValidationError as error:
                where, what = misfit(error, schema.model_fields)
                raise SettingsError(f"{section}.{where} {what}.", hint="Give a value that fits.") from error
            dumped = checked.model_dump(mode="json")
            text = config_file.changed(self._file, section, {name: dumped[name] for name in fields})
            try:
                write_atomic(self.path, text.encode())
            except OSError as error:
                raise SettingsError(
                    f"The settings file cannot be written: {error.strerror}.", hint="Check the folder's permissions."
                ) from error
            self._good[section] = checked
            self._read()
        self._bus.publish(SettingsChanged(self.fault))
        return checked

    def poll(self) -> bool:
        """Read the file again if it changed on disk; True (and SettingsChanged) if it did. Call it now and then."""
        with self._lock:
            if self._stamp() == self._seen:
                return False
            self._read()
        self._bus.publish(SettingsChanged(self.fault))
        return True

    def fields(self) -> list[SettingField]:
        """Every setting of every section, in the order declared."""
        found = []
        for section in self._references:
            values = self.get(section)
            schema = self._schema(section)
            properties = schema.model_json_schema()["properties"]
            for name, info in schema.model_fields.items():
                extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
                found.append(
                    SettingField(
                        section,
                        name,
                        info.title or name,
                        info.description or "",
                        info.get_default(call_default_factory=True),
                        str(extra.get("unit", _UNITS.get(name.rpartition("_")[2], ""))),
                        getattr(values, name),
                        properties[name],
                    )
                )
        return found

    def _schema(self, section: str) -> type[BaseModel]:
        if section not in self._schemas:
            reference = self._references[section]
            schema = resolve(reference) if isinstance(reference, str) else reference
            for name in schema.model_fields:
                if config_file.is_secret(name):
                    msg = f"{section}.{name} is a secret: it belongs in the keychain"
                    raise ValueError(msg)
            self._schemas[section] = schema
        return self._schemas[section]

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            stat = self.path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def _read(self) -> None:
        """Read the file; sections in use take their new values, or keep the old ones and leave a fault."""
        self._seen = self._stamp()
        self.fault = None
        try:
            self._file = config_file.read(self.path, known=self._references)
        except SettingsFault as fault:
            self._note(str(fault))
            return
        if self._file.fault is not None:  # sections in use keep their last good values
            self._note(self._file.fault)
            return
        for section in self._good:
            self._note(self._validate(section))

    def _validate(self, section: str) -> str | None:
        """Take the section's values from file and environment if they fit; else say why not."""
        overrides: dict[str, Any] = {}
        try:
            overrides = self._overrides(section)
            self._good[section] = self._schema(section).model_validate(
                {**self._file.values.get(section, {}), **overrides}
            )
        except SettingsFault as fault:
            return str(fault)
        except ValidationError as error:
            where, said = misfit(error, self._schema(section).model_fields)
            name = where.partition(".")[0]
            what = f"{section}.{where}: {said}"
            if name in overrides:
                return f"environment variable {_variable(section, name)}: {what}"
            return f"{self.path.name} line {self._file.line(section, name)}: {what} ({self.path})"
        return None

    def _overrides(self, section: str) -> dict[str, Any]:
        found = {}
        for name in self._schema(section).model_fields:
            variable = _variable(section, name)
            if variable in self._environ:
                found[name] = config_file.scalar(self._environ[variable], variable)
        return found

    def _note(self, fault: str | None) -> None:
        if fault is not None and self.fault is None:
            self.fault = fault


def _variable(section: str, name: str) -> str:
    return f"{PREFIX}{section}__{name}".upper()
