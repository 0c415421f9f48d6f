"""A sentence the rules cannot read, put to a model: a job with progress and Stop, its plan a proposal. Asks jobs only.

Without a model on this machine it says how to get one. What was proposed is marked in the plan and stops the run until
the person has read it.
"""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, Signal

from desktop.core.errors import AppError
from desktop.core.jobs import JobError, JobRecord, JobState
from desktop.studios.omics import queries
from desktop.studios.omics.schema import Inspection, Plan
from desktop.ui.bridge import Bridge
from desktop.ui.itemmodels.plan_review import to_fault

PLAN = "omics.plan_question"
_UNREAD = ("omics.unclear_question", "omics.unknown_factor")  # what a reading could help with
NO_MODEL = "A language model on this Mac could read it; nothing would leave the machine."


class ModelReader(QObject):
    """planned(object) a `Plan`; failed(object, str) a `JobError` and "" or why a model would help."""

    planned = Signal(object)
    failed = Signal(object, str)

    def __init__(self, bridge: Bridge, parent: QObject) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._turn = 0
        self.job_id = ""

    async def read(self, question: str, found: Inspection, fault: AppError) -> str:
        """Ask a model where one could help with this fault; returns the job's id, "" when none was asked."""
        self.forget()
        turn = self._turn
        if fault.code not in _UNREAD:
            self.failed.emit(to_fault(fault), "")
            return ""
        has_model = await self._bridge.ask_models(queries.can_read_sentences)
        if turn != self._turn:
            return ""
        if not has_model:
            self.failed.emit(to_fault(fault), NO_MODEL)
            return ""
        params: dict[str, Any] = {"question": question, "inspection": found.model_dump(mode="json")}
        try:
            job_id = await self._bridge.submit(PLAN, params)
        except AppError as error:
            self.failed.emit(to_fault(error), "")
            return ""
        if turn != self._turn:
            await self._bridge.cancel(job_id)
            return ""
        self.job_id = job_id
        return job_id

    def forget(self) -> None:
        """What is being read is no longer wanted."""
        self._turn += 1
        self.stop()
        self.job_id = ""

    def stop(self) -> None:
        """Stop the model."""
        if self.job_id:
            self._bridge.start(self._bridge.cancel(self.job_id))

    def on_final(self, job: JobRecord) -> None:
        """Tell how this reader's job ended."""
        self.job_id = ""
        if job.state is JobState.DONE and job.result is not None:
            self.planned.emit(Plan.model_validate(job.result))
        elif job.state is JobState.CANCELLED:
            stopped = "The model was stopped; the sentence is not planned."
            self.failed.emit(
                JobError("app.cancelled", stopped, "Name the two groups, or try again.", retryable=True), ""
            )
        else:
            self.failed.emit(job.error or JobError("app.interrupted", "The job was interrupted.", "Try again."), "")
