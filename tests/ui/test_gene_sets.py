"""The Gene sets tab: a set that is chosen means genes in every tab; filters, pictures, and the reason when there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.ui import theme
from desktop.ui.itemmodels.gene_set_results import GeneSetResults, SetTest
from desktop.ui.itemmodels.run_results import RunResults
from desktop.ui.panels.analyze_gene_sets import GeneSetsTab
from desktop.ui.panels.analyze_results import ResultsView
from desktop.ui.widgets.gene_table import GeneTable
from desktop.ui.widgets.plots.volcano import VolcanoPlot
from tests.ui.analyze_data import make_results

N_SETS = 30


def make_sets(results: RunResults) -> GeneSetResults:
    """Sets of forty genes each over made-up results; every third stands for the next two."""
    rng = np.random.default_rng(5)
    change, padj = results.genes.columns["log2_fold_change"], results.genes.columns["padj"]
    tested = np.flatnonzero(np.isfinite(results.genes.columns["pvalue"]))
    ranked = tested[np.argsort(-np.nan_to_num(change[tested]), kind="stable")]
    place = np.full(len(change), -1)
    place[ranked] = np.arange(len(ranked))
    ids = [f"GO:{k:07d}" for k in range(N_SETS)]
    rows = {one: np.sort(rng.choice(tested, 40, replace=False)) for one in ids}
    tests = {}
    for key in ("up", "down", "both", "ranked"):
        hits = []
        for one in ids:
            called = rows[one][padj[rows[one]] < 0.05]
            side = {"up": change[called] > 0, "down": change[called] < 0}.get(key, np.ones(len(called), dtype=bool))
            hits.append(called[side])
        count = np.array([len(one) for one in hits], dtype=float)
        effect = np.linspace(2, -2, N_SETS) if key == "ranked" else np.linspace(3, 1, N_SETS)
        names = ("leading_edge", "nes") if key == "ranked" else ("hits", "fold_enrichment")
        padjs = np.linspace(0.001, 0.1, N_SETS)
        score = {"es": effect / 3} if key == "ranked" else {}
        tests[key] = SetTest(
            key=key,
            set_ids=tuple(ids),
            names=tuple(f"process {k}" for k in range(N_SETS)),
            collections=tuple("BP" if k % 2 else "CC" for k in range(N_SETS)),
            columns={
                names[0]: count, "set_size": np.full(N_SETS, 40.0), **score, names[1]: effect, "pvalue": padjs / 10,
                "padj": padjs,
            },
            representatives=tuple(ids[k - k % 3] if padjs[k] < 0.05 else "" for k in range(N_SETS)),
            genes=tuple(tuple(results.genes.name(int(row)) for row in one) for one in hits),
        )  # fmt: skip
    places = {one: np.sort(place[rows[one]]) for one in ids}
    return GeneSetResults(
        provenance="Gene Ontology 2022-07-01",
        notes=("The universe is the genes with a p value.",),
        tests=tests,
        rows=rows,
        places=places,
        ranked=ranked,
        stat=np.nan_to_num(change[ranked]),
    )


@pytest.fixture
def view(qtbot: QtBot, qapp: QApplication, tmp_path: Path) -> ResultsView:
    theme.apply_theme(qapp, "light")
    made = ResultsView()
    qtbot.addWidget(made)
    made.resize(1000, 700)
    made.show()
    made.set_results(make_results(tmp_path))
    return made


@pytest.fixture
def tab(view: ResultsView) -> GeneSetsTab:
    """The tab with its sets, asked for when it is first looked at."""
    asked: list[int] = []
    view.geneSetsRequested.connect(lambda: asked.append(1))
    view.show_tab("Gene sets")
    assert asked == [1]
    page = view.page("Gene sets")
    assert isinstance(page, GeneSetsTab)
    results = view.results
    assert results is not None
    view.set_gene_sets(results, make_sets(results))
    return page


def texts(tab: GeneSetsTab, key: str) -> list[str]:
    column = tab.model.keys.index(key)
    return [str(tab.model.index(line, column).data()) for line in range(tab.model.rowCount())]


def test_a_chosen_set_is_selected_in_every_tab(view: ResultsView, tab: GeneSetsTab) -> None:
    tab.view.selectRow(0)
    test = tab.model.test
    assert test is not None
    at = tab.chosen()[0]
    results = view.results
    assert results is not None
    assert {results.genes.name(row) for row in view.selected_rows()} == set(test.genes[at])
    assert test.names[at] in view.selection.text()
    view.show_tab("Volcano")
    volcano = view.page("Volcano")
    assert isinstance(volcano, VolcanoPlot)
    assert set(volcano.selected_rows()) == set(view.selected_rows())
    tab.whole.setChecked(True)
    assert len(view.selected_rows()) == 40


def test_a_double_click_opens_the_genes_and_they_can_be_left_again(view: ResultsView, tab: GeneSetsTab) -> None:
    tab.view.selectRow(2)
    rows = set(view.selected_rows())
    tab.view.doubleClicked.emit(tab.model.index(2, 0))
    assert view.current_tab() == "Table"
    table = view.page("Table")
    assert isinstance(table, GeneTable)
    assert {table.model.row_at(line) for line in range(table.model.rowCount())} == rows
    table.narrowed.click()
    assert table.model.rowCount() == len(table.model.results.gene_ids)


def test_return_opens_the_genes_too(qtbot: QtBot, view: ResultsView, tab: GeneSetsTab) -> None:
    tab.view.selectRow(0)
    tab.view.setFocus()
    qtbot.keyClick(tab, Qt.Key.Key_Return)
    assert view.current_tab() in ("Table", "Gene sets")
    if tab.view.hasFocus():
        assert view.current_tab() == "Table"


def test_filters_narrow_and_sorting_orders(tab: GeneSetsTab) -> None:
    assert tab.only_significant.isChecked()
    n_told = tab.model.rowCount()
    tab.told_once.setChecked(False)
    assert tab.model.rowCount() > n_told
    tab.only_significant.setChecked(False)
    assert tab.model.rowCount() == N_SETS
    tab.collection.setCurrentText("BP")
    assert set(texts(tab, "collection")) == {"BP"}
    tab.collection.setCurrentIndex(0)
    tab.search.setText("process go:0000007")
    tab._filter()
    assert texts(tab, "name") == ["process 7"]
    test = tab.model.test
    assert test is not None
    gene = next(one for genes in test.genes for one in genes)
    tab.search.setText(gene)
    tab._filter()
    assert tab.model.rowCount() >= 1
    assert all(gene in test.genes[int(at)] for at in tab.model.lines())
    tab.search.clear()
    tab._filter()
    tab.model.sort(tab.model.keys.index("hits"), Qt.SortOrder.DescendingOrder)
    hits = [int(one.replace(",", "")) for one in texts(tab, "hits")]
    assert hits == sorted(hits, reverse=True)


def test_pictures_follow_the_test_and_the_choice(tab: GeneSetsTab) -> None:
    assert "sets below 0.05 among genes that go up" in tab.dots.summary()
    tab.show_test("ranked")
    assert tab.figure() is tab.curves
    tab.view.selectRow(3)
    test = tab.model.test
    assert test is not None
    assert test.names[tab.chosen()[0]] in tab.curves.summary()
    tab.dots.setClicked.emit(int(tab.model.lines()[1]))
    assert tab.chosen() == [int(tab.model.lines()[1])]


def test_the_reason_is_told_where_there_are_no_sets(view: ResultsView, tab: GeneSetsTab) -> None:
    results = view.results
    assert results is not None
    view.set_gene_sets(results, GeneSetResults(skipped="the data are of Mus musculus"))
    assert "Mus musculus" in tab.empty.accessibleName()
    assert tab.pages.currentWidget() is tab.empty
    view.set_gene_sets(results, "gene_map.csv.gz of this run is damaged.")
    assert "damaged" in tab.empty.accessibleName()


def test_sets_of_another_run_are_dropped(view: ResultsView, tab: GeneSetsTab, tmp_path: Path) -> None:
    other = make_results(tmp_path / "other")
    view.set_gene_sets(other, GeneSetResults(skipped="of another run"))
    assert "another run" not in tab.empty.accessibleName()


def test_what_is_copied_has_numbers_in_full_and_no_formula(tab: GeneSetsTab) -> None:
    text = tab.model.tsv([0, 1])
    assert text.startswith("Gene set\t")
    assert len(text.splitlines()) == 3
    assert tab.model.index(0, 0).data(Qt.ItemDataRole.AccessibleTextRole).startswith("Gene set ")
    assert tab.model.rowCount(tab.model.index(0, 0)) == 0
    assert tab.model.data(QModelIndex()) is None
