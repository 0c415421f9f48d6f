"""The design grid is a document that can be undone; the plan form says what is asked, and by whom."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from PySide6.QtCore import QItemSelectionModel, QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QInputDialog, QLineEdit
from pytestqt.qtbot import QtBot

from desktop.studios.omics.schema import Caution, Contrast, Plan, Reason, SampleTable
from desktop.ui.itemmodels.plan_review import review_plan
from desktop.ui.itemmodels.samples import SampleTableModel
from desktop.ui.widgets.design_grid import DesignGrid
from desktop.ui.widgets.notices import CautionList
from desktop.ui.widgets.number_fields import AlphaField
from desktop.ui.widgets.plan_editor import PlanEditor

TABLE = SampleTable(
    samples=["s1", "s2", "s3", "s4"],
    factors={"dex": ["untrt", "trt", "untrt", "trt"], "cell": ["a", "a", "b", "b"]},
)


def plan(**parts: Any) -> Plan:
    given = {"design": "~ cell + dex", "contrast": {"factor": "dex", "treated": "trt", "control": "untrt"}} | parts
    return Plan.model_validate(given)


@pytest.fixture
def grid(qtbot: QtBot) -> DesignGrid:
    made = DesignGrid()
    qtbot.addWidget(made)
    made.resize(700, 400)
    made.show()
    made.model.set_table(TABLE)
    return made


@pytest.fixture
def editor(qtbot: QtBot) -> PlanEditor:
    made = PlanEditor()
    qtbot.addWidget(made)
    made.show()
    made.set_plan(plan(reasons=[Reason(about="direction", text="untrt is the control by its name.", by="rule")]), TABLE)
    return made


def cell(grid: DesignGrid, row: int, column: int) -> QPoint:
    return grid.grid.visualRect(grid.model.index(row, column)).center()


def select(grid: DesignGrid, *cells: tuple[int, int]) -> None:
    chosen = grid.grid.selectionModel()
    chosen.clear()
    for row, column in cells:
        chosen.select(grid.model.index(row, column), QItemSelectionModel.SelectionFlag.Select)


# ---- the grid -----------------------------------------------------------------------------------------------------


def test_a_cell_is_edited_by_typing_and_undone(qtbot: QtBot, grid: DesignGrid) -> None:
    qtbot.mouseClick(grid.grid.viewport(), Qt.MouseButton.LeftButton, pos=cell(grid, 0, 1))
    qtbot.mouseDClick(grid.grid.viewport(), Qt.MouseButton.LeftButton, pos=cell(grid, 0, 1))
    box = grid.grid.findChild(QLineEdit)
    assert box is not None
    box.setText("")
    qtbot.keyClicks(box, "vehicle")
    qtbot.keyClick(box, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: grid.model.table().factors["dex"][0] == "vehicle")
    grid.model.undo_stack.undo()
    assert grid.model.table() == TABLE
    grid.model.undo_stack.redo()
    assert grid.model.table().factors["dex"][0] == "vehicle"


def test_a_sample_is_left_out_by_its_box_and_by_the_button(qtbot: QtBot, grid: DesignGrid) -> None:
    box = grid.grid.visualRect(grid.model.index(1, 0))
    qtbot.mouseClick(grid.grid.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(box.left() + 10, box.center().y()))
    assert grid.model.excluded() == ["s2"]
    assert grid.model.table().samples == ["s1", "s3", "s4"]
    select(grid, (1, 0), (2, 0))
    grid.toggle_used()
    assert grid.model.excluded() == ["s2", "s3"]
    grid.toggle_used()
    assert grid.model.excluded() == []
    assert grid.model.index(1, 0).data(Qt.ItemDataRole.AccessibleTextRole) == "s2, used"


def test_paste_fills_cells_from_the_clipboard_and_no_more(qtbot: QtBot, grid: DesignGrid) -> None:
    QGuiApplication.clipboard().setText("x\ty\tz\r\nu\tv\tw\r\n")
    select(grid, (2, 1))
    qtbot.keyClick(grid.grid, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    assert grid.model.table().factors == {"dex": ["untrt", "trt", "x", "u"], "cell": ["a", "a", "y", "v"]}
    grid.model.undo_stack.undo()
    assert grid.model.table() == TABLE


def test_copy_fill_down_and_clear(qtbot: QtBot, grid: DesignGrid) -> None:
    select(grid, (0, 1), (1, 1), (0, 2), (1, 2))
    qtbot.keyClick(grid.grid, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "untrt\ta\ntrt\ta"
    select(grid, (0, 1), (1, 1), (2, 1))
    grid.fill_down()
    assert grid.model.table().factors["dex"] == ["untrt", "untrt", "untrt", "trt"]
    qtbot.keyClick(grid.grid, Qt.Key.Key_Delete)
    assert grid.model.table().factors["dex"] == ["", "", "", "trt"]


def test_columns_are_renamed_added_and_removed(qtbot: QtBot, grid: DesignGrid) -> None:
    header = grid.grid.horizontalHeader()
    middle = QPoint(header.sectionViewportPosition(1) + header.sectionSize(1) // 2, header.height() // 2)
    qtbot.mouseDClick(header.viewport(), Qt.MouseButton.LeftButton, pos=middle)
    dialog = next(top for top in QApplication.topLevelWidgets() if isinstance(top, QInputDialog))
    dialog.setTextValue("treatment")
    dialog.accept()
    assert grid.model.factor_names() == ["treatment", "cell"]
    assert not grid.model.rename_factor(1, "cell"), "a name is used once"
    assert grid.model.add_factor("batch")
    assert not grid.model.add_factor("  ")
    assert grid.model.table().factors["batch"] == ["", "", "", ""]
    grid.model.remove_factor(3)
    assert grid.model.factor_names() == ["treatment", "cell"]
    for _ in range(3):
        grid.model.undo_stack.undo()
    assert grid.model.table() == TABLE


class GridMachine(RuleBasedStateMachine):
    """Whatever is done, undoing all of it gives the table it began with, and redoing gives it back."""

    texts = st.text(max_size=8)

    def __init__(self) -> None:
        super().__init__()
        self.model = SampleTableModel()
        self.model.set_table(TABLE)

    @rule(row=st.integers(-1, 5), column=st.integers(-1, 4), text=texts)
    def paste(self, row: int, column: int, text: str) -> None:
        self.model.paste(row, column, text)

    @rule(row=st.integers(0, 3), used=st.booleans())
    def use(self, row: int, used: bool) -> None:
        self.model.set_used([row], used=used)

    @rule(name=texts)
    def add(self, name: str) -> None:
        self.model.add_factor(name)

    @rule(column=st.integers(0, 4))
    def remove(self, column: int) -> None:
        self.model.remove_factor(column)

    @precondition(lambda self: self.model.factor_names())
    @rule(name=texts)
    def rename(self, name: str) -> None:
        self.model.rename_factor(1, name)

    @rule()
    def undo_one(self) -> None:
        self.model.undo_stack.undo()

    @invariant()
    def everything_can_be_undone_and_redone(self) -> None:
        stack = self.model.undo_stack
        at, now, out = stack.index(), self.model.whole_table(), self.model.excluded()
        stack.setIndex(0)
        assert self.model.whole_table() == TABLE
        assert not self.model.excluded()
        stack.setIndex(at)
        assert (self.model.whole_table(), self.model.excluded()) == (now, out)


@pytest.mark.usefixtures("qapp")
class TestGrid(GridMachine.TestCase):  # type: ignore[name-defined,misc]
    settings = settings(max_examples=25, stateful_step_count=15, deadline=None)


# ---- the plan -------------------------------------------------------------------------------------------------------


def test_swap_turns_the_direction_and_says_by_whom(qtbot: QtBot, editor: PlanEditor) -> None:
    with qtbot.waitSignal(editor.planEdited):
        editor.contrasts.swap.click()
    assert editor.plan().contrast == Contrast(factor="dex", treated="untrt", control="trt")
    assert (editor.contrasts.treated.currentText(), editor.contrasts.control.currentText()) == ("untrt", "trt")
    assert [(r.about, r.by) for r in editor.plan().reasons] == [("direction", "person")]


def test_every_field_reaches_the_plan(qtbot: QtBot, editor: PlanEditor) -> None:
    editor.design.setFocus()
    editor.design.selectAll()
    qtbot.keyClicks(editor.design, "~ dex")
    editor.alpha.setValue(0.01)
    editor.lfc.setValue(1.0)
    editor.min_count.setValue(10)
    editor.n_top.setValue(300)
    editor.n_heatmap.setValue(30)
    editor.kind.setCurrentIndex(editor.kind.findData("pca"))
    editor.isolation.setCurrentIndex(editor.isolation.findData("os"))
    made = editor.plan()
    assert (made.design, made.alpha, made.lfc_threshold, made.min_total_count) == ("~ dex", 0.01, 1.0, 10)
    assert (made.n_top_genes, made.n_heatmap_genes, made.kind) == (300, 30, "pca")
    assert editor.isolation_wish() == "os"
    assert Plan.model_validate(made.model_dump()) == made


def test_another_factor_offers_its_levels(editor: PlanEditor) -> None:
    editor.contrasts.factor.setCurrentText("cell")
    assert editor.plan().contrast == Contrast(factor="cell", treated="b", control="a")
    assert [editor.contrasts.treated.itemText(at) for at in range(editor.contrasts.treated.count())] == ["a", "b"]


def test_levels_are_kept_by_choice(editor: PlanEditor) -> None:
    part = editor.keep.menu().actions()[1].menu()
    assert part is not None
    part.actions()[1].trigger()
    assert editor.plan().keep == {"cell": ["a"]}
    assert editor.keep.text() == "cell: a"


def test_showing_a_plan_is_not_an_edit(qtbot: QtBot, editor: PlanEditor) -> None:
    with qtbot.assertNotEmitted(editor.planEdited):
        editor.set_plan(plan(alpha=0.1), TABLE)
    assert editor.plan() == plan(alpha=0.1)


@pytest.mark.parametrize(
    ("start", "steps", "end"), [(0.05, 1, 0.1), (0.05, -1, 0.02), (0.01, -1, 0.005), (1e-9, 2, 5e-9)]
)
def test_alpha_steps_through_1_2_5(qapp: QApplication, start: float, steps: int, end: float) -> None:
    field = AlphaField("p")
    field.setValue(start)
    field.stepBy(steps)
    assert field.value() == pytest.approx(end)


def test_alpha_takes_scientific_text_and_no_nonsense(qtbot: QtBot) -> None:
    field = AlphaField("p")
    qtbot.addWidget(field)
    field.selectAll()
    qtbot.keyClicks(field, "1e-12")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert field.value() == pytest.approx(1e-12)
    field.selectAll()
    qtbot.keyClicks(field, "seven")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert field.value() == pytest.approx(1e-12)


# ---- the review -----------------------------------------------------------------------------------------------------


def test_a_review_says_what_the_design_means_and_counts_levels() -> None:
    review = review_plan(plan(), TABLE)
    assert review.fault is None
    assert "dex" in review.reading
    assert review.factors == ("cell", "dex")
    assert review.counts == {("a", "untrt"): 1, ("a", "trt"): 1, ("b", "untrt"): 1, ("b", "trt"): 1}


@pytest.mark.parametrize("design", ["~ nothing + dex", "cell +", "~ cell + dex + missing"])
def test_a_plan_that_cannot_run_is_a_fault_in_words(design: str) -> None:
    review = review_plan(plan(design=design), TABLE)
    assert review.fault is not None
    assert review.fault.hint


def test_blocking_cautions_come_first(qtbot: QtBot) -> None:
    shown = CautionList()
    qtbot.addWidget(shown)
    shown.show_cautions([Caution(code="a", text="careful <b>"), Caution(code="b", text="stop", blocks=True)])
    assert shown.accessibleDescription() == "stop careful <b>"
    assert "&lt;b&gt;" in shown.text()
    shown.show_cautions([])
    assert shown.isHidden()
