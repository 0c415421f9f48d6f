"""Secrets by name, values in the operating system's keychain and nowhere else; and their removal from logs.

There is no plain-text fallback: without a keychain a secret cannot be stored, and that is said.
"""

from __future__ import annotations

import logging
import platform
import re
import threading
from typing import TYPE_CHECKING

from desktop.net.errors import KeychainError

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "Benchtop"
_IN_URL = re.compile(r"(?i)\b(api_key|apikey|token|access_token|password|email)=[^&\s\"']+")
_SHOWN = "•••"


class Redactor(logging.Filter):
    """Put on log handlers: known secret values and secret-looking URL parameters never reach a log."""

    def __init__(self) -> None:
        super().__init__()
        self._values: set[str] = set()

    def learn(self, value: str) -> None:
        """From now on this value is shown as dots."""
        if value:
            self._values.add(value)

    def clean(self, text: str) -> str:
        """The text without secrets."""
        for value in self._values:
            text = text.replace(value, _SHOWN)
        return _IN_URL.sub(rf"\1={_SHOWN}", text)

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self.clean(record.getMessage()), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = self.clean(record.exc_text)
        return True


class Secrets:
    """The keychain. Values read once are kept in memory for the life of the process."""

    def __init__(self, redactor: Redactor, backend: KeyringBackend | None = None) -> None:
        self._redactor = redactor
        self._backend = backend
        self._known: dict[str, str | None] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> str | None:
        """The value, or None when there is none or no keychain to ask."""
        with self._lock:
            if name not in self._known:
                self._known[name] = self._read(name)
            return self._known[name]

    def set(self, name: str, value: str) -> None:
        """Store a value; KeychainError when there is nowhere safe to put it."""
        self._redactor.learn(value)
        backend = self._usable()
        try:
            backend.set_password(SERVICE, name, value)
        except Exception as fault:
            raise _declined(fault) from None
        with self._lock:
            self._known[name] = value

    def delete(self, name: str) -> None:
        """Remove a value; nothing happens when there is none."""
        backend = self._usable()
        with self._lock:
            self._known.pop(name, None)
        try:
            if backend.get_password(SERVICE, name) is not None:
                backend.delete_password(SERVICE, name)
        except Exception as fault:
            raise _declined(fault) from None

    def fault(self) -> str | None:
        """Why secrets cannot be stored on this machine; None when they can."""
        try:
            self._usable()
        except KeychainError as error:
            return str(error)
        return None

    def _read(self, name: str) -> str | None:
        try:
            value = self._usable().get_password(SERVICE, name)
        except KeychainError:
            return None
        except Exception as fault:  # a backend may raise anything: a locked keychain is not a reason to stop
            logging.getLogger(__name__).warning("the keychain did not answer: %s", type(fault).__name__)
            return None
        if value:
            self._redactor.learn(value)
        return value

    def _usable(self) -> KeyringBackend:
        if self._backend is None:
            self._backend = _system_backend()
        if type(self._backend).__module__.startswith(("keyring.backends.fail", "keyring.backends.null")):
            raise KeychainError(
                "This machine has no keychain that Benchtop can use.",
                hint="Unlock the login keychain (macOS) or start a Secret Service such as GNOME Keyring (Linux). "
                "Benchtop works without; it only cannot remember API keys, and never writes them to a file.",
            )
        return self._backend


def _system_backend() -> KeyringBackend:
    """Named explicitly: entry points are lost in a frozen application, and plain-text backends must never be picked."""
    from keyring.backends import SecretService, fail, macOS

    wanted: type[KeyringBackend] = macOS.Keyring if platform.system() == "Darwin" else SecretService.Keyring
    try:
        usable = bool(wanted.viable)
    except Exception:
        usable = False
    chosen: KeyringBackend = (wanted if usable else fail.Keyring)()
    return chosen


def _declined(fault: Exception) -> KeychainError:
    return KeychainError(
        "The keychain declined.",
        hint="Unlock it and allow Benchtop to use it, then try again.",
        reason=type(fault).__name__,
    )
