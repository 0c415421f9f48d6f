"""What the window remembers between two starts: geometry, splitters, sections, selections, appearance.

A small versioned JSON file beside the store. A file that is broken or of another version is ignored, never repaired.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

VERSION = 1


class WindowState:
    """A dictionary on disk. `save` replaces the file in one step; a disk that refuses loses nothing but memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._values: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            read = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(read, dict) and read.get("version") == VERSION and isinstance(read.get("values"), dict):
                self._values = read["values"]

    def text(self, key: str, default: str = "") -> str:
        """A remembered text."""
        value = self._values.get(key)
        return value if isinstance(value, str) else default

    def flag(self, key: str, *, default: bool) -> bool:
        """A remembered yes or no."""
        value = self._values.get(key)
        return value if isinstance(value, bool) else default

    def data(self, key: str) -> bytes:
        """Remembered bytes, empty where there are none."""
        with contextlib.suppress(ValueError):
            return bytes.fromhex(self.text(key))
        return b""

    def mapping(self, key: str) -> dict[str, str]:
        """A remembered mapping of text to text."""
        value = self._values.get(key)
        return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}

    def put(self, key: str, value: str | bool | bytes | dict[str, str]) -> None:
        """Remember a value, on disk at the next `save`."""
        self._values[key] = value.hex() if isinstance(value, bytes) else value

    def save(self) -> None:
        """Write everything."""
        text = json.dumps({"version": VERSION, "values": self._values}, indent=1, sort_keys=True)
        part = self._path.with_suffix(".part")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(text, encoding="utf-8")
            os.replace(part, self._path)  # noqa: PTH105 - the atomic one
