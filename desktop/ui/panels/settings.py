"""Settings: a window of its own. Forms made from the schemas, applied at once; the state of the sandbox; shortcuts."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QCloseEvent, QFont, QKeyEvent, QKeySequence, QPalette
from PySide6.QtWidgets import (
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from desktop.core.config import SettingField
from desktop.core.errors import AppError
from desktop.ui import theme
from desktop.ui.actions import COMMANDS, MENUS
from desktop.ui.bridge import Bridge
from desktop.ui.panels.sandbox import SandboxPage
from desktop.ui.widgets.banner import Banner, Notice
from desktop.ui.widgets.form import SettingRow
from desktop.ui.widgets.sidebar import Section, Sidebar

# page → (icon, sections of the settings file, sentence at its head)
PAGES: dict[str, tuple[str, tuple[str, ...], str]] = {
    "General": ("settings", ("general",), "How Benchtop looks and when it calls for attention."),
    "Analyses": ("analyze", ("omics",), "Defaults of an analysis; a plan may change them for one run."),
    "Models": ("models", ("models", "memory", "servers"), "Which models answer, and how much memory they take."),
    "Storage": ("storage", ("storage",), "Where your data, runs and settings are kept."),
    "Connections": ("connections", ("net",), "Addresses and patience. Nothing here leaves the machine by itself."),
    "Sandbox": ("sandbox", ("sandbox",), "Where scripts run, shut off from your files and the network."),
    "Privacy": ("privacy", (), "What may leave this machine."),
    "Shortcuts": ("shortcuts", (), "Every command is in the menus and in Find Anything."),
}
MOVED = {("net", "mode"): "Privacy", ("net", "allowed"): "Privacy", ("net", "email"): "Privacy"}


class SettingsWindow(QWidget):
    """One page a section. Constructed with (bridge, parent)."""

    def __init__(self, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.setWindowTitle("Settings")
        self.setObjectName("settings")
        self.resize(QSize(760, 560))
        self.setMinimumSize(QSize(620, 400))
        self._bridge = bridge
        self._rows: dict[tuple[str, str], SettingRow] = {}
        self._columns: dict[str, QVBoxLayout] = {}
        self.list = Sidebar([Section(name, name, icon, "") for name, (icon, _, _) in PAGES.items()])
        self.list.setAccessibleName("Settings sections")
        self.list.setFixedWidth(164)
        self._pages, self._banner = QStackedWidget(), Banner()
        right = QVBoxLayout()
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(0)
        right.addWidget(self._banner)
        right.addWidget(self._pages, 1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.list)
        line = QFrame()
        line.setFrameShape(QFrame.Shape.VLine)
        line.setForegroundRole(QPalette.ColorRole.Mid)
        row.addWidget(line)
        row.addLayout(right, 1)
        fields = bridge.workbench.settings.fields()
        for name, (_, sections, words) in PAGES.items():
            self._add_page(name, words, [f for f in fields if MOVED.get((f.section, f.field)) == name
                                         or (f.section in sections and (f.section, f.field) not in MOVED)])  # fmt: skip
        self.list.sectionChosen.connect(lambda name: self._pages.setCurrentIndex(list(PAGES).index(name)))
        self.list.choose("General")
        bridge.settingsChanged.connect(self._on_settings)
        self._on_settings(bridge.workbench.settings.fault)

    def open_at(self, page: str = "") -> None:
        """Show the window, at a page if one is named."""
        if page in PAGES:
            self.list.choose(page)
        self.show()
        self.raise_()
        self.activateWindow()
        self._bridge.start(self._examine())

    def _add_page(self, name: str, words: str, fields: list[SettingField]) -> None:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(20, 16, 20, 16)
        column.setSpacing(theme.MARGIN)
        title, intro = QLabel(name), QLabel(words)
        title.setFont(theme.scaled(self.font(), 1.35, bold=True))
        intro.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        intro.setWordWrap(True)
        column.addWidget(title)
        column.addWidget(intro)
        for field in fields:
            row = SettingRow(field)
            row.changed.connect(self._on_changed)
            self._rows[row.key] = row
            column.addWidget(row)
        self._columns[name] = column
        if name == "Storage":
            column.addLayout(self._folders())
        if name == "Shortcuts":
            column.addLayout(_shortcuts())
        if name == "Sandbox":
            self._state = QFormLayout()
            self._state.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
            self._again = QPushButton("Check Again")
            self._again.setAutoDefault(False)
            self._again.clicked.connect(lambda: self._bridge.start(self._examine()))
            self._sandbox = SandboxPage(self._bridge)
            column.addWidget(self._sandbox)
            column.addWidget(_heading("This machine", self.font()))
            column.addLayout(self._state)
            column.addWidget(self._again, 0, Qt.AlignmentFlag.AlignLeft)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setAccessibleName(name)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(page)
        self._pages.addWidget(scroll)

    def _folders(self) -> QFormLayout:
        form = QFormLayout()
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        paths = self._bridge.workbench.paths
        places = {"Data folder": paths.home, "Runs": paths.runs, "Downloads": paths.cache, "Backups": paths.backups}
        places |= {"Settings file": paths.settings, "Logs": paths.logs}
        for name, path in places.items():
            form.addRow(f"{name}:", _selectable(str(path)))
        form.addRow("", _selectable("BENCHTOP_HOME moves the data folder."))
        return form

    # ---- changing -----------------------------------------------------------------------------------------------

    def _on_changed(self, section: str, field: str, value: Any) -> None:
        row = self._rows[section, field]
        try:
            settings = self._bridge.workbench.settings.change(section, **{field: value})
        except AppError as error:
            row.show_fault(error)
            return
        row.show_value(getattr(settings, field))

    def _on_settings(self, fault: str | None) -> None:
        """Values changed, here or in the file; a fault of the file is shown with its line."""
        for (section, field), row in self._rows.items():
            if not row.editor.hasFocus():
                row.show_value(getattr(self._bridge.workbench.settings.get(section), field))
        if fault:
            hint = "The last good settings stay in force until the file is repaired."
            self._banner.show_notice(Notice(fault, hint, "warning"))
        else:
            self._banner.hide()

    async def _examine(self) -> None:
        """What works on this machine, and what to do about the rest."""
        self._again.setEnabled(False)
        try:
            await self._sandbox.examine()
            found = await self._bridge.read(self._bridge.workbench.doctor)
        finally:
            self._again.setEnabled(True)
        while self._state.rowCount():
            self._state.removeRow(0)
        for checkup in found:
            words = {True: "✓", False: "✗", None: "△"}[checkup.ok]
            text = f"{words} {checkup.detail}" + (f"\n{checkup.remedy}" if checkup.remedy and not checkup.ok else "")
            self._state.addRow(f"{checkup.name}:", _selectable(text))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape or event.matches(QKeySequence.StandardKey.Close):
            self.close()
        else:
            super().keyPressEvent(event)

    def closeEvent(self, event: QCloseEvent) -> None:
        focused = self.focusWidget()
        if focused is not None:
            focused.clearFocus()  # what is being typed counts
        super().closeEvent(event)


def _selectable(text: str) -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def _heading(text: str, font: QFont) -> QLabel:
    label = QLabel(text)
    label.setFont(theme.scaled(font, 1.05, bold=True))
    return label


def _shortcuts() -> QFormLayout:
    form = QFormLayout()
    form.setHorizontalSpacing(24)
    native = QKeySequence.SequenceFormat.NativeText
    for menu in MENUS:
        for command in COMMANDS:
            if command.menu == menu and command.shortcut:
                keys = QKeySequence(command.shortcut).toString(native)
                form.addRow(keys, QLabel(f"{command.title.rstrip('…')}"))
    return form
