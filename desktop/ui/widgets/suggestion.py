"""An offer beside the data: as in an earlier run of data like these, with why. Nothing happens unless it is taken."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from desktop.studios.omics.template_schema import SimilarRun
from desktop.ui.widgets.icon_button import IconButton

_TITLE_CHARS = 90


class Suggestion(QFrame):
    """taken(object) the `SimilarRun` whose plan is wanted; runOpened(str) its folder, to look at it first."""

    taken = Signal(object)
    runOpened = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAccessibleName("As in an earlier run")
        self._run: SimilarRun | None = None
        self.words = QLabel(wordWrap=True, textInteractionFlags=Qt.TextInteractionFlag.TextSelectableByMouse)
        self.words.setAccessibleName("Which run is like these data")
        self.why = QLabel(wordWrap=True, textInteractionFlags=Qt.TextInteractionFlag.TextSelectableByMouse)
        self.why.setAccessibleName("Why")
        self.why.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.take = QPushButton("Plan as There", autoDefault=False)
        self.take.setToolTip("Show that run's plan in the names of these data; it can be edited before it runs")
        self.look = QPushButton("Show Run", autoDefault=False)
        self.dismiss = IconButton("close", "Do not offer this", "Do not offer this")
        self.take.clicked.connect(lambda: self.taken.emit(self._run))
        self.look.clicked.connect(self._on_look)
        self.dismiss.clicked.connect(self.hide)
        texts = QVBoxLayout()
        texts.addWidget(self.words)
        texts.addWidget(self.why)
        row = QHBoxLayout(self)
        row.addLayout(texts, 1)
        for button in (self.take, self.look, self.dismiss):
            row.addWidget(button, 0, Qt.AlignmentFlag.AlignTop)
        self.hide()

    def _on_look(self) -> None:
        if self._run is not None:
            self.runOpened.emit(self._run.out_dir)

    def show_run(self, run: SimilarRun | None) -> None:
        """Offer this run, or nothing."""
        self._run = run
        if run is not None:
            title = run.title if len(run.title) <= _TITLE_CHARS else run.title[:_TITLE_CHARS].rstrip() + "…"
            self.words.setText(f"An earlier run is like this: “{title}”")
            self.why.setText("; ".join(run.why) + f". Its plan here: {run.plan.design}.")
        self.setVisible(run is not None)
