"""Every command there is, as data, and the QActions, menus and shortcuts made from it.

The frame and the panel in front give handlers by id; a command nobody handles now is disabled. What a command does
is not here. Menu roles are explicit: Qt would otherwise guess from the text and move items named Settings or About.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar, QWidget

from desktop.ui import theme

Handler = Callable[[], object]


class Command(NamedTuple):
    """One command. `shortcut` is in Qt's portable text, where Ctrl is ⌘ on a Mac; "" has none.

    menu   the menu it stands in; `before` puts a separator above it
    """

    id: str
    title: str
    menu: str
    shortcut: str = ""
    icon: str = ""
    tip: str = ""
    before: bool = False
    checkable: bool = False
    role: QAction.MenuRole = QAction.MenuRole.NoRole


MENUS = ("Benchtop", "File", "Edit", "View", "Run", "Window", "Help")
_Role = QAction.MenuRole

COMMANDS: tuple[Command, ...] = (
    Command("ui.show_about", "About Benchtop", "Benchtop", role=_Role.AboutRole),
    Command("ui.open_settings", "Settings…", "Benchtop", "Ctrl+,", "settings", role=_Role.PreferencesRole, before=True),
    Command("ui.quit", "Quit Benchtop", "Benchtop", "Ctrl+Q", role=_Role.QuitRole, before=True),
    Command("ui.new_analysis", "New Analysis", "File", "Ctrl+N", "new", "Start an analysis of new data"),
    Command("ui.open_file", "Open…", "File", "Ctrl+O", "open", "Open a counts table or another data file"),
    Command("ui.open_folder", "Open Folder…", "File", "Ctrl+Shift+O", "", "Open a folder of GEO files"),
    Command("ui.open_accession", "Open Accession…", "File", "Ctrl+Shift+A", "", "Type or paste a GEO accession"),
    Command(
        "ui.search_geo", "Search GEO…", "File", "Ctrl+Shift+F", "search", "Look for series of GEO by words and filters"
    ),
    Command("ui.try_sample", "Try the Sample", "File", "", "", "Open the dataset that comes with Benchtop"),
    Command("ui.export_run", "Export Run…", "File", "Ctrl+Shift+E", "", "Copy a run's folder elsewhere", before=True),
    Command("ui.export_archive", "Export Run as Archive…", "File", "", "", "Copy a run elsewhere as one zip"),
    Command(
        "ui.reveal_files", "Show in File Browser", "File", "Ctrl+Shift+J", "", "Show the files of what is selected"
    ),
    Command("ui.close_window", "Close Window", "File", "Ctrl+W", before=True),
    Command("ui.undo", "Undo", "Edit", "Ctrl+Z"),
    Command("ui.redo", "Redo", "Edit", "Ctrl+Shift+Z"),
    Command("ui.cut", "Cut", "Edit", "Ctrl+X", before=True),
    Command("ui.copy", "Copy", "Edit", "Ctrl+C"),
    Command("ui.paste", "Paste", "Edit", "Ctrl+V"),
    Command("ui.select_all", "Select All", "Edit", "Ctrl+A"),
    Command("ui.move_to_trash", "Move to Trash", "Edit", "Ctrl+Backspace", "trash", before=True),
    Command("ui.restore_item", "Put Back", "Edit", "", "restore"),
    Command("ui.toggle_star", "Star", "Edit", "Ctrl+D", "star", checkable=False),
    Command("ui.find", "Find in List", "Edit", "Ctrl+F", "search", before=True),
    Command("ui.open_palette", "Find Anything…", "Edit", "Ctrl+K", "search", "Commands, runs, datasets and jobs"),
    Command("ui.go_library", "Library", "View", "Ctrl+1", "library"),
    Command("ui.go_analyze", "Analyze", "View", "Ctrl+2", "analyze"),
    Command("ui.go_models", "Models", "View", "Ctrl+3", "models"),
    Command("ui.go_activity", "Activity", "View", "Ctrl+4", "activity"),
    Command("ui.toggle_sidebar", "Sidebar", "View", "Ctrl+Alt+S", "sidebar", before=True, checkable=True),
    Command("ui.toggle_inspector", "Inspector", "View", "Ctrl+Alt+I", "inspector", checkable=True),
    Command("ui.cycle_preview", "Preview Right, Below or Off", "View", "Ctrl+Alt+P", "preview"),
    Command("ui.toggle_full_screen", "Full Screen", "View", "Ctrl+Meta+F", before=True, checkable=True),
    Command("ui.run", "Run", "Run", "Ctrl+R", "run", "Run the analysis"),
    Command("ui.stop", "Stop", "Run", "Ctrl+.", "stop", "Stop the job in front"),
    Command("ui.rerun", "Run Again", "Run", "Ctrl+Shift+R", "rerun", "Run again with the same settings"),
    Command("ui.show_result", "Show Result", "Run", "", "", "Open the result of the selected job"),
    Command("ui.use_template", "Templates…", "Run", "Ctrl+Shift+T", "", "Use a plan that was kept", before=True),
    Command("ui.save_template", "Save Plan as Template…", "Run", "", "", "Keep this plan for other data"),
    Command("ui.ask_several", "Ask Several Datasets…", "Run", "Ctrl+Shift+B", "", "Many datasets as one job"),
    Command("ui.compare_runs", "Compare with…", "Run", "", "", "Compare this run with another", before=True),
    Command("ui.minimise", "Minimise", "Window", "Ctrl+M"),
    Command("ui.zoom", "Zoom", "Window"),
    Command("ui.show_shortcuts", "Keyboard Shortcuts", "Help", "Ctrl+/"),
    Command("ui.check_machine", "Check This Machine", "Help", "", "", "What works here, and what to do about the rest"),
)


class Actions(QObject):
    """The window's QActions by id, each wired to whoever handles it now: the panel in front, else the frame."""

    def __init__(self, window: QWidget, commands: tuple[Command, ...] = COMMANDS) -> None:
        super().__init__(window)
        self.commands = {command.id: command for command in commands}
        self._frame: dict[str, Handler] = {}
        self._panel: Mapping[str, Handler] = {}
        self._actions: dict[str, QAction] = {}
        for command in commands:
            action = QAction(command.title, window)
            action.setObjectName(command.id)
            action.setMenuRole(command.role)
            action.setCheckable(command.checkable)
            action.setEnabled(False)
            if command.shortcut:
                action.setShortcut(QKeySequence(command.shortcut))
            action.setToolTip(_tip(command))
            action.setStatusTip(command.tip)
            action.triggered.connect(lambda _checked=False, key=command.id: self.run(key))
            window.addAction(action)
            self._actions[command.id] = action
        self.refresh_icons()

    def __getitem__(self, key: str) -> QAction:
        return self._actions[key]

    def __iter__(self) -> Iterator[QAction]:
        return iter(self._actions.values())

    def handle(self, handlers: Mapping[str, Handler]) -> None:
        """The frame's own handlers, for as long as the window lives."""
        self._frame.update(handlers)
        self._update_enabled()

    def lend(self, handlers: Mapping[str, Handler]) -> None:
        """The handlers of the panel in front; they replace those of the panel before."""
        unknown = set(handlers) - set(self.commands)
        if unknown:
            raise KeyError(f"no such command: {', '.join(sorted(unknown))}")
        self._panel = dict(handlers)
        self._update_enabled()

    def run(self, key: str) -> None:
        """Do it, if anybody handles it now."""
        handler = self._panel.get(key) or self._frame.get(key)
        if handler is not None:
            handler()

    def _update_enabled(self) -> None:
        for key, action in self._actions.items():
            action.setEnabled(key in self._panel or key in self._frame)

    def refresh_icons(self) -> None:
        """Draw the icons again in the palette's colours. macOS menus and ours carry none; the toolbar does."""
        for key, command in self.commands.items():
            if command.icon:
                self._actions[key].setIcon(theme.icon(command.icon))
                self._actions[key].setIconVisibleInMenu(False)

    def fill(self, bar: QMenuBar) -> dict[str, QMenu]:
        """The menu bar: every command in its menu."""
        menus = {title: bar.addMenu(title) for title in MENUS}
        for command in self.commands.values():
            if command.before:
                menus[command.menu].addSeparator()
            menus[command.menu].addAction(self._actions[command.id])
        return menus


def _tip(command: Command) -> str:
    keys = QKeySequence(command.shortcut).toString(QKeySequence.SequenceFormat.NativeText)
    text = command.tip or command.title.rstrip("…")
    return f"{text} ({keys})" if keys else text
