"""The source list on the left: sections under headings, template icons, count badges. Knows no panel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PySide6.QtCore import QEvent, QItemSelectionModel, QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QPainter, QPalette, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QFrame, QListView, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from desktop.ui import theme

_KEY, _ICON, _BADGE, _IS_HEADING = (Qt.ItemDataRole.UserRole + n for n in range(1, 5))
_Index = QModelIndex | QPersistentModelIndex


class Section(NamedTuple):
    """A row: `key` names it, `opens_only` means that choosing it opens something and the selection stays."""

    key: str
    title: str
    icon: str
    heading: str
    opens_only: bool = False


class Sidebar(QListView):
    """Emits `sectionChosen(key)`. Clicking a heading folds its rows."""

    sectionChosen = Signal(str)

    def __init__(self, sections: Sequence[Section], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("sidebar")
        self.setAccessibleName("Sections")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.setItemDelegate(_RowDelegate(self))
        self.setMinimumWidth(140)
        self.setViewportMargins(0, 6, 0, 6)
        self.viewport().setBackgroundRole(QPalette.ColorRole.Window)
        self._sections = {section.key: section for section in sections}
        self._rows: dict[str, QStandardItem] = {}
        model = QStandardItemModel(self)
        heading = ""
        for section in sections:
            if section.heading != heading:
                heading = section.heading
                model.appendRow(_heading(heading))
            item = QStandardItem(section.title)
            item.setData(section.key, _KEY)
            item.setData(section.icon, _ICON)
            item.setData(section.title, Qt.ItemDataRole.AccessibleTextRole)
            self._rows[section.key] = item
            model.appendRow(item)
        self.setModel(model)
        self.selectionModel().currentChanged.connect(self._on_current)
        self.clicked.connect(self._on_clicked)

    def sizeHint(self) -> QSize:
        return QSize(190, 300)

    @property
    def current(self) -> str:
        """The key of the chosen section, or ""."""
        return str(self.currentIndex().data(_KEY) or "")

    def choose(self, key: str) -> None:
        """Select a section without asking it to open twice."""
        index = self._rows[key].index()
        if index != self.currentIndex():
            self.selectionModel().setCurrentIndex(index, QItemSelectionModel.SelectionFlag.ClearAndSelect)

    def set_badge(self, key: str, count: int) -> None:
        """The number beside a section; 0 shows none."""
        item = self._rows[key]
        item.setData(count, _BADGE)
        title = self._sections[key].title
        item.setData(f"{title}, {count}" if count else title, Qt.ItemDataRole.AccessibleTextRole)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        section = self._sections.get(self.current)
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space) and section is not None:
            self.sectionChosen.emit(section.key)
            return
        super().keyPressEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.viewport().update()

    def _on_current(self, current: QModelIndex) -> None:
        section = self._sections.get(str(current.data(_KEY) or ""))
        if section is not None and not section.opens_only:
            self.sectionChosen.emit(section.key)

    def _on_clicked(self, index: QModelIndex) -> None:
        if index.data(_IS_HEADING):
            row = index.row() + 1
            model = self.model()
            while row < model.rowCount() and not model.index(row, 0).data(_IS_HEADING):
                self.setRowHidden(row, not self.isRowHidden(row))
                row += 1
            return
        section = self._sections[str(index.data(_KEY))]
        if section.opens_only:
            self.sectionChosen.emit(section.key)


def _heading(text: str) -> QStandardItem:
    item = QStandardItem(text)
    item.setFlags(Qt.ItemFlag.ItemIsEnabled)
    item.setData(True, _IS_HEADING)
    item.setData(f"{text} sections", Qt.ItemDataRole.AccessibleTextRole)
    return item


class _RowDelegate(QStyledItemDelegate):
    """Rounded selection, icon, title, badge."""

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        return QSize(120, theme.ROW + 4 if index.data(_IS_HEADING) else theme.ROW + 2)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        palette: QPalette = option.palette
        box: QRect = QRect(option.rect).adjusted(8, 1, -8, -1)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = painter.font()
        if index.data(_IS_HEADING):
            painter.setFont(theme.scaled(font, 0.86, bold=True))
            painter.setPen(theme.secondary(palette))
            painter.drawText(box.adjusted(8, 8, 0, 0), Qt.AlignmentFlag.AlignVCenter, str(index.data()))
            painter.restore()
            return
        view = self.parent()
        selected = isinstance(view, QListView) and view.currentIndex() == index
        focused = isinstance(view, QListView) and view.hasFocus()
        text = palette.color(QPalette.ColorRole.WindowText)
        if selected:
            accent = palette.color(QPalette.ColorRole.Highlight)
            ground = palette.color(QPalette.ColorRole.Window)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(accent if focused else theme.mix(ground, text, 0.12))
            painter.drawRoundedRect(box, 6, 6)
            if focused:
                text = palette.color(QPalette.ColorRole.HighlightedText)
        side = 18
        tint = text if selected and focused else palette.color(QPalette.ColorRole.Accent)
        painter.drawPixmap(
            box.left() + 8,
            box.center().y() - side // 2 + 1,
            theme.pixmap(str(index.data(_ICON)), QSize(side, side), tint),
        )
        painter.setPen(text)
        badge = int(index.data(_BADGE) or 0)
        right = -34 if badge else -6
        painter.drawText(
            box.adjusted(34, 0, right, 0), Qt.AlignmentFlag.AlignVCenter, str(index.data(Qt.ItemDataRole.DisplayRole))
        )
        if badge:
            painter.setPen(text if selected and focused else theme.secondary(palette))
            painter.setFont(theme.scaled(font, 0.9))
            painter.drawText(
                box.adjusted(0, 0, -10, 0), Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, str(badge)
            )
        painter.restore()
