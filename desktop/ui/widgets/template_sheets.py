"""Sheets for templates: one to choose, keep order and give away; one that asks what does not fit the data."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from desktop.studios.omics.template_schema import OpenQuestion, PlanTemplate

DELETE, EXPORT, IMPORT = (QDialog.DialogCode.Accepted + n for n in (1, 2, 3))


class TemplatePicker(QDialog):
    """Ends with Accepted (use it), DELETE, EXPORT, each with `chosen`, or IMPORT, or rejected."""

    def __init__(self, parent: QWidget, templates: Sequence[PlanTemplate], *, can_use: bool) -> None:
        """can_use: whether there are data to use one on."""
        super().__init__(parent)
        self.setWindowTitle("Templates")
        self.resize(QSize(600, 400))
        self._templates, self._can_use = list(templates), can_use
        self.list = QListWidget()
        self.list.setAccessibleName("Templates")
        self.list.setAlternatingRowColors(True)
        for one in self._templates:
            self.list.addItem(QListWidgetItem(one.name))
        self.about = QLabel(wordWrap=True, textInteractionFlags=Qt.TextInteractionFlag.TextSelectableByMouse)
        self.about.setAccessibleName("About the template")
        self.about.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.about.setMinimumHeight(self.fontMetrics().lineSpacing() * 4)
        self.about.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.use = self.buttons.addButton("Use", QDialogButtonBox.ButtonRole.AcceptRole)
        self.delete = self._button("Delete", DELETE)
        self.export = self._button("Export…", EXPORT)
        self.take_in = self._button("Import…", IMPORT)
        self.use.setDefault(True)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel("Plans kept as templates:" if templates else "No plan is kept as a template yet."))
        layout.addWidget(self.list, 1)
        layout.addWidget(self.about)
        layout.addWidget(self.buttons)
        self.list.currentRowChanged.connect(lambda _row: self._update())
        self.list.itemActivated.connect(lambda _item: self.accept())
        self.list.setCurrentRow(0 if self._templates else -1)
        self._update()

    @property
    def chosen(self) -> PlanTemplate | None:
        """The template that is selected."""
        row = self.list.currentRow()
        return self._templates[row] if 0 <= row < len(self._templates) else None

    def accept(self) -> None:
        if self.use.isEnabled():
            super().accept()

    def _button(self, words: str, code: int) -> QPushButton:
        button = self.buttons.addButton(words, QDialogButtonBox.ButtonRole.ActionRole)
        button.setAutoDefault(False)
        button.clicked.connect(lambda: self.done(code))
        return button

    def _update(self) -> None:
        one = self.chosen
        self.use.setEnabled(one is not None and self._can_use)
        self.use.setToolTip("" if self._can_use else "Open data first")
        self.delete.setEnabled(one is not None)
        self.export.setEnabled(one is not None)
        lines: list[str] = []
        if one is not None:
            lines = [one.plan.kind.replace("_", " ").capitalize(), "; ".join(map(str, one.plan.contrasts))]
            lines += [f"Design {one.plan.design}" if one.plan.design else "", f"alpha {one.plan.alpha:g}"]
            lines += [f"Made from {one.made_from}" if one.made_from else "", one.note]
        self.about.setText("\n".join(filter(None, lines)))


class FitSheet(QDialog):
    """Ends with Accepted and `answers`: what a person said to each open question."""

    def __init__(self, parent: QWidget, name: str, questions: Sequence[OpenQuestion]) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Fit “{name}” to These Data")
        self.resize(QSize(520, 0))
        self.boxes: dict[str, QComboBox] = {}
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel(f"“{name}” does not fit these data by itself.", wordWrap=True))
        for question in questions:
            box = QComboBox()
            box.addItems(["Choose…", *question.choices])
            box.setAccessibleName(question.text)
            box.currentIndexChanged.connect(lambda _at: self._update())
            label = QLabel(question.text, wordWrap=True)
            label.setBuddy(box)
            layout.addWidget(label)
            layout.addWidget(box)
            self.boxes[question.key] = box
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.use = self.buttons.addButton("Use", QDialogButtonBox.ButtonRole.AcceptRole)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        layout.addWidget(self.buttons)
        self._update()

    @property
    def answers(self) -> dict[str, str]:
        """Key of the question → what was chosen."""
        return {key: box.currentText() for key, box in self.boxes.items() if box.currentIndex() > 0}

    def _update(self) -> None:
        self.use.setEnabled(len(self.answers) == len(self.boxes))
