"""A page to read: a run's report, a comparison, a dataset's facts. Nothing outside its folder is ever loaded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices, QFont, QImage, QTextCharFormat, QTextCursor, QTextDocument
from PySide6.QtWidgets import QFrame, QTextBrowser, QWidget

_SUFFIXES = (".png", ".svg")
_IMAGE_BYTES = 8 * 1024 * 1024
_WIDEST = 640  # pixels of a picture
_HEADINGS = {1: 2, 2: 1}  # level → steps above the text, about a fifth each; Qt's own sentence fills the pane
_FOOTNOTE = re.compile(r"^\[\^[\w-]+\]:.*(?:\n|$)|\[\^[\w-]+\]", re.MULTILINE)


class Preview(QTextBrowser):
    """Markdown or HTML of our own making, with pictures from one folder scaled to the pane; links open elsewhere."""

    def __init__(self, name: str = "Preview", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setOpenLinks(False)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.anchorClicked.connect(self._on_link)
        self._folder: Path | None = None

    def show_markdown(self, text: str, folder: Path | None = None) -> None:
        """Show a page; relative pictures come from `folder`."""
        self._begin(folder)
        features = QTextDocument.MarkdownFeature.MarkdownDialectGitHub | QTextDocument.MarkdownFeature.MarkdownNoHTML
        self.document().setMarkdown(simplified(text), features)
        self._settle()

    def show_html(self, html: str, folder: Path | None = None) -> None:
        """Show a page that is HTML; relative pictures come from `folder`."""
        self._begin(folder)
        self.setHtml(html)
        self._settle()

    def _begin(self, folder: Path | None) -> None:
        self._folder = folder.resolve() if folder else None
        self.document().setDefaultFont(self.font())
        self.document().setDefaultStyleSheet("td, th { padding: 3px 14px 3px 0; text-align: left }")

    def _settle(self) -> None:
        self.document().setDocumentMargin(16)
        block = self.document().begin()
        while block.isValid():
            level = block.blockFormat().headingLevel()
            if level:
                cursor = QTextCursor(block)
                cursor.select(QTextCursor.SelectionType.BlockUnderCursor)
                form = QTextCharFormat()
                form.setProperty(QTextCharFormat.Property.FontSizeAdjustment, _HEADINGS.get(level, 0))
                form.setFontWeight(QFont.Weight.DemiBold)
                cursor.mergeCharFormat(form)
            block = block.next()
        self.moveCursor(QTextCursor.MoveOperation.Start)

    def loadResource(self, kind: int, name: QUrl | str) -> Any:
        """A picture of the folder, or nothing: no other file and no address is ever read."""
        url = QUrl(name) if isinstance(name, str) else name
        if self._folder is None or url.scheme() not in ("", "file"):
            return None
        path = (self._folder / url.path()).resolve()
        if not path.is_relative_to(self._folder) or path.suffix.lower() not in _SUFFIXES:
            return None
        drawn = path.with_suffix(".png")  # beside each SVG, and quicker
        path = drawn if drawn.is_file() else path
        if not path.is_file() or path.stat().st_size > _IMAGE_BYTES:
            return None
        image = QImage(str(path))
        room = max(160, min(self.viewport().width() - 48, _WIDEST))
        ratio = self.devicePixelRatioF()
        if image.width() > room * ratio:
            image = image.scaledToWidth(round(room * ratio), Qt.TransformationMode.SmoothTransformation)
        image.setDevicePixelRatio(ratio)
        return image

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
