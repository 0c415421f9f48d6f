"""Analyze: from data and a question to results, on one page and then in tabs. Asks jobs and queries; computes nothing.

What is finished is shown by `analyze_runs`. Importing this imports neither numpy nor pyqtgraph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from desktop.core.errors import AppError
from desktop.core.jobs import JobError, JobRecord, JobState
from desktop.studios.omics import queries
from desktop.studios.omics.batch_schema import BATCH_FILE
from desktop.studios.omics.schema import AnalysisParams, Caution, Inspection, InspectParams, Plan
from desktop.ui.bridge import Bridge
from desktop.ui.itemmodels.comparison import COMPARISON_FILE
from desktop.ui.itemmodels.names import data_title
from desktop.ui.itemmodels.plan_review import cautions_of, plan_question, review_plan, to_fault
from desktop.ui.panels import Panel
from desktop.ui.panels.analyze_desk import ScriptDesk
from desktop.ui.panels.analyze_gene_files import GeneSetFiles, is_gene_sets
from desktop.ui.panels.analyze_reader import PLAN as READ
from desktop.ui.panels.analyze_reader import ModelReader
from desktop.ui.panels.analyze_runs import RunPages
from desktop.ui.panels.analyze_setup import SetupPage
from desktop.ui.panels.analyze_templates import PlanTemplates
from desktop.ui.panels.consent import ask_consent, can_ask, not_fetched
from desktop.ui.widgets.banner import Notice

if TYPE_CHECKING:
    from desktop.ui.itemmodels.run_results import RunResults
    from desktop.ui.panels.analyze_results import ResultsView

WARM_UP_MS = 700  # after the panel is first seen
INSPECT, ANALYSE = "omics.inspect_data", "omics.run_analysis"


class AnalyzePanel(Panel):
    """One analysis at a time: a page to set it up, a view of its results."""

    def __init__(self, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._data, self._sheet = "", ""
        self._allow_net = False
        self._accepted: list[str] = []  # codes of repairs
        self._inspection: Inspection | None = None
        self._made_with: tuple[Caution, ...] | None = None  # cautions the plan came with; None until it was looked over
        self._wanted: Plan | None = None  # a plan to show once the data have been looked at again
        self._job_id, self._job_kind = "", ""
        self._retry: Callable[[], object] = lambda: None
        self._turn = 0  # answers to older questions are dropped
        self.setAccessibleName("Analyze")
        self.setup = SetupPage()
        self.pages = QStackedWidget()
        self.pages.addWidget(self.setup)
        self.runs = RunPages(bridge, self.pages, self)
        self.exports = self.runs.exports
        self.exports.noticed.connect(self.noticed)
        self.runs.shown.connect(self._on_shown)
        self.runs.inspected.connect(self.inspected)
        self.runs.failed.connect(self._on_run_failed)
        self.runs.planRequested.connect(self.back_to_plan)
        self.runs.closed.connect(self._show_setup)
        self.runs.batch.dataOpened.connect(self._open_with_question)
        self.desk = ScriptDesk(bridge, self.pages, self)
        self.desk.shown.connect(self._on_shown)
        self.desk.finished.connect(self.runs.open)
        self.desk.failed.connect(lambda error: self.noticed.emit(Notice.of(error)))
        self.desk.closed.connect(self._leave_script)
        self.desk.changed.connect(self.actionsChanged)
        self.runs.scriptRequested.connect(self._edit_run)
        self.reader = ModelReader(bridge, self)
        self.reader.planned.connect(self._show_plan)
        self.reader.failed.connect(self.setup.show_failure)
        self.setup.modelsRequested.connect(lambda: self.commanded.emit("ui.go_models"))
        self.desk.modelsRequested.connect(lambda: self.commanded.emit("ui.go_models"))
        self.templates = PlanTemplates(bridge, self, self.setup.suggestion)
        self.templates.planReady.connect(self._show_given_plan)
        self.templates.noticed.connect(self.noticed)
        self.setup.suggestion.runOpened.connect(self.runs.open)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.pages)
        self.setup.questionAsked.connect(self.ask)
        self.setup.planEdited.connect(lambda: self._bridge.start(self._review()))
        self.setup.runRequested.connect(self.run)
        self.setup.stopRequested.connect(self.stop)
        self.setup.scriptRequested.connect(self._edit_plan)
        self.setup.offerAccepted.connect(self.run)
        self.setup.recordRequested.connect(lambda record: bridge.start(self.desk.show_failed(record)))
        self.setup.retried.connect(lambda: self._retry())
        self.setup.openRequested.connect(lambda: self.commanded.emit("ui.open_file"))
        self.setup.sampleRequested.connect(self.try_sample)
        self.setup.design.model.undo_stack.indexChanged.connect(self.actionsChanged)
        self.setup.stateChanged.connect(self.actionsChanged)
        self.gene_sets = GeneSetFiles(bridge, self.setup.plan, self)
        self.gene_sets.noticed.connect(self.noticed)
        self._warming = QTimer(self, singleShot=True, interval=WARM_UP_MS)
        self._warming.timeout.connect(lambda: self._bridge.start(self.runs.prepare()))
        bridge.jobChanged.connect(self._on_job)
        bridge.jobLogged.connect(self._on_logged)

    # ---- what the frame asks ------------------------------------------------------------------------------------

    def open_data(self, data: str, samples: str = "") -> None:
        """Look at data: a file, a folder, an accession; a results folder is shown as results."""
        if is_gene_sets(data):
            self.gene_sets.add(data)
            return
        if any((Path(data) / name).is_file() for name in ("manifest.json", COMPARISON_FILE, BATCH_FILE)):
            self.open_run(data)
            return
        self._data, self._sheet, self._inspection, self._wanted = data, samples, None, None
        self.runs.forget_pending()
        self._allow_net = False
        self._start_looking()

    def open_run(self, run: str, tab: str = "") -> None:
        """Show a finished run, by its id or its folder, a comparison of two or a failed run's record by its folder."""
        if queries.is_failed_run(Path(run)):
            self._bridge.start(self.desk.show_failed(run))
            return
        if not (Path(run) / COMPARISON_FILE).is_file():
            self._data, self._sheet, self._inspection = "", "", None
            self.setup.show_nothing()
        self.runs.open(run, tab)

    def _open_with_question(self, data: str, question: str) -> None:
        self.setup.question.setText(question)
        self.open_data(data)

    def new_analysis(self) -> None:
        """Begin with nothing."""
        self._turn += 1
        self.runs.forget_pending()
        self._data, self._sheet, self._inspection, self._job_id = "", "", None, ""
        self.templates.forget()
        self.reader.forget()
        self.setup.show_idle()
        self.setup.show_nothing()
        self.setup.question.clear()
        self._show_setup()

    def try_sample(self) -> None:
        """The dataset that comes with Benchtop, and its question."""
        sample = queries.sample_dataset()
        self.setup.question.setText(sample.question)
        self.open_data(str(sample.data), str(sample.samples))

    def actions(self) -> dict[str, Callable[[], object]]:  # type: ignore[override]
        """Handlers of the commands that make sense now."""
        stack = self.setup.design.model.undo_stack
        in_results, in_setup = self.runs.is_in_front, self.pages.currentWidget() is self.setup
        possible: dict[str, tuple[bool, Callable[[], object]]] = {
            "ui.run": (self.desk.is_in_front or (in_setup and self.setup.can_run()), self._run_front),
            "ui.stop": (bool(self._job_id) or self.desk.is_working, self.stop),
            "ui.rerun": (in_results and (self._inspection is not None or self._is_script()), self._run_again),
            "ui.export_run": (in_results, self.exports.ask_for_folder),
            "ui.export_archive": (in_results, partial(self.exports.ask_for_folder, as_zip=True)),
            "ui.compare_runs": (in_results, self.exports.ask_for_other_run),
            "ui.reveal_files": (self.runs.folder is not None, self.runs.reveal),
            "ui.save_template": (in_results or (in_setup and self.setup.has_plan), self._keep_plan),
            "ui.use_template": (in_results or in_setup, self._choose_template),
            "ui.find": (in_results, self._find),
            "ui.undo": (in_setup and stack.canUndo(), stack.undo),
            "ui.redo": (in_setup and stack.canRedo(), stack.redo),
        }
        return {key: act for key, (now, act) in possible.items() if now}

    def remembered(self) -> dict[str, str]:
        """What is open, to be opened again at the next start."""
        run = str(self.runs.folder or "")
        tab = self.runs.view.current_tab() if self.runs.view is not None else ""
        question = self.setup.question.text()
        return {"data": self._data, "samples": self._sheet, "question": question, "run": run, "tab": tab}

    def recall(self, state: dict[str, str]) -> None:
        """Open again what was open."""
        self.setup.question.setText(state.get("question", ""))
        run, data = state.get("run", ""), state.get("data", "")
        if run and Path(run).is_dir():
            self.open_run(run, state.get("tab", ""))
        elif data and Path(data).exists():
            self.open_data(data, state.get("samples", ""))

    # ---- data and plan ------------------------------------------------------------------------------------------

    def ask(self, question: str) -> None:
        """Turn a question into a plan, once the data are known."""
        if self._inspection is not None and question:
            self._bridge.start(self._plan(question))

    def _start_looking(self) -> None:
        self.templates.forget()
        self.reader.forget()
        self._show_setup()
        name = data_title(self._data)
        self.setup.show_looking(name)
        self.titleChanged.emit(name)
        sheet = Path(self._sheet) if self._sheet else None
        params = InspectParams(data=self._data, samples=sheet, allow_net=self._allow_net)
        self._retry = self._start_looking
        self._bridge.start(self._submit(INSPECT, params.model_dump(mode="json")))

    async def _submit(self, kind: str, params: dict[str, Any]) -> None:
        self._turn += 1
        turn = self._turn
        try:
            job_id = await self._bridge.submit(kind, params)
        except AppError as error:
            self.setup.show_failure(to_fault(error))
            return
        if turn != self._turn:
            await self._bridge.cancel(job_id)
            return
        self._job_id, self._job_kind = job_id, kind
        self.actionsChanged.emit()
        record = await self._bridge.read(self._bridge.workbench.runtime.job, job_id)
        if record is not None and self._job_id == job_id:
            self._on_job(record)

    async def _plan(self, question: str) -> None:
        assert self._inspection is not None
        self._turn += 1
        turn = self._turn
        self.reader.forget()
        self._retry = lambda: self.ask(self.setup.question.text().strip())
        self.setup.show_planning()
        found, table = self._inspection, self.setup.table()
        try:
            plan = await self._bridge.call(plan_question, question, found, table)
        except AppError as error:
            if turn == self._turn:
                await self._read_by_model(question, found.model_copy(update={"samples": table}), error)
        else:
            if turn == self._turn:
                self._show_plan(plan)
        finally:
            if turn == self._turn and not self._job_id:
                self.setup.show_idle()

    async def _read_by_model(self, question: str, found: Inspection, fault: AppError) -> None:
        job_id = await self.reader.read(question, found, fault)
        if job_id:
            self._job_id, self._job_kind = job_id, READ
            self.actionsChanged.emit()
            record = await self._bridge.read(self._bridge.workbench.runtime.job, job_id)
            if record is not None and self._job_id == job_id:
                self._on_job(record)

    def _show_given_plan(self, plan: Plan) -> None:
        """A plan from a template or an earlier run, for the data in front."""
        if self._inspection is not None:
            self._turn += 1
            self._show_setup()
            self.setup.question.setText(plan.question)
            self._show_plan(plan)

    def _keep_plan(self) -> None:
        if self.runs.is_in_front and self.runs.folder is not None:
            self._bridge.start(self.templates.keep_run(self.runs.folder))
        elif self._inspection is not None:
            made_from = ", ".join(filter(None, (self._inspection.accession, self._inspection.organism)))
            self._bridge.start(self.templates.keep_plan(self.setup.plan.plan(), self.setup.table(), made_from))

    def _choose_template(self) -> None:
        found = self._inspection
        if found is not None:
            found = found.model_copy(update={"samples": self.setup.table()})
        self._bridge.start(self.templates.choose(found))

    def _show_plan(self, plan: Plan) -> None:
        self._made_with = None
        self.setup.show_plan(plan)
        self.gene_sets.refresh()
        self._bridge.start(self._review())

    async def _review(self) -> None:
        plan, samples = self.setup.plan.plan(), self.setup.table()
        self._turn += 1
        turn = self._turn
        review = await self._bridge.call(review_plan, plan, samples)
        if turn != self._turn:
            return
        if self._made_with is None:  # nothing was edited yet: what the check finds need not be kept beside it
            found = {(caution.code, caution.text) for caution in review.cautions}
            self._made_with = tuple(one for one in plan.warnings if (one.code, one.text) not in found)
        cautions = cautions_of(plan, self._made_with, review.cautions)
        self.setup.show_review(replace(review, cautions=cautions))

    # ---- run ----------------------------------------------------------------------------------------------------

    def run(self, accept: str = "") -> None:
        """Run the plan as shown; `accept` is a repair the person agrees to beside those they agreed to before."""
        self._accepted = [*self._accepted, accept] if accept else []
        if not self.setup.can_run() or not self._data:
            return
        plan = self.setup.plan.plan().model_copy(update={"question": self.setup.question.text().strip()})
        params = AnalysisParams(
            data=self._data,
            samples=Path(self._sheet) if self._sheet else None,
            question=plan.question,
            plan=plan,
            sample_table=self.setup.table(),
            isolation=self.setup.plan.isolation_wish(),
            allow_net=self._allow_net,
            accept=self._accepted,
        )
        self._show_setup()
        self._retry = self.run
        self._bridge.start(self._submit(ANALYSE, params.model_dump(mode="json")))

    def stop(self) -> None:
        """Stop the job of this panel."""
        self.desk.stop()
        if self._job_id:
            self._bridge.start(self._bridge.cancel(self._job_id))

    def _on_job(self, job: JobRecord) -> None:
        if job.id != self._job_id:
            return
        if not job.state.is_final:
            self.setup.show_job(job)
            return
        self._job_id = ""
        self.setup.show_idle()
        self.actionsChanged.emit()
        if job.kind == READ:
            self.reader.on_final(job)
        elif job.state is JobState.DONE and job.result is not None:
            if job.kind == INSPECT:
                self._on_inspected(Inspection.model_validate(job.result))
            else:
                self.runs.open(str(job.result["out_dir"]))
        elif job.state is JobState.CANCELLED:
            self.setup.show_failure(JobError("app.cancelled", "Stopped.", "Nothing was kept of it.", retryable=True))
        elif job.error is not None and can_ask(self._bridge, job.error):
            self._bridge.start(self._ask_consent(job.error))
        else:
            missing = JobError("app.interrupted", "The job was interrupted.", "Run it again.", retryable=True)
            self.setup.show_failure(job.error or missing)

    async def _ask_consent(self, fault: JobError) -> None:
        """The data have to be fetched: ask, then do what could not be done."""
        what, retry = self._data, self._retry
        try:
            self._allow_net = await ask_consent(self.window(), self._bridge, what, fault)
        except AppError as error:
            self.noticed.emit(Notice.of(error))
        if what != self._data:
            return
        if self._allow_net:
            retry()
        else:
            self.setup.show_failure(not_fetched(what))

    def _on_logged(self, job_id: str, lines: list[str]) -> None:
        if job_id == self._job_id and self._job_kind == ANALYSE:
            self.setup.progress.note_lines(lines)

    def _on_inspected(self, found: Inspection) -> None:
        self._inspection = found
        self.setup.show_inspection(found)
        self.titleChanged.emit(found.accession or data_title(self._data, title=found.title))
        self._bridge.start(self.templates.offer(found))
        wanted, self._wanted = self._wanted, None
        question = self.setup.question.text().strip()
        if wanted is not None:
            self._show_plan(wanted)
        elif question:
            self.ask(question)
        else:
            self.setup.question.setFocus(Qt.FocusReason.OtherFocusReason)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self.runs.view is None:
            self._warming.start()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._warming.stop()

    # ---- results ------------------------------------------------------------------------------------------------

    @property
    def results(self) -> ResultsView | None:
        """The results view, once there were results."""
        return self.runs.view if self.runs.run is not None else None

    def back_to_plan(self) -> None:
        """From the results to the plan they came from; the data are looked at again when need be."""
        self._show_setup()
        if self._inspection is None and self.runs.run is not None:
            self._bridge.start(self._restore(self.runs.run))

    async def _restore(self, run: RunResults) -> None:
        record = await self._bridge.read(self._bridge.workbench.runtime.job, run.run_id)
        if record is None or not record.params.get("data"):
            self.noticed.emit(Notice("The data of this run are not known here.", "Open them to plan again.", "info"))
            return
        self.setup.question.setText(run.plan.question)
        self.open_data(str(record.params["data"]), str(record.params.get("samples") or ""))
        self._wanted = run.plan

    # ---- scripts ------------------------------------------------------------------------------------------------

    def _run_front(self) -> None:
        self.desk.run() if self.desk.is_in_front else self.run()

    def _is_script(self) -> bool:
        return self.runs.run is not None and self.runs.run.is_script

    def _run_again(self) -> None:
        """The same plan, or the same script on the same data."""
        if self._is_script():
            self._edit_run()
            self.desk.run()
        else:
            self.run()

    def _edit_run(self) -> None:
        if self.runs.run is not None:
            self.desk.edit_run(self.runs.run)

    def _edit_plan(self) -> None:
        if self._inspection is None:
            return
        if not self.setup.can_run():
            work = (self._data, self._sheet, self._allow_net)
            self.desk.write_new(self.setup.question.text().strip(), self.setup.table(), work)
        else:
            plan = self.setup.plan.plan().model_copy(update={"question": self.setup.question.text().strip()})
            work = (self._data, self._sheet, self._allow_net)
            self._bridge.start(self.desk.edit_plan(plan, self._inspection, self.setup.table(), work))

    def _leave_script(self) -> None:
        """Back to the results the script is of, else to the plan."""
        if self.runs.view is not None and self.runs.run is not None:
            self.pages.setCurrentWidget(self.runs.view)
            self.actionsChanged.emit()
        else:
            self._show_setup()

    def _find(self) -> None:
        if self.runs.view is not None:
            self.runs.view.find_genes()

    def _on_shown(self, title: str) -> None:
        self.titleChanged.emit(title)
        self.actionsChanged.emit()

    def _on_run_failed(self, error: AppError, run: str) -> None:
        self._retry = lambda: self.open_run(run)
        self._show_setup()
        self.setup.show_failure(to_fault(error))

    def _show_setup(self) -> None:
        self.pages.setCurrentWidget(self.setup)
        self.inspected.emit(None)
        self.actionsChanged.emit()
