"""Fields for a significance level and for a fold change, from which any plot and table takes its thresholds."""

from __future__ import annotations

import math

from PySide6.QtGui import QValidator
from PySide6.QtWidgets import QDoubleSpinBox, QWidget

_SMALLEST = 1e-300


class AlphaField(QDoubleSpinBox):
    """A level between 0 and 1, shown as 0.05 or 1e-12; a step is 1, 2, 5, 10 …"""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setDecimals(320)
        self.setRange(_SMALLEST, 0.999)
        self.setKeyboardTracking(False)
        self.setValue(0.05)
        self.setMinimumWidth(96)

    def textFromValue(self, value: float) -> str:
        return f"{value:.3g}"

    def valueFromText(self, text: str) -> float:
        try:
            return min(max(float(text), _SMALLEST), 0.999)
        except ValueError:
            return self.value()

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        try:
            good = 0 < float(text) < 1
        except ValueError:
            good = False
        state = QValidator.State.Acceptable if good else QValidator.State.Intermediate
        return state, text, position

    def stepBy(self, steps: int) -> None:
        value = self.value()
        for _ in range(abs(steps)):
            power = math.floor(math.log10(value) + 1e-9)
            lead = value / 10.0**power
            if steps > 0:
                value = next(stop for stop in (2, 5, 10) if lead < stop - 1e-6) * 10.0**power
            else:
                value = next((stop for stop in (5, 2, 1) if lead > stop + 1e-6), 0.5) * 10.0**power
        self.setValue(min(max(value, _SMALLEST), 0.999))


class FoldChangeField(QDoubleSpinBox):
    """A log₂ fold change of 0 or more."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setRange(0.0, 50.0)
        self.setDecimals(2)
        self.setSingleStep(0.25)
        self.setKeyboardTracking(False)
        self.setMinimumWidth(76)
