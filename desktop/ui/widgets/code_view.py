"""Code to read: line numbers, and the policy's refusals at their lines. Not an editor, never runs anything."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence

from PySide6.QtCore import QEvent, QRect, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QHelpEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QResizeEvent,
    QTextCharFormat,
    QTextCursor,
    QTextFormat,
    QTextLayout,
)
from PySide6.QtWidgets import QPlainTextEdit, QTextEdit, QToolTip, QWidget

from desktop.core.ports import Finding
from desktop.ui import theme

_TOKENS = re.compile(
    r"(?P<comment>\#.*)"
    r"|(?P<text>\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?)"
    rf"|(?P<keyword>\b(?:{'|'.join(keyword.kwlist)})\b)"
    r"|(?P<name>\w+)"
)


class CodeView(QPlainTextEdit):
    """A script, read-only."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Script of this run")
        self.setReadOnly(True)
        self.setFont(theme.fixed_font())
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self._findings: dict[int, Finding] = {}
        self._gutter = _Gutter(self)
        self._colours = _PythonColours(self.palette())
        self._coloured: set[int] = set()  # blocks; the rest of a long script waits until it is in sight
        self.blockCountChanged.connect(self._fit)
        self.updateRequest.connect(self._on_update)
        self._fit()

    def set_code(self, text: str, findings: Sequence[Finding] = ()) -> None:
        """Show a script, with what the policy refused in it."""
        self._findings = {finding.line: finding for finding in findings}
        self.setPlainText(text)
        self._coloured.clear()
        self._colour_visible()
        self._mark()
        if findings:
            self.show_line(findings[0].line)
            words = " ".join(f"Line {finding.line}: {finding.message}" for finding in findings)
            self.setAccessibleDescription(words)

    def _mark(self) -> None:
        """Tint the refused lines."""
        marks = []
        for line, finding in self._findings.items():
            block = self.document().findBlockByNumber(line - 1)
            mark = QTextEdit.ExtraSelection()
            mark.cursor = QTextCursor(block)
            tint = theme.mix(self.palette().color(QPalette.ColorRole.Base), QColor("#d55e00"), 0.28)
            form = QTextCharFormat()
            form.setBackground(tint)
            form.setProperty(QTextFormat.Property.FullWidthSelection, True)
            form.setToolTip(f"{finding.message} {finding.remedy}")
            mark.format = form
            marks.append(mark)
        self.setExtraSelections(marks)

    def show_line(self, line: int) -> None:
        """Put the cursor on a line (from 1) and scroll to it."""
        block = self.document().findBlockByNumber(line - 1)
        if block.isValid():
            self.setTextCursor(QTextCursor(block))
            self.centerCursor()

    def clear_findings(self) -> None:
        """Take the marks away: the lines are no longer those that were judged."""
        self._findings.clear()
        self.setExtraSelections([])
        self.setAccessibleDescription("")
        self._gutter.update()

    def recolour(self, first: int) -> None:
        """Colour the lines from here on (from 0) anew, each when it is in sight: they have changed or moved."""
        self._coloured = {number for number in self._coloured if number < first}
        self._colour_visible()

    def refused_lines(self) -> list[int]:
        """Lines marked as refused."""
        return sorted(self._findings)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            line = self.cursorForPosition(self.viewport().mapFrom(self, event.pos())).blockNumber() + 1
            finding = self._findings.get(line)
            if finding is not None:
                QToolTip.showText(event.globalPos(), f"{finding.message}\n{finding.remedy}", self)
                return True
        return super().event(event)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._colours = _PythonColours(self.palette())
            self._coloured.clear()
            self._colour_visible()
            self._mark()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        area = self.contentsRect()
        self._gutter.setGeometry(QRect(area.left(), area.top(), self._gutter_width(), area.height()))

    def _gutter_width(self) -> int:
        return self.fontMetrics().horizontalAdvance("9") * (len(str(max(1, self.blockCount()))) + 2)

    def _fit(self) -> None:
        self.setViewportMargins(self._gutter_width() + 4, 0, 0, 0)

    def _colour_visible(self) -> None:
        block, offset = self.firstVisibleBlock(), self.contentOffset()
        while block.isValid():
            if self.blockBoundingGeometry(block).translated(offset).top() > self.viewport().height():
                return
            if block.blockNumber() not in self._coloured:
                self._coloured.add(block.blockNumber())
                block.layout().setFormats(self._colours.of(block.text()))
                self.document().markContentsDirty(block.position(), block.length())
            block = block.next()

    def _on_update(self, rect: QRect, scrolled: int) -> None:
        self._colour_visible()
        if scrolled:
            self._gutter.scroll(0, scrolled)
        else:
            self._gutter.update(0, rect.y(), self._gutter.width(), rect.height())

    def paint_gutter(self, event: QPaintEvent) -> None:
        """Draw the line numbers that are in sight."""
        painter = QPainter(self._gutter)
        painter.fillRect(event.rect(), self.palette().color(QPalette.ColorRole.AlternateBase))
        painter.setFont(self.font())
        block = self.firstVisibleBlock()
        top = self.blockBoundingGeometry(block).translated(self.contentOffset()).top()
        while block.isValid() and top <= event.rect().bottom():
            height = self.blockBoundingRect(block).height()
            if block.isVisible() and top + height >= event.rect().top():
                number = block.blockNumber() + 1
                refused = number in self._findings
                painter.setPen(QColor("#d55e00") if refused else theme.secondary(self.palette()))
                box = QRect(0, int(top), self._gutter.width() - 6, int(height))
                painter.drawText(box, int(Qt.AlignmentFlag.AlignRight), f"✕ {number}" if refused else str(number))
            top += height
            block = block.next()
        painter.end()


