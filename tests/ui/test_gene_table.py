"""The gene table: sorted, filtered, copied and exported over arrays, whatever was typed."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QModelIndex, QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.ui.itemmodels.gene_filter import BadFilterError, Condition, parse_filter
from desktop.ui.itemmodels.gene_results import GeneResults, format_p, table_text
from desktop.ui.itemmodels.genes import GeneTableModel
from desktop.ui.widgets.gene_table import GeneTable
from tests.ui.analyze_data import make_genes


@pytest.fixture
def genes() -> GeneResults:
    return make_genes(1000)


@pytest.fixture
def table(qtbot: QtBot, genes: GeneResults) -> GeneTable:
    made = GeneTable()
    qtbot.addWidget(made)
    made.resize(900, 500)
    made.show()
    made.set_results(genes)
    return made


def shown_rows(table: GeneTable) -> list[int]:
    return [int(row) for row in table.model.lines()]


def click_header(qtbot: QtBot, table: GeneTable, key: str) -> None:
    header = table.view.horizontalHeader()
    section = table.model.keys.index(key)
    place = QPoint(header.sectionViewportPosition(section) + 20, header.height() // 2)
    qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=place)


# ---- the filter -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "conditions", "words"),
    [
        pytest.param("", (), (), id="nothing"),
        pytest.param(
            "padj<0.01 lfc>1", (("padj", "<", 0.01, False), ("log2_fold_change", ">", 1.0, False)), (), id="two"
        ),
        pytest.param("|lfc| >= 1.5", (("log2_fold_change", ">=", 1.5, True),), (), id="size, spaced"),
        pytest.param("P<=1e-5, TP53 myc", (("pvalue", "<=", 1e-5, False),), ("tp53", "myc"), id="names and a comma"),
    ],
)
def test_filters_are_read(
    text: str, conditions: tuple[tuple[str, str, float, bool], ...], words: tuple[str, ...]
) -> None:
    read = parse_filter(text)
    assert read.conditions == tuple(Condition(*each) for each in conditions)
    assert read.words == words


@pytest.mark.parametrize("text", ["padj<", "padj<abc", "colour>3", "|lfc>1", "<3", "padj<<1", "__import__('os')>1"])
def test_what_is_no_filter_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(BadFilterError) as caught:
        parse_filter(text)
    assert caught.value.hint


@given(st.text(max_size=60))
def test_any_text_is_a_filter_or_a_bad_filter(text: str) -> None:
    genes = make_genes(20)
    try:
        read = parse_filter(text)
    except BadFilterError:
        return
    assert read.mask(genes.columns, genes.names).shape == (20,)


# ---- the model --------------------------------------------------------------------------------------------------


def test_sorting_matches_the_numbers_and_puts_missing_last_both_ways(qapp: QApplication, genes: GeneResults) -> None:
    model = GeneTableModel()
    model.set_results(genes)
    for column, key in enumerate(model.keys):
        for order in (Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder):
            model.sort(column, order)
            rows = [int(row) for row in model.lines()]
            assert sorted(rows) == list(range(1000))
            if key in genes.columns:
                values = genes.columns[key][rows]
                there = values[np.isfinite(values)]
                assert np.isnan(values[len(there) :]).all()
                steps = np.diff(there)
                assert (steps >= 0).all() if order == Qt.SortOrder.AscendingOrder else (steps <= 0).all()
            else:
                texts = genes.gene_symbols if key == "gene_symbol" else genes.gene_ids
                full = [texts[row].casefold() for row in rows if texts[row]]
                assert full == sorted(full, reverse=order == Qt.SortOrder.DescendingOrder)
                assert not any(texts[row] for row in rows[len(full) :])


def test_missing_padj_shows_its_reason(qapp: QApplication, genes: GeneResults) -> None:
    model = GeneTableModel()
    model.set_results(genes)
    padj = model.keys.index("padj")
    for row, words in ((999, "no reads"), (998, "outlier"), (997, "low mean")):
        line = model.line_of(row)
        assert line is not None
        index = model.index(line, padj)
        assert index.data() == words
        assert index.data(Qt.ItemDataRole.ToolTipRole)
        assert index.data(Qt.ItemDataRole.AccessibleTextRole) == f"Adjusted p {words}"


def test_numbers_are_right_aligned_and_spoken_with_their_column(qapp: QApplication, genes: GeneResults) -> None:
    model = GeneTableModel()
    model.set_results(genes)
    for column, key in enumerate(model.keys):
        index = model.index(3, column)
        right = bool(index.data(Qt.ItemDataRole.TextAlignmentRole) & Qt.AlignmentFlag.AlignRight)
        assert right == (key in genes.columns)
        assert index.data(Qt.ItemDataRole.AccessibleTextRole)
    assert model.data(QModelIndex()) is None


@pytest.mark.parametrize(("value", "text"), [(0.0, "< 1e−300"), (0.05, "0.0500"), (1e-7, "1.00e−07"), (1.0, "1.0000")])
def test_p_values_are_readable(value: float, text: str) -> None:
    assert format_p(value) == text


# ---- the table on screen ----------------------------------------------------------------------------------------


def test_a_click_on_a_header_sorts_and_keeps_the_selection(qtbot: QtBot, table: GeneTable, genes: GeneResults) -> None:
    table.select_rows([7])
    click_header(qtbot, table, "log2_fold_change")
    values = genes.columns["log2_fold_change"][shown_rows(table)]
    assert (np.diff(values[np.isfinite(values)]) >= 0).all()
    click_header(qtbot, table, "log2_fold_change")
    values = genes.columns["log2_fold_change"][shown_rows(table)]
    assert (np.diff(values[np.isfinite(values)]) <= 0).all()
    assert table.selected_rows() == [7]
    assert table.view.selected_lines() == [table.model.line_of(7)]


def test_typing_a_filter_narrows_and_a_bad_one_says_so(qtbot: QtBot, table: GeneTable, genes: GeneResults) -> None:
    qtbot.keyClicks(table.search, "padj<0.01 |lfc|>1")
    with np.errstate(invalid="ignore"):
        wanted = (genes.columns["padj"] < 0.01) & (np.abs(genes.columns["log2_fold_change"]) > 1)
    qtbot.waitUntil(lambda: sorted(shown_rows(table)) == np.flatnonzero(wanted).tolist())
    table.search.setText("padj<")
    qtbot.keyClick(table.search, Qt.Key.Key_Return)
    assert "needs a number" in table.fault()
    assert sorted(shown_rows(table)) == np.flatnonzero(wanted).tolist(), "the last good filter stays"
    qtbot.keyClick(table.search, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: len(shown_rows(table)) == 1000)
    assert table.fault() == ""


def test_significant_only_follows_the_thresholds(table: GeneTable) -> None:
    changed = np.zeros(1000, dtype=bool)
    changed[[3, 5]] = True
    table.set_changed(changed)
    table.only_changed.click()
    assert sorted(shown_rows(table)) == [3, 5]
    changed = changed.copy()
    changed[9] = True
    table.set_changed(changed)
    assert sorted(shown_rows(table)) == [3, 5, 9]
    table.only_changed.click()
    assert len(shown_rows(table)) == 1000


def test_selecting_by_keyboard_tells_rows_of_the_results(qtbot: QtBot, table: GeneTable) -> None:
    told: list[list[int]] = []
    table.rowsSelected.connect(told.append)
    table.view.setFocus()
    table.view.setCurrentIndex(table.model.index(0, 0))
    qtbot.keyClick(table.view, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert told[-1] == shown_rows(table)[:2]


def test_copy_is_tab_separated_with_full_numbers(qtbot: QtBot, table: GeneTable, genes: GeneResults) -> None:
    table.select_rows([2, 4])
    qtbot.keyClick(table.view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    lines = QGuiApplication.clipboard().text().splitlines()
    assert lines[0].split("\t") == table.model.keys
    assert len(lines) == 3
    first = dict(zip(lines[0].split("\t"), lines[1].split("\t"), strict=True))
    assert first["gene_id"] == genes.gene_ids[2]
    assert float(first["log2_fold_change"]) == genes.columns["log2_fold_change"][2]


def test_export_is_inert_in_a_spreadsheet_and_reads_back() -> None:
    ids = ["=cmd|'/c calc'!A1", "+1", "-2", "@x", "\tq", 'a"b,c', "plain"]
    numbers = {name: np.array([math.nan, 1 / 3, 0.0, 1e-300, 5.0, 6.0, 7.0]) for name in ("base_mean", "padj")}
    genes = GeneResults.of(ids, [""] * 7, numbers)
    text = table_text(genes, ["gene_id", "padj"], range(7), separator=",")
    rows = list(csv.reader(io.StringIO(text)))
    assert [row[0][:1] not in "=+-@\t" for row in rows[1:]] == [True] * 7
    assert rows[1][1] == "NA"
    assert float(rows[2][1]) == 1 / 3
    assert rows[6][0] == 'a"b,c'


def test_genes_without_symbols_have_no_symbol_column(qapp: QApplication) -> None:
    model = GeneTableModel()
    model.set_results(GeneResults.of(["A", "B"], ["", ""], {"base_mean": np.array([1.0, 2.0])}))
    assert model.keys == ["gene_id", "base_mean"]
    assert model.rowCount() == 2
