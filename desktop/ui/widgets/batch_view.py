"""A batch: how far it is, its table of outcomes, and what is told of the row chosen. Shows; the analysing is a job."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QHeaderView, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from desktop.core.jobs import JobRecord, JobState
from desktop.studios.omics.batch_schema import BatchOutcome, BatchResult
from desktop.ui import theme
from desktop.ui.itemmodels.batch import DATASET, DOWN, NUMBER, QUESTION, STATE, UP, BatchTableModel
from desktop.ui.widgets.file_chip import FileChip
from desktop.ui.widgets.table_view import TableView

_ENDED = {
    JobState.CANCELLED: "Stopped. Run it again to go on where it was.",
    JobState.INTERRUPTED: "Interrupted. Run it again to go on where it was.",
}


class BatchView(QWidget):
    """runOpened(str) a finished item's folder; dataOpened(str, str) data and question of one that has no results;
    stopped() and rerun() of the whole batch; closed()."""

    runOpened = Signal(str)
    dataOpened = Signal(str, str)
    stopped = Signal()
    rerun = Signal()
    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Batch")
        self.out_dir: Path | None = None
        self.headline = QLabel(wordWrap=True, textInteractionFlags=Qt.TextInteractionFlag.TextSelectableByMouse)
        self.headline.setFont(theme.scaled(self.font(), 1.2, bold=True))
        self.headline.setAccessibleName("Answer")
        self.bar = QProgressBar(maximum=1000, textVisible=False)
        self.bar.setAccessibleName("Progress of the batch")
        self.bar.setMaximumHeight(8)
        self.model = BatchTableModel(self)
        self.table = TableView("Outcomes", self.model.text)
        self.table.setModel(self.model)
        self.table.setSelectionMode(TableView.SelectionMode.SingleSelection)
        self.table.verticalHeader().setDefaultSectionSize(theme.ROW)
        header = self.table.horizontalHeader()
        header.setStretchLastSection(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setMinimumSectionSize(28)
        header.setSectionResizeMode(QUESTION, QHeaderView.ResizeMode.Stretch)
        for column, width in ((NUMBER, 36), (DATASET, 200), (STATE, 90), (UP, 64), (DOWN, 64)):
            self.table.setColumnWidth(column, width)
        self.told = QLabel(wordWrap=True, textInteractionFlags=Qt.TextInteractionFlag.TextSelectableByMouse)
        self.told.setAccessibleName("About the chosen analysis")
        self.told.setMinimumHeight(self.fontMetrics().lineSpacing() * 3)
        self.told.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.open_button = QPushButton("Open Run", autoDefault=False)
        self.stop = QPushButton("Stop", autoDefault=False)
        self.again = QPushButton("Run Again", autoDefault=False)
        self.files = FileChip()
        self.done = QPushButton("Done", autoDefault=False)
        self._lay_out()
        self.table.linesSelected.connect(self._on_selected)
        self.table.activated.connect(lambda _index: self._open())
        self.open_button.clicked.connect(self._open)
        self.stop.clicked.connect(self.stopped)
        self.again.clicked.connect(self.rerun)
        self.done.clicked.connect(self.closed)

    def show_batch(self, found: BatchResult) -> None:
        """The table as it is now."""
        self.out_dir = found.out_dir
        self.files.set_path(found.out_dir)
        self.model.load(found.items)
        if found.headline:
            self.headline.setText(found.headline)
        if found.items and not self.table.selected_lines():
            self.table.selectRow(0)
        self.files.setVisible(True)
        self._on_selected()

    def show_job(self, job: JobRecord) -> None:
        """How far the whole is."""
        is_open = not job.state.is_final
        self.bar.setVisible(is_open)
        self.stop.setVisible(is_open)
        self.again.setVisible(job.state in (JobState.CANCELLED, JobState.INTERRUPTED, JobState.FAILED))
        if is_open:
            self.bar.setValue(int(1000 * job.done_frac))
            self.headline.setText(job.note or "Waiting for its turn.")
        elif job.state in _ENDED:
            self.headline.setText(_ENDED[job.state])
        elif job.error is not None:
            self.headline.setText(f"{job.error.message} {job.error.hint}")

    def show_new(self) -> None:
        """A batch of which nothing is known yet."""
        self.out_dir = None
        self.model.load([])
        self.headline.setText("Waiting for its turn.")
        self.told.setText("")
        for widget in (self.files, self.again, self.open_button):
            widget.setVisible(widget is self.open_button)
        self.open_button.setEnabled(False)

    def show_finished(self) -> None:
        """No job is at work on it."""
        for widget in (self.bar, self.stop, self.again):
            widget.hide()

    @property
    def chosen(self) -> BatchOutcome | None:
        """The row that is selected."""
        lines = self.table.selected_lines()
        return self.model.items[lines[0]] if lines and lines[0] < len(self.model.items) else None

    def _on_selected(self) -> None:
        item = self.chosen
        is_done = item is not None and item.status == "done"
        self.open_button.setText("Open Run" if is_done or item is None else "Open Data")
        self.open_button.setEnabled(item is not None and item.status in ("done", "failed"))
        if item is None:
            self.told.setText("")
        elif item.error is not None:
            self.told.setText(f"{item.error.message}\n{item.error.hint}")
        else:
            self.told.setText("\n".join(filter(None, [item.headline, item.contrast, *item.warnings[:2]])))

    def _open(self) -> None:
        item = self.chosen
        if item is None or self.out_dir is None:
            return
        if item.status == "done":
            self.runOpened.emit(str(self.out_dir / item.folder))
        elif item.status == "failed":
            self.dataOpened.emit(item.data, item.question)

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.setSpacing(theme.GAP)
        row.addWidget(self.open_button)
        row.addStretch(1)
        for widget in (self.stop, self.again, self.files, self.done):
            row.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.MARGIN, theme.GAP, theme.MARGIN, theme.MARGIN)
        column.setSpacing(theme.GAP)
        column.addWidget(self.headline)
        column.addWidget(self.bar)
        column.addWidget(self.table, 1)
        column.addWidget(self.told)
        column.addLayout(row)
