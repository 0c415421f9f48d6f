"""The page that searches GEO: words and filters, the hits, what is known of the one chosen. Shows and collects only."""

from __future__ import annotations

from datetime import UTC, datetime

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent, QPalette
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from desktop.core.jobs import JobError
from desktop.studios.omics.search_schema import SearchParams, SearchResult, SeriesHit
from desktop.ui import theme
from desktop.ui.itemmodels.geo_hits import ACCESSION, ORGANISM, PLATFORMS, RELEASED, SAMPLES, TITLE, GeoHitsModel
from desktop.ui.itemmodels.geo_hits import hit_page as page_of
from desktop.ui.widgets.empty_state import EmptyState
from desktop.ui.widgets.fitting import FittedColumns
from desktop.ui.widgets.notices import FailureNotice
from desktop.ui.widgets.preview import Preview
from desktop.ui.widgets.table_view import TableView

PAGE = 20
ORGANISMS = ("Any organism", "Human", "Mouse", "Rat", "Zebrafish", "Fruit fly", "Yeast", "Arabidopsis")
ASSAYS = (("RNA-seq or array", "expression"), ("RNA-seq", "rna_seq"), ("Array", "array"), ("Anything", "any"))
_FIRST_YEAR = 2000


class GeoSearchView(QWidget):
    """searched(SearchParams) from the form and the paging; opened(str) an accession to fetch and analyse; closed();
    stopped() while a search runs; retried()."""

    searched = Signal(object)
    opened = Signal(str)
    closed = Signal()
    stopped = Signal()
    retried = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Search GEO")
        self._result: SearchResult | None = None
        self._asked = SearchParams()
        self.words = QLineEdit(placeholderText="asthma dexamethasone", clearButtonEnabled=True)
        self.words.setAccessibleName("Words to search GEO for")
        self.organism = QComboBox(editable=True)
        self.organism.addItems(ORGANISMS)
        self.organism.setAccessibleName("Organism")
        self.assay = QComboBox()
        for title, key in ASSAYS:
            self.assay.addItem(title, key)
        self.assay.setAccessibleName("What was measured")
        self.samples = QSpinBox(minimum=0, maximum=100_000, prefix="≥ ", suffix=" samples")
        self.samples.setSpecialValueText("Any size")
        self.samples.setAccessibleName("Least number of samples")
        self.since = QSpinBox(minimum=_FIRST_YEAR - 1, maximum=datetime.now(UTC).year, prefix="since ")
        self.since.setSpecialValueText("Any year")
        self.since.setAccessibleName("Released since the year")
        self.search = QPushButton("Search", autoDefault=False)
        self.back = QPushButton("Done", autoDefault=False)
        self.back.setToolTip("Back to the library (Esc)")
        self.model = GeoHitsModel(self)
        self.table = TableView("Hits", lambda lines: "\n".join(self.model.hits[n].accession for n in lines))
        self.table.setModel(self.model)
        self.table.setSelectionMode(TableView.SelectionMode.SingleSelection)
        self.table.verticalHeader().setDefaultSectionSize(theme.ROW)
        header = self.table.horizontalHeader()
        header.setStretchLastSection(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(TITLE, QHeaderView.ResizeMode.Stretch)
        for column, width in ((ACCESSION, 96), (SAMPLES, 72), (RELEASED, 92), (ORGANISM, 130), (PLATFORMS, 96)):
            self.table.setColumnWidth(column, width)
        FittedColumns(self.table, TITLE, (PLATFORMS, ORGANISM, RELEASED))
        self.preview = Preview("About the series")
        self.split = QSplitter(Qt.Orientation.Vertical)
        self.split.setHandleWidth(1)
        self.split.setChildrenCollapsible(False)
        self.split.addWidget(self.table)
        self.split.addWidget(self.preview)
        self.split.setStretchFactor(0, 3)
        self.split.setStretchFactor(1, 2)
        self._nothing = EmptyState("Search for words, a disease, a drug, a cell line.", icon="search")
        self._pages = QStackedWidget()
        self._pages.addWidget(self._nothing)
        self._pages.addWidget(self.split)
        self.failure = FailureNotice()
        self.failure.setAccessibleName("Why there is no answer")
        self.failure.hide()
        self.standing = QLabel()
        self.standing.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.standing.setAccessibleName("What was found")
        self.earlier = QPushButton("Earlier", autoDefault=False)
        self.later = QPushButton("More", autoDefault=False)
        self.open_button = QPushButton("Fetch && Analyse", autoDefault=False)
        self.open_button.setToolTip("Fetch the chosen series and plan an analysis (Return)")
        self._lay_out()
        self._listen()
        self.show_idle()

    # ---- states -----------------------------------------------------------------------------------------------------

    def params(self, start: int = 0) -> SearchParams:
        """What is asked, as the form stands."""
        organism = self.organism.currentText().strip()
        return SearchParams(
            text=self.words.text().strip()[:500],
            organism="" if organism == ORGANISMS[0] else organism[:100],
            assay=self.assay.currentData(),
            min_samples=self.samples.value() or None,
            since_year=self.since.value() if self.since.value() >= _FIRST_YEAR else None,
            limit=PAGE,
            start=start,
        )

    def show_searching(self, asked: SearchParams) -> None:
        """A search is under way."""
        self._asked = asked
        self.failure.hide()
        self.search.setText("Stop")
        self.standing.setText("Searching…")
        self._update(is_busy=True)

    def show_idle(self) -> None:
        """No search is under way."""
        self.search.setText("Search")
        self._update(is_busy=False)

    def show_result(self, result: SearchResult) -> None:
        """One page of hits."""
        self._result = result
        self.failure.hide()
        self.model.load(result.hits)
        first, last = result.start + 1, result.start + len(result.hits)
        told = f"{first:,}–{last:,} of {result.total:,}" if result.hits else "Nothing found"
        self.standing.setText(" · ".join([told, *result.notes]))
        self._nothing.set_sentence("No series of GEO matches. Fewer words or wider filters find more.")
        self._pages.setCurrentWidget(self.split if result.hits else self._nothing)
        if result.hits:
            self.table.selectRow(0)
            self.table.setFocus()
        self.show_idle()

    def show_failure(self, error: JobError) -> None:
        """The search did not end well; hits of an earlier one stay."""
        self.standing.setText("")
        self.failure.show_failure(error)
        self.show_idle()

    @property
    def chosen(self) -> SeriesHit | None:
        """The hit that is selected."""
        lines = self.table.selected_lines()
        return self.model.hits[lines[0]] if lines and self._pages.currentWidget() is self.split else None

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        else:
            super().keyPressEvent(event)

    # ---- inside -----------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        self.search.clicked.connect(self._on_search)
        self.words.returnPressed.connect(lambda: self.searched.emit(self.params()))
        self.back.clicked.connect(self.closed)
        self.table.linesSelected.connect(self._on_selected)
        self.table.activated.connect(lambda _index: self._open())
        self.open_button.clicked.connect(self._open)
        self.earlier.clicked.connect(lambda: self._page(-PAGE))
        self.later.clicked.connect(lambda: self._page(PAGE))
        self.failure.retried.connect(self.retried)

    def _on_search(self) -> None:
        if self.search.text() == "Stop":
            self.stopped.emit()
        else:
            self.searched.emit(self.params())

    def _page(self, step: int) -> None:
        if self._result is not None:
            self.searched.emit(self._asked.model_copy(update={"start": max(0, self._result.start + step)}))

    def _on_selected(self) -> None:
        hit = self.chosen
        self.preview.show_markdown(page_of(hit) if hit else "")
        self.open_button.setEnabled(hit is not None)

    def _open(self) -> None:
        if (hit := self.chosen) is not None:
            self.opened.emit(hit.accession)

    def _update(self, *, is_busy: bool) -> None:
        result = self._result
        self.earlier.setEnabled(not is_busy and result is not None and result.start > 0)
        self.later.setEnabled(not is_busy and result is not None and result.start + PAGE < min(result.total, 9_000))
        self.open_button.setEnabled(self.chosen is not None)

    def _lay_out(self) -> None:
        top, filters, foot = QHBoxLayout(), QHBoxLayout(), QHBoxLayout()
        for row in (top, filters, foot):
            row.setContentsMargins(theme.MARGIN, theme.GAP // 2, theme.MARGIN, theme.GAP // 2)
            row.setSpacing(theme.GAP)
        top.addWidget(self.words, 1)
        top.addWidget(self.search)
        top.addWidget(self.back)
        for widget in (self.organism, self.assay, self.samples, self.since):
            filters.addWidget(widget)
        filters.addStretch(1)
        foot.addWidget(self.open_button)
        foot.addWidget(self.standing, 1)
        foot.addWidget(self.earlier)
        foot.addWidget(self.later)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.GAP, 0, theme.GAP // 2)
        layout.setSpacing(0)
        layout.addLayout(top)
        layout.addLayout(filters)
        layout.addWidget(self.failure)
        layout.addWidget(self._pages, 1)
        layout.addLayout(foot)
