"""The page of a script: edit, run, read what went wrong. Shows and collects; `ScriptDesk` asks for the jobs.

It also shows the record of a run that failed: script with its refusals, log, diagnosis, repairs tried. What is edited
there runs as a script of one's own, never as Benchtop's.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSplitter,
    QTabWidget,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from desktop.core.jobs import JobError, JobRecord
from desktop.core.ports import Finding
from desktop.studios.omics.schema import ScriptTry
from desktop.ui import theme
from desktop.ui.itemmodels.script_tries import tries_html, tries_words
from desktop.ui.widgets.code_editor import CodeEditor
from desktop.ui.widgets.code_view import LogView
from desktop.ui.widgets.notices import FailureNotice
from desktop.ui.widgets.run_progress import RunProgress
from desktop.ui.widgets.script_request import ScriptRequest

ISOLATIONS = (("Container", "docker"), ("System’s own sandbox (reduced isolation)", "os"))


class ScriptPage(QWidget):
    """runRequested(), stopRequested(), closed(); offerAccepted(str): the code of a repair the person agrees to."""

    runRequested = Signal()
    stopRequested = Signal()
    closed = Signal()
    offerAccepted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: tuple[str, tuple[ScriptTry, ...]] = ("", ())
        self.setAccessibleName("Script")
        self.heading = QLabel(wordWrap=True)
        self.heading.setFont(theme.scaled(self.font(), 1.2, bold=True))
        self.about = QLabel(wordWrap=True)
        self.about.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.question = QLineEdit(placeholderText="What does the script answer? Its title in the Library")
        self.question.setAccessibleName("Title")
        self.request = ScriptRequest()
        self.editor = CodeEditor()
        self.log = LogView()
        self.notes = QTextBrowser()
        self.notes.setOpenLinks(False)
        self.notes.setAccessibleName("What was refused and tried")
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(self.log, "Log")
        self.tabs.addTab(self.notes, "Checks")
        self.tries = QTextBrowser()
        self.tries.setOpenLinks(False)
        self.tries.setAccessibleName("What the model changed, try by try")
        self.tabs.addTab(self.tries, "Model")
        self.failure = FailureNotice()
        self.failure.retried.connect(self.runRequested)
        self.failure.offerAccepted.connect(self.offerAccepted)
        self.run_button = QPushButton("Run Script", autoDefault=False)
        self.run_button.setToolTip("Check the script, then run it in isolation")
        self.run_button.clicked.connect(self.runRequested)
        self.isolation = QComboBox()
        self.isolation.setAccessibleName("Where it runs")
        for words, wish in ISOLATIONS:
            self.isolation.addItem(words, wish)
        self.progress = RunProgress()
        self.progress.stopRequested.connect(self.stopRequested)
        self.back = QPushButton("Back", autoDefault=False)
        self.back.clicked.connect(self.closed)
        self._lay_out()
        self.show_idle()

    def show_script(self, heading: str, about: str, question: str, code: str) -> None:
        """A script to be edited."""
        self.heading.setText(heading)
        self.about.setText(about)
        self.about.setVisible(bool(about))
        self.question.setText(question)
        self.editor.set_code(code)
        self.log.set_lines(())
        self.notes.clear()
        self.tries.clear()
        self.tabs.setTabVisible(self.tabs.indexOf(self.tries), False)
        self.request.say("")
        self.request.set_failed(can_mend=False)
        self.failure.hide()
        self.tabs.setCurrentWidget(self.log)
        self.show_idle()

    def show_job(self, job: JobRecord) -> None:
        """The script is waiting or running."""
        self.failure.hide()
        self.progress.show()
        self.progress.show_job(job)
        self.isolation.hide()
        self.run_button.setEnabled(False)
        self.request.set_busy(is_busy=True)

    def show_idle(self) -> None:
        """Nothing of this page is running."""
        self.progress.hide()
        self.isolation.show()
        self.run_button.setEnabled(True)
        self.request.set_busy(is_busy=False)

    def show_draft(self, before: str, tries: Sequence[ScriptTry]) -> None:
        """What a model wrote in place of `before`: in the editor, refusals at their lines, the change beside it."""
        self.show_idle()
        self.failure.hide()
        self.request.set_failed(can_mend=False)
        last = tries[-1]
        self._shown = (before, tuple(tries))
        self.editor.set_code(last.script, [Finding(**one) for one in last.findings])
        self.request.say(tries_words(before, tries), can_take_back=True)
        self._paint_tries()
        self.tabs.setTabVisible(self.tabs.indexOf(self.tries), True)
        self.tabs.setCurrentWidget(self.tries)

    def take_back(self, before: str) -> None:
        """The script as it was before the model wrote."""
        self.editor.set_code(before)
        self.tabs.setTabVisible(self.tabs.indexOf(self.tries), False)
        self.request.say("")

    def show_failure(
        self, error: JobError, findings: Sequence[Finding] = (), repairs: Sequence[dict[str, Any]] = ()
    ) -> None:
        """Why it did not run to its end; refusals stand at their lines."""
        self.show_idle()
        self.failure.show_failure(error, can_retry=False)
        if findings:
            self.editor.set_code(self.editor.code(), findings)
        elif (line := error.details.get("line", "")).isdecimal() and int(line):
            self.editor.show_line(int(line))
        self.notes.setHtml(checks_html(findings, repairs))
        self.tabs.setCurrentWidget(self.notes if findings or repairs else self.log)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self._shown[1]:
            self._paint_tries()

    def _paint_tries(self) -> None:
        ink = theme.plot_colours(self.palette())
        self.tries.setHtml(tries_html(*self._shown, added=ink.up, removed=ink.down))

    def isolation_wish(self) -> str:
        """Where the person wants it to run; a container unless another was chosen."""
        return str(self.isolation.currentData())

    def _lay_out(self) -> None:
        head = QVBoxLayout()
        head.setContentsMargins(theme.MARGIN, theme.GAP, theme.MARGIN, theme.GAP)
        head.setSpacing(theme.GAP)
        for widget in (self.heading, self.about, self.question, self.request):
            head.addWidget(widget)
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(self.editor)
        split.addWidget(self.tabs)
        split.setStretchFactor(0, 3)
        split.setStretchFactor(1, 1)
        foot = QHBoxLayout()
        foot.setContentsMargins(theme.MARGIN, theme.GAP, theme.MARGIN, theme.GAP)
        foot.setSpacing(theme.GAP)
        foot.addWidget(self.run_button)
        foot.addWidget(self.isolation)
        foot.addWidget(self.progress, 1)
        foot.addStretch()
        foot.addWidget(self.back)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(split, 1)
        layout.addWidget(self.failure)
        layout.addLayout(foot)


def checks_html(findings: Sequence[Finding], repairs: Sequence[dict[str, Any]]) -> str:
    """What the policy refused at which line, and which repairs were made before."""
    parts = [
        f"<p><b>Line {one.line}</b> &nbsp;{escape(one.message)} <i>{escape(one.remedy)}</i></p>" for one in findings
    ]
    for one in repairs:
        words = {name: escape(str(one.get(name, ""))) for name in ("what", "why", "before", "after")}
        parts.append(
            f"<p><b>Repaired</b> &nbsp;{words['what']} {words['why']}<br>Before: {words['before']}<br>"
            f"Then: {words['after']}</p>"
        )
    return "".join(parts) or "<p>Nothing was refused, and nothing was repaired.</p>"
