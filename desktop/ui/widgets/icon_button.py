"""A tool button whose template icon follows the palette."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QToolButton, QWidget

from desktop.ui import theme


class IconButton(QToolButton):
    """Flat, reached by Tab; `name` is spoken, `tip` is shown (the name when empty)."""

    def __init__(self, icon: str, name: str, tip: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icon_name = icon
        self.setAutoRaise(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAccessibleName(name)
        self.setToolTip(tip or name)
        self.setIcon(theme.icon(icon))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.setIcon(theme.icon(self._icon_name))
