"""A sheet to ask one or more questions of several datasets of the library. Shows and returns; runs nothing."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from desktop.studios.omics.batch_schema import MAX_ITEMS
from desktop.ui import theme
from desktop.ui.itemmodels.library_items import LibraryItem


class BatchSheet(QDialog):
    """Ends with Accepted, then `places` and `questions` say what to run."""

    def __init__(self, parent: QWidget, datasets: Iterable[LibraryItem], chosen: set[str]) -> None:
        """chosen: keys of the datasets that are ticked at first."""
        super().__init__(parent)
        self.setWindowTitle("Ask Several Datasets")
        self.resize(QSize(620, 460))
        self.list = QListWidget()
        self.list.setAccessibleName("Datasets")
        self.list.setAlternatingRowColors(True)
        for item in datasets:
            row = QListWidgetItem(theme.icon("dataset"), f"{item.title}  ·  {item.source}")
            row.setData(Qt.ItemDataRole.UserRole, item.place)
            row.setData(Qt.ItemDataRole.AccessibleTextRole, f"Dataset: {item.title}")
            row.setToolTip(item.place)
            row.setFlags(row.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            row.setCheckState(Qt.CheckState.Checked if item.key in chosen else Qt.CheckState.Unchecked)
            self.list.addItem(row)
        self.text = QPlainTextEdit(placeholderText="Which genes differ between treated and control?")
        self.text.setAccessibleName("Questions, one a line")
        self.text.setTabChangesFocus(True)
        self.text.setMaximumHeight(self.fontMetrics().lineSpacing() * 5)
        self.standing = QLabel()
        self.standing.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.run = self.buttons.addButton("Run", QDialogButtonBox.ButtonRole.AcceptRole)
        self.run.setDefault(True)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel("Ask each of the ticked datasets:"))
        layout.addWidget(self.list, 1)
        layout.addWidget(QLabel("One question a line:"))
        layout.addWidget(self.text)
        layout.addWidget(self.standing)
        layout.addWidget(self.buttons)
        self.list.itemChanged.connect(lambda _item: self._update())
        self.text.textChanged.connect(self._update)
        self.text.setFocus()
        self._update()

    @property
    def places(self) -> list[str]:
        """Paths and accessions of the ticked datasets, from the top."""
        rows = map(self.list.item, range(self.list.count()))
        return [str(row.data(Qt.ItemDataRole.UserRole)) for row in rows if row.checkState() == Qt.CheckState.Checked]

    @property
    def questions(self) -> list[str]:
        """The questions, each once."""
        lines = (line.strip() for line in self.text.toPlainText().splitlines())
        return list(dict.fromkeys(line for line in lines if line))

    def accept(self) -> None:
        if self.run.isEnabled():
            super().accept()

    def _update(self) -> None:
        n_data, n_asked = len(self.places), len(self.questions)
        number = n_data * n_asked
        words = f"{n_data} dataset{'s' * (n_data != 1)} × {n_asked} question{'s' * (n_asked != 1)} = {number}"
        words += f" {'analysis' if number == 1 else 'analyses'}"
        if number > MAX_ITEMS:
            words += f"; at most {MAX_ITEMS:,} at once"
        self.standing.setText(words)
        self.run.setEnabled(0 < number <= MAX_ITEMS)
