"""The table of gene sets of one test over arrays: filtered and sorted by index. `line` is a position as shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from desktop.ui.itemmodels.gene_results import format_p
from desktop.ui.itemmodels.gene_set_results import SetTest

_Index = QModelIndex | QPersistentModelIndex
_TITLES = {
    "name": ("Gene set", "Name of the set"),
    "set_id": ("Identifier", "Identifier of the set"),
    "collection": ("From", "The ontology or file the set is from"),
    "hits": ("Hits", "Changed genes of the set, counted for this test"),
    "leading_edge": ("Leading", "Genes of the set up to the extreme of its running score"),
    "set_size": ("Size", "Genes of the set that were tested"),
    "fold_enrichment": ("Fold", "Hits over the number chance gives"),
    "nes": ("NES", "Normalised enrichment score; positive at the top of the ranking, where genes go up"),
    "pvalue": ("p", "p-value of the set"),
    "padj": ("Adjusted p", "p-value adjusted within the ontology and direction (Benjamini-Hochberg)"),
    "genes": ("Genes", "The hits, or the leading edge"),
}
_TEXTS = ("name", "set_id", "collection", "genes")
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class GeneSetTableModel(QAbstractTableModel):
    """One line a set. What is filtered away keeps its place in the test."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._test: SetTest | None = None
        self._keys: list[str] = []
        self._lines: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._words: tuple[str, ...] = ()
        self._collection = ""
        self._below, self._told_once = 1.0, False
        self._sorted_by = ("padj", Qt.SortOrder.AscendingOrder)

    @property
    def keys(self) -> list[str]:
        """Column keys from the left."""
        return list(self._keys)

    @property
    def test(self) -> SetTest | None:
        return self._test

    def set_test(self, test: SetTest | None) -> None:
        """Show a test's sets, the surest first."""
        self.beginResetModel()
        self._test = test
        columns = [name for name in test.columns if name != "es"] if test else []
        has_ids = test is not None and any(a != b for a, b in zip(test.set_ids, test.names, strict=True))
        several = test is not None and len(set(test.collections)) > 1
        self._keys = ["name", *(["collection"] if several else []), *columns, "genes", *(["set_id"] if has_ids else [])]
        self._sorted_by = ("padj", Qt.SortOrder.AscendingOrder)
        self._arrange()
        self.endResetModel()

    def set_filter(self, text: str, collection: str, *, below: float, told_once: bool) -> None:
        """Keep sets with every word in name or id, or a gene so called; of one collection ("" any); padj < below
        (1: all); told_once leaves out significant sets that another one stands for."""
        self._words, self._collection = tuple(text.lower().split()), collection
        self._below, self._told_once = below, told_once
        self.beginResetModel()
        self._arrange()
        self.endResetModel()

    def lines(self) -> NDArray[np.int64]:
        """Places in the test, in the order shown."""
        return self._lines

    def line_of(self, at: int) -> int | None:
        """The line that shows a place, None when it is filtered away."""
        found = np.flatnonzero(self._lines == at)
        return int(found[0]) if len(found) else None

    def rowCount(self, parent: _Index = QModelIndex()) -> int:
        return 0 if parent.isValid() else len(self._lines)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:
        return 0 if parent.isValid() else len(self._keys)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation == Qt.Orientation.Vertical:
            return section + 1 if role == Qt.ItemDataRole.DisplayRole else None
        title, help_text = _TITLES[self._keys[section]]
        if role == Qt.ItemDataRole.DisplayRole:
            return title
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleDescriptionRole):
            return help_text
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _LEFT if self._keys[section] in _TEXTS else _RIGHT
        return None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or self._test is None:
            return None
        key, at = self._keys[index.column()], int(self._lines[index.row()])
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(key, at)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _LEFT if key in _TEXTS else _RIGHT
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{_TITLES[key][0]} {self._text(key, at)}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(key, at)
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        if 0 <= column < len(self._keys):
            self._sorted_by = (self._keys[column], order)
        self.beginResetModel()
        self._arrange()
        self.endResetModel()

    def tsv(self, lines: Sequence[int]) -> str:
        """These lines with a header, for the clipboard; numbers in full."""
        if self._test is None:
            return ""
        rows = [[_TITLES[key][0] for key in self._keys]]
        for line in lines:
            at = int(self._lines[line])
            rows.append([self._whole(key, at) for key in self._keys])
        return "".join("\t".join(row) + "\n" for row in rows)

    def _text(self, key: str, at: int) -> str:
        assert self._test is not None
        if key in _TEXTS:
            return self._whole(key, at)
        value = float(self._test.columns[key][at])
        if key in ("pvalue", "padj"):
            return format_p(value)
        if key == "nes":
            return f"{value:+.2f}".replace("-", "−")
        return f"{value:.2f}" if key == "fold_enrichment" else f"{value:,.0f}"

    def _whole(self, key: str, at: int) -> str:
        """The value in full; no cell can start a formula."""
        test = self._test
        assert test is not None
        if key not in _TEXTS:
            return repr(float(test.columns[key][at]))
        texts = {"name": test.names, "set_id": test.set_ids, "collection": test.collections}
        text = ", ".join(test.genes[at]) if key == "genes" else texts[key][at]
        return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text

    def _tip(self, key: str, at: int) -> str | None:
        test = self._test
        assert test is not None
        if key == "genes":
            genes = test.genes[at]
            return ", ".join(genes[:60]) + (f" … and {len(genes) - 60} more" if len(genes) > 60 else "")
        if key == "name":
            stands = test.representatives[at]
            other = f"\nMostly the same genes as {stands}" if stands and stands != test.set_ids[at] else ""
            return f"{test.names[at]}\n{test.set_ids[at]}{other}"
        return None

    def _arrange(self) -> None:
        test = self._test
        if test is None:
            self._lines = np.empty(0, dtype=np.int64)
            return
        keep = np.ones(len(test.set_ids), dtype=bool)
        if self._below < 1.0:
            keep &= test.columns["padj"] < self._below
        if self._collection:
            keep &= np.array([one == self._collection for one in test.collections], dtype=bool)
        if self._told_once:
            pairs = zip(test.representatives, test.set_ids, strict=True)
            keep &= np.array([one in ("", own) for one, own in pairs], dtype=bool)
        if self._words:
            keep &= np.array([self._is_meant(test, at) for at in range(len(test.set_ids))], dtype=bool)
        lines = np.flatnonzero(keep)
        key, order = self._sorted_by
        falls = order == Qt.SortOrder.DescendingOrder
        if key in _TEXTS:
            texts = [self._whole(key, int(at)).casefold() for at in lines]
            self._lines = lines[sorted(range(len(lines)), key=texts.__getitem__, reverse=falls)]
            return
        values, ties = test.columns[key][lines], test.columns["pvalue"][lines]
        self._lines = lines[np.lexsort((-ties, -values) if falls else (ties, values))]

    def _is_meant(self, test: SetTest, at: int) -> bool:
        named = f"{test.names[at]} {test.set_ids[at]}".lower()
        if all(word in named for word in self._words):
            return True
        return len(self._words) == 1 and self._words[0] in {gene.lower() for gene in test.genes[at]}
