"""Hits of a search of GEO as a table: accession, samples, date, organism, platforms, title."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from desktop.studios.omics.search_schema import SeriesHit

ACCESSION, SAMPLES, RELEASED, ORGANISM, PLATFORMS, TITLE = range(6)
HEADINGS = ("Accession", "Samples", "Released", "Organism", "Platforms", "Title")
_Index = QModelIndex | QPersistentModelIndex
_NO_INDEX = QModelIndex()


class GeoHitsModel(QAbstractTableModel):
    """Rows are series, as GEO orders them."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.hits: list[SeriesHit] = []

    def load(self, hits: Iterable[SeriesHit]) -> None:
        """Replace all rows."""
        self.beginResetModel()
        self.hits = list(hits)
        self.endResetModel()

    def rowCount(self, parent: _Index = _NO_INDEX) -> int:
        return 0 if parent.isValid() else len(self.hits)

    def columnCount(self, parent: _Index = _NO_INDEX) -> int:
        return 0 if parent.isValid() else len(HEADINGS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        shown = (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole)
        return HEADINGS[section] if orientation == Qt.Orientation.Horizontal and role in shown else None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        hit, column = self.hits[index.row()], index.column()
        text = (
            hit.accession,
            f"{hit.n_samples:,}",
            hit.published,
            hit.organism,
            ", ".join(hit.platforms),
            hit.title,
        )[column]
        if role == Qt.ItemDataRole.DisplayRole:
            return text
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{HEADINGS[column]}: {text}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return hit.title
        if role == Qt.ItemDataRole.TextAlignmentRole and column == SAMPLES:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None


def hit_page(hit: SeriesHit) -> str:
    """A hit as Markdown: what is known of it before anything is fetched."""
    facts = (
        ("Samples", f"{hit.n_samples:,}" if hit.n_samples else ""),
        ("Organism", hit.organism),
        ("Measured", hit.assay),
        ("Platforms", ", ".join(hit.platforms)),
        ("Released", hit.published),
        ("Files", ", ".join(hit.files)),
        ("Papers", ", ".join(f"PMID {uid}" for uid in hit.pubmed_ids)),
    )
    lines = [f"## {_plain(hit.title)}", "", *(f"**{label}:** {_plain(text)}\n" for label, text in facts if text)]
    return "\n".join([*lines, "", _plain(hit.summary)])


def _plain(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+!|~" else c for c in text)
