"""What Find Anything offers: every command that can be done now, what the panels hold, jobs, and what was typed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from PySide6.QtCore import QMimeData
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QWidget

from desktop.core.jobs import JobRecord
from desktop.ui.actions import Actions
from desktop.ui.incoming import brought
from desktop.ui.palette import Entry

RECENT_JOBS = 200
_MENUS = ("File", "Run", "View", "Edit", "Window", "Help", "Benchtop")  # what is wanted most comes first


def command_entries(actions: Actions) -> list[Entry]:
    """The enabled commands, with their shortcuts."""
    native = QKeySequence.SequenceFormat.NativeText
    return [
        Entry(
            command.title.rstrip("…"),
            actions[key].trigger,
            actions[key].shortcut().toString(native) or command.menu,
            command.icon,
            command.menu,
        )
        for key, command in sorted(actions.commands.items(), key=lambda item: _MENUS.index(item[1].menu))
        if actions[key].isEnabled() and key != "ui.open_palette"
    ]


def panel_entries(panels: Iterable[QWidget]) -> list[Entry]:
    """What the panels offer of their own accord."""
    return [entry for panel in panels for entry in getattr(panel, "palette_entries", list)()]


def job_entries(jobs: Iterable[JobRecord], show_job: Callable[[str], object]) -> list[Entry]:
    """The latest jobs."""
    recent = sorted(jobs, key=lambda job: job.created_s, reverse=True)[:RECENT_JOBS]
    return [Entry(job.title, partial(show_job, job.id), f"Job · {job.state}", "activity", job.kind) for job in recent]


def typed_entries(query: str, open_data: Callable[[str], object]) -> list[Entry]:
    """An accession or a path that was typed."""
    typed = QMimeData()
    typed.setText(query)
    return [Entry(f"Open {data}", partial(open_data, data), "Open", "open") for data in brought(typed)]
