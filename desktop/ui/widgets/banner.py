"""A line above the panel that says what happened, with at most one button. It never blocks and never stacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QEvent, QSize, Qt, QTimer
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from desktop.core.errors import AppError
from desktop.ui import theme
from desktop.ui.widgets.icon_button import IconButton

Tone = Literal["info", "done", "warning", "error"]
_ICONS = {"info": "info", "done": "done", "warning": "warning", "error": "failed"}
_COLOURS = {"info": ("#2160c4", "#6aa3ff"), "done": ("#157a50", "#4fd09a"),
            "warning": ("#8f5a00", "#e6b450"), "error": ("#b3261e", "#ff8a80")}  # (light, dark)  # fmt: skip
QUIET_MS = 8000  # how long good news stays


@dataclass(frozen=True, slots=True)
class Notice:
    """What happened, what to try, and the one thing to do about it now. Errors stay until closed."""

    text: str
    hint: str = ""
    tone: Tone = "info"
    button: str = ""
    on_button: Callable[[], object] | None = None
    details: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Notice:
        """An error in words: an expected one with its hint, a bug with a way to copy what it was."""
        if isinstance(error, AppError):
            facts = "\n".join(f"{name}: {value}" for name, value in error.facts.items())
            return cls(str(error), error.hint, "error", details=f"{error.code}\n{facts}".strip())
        import traceback

        text = "".join(traceback.format_exception(error))
        return cls(
            "Benchtop made a mistake.", "Your data is safe. Copy the details to report it.", "error", details=text
        )


class Banner(QWidget):
    """Shows the latest notice; those that were queued follow when it is closed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Notice")
        self._notice = Notice("")
        self._queue: list[Notice] = []
        self._icon = QLabel()
        self._text = QLabel(textInteractionFlags=Qt.TextInteractionFlag.TextSelectableByMouse, wordWrap=True)
        self._hint = QLabel(textInteractionFlags=Qt.TextInteractionFlag.TextSelectableByMouse, wordWrap=True)
        self._button = QPushButton(autoDefault=False)
        self._details = QPushButton("Copy Details", autoDefault=False)
        self._close = IconButton("close", "Close this notice", "Close")
        words = QVBoxLayout()
        words.setSpacing(1)
        words.addWidget(self._text)
        words.addWidget(self._hint)
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.MARGIN, 6, 6, 6)
        row.setSpacing(theme.GAP)
        row.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(words, 1)
        for button in (self._button, self._details, self._close):
            row.addWidget(button, 0, Qt.AlignmentFlag.AlignVCenter)
        self._timer = QTimer(self, singleShot=True, interval=QUIET_MS)
        self._timer.timeout.connect(self._go_on)
        self._button.clicked.connect(self._on_button)
        self._details.clicked.connect(self._on_details)
        self._close.clicked.connect(self._go_on)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        self.hide()

    @property
    def notice(self) -> Notice:
        """What is or was last shown."""
        return self._notice

    def show_notice(self, notice: Notice) -> None:
        """Replace what is shown."""
        self._notice = notice
        self._text.setText(notice.text)
        self._hint.setText(notice.hint)
        self._hint.setVisible(bool(notice.hint))
        self._button.setText(notice.button)
        self._button.setVisible(bool(notice.button))
        self._details.setVisible(bool(notice.details))
        self.setAccessibleDescription(f"{notice.text} {notice.hint}".strip())
        self._refresh()
        self.show()
        self._timer.stop()
        if notice.tone in ("info", "done"):
            self._timer.start()

    def queue_notice(self, notice: Notice) -> None:
        """Show it when the one in front is closed: for what must be read and may come with others."""
        if self.isHidden():
            self.show_notice(notice)
        else:
            self._queue.append(notice)

    def _go_on(self) -> None:
        self.hide()
        if self._queue:
            self.show_notice(self._queue.pop(0))

    def _colour(self) -> QColor:
        return QColor(_COLOURS[self._notice.tone][theme.is_dark(self.palette())])

    def _refresh(self) -> None:
        self._icon.setPixmap(theme.pixmap(_ICONS[self._notice.tone], QSize(18, 18), self._colour()))
        quiet = QPalette(self.palette())
        quiet.setColor(QPalette.ColorRole.WindowText, theme.secondary(self.palette()))
        self._hint.setPalette(quiet)

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_close"):
            self._refresh()
        super().changeEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.mix(self.palette().color(QPalette.ColorRole.Base), self._colour(), 0.1))
        painter.fillRect(0, 0, 3, self.height(), self._colour())

    def _on_button(self) -> None:
        self.hide()
        if self._notice.on_button is not None:
            self._notice.on_button()
        if self.isHidden():
            self._go_on()

    def _on_details(self) -> None:
        QApplication.clipboard().setText(f"{self._notice.text}\n{self._notice.hint}\n{self._notice.details}")
