"""What a person can bring in: a dropped file or folder, an accession, or something chosen in a dialog."""

from __future__ import annotations

import re
from pathlib import Path

from PySide6.QtCore import QMimeData
from PySide6.QtWidgets import QWidget

from desktop.ui.widgets.sheet import ask_path, ask_text

FILTERS = "Data (*.csv *.tsv *.txt *.gz *.xlsx *.soft *.zip *.tar);;All files (*)"


_ACCESSION = re.compile(
    r"(GSE|GDS|GSM|GPL|[SED]R[PRXS]|PRJ(NA|EB|DB))[0-9]{1,12}"
    r"|PMID:? ?[0-9]{1,8}|(DOI: ?)?10\.[0-9]{4,9}/[^\s\"<>]{1,200}",
    re.IGNORECASE,
)
_GEO_PAGE = re.compile(r"https?://(www\.)?ncbi\.nlm\.nih\.gov/geo/\S{0,200}?acc=([A-Z]{3}[0-9]{1,12})", re.IGNORECASE)
_SHEET_WORDS = ("sample", "meta", "pheno", "coldata", "design", "sheet")


def is_accession(text: str) -> bool:
    """Whether a text looks like an accession of GEO, SRA or BioProject, or like a PMID or DOI of a paper."""
    return _ACCESSION.fullmatch(text.strip()) is not None


def brought(mime: QMimeData) -> list[str]:
    """The local paths, or the accession, that were dropped or pasted; [] if there is nothing to open."""
    paths = [url.toLocalFile() for url in mime.urls() if url.isLocalFile()]
    if paths:
        return paths
    text = mime.text().strip()
    if page := _GEO_PAGE.match(text):
        text = page[2]
    if is_accession(text):
        return [text.upper()]
    is_path = text.startswith(("/", "~")) and "\n" not in text and Path(text).expanduser().exists()
    return [str(Path(text).expanduser())] if is_path else []


def in_order(paths: list[str]) -> list[str]:
    """Dropped paths with the data first and a sample sheet after it: by their names, else the larger is the data."""

    def rank(path: str) -> tuple[bool, int]:
        place = Path(path)
        is_sheet = not place.is_dir() and any(word in place.name.lower() for word in _SHEET_WORDS)
        size_bytes = 1 << 62 if place.is_dir() else place.stat().st_size if place.is_file() else 0
        return (is_sheet, -size_bytes)

    return sorted(paths, key=rank)


async def ask_file(parent: QWidget) -> str:
    """A data file the person chose, or ""."""
    return await ask_path(parent, "Open a counts table", filters=FILTERS)


async def ask_folder(parent: QWidget) -> str:
    """A folder the person chose, or ""."""
    return await ask_path(parent, "Open a folder of GEO files", folder=True)


async def ask_accession(parent: QWidget) -> str:
    """An accession the person typed, or ""."""
    return (await ask_text(parent, "Open Accession", "GSE52778, or another accession, a PMID or DOI:")).upper()
