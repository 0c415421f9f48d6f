"""The table of jobs: title, studio, progress, time left, when. Newest first; one changed job repaints one row."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, QSortFilterProxyModel, Qt

from desktop.core.jobs import JobRecord, JobState
from desktop.ui.itemmodels.names import data_title

TITLE, STUDIO, PROGRESS, LEFT, WHEN = range(5)
HEADINGS = ("Job", "Studio", "Progress", "Time left", "Started")
JOB_ROLE = Qt.ItemDataRole.UserRole + 1
SHOW_PROGRESS_AFTER_S = 0.5  # nothing is drawn for what is over sooner
SHOW_LEFT_ABOVE_S = 10.0
WORDS = {
    JobState.WAITING: "Waiting",
    JobState.RUNNING: "Running",
    JobState.DONE: "Done",
    JobState.FAILED: "Failed",
    JobState.CANCELLED: "Stopped",
    JobState.INTERRUPTED: "Interrupted",
}
GROUPS: dict[str, tuple[JobState, ...]] = {
    "Running": (JobState.RUNNING,),
    "Waiting": (JobState.WAITING,),
    "Done": (JobState.DONE,),
    "Failed": (JobState.FAILED, JobState.CANCELLED, JobState.INTERRUPTED),
}

_Index = QModelIndex | QPersistentModelIndex
_NO_INDEX = QModelIndex()


class JobsTableModel(QAbstractTableModel):
    """Rows are jobs, newest first. JOB_ROLE gives the JobRecord of any cell."""

    def __init__(self, studios: dict[str, str], parent: QObject | None = None) -> None:
        """studios   studio key → its title"""
        super().__init__(parent)
        self._studios = studios
        self._jobs: list[JobRecord] = []
        self._rows: dict[str, int] = {}

    def load(self, jobs: Iterable[JobRecord]) -> None:
        """Replace all rows."""
        self.beginResetModel()
        self._jobs = sorted(jobs, key=lambda job: (job.created_s, job.id), reverse=True)
        self._renumber()
        self.endResetModel()

    def put(self, job: JobRecord) -> None:
        """A job changed, or is new."""
        row = self._rows.get(job.id)
        if row is not None:
            self._jobs[row] = job
            self.dataChanged.emit(self.index(row, 0), self.index(row, len(HEADINGS) - 1))
            return
        row = next((n for n, other in enumerate(self._jobs) if other.created_s <= job.created_s), len(self._jobs))
        self.beginInsertRows(QModelIndex(), row, row)
        self._jobs.insert(row, job)
        self._renumber()
        self.endInsertRows()

    def row_of(self, job_id: str) -> int | None:
        """The row of a job, if it is there."""
        return self._rows.get(job_id)

    def job(self, row: int) -> JobRecord:
        """The job in a row."""
        return self._jobs[row]

    def rowCount(self, parent: _Index = _NO_INDEX) -> int:
        return 0 if parent.isValid() else len(self._jobs)

    def columnCount(self, parent: _Index = _NO_INDEX) -> int:
        return 0 if parent.isValid() else len(HEADINGS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return HEADINGS[section]
        return None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        job = self._jobs[index.row()]
        if role == JOB_ROLE:
            return job
        text = self._text(job, index.column())
        if role == Qt.ItemDataRole.DisplayRole:
            return text
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{HEADINGS[index.column()]}: {text or 'none'}"
        if role == Qt.ItemDataRole.ToolTipRole and job.error is not None:
            return f"{job.error.message}\n{job.error.hint}"
        return None

    def _text(self, job: JobRecord, column: int) -> str:
        match column:
            case 0:
                subject = subject_of(job)
                return f"{job.title}: {subject}" if subject else job.title
            case 1:
                return self._studios.get(job.studio, job.studio)
            case 2:
                return progress_words(job)
            case 3:
                return left_words(job)
            case _:
                return when_words(job.started_s or job.created_s)

    def _renumber(self) -> None:
        self._rows = {job.id: row for row, job in enumerate(self._jobs)}


class JobsFilterModel(QSortFilterProxyModel):
    """Jobs of one group, or of all ("")."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._states: tuple[JobState, ...] = ()

    def show_group(self, group: str) -> None:
        """One of GROUPS, or "" for all."""
        self.beginFilterChange()
        self._states = GROUPS.get(group, ())
        self.endFilterChange(QSortFilterProxyModel.Direction.Rows)

    def filterAcceptsRow(self, source_row: int, source_parent: _Index) -> bool:
        model = self.sourceModel()
        if not self._states or not isinstance(model, JobsTableModel):
            return True
        return model.job(source_row).state in self._states


def subject_of(job: JobRecord) -> str:
    """What the job is about, from its parameters: the data's name, or the runs compared."""
    params = job.params
    if params.get("left") and params.get("right"):
        return f"{_short(params['left'])} and {_short(params['right'])}"
    return _short(params.get("data", ""))


def _short(value: object) -> str:
    return data_title(str(value)) if value else ""


def progress_words(job: JobRecord) -> str:
    """State and, while it runs, how far it is."""
    if job.state is not JobState.RUNNING:
        return WORDS[job.state]
    return f"{job.done_frac:.0%} · {job.step}" if job.step else f"{job.done_frac:.0%}"


def left_words(job: JobRecord) -> str:
    """Time left, told only where it is worth telling."""
    if job.state is not JobState.RUNNING or job.time_left_s is None or job.time_left_s < SHOW_LEFT_ABOVE_S:
        return ""
    return f"about {duration_words(job.time_left_s)}"


def duration_words(seconds: float) -> str:
    """3 s, 12 min, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def when_words(epoch_s: float) -> str:
    """A time today, else the date and time, in the person's zone."""
    moment = datetime.fromtimestamp(epoch_s).astimezone()
    today = datetime.fromtimestamp(time.time()).astimezone().date()
    return f"{moment:%H:%M:%S}" if moment.date() == today else f"{moment:%d %b %Y, %H:%M}"
