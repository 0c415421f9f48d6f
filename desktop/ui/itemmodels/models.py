"""The table of models: what is on this machine, in memory, on a server or to be had. One line a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from desktop.core.sizes import size_words
from desktop.ui import theme

TITLE, ENGINE, TIER, SIZE, STATE, SPEED = range(6)
HEADINGS = ("Model", "Engine", "Tier", "Size", "State", "Speed")
ENGINES = {"mlx": "MLX", "gguf": "GGUF", "coreml": "Core ML", "openai": "Server", "databricks": "Databricks"}

_ELSEWHERE = ("available", "not set up", "in Trash")
_Index = QModelIndex | QPersistentModelIndex
_NO_INDEX = QModelIndex()


@dataclass(frozen=True, slots=True)
class ModelLine:
    """One model as the panel shows it.

    place     where its files are: "available", "on disk", "linked", "in Trash", "on a server", "not set up"
    live      its place in memory (`state`, `bytes`, `idle_s`, `leases`, `is_pinned`); {} when it is in none
    figures   what was measured since the start; {} when it was never asked
    """

    id: str
    title: str
    engine: str
    tier: str
    place: str
    bytes: int = 0
    facts: Mapping[str, str] = field(default_factory=dict)
    live: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    breaker: str = "closed"

    @property
    def is_here(self) -> bool:
        """Whether its files are on this machine."""
        return self.place in ("on disk", "linked")

    @property
    def is_loaded(self) -> bool:
        return self.live.get("state") == "loaded"

    @property
    def state(self) -> str:
        """In words."""
        if self.breaker != "closed":
            return "resting after failures"
        state = self.live.get("state")
        if state == "loaded":
            if self.live.get("leases"):
                return "answering"
            idle_s = self.live.get("idle_s")
            pinned = ", kept" if self.live.get("is_pinned") else ""
            return f"loaded, idle {_minutes(idle_s)}{pinned}" if idle_s else f"loaded{pinned}"
        if state:
            return f"{state}…" if str(state).endswith("ing") else str(state)
        return self.place


class ModelsTableModel(QAbstractTableModel):
    """Rows are `ModelLine`s; a refresh with the same models in the same order keeps the selection."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lines: list[ModelLine] = []

    def load(self, lines: Sequence[ModelLine]) -> None:
        """Show these."""
        if [line.id for line in lines] == [line.id for line in self._lines]:
            old, self._lines = self._lines, list(lines)
            for row, (before, after) in enumerate(zip(old, lines, strict=True)):
                if before != after:
                    self.dataChanged.emit(self.index(row, 0), self.index(row, len(HEADINGS) - 1))
            return
        self.beginResetModel()
        self._lines = list(lines)
        self.endResetModel()

    def line(self, row: int) -> ModelLine:
        """The model in a row."""
        return self._lines[row]

    def row_of(self, model_id: str) -> int | None:
        """The row of a model, if it is there."""
        return next((row for row, line in enumerate(self._lines) if line.id == model_id), None)

    def rowCount(self, parent: _Index = _NO_INDEX) -> int:
        return 0 if parent.isValid() else len(self._lines)

    def columnCount(self, parent: _Index = _NO_INDEX) -> int:
        return 0 if parent.isValid() else len(HEADINGS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return HEADINGS[section]
        if role == Qt.ItemDataRole.TextAlignmentRole and section in (SIZE, SPEED):
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        line, column = self._lines[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(line, column)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{HEADINGS[column]}: {self._text(line, column)}"
        if role == Qt.ItemDataRole.TextAlignmentRole and column in (SIZE, SPEED):
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if (
            role == Qt.ItemDataRole.ForegroundRole
            and line.place in ("available", "not set up", "in Trash")
            and not line.live
        ):
            return theme.secondary(_palette())
        return None

    def _text(self, line: ModelLine, column: int) -> str:
        if column == TITLE:
            return line.title
        if column == ENGINE:
            return ENGINES.get(line.engine, line.engine)
        if column == TIER:
            return line.tier.capitalize()
        if column == SIZE:
            size = int(line.live.get("bytes") or line.bytes)
            return size_words(size) if size else "–"
        if column == STATE:
            return line.state
        speed = line.figures.get("tokens_per_s")
        return f"{float(speed):.0f} tokens/s" if speed else "–"


def _palette() -> Any:
    from PySide6.QtWidgets import QApplication

    return QApplication.palette()


def _minutes(seconds: Any) -> str:
    minutes = float(seconds) / 60
    return f"{minutes:.0f} min" if minutes >= 1 else f"{float(seconds):.0f} s"
