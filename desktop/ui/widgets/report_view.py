"""The report as rich text, and a button that opens the real one in the browser. Asks nothing of the net or the disk."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from PySide6.QtCore import QByteArray, Qt, QUrl
from PySide6.QtGui import QDesktopServices, QImage, QTextDocument
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QTextBrowser, QVBoxLayout, QWidget

from desktop.ui import theme

_FOOTNOTE = re.compile(r"^\[\^[\w-]+\]:.*(?:\n|$)|\[\^[\w-]+\]", re.MULTILINE)


class ReportBrowser(QTextBrowser):
    """Markdown; pictures come from the run's own folder only, links open in the browser."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Report")
        self.setOpenLinks(False)
        self.anchorClicked.connect(self._on_link)
        self._folder: Path | None = None

    def set_report(self, markdown: str, folder: Path) -> None:
        """Show a report of the run in `folder`."""
        self._folder = folder
        features = QTextDocument.MarkdownFeature.MarkdownDialectGitHub | QTextDocument.MarkdownFeature.MarkdownNoHTML
        self.document().setDefaultFont(self.font())
        self.document().setMarkdown(simplified(markdown), features)
        self.document().setDocumentMargin(theme.MARGIN)

    def set_html(self, html: str, folder: Path) -> None:
        """Show a report of our own making that is HTML."""
        self._folder = folder
        self.document().setDefaultFont(self.font())
        self.setHtml(html)
        self.document().setDocumentMargin(theme.MARGIN)

    def loadResource(self, kind: int, name: QUrl | str) -> Any:
        """A picture of this run, scaled to the page; anything else is not loaded."""
        url = name if isinstance(name, QUrl) else QUrl(name)
        path = url.path()
        if self._folder is None or url.scheme() not in ("", "file") or ".." in Path(path).parts:
            return QByteArray()
        name_png = f"{Path(path).stem}.png"
        files = [folder / name_png for folder in (self._folder / "figures", self._folder)]
        picture = next((QImage(str(file)) for file in files if file.is_file()), QImage())
        if picture.isNull():
            return QByteArray()
        width = min(picture.width(), max(320, min(self.viewport().width() - 40, 640)))
        ratio = self.devicePixelRatioF()
        picture = picture.scaledToWidth(round(width * ratio), Qt.TransformationMode.SmoothTransformation)
        picture.setDevicePixelRatio(ratio)
        return picture

    def _on_link(self, url: QUrl) -> None:
        if url.scheme() in ("http", "https"):
            QDesktopServices.openUrl(url)
        elif url.hasFragment() and not url.path():
            self.scrollToAnchor(url.fragment())


def simplified(markdown: str) -> str:
    """Markdown as Qt reads it: no footnotes, which it does not know, no entities, which break its headings."""
    text = _FOOTNOTE.sub("", markdown)
    for entity, sign in (("&lt;", "\\<"), ("&gt;", "\\>"), ("&amp;", "&")):
        text = text.replace(entity, sign)
    return text


class ReportView(QWidget):
    """The report with its buttons."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.browser = ReportBrowser()
        self._html: Path | None = None
        self._note = QLabel("The full report is one file, with methods and citations.")
        self.open_button = QPushButton("Open in Browser", autoDefault=False)
        self.open_button.clicked.connect(self._open)
        bar = QHBoxLayout()
        bar.setContentsMargins(theme.GAP, 6, theme.GAP, 6)
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
        self.browser.set_report(markdown, folder)

    def _open(self) -> None:
        if self._html is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._html)))
