"""The window itself: sidebar, toolbar, panel, inspector, status bar, banner and palette, and how they hang together.

Built right after the first paint and before the workbench; it imports no panel: those come by name once the workbench
is there. When the window opens, when it ends and what it asks then is `main_window.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import (
    QDropEvent,
    QPalette,
)
from PySide6.QtWidgets import (
    QApplication,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from desktop.core.jobs import JobRecord, resolve
from desktop.ui import findable
from desktop.ui.actions import Actions
from desktop.ui.bridge import Bridge
from desktop.ui.first_paint import SIDEBAR_PX, Window
from desktop.ui.incoming import ask_accession, ask_file, ask_folder, brought, in_order
from desktop.ui.palette import Entry, Palette
from desktop.ui.widgets.banner import Banner, Notice
from desktop.ui.widgets.inspector import Inspected, Inspector
from desktop.ui.widgets.sidebar import Section, Sidebar
from desktop.ui.widgets.status import StatusLine
from desktop.ui.widgets.toolbar import Toolbar
from desktop.ui.window_state import WindowState

SECTIONS = (
    Section("library", "Library", "library", "Work"),
    Section("analyze", "Analyze", "analyze", "Work"),
    Section("models", "Models", "models", "Machine"),
    Section("activity", "Activity", "activity", "Machine"),
    Section("settings", "Settings", "settings", "Machine", opens_only=True),
)
PANELS = {
    "library": "desktop.ui.panels.library:LibraryPanel",
    "analyze": "desktop.ui.panels.analyze:AnalyzePanel",
    "models": "desktop.ui.panels.models:ModelsPanel",
    "activity": "desktop.ui.panels.activity:ActivityPanel",
}
_PANEL_SIGNALS = (
    "titleChanged",
    "actionsChanged",
    "inspected",
    "openRequested",
    "runRequested",
    "noticed",
    "commanded",
)


class Frame(QObject):
    """Fills a `Window` and runs it.

    closed()   the person closed the window; it is hidden, jobs go on
    """

    closed = Signal()

    def __init__(self, window: Window, bridge: Bridge, state: WindowState) -> None:
        super().__init__(window)
        self.window, self.bridge, self.state = window, bridge, state
        self._panels: dict[str, QWidget] = {}
        self._titles: dict[QWidget, str] = {}
        self._inspected: dict[QWidget, Inspected | None] = {}
        self._jobs: dict[str, JobRecord] = {}
        self._pending: list[tuple[str, str]] = []
        self._settings: Any = None
        self.actions = Actions(window)
        self._build_middle()
        self.toolbar = Toolbar(self.actions, window)
        window.addToolBar(self.toolbar)
        self.status = StatusLine(window)
        window.setStatusBar(self.status)
        self.actions.fill(window.menuBar())
        self.palette = Palette(window, self._entries)
        self.actions.handle(self._handlers())
        self._restore()
        window.setAcceptDrops(True)
        window.installEventFilter(self)
        bridge.attached.connect(self._on_attached)
        bridge.jobChanged.connect(self._on_job)
        bridge.faulted.connect(self._on_fault)

    # ---- building -----------------------------------------------------------------------------------------------

    def _build_middle(self) -> None:
        self.sidebar = Sidebar(SECTIONS)
        self.banner, self.stack, self.inspector = Banner(), QStackedWidget(), Inspector()
        self._blank = QWidget()
        self._blank.setAutoFillBackground(True)
        self._blank.setBackgroundRole(QPalette.ColorRole.Base)
        self.stack.addWidget(self._blank)
        middle = QWidget()
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.banner)
        column.addWidget(self.stack, 1)
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.setHandleWidth(1)
        self.splitter.setChildrenCollapsible(False)
        for widget in (self.sidebar, middle, self.inspector):
            self.splitter.addWidget(widget)
        self.splitter.setStretchFactor(1, 1)
        self.splitter.setSizes([SIDEBAR_PX, 830, 260])
        self.window.setCentralWidget(self.splitter)
        self.sidebar.sectionChosen.connect(self.show_section)
        self.inspector.originChosen.connect(self.show_run)
        self.inspector.noteEdited.connect(self._on_note)

    def _handlers(self) -> dict[str, Callable[[], object]]:
        go = {f"ui.go_{key}": (partial(self.show_section, key)) for key in PANELS}
        edit = {f"ui.{name}": partial(_edit, name) for name in ("undo", "redo", "cut", "copy", "paste")}
        return {
            **go,
            **edit,
            "ui.select_all": lambda: _edit("selectAll"),
            "ui.open_palette": self.palette.open_at,
            "ui.toggle_sidebar": lambda: self._toggle(self.sidebar),
            "ui.toggle_inspector": lambda: self._toggle(self.inspector),
            "ui.close_window": self.window.close,
            "ui.minimise": self.window.showMinimized,
            "ui.zoom": lambda: self.window.showNormal() if self.window.isMaximized() else self.window.showMaximized(),
            "ui.toggle_full_screen": lambda: (
                self.window.showNormal() if self.window.isFullScreen() else self.window.showFullScreen()
            ),
            "ui.show_shortcuts": lambda: self._open_settings("Shortcuts"),
        }

    def _restore(self) -> None:
        self.splitter.restoreState(self.state.data("splitter"))
        self.sidebar.setVisible(self.state.flag("sidebar", default=True))
        self.inspector.setVisible(self.state.flag("inspector", default=False))
        self._sync_toggles()
        section = self.state.text("section", "library")
        self.show_section(section if section in PANELS else "library")

    def remember(self) -> None:
        """Write down what the next start should look like."""
        self.state.put("geometry", bytes(self.window.saveGeometry().data()))
        self.state.put("splitter", bytes(self.splitter.saveState().data()))
        self.state.put("sidebar", not self.sidebar.isHidden())
        self.state.put("inspector", not self.inspector.isHidden())
        self.state.put("section", self.sidebar.current)
        for key, panel in self._panels.items():
            if (remembered := getattr(panel, "remembered", None)) is not None:
                self.state.put(f"panel.{key}", remembered())
        self.state.save()

    # ---- sections and panels ------------------------------------------------------------------------------------

    def show_section(self, key: str) -> QWidget | None:
        """Bring a section to the front; its panel is made when it is first needed and possible."""
        if key == "settings":
            self._open_settings()
            return None
        self.sidebar.choose(key)
        self.toolbar.show_title(next(section.title for section in SECTIONS if section.key == key))
        if not self.bridge.is_attached:
            return None
        panel = self.panel(key)
        if self.stack.currentWidget() is not panel:
            self.stack.setCurrentWidget(panel)
            self.inspector.show_item(self._inspected.get(panel))
        self.toolbar.show_title(self._titles.get(panel) or self.toolbar.title)
        self._on_panel_actions(panel)
        return panel

    def panel(self, key: str) -> QWidget:
        """The panel of a section, made if need be."""
        if key not in self._panels:
            panel: QWidget = resolve(PANELS[key])(self.bridge, self.window)
            self._panels[key] = panel
            self.stack.addWidget(panel)
            for name in _PANEL_SIGNALS:
                if (signal := getattr(panel, name, None)) is not None:
                    signal.connect(lambda *args, name=name, panel=panel: self._on_panel(panel, name, *args))
            if (recall := getattr(panel, "recall", None)) is not None:
                recall(self.state.mapping(f"panel.{key}"))
        return self._panels[key]

    def _on_panel(self, panel: QWidget, name: str, *args: object) -> None:
        if name == "openRequested":
            self.open_data(str(args[0]))
        elif name == "runRequested":
            self.show_run(str(args[0]))
        elif name == "commanded":
            self.actions.run(str(args[0]))
        elif name == "noticed" and isinstance(args[0], Notice):
            self.banner.show_notice(args[0])
        elif name == "inspected" and (args[0] is None or isinstance(args[0], Inspected)):
            self._inspected[panel] = args[0]
            if panel is self.stack.currentWidget():
                self.inspector.show_item(args[0])
        elif name == "titleChanged":
            self._titles[panel] = str(args[0])
            if panel is self.stack.currentWidget():
                self.toolbar.show_title(str(args[0]))
        elif panel is not self.stack.currentWidget():
            return
        elif name == "actionsChanged":
            self._on_panel_actions(panel)

    def _on_panel_actions(self, panel: QWidget) -> None:
        handlers: object = getattr(panel, "actions", list)()
        self.actions.lend(handlers if isinstance(handlers, dict) else {})

    def _on_attached(self) -> None:
        self.actions.handle(
            {
                "ui.new_analysis": lambda: self._in_analyze("new_analysis"),
                "ui.open_file": lambda: self.bridge.start(self._open_asked(ask_file(self.window))),
                "ui.open_folder": lambda: self.bridge.start(self._open_asked(ask_folder(self.window))),
                "ui.open_accession": lambda: self.bridge.start(self._open_asked(ask_accession(self.window))),
                "ui.try_sample": lambda: self._in_analyze("try_sample"),
                "ui.open_settings": self._open_settings,
                "ui.check_machine": lambda: self._open_settings("Sandbox"),
            }
        )
        self.show_section(self.sidebar.current or "library")
        for data, samples in self._pending:
            self.open_data(data, samples)
        self._pending.clear()

    def _in_analyze(self, method: str, *args: str) -> None:
        panel = self.show_section("analyze")
        if (do := getattr(panel, method, None)) is not None:
            do(*args)

    def open_data(self, data: str, samples: str = "") -> None:
        """Take a path or an accession, and a sample sheet if there is one, to Analyze; kept until that is possible."""
        if not self.bridge.is_attached:
            self._pending.append((data, samples))
            return
        self._in_analyze("open_data", data, samples)

    async def _open_asked(self, asking: Awaitable[str]) -> None:
        if data := await asking:
            self.open_data(data)

    def show_run(self, run: str) -> None:
        """Show a run, by id or folder, in Analyze."""
        if self.bridge.is_attached:
            self._in_analyze("open_run", run)

    def _open_settings(self, section: str = "") -> None:
        if not self.bridge.is_attached:
            return
        if self._settings is None:
            self._settings = resolve("desktop.ui.panels.settings:SettingsWindow")(self.bridge, self.window)
        self._settings.open_at(section)

    def _on_fault(self, error: BaseException) -> None:
        self.banner.show_notice(Notice.of(error))

    # ---- jobs ---------------------------------------------------------------------------------------------------

    def seed_jobs(self, jobs: list[JobRecord]) -> None:
        """The jobs there are when the window attaches."""
        self._jobs = {job.id: job for job in jobs} | self._jobs
        self._show_counts()

    def _on_job(self, job: JobRecord) -> None:
        before = self._jobs.get(job.id)
        self._jobs[job.id] = job
        if before is None or before.state != job.state:
            self._show_counts()

    @property
    def jobs(self) -> dict[str, JobRecord]:
        """The latest of each job the window has heard of."""
        return self._jobs

    def _show_counts(self) -> None:
        self.sidebar.set_badge("activity", self.status.show_jobs(self._jobs.values()))

    @property
    def status_words(self) -> tuple[str, str]:
        """What the status bar says: jobs, machine."""
        return self.status.words

    def show_machine(self, words: str, tip: str = "") -> None:
        """What the status bar says of the machine: isolation, network."""
        self.status.show_machine(words, tip)

    # ---- palette ------------------------------------------------------------------------------------------------

    def _entries(self, query: str) -> list[Entry]:
        return [
            *findable.typed_entries(query, self.open_data),
            *findable.command_entries(self.actions),
            *findable.panel_entries(self._panels.values()),
            *findable.job_entries(self._jobs.values(), self.show_job),
        ]

    def show_job(self, job_id: str) -> None:
        """Select a job in Activity."""
        panel = self.show_section("activity")
        if (select := getattr(panel, "select_job", None)) is not None:
            select(job_id)

    # ---- small things -------------------------------------------------------------------------------------------

    def _toggle(self, pane: QWidget) -> None:
        pane.setVisible(pane.isHidden())
        self._sync_toggles()

    def _sync_toggles(self) -> None:
        self.actions["ui.toggle_sidebar"].setChecked(not self.sidebar.isHidden())
        self.actions["ui.toggle_inspector"].setChecked(not self.inspector.isHidden())

    def _on_note(self, key: str, text: str) -> None:
        for panel in self._panels.values():
            if (keep := getattr(panel, "keep_note", None)) is not None:
                keep(key, text)

    def bring_to_front(self) -> None:
        """Show the window, wherever it was."""
        if self.window.isMinimized():
            self.window.showNormal()
        self.window.show()
        self.window.raise_()
        self.window.activateWindow()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QDropEvent) and event.type() in (QEvent.Type.DragEnter, QEvent.Type.Drop):
            data = brought(event.mimeData())
            if data:
                event.acceptProposedAction()
            if data and event.type() == QEvent.Type.Drop:
                self._on_dropped(data)
            return bool(data)
        if event.type() == QEvent.Type.Close:
            self.remember()
            self.closed.emit()
        elif event.type() == QEvent.Type.PaletteChange:
            self.actions.refresh_icons()
            self.toolbar.refresh_icons()
        return False

    def _on_dropped(self, data: list[str]) -> None:
        """One file or folder is opened; of two files one is the sample sheet of the other."""
        files = in_order(data)
        self.open_data(*files[:2])
        if len(files) > 2:
            names = " and ".join(Path(file).name for file in files[:2])
            hint = "Drop one dataset at a time, or the folder that holds it."
            self.banner.show_notice(Notice(f"Opened {names} of the {len(files)} files dropped.", hint))


def _edit(name: str) -> None:
    """Do an edit command on the text that has the keyboard."""
    widget = QApplication.focusWidget()
    if widget is not None and (do := getattr(widget, name, None)) is not None:
        do()
