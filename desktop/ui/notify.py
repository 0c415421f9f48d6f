"""Telling a person who is elsewhere: the Dock badge, and a call for attention when a long job ends."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QWidget

from desktop.core.jobs import JobRecord


def show_badge(app: QApplication, running: int) -> None:
    """The number on the Dock or task bar icon; nothing where the platform has none."""
    app.setBadgeNumber(running)


def is_worth_a_call(job: JobRecord, after_s: float) -> bool:
    """Whether the end of this job may call somebody back: only if it took `after_s` or longer."""
    if not job.state.is_final or job.started_s is None or job.ended_s is None:
        return False
    return job.ended_s - job.started_s >= after_s


def call(app: QApplication, window: QWidget, job: JobRecord, *, after_s: float) -> bool:
    """Bounce or flash once if the job was long and the person is in another application; says whether it did."""
    if app.applicationState() == Qt.ApplicationState.ApplicationActive or not is_worth_a_call(job, after_s):
        return False
    app.alert(window)
    return True
