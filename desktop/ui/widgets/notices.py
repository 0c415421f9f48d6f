"""Messages where the work is: cautions of a plan, an error with Retry and Details. Not the banner of the window."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from desktop.core.jobs import JobError
from desktop.studios.omics.schema import Caution
from desktop.ui import theme


class CautionList(QLabel):
    """Cautions one under the other; blocking ones first and marked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Cautions")
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.hide()

    def show_cautions(self, cautions: Sequence[Caution]) -> None:
        """Show these, or nothing."""
        ordered = sorted(cautions, key=lambda caution: not caution.blocks)
        lines = [
            f"<b>{'✕ Stops the run' if caution.blocks else '⚠'}</b>&nbsp; {escape(caution.text)}" for caution in ordered
        ]
        self.setText("<br>".join(lines))
        self.setAccessibleDescription(" ".join(caution.text for caution in ordered))
        self.setVisible(bool(lines))


class FailureNotice(QFrame):
    """What failed, what to try, Retry, Details. `retried()` when Retry is pressed."""

    retried = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAccessibleName("What went wrong")
        self._message = QLabel(wordWrap=True, textInteractionFlags=Qt.TextInteractionFlag.TextSelectableByMouse)
        self._message.setFont(theme.scaled(self.font(), 1.0, bold=True))
        self._hint = QLabel(wordWrap=True, textInteractionFlags=Qt.TextInteractionFlag.TextSelectableByMouse)
        self.retry = QPushButton("Retry", autoDefault=False)
        self.retry.clicked.connect(self.retried)
        self.details = QPushButton("Details", autoDefault=False)
        self.details.setCheckable(True)
        self._facts = QPlainTextEdit(readOnly=True)
        self._facts.setAccessibleName("Details of the failure")
        self._facts.setFont(theme.fixed_font())
        self._facts.setMaximumHeight(120)
        self._facts.hide()
        self.details.toggled.connect(self._facts.setVisible)
        row = QHBoxLayout()
        row.addWidget(self.retry)
        row.addWidget(self.details)
        row.addStretch()
        column = QVBoxLayout(self)
        for widget in (self._message, self._hint):
            column.addWidget(widget)
        column.addLayout(row)
        column.addWidget(self._facts)
        self.setAutoFillBackground(True)
        self.setBackgroundRole(QPalette.ColorRole.AlternateBase)
        self.hide()

    def show_failure(self, error: JobError, *, can_retry: bool = True) -> None:
        """Show an error until `hide`."""
        self._message.setText(f"✕  {error.message}")
        self._hint.setText(error.hint)
        self._hint.setVisible(bool(error.hint))
        self.retry.setVisible(can_retry)
        facts = [error.code, *(f"{name}: {value}" for name, value in error.details.items())]
        self._facts.setPlainText("\n".join(facts))
        self.setAccessibleDescription(f"{error.message} {error.hint}")
        self.show()

    def text(self) -> str:
        """What is shown, "" when nothing is."""
        return "" if self.isHidden() else f"{self._message.text()} {self._hint.text()}"
