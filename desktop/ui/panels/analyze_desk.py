"""Where scripts are taken from and run: the script of a run, of a plan, of a run that failed. Asks jobs and queries."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QStackedWidget, QWidget

from desktop.core.errors import AppError
from desktop.core.jobs import JobError, JobRecord, JobState
from desktop.core.ports import Finding
from desktop.studios.omics import queries
from desktop.studios.omics.schema import Inspection, Plan, SampleTable
from desktop.ui.bridge import Bridge
from desktop.ui.itemmodels.plan_review import to_fault

if TYPE_CHECKING:
    from desktop.studios.omics.failed_run import FailedRun
    from desktop.ui.itemmodels.run_results import RunResults
    from desktop.ui.panels.analyze_script import ScriptPage

SCRIPT = "omics.run_script"


@dataclass(frozen=True, slots=True)
class _Work:
    """What the script of the page runs on. `data` may be a finished run's folder."""

    data: str
    samples: str = ""
    plan: Plan | None = None
    table: SampleTable | None = None
    allow_net: bool = False


class ScriptDesk(QObject):
    """Adds its page to a stack when it is first needed.

    shown(str)       the page is in front now; its title
    finished(str)    a script ran to its end; the run's folder
    failed(object)   an AppError: there is nothing to show
    closed()         back to where one came from
    changed()        what can be done now has changed
    """

    shown = Signal(str)
    finished = Signal(str)
    failed = Signal(object)
    closed = Signal()
    changed = Signal()

    def __init__(self, bridge: Bridge, pages: QStackedWidget, parent: QWidget) -> None:
        super().__init__(parent)
        self._bridge, self._pages = bridge, pages
        self._work = _Work("")
        self._page: ScriptPage | None = None
        self.job_id = ""
        self._accepted: list[str] = []
        bridge.jobChanged.connect(self._on_job)
        bridge.jobLogged.connect(self._on_logged)

    @property
    def page(self) -> ScriptPage | None:
        return self._page

    @property
    def is_in_front(self) -> bool:
        return self._page is not None and self._pages.currentWidget() is self._page

    def edit_run(self, run: RunResults) -> None:
        """A copy of a finished run's script, on the inputs that run had."""
        self._work = _Work(str(run.out_dir))
        about = "A copy of the run’s script, on the same data. What you change runs as a script of your own."
        self._show("Edit the script of a run", about, run.plan.question, run.code)

    async def edit_plan(self, plan: Plan, found: Inspection, table: SampleTable, work: tuple[str, str, bool]) -> None:
        """The script that a plan leads to, as a beginning; `work` is data, sample sheet and consent for the net."""
        data, samples, allow_net = work
        try:
            code = await self._bridge.call(queries.make_script, plan, found, table)
        except AppError as error:
            self.failed.emit(error)
            return
        self._work = _Work(data, samples, plan, table, allow_net)
        about = "Made from the plan. What you change runs as a script of your own."
        self._show("Write a script", about, plan.question, code)

    async def show_failed(self, record: str, job: JobRecord | None = None) -> None:
        """The record of a run that failed: script, refusals, log, diagnosis, repairs."""
        try:
            failed = await self._bridge.read(queries.load_failed_run, Path(record))
            if job is None:
                job = await self._bridge.read(self._bridge.workbench.runtime.job, failed.run_id)
        except AppError as error:
            self.failed.emit(error)
            return
        given: dict[str, Any] = job.params if job is not None else {}
        data = str(given.get("stored_run") or given.get("data") or "")
        self._work = _Work(data, str(given.get("samples") or ""), failed.plan)
        if given.get("sample_table"):
            self._work = _Work(data, self._work.samples, failed.plan, SampleTable.model_validate(given["sample_table"]))
        about = "The record of a run that failed. What you change runs as a script of your own."
        self._show("A run that failed", about, failed.question, failed.code)
        assert self._page is not None
        self._page.log.set_lines(failed.log.splitlines())
        fault = job.error if job is not None and job.error is not None else _fault(failed)
        self._page.show_failure(fault, failed.verdict.findings, failed.repairs)

    def run(self, accept: str = "") -> None:
        """Run the script as it stands in the page; `accept` is what the person agrees to beside what they agreed to."""
        self._accepted = [*self._accepted, accept] if accept else []
        page = self._page
        if page is None or self.job_id or not page.editor.code().strip():
            return
        work = self._work
        params = {
            "script": page.editor.code(),
            "data": work.data,
            "samples": work.samples or None,
            "plan": work.plan.model_dump(mode="json") if work.plan else None,
            "sample_table": work.table.model_dump(mode="json") if work.table else None,
            "question": page.question.text().strip(),
            "isolation": page.isolation_wish(),
            "allow_net": work.allow_net,
            "accept": self._accepted,
        }
        self._bridge.start(self._submit(params))

    def stop(self) -> None:
        """Stop the script that runs."""
        if self.job_id:
            self._bridge.start(self._bridge.cancel(self.job_id))

    async def _submit(self, params: dict[str, Any]) -> None:
        assert self._page is not None
        self._page.run_button.setEnabled(False)
        self._page.failure.hide()
        self._page.log.set_lines(())
        try:
            self.job_id = await self._bridge.submit(SCRIPT, params)
        except AppError as error:
            self._page.show_failure(to_fault(error))
            return
        self.changed.emit()
        record = await self._bridge.read(self._bridge.workbench.runtime.job, self.job_id)
        if record is not None:
            self._on_job(record)

    def _on_job(self, job: JobRecord) -> None:
        if job.id != self.job_id or self._page is None:
            return
        if not job.state.is_final:
            self._page.show_job(job)
            return
        self.job_id = ""
        self._page.show_idle()
        self.changed.emit()
        if job.state is JobState.DONE and job.result is not None:
            self.finished.emit(str(job.result["out_dir"]))
        elif job.state is JobState.CANCELLED:
            self._page.show_failure(JobError("app.cancelled", "Stopped.", "Nothing was kept of it.", retryable=True))
        else:
            fault = job.error or JobError("app.interrupted", "The job was interrupted.", "Run it again.")
            self._page.show_failure(fault, *_told(fault))

    def _on_logged(self, job_id: str, lines: list[str]) -> None:
        if job_id == self.job_id and self._page is not None:
            self._page.log.add_lines(lines)
            self._page.progress.note_lines(lines)

    def _show(self, heading: str, about: str, question: str, code: str) -> None:
        if self._page is None:
            from desktop.ui.panels.analyze_script import ScriptPage

            self._page = ScriptPage()
            self._page.runRequested.connect(self.run)
            self._page.stopRequested.connect(self.stop)
            self._page.closed.connect(self.closed)
            self._page.offerAccepted.connect(self.run)
            self._pages.addWidget(self._page)
        self._page.show_script(heading, about, question, code)
        self._pages.setCurrentWidget(self._page)
        self._page.editor.setFocus()
        self.shown.emit(question or heading)


def _told(fault: JobError) -> tuple[list[Finding], list[dict[str, Any]]]:
    """Refusals and repairs out of an error's details."""
    findings = json.loads(fault.details.get("findings", "[]"))
    repairs = json.loads(fault.details.get("repairs", "[]"))
    return [Finding(**one) for one in findings], repairs


def _fault(failed: FailedRun) -> JobError:
    """The diagnosis as kept, where the job itself is not known here."""
    code, message, hint = (str(failed.error.get(name, "")) for name in ("code", "message", "hint"))
    return JobError(code, message, hint)
