"""The pages of Analyze that show what is finished: a run's results, a comparison of two. Loads them, computes nothing.

Importing this imports neither numpy nor pyqtgraph: `prepare` does so in a thread, before there are results.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QStackedWidget, QWidget
from shiboken6 import isValid

from desktop.core.errors import AppError
from desktop.studios.omics import queries
from desktop.studios.omics.batch_schema import BATCH_FILE
from desktop.ui.bridge import Bridge
from desktop.ui.itemmodels.comparison import COMPARISON_FILE, load_comparison
from desktop.ui.itemmodels.jobs import when_words
from desktop.ui.itemmodels.library_items import read_details
from desktop.ui.itemmodels.names import home_words
from desktop.ui.itemmodels.outputs import read_output
from desktop.ui.panels.analyze_batch import BATCH, BatchPage
from desktop.ui.panels.analyze_exports import RunExports
from desktop.ui.widgets.inspector import Inspected, Operation

if TYPE_CHECKING:
    from desktop.ui.itemmodels.gene_set_results import GeneSetResults
    from desktop.ui.itemmodels.run_results import Output, RunResults
    from desktop.ui.panels.analyze_results import ResultsView
    from desktop.ui.widgets.comparison_view import ComparisonView

_LOG_LINES = 5000


class RunPages(QObject):
    """Adds its pages to a stack when they are first needed.

    shown(str)              something finished is in front now; its title
    inspected(object)       an `Inspected` for the inspector
    failed(object, str)     an AppError, and the run or comparison that could not be shown
    planRequested()         from the results back to their plan
    scriptRequested()       the run's script is to be edited
    closed()                a comparison was closed and there are no results to go back to
    """

    shown = Signal(str)
    inspected = Signal(object)
    failed = Signal(object, str)
    planRequested = Signal()
    scriptRequested = Signal()
    closed = Signal()

    def __init__(self, bridge: Bridge, pages: QStackedWidget, parent: QWidget) -> None:
        super().__init__(parent)
        self._bridge, self._pages = bridge, pages
        self.exports = RunExports(bridge, parent)
        self.exports.compared.connect(self.open)
        self.batch = BatchPage(bridge, pages, self)
        self.batch.runOpened.connect(self.open)
        self.batch.failed.connect(self.failed)
        self.batch.shown.connect(self._on_batch_shown)
        self.batch.closed.connect(self._on_closed)
        self.run: RunResults | None = None
        self.view: ResultsView | None = None
        self._comparison: ComparisonView | None = None
        self._item: Inspected | None = None
        self._turn = 0  # answers to older questions are dropped

    @property
    def is_in_front(self) -> bool:
        """Whether results are what is shown."""
        return self.run is not None and self._pages.currentWidget() is self.view

    @property
    def folder(self) -> Path | None:
        """The folder of what is shown, if it has one."""
        front = self._pages.currentWidget()
        if front is not None and front is self._comparison:
            return self._comparison.out_dir
        if self.batch.folder is not None:
            return self.batch.folder
        return self.run.out_dir if self.run is not None and self.is_in_front else None

    def open(self, run: str, tab: str = "") -> None:
        """Show a finished run, by its id or its folder, a comparison by its folder, a batch by its folder or job."""
        self._turn += 1
        turn = self._turn
        if (Path(run) / COMPARISON_FILE).is_file():
            self._bridge.start(self._open_comparison(run, turn))
        elif (Path(run) / BATCH_FILE).is_file():
            self._bridge.start(self.batch.open_folder(Path(run)))
        else:
            self._bridge.start(self._open_run(run, tab, turn))

    def forget_pending(self) -> None:
        """What is still being read is not shown when it comes."""
        self._turn += 1

    def reveal(self) -> None:
        """Show the files of what is in front in the file browser."""
        if self.folder is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.folder)))

    async def prepare(self) -> None:
        """Have the results view ready before there are results: imports in a thread, widgets one at a time."""
        await asyncio.to_thread(_warm_up)
        if isValid(self):  # the window may have gone meanwhile
            view = self._made_view()
            await asyncio.sleep(0)
            if isValid(view):
                view.prepare()

    # ---- results ------------------------------------------------------------------------------------------------

    async def _open_run(self, run: str, tab: str, turn: int) -> None:
        bench = self._bridge.workbench
        job = None if Path(run).is_absolute() else await self._bridge.read(bench.runtime.job, run)
        if job is not None and job.kind == BATCH:
            await self.batch.open_job(job)
            return
        try:
            folder = Path(run)
            if not folder.is_dir():
                folder = Path((await self._bridge.read(queries.find_run, bench.store, run)).out_dir)
            await self.prepare()
            from desktop.ui.itemmodels.run_results import load_run_results

            results = await self._bridge.call(load_run_results, folder)
        except AppError as error:
            if turn == self._turn:
                self.failed.emit(error, run)
            return
        log: list[str] = []
        with contextlib.suppress(AppError):
            log = await self._bridge.read(bench.runtime.log_lines, results.run_id, _LOG_LINES)
        if turn == self._turn:
            self._show_results(results, log, tab)
            self._inspect(results, await self._bridge.read(_inspected, self._bridge, results))

    def _show_results(self, results: RunResults, log: list[str], tab: str) -> None:
        self.run, self._item = results, None
        self.exports.set_run(results)
        view = self._made_view()
        view.set_results(results, log)
        if tab:
            view.show_tab(tab)
        self._pages.setCurrentWidget(view)
        self._tell()

    def _show_contrast(self, number: int) -> None:
        if self.run is not None:
            self._turn += 1
            self._bridge.start(self._open_contrast(self.run, number, self._turn))

    async def _open_contrast(self, run: RunResults, number: int, turn: int) -> None:
        """Another contrast of the run that is shown."""
        from desktop.ui.itemmodels.run_results import load_run_results

        try:
            results = await self._bridge.call(load_run_results, run.out_dir, number)
        except AppError as error:
            if turn == self._turn:
                self.failed.emit(error, str(run.out_dir))
            return
        if turn == self._turn and self.view is not None:
            self.run = results
            self.exports.set_run(results)
            self.view.set_contrast(results)

    def _inspect(self, results: RunResults, item: Inspected) -> None:
        if self.run is not None and self.run.out_dir == results.out_dir:
            self._item = item
            if self.is_in_front:
                self.inspected.emit(item)

    def _tell(self) -> None:
        if self.run is not None:
            self.shown.emit(self.run.plan.question or self.run.out_dir.name)
            self.inspected.emit(self._item)

    def _made_view(self) -> ResultsView:
        if self.view is None:
            from desktop.ui.panels.analyze_results import ResultsView

            self.view = ResultsView()
            self.exports.set_view(self.view)
            self.view.planRequested.connect(self.planRequested)
            self.view.scriptRequested.connect(self.scriptRequested)
            self.view.outputRequested.connect(lambda output: self._bridge.start(self._read_output(output)))
            self.view.contrastRequested.connect(self._show_contrast)
            self.view.geneSetsRequested.connect(lambda: self._bridge.start(self._read_gene_sets()))
            self._pages.addWidget(self.view)
        return self.view

    async def _read_output(self, output: Output) -> None:
        run, view = self.run, self.view
        if run is not None and view is not None:
            shown = await self._bridge.read(read_output, run.out_dir, output)
            if isValid(view):
                view.show_output(run, output, shown)

    async def _read_gene_sets(self) -> None:
        from desktop.ui.itemmodels.gene_set_results import load_gene_set_results

        run, view = self.run, self.view
        if run is None or view is None:
            return
        try:
            sets: GeneSetResults | str = await self._bridge.call(load_gene_set_results, run.out_dir, run.number)
        except AppError as error:
            sets = f"{error} {error.hint}"
        if isValid(view):
            view.set_gene_sets(run, sets)

    # ---- comparisons --------------------------------------------------------------------------------------------

    async def _open_comparison(self, folder: str, turn: int) -> None:
        try:
            found = await self._bridge.read(load_comparison, Path(folder))
        except AppError as error:
            self.failed.emit(error, folder)
            return
        if turn != self._turn:
            return
        if self._comparison is None:
            from desktop.ui.widgets.comparison_view import ComparisonView

            self._comparison = ComparisonView()
            self._comparison.closed.connect(self._on_closed)
            self._pages.addWidget(self._comparison)
        self._comparison.set_comparison(found)
        self._pages.setCurrentWidget(self._comparison)
        self.shown.emit("Two runs compared")
        self.inspected.emit(None)

    def _on_batch_shown(self, title: str) -> None:
        self.shown.emit(title)
        self.inspected.emit(None)

    def _on_closed(self) -> None:
        """Back to the results it was asked from, if there are any."""
        if self.view is None or self.run is None:
            self.closed.emit()
            return
        self._pages.setCurrentWidget(self.view)
        self._tell()


def _inspected(bridge: Bridge, run: RunResults) -> Inspected:
    """A run as the inspector shows it. For a thread."""
    job = bridge.workbench.runtime.job(run.run_id)
    details = read_details(run.out_dir)
    data = str(job.params.get("data", "")) if job is not None else ""
    facts = [
        ("Answer", run.headline),
        ("Data", home_words(data)),
        ("Samples", str(len(run.samples))),
        ("Design", run.plan.design),
        ("Contrast", details.parameters.get("Contrast", "")),
        ("Isolation", run.isolation),
        ("Folder", home_words(str(run.out_dir))),
    ]
    when = when_words(job.started_s or job.created_s) if job is not None else ""
    history = Operation("Analysed", when, details.parameters, details.versions, details.inputs)
    return Inspected(
        run.plan.question or run.out_dir.name, tuple((name, text) for name, text in facts if text), (history,)
    )


def _warm_up() -> None:
    """Import what the results view needs, in a thread, so that showing it does not wait."""
    import importlib

    for name in ("numpy", "pyqtgraph", "desktop.ui.panels.analyze_results"):
        importlib.import_module(name)
