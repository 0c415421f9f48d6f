"""Scripts that a model drafts for the editor: ask, follow, hand over. What is drafted never runs by itself."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, Signal

from desktop.core.errors import AppError
from desktop.core.jobs import JobError, JobRecord, JobState
from desktop.studios.omics import queries
from desktop.studios.omics.schema import ScriptDraft
from desktop.ui.bridge import Bridge
from desktop.ui.itemmodels.plan_review import to_fault

DRAFT = "omics.draft_script"


class Drafts(QObject):
    """moved(object) the job while it works; drafted(object) a `ScriptDraft`; failed(object) a `JobError`."""

    moved = Signal(object)
    drafted = Signal(object)
    failed = Signal(object)

    def __init__(self, bridge: Bridge, parent: QObject) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self.job_id = ""
        bridge.jobChanged.connect(self._on_job)

    async def can_write(self) -> bool:
        """Whether there is a model that writes code."""
        return bool(await self._bridge.ask_models(queries.can_write_scripts))

    async def ask(self, params: dict[str, Any]) -> None:
        """Have a script drafted; `params` as of `DraftParams`."""
        try:
            self.job_id = await self._bridge.submit(DRAFT, params)
            record = await self._bridge.read(self._bridge.workbench.runtime.job, self.job_id)
        except AppError as error:
            self.failed.emit(to_fault(error))
            return
        if record is not None:
            self._on_job(record)

    def stop(self) -> None:
        """Stop the model."""
        if self.job_id:
            self._bridge.start(self._bridge.cancel(self.job_id))

    def forget(self) -> None:
        """What is being written is no longer wanted."""
        self.stop()
        self.job_id = ""

    def _on_job(self, job: JobRecord) -> None:
        if job.id != self.job_id:
            return
        if not job.state.is_final:
            self.moved.emit(job)
            return
        self.job_id = ""
        if job.state is JobState.DONE and job.result is not None:
            self.drafted.emit(ScriptDraft.model_validate(job.result))
        elif job.state is JobState.CANCELLED:
            self.failed.emit(JobError("app.cancelled", "Stopped.", "The script is as it was.", retryable=True))
        else:
            self.failed.emit(job.error or JobError("app.interrupted", "The job was interrupted.", "Try again."))
