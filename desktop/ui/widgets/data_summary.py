"""What was found in the data: the table that will be used and why, every file with its kind, and warnings."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from desktop.studios.omics.schema import FileRole, FoundFile, Inspection, ValueType
from desktop.ui import theme
from desktop.ui.itemmodels.names import data_title, home_words
from desktop.ui.widgets.notices import CautionList

_VALUES: dict[ValueType, str] = {
    "counts": "raw counts",
    "expected_counts": "estimated counts",
    "tpm": "TPM or CPM",
    "fpkm": "FPKM",
    "log_intensity": "log intensities",
    "linear_intensity": "intensities",
    "not_expression": "no expression values",
    "unknown": "",
}
_ROLES: dict[FileRole, str] = {
    "counts_table": "counts table",
    "per_sample_counts": "counts of one sample",
    "normalised_table": "normalised values",
    "intensity_table": "intensities",
    "sample_sheet": "sample sheet",
    "run_table": "run table",
    "series_matrix": "series matrix",
    "family_soft": "SOFT family",
    "annotation": "annotation",
    "raw_reads": "raw reads",
    "array_raw": "raw array scans",
    "peaks": "peaks",
    "single_cell": "single cells",
    "result_table": "table of results",
    "archive": "archive",
    "other": "other",
    "unreadable": "cannot be read",
}
_COLUMNS = ("File", "Kind", "Size", "Used", "Why")


class DataSummary(QWidget):
    """One inspection in words, with its files folded away."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = QLabel(textInteractionFlags=Qt.TextInteractionFlag.TextSelectableByMouse, wordWrap=True)
        self.title.setAccessibleName("Data")
        self.why = QLabel(wordWrap=True)
        self.why.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.cautions = CautionList()
        self.toggle = QToolButton(autoRaise=True)
        self.toggle.setCheckable(True)
        self.toggle.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.toggle.setArrowType(Qt.ArrowType.RightArrow)
        self.toggle.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.toggle.toggled.connect(self._on_toggled)
        self.files = QTableWidget(0, len(_COLUMNS))
        self.files.setAccessibleName("Files found")
        self.files.setHorizontalHeaderLabels(list(_COLUMNS))
        self.files.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.files.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.files.setTabKeyNavigation(False)
        self.files.verticalHeader().hide()
        self.files.verticalHeader().setDefaultSectionSize(theme.ROW - 4)
        self.files.horizontalHeader().setStretchLastSection(True)
        self.files.setWordWrap(False)
        self.files.hide()
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.toggle)
        row.addStretch()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for widget in (self.title, self.why, self.cautions):
            column.addWidget(widget)
        column.addLayout(row)
        column.addWidget(self.files)

    def show_inspection(self, found: Inspection) -> None:
        """Say what was found."""
        n_samples = found.samples.n_wholes
        size = f"{n_samples} samples × {found.n_genes:,} genes" if found.n_genes else ""
        if n_samples < len(found.samples.samples):
            size += f" · {len(found.samples.samples) - n_samples} cell types within them"
        parts = [part for part in (found.accession, found.organism, size, _VALUES[found.value_type]) if part]
        head = data_title(found.source, found.accession, found.title)
        self.title.setToolTip(home_words(found.source))
        self.title.setText(f"{head}\n{' · '.join(parts)}")
        chosen = f"Used: {Path(found.chosen).name}. " if found.chosen else ""
        self.why.setText(f"{chosen}{found.why}".strip())
        self.why.setVisible(bool(self.why.text()))
        self.cautions.show_cautions(found.warnings)
        self._fill(found.files)

    def _fill(self, files: list[FoundFile]) -> None:
        number = len(files)
        self.toggle.setText(f"{number} file{'' if number == 1 else 's'} found")
        self.toggle.setVisible(number > 0)
        self.files.setRowCount(number)
        for line, file in enumerate(files):
            kind = ", ".join(part for part in (_ROLES[file.role], _VALUES[file.value_type]) if part)
            cells = (Path(file.path).name, kind, size_words(file.size_bytes), "✓" if file.chosen else "", file.why)
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                item.setToolTip(file.path if column == 0 else text)
                spoken = ("yes" if text else "no") if column == 3 else text
                item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{_COLUMNS[column]}: {spoken}")
                if column == 2:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.files.setItem(line, column, item)
        self.files.resizeColumnsToContents()
        self.files.setColumnWidth(0, min(self.files.columnWidth(0), 320))
        rows = min(number, 8)
        self.files.setFixedHeight(self.files.horizontalHeader().sizeHint().height() + rows * (theme.ROW - 4) + 6)

    def _on_toggled(self, on: bool) -> None:
        self.toggle.setArrowType(Qt.ArrowType.DownArrow if on else Qt.ArrowType.RightArrow)
        self.files.setVisible(on)


def size_words(size_bytes: int) -> str:
    """Bytes as a person reads them."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
