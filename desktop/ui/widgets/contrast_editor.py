"""The contrasts of a plan: a list to choose one from, add and remove, and the fields that say what the chosen one is.

Levels of a factor, the change per unit of a measurement, an interaction of two factors, each also at one level of
another factor. Shows and collects; whether a contrast can be tested is found out elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import combinations, product

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from desktop.studios.omics.schema import Contrast, SampleTable, join_levels
from desktop.ui import theme

_MOST_SHOWN = 6  # lines of the list before it scrolls
_MOST_LEVELS = 6  # of a measurement; with more its change per unit is what is offered first
PER_UNIT, ANYWHERE = "per unit", "no level of its own"


class ContrastEditor(QWidget):
    """`contrastsEdited(tuple)` after every change by the person, the contrasts as they are now."""

    contrastsEdited = Signal(tuple)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._contrasts: tuple[Contrast, ...] = ()
        self._samples = SampleTable(samples=[])
        self._measured: frozenset[str] = frozenset()
        self._at = 0
        self._is_filling = False
        self.list = QListWidget()
        self.list.setAccessibleName("Contrasts of this plan")
        self.list.currentRowChanged.connect(self._on_chosen)
        self.factor = combo("Factor compared")
        self.treated, self.control = combo("Treated level"), combo("Control level")
        self.over = QLabel("over")
        self.swap = QPushButton("⇄ Swap", autoDefault=False)
        self.swap.setAccessibleName("Swap direction")
        self.swap.setToolTip("Compare the other way round: what was up is down")
        self.within = combo("Samples it is made in")
        self.within.setToolTip("Make it at one level of another factor, where the design lets the effect differ")
        self.add = QPushButton("Add", autoDefault=False)
        self.add.setAccessibleName("Add a contrast")
        self.add.setToolTip("Test another contrast on the same fit")
        self.remove = QPushButton("Remove", autoDefault=False)
        self.remove.setAccessibleName("Remove this contrast")
        self.remove.setToolTip("Take the chosen contrast out")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GAP)
        column.addWidget(self.list)
        column.addLayout(line(self.factor, self.treated, self.over, self.control, self.swap))
        column.addLayout(line(QLabel("in"), self.within, self.add, self.remove))
        self.factor.currentIndexChanged.connect(self._on_factor)
        for box in (self.treated, self.control, self.within):
            box.currentIndexChanged.connect(self._on_level)
        self.swap.clicked.connect(self._on_swap)
        self.add.clicked.connect(self._on_add)
        self.remove.clicked.connect(self._on_remove)

    def set_contrasts(self, contrasts: Sequence[Contrast], samples: SampleTable) -> None:
        """Show these over these samples; does not signal."""
        self._contrasts, self._samples = tuple(contrasts), samples
        self._at = min(self._at, max(0, len(self._contrasts) - 1))
        self._fill()

    def set_measured(self, names: Iterable[str]) -> None:
        """Columns that are numbers, so that their change per unit can be tested; does not signal."""
        if self._measured != frozenset(names):
            self._measured = frozenset(names)
            self._fill()

    # ---- what the person does -----------------------------------------------------------------------------------

    def _on_chosen(self, row: int) -> None:
        if not self._is_filling and row >= 0:
            self._at = row
            self._fill()

    def _on_factor(self) -> None:
        name = self.factor.currentData()
        if self._is_filling or not name:
            return
        sides = [side for _, side in self._sides(name)]
        is_slope = name in self._measured and len(sides) > _MOST_LEVELS
        if is_slope:
            self._put(Contrast(factor=name, within=self._place(name)))
        elif ":" in name:
            ends = self._levels_of_pair(name)
            treated, control = join_levels([one[-1] for one in ends]), join_levels([one[0] for one in ends])
            self._put(Contrast(factor=name, treated=treated, control=control))
        else:
            levels = [side for side in sides if side]
            if len(levels) > 1:
                self._put(Contrast(factor=name, treated=levels[1], control=levels[0], within=self._place(name)))

    def _on_level(self) -> None:
        now = self._now
        if self._is_filling or now is None:
            return
        treated, control = self.treated.currentData(), self.control.currentData()
        if not treated and ":" not in now.factor:
            control = ""
        elif not control:  # from the change per unit to two levels
            control = next((side for _, side in self._sides(now.factor) if side and side != treated), "")
        within = self.within.currentData() if self.within.currentIndex() >= 0 else now.within
        self._put(Contrast(factor=now.factor, treated=treated or "", control=control or "", within=dict(within or {})))

    def _on_swap(self) -> None:
        if self._now is not None:
            self._put(self._now.model_copy(update={"treated": self._now.control, "control": self._now.treated}))

    def _on_add(self) -> None:
        self._contrasts = (*self._contrasts, self._another())
        self._at = len(self._contrasts) - 1
        self._tell()

    def _on_remove(self) -> None:
        if len(self._contrasts) > 1:
            self._contrasts = tuple(one for at, one in enumerate(self._contrasts) if at != self._at)
            self._at = min(self._at, len(self._contrasts) - 1)
            self._tell()

    def _another(self) -> Contrast:
        """One that is not there yet: the next level against the same control, else another factor's."""
        now = self._now
        open_ones: list[Contrast] = []
        if now is not None and not now.is_interaction and now.control:
            sides = [side for _, side in self._sides(now.factor) if side not in ("", now.control)]
            open_ones += [now.model_copy(update={"treated": side}) for side in sides]
        for name in self._samples.factors:
            levels = list(self._samples.levels(name))
            if 1 < len(levels) <= _MOST_LEVELS:
                open_ones.append(Contrast(factor=name, treated=levels[1], control=levels[0]))
            elif name in self._measured:
                open_ones.append(Contrast(factor=name))
        new = [one for one in open_ones if one not in self._contrasts]
        return (new or [*open_ones, now or Contrast(factor="")])[0]

    def _put(self, contrast: Contrast) -> None:
        if contrast != self._now:
            self._contrasts = (*self._contrasts[: self._at], contrast, *self._contrasts[self._at + 1 :])
            self._tell()

    def _tell(self) -> None:
        self._fill()
        self.contrastsEdited.emit(self._contrasts)

    # ---- what is shown ------------------------------------------------------------------------------------------

    @property
    def _now(self) -> Contrast | None:
        return self._contrasts[self._at] if self._at < len(self._contrasts) else None

    def _place(self, factor: str) -> dict[str, str]:
        """Where the contrast shown is made, as far as that goes with another factor."""
        return {} if self._now is None or factor in self._now.within else dict(self._now.within)

    def _fill(self) -> None:
        self._is_filling = True
        now = self._now
        self.list.clear()
        self.list.addItems([str(contrast) for contrast in self._contrasts])
        self.list.setCurrentRow(self._at)
        rows = min(len(self._contrasts), _MOST_SHOWN)
        self.list.setFixedHeight(rows * self.list.sizeHintForRow(0) + 6)
        self.list.setVisible(len(self._contrasts) > 1)
        names = [(name, name) for name in self._samples.factors]
        names += [(" × ".join(pair.split(":")), pair) for pair in self._pairs(now)]
        known = {data for _, data in names}
        if now is not None and now.factor not in known:
            names.append((now.factor, now.factor))
        _refill(self.factor, names, now.factor if now else "")
        sides = self._sides(now.factor) if now else []
        for box, side in ((self.treated, now.treated if now else ""), (self.control, now.control if now else "")):
            mine = [one for one in sides if one[1] or box is self.treated or (now is not None and now.is_interaction)]
            known = {data for _, data in mine}
            _refill(box, mine if side in known or not side else [*mine, (side, side)], side)
        is_slope = now is not None and now.is_slope
        for widget in (self.over, self.control, self.swap):
            widget.setVisible(not is_slope)
        self._fill_within(now)
        for widget in (self.treated, self.control, self.swap, self.within):
            widget.setEnabled(now is not None)
        self.remove.setVisible(len(self._contrasts) > 1)
        self._is_filling = False

    def _fill_within(self, now: Contrast | None) -> None:
        places: list[tuple[str, dict[str, str]]] = [(ANYWHERE, {})]
        for name in self._samples.factors:
            levels = list(self._samples.levels(name))
            if (now is None or name not in now.factors) and 1 < len(levels) <= 2 * _MOST_LEVELS:
                places += [(f"{name}: {level}", {name: level}) for level in levels]
        here = now.within if now is not None else {}
        if here not in [place for _, place in places]:
            places.append(("; ".join(f"{name}: {level}" for name, level in here.items()), here))
        self.within.clear()
        for text, place in places:
            self.within.addItem(text, place)
        self.within.setCurrentIndex([place for _, place in places].index(here))

    def _pairs(self, now: Contrast | None) -> list[str]:
        """Interactions of two factors with few levels, a measurement second; the one that is shown as it is written."""
        open_ones = [
            name
            for name in self._samples.factors
            if len(self._samples.levels(name)) > 1 and (name in self._measured or self._n_levels(name) <= _MOST_LEVELS)
        ]
        shown = set(now.factors) if now is not None and now.is_interaction else set()
        pairs = [now.factor] if now is not None and shown else []
        for one, other in combinations(open_ones, 2):
            first, second = (other, one) if one in self._measured and other not in self._measured else (one, other)
            is_pair = not {first, second} <= self._measured and ":" not in f"{first}{second}"
            pairs += [f"{first}:{second}"] if is_pair and {one, other} != shown else []
        return pairs

    def _n_levels(self, name: str) -> int:
        return len(self._samples.levels(name))

    def _levels_of_pair(self, factor: str) -> list[list[str]]:
        """The levels of each of an interaction's factors; [""] for one that is tested per unit."""
        levels = []
        for name in factor.split(":"):
            is_slope = name in self._measured and self._n_levels(name) > _MOST_LEVELS
            levels.append([""] if is_slope or name not in self._samples.factors else list(self._samples.levels(name)))
        return levels

    def _sides(self, factor: str) -> list[tuple[str, str]]:
        """(text, level) that may stand on one side of a contrast; level "" is the change per unit."""
        if factor in self._samples.factors:
            levels = [(level or "(empty)", level) for level in self._samples.levels(factor)]
            return [(PER_UNIT, ""), *levels] if factor in self._measured else levels
        if ":" not in factor:
            return []
        return [
            (", ".join(level or PER_UNIT for level in side), join_levels(side))
            for side in product(*self._levels_of_pair(factor))
        ]


