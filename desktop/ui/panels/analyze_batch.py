"""The page of a batch in Analyze: follows its job, reads its table as it grows, opens what a row stands for."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QStackedWidget

from desktop.core.errors import AppError
from desktop.core.jobs import JobRecord, JobState
from desktop.studios.omics import queries
from desktop.studios.omics.batch_schema import BatchParams, BatchResult
from desktop.ui.bridge import Bridge
from desktop.ui.widgets.batch_view import BatchView

BATCH = "omics.run_batch"
_READ_MS = 250  # between a row's change and reading the table


class BatchPage(QObject):
    """Adds its page to a stack when it is first needed.

    shown(str)             a batch is in front; its title
    runOpened(str)         show the results in this folder
    dataOpened(str, str)   look at these data, with this question
    failed(object, str)    an AppError, and the batch that could not be shown
    closed()               from its Done button
    """

    shown = Signal(str)
    runOpened = Signal(str)
    dataOpened = Signal(str, str)
    failed = Signal(object, str)
    closed = Signal()

    def __init__(self, bridge: Bridge, pages: QStackedWidget, parent: QObject) -> None:
        super().__init__(parent)
        self._bridge, self._pages = bridge, pages
        self.view: BatchView | None = None
        self._job: JobRecord | None = None
        self._reading = QTimer(self, singleShot=True, interval=_READ_MS)
        self._reading.timeout.connect(lambda: bridge.start(self._read()))
        bridge.jobChanged.connect(self._on_job)

    @property
    def folder(self) -> Path | None:
        """The batch's folder while it is in front."""
        is_front = self.view is not None and self._pages.currentWidget() is self.view
        return self.view.out_dir if is_front and self.view is not None else None

    async def open_folder(self, folder: Path) -> None:
        """Show a batch by its folder, finished or cut off."""
        try:
            found = await self._bridge.read(queries.load_batch, folder)
        except AppError as error:
            self.failed.emit(error, str(folder))
            return
        self._job = None
        self._show(found)
        view = self._made_view()
        view.show_finished()
        if found.status == "running":
            view.headline.setText("This batch was cut off. Ask the same again to go on where it was.")

    async def open_job(self, job: JobRecord) -> None:
        """Show a batch by its job, from its first moment on."""
        self._job = job
        view = self._made_view()
        view.show_new()
        view.show_job(job)
        self._pages.setCurrentWidget(view)
        self.shown.emit(_title(job))
        await self._read()

    async def _read(self) -> None:
        """The table of the batch under way, or of the one that ended."""
        job = self._job
        if job is None:
            return
        found = await self._bridge.read(_table_of, self._bridge, job)
        if found is not None and self._job is not None and self._job.id == job.id:
            view = self._made_view()
            view.show_batch(found)
            if self._job.state is JobState.DONE:
                view.show_finished()
            else:
                view.show_job(self._job)

    def _show(self, found: BatchResult) -> None:
        view = self._made_view()
        view.show_batch(found)
        self._pages.setCurrentWidget(view)
        self.shown.emit(f"{len(found.items)} analyses")

    def _on_job(self, job: JobRecord) -> None:
        if self._job is None or job.id != self._job.id:
            return
        self._job = job
        self._made_view().show_job(job)
        if not self._reading.isActive():
            self._reading.start()

    def _made_view(self) -> BatchView:
        if self.view is None:
            self.view = BatchView()
            self.view.runOpened.connect(self.runOpened)
            self.view.dataOpened.connect(self.dataOpened)
            self.view.stopped.connect(self._stop)
            self.view.rerun.connect(lambda: self._bridge.start(self._rerun()))
            self.view.closed.connect(self.closed)
            self._pages.addWidget(self.view)
        return self.view

    def _stop(self) -> None:
        if self._job is not None:
            self._bridge.start(self._bridge.cancel(self._job.id))

    async def _rerun(self) -> None:
        if self._job is not None:
            again = await self._bridge.rerun(self._job.id)
            record = await self._bridge.read(self._bridge.workbench.runtime.job, again)
            if record is not None:
                await self.open_job(record)


def _table_of(bridge: Bridge, job: JobRecord) -> BatchResult | None:
    """The outcomes so far. For a thread."""
    if job.result is not None:
        return BatchResult.model_validate(job.result)
    return queries.unfinished_batch(BatchParams.model_validate(job.params), bridge.workbench.paths.runs)


def _title(job: JobRecord) -> str:
    return f"{len(job.params.get('items', []))} analyses"
