"""Progress where the run is started: the step, how far, how long still, and the button that stops it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QSizePolicy, QWidget

from desktop.core.jobs import JobRecord, JobState
from desktop.ui import theme
from desktop.ui.itemmodels.jobs import left_words

_STEP = re.compile(r"\[step (\d{1,3})/(\d{1,3})\]")  # as the script tells it in its log


class RunProgress(QWidget):
    """`stopRequested()` when the person stops it."""

    stopRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName("Progress")
        self.bar.setFixedWidth(200)
        self.words = QLabel()
        self.words.setAccessibleName("Step")
        self.words.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.stop = QPushButton("Stop", autoDefault=False)
        self.stop.setToolTip("Stop this job, at once")
        self.stop.clicked.connect(self.stopRequested)
        self._job_id, self._step = "", ""
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.GAP)
        row.addWidget(self.bar)
        row.addWidget(self.words, 1)
        row.addWidget(self.stop)

    def note_lines(self, lines: Sequence[str]) -> None:
        """Lines of the job's log, which say the number of the step."""
        found = [match for line in lines if (match := _STEP.match(line))]
        if found:
            self._step = f"step {found[-1][1]}/{found[-1][2]}"

    def show_job(self, job: JobRecord) -> None:
        """Show how far a job is."""
        if job.id != self._job_id:
            self._job_id, self._step = job.id, ""
        self.bar.setRange(0, 0 if job.state is JobState.WAITING else 1000)
        self.bar.setValue(round(job.done_frac * 1000))
        text = job_words(job, self._step)
        self.words.setText(text)
        self.bar.setAccessibleDescription(text)


def job_words(job: JobRecord, step: str = "") -> str:
    """ "step 5/8 · Fit the model · 62 % · about 2 min"; what is not known is left out."""
    if job.state is JobState.WAITING:
        return "Waiting for its turn"
    parts = [step, job.note or job.step, f"{job.done_frac:.0%}", left_words(job)]
    return " · ".join(part for part in parts if part)
