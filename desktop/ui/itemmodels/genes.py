"""The gene table over numpy arrays: sorted and filtered by index, nothing copied for a cell.

`row` means a position in the results; `line` a position in the table as shown. Sorting by padj breaks ties by p.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QGuiApplication, QPalette

from desktop.ui.itemmodels.gene_filter import GeneFilter
from desktop.ui.itemmodels.gene_results import TEXT_COLUMNS, Floats, GeneResults, format_p, table_text

_Index = QModelIndex | QPersistentModelIndex
_TITLES = {
    "gene_symbol": ("Symbol", "Gene symbol"),
    "gene_id": ("Gene", "Gene identifier"),
    "base_mean": ("Mean", "Mean of normalised counts over all samples"),
    "log2_fold_change": ("log₂ FC", "log₂ fold change, positive where the treated level is higher"),
    "lfc_se": ("SE", "Standard error of the log₂ fold change"),
    "stat": ("Statistic", "Test statistic"),
    "pvalue": ("p", "p-value"),
    "padj": ("Adjusted p", "p-value adjusted for the number of genes (Benjamini-Hochberg)"),
}
_ALIGN_NUMBER = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_ALIGNTEXT_COLUMNS = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


class GeneTableModel(QAbstractTableModel):
    """Lines are an index array into the results."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._results = GeneResults((), (), {})
        self._keys: list[str] = []
        self._lines: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._line_of: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._filter = GeneFilter()
        self._only: NDArray[np.bool_] | None = None
        self._sorted_by: tuple[str, Qt.SortOrder] | None = None

    # ---- content ------------------------------------------------------------------------------------------------

    def set_results(self, results: GeneResults) -> None:
        """Show these genes, by rising adjusted p."""
        self.beginResetModel()
        self._results = results
        has_symbols = any(results.gene_symbols)
        self._keys = [key for key in _TITLES if key in TEXT_COLUMNS or key in results.columns]
        if not has_symbols:
            self._keys.remove("gene_symbol")
        self._only = None
        self._filter = GeneFilter()
        self._sorted_by = ("padj", Qt.SortOrder.AscendingOrder) if "padj" in results.columns else None
        self._arrange()
        self.endResetModel()

    def set_filter(self, wanted: GeneFilter) -> None:
        """Keep what the filter lets through."""
        self._filter = wanted
        self._rearrange()

    def show_only(self, mask: NDArray[np.bool_] | None) -> None:
        """(G,) restrict to these rows as well; None lifts it."""
        self._only = mask
        self._rearrange()

    @property
    def results(self) -> GeneResults:
        return self._results

    @property
    def keys(self) -> list[str]:
        """Column keys from the left."""
        return list(self._keys)

    def lines(self) -> NDArray[np.int64]:
        """Rows of the results in the order shown."""
        return self._lines

    def row_at(self, line: int) -> int:
        """The results' row on a line."""
        return int(self._lines[line])

    def line_of(self, row: int) -> int | None:
        """The line that shows a row, None when it is filtered away."""
        line = int(self._line_of[row]) if 0 <= row < len(self._line_of) else -1
        return line if line >= 0 else None

    # ---- Qt -----------------------------------------------------------------------------------------------------

    def rowCount(self, parent: _Index = QModelIndex()) -> int:
        return 0 if parent.isValid() else len(self._lines)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:
        return 0 if parent.isValid() else len(self._keys)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation == Qt.Orientation.Vertical:
            return section + 1 if role == Qt.ItemDataRole.DisplayRole else None
        title, help_text = _TITLES[self._keys[section]]
        if self._keys[section] == "base_mean" and self._results.is_log:
            title, help_text = "Mean log₂", "Average log₂ value over all samples"
        if role == Qt.ItemDataRole.DisplayRole:
            return title
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleDescriptionRole):
            return help_text
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _ALIGNTEXT_COLUMNS if self._keys[section] in TEXT_COLUMNS else _ALIGN_NUMBER
        return None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        key, row = self._keys[index.column()], int(self._lines[index.row()])
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(key, row)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _ALIGNTEXT_COLUMNS if key in TEXT_COLUMNS else _ALIGN_NUMBER
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{_TITLES[key][0]} {self._text(key, row)}"
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.ForegroundRole) and key == "padj":
            explanation = self._results.explanation(row)
            if not explanation:
                return None
            if role == Qt.ItemDataRole.ToolTipRole:
                return explanation
            return QGuiApplication.palette().brush(QPalette.ColorRole.PlaceholderText)
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self._sorted_by = (self._keys[column], order) if 0 <= column < len(self._keys) else None
        self._rearrange()

    # ---- out ----------------------------------------------------------------------------------------------------

    def tsv(self, lines: Sequence[int]) -> str:
        """These lines with a header, for the clipboard."""
        return table_text(self._results, self._keys, [self.row_at(line) for line in lines], separator="\t")

    # ---- inside -------------------------------------------------------------------------------------------------

    def _text(self, key: str, row: int) -> str:
        if key == "gene_symbol":
            return self._results.gene_symbols[row]
        if key == "gene_id":
            return self._results.gene_ids[row]
        value = float(self._results.columns[key][row])
        if math.isnan(value):
            return self._results.reason(row) if key == "padj" else "–"
        if key == "base_mean":
            return f"{value:.2f}" if self._results.is_log else f"{value:,.1f}"
        if key in ("pvalue", "padj"):
            return format_p(value)
        return f"{value:.3f}".replace("-", "−")

    def _rearrange(self) -> None:
        self.beginResetModel()
        self._arrange()
        self.endResetModel()

    def _arrange(self) -> None:
        total = len(self._results.gene_ids)
        keep = self._filter.mask(self._results.columns, self._results.names)
        if self._only is not None:
            keep &= self._only
        lines = np.flatnonzero(keep)
        if self._sorted_by is not None:
            lines = self._sorted(lines, *self._sorted_by)
        self._lines = lines
        self._line_of = np.full(total, -1, dtype=np.int64)
        self._line_of[lines] = np.arange(len(lines))

    def _sorted(self, lines: NDArray[np.int64], key: str, order: Qt.SortOrder) -> NDArray[np.int64]:
        """NaN and empty names last, whichever way."""
        falling = order == Qt.SortOrder.DescendingOrder
        if key in TEXT_COLUMNS:
            ranks = self._results.ranks[key][lines].astype(float)
            values = np.where(ranks < 0, np.nan, ranks)
        else:
            values = self._results.columns[key][lines]
        by: tuple[Floats, ...] = (-values if falling else values,)
        if key == "padj":
            ties = self._results.columns["pvalue"][lines]
            by = (-ties if falling else ties, *by)
        return lines[np.lexsort(by)]