def with_products(design: str, contrasts: Sequence[Contrast]) -> str:
    """The design with the products of factors that the contrasts are about and it does not have yet."""
    for contrast in contrasts:
        names = [*contrast.within, *contrast.factors]
        terms = [set(re.split(r"[:*]", term)) for term in re.sub(r"[~`\s]", "", design).split("+")]
        if len(names) > 1 and not any({re.sub(r"\s", "", name) for name in names} <= term for term in terms):
            quoted = [name if re.fullmatch(r"[^\W\d]\w*", name) else f"`{name}`" for name in names]
            design = f"{design} + {':'.join(quoted)}"
    return design


def combo(name: str) -> QComboBox:
    """A box to choose from that is no wider than what it holds."""
    box = QComboBox()
    box.setAccessibleName(name)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
    box.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
    return box


def line(*parts: QWidget) -> QHBoxLayout:
    """Widgets in a row, room at the right."""
    row = QHBoxLayout()
    row.setSpacing(theme.GAP)
    for part in parts:
        row.addWidget(part)
    row.addStretch()
    return row


def _refill(box: QComboBox, items: Sequence[tuple[str, str]], current: str) -> None:
    box.clear()
    for text, data in items:
        box.addItem(text, data)
    box.setCurrentIndex(
        box.findData(current, Qt.ItemDataRole.UserRole, Qt.MatchFlag.MatchExactly | Qt.MatchFlag.MatchCaseSensitive)
    )
