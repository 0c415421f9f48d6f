"""The person's own gene sets in the window: a GMT file dropped or chosen is kept, and goes into the plan shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from desktop.core.clock import SystemClock
from desktop.core.errors import AppError
from desktop.studios.omics import queries
from desktop.ui.bridge import Bridge
from desktop.ui.widgets.banner import Notice
from desktop.ui.widgets.plan_editor import PlanEditor

if TYPE_CHECKING:
    from desktop.studios.omics.own_gene_sets import KeptSets


def is_gene_sets(path: str) -> bool:
    """Whether a path is called as files of gene sets are."""
    return path.lower().endswith((".gmt", ".gmt.gz"))


class GeneSetFiles(QObject):
    """noticed(Notice): a file was added, or why not."""

    noticed = Signal(object)

    def __init__(self, bridge: Bridge, editor: PlanEditor, parent: QWidget) -> None:
        super().__init__(parent)
        self._bridge, self._editor, self._widget = bridge, editor, parent
        editor.gene_sets.addRequested.connect(self.ask_for_file)
        editor.gene_sets.removeRequested.connect(lambda name: bridge.start(self._remove(name)))

    def refresh(self) -> None:
        """Show the files there are."""
        self._bridge.start(self._refresh())

    def add(self, path: str) -> None:
        """Keep a copy of a GMT file and test it in the plan that is shown."""
        self._bridge.start(self._add(path))

    def ask_for_file(self) -> None:
        """Let the person choose a file."""
        dialog = QFileDialog(self._widget.window(), "Add Gene Sets")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilter("Gene sets (*.gmt *.gmt.gz);;All files (*)")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.add)
        dialog.open()

    async def _add(self, path: str) -> None:
        home = self._bridge.workbench.paths.home
        try:
            kept = await self._bridge.call(queries.add_gene_sets, home, Path(path), SystemClock().now_s())
        except AppError as error:
            self.noticed.emit(Notice.of(error))
            return
        await self._refresh()
        self._editor.add_gene_sets(kept.reference)
        self.noticed.emit(Notice(f"Gene sets added: {kept.name}.", f"{_about(kept)} They are tested in this plan."))

    async def _remove(self, name: str) -> None:
        await self._bridge.read(queries.remove_gene_sets, self._bridge.workbench.paths.home, name)
        self._editor.remove_gene_sets(name)
        await self._refresh()

    async def _refresh(self) -> None:
        kept = await self._bridge.read(queries.list_gene_sets, self._bridge.workbench.paths.home)
        self._editor.gene_sets.set_kept([(one.reference, _about(one)) for one in kept])


def _about(kept: KeptSets) -> str:
    kind = {"unknown": ""}.get(kept.id_type, f", named by {kept.id_type}")
    return f"{kept.n_sets:,} sets of {kept.n_genes:,} genes{kind}, from {kept.file}."
