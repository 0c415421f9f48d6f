"""The sample table as a document: edited cell by cell, every change undone and redone. Knows nothing of designs.

A sample that is not used stays in the grid, struck out, and is left out of `table()`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QFont, QGuiApplication, QPalette, QUndoCommand, QUndoStack

from desktop.studios.omics.schema import SampleTable

_Index = QModelIndex | QPersistentModelIndex
FIRST_FACTOR = 1  # column 0 names the sample and says whether it is used
MAX_CELL = 200  # characters of a pasted or typed value


@dataclass(frozen=True, slots=True)
class _State:
    samples: tuple[str, ...] = ()
    factors: tuple[tuple[str, tuple[str, ...]], ...] = ()
    excluded: frozenset[str] = frozenset()


class _Change(QUndoCommand):
    def __init__(self, text: str, before: _State, after: _State, show: Callable[[_State], None]) -> None:
        super().__init__(text)
        self._before, self._after, self._show = before, after, show

    def redo(self) -> None:
        self._show(self._after)

    def undo(self) -> None:
        self._show(self._before)


class SampleTableModel(QAbstractTableModel):
    """`tableChanged()` after any edit, undo or redo."""

    tableChanged = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.undo_stack = QUndoStack(self)
        self._state = _State()

    # ---- content ------------------------------------------------------------------------------------------------

    def set_table(self, table: SampleTable, excluded: Sequence[str] = ()) -> None:
        """Begin with this table; what could be undone is forgotten."""
        factors = tuple((name, tuple(values)) for name, values in table.factors.items())
        self.undo_stack.clear()
        self._show(_State(tuple(table.samples), factors, frozenset(excluded)))

    def table(self) -> SampleTable:
        """The samples that are used, with every factor."""
        state = self._state
        used = [at for at, sample in enumerate(state.samples) if sample not in state.excluded]
        return SampleTable(
            samples=[state.samples[at] for at in used],
            factors={name: [values[at] for at in used] for name, values in state.factors},
        )

    def whole_table(self) -> SampleTable:
        """Every sample, used or not."""
        factors = {name: list(values) for name, values in self._state.factors}
        return SampleTable(samples=list(self._state.samples), factors=factors)

    def excluded(self) -> list[str]:
        """Samples that are not used, in the table's order."""
        return [sample for sample in self._state.samples if sample in self._state.excluded]

    def factor_names(self) -> list[str]:
        return [name for name, _values in self._state.factors]

    # ---- edits --------------------------------------------------------------------------------------------------

    def set_cells(self, cells: Sequence[tuple[int, int, str]], text: str = "Edit") -> None:
        """(row, column, value) of factor cells, as one step; what lies outside the table is left out."""
        columns = [list(values) for _name, values in self._state.factors]
        for row, column, value in cells:
            if 0 <= row < len(self._state.samples) and FIRST_FACTOR <= column < len(columns) + FIRST_FACTOR:
                columns[column - FIRST_FACTOR][row] = value.strip()[:MAX_CELL]
        named = zip(self.factor_names(), columns, strict=True)
        self._do(text, replace(self._state, factors=tuple((name, tuple(values)) for name, values in named)))

    def rename_factor(self, column: int, name: str) -> bool:
        """Rename a factor's column; False when the name is empty or taken."""
        name = name.strip()[:MAX_CELL]
        names = self.factor_names()
        if not name or (name in names and names.index(name) != column - FIRST_FACTOR):
            return False
        factors = list(self._state.factors)
        factors[column - FIRST_FACTOR] = (name, factors[column - FIRST_FACTOR][1])
        self._do(f"Rename to {name}", replace(self._state, factors=tuple(factors)))
        return True

    def add_factor(self, name: str) -> bool:
        """Add an empty column at the right; False when the name is empty or taken."""
        name = name.strip()[:MAX_CELL]
        if not name or name in self.factor_names():
            return False
        empty = ("",) * len(self._state.samples)
        self._do(f"Add {name}", replace(self._state, factors=(*self._state.factors, (name, empty))))
        return True

    def remove_factor(self, column: int) -> None:
        """Take a factor's column out."""
        at = column - FIRST_FACTOR
        if 0 <= at < len(self._state.factors):
            kept = self._state.factors[:at] + self._state.factors[at + 1 :]
            self._do(f"Remove {self._state.factors[at][0]}", replace(self._state, factors=kept))

    def set_used(self, rows: Sequence[int], *, used: bool) -> None:
        """Use these samples, or leave them out."""
        names = {self._state.samples[row] for row in rows if 0 <= row < len(self._state.samples)}
        excluded = self._state.excluded - names if used else self._state.excluded | names
        word = "Use" if used else "Exclude"
        what = next(iter(names)) if len(names) == 1 else f"{len(names)} samples"
        self._do(f"{word} {what}", replace(self._state, excluded=frozenset(excluded)))

    def paste(self, row: int, column: int, text: str) -> None:
        """Cells from the clipboard (tabs between columns), from this cell to the right and down."""
        lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")
        cells = [(row + down, column + right, value) for down, line in enumerate(lines)
                 for right, value in enumerate(line.split("\t"))]  # fmt: skip
        self.set_cells(cells, "Paste")

    def copy_text(self, rows: Sequence[int], columns: Sequence[int]) -> str:
        """These cells as tab-separated text."""
        return "\n".join("\t".join(self._value(row, column) for column in columns) for row in rows)

    # ---- Qt -----------------------------------------------------------------------------------------------------

    def rowCount(self, parent: _Index = QModelIndex()) -> int:
        return 0 if parent.isValid() else len(self._state.samples)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:
        return 0 if parent.isValid() else FIRST_FACTOR + len(self._state.factors)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation == Qt.Orientation.Vertical:
            return section + 1 if role == Qt.ItemDataRole.DisplayRole else None
        if role == Qt.ItemDataRole.DisplayRole:
            return "Sample" if section < FIRST_FACTOR else self._state.factors[section - FIRST_FACTOR][0]
        if role == Qt.ItemDataRole.ToolTipRole:
            return "Clear the box to leave a sample out" if section < FIRST_FACTOR else "Double-click to rename"
        return None

    def flags(self, index: _Index) -> Qt.ItemFlag:
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        extra = Qt.ItemFlag.ItemIsUserCheckable if index.column() < FIRST_FACTOR else Qt.ItemFlag.ItemIsEditable
        return flags | extra

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row, column = index.row(), index.column()
        sample = self._state.samples[row]
        used = sample not in self._state.excluded
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return self._value(row, column)
        if role == Qt.ItemDataRole.CheckStateRole and column < FIRST_FACTOR:
            return Qt.CheckState.Checked if used else Qt.CheckState.Unchecked
        if role == Qt.ItemDataRole.AccessibleTextRole:
            if column < FIRST_FACTOR:
                return f"{sample}, {'used' if used else 'left out'}"
            return f"{self._state.factors[column - FIRST_FACTOR][0]}: {self._value(row, column) or 'empty'}"
        if not used and role == Qt.ItemDataRole.FontRole:
            struck = QFont()
            struck.setStrikeOut(True)
            return struck
        if not used and role == Qt.ItemDataRole.ForegroundRole:
            return QGuiApplication.palette().brush(QPalette.ColorRole.PlaceholderText)
        return None

    def setData(self, index: _Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        if role == Qt.ItemDataRole.CheckStateRole and index.column() < FIRST_FACTOR:
            self.set_used([index.row()], used=Qt.CheckState(value) == Qt.CheckState.Checked)
            return True
        if role != Qt.ItemDataRole.EditRole or index.column() < FIRST_FACTOR:
            return False
        self.set_cells([(index.row(), index.column(), str(value))])
        return True

    # ---- inside -------------------------------------------------------------------------------------------------

    def _value(self, row: int, column: int) -> str:
        if column < FIRST_FACTOR:
            return self._state.samples[row]
        return self._state.factors[column - FIRST_FACTOR][1][row]

    def _do(self, text: str, after: _State) -> None:
        if after != self._state:
            self.undo_stack.push(_Change(text, self._state, after, self._show))

    def _show(self, state: _State) -> None:
        before = self._state
        same = before.samples == state.samples and len(before.factors) == len(state.factors)
        if same:
            self._state = state
            if state.samples:
                last = self.index(len(state.samples) - 1, len(state.factors) + FIRST_FACTOR - 1)
                self.dataChanged.emit(self.index(0, 0), last)
            self.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(state.factors) + FIRST_FACTOR - 1)
        else:
            self.beginResetModel()
            self._state = state
            self.endResetModel()
        self.tableChanged.emit()
