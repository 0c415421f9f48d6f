"""The toolbar: pane buttons, title, New, Run, Stop, search. At most seven things; everything is in the menus too."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence, QMouseEvent
from PySide6.QtWidgets import QLabel, QLineEdit, QSizePolicy, QToolBar, QToolButton, QWidget

from desktop.ui import theme
from desktop.ui.actions import Actions

_BUTTONS = ("ui.new_analysis", "ui.run", "ui.stop")


class Toolbar(QToolBar):
    """Made from the window's actions."""

    def __init__(self, actions: Actions, parent: QWidget) -> None:
        super().__init__("Toolbar", parent)
        self.setObjectName("toolbar")
        self.setMovable(False)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        self.setIconSize(QSize(18, 18))
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._toggles: dict[str, QToolButton] = {}
        self._title = _Title()
        self._title.setFont(theme.scaled(self.font(), 1.2, bold=True))
        self.search = _SearchField(actions["ui.open_palette"].trigger)
        self._add_toggle(actions, "ui.toggle_sidebar")
        self.addWidget(self._title)
        for key in _BUTTONS:
            self.addAction(actions[key])
            button = self.widgetForAction(actions[key])
            button.setAccessibleName(actions.commands[key].title)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._add_gap(theme.GAP)
        self.addWidget(self.search)
        self._add_gap(2)
        self._add_toggle(actions, "ui.toggle_inspector")

    def show_title(self, text: str) -> None:
        """What the window is about now."""
        self._title.show_text(text)

    @property
    def title(self) -> str:
        """The title in full."""
        return self._title.accessibleName()

    def refresh_icons(self) -> None:
        """Draw the pane buttons in the palette's colours; the others follow their actions."""
        for icon, button in self._toggles.items():
            button.setIcon(theme.icon(icon))

    def _add_toggle(self, actions: Actions, key: str) -> None:
        """A plain button for a pane: whether the pane is open is plain to see, so the button need not look pressed."""
        button = QToolButton()
        button.setAutoRaise(True)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setAccessibleName(f"Show or hide the {actions.commands[key].title.lower()}")
        button.setToolTip(actions[key].toolTip())
        button.setIcon(actions[key].icon())
        button.clicked.connect(actions[key].trigger)
        self._toggles[actions.commands[key].icon] = button
        self.addWidget(button)

    def _add_gap(self, width: int) -> None:
        gap = QWidget()
        gap.setFixedWidth(width)
        self.addWidget(gap)


class _Title(QLabel):
    """One line that gives way to the buttons, with … at its end."""

    def __init__(self) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setContentsMargins(10, 0, 10, 0)
        self.setMinimumWidth(60)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)

    def sizeHint(self) -> QSize:
        return QSize(120, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        return QSize(60, super().minimumSizeHint().height())

    def show_text(self, text: str) -> None:
        self.setAccessibleName(text)
        self._elide()

    def resizeEvent(self, event: object) -> None:
        self._elide()

    def _elide(self) -> None:
        room = self.contentsRect().width()
        self.setText(self.fontMetrics().elidedText(self.accessibleName(), Qt.TextElideMode.ElideRight, room))


class _SearchField(QLineEdit):
    """Looks like a search field and opens the palette, which is one."""

    def __init__(self, open_palette: Callable[[], object]) -> None:
        super().__init__()
        keys = QKeySequence("Ctrl+K").toString(QKeySequence.SequenceFormat.NativeText)
        self.setPlaceholderText(f"Search  {keys}")
        self.setAccessibleName("Search")
        self.setReadOnly(True)
        self.setFixedWidth(170)
        self.setTextMargins(6, 2, 6, 2)
        self._open = open_palette

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._open()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Space, Qt.Key.Key_Enter):
            self._open()
        else:
            super().keyPressEvent(event)
