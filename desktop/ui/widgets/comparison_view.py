"""Two runs compared: the answer, and the report with its figure. Shows; the comparing is a job."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from desktop.ui import theme
from desktop.ui.itemmodels.comparison import Comparison
from desktop.ui.widgets.file_chip import FileChip
from desktop.ui.widgets.preview import Preview


class ComparisonView(QWidget):
    """`closed()` from its Done button."""

    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.out_dir: Path | None = None
        self.headline = QLabel(wordWrap=True, textInteractionFlags=Qt.TextInteractionFlag.TextSelectableByMouse)
        self.headline.setFont(theme.scaled(self.font(), 1.2, bold=True))
        self.headline.setAccessibleName("Answer")
        self.browser = Preview("Comparison of two runs")
        self.files = FileChip()
        self.done = QPushButton("Done", autoDefault=False)
        self.done.setToolTip("Back to the results")
        self.done.clicked.connect(self.closed)
        self.open_button = QPushButton("Open in Browser", autoDefault=False)
        self.open_button.clicked.connect(self._open)
        row = QHBoxLayout()
        row.setSpacing(theme.GAP)
        row.addStretch(1)
        for widget in (self.open_button, self.files, self.done):
            row.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.MARGIN, theme.GAP, theme.MARGIN, theme.MARGIN)
        column.setSpacing(theme.GAP)
        column.addWidget(self.headline)
        column.addLayout(row)
        column.addWidget(self.browser, 1)

    def set_comparison(self, found: Comparison) -> None:
        """Show a comparison."""
        self.out_dir = found.out_dir
        self.headline.setText(found.headline)
        self.files.set_path(found.out_dir)
        self.browser.show_html(found.html, found.out_dir)

    def _open(self) -> None:
        if self.out_dir is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.out_dir / "report.html")))
