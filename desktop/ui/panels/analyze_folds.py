"""The folds under the results: the script with its refusals, the log, and what was checked. Closed until asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QPushButton, QStackedWidget, QTextBrowser, QToolButton, QVBoxLayout, QWidget

from desktop.ui.itemmodels.run_results import RunResults
from desktop.ui.widgets.code_view import CodeView, LogView

FOLDS = ("Code", "Log", "Validation")


class Folds(QStackedWidget):
    """The pages; `buttons` open and close them and stand wherever the panel puts them.

    editRequested()   a copy of the script is to be edited
    """

    editRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.code, self.log = CodeView(), LogView()
        self.edit = QPushButton("Edit Script…", autoDefault=False)
        self.edit.setToolTip("Change a copy of this script and run it on the same data")
        self.edit.clicked.connect(self.editRequested)
        code = QWidget()
        column = QVBoxLayout(code)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.code, 1)
        column.addWidget(self.edit, 0, Qt.AlignmentFlag.AlignRight)
        self.validation = QTextBrowser()
        self.validation.setOpenLinks(False)
        self.validation.setAccessibleName("Validation")
        self._fill: dict[str, Callable[[], object]] = {}
        self.buttons: dict[str, QToolButton] = {}
        for name, page in zip(FOLDS, (code, self.log, self.validation), strict=True):
            self.addWidget(page)
            button = QToolButton(autoRaise=True)
            button.setCheckable(True)
            button.setText(name)
            button.setArrowType(Qt.ArrowType.RightArrow)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.setAccessibleName(f"{name} of this run")
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(lambda on, name=name: self._on_clicked(name, on=on))
            self.buttons[name] = button
        self.hide()

    def set_results(self, results: RunResults, log: Sequence[str]) -> None:
        """Show a run's script, log and checks; each is filled when it is opened."""
        self._fill = {
            "Code": lambda: self.code.set_code(results.code, results.findings),
            "Log": lambda: self.log.set_lines(log),
            "Validation": lambda: self.validation.setHtml(validation_html(results)),
        }
        for name, opener in self.buttons.items():
            if opener.isChecked():
                self._open(name)

    def _on_clicked(self, name: str, *, on: bool) -> None:
        for other, button in self.buttons.items():
            button.setChecked(on and other == name)
            arrow = Qt.ArrowType.DownArrow if button.isChecked() else Qt.ArrowType.RightArrow
            button.setArrowType(arrow)
        if on:
            self._open(name)
        self.setVisible(on)

    def _open(self, name: str) -> None:
        if (fill := self._fill.pop(name, None)) is not None:
            fill()
        self.setCurrentIndex(FOLDS.index(name))


def validation_html(results: RunResults) -> str:
    """What the policy said, where the script ran, what to be careful about, how long it took."""
    reduced = "<b>Reduced isolation:</b> " if results.is_reduced else ""
    parts = [
        f"<p><b>Policy</b> &nbsp;{escape(results.validation)}</p>",
        f"<p><b>Isolation</b> &nbsp;{reduced}{escape(results.isolation)}.</p>",
    ]
    parts += [
        f"<p>Line {finding.line}: {escape(finding.message)} <i>{escape(finding.remedy)}</i></p>"
        for finding in results.findings
    ]
    if results.cautions:
        items = "".join(f"<li>{escape(text)}</li>" for text in results.cautions)
        parts.append(f"<p><b>Cautions</b></p><ul>{items}</ul>")
    if results.timings:
        times = " · ".join(f"{escape(step)} {seconds:.1f} s" for step, seconds in results.timings.items())
        parts.append(f"<p><b>Time</b> &nbsp;{times}</p>")
    return "".join(parts)
