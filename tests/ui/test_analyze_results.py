"""One selection and one pair of thresholds for all tabs; code, log, validation and report shown as plain as they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
    QTableView,
    QToolButton,
)
from pytestqt.qtbot import QtBot

from desktop.core.ports import Finding
from desktop.ui import theme
from desktop.ui.panels.analyze_quality import QualityTab
from desktop.ui.panels.analyze_results import TABS, ResultsView
from desktop.ui.widgets.code_view import CodeView, LogView
from desktop.ui.widgets.file_chip import FileChip
from desktop.ui.widgets.gene_table import GeneTable
from desktop.ui.widgets.plots.volcano import VolcanoPlot
from desktop.ui.widgets.preview import Preview
from tests.ui.analyze_data import make_results


@pytest.fixture
def view(qtbot: QtBot, qapp: QApplication, tmp_path: Path) -> ResultsView:
    theme.apply_theme(qapp, "light")
    made = ResultsView()
    qtbot.addWidget(made)
    made.resize(1000, 700)
    made.show()
    made.set_results(make_results(tmp_path), ["[step 1/8] Read the data", "done"])
    return made


def volcano_of(view: ResultsView) -> VolcanoPlot:
    view.show_tab("Volcano")
    page = view.page("Volcano")
    assert isinstance(page, VolcanoPlot)
    return page


def table_of(view: ResultsView) -> GeneTable:
    view.show_tab("Table")
    page = view.page("Table")
    assert isinstance(page, GeneTable)
    return page


def test_a_click_in_the_plot_selects_in_the_table_and_back(qtbot: QtBot, view: ResultsView) -> None:
    volcano = volcano_of(view)
    volcano.grab()
    qtbot.mouseClick(volcano.plot.viewport(), Qt.MouseButton.LeftButton, pos=volcano.viewport_position(1))
    assert view.selected_rows() == [1]
    assert "GENE1" in view.selection.text()
    table = table_of(view)
    assert table.view.selected_lines() == [table.model.line_of(1)]
    row = table.view.visualRect(table.model.index(4, 1))
    qtbot.mouseClick(table.view.viewport(), Qt.MouseButton.LeftButton, pos=row.center())
    assert volcano_of(view).selected_rows() == (table.model.row_at(4),)


def test_ctrl_click_adds_and_takes_away(qtbot: QtBot, view: ResultsView) -> None:
    volcano = volcano_of(view)
    volcano.grab()
    for row in (1, 2):
        qtbot.mouseClick(
            volcano.plot.viewport(),
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.ControlModifier,
            volcano.viewport_position(row),
        )
    assert view.selected_rows() == [1, 2]
    view.copy_names.click()
    assert QGuiApplication.clipboard().text() == "GENE1\nGENE2"
    qtbot.mouseClick(
        volcano.plot.viewport(),
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.ControlModifier,
        volcano.viewport_position(1),
    )
    assert view.selected_rows() == [2]


def test_thresholds_hold_for_every_tab_and_can_be_reset(qtbot: QtBot, view: ResultsView) -> None:
    results = view.results
    assert results is not None
    table = table_of(view)
    table.only_changed.click()
    assert table.model.rowCount() == results.counts[1]  # type: ignore[index]
    view.strip.lfc.setValue(2.0)
    columns = results.genes.columns
    wanted = int(((columns["padj"] < 0.05) & (np.abs(columns["log2_fold_change"]) >= 2)).sum())
    assert table.model.rowCount() == wanted
    assert f"{wanted:,} genes" in view.strip.live.text()
    assert "not the run’s own" in view.strip.live.text()
    assert sum(volcano_of(view).counts()) == wanted
    view.strip.reset.click()
    assert view.strip.lfc.value() == 0
    assert sum(volcano_of(view).counts()) == results.counts[1]  # type: ignore[index]


def test_the_header_gives_the_answer_and_marks_reduced_isolation(view: ResultsView, tmp_path: Path) -> None:
    results = view.results
    assert results is not None
    assert view.header.headline.text() == results.headline
    for number in results.counts or ():
        assert f"<b>{number:,}</b>" in view.header.numbers.text()
    assert view.header.reduced.isVisible()
    view.set_results(make_results(tmp_path, is_reduced=False))
    assert not view.header.reduced.isVisible()


def test_every_tab_is_built_when_it_is_looked_at(qtbot: QtBot, view: ResultsView) -> None:
    assert view.page("QC") is None
    for name in TABS:
        view.show_tab(name)
        if name == "Files":  # only scripts of one's own have them
            assert view.current_tab() != "Files"
            continue
        page = view.page(name)
        assert page is not None
        if isinstance(page, QualityTab):
            qtbot.waitUntil(page.is_complete)
            assert [figure.accessibleName() for figure in page.figures] == [
                "Library sizes", "Genes detected", "Distances between samples", "Sample clustering", "p-values",
                "Dispersion",
            ]  # fmt: skip
            assert all(figure.summary() for figure in page.figures)


def test_a_run_without_a_test_has_no_volcano(view: ResultsView, tmp_path: Path) -> None:
    from dataclasses import replace

    view.set_results(replace(make_results(tmp_path), counts=None))
    assert not view.tabs.isTabVisible(TABS.index("Volcano"))
    assert view.current_tab() == "PCA"
    view.set_results(make_results(tmp_path))
    assert view.tabs.isTabVisible(TABS.index("Volcano"))


def test_folds_open_one_at_a_time(qtbot: QtBot, view: ResultsView) -> None:
    assert not view.folds.code.isVisible()
    view.open_fold("Code")
    assert view.folds.code.isVisible()
    assert view.folds.code.refused_lines() == [3]
    view.open_fold("Log")
    assert view.folds.log.isVisible()
    assert not view.folds.code.isVisible()
    assert view.folds.log.toPlainText() == "[step 1/8] Read the data\ndone"
    view.open_fold("Log")
    assert not view.folds.log.isVisible()


def test_every_control_has_a_name(qtbot: QtBot, view: ResultsView) -> None:
    for name in TABS:
        view.show_tab(name)
        if isinstance(page := view.page(name), QualityTab):
            qtbot.waitUntil(page.is_complete)
    kinds = (QPushButton, QToolButton, QLineEdit, QComboBox, QSpinBox, QTableView, QPlainTextEdit)
    nameless = [
        widget
        for kind in kinds
        for widget in view.findChildren(kind)
        if not (widget.accessibleName() or getattr(widget, "text", str)())
        and not widget.objectName().startswith("qt_")
        and not isinstance(widget.parent(), QLineEdit)  # Qt's own button that clears
    ]
    assert not nameless


# ---- views ----------------------------------------------------------------------------------------------------------


def test_code_has_line_numbers_and_refusals_at_their_lines(qtbot: QtBot) -> None:
    code = CodeView()
    qtbot.addWidget(code)
    code.resize(400, 200)
    code.show()
    code.set_code("a = 1\nimport os\n" * 50, [Finding("import", 60, 0, "os is not allowed.", "Use pathlib.")])
    assert code.isReadOnly()
    assert code.refused_lines() == [60]
    assert code.textCursor().blockNumber() == 59
    assert "Line 60: os is not allowed." in code.accessibleDescription()
    assert not code.grab().isNull()


def test_code_is_coloured_where_it_is_in_sight(qtbot: QtBot) -> None:
    code = CodeView()
    qtbot.addWidget(code)
    code.resize(400, 200)
    code.show()
    line = """if name == 'a # b\\'c':  # why"""
    code.set_code(f"{line}\n" * 2000)

    def parts(number: int) -> list[str]:
        block = code.document().findBlockByNumber(number)
        return [block.text()[part.start : part.start + part.length] for part in block.layout().formats()]

    coloured = ["if", "'a # b\\'c'", "# why"]
    assert parts(0) == coloured
    assert parts(1500) == []
    code.show_line(1501)
    qtbot.waitUntil(lambda: parts(1500) == coloured)


