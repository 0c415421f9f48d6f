"""⌘K: one field over every command, job, run and dataset. Typing narrows, Return does it, Esc leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent, QPalette, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import (
    QFrame,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from desktop.ui import theme

LIMIT = 60  # rows shown for one query
_KEYS, _ICON = Qt.ItemDataRole.UserRole + 1, Qt.ItemDataRole.UserRole + 2


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that can be done or gone to. `aside` stands at the right: a shortcut, or what kind of thing it is."""

    title: str
    do: Callable[[], object]
    aside: str = ""
    icon: str = ""
    words: str = ""  # more to search in, not shown


def ranked(entries: Sequence[Entry], query: str) -> list[Entry]:
    """The entries that contain every word of the query, those whose title starts with it first."""
    words = query.casefold().split()

    def score(entry: Entry) -> int | None:
        title = entry.title.casefold()
        everything = f"{title} {entry.aside.casefold()} {entry.words.casefold()}"
        if not all(word in everything for word in words):
            return None
        if title.startswith(query.casefold().strip()):
            return 0
        starts = tuple(title.split())
        if all(any(start.startswith(word) for start in starts) for word in words):
            return 1
        if all(word in title for word in words):
            return 2
        return 3 if all(word in f"{title} {entry.aside.casefold()}" for word in words) else 4

    scored = [(found, n) for n, entry in enumerate(entries) if (found := score(entry)) is not None]
    return [entries[n] for _, n in sorted(scored)][:LIMIT]


class Palette(QFrame):
    """An overlay at the top of the window. `make_entries(query)` is asked at each opening and keystroke."""

    def __init__(self, window: QWidget, make_entries: Callable[[str], Sequence[Entry]]) -> None:
        super().__init__(window)
        self.setObjectName("palette")
        self.setAccessibleName("Find anything")
        self._make_entries = make_entries
        self._before: QWidget | None = None
        self._entries: list[Entry] = []
        self._field = QLineEdit()
        self._field.setAccessibleName("Find anything")
        self._field.setPlaceholderText("A command, run, dataset, job, or an accession such as GSE52778")
        self._field.setFrame(False)
        self._field.setFont(theme.scaled(self.font(), 1.2))
        self._field.setTextMargins(10, 8, 10, 8)
        self._list = QListView()
        self._list.setAccessibleName("Matches")
        self._list.setFrameShape(QFrame.Shape.NoFrame)
        self._list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._list.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self._list.setItemDelegate(_EntryDelegate(self))
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._model = QStandardItemModel(self)
        self._list.setModel(self._model)
        line = QFrame()
        line.setFrameShape(QFrame.Shape.HLine)
        line.setForegroundRole(QPalette.ColorRole.Mid)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 2, 4, 6)
        column.setSpacing(0)
        column.addWidget(self._field)
        column.addWidget(line)
        column.addWidget(self._list)
        self._field.textChanged.connect(self._on_text)
        self._list.clicked.connect(lambda index: self._do(index.row()))
        self._field.installEventFilter(self)
        window.installEventFilter(self)
        self.hide()

    def open_at(self, query: str = "") -> None:
        """Show it over the window, with what is typed so far."""
        self._before = self.window().focusWidget()
        self._field.setText(query)
        self._on_text(query)
        self._place()
        self.show()
        self.raise_()
        self._field.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def dismiss(self) -> None:
        """Hide it and give the keyboard back."""
        self.hide()
        if self._before is not None:
            self._before.setFocus(Qt.FocusReason.OtherFocusReason)
            self._before = None

    @property
    def shown_titles(self) -> list[str]:
        """What is offered now, best first."""
        return [entry.title for entry in self._entries]

    def _on_text(self, query: str) -> None:
        self._entries = ranked(self._make_entries(query), query)
        self._model.clear()
        for entry in self._entries:
            item = QStandardItem(entry.title)
            item.setData(entry.aside, _KEYS)
            item.setData(entry.icon, _ICON)
            item.setData(f"{entry.title}, {entry.aside}".rstrip(", "), Qt.ItemDataRole.AccessibleTextRole)
            self._model.appendRow(item)
        if self._entries:
            self._list.setCurrentIndex(self._model.index(0, 0))
        self._place()

    def _do(self, row: int) -> None:
        if 0 <= row < len(self._entries):
            entry = self._entries[row]
            self.dismiss()
            entry.do()

    def _move(self, by: int) -> None:
        rows = self._model.rowCount()
        if rows:
            self._list.setCurrentIndex(self._model.index((self._list.currentIndex().row() + by) % rows, 0))

    def _place(self) -> None:
        window = self.window()
        width = min(620, window.width() - 48)
        rows = max(1, self._model.rowCount())
        height = min(self._field.sizeHint().height() + 18 + rows * (theme.ROW + 2), 420, window.height() - 120)
        self.setGeometry(QRect((window.width() - width) // 2, 64, width, height))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(self.palette().color(QPalette.ColorRole.Mid))
        painter.setBrush(self.palette().color(QPalette.ColorRole.Base))
        painter.drawRoundedRect(self.rect().adjusted(0, 0, -1, -1), 9, 9)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize and watched is self.window() and self.isVisible():
            self._place()
        if watched is self._field and event.type() == QEvent.Type.FocusOut and self.isVisible():
            self.hide()
            self._before = None
        if watched is self._field and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            moves = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_PageDown: 8, Qt.Key.Key_PageUp: -8}
            key = Qt.Key(event.key())
            if key in moves:
                self._move(moves[key])
                return True
            if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._do(self._list.currentIndex().row())
                return True
            if key == Qt.Key.Key_Escape:
                self.dismiss()
                return True
        return super().eventFilter(watched, event)


class _EntryDelegate(QStyledItemDelegate):
    """Icon, title, and the aside in quiet text at the right."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(200, theme.ROW + 2)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        palette = option.palette
        box = option.rect.adjusted(6, 1, -6, -1)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text, quiet = palette.color(QPalette.ColorRole.Text), theme.secondary(palette)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(palette.color(QPalette.ColorRole.Highlight))
            painter.drawRoundedRect(box, 6, 6)
            text = quiet = palette.color(QPalette.ColorRole.HighlightedText)
        name = str(index.data(_ICON) or "")
        if name:
            painter.drawPixmap(box.left() + 8, box.center().y() - 8, theme.pixmap(name, QSize(18, 18), quiet))
        aside = str(index.data(_KEYS) or "")
        metrics = option.fontMetrics
        room = box.width() - 34 - 12 - metrics.horizontalAdvance(aside) - 16
        title = metrics.elidedText(str(index.data()), Qt.TextElideMode.ElideRight, room)
        painter.setPen(text)
        painter.drawText(box.adjusted(34, 0, -8, 0), Qt.AlignmentFlag.AlignVCenter, title)
        painter.setPen(quiet)
        painter.drawText(box.adjusted(8, 0, -12, 0), Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, aside)
        painter.restore()
