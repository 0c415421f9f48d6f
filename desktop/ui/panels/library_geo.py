"""The Library's search of GEO: asks for consent, runs the job, shows its hits. What a hit becomes is Analyze's."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from desktop.core.errors import AppError
from desktop.core.jobs import JobError, JobRecord, JobState
from desktop.studios.omics.search_schema import SearchParams, SearchResult
from desktop.ui.bridge import Bridge
from desktop.ui.itemmodels.plan_review import to_fault
from desktop.ui.panels.consent import ask_consent, can_ask, not_fetched
from desktop.ui.widgets.geo_search_view import GeoSearchView

SEARCH = "omics.search_geo"


class GeoSearch(QObject):
    """`opened(str)`: fetch and analyse this accession; `closed()`: back to the list."""

    opened = Signal(str)
    closed = Signal()

    def __init__(self, bridge: Bridge, parent: QWidget) -> None:
        super().__init__(parent)
        self._bridge, self._panel = bridge, parent
        self._job_id = ""
        self._asked = SearchParams()
        self.view = GeoSearchView()
        self.view.searched.connect(lambda asked: bridge.start(self.search(asked)))
        self.view.retried.connect(lambda: bridge.start(self.search(self._asked)))
        self.view.stopped.connect(self._stop)
        self.view.opened.connect(self.opened)
        self.view.closed.connect(self.closed)
        bridge.jobChanged.connect(self._on_job)

    async def search(self, asked: SearchParams, *, allow_net: bool = False) -> None:
        """Search; an answer to an earlier search that comes after this is dropped."""
        self._asked = asked
        self.view.show_searching(asked)
        try:
            params = asked.model_copy(update={"allow_net": allow_net}).model_dump(mode="json")
            job_id = await self._bridge.submit(SEARCH, params)
        except AppError as error:
            self.view.show_failure(to_fault(error))
            return
        if asked is not self._asked:
            await self._bridge.cancel(job_id)
            return
        self._job_id = job_id
        record = await self._bridge.read(self._bridge.workbench.runtime.job, job_id)
        if record is not None and self._job_id == job_id:
            self._on_job(record)

    def _stop(self) -> None:
        if self._job_id:
            self._bridge.start(self._bridge.cancel(self._job_id))

    def _on_job(self, job: JobRecord) -> None:
        if job.id != self._job_id or not job.state.is_final:
            return
        self._job_id = ""
        if job.state is JobState.DONE and job.result is not None:
            self.view.show_result(SearchResult.model_validate(job.result))
        elif job.state is JobState.CANCELLED:
            self.view.standing.setText("Stopped.")
            self.view.show_idle()
        elif job.error is not None and can_ask(self._bridge, job.error):
            self._bridge.start(self._ask_consent(job.error))
        else:
            missing = JobError("app.interrupted", "The search was interrupted.", "Search again.", retryable=True)
            self.view.show_failure(job.error or missing)

    async def _ask_consent(self, fault: JobError) -> None:
        asked = self._asked
        try:
            may = await ask_consent(
                self._panel.window(), self._bridge, "this search", fault, leaves="the words and filters of the search"
            )
        except AppError as error:
            self.view.show_failure(to_fault(error))
            return
        if asked is not self._asked:
            return
        if may:
            await self.search(asked, allow_net=True)
        else:
            self.view.show_failure(not_fetched("This search"))
