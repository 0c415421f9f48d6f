"""What a script left: the files in a list, the one chosen beside it as a table, a picture or a text. Reads nothing."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QLocale, Qt, Signal
from PySide6.QtGui import QPalette, QPixmap, QResizeEvent
from PySide6.QtWidgets import (
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPlainTextEdit,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from desktop.ui import theme
from desktop.ui.itemmodels.outputs import OutputTableModel, Shown
from desktop.ui.itemmodels.run_results import Output
from desktop.ui.widgets.table_view import TableView


class OutputsView(QWidget):
    """`outputChosen(object)`: an `Output` to be read; `show_output` brings what was found."""

    outputChosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._outputs: tuple[Output, ...] = ()
        self.files = QListWidget()
        self.files.setAccessibleName("Files the script left")
        self.files.setFrameShape(QListWidget.Shape.NoFrame)
        self.files.currentRowChanged.connect(self._on_row)
        self.model = OutputTableModel(self)
        self.table = TableView("Table", self.model.tsv)
        self.table.setModel(self.model)
        self.picture = _Picture()
        self.text = QPlainTextEdit(readOnly=True)
        self.text.setAccessibleName("Text")
        self.text.setFont(theme.fixed_font())
        self.nothing = QLabel("Choose a file.", alignment=Qt.AlignmentFlag.AlignCenter, wordWrap=True)
        self.nothing.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.pages = QStackedWidget()
        for page in (self.nothing, self.table, self.picture, self.text):
            self.pages.addWidget(page)
        self.note = QLabel()
        self.note.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.note.setContentsMargins(theme.GAP, 2, theme.GAP, 2)
        right = QWidget()
        column = QVBoxLayout(right)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.pages, 1)
        column.addWidget(self.note)
        splitter = QSplitter()
        splitter.addWidget(self.files)
        splitter.addWidget(right)
        splitter.setStretchFactor(0, 1)
        splitter.setStretchFactor(1, 4)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(splitter)

    def set_outputs(self, outputs: Sequence[Output]) -> None:
        """List these, and ask for the first."""
        self._outputs = tuple(outputs)
        self.files.blockSignals(True)
        self.files.clear()
        for one in self._outputs:
            item = QListWidgetItem(one.name)
            item.setToolTip(f"{one.name}\n{one.kind}, {QLocale().formattedDataSize(one.size_bytes)}")
            self.files.addItem(item)
        self.files.blockSignals(False)
        self._say("The script left no file; what it printed is in the log." if not outputs else "")
        if outputs:
            self.files.setCurrentRow(0)

    def show_output(self, output: Output, shown: Shown) -> None:
        """Show what was found in a file, if it is still the one chosen."""
        row = self.files.currentRow()
        if not 0 <= row < len(self._outputs) or self._outputs[row] != output:
            return
        self.note.setText(shown.note)
        if shown.header:
            self.model.load(shown.header, shown.rows)
            self.pages.setCurrentWidget(self.table)
        elif shown.image is not None:
            self.picture.set_pixmap(QPixmap.fromImage(shown.image), output.name)
            self.pages.setCurrentWidget(self.picture)
        elif shown.text:
            self.text.setPlainText(shown.text)
            self.pages.setCurrentWidget(self.text)
        else:
            self._say(shown.note)
            self.note.clear()

    def _say(self, text: str) -> None:
        self.nothing.setText(text)
        self.note.clear()
        self.pages.setCurrentWidget(self.nothing)

    def _on_row(self, row: int) -> None:
        if 0 <= row < len(self._outputs):
            self.outputChosen.emit(self._outputs[row])


class _Picture(QLabel):
    """A picture on white, as large as there is room, never larger than itself."""

    def __init__(self) -> None:
        super().__init__(alignment=Qt.AlignmentFlag.AlignCenter)
        self._whole = QPixmap()
        self.setMinimumSize(80, 80)

    def set_pixmap(self, whole: QPixmap, name: str) -> None:
        self._whole = whole
        self.setAccessibleName(f"Picture {name}")
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.DevicePixelRatioChange:
            self._fit()
        return super().event(event)

    def _fit(self) -> None:
        if self._whole.isNull():
            return
        ratio = self.devicePixelRatioF()
        room = (self.size() * ratio).boundedTo(self._whole.size())
        modes = Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        fitted = self._whole.scaled(room, *modes)
        fitted.setDevicePixelRatio(ratio)
        self.setPixmap(fitted)
