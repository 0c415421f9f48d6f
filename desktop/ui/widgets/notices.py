"""Messages where the work is: cautions of a plan, an error with Retry and Details. Not the banner of the window."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from desktop.core.jobs import JobError
from desktop.studios.omics.schema import Caution
from desktop.ui import theme

_SHOWN = ("accept", "offers", "repairs", "findings", "columns")  # details that are not for reading, or shown elsewhere


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
    """What failed, what to try, Retry, Details, and a button for each repair that waits for a yes.

    retried()            Retry was pressed
    offerAccepted(str)   the code of a repair or caution that the person agrees to
    recordRequested(str) the folder where script and log of the failed run are kept
    modelsRequested()    the person wants a model that could have helped
    """

    retried = Signal()
    offerAccepted = Signal(str)
    recordRequested = Signal(str)
    modelsRequested = Signal()

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
        self.folder = ""  # where script and log of the failed run are kept
        self.record = QPushButton("Script and Log…", autoDefault=False)
        self.record.setToolTip("Show the script, its log and what was tried")
        self.record.clicked.connect(lambda: self.recordRequested.emit(self.folder))
        self.models = QPushButton("Get a Model…", autoDefault=False)
        self.models.setToolTip("Show the models there are, and what fits this machine")
        self.models.clicked.connect(self.modelsRequested)
        self._model_words = QLabel(wordWrap=True)
        self.offers: list[QPushButton] = []
        self._words: list[QLabel] = []
        self._offers = QVBoxLayout()
        row = QHBoxLayout()
        row.addWidget(self.retry)
        row.addWidget(self.record)
        row.addWidget(self.models)
        row.addWidget(self.details)
        row.addStretch()
        column = QVBoxLayout(self)
        for widget in (self._message, self._hint, self._model_words):
            column.addWidget(widget)
        column.addLayout(self._offers)
        column.addLayout(row)
        column.addWidget(self._facts)
        self.setAutoFillBackground(True)
        self.setBackgroundRole(QPalette.ColorRole.AlternateBase)
        self.hide()

    def show_failure(
        self, error: JobError, *, can_retry: bool = True, can_accept: bool = True, why_model: str = ""
    ) -> None:
        """Show an error until `hide`; `why_model` says what a model could do here where there is none."""
        self._model_words.setText(why_model)
        self._model_words.setVisible(bool(why_model))
        self.models.setVisible(bool(why_model))
        self.folder = error.details.get("record", "")
        self.record.setVisible(bool(self.folder) and can_retry)
        self._show_offers(error if can_accept else None)
        self._message.setText(f"✕  {error.message}")
        self._hint.setText(error.hint)
        self._hint.setVisible(bool(error.hint))
        self.retry.setVisible(can_retry)
        facts = [error.code, *(f"{name}: {value}" for name, value in error.details.items() if name not in _SHOWN)]
        self._facts.setPlainText("\n".join(facts))
        self.setAccessibleDescription(f"{error.message} {error.hint}")
        self.show()

    def _show_offers(self, error: JobError | None) -> None:
        """A button for each repair, with what changes; nothing happens before one is pressed."""
        for old in (*self.offers, *self._words):
            old.deleteLater()
        self.offers, self._words = [], []
        for offer in offers_of(error) if error is not None else []:
            words = f"{offer['what']} {offer['why']}"
            button = QPushButton(_shortened(f"{offer['before']} → {offer['after']}"), autoDefault=False)
            button.setToolTip(words)
            button.setAccessibleName(f"{words} {offer['after']}")
            button.clicked.connect(lambda _on=False, code=offer["code"]: self.offerAccepted.emit(code))
            label = QLabel(words, wordWrap=True)
            row = QHBoxLayout()
            row.addWidget(button)
            row.addWidget(label, 1)
            self._offers.addLayout(row)
            self.offers.append(button)
            self._words.append(label)

    def text(self) -> str:
        """What is shown, "" when nothing is."""
        return (
            "" if self.isHidden() else f"{self._message.text()} {self._hint.text()} {self._model_words.text()}".strip()
        )


def _shortened(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:97]}…"


def offers_of(error: JobError) -> list[dict[str, str]]:
    """The repairs and cautions in an error's details that wait for a yes: code, what, why, before, after."""
    names = ("code", "what", "why", "before", "after")
    offers = [{name: str(one[name]) for name in names} for one in json.loads(error.details.get("offers", "[]"))]
    cautions = json.loads(error.details.get("accept", "[]"))
    return offers + [
        {
            "code": str(one["code"]),
            "what": str(one["text"]),
            "why": "",
            "before": "It is right as it is",
            "after": "run",
        }
        for one in cautions
    ]
