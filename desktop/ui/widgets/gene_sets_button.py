"""Which gene sets of the person's own a plan tests: a button with a menu to choose, add and remove. Reads no file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QMenu, QToolButton, QWidget

from desktop.studios.omics.schema import OwnGeneSets

_BUNDLED = "Gene Ontology for human data"


class GeneSetsButton(QToolButton):
    """chosenChanged(list[OwnGeneSets]) by the person; addRequested() and removeRequested(str) a file's name."""

    chosenChanged = Signal(object)
    addRequested = Signal()
    removeRequested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._kept: list[tuple[OwnGeneSets, str]] = []
        self._chosen: list[OwnGeneSets] = []
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setAccessibleName("Gene sets tested")
        self._fill()

    def set_kept(self, kept: Sequence[tuple[OwnGeneSets, str]]) -> None:
        """The files there are to choose from, each with a line that says what is in it."""
        self._kept = list(kept)
        self._fill()

    def set_chosen(self, chosen: Sequence[OwnGeneSets]) -> None:
        """What the plan tests; does not signal."""
        self._chosen = list(chosen)
        self._fill()

    def _fill(self) -> None:
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        hashes = {one.sha256 for one in self._chosen}
        for one, about in self._kept:
            action = menu.addAction(one.name)
            action.setToolTip(about)
            action.setCheckable(True)
            action.setChecked(one.sha256 in hashes)
            action.toggled.connect(lambda on, of=one: self._on_toggled(of, on=on))
        if self._kept:
            menu.addSeparator()
        menu.addAction("Add GMT File…").triggered.connect(lambda _on=False: self.addRequested.emit())
        if self._kept:
            remove = menu.addMenu("Remove")
            for one, _about in self._kept:
                remove.addAction(one.name).triggered.connect(partial(self._on_remove, one.name))
        self.setMenu(menu)
        known = {one.sha256 for one, _about in self._kept}
        names = [one.name if one.sha256 in known else f"{one.name} (not here)" for one in self._chosen]
        self.setText(" + ".join([_BUNDLED, *names]))
        self.setAccessibleDescription(self.text())

    def _on_remove(self, name: str, _is_on: bool = False) -> None:
        self.removeRequested.emit(name)

    def _on_toggled(self, of: OwnGeneSets, *, on: bool) -> None:
        self._chosen = [one for one in self._chosen if one.sha256 != of.sha256] + ([of] if on else [])
        self._fill()
        self.chosenChanged.emit(list(self._chosen))
