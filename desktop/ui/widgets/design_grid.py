"""The sample table on screen: a grid to edit like a spreadsheet, with undo, and the level counts under it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QInputDialog,
    QLabel,
    QMenu,
    QPushButton,
    QTableView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from desktop.ui import theme
from desktop.ui.itemmodels.samples import FIRST_FACTOR, SampleTableModel

_MOST_ROWS = 14  # of the grid, before it scrolls inside itself


class _Grid(QTableView):
    """Cells that take copy, paste and clear like a spreadsheet."""

    def __init__(self, model: SampleTableModel) -> None:
        super().__init__()
        self._samples = model
        self.setModel(model)
        self.setAccessibleName("Samples and their factors")
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setAlternatingRowColors(True)
        self.setTabKeyNavigation(False)
        self.verticalHeader().setDefaultSectionSize(theme.ROW - 2)
        self.verticalHeader().hide()
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        self.horizontalHeader().setDefaultSectionSize(120)
        self.horizontalHeader().setHighlightSections(False)
        self.horizontalHeader().setStretchLastSection(True)

    def cells(self) -> tuple[list[int], list[int]]:
        """Rows and columns the selection spans."""
        chosen = self.selectionModel().selectedIndexes()
        return sorted({index.row() for index in chosen}), sorted({index.column() for index in chosen})

    def keyPressEvent(self, event: QKeyEvent) -> None:
        rows, columns = self.cells()
        if event.matches(QKeySequence.StandardKey.Copy):
            QGuiApplication.clipboard().setText(self._samples.copy_text(rows, columns))
        elif event.matches(QKeySequence.StandardKey.Paste) and rows:
            self._samples.paste(rows[0], columns[0], QGuiApplication.clipboard().text())
        elif event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace) and rows:
            self._samples.set_cells([(row, column, "") for row in rows for column in columns], "Clear")
        else:
            super().keyPressEvent(event)


class DesignGrid(QWidget):
    """The grid with its buttons. The model is the document: listen to its `tableChanged`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = SampleTableModel(self)
        self.grid = _Grid(self.model)
        header = self.grid.horizontalHeader()
        header.sectionDoubleClicked.connect(self._ask_rename)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(
            lambda place: self._column_menu(header.logicalIndexAt(place)).popup(header.mapToGlobal(place))
        )
        self.counts = LevelCounts()
        stack = self.model.undo_stack
        buttons = QHBoxLayout()
        buttons.setSpacing(theme.GAP)
        for text, tip, act in (
            ("Exclude", "Leave the selected samples out, or take them back", self.toggle_used),
            ("Fill Down", "Copy the first selected cell to those below it (Ctrl+D)", self.fill_down),
            ("Add Column…", "Add a factor", self._ask_add),
            ("Rename…", "Rename the selected column", self._ask_rename_selected),
        ):
            buttons.addWidget(_button(text, tip, act))
        buttons.addStretch()
        for action, tip in ((stack.createUndoAction(self), "Undo"), (stack.createRedoAction(self), "Redo")):
            button = _button(tip, f"{tip} the last edit of the samples", action.trigger)
            button.setEnabled(False)
            action.enabledChanged.connect(button.setEnabled)
            buttons.addWidget(button)
        fill = QAction(self)
        fill.setShortcut(QKeySequence("Ctrl+D"))
        fill.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        fill.triggered.connect(self.fill_down)
        self.addAction(fill)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GAP)
        column.addLayout(buttons)
        beside = QHBoxLayout()
        beside.setSpacing(theme.MARGIN)
        beside.addWidget(self.grid, 3)
        beside.addWidget(self.counts, 2)
        column.addLayout(beside)
        self.model.modelReset.connect(self._fit)

    def toggle_used(self) -> None:
        """Leave the selected samples out; if all of them are out already, take them back."""
        rows, _columns = self.grid.cells()
        samples, out = self.model.whole_table().samples, set(self.model.excluded())
        if rows:
            self.model.set_used(rows, used=all(samples[row] in out for row in rows))

    def fill_down(self) -> None:
        """Copy the top cell of the selection down, in each of its columns."""
        rows, columns = self.grid.cells()
        if len(rows) < 2:
            return
        cells = [
            (row, column, str(self.model.index(rows[0], column).data()))
            for column in columns
            if column >= FIRST_FACTOR
            for row in rows[1:]
        ]
        self.model.set_cells(cells, "Fill down")

    def _fit(self) -> None:
        self.grid.resizeColumnsToContents()
        for column in range(self.model.columnCount()):
            self.grid.setColumnWidth(column, min(max(self.grid.columnWidth(column) + 12, 80), 240))
        rows = min(self.model.rowCount(), _MOST_ROWS)
        height = self.grid.horizontalHeader().sizeHint().height() + rows * (theme.ROW - 2)
        self.grid.setFixedHeight(height + self.grid.horizontalScrollBar().sizeHint().height() + 4)

    def _column_menu(self, column: int) -> QMenu:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        if column >= FIRST_FACTOR:
            menu.addAction("Rename…", lambda: self._ask_rename(column))
            menu.addAction("Remove Column", lambda: self.model.remove_factor(column))
        menu.addAction("Add Column…", self._ask_add)
        return menu

    def _ask_rename_selected(self) -> None:
        _rows, columns = self.grid.cells()
        if columns:
            self._ask_rename(columns[0])

    def _ask_rename(self, column: int) -> None:
        if column >= FIRST_FACTOR:
            name = self.model.factor_names()[column - FIRST_FACTOR]
            self._ask("Rename Column", name, lambda text: self.model.rename_factor(column, text))

    def _ask_add(self) -> None:
        self._ask("Add Column", "", self.model.add_factor)

    def _ask(self, title: str, text: str, answer: Callable[[str], object]) -> None:
        dialog = QInputDialog(self.window())
        dialog.setWindowTitle(title)
        dialog.setLabelText("Name of the factor:")
        dialog.setTextValue(text)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.textValueSelected.connect(answer)
        dialog.open()


