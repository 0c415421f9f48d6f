"""The report of a run as a page, and a button that opens the real one in the browser."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from desktop.ui import theme
from desktop.ui.widgets.preview import Preview


class ReportView(QWidget):
    """The report with its buttons."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.browser = Preview("Report")
        self._html: Path | None = None
        self._note = QLabel("The full report is one file, with methods and citations.")
        self.open_button = QPushButton("Open in Browser", autoDefault=False)
        self.open_button.clicked.connect(self._open)
        bar = QHBoxLayout()
        bar.setContentsMargins(theme.MARGIN, 6, theme.MARGIN, 6)
        bar.addWidget(self._note, 1)
        bar.addWidget(self.open_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(bar)
        column.addWidget(self.browser, 1)

    def set_report(self, markdown: str, folder: Path) -> None:
        """Show a run's report."""
        html = folder / "report.html"
        self._html = html if html.is_file() else None
        self.open_button.setEnabled(self._html is not None)
        self.browser.show_markdown(markdown, folder)

    def _open(self) -> None:
        if self._html is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._html)))
