"""The life of the window: one instance, first paint, workbench, jobs left over, quitting.

Stage one shows the frame with nothing but Qt. Stage two, after that paint, starts asyncio on Qt's loop, builds the
workbench in a thread and fills the panels. There is no nested event loop anywhere.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from PySide6.QtCore import QEvent, QTimer, Signal
from PySide6.QtGui import QFileOpenEvent
from PySide6.QtWidgets import QApplication

from desktop.core.paths import Paths
from desktop.ui import theme
from desktop.ui.first_paint import Window
from desktop.ui.single_instance import Instance
from desktop.ui.window_state import WindowState

if TYPE_CHECKING:
    from desktop.workers.workbench import Workbench

T = TypeVar("T")
Build = Callable[[], "Workbench"]


class Application(QApplication):
    """The QApplication. fileOpened(str): the Dock or the file manager gave us a file."""

    fileOpened = Signal(str)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QFileOpenEvent):
            self.fileOpened.emit(event.file())
            return True
        return super().event(event)


def open_window(build: Build, argv: Sequence[str]) -> int:
    """Open the window, or hand `argv` (paths, accessions) to the one that is open; returns the exit code."""
    paths = Paths.default()
    app = Application([sys.argv[0]])
    app.setApplicationName("Benchtop")
    app.setDesktopFileName("benchtop")
    app.setQuitOnLastWindowClosed(False)
    instance = Instance(paths.home, app)
    given = [str(Path(item).resolve()) if Path(item).exists() else item for item in argv]
    if not instance.acquire():
        if instance.hand_over(given):
            return 0
        sys.stderr.write("Benchtop is already open but does not answer. Quit it, then try again.\n")
        return 1
    state = WindowState(paths.home / "window.json")
    theme.apply_fonts(app)
    theme.apply_first_theme(app, theme.wish_of(state.text("appearance")))
    window = Window(state)
    opened: list[str] = list(given)
    app.fileOpened.connect(opened.append)
    window.painted.connect(lambda: QTimer.singleShot(0, app.exit))
    window.show()
    app.exec()  # until the first paint; the rest runs under asyncio on Qt's loop

    from desktop.ui.life import Life

    app.fileOpened.disconnect()
    return Life(app, window, state, instance, build).run(opened)