class _Gutter(QWidget):
    def __init__(self, code: CodeView) -> None:
        super().__init__(code)
        self._code = code

    def sizeHint(self) -> QSize:
        return QSize(40, 0)

    def paintEvent(self, event: QPaintEvent) -> None:
        self._code.paint_gutter(event)


class _PythonColours:
    """Comments, texts and keywords of one line; texts over several lines are left plain."""

    def __init__(self, palette: QPalette) -> None:
        dark = theme.is_dark(palette)
        self._comment, self._text, self._keyword = QTextCharFormat(), QTextCharFormat(), QTextCharFormat()
        self._comment.setForeground(theme.secondary(palette))
        self._text.setForeground(QColor("#7ccf9f" if dark else "#00694a"))
        self._keyword.setForeground(QColor("#8fb8ff" if dark else "#1d4fa3"))

    def of(self, line: str) -> list[QTextLayout.FormatRange]:
        """The coloured parts of a line."""
        return [self._range(found) for found in _TOKENS.finditer(line) if found.lastgroup != "name"]

    def _range(self, found: re.Match[str]) -> QTextLayout.FormatRange:
        made = QTextLayout.FormatRange()
        made.start, made.length = found.start(), found.end() - found.start()
        made.format = getattr(self, f"_{found.lastgroup}")
        return made


class LogView(QPlainTextEdit):
    """A log: plain text, control codes shown as text, long lines folded, only the last lines kept."""

    MOST_LINES = 5000
    MOST_CHARACTERS = 2000

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Log of this run")
        self.setReadOnly(True)
        self.setFont(theme.fixed_font())
        self.setMaximumBlockCount(self.MOST_LINES)
        self.setUndoRedoEnabled(False)
        self.setPlaceholderText("Nothing was logged.")

    def add_lines(self, lines: Sequence[str]) -> None:
        """Append; keeps the end in sight when it was in sight."""
        bar = self.verticalScrollBar()
        at_end = bar.value() >= bar.maximum() - 4
        self.appendPlainText("\n".join(shown_line(line, self.MOST_CHARACTERS) for line in lines[-self.MOST_LINES :]))
        if at_end:
            bar.setValue(bar.maximum())

    def set_lines(self, lines: Sequence[str]) -> None:
        """Show these lines only."""
        self.clear()
        if lines:
            self.add_lines(lines)


def shown_line(line: str, most: int) -> str:
    """A line as it may be shown: no control code acts, nothing endless."""
    line = line.rstrip("\r\n")
    short = line if len(line) <= most else f"{line[:most]} … ({len(line) - most:,} more characters)"
    return "".join(sign if sign.isprintable() or sign == "\t" else _visible(sign) for sign in short)


def _visible(sign: str) -> str:
    code = ord(sign)
    return chr(0x2400 + code) if code < 0x20 else f"\\u{code:04x}"
