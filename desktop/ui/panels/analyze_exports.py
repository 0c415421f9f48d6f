"""What leaves a run that is shown: its folder, its genes as CSV, a comparison. Files whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFileDialog, QWidget

from desktop.core.errors import AppError
from desktop.core.jobs import JobError, JobRecord, JobState
from desktop.studios.omics import queries
from desktop.ui.bridge import Bridge
from desktop.ui.itemmodels.library_items import LibraryItem, Marks, run_item
from desktop.ui.itemmodels.names import home_words
from desktop.ui.widgets.banner import Notice, Tone
from desktop.ui.widgets.run_picker import FOLDER, RunPicker
from desktop.ui.widgets.sheet import ask, ask_path

if TYPE_CHECKING:
    from desktop.ui.itemmodels.run_results import RunResults
    from desktop.ui.panels.analyze_results import ResultsView

COMPARE, EXPORT = "omics.compare_runs", "omics.export_run"
MOST_RUNS = 2000  # to choose from


class RunExports(QObject):
    """`noticed(Notice)` says how it went; `compared(str)` is the folder of a finished comparison."""

    noticed = Signal(object)
    compared = Signal(str)

    def __init__(self, bridge: Bridge, parent: QWidget) -> None:
        super().__init__(parent)
        self._bridge, self._panel = bridge, parent
        self._run: RunResults | None = None
        self._view: ResultsView | None = None
        self._comparing = self._exporting = ""  # ids of jobs
        bridge.jobChanged.connect(self._on_job)

    def set_view(self, view: ResultsView) -> None:
        """The results view this takes from."""
        self._view = view
        view.exportRequested.connect(self.ask_for_genes_file)
        view.compareRequested.connect(self.ask_for_other_run)

    def set_run(self, run: RunResults) -> None:
        """The run that is shown."""
        self._run = run

    # ---- asking ---------------------------------------------------------------------------------------------------

    def ask_for_folder(self, *, as_zip: bool = False) -> None:
        """Into which folder to export the run, as a folder of its own or as one zip."""
        dialog = self._dialog("Export Archive To" if as_zip else "Export Run To", QFileDialog.FileMode.Directory)
        dialog.fileSelected.connect(lambda folder: self._bridge.start(self.export_run(Path(folder), as_zip=as_zip)))
        dialog.open()

    def ask_for_genes_file(self) -> None:
        """Where to write the genes shown."""
        dialog = self._dialog("Export Genes", QFileDialog.FileMode.AnyFile)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("csv")
        dialog.selectFile("genes.csv")
        dialog.fileSelected.connect(lambda path: self._bridge.start(self.export_genes(Path(path))))
        dialog.open()

    def ask_for_other_run(self) -> None:
        """Which run to compare with: one of the library's, or a folder."""
        self._bridge.start(self._ask_for_other_run())

    async def _ask_for_other_run(self) -> None:
        if self._run is None:
            return
        runs = await self._bridge.read(other_runs, self._bridge, self._run.run_id)
        picker = RunPicker(self._panel.window(), "Compare this run with:", "Compare", runs)
        answer = await ask(picker)
        other = ""
        if answer == RunPicker.DialogCode.Accepted and picker.chosen is not None:
            other = picker.chosen.place
        elif answer == FOLDER:
            other = await ask_path(self._panel.window(), "Compare with Results Folder", folder=True)
        if other:
            await self.compare_with(other)

    def _dialog(self, title: str, mode: QFileDialog.FileMode) -> QFileDialog:
        dialog = QFileDialog(self._panel.window(), title)
        dialog.setFileMode(mode)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        return dialog

    # ---- doing ----------------------------------------------------------------------------------------------------

    async def export_run(self, folder: Path, *, as_zip: bool = False) -> None:
        """Export the run into `folder`, without paths of this machine, to be run again anywhere."""
        if self._run is None:
            return
        params = {"run": str(self._run.out_dir), "into": str(folder), "as_zip": as_zip}
        try:
            self._exporting = await self._bridge.submit(EXPORT, params)
        except AppError as error:
            self.noticed.emit(Notice.of(error))

    async def export_genes(self, path: Path) -> None:
        """Write the genes as the table shows them."""
        if self._view is None or self._run is None:
            return
        keys, rows = self._view.shown_genes()
        try:
            await self._bridge.read(write_genes, path, self._run, keys, rows)
        except OSError as error:
            self._tell_failed(error)
        else:
            self.noticed.emit(Notice(f"{len(rows):,} genes written to {path.name}.", tone="done"))

    async def compare_with(self, other: str) -> None:
        """Compare the run shown with another run's folder or id."""
        if self._run is None:
            return
        params = {"left": str(self._run.out_dir), "left_contrast": self._run.number + 1, "right": other}
        try:
            self._comparing = await self._bridge.submit(COMPARE, params)
        except AppError as error:
            self.noticed.emit(Notice.of(error))

    def _on_job(self, job: JobRecord) -> None:
        if job.id not in (self._comparing, self._exporting) or not job.state.is_final:
            return
        is_export = job.id == self._exporting
        if is_export:
            self._exporting = ""
        else:
            self._comparing = ""
        if job.state is JobState.DONE and job.result is not None:
            self._on_exported(job) if is_export else self.compared.emit(str(job.result["out_dir"]))
        elif job.state is not JobState.CANCELLED:
            fault = job.error or JobError("app.interrupted", f"“{job.title}” was interrupted.", "Do it again.")
            self.noticed.emit(Notice(fault.message, fault.hint, "error", details=fault.code))

    def _on_exported(self, job: JobRecord) -> None:
        made = Path((job.result or {})["path"])
        text, hint = f"Exported to {home_words(str(made))}.", " ".join(job.warnings)
        tone: Tone = "warning" if hint else "done"
        self.noticed.emit(Notice(text, hint, tone, "Show", lambda: _reveal(made)))

    def _tell_failed(self, error: OSError) -> None:
        self.noticed.emit(Notice(f"Not exported: {error.strerror or error}.", "Choose another folder.", "error"))


def other_runs(bridge: Bridge, run_id: str) -> list[LibraryItem]:
    """The runs of the library that tested genes, but this one. For a thread."""
    workbench = bridge.workbench
    places = {
        job.id: str(job.params.get("data", "")) for job in workbench.runtime.jobs({JobState.DONE}, limit=MOST_RUNS)
    }
    found = queries.list_runs(workbench.store, limit=MOST_RUNS)
    marks = Marks(workbench.paths.home)
    tested = [run for run in found if run.id != run_id and "n_significant" in run.summary]
    return [run_item(run, marks, places.get(run.job_id, "")) for run in tested]


def _reveal(path: Path) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path if path.is_dir() else path.parent)))


def write_genes(path: Path, run: RunResults, keys: list[str], rows: list[int]) -> None:
    """Write genes as CSV whose cells start no formula. Raises OSError."""
    from desktop.ui.itemmodels.gene_results import table_text

    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(table_text(run.genes, keys, rows, separator=","), encoding="utf-8", newline="")
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