def test_a_log_shows_control_codes_folds_long_lines_and_is_capped(qtbot: QtBot) -> None:
    log = LogView()
    qtbot.addWidget(log)
    log.add_lines(["\x1b[31mred\x1b[0m\x07", "x" * 50_000, "safe \u202etxt"])
    red, long, turned = log.toPlainText().splitlines()
    assert red == "␛[31mred␛[0m␇"
    assert long.endswith("(48,000 more characters)")
    assert "\u202e" not in turned
    log.add_lines([str(number) for number in range(20_000)])
    assert log.blockCount() <= LogView.MOST_LINES
    assert log.toPlainText().endswith("19999")


def test_a_report_loads_pictures_of_its_own_run_only(qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "run" / "figures").mkdir(parents=True)
    picture = QImage(200, 100, QImage.Format.Format_RGB32)
    picture.fill(Qt.GlobalColor.red)
    picture.save(str(tmp_path / "run" / "figures" / "volcano.png"))
    picture.save(str(tmp_path / "secret.png"))
    browser = Preview()
    qtbot.addWidget(browser)
    browser.show_markdown("# Title\n\n<script>alert(1)</script>\n\n![v](figures/volcano.svg)", tmp_path / "run")
    assert "Title" in browser.toPlainText()
    assert "<script>" in browser.toPlainText(), "markup is shown, not obeyed"
    kind = 2
    assert isinstance(browser.loadResource(kind, QUrl("figures/volcano.svg")), QImage)
    for address in ("https://example.org/volcano.png", "../secret.png", "http://localhost/volcano.png"):
        assert not isinstance(browser.loadResource(kind, QUrl(address)), QImage)


def test_the_folder_is_dragged_as_a_file(qtbot: QtBot, tmp_path: Path) -> None:
    chip = FileChip()
    qtbot.addWidget(chip)
    chip.set_path(tmp_path)
    assert [Path(url.toLocalFile()) for url in chip.drag_data().urls()] == [tmp_path]
    assert str(tmp_path) in chip.accessibleDescription()


def test_values_on_a_log_scale_are_never_called_counts(qtbot: QtBot, view: ResultsView, tmp_path: Path) -> None:
    made = make_results(tmp_path)
    spread = made.spread
    assert spread is not None
    log = replace(
        made,
        plan=made.plan.model_copy(update={"values": "log_intensity"}),
        genes=replace(made.genes, is_log=True),
        spread=replace(spread, kind="variance"),
        quality=tuple(row | dict.fromkeys(("library_size", "size_factor"), float("nan")) for row in made.quality),
    )
    view.set_results(log)
    said: list[str] = []
    for name in TABS:
        view.show_tab(name)
        if isinstance(page := view.page(name), QualityTab):
            qtbot.waitUntil(page.is_complete)
            said += [figure.accessibleName() for figure in page.figures]
    view.select_rows([3])
    table = table_of(view)
    column = table.model.keys.index("base_mean")
    header = [table.model.headerData(column, Qt.Orientation.Horizontal, role) for role in (
        Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole)]  # fmt: skip
    said += [*header, view.selection.text()]
    said += [label.text() for label in view.findChildren(QLabel)]
    assert "Variance" in said
    assert "Mean log₂" in said
    assert "mean log₂ value" in view.selection.text()
    assert not [text for text in said if "counts" in text or "Library" in text or "Dispersion" in text]
