"""What the status bar says: how many jobs run and wait, and the machine's isolation and network."""

from __future__ import annotations

from collections.abc import Collection

from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QLabel, QStatusBar, QWidget

from desktop.core.jobs import JobRecord, JobState
from desktop.ui import theme


class StatusLine(QStatusBar):
    """Jobs on the left, the machine on the right."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._running, self._machine = QLabel("Starting…"), QLabel("")
        for label, name in ((self._running, "Jobs"), (self._machine, "Machine")):
            label.setAccessibleName(name)
            label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
            label.setFont(theme.scaled(self.font(), 0.92))
            label.setContentsMargins(8, 1, 8, 1)
        self.setSizeGripEnabled(False)
        self.addWidget(self._running)
        self.addPermanentWidget(self._machine)

    @property
    def words(self) -> tuple[str, str]:
        """Both sides as text."""
        return self._running.text(), self._machine.text()

    def show_jobs(self, jobs: Collection[JobRecord]) -> int:
        """Count them; returns how many run or wait."""
        states = [job.state for job in jobs]
        running, waiting = states.count(JobState.RUNNING), states.count(JobState.WAITING)
        words = [f"{running} running"] * bool(running) + [f"{waiting} waiting"] * bool(waiting)
        self._running.setText(" · ".join(words) or "Nothing running")
        return running + waiting

    def show_machine(self, words: str, tip: str = "") -> None:
        """Isolation and network."""
        self._machine.setText(words)
        self._machine.setToolTip(tip)
