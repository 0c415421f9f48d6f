"""The table of models: what is on this machine, in memory, on a server or to be had. One line a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from desktop.core.sizes import size_words
from desktop.ui import theme
from desktop.ui.itemmodels.model_lines import ModelLine

TITLE, ENGINE, TIER, SIZE, STATE, SPEED = range(6)
HEADINGS = ("Model", "Engine", "Tier", "Size", "State", "Speed")
ENGINES = {"mlx": "MLX", "gguf": "GGUF", "coreml": "Core ML", "openai": "Server", "databricks": "Databricks"}

_ELSEWHERE = ("available", "not set up", "not allowed", "in Trash")
_Index = QModelIndex | QPersistentModelIndex
_NO_INDEX = QModelIndex()


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
        if role == Qt.ItemDataRole.ForegroundRole and line.place in _ELSEWHERE and not line.live and line.fetch is None:
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
