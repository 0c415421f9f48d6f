"""A script to be edited: the code view with a cursor that writes. Never runs anything."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QWidget

from desktop.core.ports import Finding
from desktop.ui.widgets.code_view import CodeView

INDENT = "    "


class CodeEditor(CodeView):
    """Refusals stay at their lines until the script is changed. Return keeps the indentation, Tab indents; Shift+Tab
    and Ctrl+Tab leave the editor."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Script")
        self.setReadOnly(False)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextEditorInteraction)
        self._is_setting = False
        self._revision, self._changed_from = -1, sys.maxsize
        self._colouring = QTimer(self, singleShot=True, interval=0)  # not within the change that asks for it
        self._colouring.timeout.connect(self._on_settled)
        self.document().contentsChange.connect(self._on_change)

    def set_code(self, text: str, findings: Sequence[Finding] = ()) -> None:
        self._is_setting = True
        super().set_code(text, findings)
        self._revision = self.document().revision()
        self._is_setting = False

    def code(self) -> str:
        """The script as it is now; a line end at its end."""
        text = self.toPlainText()
        return text if text.endswith("\n") or not text else text + "\n"

    def keyPressEvent(self, event: QKeyEvent) -> None:
        plain = event.modifiers() == Qt.KeyboardModifier.NoModifier
        if event.key() == Qt.Key.Key_Tab and plain:
            self.textCursor().insertText(INDENT)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and plain:
            before = self.textCursor().block().text()[: self.textCursor().positionInBlock()]
            indent = before[: len(before) - len(before.lstrip())]
            self.textCursor().insertText("\n" + indent + (INDENT if before.rstrip().endswith(":") else ""))
            self.ensureCursorVisible()
        else:
            super().keyPressEvent(event)

    def _on_change(self, position: int, _removed: int, _added: int) -> None:
        if self._is_setting or self.document().revision() == self._revision:
            return  # colouring tells of a change, too
        self._revision = self.document().revision()
        if self.refused_lines():
            self.clear_findings()
        self._changed_from = min(self._changed_from, self.document().findBlock(position).blockNumber())
        self._colouring.start()

    def _on_settled(self) -> None:
        first, self._changed_from = self._changed_from, sys.maxsize
        self.recolour(first)
