"""The page before the results: question and data, design, plan, run. Shows and collects; the panel does the work."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from desktop.core.jobs import JobError, JobRecord
from desktop.studios.omics.schema import Inspection, Plan, SampleTable
from desktop.ui import theme
from desktop.ui.itemmodels.plan_review import PlanReview
from desktop.ui.widgets.data_summary import DataSummary
from desktop.ui.widgets.design_grid import DesignGrid
from desktop.ui.widgets.empty_state import EmptyState
from desktop.ui.widgets.notices import CautionList, FailureNotice
from desktop.ui.widgets.plan_editor import PlanEditor
from desktop.ui.widgets.run_progress import RunProgress
from desktop.ui.widgets.steps_bar import StepsBar
from desktop.ui.widgets.suggestion import Suggestion

DATA, DESIGN, PLAN, RUN = range(4)
_WIDEST = 980  # pixels of the page's column
_CHECK_MS = 250  # after the last edit, before the plan is looked over


class SetupPage(QWidget):
    """questionAsked(str); planEdited(), a moment after the last edit of plan or samples; runRequested();
    stopRequested(); retried(); openRequested() and sampleRequested() from the empty state; stateChanged() when
    something can be done now that could not before, or the other way round; scriptRequested(): the plan's script is to
    be edited, or one written; offerAccepted(str), recordRequested(str) and modelsRequested() from the failure."""

    questionAsked = Signal(str)
    planEdited = Signal()
    runRequested = Signal()
    stopRequested = Signal()
    retried = Signal()
    openRequested = Signal()
    sampleRequested = Signal()
    stateChanged = Signal()
    scriptRequested = Signal()
    offerAccepted = Signal(str)
    recordRequested = Signal(str)
    modelsRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._has_plan = False
        self._review = PlanReview()
        self._is_busy = False
        self._is_unchecked = False  # edited since it was last looked over
        self._planned = ""  # the question that the plan answers
        self.steps = StepsBar(("Data", "Design", "Plan", "Run"))
        self.steps.stepChosen.connect(self._scroll_to)
        self.question = QLineEdit(
            clearButtonEnabled=True, placeholderText="Which genes does dexamethasone change, accounting for cell line?"
        )
        self.question.setAccessibleName("Question")
        self.question.setFont(theme.scaled(self.font(), 1.15))
        self.question.setMinimumHeight(34)
        self.ask = QPushButton("Plan It", autoDefault=False)
        self.ask.setToolTip("Turn the question into a plan (Return)")
        self.ask.clicked.connect(self._on_ask)
        self.question.returnPressed.connect(self._on_ask)
        self.empty = EmptyState(
            "Drop a table of counts, a folder of GEO files or a results folder here, and ask in one sentence.",
            icon="drop",
            button="Open Data…",
            sample="Try the airway sample",
            is_drop_zone=True,
        )
        self.empty.chosen.connect(self.openRequested)
        self.empty.sampleChosen.connect(self.sampleRequested)
        self.suggestion = Suggestion()
        self.data = DataSummary()
        self.design = DesignGrid()
        self.proposal = QLabel(wordWrap=True)
        self.proposal.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.plan = PlanEditor()
        self.cautions = CautionList()
        self.confirm = QCheckBox("I have read this. Run anyway.")
        self.confirm.hide()
        self.fault = FailureNotice()
        self.fault.setAccessibleName("What is wrong with the plan")
        self.run_button = QPushButton("Run", autoDefault=True)
        self.run_button.setToolTip("Run the analysis")
        self.script_button = QPushButton("Script…", autoDefault=False)
        self.script_button.setToolTip(
            "Edit the script of this plan, or write one or have it written, and run it as your own"
        )
        self.script_button.clicked.connect(self.scriptRequested)
        self.anew = QLabel("The plan answers another question: press Plan It first.")
        self.anew.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.anew.hide()
        self.progress = RunProgress()
        self.failure = FailureNotice()
        self._checking = QTimer(self, singleShot=True, interval=_CHECK_MS)
        self._checking.timeout.connect(self.planEdited)
        self._lay_out()
        self._listen()
        self.show_nothing()

    # ---- states -------------------------------------------------------------------------------------------------

    def show_nothing(self) -> None:
        """No data yet."""
        self._has_plan, self._is_unchecked = False, False
        self._checking.stop()
        for section in self._sections:
            section.hide()
        self.failure.hide()
        self.progress.hide()
        self.empty.show()
        for step in (DESIGN, PLAN, RUN):
            self.steps.set_step(step, "ahead")
        self.steps.set_step(DATA, "here")
        self._update()

    def show_looking(self, name: str) -> None:
        """The data are being read."""
        self.show_nothing()
        self.empty.hide()
        self.steps.set_step(DATA, "here", name)

    def show_inspection(self, found: Inspection) -> None:
        """The data are known; the design can be edited."""
        self.empty.hide()
        self.progress.hide()
        self.failure.hide()
        self.data.show_inspection(found)
        self.design.model.set_table(found.samples)
        texts = [reason.text for reason in found.proposal.reasons]
        self.proposal.setText(" ".join(dict.fromkeys(texts)))
        self.proposal.setVisible(bool(texts))
        self._sections[DATA].show()
        self._sections[DESIGN].setVisible(bool(found.samples.samples))
        size = f"{found.accession} {found.samples.n_wholes} × {found.n_genes:,}".strip()
        self.steps.set_step(DATA, "attention" if any(w.blocks for w in found.warnings) else "done", size)
        self.steps.set_step(DESIGN, "here")
        self._update()

    def show_planning(self) -> None:
        """The question is being read."""
        self._is_busy = True
        self.failure.hide()
        self.steps.set_step(PLAN, "here", "planning")
        self._update()

    def show_plan(self, plan: Plan) -> None:
        """A plan to look over and edit."""
        self._has_plan = True
        self._planned = self.question.text().strip()
        self._is_busy = False
        self.failure.hide()
        self.confirm.setChecked(False)
        self.plan.set_plan(plan, self.design.model.table())
        self._sections[PLAN].show()
        self.show_review(PlanReview(tuple(plan.warnings)))
        self._is_unchecked = True
        self._update()

    def show_review(self, review: PlanReview) -> None:
        """What was found in the plan as it is now."""
        self._review = review
        self._is_unchecked = False
        self.cautions.show_cautions(review.cautions)
        self.confirm.setVisible(review.is_blocked)
        if review.fault is None:
            self.fault.hide()
        else:
            self.fault.show_failure(review.fault, can_retry=False)
        if review.reading or review.counts:
            self.plan.contrasts.set_measured(review.measured)
            self.design.counts.show_counts(review.factors, review.counts, review.reading)
        formula = self.plan.plan().design
        self.steps.set_step(DESIGN, "done" if review.fault is None else "attention", formula)
        contrasts = self.plan.plan().contrasts
        standing = "attention" if review.fault is not None or review.is_blocked else "done"
        shown = f"{len(contrasts)} contrasts" if len(contrasts) > 1 else "".join(map(str, contrasts))
        self.steps.set_step(PLAN, standing, shown)  # type: ignore[arg-type]
        self._update()

    def show_job(self, job: JobRecord) -> None:
        """A job of this page is waiting or running."""
        self._is_busy = True
        self.failure.hide()
        self.progress.show()
        self.progress.show_job(job)
        if job.kind.endswith("run_analysis"):
            self.steps.set_step(RUN, "here", f"{job.done_frac:.0%}")
        elif job.kind.endswith("plan_question"):
            self.steps.set_step(PLAN, "here", "asking a model")
        self._update()

    def show_idle(self) -> None:
        """No job of this page is running."""
        self._is_busy = False
        self.progress.hide()
        self._update()

    def show_failure(self, error: JobError, why_model: str = "") -> None:
        """The last job did not end well; `why_model` says what a model could do where there is none."""
        self.show_idle()
        self.failure.show_failure(error, why_model=why_model)
        self.empty.setVisible(not any(section.isVisibleTo(self) for section in self._sections))
        for step in (PLAN, RUN):
            if self.steps.is_here(step):
                self.steps.set_step(step, "attention")

    # ---- what there is ------------------------------------------------------------------------------------------

    @property
    def has_plan(self) -> bool:
        """Whether a plan is shown."""
        return self._has_plan

    def table(self) -> SampleTable:
        """The samples as edited."""
        return self.design.model.table()

    def can_run(self) -> bool:
        """Whether the plan may run as it is."""
        answered = not self._review.is_blocked or self.confirm.isChecked()
        is_ready = self._has_plan and not self._is_busy and not self._is_unchecked and not self._asks_anew()
        return is_ready and self._review.fault is None and answered

    def _asks_anew(self) -> bool:
        """Whether the question is no longer the one that the plan answers."""
        return self._has_plan and self.question.text().strip() != self._planned

    # ---- inside -------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        self.design.model.tableChanged.connect(self._on_table)
        self.plan.planEdited.connect(self._on_edit)
        self.confirm.toggled.connect(lambda _on: self._update())
        self.question.textChanged.connect(lambda _text: self._update())
        self.run_button.clicked.connect(self.runRequested)
        self.progress.stopRequested.connect(self.stopRequested)
        self.failure.retried.connect(self.retried)
        self.failure.offerAccepted.connect(self.offerAccepted)
        self.failure.recordRequested.connect(self.recordRequested)
        self.failure.modelsRequested.connect(self.modelsRequested)

    def _on_table(self) -> None:
        if self._has_plan:
            self.plan.set_samples(self.design.model.table())
            self._on_edit()

    def _on_edit(self) -> None:
        self._is_unchecked = True
        self.confirm.setChecked(False)
        self._checking.start()
        self._update()

    def _on_ask(self) -> None:
        self.questionAsked.emit(self.question.text().strip())

    def _update(self) -> None:
        self.run_button.setEnabled(self.can_run())
        self.script_button.setEnabled(self._sections[DATA].isVisibleTo(self) and not self._is_busy)
        self.anew.setVisible(self._asks_anew() and not self._is_busy)
        self.ask.setEnabled(not self._is_busy and self._sections[DATA].isVisibleTo(self))
        self.stateChanged.emit()

    def _scroll_to(self, step: int) -> None:
        if step == RUN:
            self.run_button.setFocus(Qt.FocusReason.OtherFocusReason)
            return
        self._scroll.ensureWidgetVisible(self._sections[step], 0, 40)
        self._sections[step].setFocus(Qt.FocusReason.OtherFocusReason)

    def _lay_out(self) -> None:
        self._sections = [
            _section("1 · Data", (self.data,)),
            _section("2 · Design", (self.proposal, self.design)),
            _section("3 · Plan", (self.plan, self.cautions, self.confirm, self.fault)),
        ]
        foot = QHBoxLayout()
        foot.setContentsMargins(theme.MARGIN, theme.GAP, theme.MARGIN, theme.GAP)
        foot.setSpacing(theme.MARGIN)
        foot.addWidget(self.run_button)
        foot.addWidget(self.script_button)
        foot.addWidget(self.anew)
        foot.addWidget(self.progress, 1)
        foot.addStretch()
        self.foot = QFrame()
        self.foot.setAccessibleName("4 · Run")
        self.foot.setLayout(foot)
        ask_row = QHBoxLayout()
        ask_row.addWidget(self.question, 1)
        ask_row.addWidget(self.ask)
        page = QWidget()
        page.setMaximumWidth(_WIDEST)
        column = QVBoxLayout(page)
        column.setContentsMargins(theme.MARGIN, theme.MARGIN, theme.MARGIN, theme.MARGIN)
        column.setSpacing(theme.MARGIN)
        column.addLayout(ask_row)
        column.addWidget(self.empty, 1)
        column.addWidget(self.suggestion)
        for section in self._sections:
            column.addWidget(section)
        column.addStretch()
        outer = QWidget()
        row = QHBoxLayout(outer)
        row.setContentsMargins(0, 0, 0, 0)
        row.addStretch(1)
        row.addWidget(page, 1000)
        row.addStretch(1)
        self._scroll = QScrollArea()
        self._scroll.setWidget(outer)
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        self._scroll.setAccessibleName("Set up the analysis")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.steps)
        layout.addWidget(self._scroll, 1)
        layout.addWidget(self.failure)
        layout.addWidget(_rule())
        layout.addWidget(self.foot)


def _rule() -> QFrame:
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    line.setFrameShadow(QFrame.Shadow.Sunken)
    return line


def _section(title: str, parts: Sequence[QWidget]) -> QWidget:
    section = QWidget()
    section.setAccessibleName(title)
    heading = QLabel(title)
    heading.setFont(theme.scaled(section.font(), 1.08, bold=True))
    column = QVBoxLayout(section)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(theme.GAP)
    column.addWidget(_rule())
    column.addWidget(heading)
    for part in parts:
        column.addWidget(part)
    return section
