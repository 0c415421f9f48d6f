"""Progress where the work is: a bar in the row's own cell, a coloured word once it is over."""

from __future__ import annotations

import time

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPalette
from PySide6.QtWidgets import QApplication, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from desktop.core.jobs import JobRecord, JobState
from desktop.ui import theme
from desktop.ui.itemmodels.jobs import JOB_ROLE, SHOW_PROGRESS_AFTER_S, progress_words

_ICONS = {
    JobState.DONE: "done",
    JobState.FAILED: "failed",
    JobState.WAITING: "waiting",
    JobState.CANCELLED: "stop",
    JobState.INTERRUPTED: "warning",
}
_Index = QModelIndex | QPersistentModelIndex


class ProgressDelegate(QStyledItemDelegate):
    """Paints the cell from the JobRecord in JOB_ROLE."""

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        return QSize(200, theme.ROW)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        style = option.widget.style() if option.widget else QApplication.style()
        style.drawPrimitive(QStyle.PrimitiveElement.PE_PanelItemViewItem, option, painter, option.widget)
        job = index.data(JOB_ROLE)
        if not isinstance(job, JobRecord):
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        text = option.palette.color(QPalette.ColorRole.HighlightedText if selected else QPalette.ColorRole.Text)
        box = option.rect.adjusted(6, 0, -6, 0)
        if job.state is JobState.RUNNING:
            if job.started_s is None or time.time() - job.started_s >= SHOW_PROGRESS_AFTER_S:
                box = self._paint_bar(painter, option, box, job.done_frac, selected=selected)
        else:
            picture = theme.pixmap(_ICONS[job.state], QSize(16, 16), text)
            painter.drawPixmap(box.left(), box.center().y() - 7, picture)
            box = box.adjusted(22, 0, 0, 0)
        painter.setPen(text)
        words = option.fontMetrics.elidedText(progress_words(job), Qt.TextElideMode.ElideRight, box.width())
        painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, words)
        painter.restore()

    def _paint_bar(
        self, painter: QPainter, option: QStyleOptionViewItem, box: QRect, done_frac: float, *, selected: bool
    ) -> QRect:
        width = max(40, min(96, box.width() // 2))
        ground, accent = option.palette.color(QPalette.ColorRole.Base), option.palette.color(QPalette.ColorRole.Accent)
        if selected:
            ground, accent = (
                option.palette.color(QPalette.ColorRole.Highlight),
                option.palette.color(QPalette.ColorRole.HighlightedText),
            )
        bar = QRectF(box.left(), box.center().y() - 2, width, 6)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.mix(ground, accent, 0.25))
        painter.drawRoundedRect(bar, 3, 3)
        painter.setBrush(accent)
        painter.drawRoundedRect(QRectF(bar.left(), bar.top(), max(6.0, width * done_frac), 6), 3, 3)
        return box.adjusted(width + 8, 0, 0, 0)
