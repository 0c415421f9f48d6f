"""What a panel shows when it has nothing: one sentence, one button, one sample. Also a drop zone where files belong."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from desktop.ui import theme


class EmptyState(QWidget):
    """A picture, a sentence, a button and, if there is one, a sample.

    chosen()        the button was pressed
    sampleChosen()  the sample was pressed
    """

    chosen = Signal()
    sampleChosen = Signal()

    def __init__(
        self,
        sentence: str,
        *,
        icon: str,
        button: str = "",
        sample: str = "",
        is_drop_zone: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setAccessibleName(sentence)
        self.setAutoFillBackground(True)
        self.setBackgroundRole(QPalette.ColorRole.Base)
        self._icon_name = icon
        self._is_drop_zone = is_drop_zone
        self._icon = QLabel(alignment=Qt.AlignmentFlag.AlignCenter)
        self._sentence = QLabel(sentence, alignment=Qt.AlignmentFlag.AlignCenter, wordWrap=True)
        self._sentence.setFont(theme.scaled(self.font(), 1.05))
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 24, 24, 24)
        column.setSpacing(theme.MARGIN)
        column.addStretch(2)
        column.addWidget(self._icon)
        column.addWidget(self._sentence)
        buttons = QHBoxLayout()
        buttons.setSpacing(theme.GAP)
        buttons.addStretch()
        if button:
            press = QPushButton(button, autoDefault=True)
            press.clicked.connect(self.chosen)
            buttons.addWidget(press)
        if sample:
            trial = QPushButton(sample, autoDefault=False)
            trial.clicked.connect(self.sampleChosen)
            buttons.addWidget(trial)
        buttons.addStretch()
        column.addLayout(buttons)
        column.addStretch(3)
        self._refresh()

    def set_sentence(self, sentence: str) -> None:
        """Say something else."""
        self._sentence.setText(sentence)
        self.setAccessibleName(sentence)

    def _refresh(self) -> None:
        colour = theme.secondary(self.palette())
        self._icon.setPixmap(theme.pixmap(self._icon_name, QSize(44, 44), colour))

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_sentence"):
            self._refresh()
        super().changeEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._is_drop_zone:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        pen = QPen(self.palette().color(QPalette.ColorRole.Mid), 1.5, Qt.PenStyle.CustomDashLine)
        pen.setDashPattern([5, 4])
        painter.setPen(pen)
        painter.drawRoundedRect(self.rect().adjusted(16, 16, -16, -16), 10, 10)
