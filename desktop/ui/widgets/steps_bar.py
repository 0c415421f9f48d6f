"""Where the analysis stands: 1 Data → 2 Design → 3 Plan → 4 Run. Buttons that lead to what is reached already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QToolButton, QWidget

from desktop.ui import theme

Standing = Literal["ahead", "here", "done", "attention"]
_MARKS = {"ahead": "", "here": "", "done": " ✓", "attention": " !"}
_WORDS = {"ahead": "not reached yet", "here": "in progress", "done": "done", "attention": "needs attention"}


class StepsBar(QWidget):
    """`stepChosen(int)` is the position of the step that was pressed."""

    stepChosen = Signal(int)

    def __init__(self, names: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Steps of the analysis")
        self._names = list(names)
        self._standing: list[Standing] = ["ahead"] * len(self._names)
        self.buttons: list[QToolButton] = []
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.MARGIN, 4, theme.MARGIN, 4)
        row.setSpacing(2)
        for number, name in enumerate(names):
            button = QToolButton(autoRaise=True)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(lambda _checked=False, at=number: self.stepChosen.emit(at))
            self.buttons.append(button)
            if number:
                row.addWidget(QLabel("→"))
            row.addWidget(button)
            self.set_step(number, "ahead")
            button.setAccessibleName(name)
        row.addStretch()
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def set_step(self, number: int, standing: Standing, words: str = "") -> None:
        """How far a step is; `words` say what it holds ("GSE52778, 8 × 24,000")."""
        button, name = self.buttons[number], self._names[number]
        if standing != self._standing[number]:
            self._standing[number] = standing
            button.setFont(theme.scaled(self.font(), 1.0, bold=standing == "here"))
        text = f"{number + 1} {name}{_MARKS[standing]}"
        button.setText(f"{text}  {words}" if words else text)
        button.setEnabled(standing != "ahead")
        button.setAccessibleDescription(f"{_WORDS[standing]}. {words}".strip())

    def is_here(self, number: int) -> bool:
        """Whether a step is in progress."""
        return self._standing[number] == "here"