class LevelCounts(QWidget):
    """How many samples each combination of levels has, and the design in plain words."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table = QTableWidget(0, 0)
        self.table.setAccessibleName("Samples in each combination of levels")
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.setTabKeyNavigation(False)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(theme.ROW - 6)
        self.table.horizontalHeader().setHighlightSections(False)
        self.table.horizontalHeader().setStretchLastSection(True)
        self.reading = QLabel(wordWrap=True, textInteractionFlags=Qt.TextInteractionFlag.TextSelectableByMouse)
        self.reading.setAccessibleName("The design in words")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GAP)
        column.addWidget(self.reading)
        column.addWidget(self.table)
        column.addStretch()
        self.hide()

    def show_counts(self, factors: Sequence[str], counts: Mapping[tuple[str, ...], int], reading: str) -> None:
        """counts: one level of each factor → number of samples."""
        self.reading.setText(reading)
        self.table.setVisible(bool(counts))
        self.setVisible(bool(counts or reading))
        self.table.setColumnCount(len(factors) + 1)
        self.table.setHorizontalHeaderLabels([*factors, "Samples"])
        self.table.setRowCount(len(counts))
        for row, (levels, number) in enumerate(counts.items()):
            for column, text in enumerate((*levels, str(number))):
                item = QTableWidgetItem(text)
                if column == len(factors):
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{([*factors, 'Samples'])[column]}: {text}")
                self.table.setItem(row, column, item)
        self.table.resizeColumnsToContents()
        rows = min(len(counts), 12)
        self.table.setFixedHeight(self.table.horizontalHeader().sizeHint().height() + rows * (theme.ROW - 6) + 4)


def _button(text: str, tip: str, act: Callable[[], object]) -> QPushButton:
    button = QPushButton(text, autoDefault=False)
    button.setToolTip(tip)
    button.clicked.connect(lambda _checked=False: act())
    return button
