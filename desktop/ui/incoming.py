"""What a person can bring in: a dropped file or folder, an accession, or something chosen in a dialog."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QMimeData
from PySide6.QtWidgets import QWidget

from desktop.ui.widgets.sheet import ask_path, ask_text

FILTERS = "Data (*.csv *.tsv *.txt *.gz *.xlsx *.soft *.zip *.tar);;All files (*)"


def is_accession(text: str) -> bool:
    """Whether a text looks like a GEO accession."""
    text = text.strip()
    return text[:3].upper() in ("GSE", "GDS", "GSM", "GPL") and text[3:].isascii() and text[3:].isdigit()


def brought(mime: QMimeData) -> list[str]:
    """The local paths, or the accession, that were dropped or pasted; [] if there is nothing to open."""
    paths = [url.toLocalFile() for url in mime.urls() if url.isLocalFile()]
    if paths:
        return paths
    text = mime.text().strip()
    if is_accession(text):
        return [text.upper()]
    is_path = text.startswith(("/", "~")) and "\n" not in text and Path(text).expanduser().exists()
    return [str(Path(text).expanduser())] if is_path else []


async def ask_file(parent: QWidget) -> str:
    """A data file the person chose, or ""."""
    return await ask_path(parent, "Open a counts table", filters=FILTERS)


async def ask_folder(parent: QWidget) -> str:
    """A folder the person chose, or ""."""
    return await ask_path(parent, "Open a folder of GEO files", folder=True)


async def ask_accession(parent: QWidget) -> str:
    """An accession the person typed, or ""."""
    return (await ask_text(parent, "Open Accession", "GEO accession, such as GSE52778:")).upper()
