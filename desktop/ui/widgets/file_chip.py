"""A file or folder to take away: drag it out, click to see it where it lies."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QMimeData, QPoint, Qt, QUrl
from PySide6.QtGui import QDesktopServices, QDrag, QMouseEvent
from PySide6.QtWidgets import QApplication, QWidget

from desktop.ui.itemmodels.names import home_words
from desktop.ui.widgets.icon_button import IconButton


class FileChip(IconButton):
    """Shows a name; the drag carries the file itself."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("open", "Results folder", parent=parent)
        self.setAutoRaise(False)
        self._path: Path | None = None
        self._press: QPoint | None = None
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setText("Show Files")
        self.clicked.connect(self.reveal)

    def set_path(self, path: Path) -> None:
        """What is shown and dragged."""
        self._path = path
        self.setToolTip(f"{home_words(str(path))}\nClick to show it, or drag it to another program")
        self.setAccessibleDescription(str(path))

    def reveal(self) -> None:
        """Open the folder in the file browser."""
        if self._path is not None:
            folder = self._path if self._path.is_dir() else self._path.parent
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))

    def drag_data(self) -> QMimeData:
        """The file, for a drag."""
        data = QMimeData()
        if self._path is not None:
            data.setUrls([QUrl.fromLocalFile(str(self._path))])
        return data

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._press = event.position().toPoint()
        super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        moved = self._press is not None and (event.position().toPoint() - self._press).manhattanLength()
        if self._path is not None and moved and moved >= QApplication.startDragDistance():
            self._press = None
            self.setDown(False)
            drag = QDrag(self)
            drag.setMimeData(self.drag_data())
            drag.exec(Qt.DropAction.CopyAction)  # the platform's own drag loop, not a nested dialog
        else:
            super().mouseMoveEvent(event)
