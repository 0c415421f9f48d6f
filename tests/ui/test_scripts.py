"""A script in the window: from a plan, a run or a failure into the editor, refused at its lines, what it left shown."""

from __future__ import annotations

import json
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

from desktop.core.jobs import JobError
from desktop.core.ports import Finding, Verdict
from desktop.studios.omics.errors import AnalysisFailedError
from desktop.studios.omics.failed_run import FailedRun, add_diagnosis, keep_failed_run
from desktop.ui.frame import Frame
from desktop.ui.itemmodels.outputs import read_output
from desktop.ui.itemmodels.run_results import Output
from desktop.ui.panels.analyze_results import TABS
from desktop.ui.widgets.code_editor import CodeEditor
from desktop.ui.widgets.notices import FailureNotice
from desktop.ui.widgets.outputs_view import OutputsView
from tests.stand_ins.script_run import script_run
from tests.ui.conftest import Run, until
from tests.ui.test_analyze import panel_of

OFFER = {
    "code": "drop_term:plate",
    "what": "Leave plate out of the design.",
    "why": "Whatever differs between levels of plate is then taken for an effect of arm.",
    "before": "~ plate + arm",
    "after": "~ arm",
}


def leave(folder: Path) -> None:
    """A table, a picture, two drawings of which one reaches outside, a text."""
    (folder / "counts_by_arm.csv").write_text("arm,reads\nctrl,10\ndrug,<b>20</b>\n")
    image = QImage(40, 30, QImage.Format.Format_RGB32)
    image.fill(Qt.GlobalColor.red)
    image.save(str(folder / "bars.png"))
    drawing = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"><rect width="20" height="10" {}/></svg>'
    (folder / "good.svg").write_text(drawing.format('fill="blue"'))
    (folder / "outside.svg").write_text(drawing.format('fill="url(file:///etc/passwd)"'))
    (folder / "note.txt").write_text("only words")


def test_what_a_script_left_is_shown_as_what_it_is(frame: Frame, run: Run[None], tmp_path: Path) -> None:
    out = script_run(tmp_path / "out", leave, log="said")
    panel = panel_of(frame)

    async def look() -> None:
        panel.open_run(str(out))
        await until(lambda: panel.runs.is_in_front, "results")
        view = panel.runs.view
        assert view is not None
        shown = [name for at, name in enumerate(TABS) if view.tabs.isTabVisible(at)]
        assert shown == ["Files", "Report"]
        page = view.page("Files")
        assert isinstance(page, OutputsView)
        names = [page.files.item(row).text() for row in range(page.files.count())]
        assert names == ["bars.png", "counts_by_arm.csv", "good.svg", "note.txt", "outside.svg"]
        for row, wanted in enumerate((page.picture, page.table, page.picture, page.text, page.nothing)):
            page.files.setCurrentRow(row)
            await until(lambda wanted=wanted: page.pages.currentWidget() is wanted, names[row])  # type: ignore[misc]
            if wanted is page.table:
                assert page.model.tsv([1]) == "drug\t<b>20</b>"
        assert "outside itself" in page.nothing.text()
        view.folds.editRequested.emit()
        await until(lambda: panel.desk.is_in_front, "the editor")
        assert panel.desk.page is not None
        assert panel.desk.page.editor.code() == "x = 1\n"
        panel.desk.page.back.click()
        assert panel.runs.is_in_front

    run(look())


def test_a_refused_script_is_marked_and_can_be_changed(frame: Frame, run: Run[None], tmp_path: Path) -> None:
    out = script_run(tmp_path / "out", leave, script=b"import pandas\nimport socket\n")
    panel = panel_of(frame)

    async def try_it() -> None:
        panel.open_run(str(out))
        await until(lambda: panel.runs.is_in_front, "results")
        panel.actions()  # what the menus ask
        assert panel.runs.view is not None
        panel.runs.view.scriptRequested.emit()
        page = panel.desk.page
        assert page is not None
        assert "ui.run" in panel.actions()
        panel.actions()["ui.run"]()
        await until(lambda: page.failure.text(), "the refusal")
        assert page.editor.refused_lines() == [2]
        assert "Line 2" in page.notes.toPlainText()
        page.editor.moveCursor(page.editor.textCursor().MoveOperation.End)
        page.editor.insertPlainText("# changed\n")
        assert page.editor.refused_lines() == []
        panel.open_run(page.failure.folder)
        await until(lambda: "record" in page.about.text(), "the record")
        assert page.editor.code() == "import pandas\nimport socket\n"
        assert page.editor.refused_lines() == [2]

    run(try_it())


def test_the_record_of_a_failed_run_tells_all(frame: Frame, run: Run[None], tmp_path: Path) -> None:
    record = tmp_path / "record"
    finding = Finding("import", 2, 0, "os is not needed.", "Leave it out.")
    keep_failed_run(
        record,
        FailedRun("nobody", "a = 1\nimport os\n", "[step 1/2] Read\nboom", "template", {}, Verdict(False, (finding,))),
    )
    add_diagnosis(record, AnalysisFailedError("It boomed.", hint="Do not."), [OFFER | {"asks": False}])
    panel = panel_of(frame)

    async def look() -> None:
        panel.open_run(str(record))
        await until(lambda: panel.desk.is_in_front, "the record")
        page = panel.desk.page
        assert page is not None
        assert page.log.toPlainText().endswith("boom")
        assert "It boomed." in page.failure.text()
        assert page.editor.refused_lines() == [2]
        assert "Leave plate out of the design." in page.notes.toPlainText()

    run(look())


def test_a_repair_that_waits_is_a_button_that_says_what_changes(qtbot: QtBot) -> None:
    notice = FailureNotice()
    qtbot.addWidget(notice)
    details = {"offers": json.dumps([OFFER]), "record": "/kept"}
    notice.show_failure(JobError("omics.confounded", "It cannot be told apart.", "Leave one out.", details=details))
    (button,) = notice.offers
    assert button.text() == "~ plate + arm → ~ arm"
    with qtbot.waitSignal(notice.offerAccepted) as agreed:
        button.click()
    assert agreed.args == ["drop_term:plate"]
    with qtbot.waitSignal(notice.recordRequested) as asked:
        notice.record.click()
    assert asked.args == ["/kept"]
    notice.show_failure(JobError("x", "Other.", "Nothing."))
    assert notice.offers == []
    assert notice.record.isHidden()


def test_the_editor_writes_python(qtbot: QtBot) -> None:
    editor = CodeEditor()
    qtbot.addWidget(editor)
    editor.show()
    editor.set_code("if x:", [Finding("r", 1, 0, "No.", "Yes.")])
    assert editor.refused_lines() == [1]
    editor.moveCursor(editor.textCursor().MoveOperation.End)
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.keyClicks(editor, "y = 1")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.keyClick(editor, Qt.Key.Key_Tab)
    qtbot.keyClicks(editor, "z")
    assert editor.code() == "if x:\n    y = 1\n        z\n"
    assert editor.refused_lines() == []


def test_nothing_outside_the_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    shown = read_output(tmp_path / "out", Output("../secret.txt", "text", 6))
    assert "secret" not in shown.text
    assert shown.note
