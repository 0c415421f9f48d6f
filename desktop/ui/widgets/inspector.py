"""The pane on the right that says what is selected: facts, where it came from, and the person's notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from PySide6.QtCore import QEvent, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QFormLayout, QFrame, QLabel, QPlainTextEdit, QScrollArea, QTabWidget, QVBoxLayout, QWidget

from desktop.ui import theme
from desktop.ui.widgets.segments import Segments


@dataclass(frozen=True, slots=True)
class Operation:
    """One step in an element's history. `origins` are the elements it was made from, as (words, id or path)."""

    name: str
    when: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    origins: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Inspected:
    """What the inspector shows. `note_key` names the element whose notes are edited; "" has none.

    log     the end of a job's log, shown as plain text
    """

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    history: tuple[Operation, ...] = ()
    note_key: str = ""
    note: str = ""
    log: tuple[str, ...] = ()


class Inspector(QTabWidget):
    """Info, History and Notes of the selected element.

    noteEdited(key, text)   a moment after the person stopped typing
    originChosen(str)       a link in the history was followed
    """

    noteEdited = Signal(str, str)
    originChosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("inspector")
        self.setAccessibleName("Inspector")
        self.setTabBar(Segments("Inspector pages"))
        self.setDocumentMode(True)
        self.setMinimumWidth(200)
        self._shown = Inspected("")
        self._info, self._history = _Page("Info"), _Page("History")
        self._log = QPlainTextEdit()
        self._log.setReadOnly(True)
        self._log.setAccessibleName("Log")
        self._log.setMaximumBlockCount(2000)
        self._log.setFont(theme.fixed_font())
        self._log.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self._notes = QPlainTextEdit()
        self._notes.setAccessibleName("Notes")
        self._notes.setPlaceholderText("Notes on what is selected")
        self._notes.setTabChangesFocus(True)
        self._log.setTabChangesFocus(True)
        self.addTab(self._info, "Info")
        self.addTab(self._history, "History")
        self.addTab(self._notes, "Notes")
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(600)
        self._timer.timeout.connect(self._on_note_settled)
        self._notes.textChanged.connect(self._on_note_changed)
        self._history.linked.connect(self.originChosen)
        self.show_item(None)

    def sizeHint(self) -> QSize:
        return QSize(260, 400)

    @property
    def shown(self) -> Inspected:
        """What is shown now."""
        return self._shown

    def show_item(self, item: Inspected | None) -> None:
        """Show an element, or that nothing is selected."""
        if self._timer.isActive():
            self._on_note_settled()
        before, self._shown = self._shown, item or Inspected("")
        if (before.title, before.facts) != (self._shown.title, self._shown.facts) or item is None:
            self._info.fill(self._shown.title or "Nothing selected", self._shown.facts)
        if before.history != self._shown.history or item is None:
            self._history.fill_history(self._shown.history)
        if before.note_key != self._shown.note_key or item is None:
            self._notes.blockSignals(True)
            self._notes.setPlainText(self._shown.note)
            self._notes.blockSignals(False)
        self._notes.setEnabled(bool(self._shown.note_key))
        self._show_log(before.log, self._shown.log)

    def _show_log(self, before: tuple[str, ...], lines: tuple[str, ...]) -> None:
        """Append what is new; the log follows its end while the end is in view."""
        bar = self._log.verticalScrollBar()
        at_end = bar.value() >= bar.maximum() - 4
        if before and lines[: len(before)] == before:
            if len(lines) > len(before):
                self._log.appendPlainText("\n".join(lines[len(before) :]))
        else:
            self._log.setPlainText("\n".join(lines))
        if at_end:
            bar.setValue(bar.maximum())
        index = self.indexOf(self._log)
        if lines and index < 0:
            self.insertTab(2, self._log, "Log")
        elif not lines and index >= 0:
            self.removeTab(index)

    def _on_note_changed(self) -> None:
        self._timer.start()

    def _on_note_settled(self) -> None:
        self._timer.stop()
        if self._shown.note_key:
            self.noteEdited.emit(self._shown.note_key, self._notes.toPlainText())


class _Page(QScrollArea):
    """A scrolling column of labelled values; texts can be selected and copied."""

    linked = Signal(str)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._labels: list[QLabel] = []

    def fill(self, title: str, facts: tuple[tuple[str, str], ...]) -> None:
        column = self._start()
        column.addWidget(self._text(title, 1.1, bold=True))
        column.addLayout(self._form(facts))
        column.addStretch()

    def fill_history(self, history: tuple[Operation, ...]) -> None:
        column = self._start()
        if not history:
            column.addWidget(self._text("No history yet.", quiet=True))
        for operation in history:
            column.addWidget(self._text(operation.name, bold=True))
            column.addWidget(self._text(operation.when, 0.92, quiet=True))
            column.addLayout(self._form(tuple(operation.parameters.items())))
            column.addLayout(self._form(tuple(operation.versions.items())))
            for words, target in operation.origins:
                link = QLabel()
                link.setTextFormat(Qt.TextFormat.RichText)
                link.setText(f'From <a href="{_escaped(target)}">{_escaped(words)}</a>')
                link.setWordWrap(True)
                link.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)
                link.setAccessibleName(f"Originates from {words}")
                link.linkActivated.connect(self.linked)
                column.addWidget(link)
            column.addSpacing(theme.GAP)
        column.addStretch()

    def _start(self) -> QVBoxLayout:
        body = QWidget()
        self._labels = []
        column = QVBoxLayout(body)
        column.setContentsMargins(theme.MARGIN, theme.MARGIN, theme.MARGIN, theme.MARGIN)
        column.setSpacing(6)
        self.setWidget(body)
        return column

    def _form(self, facts: tuple[tuple[str, str], ...]) -> QFormLayout:
        form = QFormLayout()
        form.setHorizontalSpacing(theme.GAP)
        form.setVerticalSpacing(4)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        for name, value in facts:
            form.addRow(self._text(name, 0.92, quiet=True), self._text(value, 0.96))
        return form

    def _text(self, words: str, size: float = 1.0, *, bold: bool = False, quiet: bool = False) -> QLabel:
        label = QLabel(words)
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setWordWrap(True)
        label.setFont(theme.scaled(self.font(), size, bold=bold))
        if quiet:
            label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
            self._labels.append(label)
        else:
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        return label

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.PaletteChange:
            self.viewport().update()
        super().changeEvent(event)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
