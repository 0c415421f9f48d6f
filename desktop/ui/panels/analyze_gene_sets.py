"""The Gene sets tab: which sets hold the changed genes, as a table, as dots and as running scores.

It reads nothing itself: `set_gene_sets` brings what a child process read. A set that is chosen means genes, and these
go to the other tabs through `rowsChosen`.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QItemSelection, QItemSelectionModel, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QPalette
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from desktop.ui import theme
from desktop.ui.itemmodels.gene_results import GeneResults
from desktop.ui.itemmodels.gene_set_results import TESTS, GeneSetResults, SetTest
from desktop.ui.itemmodels.gene_sets import GeneSetTableModel
from desktop.ui.widgets.empty_state import EmptyState
from desktop.ui.widgets.fitting import FittedColumns
from desktop.ui.widgets.plots.figure import Figure
from desktop.ui.widgets.plots.gene_sets import N_CURVES, N_DOTS, Curve, Dot, GeneSetDots, RunningScorePlot
from desktop.ui.widgets.segments import Segments
from desktop.ui.widgets.table_view import TableView

_READING = "Reading the gene sets…"


class GeneSetsTab(QWidget):
    """rowsChosen(list[int], str): rows of the results that the chosen sets mean, and how they are called.
    genesOpened(list[int], str): the same, to be shown in the gene table."""

    rowsChosen = Signal(object, str)
    genesOpened = Signal(object, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._sets = GeneSetResults()
        self._genes = GeneResults((), (), {})
        self.setAccessibleName("Gene sets")
        self.empty = EmptyState(_READING, icon="analyze")
        self.model = GeneSetTableModel(self)
        self.about = QLabel(wordWrap=True, textInteractionFlags=Qt.TextInteractionFlag.TextSelectableByMouse)
        self.about.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.about.setContentsMargins(theme.GAP, 4, theme.GAP, 0)
        self.about.setAccessibleName("What was tested")
        self.tests = Segments("Direction")
        self.tests.currentChanged.connect(lambda _at: self._show_test())
        self.search = QLineEdit(clearButtonEnabled=True, placeholderText="Set or gene")
        self.search.setAccessibleName("Filter gene sets")
        self.search.setToolTip("Words of a set's name, its identifier, or one gene that is among its hits")
        self.collection = QComboBox()
        self.collection.setAccessibleName("Where sets are from")
        self.only_significant = QCheckBox("Significant")
        self.only_significant.setToolTip("Only sets with an adjusted p below the run's own threshold")
        self.told_once = QCheckBox("Alike once")
        self.told_once.setToolTip("Leave out sets with mostly the same genes as a surer one")
        self.told_once.setChecked(True)
        self.whole = QCheckBox("Whole set")
        self.whole.setToolTip("Select all tested genes of a set, not only its hits")
        self.whole.toggled.connect(lambda _on: self._tell_chosen())
        self._count = QLabel()
        self.view = TableView("Gene sets", self.model.tsv)
        self.view.setModel(self.model)
        header = self.view.horizontalHeader()
        header.setStretchLastSection(False)
        header.setSectionsClickable(True)
        header.setSortIndicatorShown(True)
        header.sectionClicked.connect(self._on_header_clicked)
        self.view.linesSelected.connect(self._tell_chosen)
        self.view.doubleClicked.connect(lambda _index: self._open_chosen())
        self._is_telling = False
        self.dots, self.curves = GeneSetDots(), RunningScorePlot()
        self.dots.setClicked.connect(self._on_dot)
        self.pictures = QStackedWidget()
        self.pictures.addWidget(self.dots)
        self.pictures.addWidget(self.curves)
        self.which = Segments("Picture", ("Dots", "Running score"))
        self.which.currentChanged.connect(self.pictures.setCurrentIndex)
        self._typing = QTimer(self, singleShot=True, interval=150)
        self._typing.timeout.connect(self._filter)
        self.search.textChanged.connect(lambda _text: self._typing.start())
        self.search.returnPressed.connect(self._filter)
        self.collection.currentIndexChanged.connect(lambda _at: self._filter())
        for box in (self.only_significant, self.told_once):
            box.toggled.connect(lambda _on: self._filter())
        self._lay_out()

    def _lay_out(self) -> None:
        bar = QHBoxLayout()
        bar.setContentsMargins(theme.GAP, 4, theme.GAP, 4)
        bar.setSpacing(theme.GAP)
        bar.addWidget(self.tests)
        bar.addWidget(self.search, 1)
        for widget in (self.collection, self.only_significant, self.told_once, self.whole, self._count):
            bar.addWidget(widget)
        right = QWidget()
        beside = QVBoxLayout(right)
        beside.setContentsMargins(0, 0, 0, 0)
        beside.setSpacing(0)
        beside.addWidget(self.which)
        beside.addWidget(self.pictures, 1)
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.addWidget(self.view)
        self.splitter.addWidget(right)
        self.splitter.setSizes([580, 420])
        self.splitter.setStretchFactor(0, 3)
        self.splitter.setStretchFactor(1, 2)
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.about)
        column.addLayout(bar)
        column.addWidget(self.splitter, 1)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.empty)
        self.pages.addWidget(page)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.pages)

    # ---- what the results view asks -----------------------------------------------------------------------------

    def show_reading(self) -> None:
        """While a child process reads them."""
        self.empty.set_sentence(_READING)
        self.pages.setCurrentIndex(0)

    def show_fault(self, sentence: str) -> None:
        """They could not be read."""
        self.empty.set_sentence(sentence)
        self.pages.setCurrentIndex(0)

    def set_gene_sets(self, sets: GeneSetResults, genes: GeneResults) -> None:
        """Show the gene sets of a run with these genes, or why there are none."""
        self._sets, self._genes = sets, genes
        if not sets.tests:
            why = sets.skipped or "no set has enough of the genes that were tested"
            self.empty.set_sentence(f"No gene sets were tested: {why.rstrip('.')}.")
            self.pages.setCurrentIndex(0)
            return
        self.about.setText(f"{sets.provenance}. {sets.notes[0] if sets.notes else ''}")
        self.about.setToolTip("\n\n".join(sets.notes))
        self.search.clear()
        self._typing.stop()
        self._block(self.tests, self._fill_tests)
        self._block(self.collection, self._fill_collections)
        self._show_test()
        self.pages.setCurrentIndex(1)

    def show_test(self, key: str) -> None:
        """Bring a test to the front: "up", "down", "both" or "ranked"."""
        keys = list(self._sets.tests)
        if key in keys:
            self.tests.setCurrentIndex(keys.index(key))

    def chosen(self) -> list[int]:
        """Places in the test of the sets that are chosen, from the top."""
        return [int(self.model.lines()[line]) for line in self.view.selected_lines()]

    def figure(self) -> Figure:
        """The picture in front."""
        return self.curves if self.pictures.currentIndex() else self.dots

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.view.hasFocus():
            self._open_chosen()
        elif event.key() == Qt.Key.Key_Escape and self.search.text():
            self.search.clear()
        else:
            super().keyPressEvent(event)

    # ---- what is shown ------------------------------------------------------------------------------------------

    def _fill_tests(self) -> None:
        while self.tests.count():
            self.tests.removeTab(0)
        for key, test in self._sets.tests.items():
            n_found = int((test.columns["padj"] < self._sets.alpha).sum())
            self.tests.setTabToolTip(self.tests.addTab(TESTS[key]), f"{n_found:,} sets below {self._sets.alpha:g}")
        found = [key for key, test in self._sets.tests.items() if (test.columns["padj"] < self._sets.alpha).any()]
        self.tests.setCurrentIndex(list(self._sets.tests).index(found[0]) if found else 0)

    def _fill_collections(self) -> None:
        self.collection.clear()
        names = sorted({name for test in self._sets.tests.values() for name in test.collections})
        self.collection.addItems(["All", *names])
        self.collection.setVisible(len(names) > 1)

    def _block(self, widget: Segments | QComboBox, change: object) -> None:
        assert callable(change)
        widget.blockSignals(True)
        change()
        widget.blockSignals(False)

    def _test(self) -> SetTest | None:
        keys = list(self._sets.tests)
        return self._sets.tests[keys[self.tests.currentIndex()]] if 0 <= self.tests.currentIndex() < len(keys) else None

    def _show_test(self) -> None:
        test = self._test()
        if test is None:
            return
        has_found = bool((test.columns["padj"] < self._sets.alpha).any())
        self.only_significant.blockSignals(True)
        self.only_significant.setChecked(has_found)
        self.only_significant.setEnabled(has_found)
        self.only_significant.blockSignals(False)
        self._is_telling = True
        self.model.set_test(test)
        self._is_telling = False
        keys, header = self.model.keys, self.view.horizontalHeader()
        widths = {"genes": 260, "set_id": 110, "collection": 56, "hits": 52, "leading_edge": 68, "set_size": 52}
        for column, key in enumerate(keys):
            self.view.setColumnHidden(column, False)
            self.view.setColumnWidth(column, widths.get(key, 82 if key in ("pvalue", "padj") else 62))
            stretch = QHeaderView.ResizeMode.Stretch if key == "name" else QHeaderView.ResizeMode.Interactive
            header.setSectionResizeMode(column, stretch)
        self.view.sort_indicator(keys.index("padj"), Qt.SortOrder.AscendingOrder)
        self._fit_columns(keys)
        self.which.setCurrentIndex(1 if test.key == "ranked" else 0)
        self._filter()

    def _fit_columns(self, keys: list[str]) -> None:
        for old in self.view.findChildren(FittedColumns):
            self.view.removeEventFilter(old)
            old.deleteLater()
        least = [keys.index(key) for key in ("set_id", "genes", "pvalue", "collection") if key in keys]
        FittedColumns(self.view, keys.index("name"), least).fit()

    def _filter(self) -> None:
        self._typing.stop()
        test = self._test()
        if test is None:
            return
        chosen = self.chosen()
        collection = self.collection.currentText() if self.collection.currentIndex() > 0 else ""
        below = self._sets.alpha if self.only_significant.isChecked() else 1.0
        self._is_telling = True
        self.model.set_filter(self.search.text(), collection, below=below, told_once=self.told_once.isChecked())
        self._is_telling = False
        self._choose(chosen)
        shown, total = self.model.rowCount(), len(test.set_ids)
        self._count.setText(f"{shown:,} of {total:,}" if shown != total else f"{total:,} sets")
        self._draw()

    def _on_header_clicked(self, section: int) -> None:
        chosen = self.chosen()
        self._is_telling = True
        self.model.sort(section, self.view.horizontalHeader().sortIndicatorOrder())
        self._is_telling = False
        self._choose(chosen)
        self._draw()

    def _draw(self) -> None:
        test = self._test()
        if test is None:
            return
        effects, numbers, padj = test.columns[test.effect], test.columns[test.number], test.columns["padj"]
        lines = [int(at) for at in self.model.lines()[:N_DOTS]]
        dots = [
            Dot(at, test.names[at], float(effects[at]), int(numbers[at]), float(padj[at]), _direction(test, at))
            for at in lines
        ]
        is_ranked = test.key == "ranked"
        n_found = int((padj < self._sets.alpha).sum())
        words = {"up": "among genes that go up", "down": "among genes that go down", "both": "among changed genes"}
        told = f"{n_found:,} of {len(padj):,} sets below {self._sets.alpha:g} {words.get(test.key, 'in the ranking')}"
        first = f"; first {dots[0].name}" if dots else ""
        effect = "normalised score" if is_ranked else "fold enrichment"
        self.dots.set_dots(dots, effect=effect, unity=0.0 if is_ranked else 1.0, summary=f"{told}{first}.")
        self._draw_curves()

    def _draw_curves(self) -> None:
        test, ranked = self._test(), self._sets.tests.get("ranked")
        if test is None:
            return
        at = self.chosen() or [int(one) for one in self.model.lines()[:1]]
        place = {set_id: number for number, set_id in enumerate(ranked.set_ids)} if ranked else {}
        curves = []
        for one in at[:N_CURVES]:
            set_id = test.set_ids[one]
            if ranked is None or set_id not in place or not len(self._sets.places.get(set_id, ())):
                continue
            across, up = self._sets.running_score(set_id)
            nes, padj = (float(ranked.columns[name][place[set_id]]) for name in ("nes", "padj"))
            curves.append(Curve(test.names[one], across, up, self._sets.places[set_id], nes, padj))
        self.curves.set_curves(curves, len(self._sets.stat))
        self.dots.select(self.chosen())

    # ---- what is chosen -----------------------------------------------------------------------------------------

    def _choose(self, at: Sequence[int]) -> None:
        chosen, last = QItemSelection(), self.model.columnCount() - 1
        for one in at:
            if (line := self.model.line_of(one)) is not None:
                chosen.select(self.model.index(line, 0), self.model.index(line, last))
        self._is_telling = True
        self.view.selectionModel().select(chosen, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        self._is_telling = False

    def _on_dot(self, at: int) -> None:
        self._choose([at])
        if (line := self.model.line_of(at)) is not None:
            self.view.show_line(line)
        self._tell_chosen()

    def _rows(self) -> tuple[list[int], str]:
        test, at = self._test(), self.chosen()
        if test is None or not at:
            return [], ""
        change, padj = self._genes.columns["log2_fold_change"], self._genes.columns["padj"]
        rows: dict[int, None] = {}
        for one in at:
            found = (
                self._sets.rows[test.set_ids[one]]
                if self.whole.isChecked()
                else self._sets.found_rows(test, one, change, padj)
            )
            rows.update(dict.fromkeys(int(row) for row in found))
        name = test.names[at[0]] if len(at) == 1 else f"{len(at)} gene sets"
        return sorted(rows), name

    def _tell_chosen(self) -> None:
        if self._is_telling or self._test() is None:
            return
        self._draw_curves()
        rows, name = self._rows()
        if rows:
            self.rowsChosen.emit(rows, name)

    def _open_chosen(self) -> None:
        rows, name = self._rows()
        if rows:
            self.genesOpened.emit(rows, name)


def _direction(test: SetTest, at: int) -> int:
    if test.key == "ranked":
        return 1 if test.columns["es"][at] >= 0 else -1
    return {"up": 1, "down": -1}.get(test.key, 0)
