"""Python's cycle collector, kept on the window's thread.

The collector runs on whatever thread allocates, and what it frees may be a Qt object that only the window's thread may
destroy. So it is switched off, and a timer does its work here, in small steps; what the start left is set aside.
"""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, QTimer

_EVERY_MS = 250


class WindowCollector(QObject):
    """Collects garbage while it lives. `stop` gives the work back to Python."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._thresholds = gc.get_threshold()
        gc.disable()
        gc.freeze()
        self._timer = QTimer(self)
        self._timer.setInterval(_EVERY_MS)
        self._timer.timeout.connect(self._on_timeout)
        self._timer.start()

    def stop(self) -> None:
        """For the end of the window, and for tests."""
        self._timer.stop()
        gc.unfreeze()
        gc.enable()

    def _on_timeout(self) -> None:
        """The oldest generation that is due, as Python itself would choose."""
        due = [count > limit for count, limit in zip(gc.get_count(), self._thresholds, strict=True)]
        for generation in (2, 1, 0):
            if due[generation]:
                gc.collect(generation)
                return
