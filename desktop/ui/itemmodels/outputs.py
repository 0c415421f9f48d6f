"""What a script left, looked into without trust: the first rows of a table, a picture, the beginning of a text.

`read_output` is for a thread; everything it reads is bounded. Pages are never rendered, and a drawing that refers to
anything outside itself is not drawn.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, QRectF, QSize, Qt
from PySide6.QtGui import QImage, QImageReader, QPainter
from PySide6.QtSvg import QSvgRenderer

from desktop.studios.omics import queries

if TYPE_CHECKING:
    from desktop.ui.itemmodels.run_results import Output

_MOST_ROWS = 5000
_MOST_SVG_BYTES = 4 * 1024 * 1024
_WIDEST = 2400  # pixels a picture is kept in
_OUTSIDE = re.compile(  # what a drawing may not hold: code, styles and pictures from elsewhere
    rb"<!ENTITY|<script|@import|href\s*=\s*[\"'](?!#|data:image/)|url\(\s*(?![\"']?#)", re.IGNORECASE
)

_Index = QModelIndex | QPersistentModelIndex
_NO_INDEX = QModelIndex()


@dataclass(frozen=True, slots=True)
class Shown:
    """What can be shown of a file: a table, a picture or a text, and what to know about it."""

    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    image: QImage | None = None
    text: str = ""
    note: str = ""


def read_output(folder: Path, output: Output) -> Shown:
    """A file's beginning. Never raises for what a script may have left."""
    path = (folder / output.name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        return Shown(note="The file is not there any more.")
    try:
        if output.kind in ("png", "jpeg", "svg"):
            return _picture(path, output.kind)
        if output.kind in ("table", "gzip"):
            header, rows, is_cut = queries.preview_table(path, _MOST_ROWS)
            if header:
                words = f"{len(rows):,} rows" + (": the first of more" if is_cut else "")
                return Shown(header=header, rows=rows, note=words)
        if output.kind in ("text", "json", "table"):
            return Shown(text=queries.preview_text(path))
    except OSError as error:
        return Shown(note=f"The file cannot be read: {error.strerror}.")
    return Shown(note=f"{output.kind or 'this kind of file'} is not shown here; open the folder to use it.")


def _picture(path: Path, kind: str) -> Shown:
    if kind == "svg":
        data = path.read_bytes() if path.stat().st_size <= _MOST_SVG_BYTES else b""
        if not data or _OUTSIDE.search(data):
            return Shown(note="This drawing is too large, or refers to something outside itself; it is not drawn.")
        renderer = QSvgRenderer(data)
        size = renderer.defaultSize()
        if not renderer.isValid() or size.isEmpty():
            return Shown(note="This drawing cannot be read.")
        wanted = size.scaled(QSize(_WIDEST, _WIDEST), Qt.AspectRatioMode.KeepAspectRatio)
        image = QImage(wanted, QImage.Format.Format_ARGB32_Premultiplied)
        image.fill(Qt.GlobalColor.white)
        painter = QPainter(image)
        renderer.render(painter, QRectF(0, 0, wanted.width(), wanted.height()))
        painter.end()
        return Shown(image=image)
    if not queries.is_picture(path):
        return Shown(note="This picture is too large or damaged.")
    reader = QImageReader(str(path))
    size = reader.size()
    if size.width() > _WIDEST or size.height() > _WIDEST:
        reader.setScaledSize(size.scaled(QSize(_WIDEST, _WIDEST), Qt.AspectRatioMode.KeepAspectRatio))
    image = reader.read()
    return Shown(note="This picture cannot be read.") if image.isNull() else Shown(image=image)


class OutputTableModel(QAbstractTableModel):
    """Rows of text as they are in the file."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._header: tuple[str, ...] = ()
        self._rows: tuple[tuple[str, ...], ...] = ()

    def load(self, header: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> None:
        """Replace everything."""
        self.beginResetModel()
        self._header, self._rows = header, rows
        self.endResetModel()

    def rowCount(self, parent: _Index = _NO_INDEX) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: _Index = _NO_INDEX) -> int:
        return 0 if parent.isValid() else len(self._header)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return self._header[section]
        return None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role not in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return None
        row = self._rows[index.row()]
        return row[index.column()] if index.column() < len(row) else ""

    def tsv(self, lines: Sequence[int]) -> str:
        """These rows as tab-separated text."""
        return "\n".join("\t".join(self._rows[line]) for line in lines)
