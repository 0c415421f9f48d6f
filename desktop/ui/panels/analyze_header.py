"""Above the results: the answer in one sentence and four numbers, the way to the files, and the thresholds shown."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QColor, QPalette, QResizeEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from desktop.ui import theme
from desktop.ui.itemmodels.run_results import RunResults
from desktop.ui.widgets.file_chip import FileChip
from desktop.ui.widgets.number_fields import AlphaField, FoldChangeField

_WORDS_FIT_PX = 860  # below it the numbers need the room
_AMBER = ("#8f5a00", "#e6b450")  # light, dark: as the banner's warnings


class ResultHeader(QWidget):
    """planRequested(), compareRequested() from its buttons; contrastChosen(int) from the list of contrasts."""

    planRequested = Signal()
    compareRequested = Signal()
    contrastChosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.headline = QLabel(wordWrap=True, textInteractionFlags=Qt.TextInteractionFlag.TextSelectableByMouse)
        self.headline.setFont(theme.scaled(self.font(), 1.2, bold=True))
        self.headline.setAccessibleName("Answer")
        self.contrasts = QComboBox()
        self.contrasts.setAccessibleName("Contrast shown")
        self.contrasts.setToolTip("This run's contrasts, all on one fit")
        self.contrasts.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.contrasts.setMinimumContentsLength(24)
        self.contrasts.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.contrasts.activated.connect(self.contrastChosen)
        self.contrasts.hide()
        self.numbers = QLabel(textFormat=Qt.TextFormat.RichText)
        self.numbers.setAccessibleName("Answer in numbers")
        self.reduced = QLabel("⚠ reduced isolation")
        self.reduced.setAccessibleName("Reduced isolation")
        self.reduced.setToolTip("The script ran with less isolation than it could. See Validation.")
        self.files = FileChip()
        self.back = button("Plan…", "Change the plan and run again", self.planRequested.emit)
        compare = button("Compare with…", "Compare this run with another", self.compareRequested.emit)
        below = QHBoxLayout()
        below.setSpacing(theme.GAP)
        below.addWidget(self.numbers, 1)
        for widget in (self.reduced, self.back, compare, self.files):
            below.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.MARGIN, theme.GAP, theme.MARGIN, 4)
        column.setSpacing(4)
        column.addWidget(self.contrasts)
        column.addWidget(self.headline)
        column.addLayout(below)

    def set_results(self, results: RunResults) -> None:
        """Show a run's answer."""
        shown = [f"{number}  ·  {title}" for number, title in enumerate(results.contrasts, start=1)]
        if [self.contrasts.itemText(at) for at in range(self.contrasts.count())] != shown:
            self.contrasts.clear()
            self.contrasts.addItems(shown)
        self.contrasts.setCurrentIndex(results.number if shown else -1)
        self.contrasts.setVisible(bool(shown))
        self.headline.setText(results.headline or results.plan.question or "Result")
        if results.is_script and results.counts is None:
            self.numbers.setText("" if len(results.outputs) != 1 else results.outputs[0].name)
        elif results.counts is None:
            self.numbers.setText(f"{len(results.samples)} samples · {len(results.genes.gene_ids):,} genes")
        else:
            words = ("tested", "significant", "up", "down")
            pairs = zip(results.counts, words, strict=True)
            self.numbers.setText(" &nbsp;·&nbsp; ".join(f"<b>{number:,}</b> {word}" for number, word in pairs))
        self.reduced.setVisible(results.is_reduced)
        self.back.setVisible(not results.is_script)
        self._tint()
        self.files.set_path(results.out_dir)

    def _tint(self) -> None:
        amber = QPalette(self.palette())
        amber.setColor(QPalette.ColorRole.WindowText, QColor(_AMBER[theme.is_dark(self.palette())]))
        self.reduced.setPalette(amber)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "reduced"):
            self._tint()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.reduced.setText("⚠ reduced isolation" if self.width() > _WORDS_FIT_PX else "⚠")


class ThresholdStrip(QWidget):
    """`thresholdsChanged(alpha, lfc)` when the person types or resets them."""

    thresholdsChanged = Signal(float, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._own = (0.05, 0.0)
        self.alpha, self.lfc = AlphaField("Adjusted p below"), FoldChangeField("Fold change at least")
        self.alpha.valueChanged.connect(lambda _value: self._tell())
        self.lfc.valueChanged.connect(lambda _value: self._tell())
        self.live = QLabel()
        self.live.setAccessibleName("Genes beyond the thresholds")
        self.live.setMinimumWidth(10)
        self.reset = button("Reset", "Back to the thresholds of the run", self._on_reset)
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.MARGIN, 2, theme.MARGIN, 4)
        for widget in (QLabel("Show adjusted p <"), self.alpha, QLabel("|log₂ FC| ≥"), self.lfc, self.reset):
            row.addWidget(widget)
        row.addWidget(self.live, 1)

    def set_own(self, alpha: float, lfc: float) -> None:
        """The run's own thresholds, which Reset goes back to."""
        self._own = (alpha, lfc)

    def show_thresholds(self, alpha: float, lfc: float, up: int, down: int) -> None:
        """Show thresholds and how many genes lie beyond; does not signal."""
        for field, value in ((self.alpha, alpha), (self.lfc, lfc)):
            field.blockSignals(True)
            field.setValue(value)
            field.blockSignals(False)
        is_own = (alpha, lfc) == self._own
        self.live.setText("" if is_own else f"{up + down:,} genes: {up:,} up, {down:,} down  (not the run’s own)")
        self.reset.setEnabled(not is_own)

    def _tell(self) -> None:
        self.thresholdsChanged.emit(self.alpha.value(), self.lfc.value())

    def _on_reset(self) -> None:
        self.thresholdsChanged.emit(*self._own)


def button(text: str, tip: str, act: Callable[[], object]) -> QPushButton:
    """A push button that does one thing and is never the default one."""
    made = QPushButton(text, autoDefault=False)
    made.setToolTip(tip)
    made.clicked.connect(lambda _checked=False: act())
    return made
