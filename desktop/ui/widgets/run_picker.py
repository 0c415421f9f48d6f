"""A sheet that lists finished runs to choose one from, or a folder. Shows and returns; knows nothing of the store."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QHeaderView, QLabel, QLineEdit, QVBoxLayout, QWidget

from desktop.ui import theme
from desktop.ui.itemmodels.library import (
    DATE,
    KIND,
    SOURCE,
    STAR,
    STATE,
    TITLE,
    LibraryFilterModel,
    LibraryTableModel,
)
from desktop.ui.itemmodels.library_items import LibraryItem
from desktop.ui.widgets.table_view import TableView

FOLDER = QDialog.DialogCode.Accepted + 1


class RunPicker(QDialog):
    """Ends with Accepted and `chosen`, with FOLDER when a folder is to be chosen instead, or rejected."""

    def __init__(self, parent: QWidget, title: str, verb: str, runs: Iterable[LibraryItem]) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.resize(QSize(640, 380))
        self.model, self._shown = LibraryTableModel(self), LibraryFilterModel(self)
        self.model.load(runs)
        self._shown.setSourceModel(self.model)
        self.search = QLineEdit(placeholderText="Search runs", clearButtonEnabled=True)
        self.search.setAccessibleName("Search runs")
        self.search.textChanged.connect(self._on_search)
        self.table = TableView("Runs", lambda _lines: "")
        self.table.setModel(self._shown)
        self.table.setSelectionMode(TableView.SelectionMode.SingleSelection)
        self.table.verticalHeader().setDefaultSectionSize(theme.ROW)
        for column in (STAR, KIND, STATE):
            self.table.setColumnHidden(column, True)
        header = self.table.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setStretchLastSection(False)
        header.setSectionResizeMode(TITLE, QHeaderView.ResizeMode.Stretch)
        self.table.setColumnWidth(SOURCE, 170)
        self.table.setColumnWidth(DATE, 72)
        self.table.linesSelected.connect(self._update)
        self.table.activated.connect(lambda _index: self.accept())
        self._nothing = QLabel("There is no other run to compare with yet.", alignment=Qt.AlignmentFlag.AlignCenter)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.compare = self.buttons.addButton(verb, QDialogButtonBox.ButtonRole.AcceptRole)
        self.folder = self.buttons.addButton("Choose Folder…", QDialogButtonBox.ButtonRole.ResetRole)
        self.folder.setToolTip("A results folder that is not in the library")
        self.folder.setAutoDefault(False)
        self.compare.setDefault(True)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.folder.clicked.connect(lambda: self.done(FOLDER))
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel(title))
        for widget in (self.search, self.table, self._nothing):
            layout.addWidget(widget, 1 if widget is not self.search else 0)
        layout.addWidget(self.buttons)
        has_runs = self.model.rowCount() > 0
        self.table.setVisible(has_runs)
        self.search.setVisible(has_runs)
        self._nothing.setVisible(not has_runs)
        if has_runs:
            self.table.selectRow(0)
            self.table.setFocus()
        self._update()

    @property
    def chosen(self) -> LibraryItem | None:
        """The selected run."""
        lines = self.table.selected_lines()
        return self.model.items[self._shown.mapToSource(self._shown.index(lines[0], 0)).row()] if lines else None

    def accept(self) -> None:
        if self.chosen is not None:
            super().accept()

    def _on_search(self, text: str) -> None:
        self._shown.search(text)
        if not self.table.selected_lines() and self._shown.rowCount():
            self.table.selectRow(0)
        self._update()

    def _update(self) -> None:
        self.compare.setEnabled(self.chosen is not None)
