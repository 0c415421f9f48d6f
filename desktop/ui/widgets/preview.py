"""The preview pane: a run's report or a dataset's facts as a quiet page. Loads nothing from outside the folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QImage, QPixmap, QTextDocument
from PySide6.QtWidgets import QFrame, QTextBrowser, QWidget

_SUFFIXES = {".png", ".jpg", ".jpeg", ".svg"}
_IMAGE_BYTES = 8 * 1024 * 1024


class Preview(QTextBrowser):
    """Markdown with pictures from one folder, scaled to the pane."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Preview")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setOpenLinks(False)
        self.document().setDocumentMargin(16)
        self._folder: Path | None = None

    def show_markdown(self, text: str, folder: Path | None = None) -> None:
        """Show a page; relative pictures come from `folder`."""
        self._folder = folder.resolve() if folder else None
        features = QTextDocument.MarkdownFeature.MarkdownDialectGitHub | QTextDocument.MarkdownFeature.MarkdownNoHTML
        self.document().setMarkdown(text, features)

    def loadResource(self, kind: int, name: QUrl | str) -> Any:
        """A picture of the folder, or nothing: no other file and no address is ever read."""
        url = QUrl(name) if isinstance(name, str) else name
        if self._folder is None or url.scheme() not in ("", "file"):
            return None
        path = (self._folder / url.path()).resolve()
        if not path.is_relative_to(self._folder) or path.suffix.lower() not in _SUFFIXES:
            return None
        if not path.is_file() or path.stat().st_size > _IMAGE_BYTES:
            return None
        image = QImage(str(path))
        room = max(160, self.viewport().width() - 48)
        ratio = self.devicePixelRatioF()
        if image.width() > room * ratio:
            image = image.scaledToWidth(round(room * ratio), Qt.TransformationMode.SmoothTransformation)
        image.setDevicePixelRatio(ratio)
        return QPixmap.fromImage(image)
