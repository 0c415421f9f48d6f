"""Asking a model for a script: one line, a button, what came of it; without a model, how to get one. Asks nobody."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from desktop.ui import theme


class ScriptRequest(QWidget):
    """writeRequested(str): what the script is to do; mendRequested(); takeBackRequested(); modelsRequested()."""

    writeRequested = Signal(str)
    mendRequested = Signal()
    takeBackRequested = Signal()
    modelsRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Ask a model for a script")
        self.wish = QLineEdit(
            clearButtonEnabled=True,
            placeholderText="Ask the model: write a script for …, or what to change in this one",
        )
        self.wish.setAccessibleName("What the model is to write")
        self.write = QPushButton("Write", autoDefault=False)
        self.write.setToolTip("Have the model write or change the script; it runs only when you run it")
        self.mend = QPushButton("Mend", autoDefault=False)
        self.mend.setToolTip("Have the model mend what failed; it runs only when you run it")
        self.models = QPushButton("Get a Model…", autoDefault=False)
        self.words = QLabel(wordWrap=True)
        self.words.setAccessibleName("What the model wrote")
        self.words.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.take_back = QPushButton("Take Back", autoDefault=False)
        self.take_back.setToolTip("Put the script as it was before the model wrote")
        self.wish.returnPressed.connect(self._on_write)
        self.wish.textChanged.connect(lambda _text: self._update())
        self.write.clicked.connect(self._on_write)
        self.mend.clicked.connect(self.mendRequested)
        self.take_back.clicked.connect(self.takeBackRequested)
        self.models.clicked.connect(self.modelsRequested)
        self._has_model, self._is_busy, self._can_mend = False, False, False
        ask, said = QHBoxLayout(), QHBoxLayout()
        for row in (ask, said):
            row.setSpacing(theme.GAP)
        ask.addWidget(self.wish, 1)
        ask.addWidget(self.write)
        ask.addWidget(self.mend)
        said.addWidget(self.words, 1)
        said.addWidget(self.take_back)
        said.addWidget(self.models)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GAP // 2)
        column.addLayout(ask)
        column.addLayout(said)
        self.say("")

    def set_model(self, *, is_there: bool) -> None:
        """Whether a model could be asked."""
        self._has_model = is_there
        if not is_there:
            self.say("No model on this Mac writes code yet. One of medium size does; a script can be typed here, too.")
        elif not self.take_back.isVisibleTo(self):
            self.say("")
        self._update()

    def set_busy(self, *, is_busy: bool) -> None:
        """Whether a script is being written or is running."""
        self._is_busy = is_busy
        self._update()

    def set_failed(self, *, can_mend: bool) -> None:
        """Whether there is a failure that a model could mend."""
        self._can_mend = can_mend
        self._update()

    def say(self, words: str, *, can_take_back: bool = False) -> None:
        """What came of it."""
        self.words.setText(words)
        self.words.setVisible(bool(words))
        self.take_back.setVisible(can_take_back)

    def _on_write(self) -> None:
        if self.write.isEnabled():
            self.writeRequested.emit(self.wish.text().strip())

    def _update(self) -> None:
        is_free = self._has_model and not self._is_busy
        self.wish.setEnabled(self._has_model)
        self.write.setEnabled(is_free and bool(self.wish.text().strip()))
        self.mend.setVisible(self._can_mend and self._has_model)
        self.mend.setEnabled(is_free)
        self.take_back.setEnabled(not self._is_busy)
        self.models.setVisible(not self._has_model)
