"""The gene table with its filter box: search, significant only, copy, export. The model does the sorting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QItemSelection, QItemSelectionModel, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QHeaderView, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from desktop.ui import theme
from desktop.ui.itemmodels.gene_filter import BadFilterError, parse_filter
from desktop.ui.itemmodels.gene_results import GeneResults
from desktop.ui.itemmodels.genes import GeneTableModel
from desktop.ui.widgets.table_view import TableView

_MANY = 500  # rows selected from outside at most


class GeneTable(QWidget):
    """`rowsSelected(list[int])` rows of the results; `exportRequested()` the shown genes as a file."""

    rowsSelected = Signal(object)
    exportRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = GeneTableModel(self)
        self._changed: NDArray[np.bool_] = np.empty(0, dtype=bool)
        self._selected: list[int] = []
        self._is_telling = False
        self.search = QLineEdit(clearButtonEnabled=True, placeholderText="Gene, or padj<0.01 |lfc|>1 mean>50")
        self.search.setAccessibleName("Filter genes")
        self.search.setToolTip("Names match id or symbol. Conditions: padj, p, lfc, mean, se, stat with < <= > >= =")
        self.only_changed = QCheckBox("Significant only")
        self.only_changed.setToolTip("Genes beyond both thresholds shown above")
        self._only: NDArray[np.bool_] | None = None
        self.narrowed = QPushButton(autoDefault=False)
        self.narrowed.setAccessibleName("Show all genes again")
        self.narrowed.setToolTip("Show all genes again")
        self.narrowed.clicked.connect(lambda _checked=False: self.narrow_to(None, ""))
        self.narrowed.hide()
        self._count = QLabel()
        self._fault = QLabel()
        self._fault.hide()
        self.export = QPushButton("Export CSV…", autoDefault=False)
        self.export.setToolTip("Save the genes shown, in this order")
        self.export.clicked.connect(self.exportRequested)
        self.view = TableView("Genes", self.model.tsv)
        self.view.setModel(self.model)
        self.view.setSortingEnabled(False)
        header = self.view.horizontalHeader()
        header.setStretchLastSection(False)
        header.setSectionsClickable(True)
        header.setSortIndicatorShown(True)
        header.sectionClicked.connect(self._on_header_clicked)
        self.view.linesSelected.connect(self._on_selected)
        self._typing = QTimer(self, singleShot=True, interval=150)
        self._typing.timeout.connect(self.apply_filter)
        self.search.textChanged.connect(lambda _text: self._typing.start())
        self.search.returnPressed.connect(self.apply_filter)
        self.only_changed.toggled.connect(lambda _on: self._narrow())
        bar = QHBoxLayout()
        bar.setContentsMargins(theme.GAP, 6, theme.GAP, 6)
        bar.setSpacing(theme.MARGIN)
        bar.addWidget(self.search, 1)
        for widget in (self.narrowed, self.only_changed, self._count, self.export):
            bar.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(bar)
        column.addWidget(self._fault)
        column.addWidget(self.view, 1)

    def set_results(self, results: GeneResults) -> None:
        """Show these genes."""
        self._selected = []
        self._changed = np.zeros(len(results.gene_ids), dtype=bool)
        self._only = None
        self.narrowed.hide()
        self.model.set_results(results)
        keys = self.model.keys
        header = self.view.horizontalHeader()
        for column, key in enumerate(keys):
            self.view.setColumnWidth(column, {"gene_id": 170, "gene_symbol": 120}.get(key, 104))
            stretch = QHeaderView.ResizeMode.Stretch if key == "gene_id" else QHeaderView.ResizeMode.Interactive
            header.setSectionResizeMode(column, stretch)
        if "padj" in keys:
            self.view.sort_indicator(keys.index("padj"), Qt.SortOrder.AscendingOrder)
        self._tell_count()

    def set_changed(self, changed: NDArray[np.bool_]) -> None:
        """(G,) which genes count as significant now."""
        self._changed = changed
        if self.only_changed.isChecked():
            self._narrow()

    def narrow_to(self, rows: Sequence[int] | None, name: str) -> None:
        """Show only these rows of the results, called `name` on the button that lifts it; None lifts it."""
        self._only = None
        if rows is not None:
            self._only = np.zeros(len(self._changed), dtype=bool)
            self._only[list(rows)] = True
            short = self.fontMetrics().elidedText(name, Qt.TextElideMode.ElideRight, 180)
            self.narrowed.setText(f"{short}  ✕")
            self.narrowed.setAccessibleName(f"Only genes of {name}: show all again")
        self.narrowed.setVisible(rows is not None)
        self._narrow()

    def select_rows(self, rows: Sequence[int], *, scroll: bool = True) -> None:
        """Select these rows of the results where they are shown; does not signal."""
        self._selected = list(rows)
        self._restore_selection()
        lines = [line for row in self._selected[:1] if (line := self.model.line_of(row)) is not None]
        if scroll and lines:
            self.view.show_line(lines[0])

    def selected_rows(self) -> list[int]:
        """Rows of the results that are selected."""
        return list(self._selected)

    def apply_filter(self) -> None:
        """Use what is typed; say so inline when it cannot be understood."""
        self._typing.stop()
        try:
            wanted = parse_filter(self.search.text())
        except BadFilterError as error:
            self._fault.setText(f"  {error} {error.hint}")
            self._fault.show()
            return
        self._fault.hide()
        self._keeping_selection(lambda: self.model.set_filter(wanted))

    def fault(self) -> str:
        """What is wrong with the filter, "" when nothing is."""
        return "" if self._fault.isHidden() else self._fault.text().strip()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.search.text():
            self.search.clear()
        else:
            super().keyPressEvent(event)

    def _narrow(self) -> None:
        masks = [
            mask for mask in (self._only, self._changed if self.only_changed.isChecked() else None) if mask is not None
        ]
        mask = np.logical_and.reduce(masks) if masks else None
        self._keeping_selection(lambda: self.model.show_only(mask))

    def _on_header_clicked(self, section: int) -> None:
        header = self.view.horizontalHeader()
        self._keeping_selection(lambda: self.model.sort(section, header.sortIndicatorOrder()))

    def _keeping_selection(self, change: object) -> None:
        assert callable(change)
        self._is_telling = True
        change()
        self._is_telling = False
        self._restore_selection()
        self._tell_count()

    def _restore_selection(self) -> None:
        chosen = QItemSelection()
        last = self.model.columnCount() - 1
        for row in self._selected[:_MANY]:
            line = self.model.line_of(row)
            if line is not None:
                chosen.select(self.model.index(line, 0), self.model.index(line, last))
        self._is_telling = True
        self.view.selectionModel().select(chosen, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        if not chosen.isEmpty():
            first = chosen.indexes()[0]
            self.view.selectionModel().setCurrentIndex(first, QItemSelectionModel.SelectionFlag.NoUpdate)
        self._is_telling = False

    def _on_selected(self) -> None:
        if self._is_telling:
            return
        self._selected = [self.model.row_at(line) for line in self.view.selected_lines()]
        self.rowsSelected.emit(list(self._selected))

    def _tell_count(self) -> None:
        shown, total = self.model.rowCount(), len(self.model.results.gene_ids)
        self._count.setText(f"{shown:,} of {total:,}" if shown != total else f"{total:,} genes")
