"""One panel for each section of the sidebar, loaded by name after the first paint.

`Panel` is all the frame knows of one. A panel that is a plain QWidget works too: the frame connects what it finds.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget


class Panel(QWidget):
    """What stands in the middle of the window. Constructed with (bridge, parent).

    titleChanged(str)      what the toolbar shows while this panel is in front
    actionsChanged()       `actions()` would answer differently now (another selection, a job began)
    inspected(object)      an `Inspected` for the inspector, or None
    openRequested(str)     data to analyse: a path or an accession; the frame takes it to Analyze
    runRequested(str)      a run (id or folder) to show in Analyze
    noticed(object)        a `Notice` for the banner above the panel
    commanded(str)         do the command of this id, as if chosen from its menu
    """

    titleChanged = Signal(str)
    actionsChanged = Signal()
    inspected = Signal(object)
    openRequested = Signal(str)
    runRequested = Signal(str)
    noticed = Signal(object)
    commanded = Signal(str)

    def actions(self) -> dict[str, Callable[[], object]]:  # type: ignore[override]
        """Handlers by command id (see `desktop.ui.actions`) while in front; what is absent is disabled."""
        return {}
