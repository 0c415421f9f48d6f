"""A figure: a canvas under a title, with a text summary and its ways out (file, clipboard, drag).

Pictures that leave the window are drawn on white whatever the window's own appearance, because they go into papers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyqtgraph as pg
from PySide6.QtCore import QEvent, QMimeData, QPoint, QRect, QRectF, QSize, Qt, QTemporaryDir, QUrl
from PySide6.QtGui import (
    QAction,
    QColor,
    QDrag,
    QGuiApplication,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPalette,
    QPixmap,
)
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QApplication, QFileDialog, QHBoxLayout, QLabel, QMenu, QVBoxLayout, QWidget

from desktop.ui import theme
from desktop.ui.theme import PlotColours, plot_colours
from desktop.ui.widgets.icon_button import IconButton

_SCALE = 2  # pixels of a saved PNG to one on the screen


class Figure(QWidget):
    """One figure. Subclasses give the canvas, draw in `apply_colours`' colours and keep the summary true."""

    def __init__(self, title: str, file_stem: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title, self._stem = title, file_stem
        self._canvas: QWidget = QWidget()
        self._folder: QTemporaryDir | None = None
        self._press: QPoint | None = None
        self.colours = plot_colours(self.palette())
        self._heading = QLabel(f"<b>{title}</b>")
        self._caption = QLabel()
        self._caption.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._caption.setMinimumWidth(10)
        self._more = IconButton("more", f"{title}: save, copy", "Save, copy or drag this picture")
        self._ways_out = self._menu()
        self._more.clicked.connect(self._show_menu)
        self._header = QHBoxLayout()
        self._header.setContentsMargins(8, 2, 4, 2)
        self._header.setSpacing(10)
        for widget, stretch in ((self._heading, 0), (self._caption, 1), (self._more, 0)):
            self._header.addWidget(widget, stretch)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(0)
        self._layout.addLayout(self._header)
        self.setAccessibleName(title)

    def set_canvas(self, canvas: QWidget) -> None:
        """What is drawn under the title."""
        self._canvas = canvas
        canvas.setAccessibleName(self._title)
        self._layout.addWidget(canvas, 1)

    def set_summary(self, text: str) -> None:
        """The figure in words: shown short beside the title, and read by a screen reader."""
        self.setAccessibleDescription(text)
        self._canvas.setAccessibleDescription(text)
        self._caption.setText(text)
        self._caption.setToolTip(text)

    def summary(self) -> str:
        """The figure in words."""
        return self.accessibleDescription()

    def apply_colours(self, colours: PlotColours) -> None:
        """Redraw in these colours."""
        self.colours = colours

    def paint_figure(self, painter: QPainter, rect: QRectF) -> None:
        """Draw the canvas into a rectangle of its own size."""
        self._canvas.render(painter, QPoint(0, 0))

    def show_all(self) -> None:
        """Back to the whole picture; nothing to do for figures that always show it."""

    def picture(self) -> QImage:
        """The figure as it is now, on white."""
        size = self._canvas.size()
        image = QImage(size * _SCALE, QImage.Format.Format_ARGB32_Premultiplied)
        image.setDevicePixelRatio(_SCALE)
        with self._on_white() as ground:
            image.fill(ground)
            painter = QPainter(image)
            self.paint_figure(painter, QRectF(QRect(QPoint(0, 0), size)))
            painter.end()
        return image

    def save(self, path: Path) -> None:
        """Write the figure as SVG or PNG, by the suffix. Raises OSError when the file cannot be written."""
        unfinished = path.with_name(f".part-{path.name}")
        if path.suffix.lower() == ".svg":
            self._write_svg(unfinished)
        elif path.suffix.lower() != ".png":
            raise OSError(f"{path.name}: a picture is saved as .svg or .png")
        elif not self.picture().save(str(unfinished)):
            unfinished.unlink(missing_ok=True)
            raise OSError(f"{path.name} could not be written")
        unfinished.replace(path)

    def copy_picture(self) -> None:
        """Put the picture on the clipboard."""
        QGuiApplication.clipboard().setImage(self.picture())

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self.apply_colours(plot_colours(self.palette()))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        on_header = event.position().y() < self._canvas.mapTo(self, QPoint(0, 0)).y()
        self._press = event.position().toPoint() if on_header else None
        super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Dragging the title takes the picture out as a file."""
        if self._press is None or not event.buttons() & Qt.MouseButton.LeftButton:
            return
        if (event.position().toPoint() - self._press).manhattanLength() >= QApplication.startDragDistance():
            self._press = None
            drag = QDrag(self)
            drag.setMimeData(self.drag_data())
            drag.setPixmap(QPixmap.fromImage(self.picture().scaledToWidth(160)))
            drag.exec(Qt.DropAction.CopyAction)  # the platform's own drag loop, not a nested dialog

    def drag_data(self) -> QMimeData:
        """The picture as files (SVG, PNG) for a drag; they live as long as the figure."""
        if self._folder is None:
            self._folder = QTemporaryDir()
        files = [Path(self._folder.path()) / f"{self._stem}{suffix}" for suffix in (".svg", ".png")]
        for file in files:
            self.save(file)
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(file)) for file in files])
        return data

    def _write_svg(self, path: Path) -> None:
        size = self._canvas.size()
        generator = QSvgGenerator(QSvgGenerator.SvgVersion.Svg11)
        generator.setFileName(str(path))
        generator.setResolution(self.logicalDpiX())  # or pyqtgraph's recorded axes are drawn at another scale
        generator.setSize(size)
        generator.setViewBox(QRect(QPoint(0, 0), size))
        generator.setTitle(self._title)
        generator.setDescription(self.summary())
        with self._on_white() as ground:
            painter = QPainter()
            if not painter.begin(generator):
                raise OSError(f"{path.name} could not be written")
            painter.fillRect(QRect(QPoint(0, 0), size), ground)
            self.paint_figure(painter, QRectF(QRect(QPoint(0, 0), size)))
            painter.end()

    @contextmanager
    def _on_white(self) -> Iterator[QColor]:
        mine = self.colours
        self.apply_colours(plot_colours(theme.make_palette(dark=False)))
        try:
            yield QColor(self.colours.background)
        finally:
            self.apply_colours(mine)

    def _show_menu(self) -> None:
        self._ways_out.popup(self._more.mapToGlobal(QPoint(0, self._more.height())))

    def _menu(self) -> QMenu:
        menu = QMenu(self)
        for text, suffix in (("Save as SVG…", "svg"), ("Save as PNG…", "png")):
            action = QAction(text, self)
            action.triggered.connect(lambda _checked=False, kind=suffix: self._ask_where(kind))
            menu.addAction(action)
        menu.addAction("Copy picture", self.copy_picture)
        menu.addAction("Show all", self.show_all)
        return menu

    def _ask_where(self, kind: str) -> None:
        dialog = QFileDialog(self.window(), f"Save {self._title}", f"{self._stem}.{kind}")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(kind)
        dialog.setNameFilter(f"{kind.upper()} picture (*.{kind})")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._on_place_chosen)
        dialog.open()

    def _on_place_chosen(self, path: str) -> None:
        try:
            self.save(Path(path))
        except OSError as error:
            self._caption.setText(f"Not saved: {error.strerror or error}. Choose another folder.")


class PlotFigure(Figure):
    """A figure that can be panned and zoomed: a pyqtgraph plot in the window's own colours, with keys."""

    def __init__(self, title: str, file_stem: str, *, x: str, y: str, parent: QWidget | None = None) -> None:
        super().__init__(title, file_stem, parent)
        self._axes = {"bottom": x, "left": y}
        self.plot = pg.PlotWidget(enableMenu=False)
        self.plot.hideButtons()
        for side in self._axes:
            self.plot.getAxis(side).enableAutoSIPrefix(False)  # or 0.4 is written as "400 (x0.001)"
        self.plot.scene().contextMenu = []
        self.plot.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.plot.setFrameShape(pg.PlotWidget.Shape.NoFrame)
        self.plot.installEventFilter(self)
        self.plot.viewport().setAccessibleName(f"{title}, drawing")
        self.set_canvas(self.plot)
        self.apply_colours(self.colours)

    def apply_colours(self, colours: PlotColours) -> None:
        super().apply_colours(colours)
        self.plot.setBackground(colours.background)
        for side, text in self._axes.items():
            axis = self.plot.getAxis(side)
            axis.setPen(pg.mkPen(colours.grid))
            axis.setTextPen(colours.foreground)
            if text:
                axis.setLabel(text, color=colours.foreground)

    def set_axis_label(self, side: str, text: str) -> None:
        """What an axis ("bottom", "left") shows, with its unit."""
        self._axes[side] = text
        self.plot.getAxis(side).setLabel(text, color=self.colours.foreground)

    def paint_figure(self, painter: QPainter, rect: QRectF) -> None:
        self.plot.render(painter, rect, QRect(QPoint(0, 0), self.plot.size()))

    def show_all(self) -> None:
        self.plot.getViewBox().autoRange(padding=0.04)

    def sizeHint(self) -> QSize:
        return QSize(520, 360)

    def eventFilter(self, watched: object, event: QEvent) -> bool:
        if watched is self.plot and event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            return self._on_key(event)
        return super().eventFilter(self.plot, event)

    def _on_key(self, event: QKeyEvent) -> bool:
        view = self.plot.getViewBox()
        (left, right), (low, high) = view.viewRange()
        across, up = (right - left) * 0.1, (high - low) * 0.1
        moves = {
            Qt.Key.Key_Left: (-across, 0.0),
            Qt.Key.Key_Right: (across, 0.0),
            Qt.Key.Key_Up: (0.0, up),
            Qt.Key.Key_Down: (0.0, -up),
        }
        key = Qt.Key(event.key())
        if key in moves:
            view.translateBy(moves[key])
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            view.scaleBy((0.8, 0.8))
        elif key == Qt.Key.Key_Minus:
            view.scaleBy((1.25, 1.25))
        elif key == Qt.Key.Key_0:
            self.show_all()
        else:
            return False
        return True
