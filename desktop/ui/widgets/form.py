"""A form made from settings: title, field, unit, ↺ back to the default, one line of help, faults beside the field.

A change is told at once; there is no OK. Knows `SettingField` and Qt, not where settings are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import yaml
from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from desktop.core.config import SettingField
from desktop.core.errors import AppError
from desktop.ui import theme
from desktop.ui.widgets.icon_button import IconButton

LABEL_PX = 170
_BIG = 2**31 - 1


class SettingRow(QWidget):
    """One setting. changed(section, field, value): the person chose another value."""

    changed = Signal(str, str, object)

    def __init__(self, field: SettingField, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._field = field
        title = field.title.removesuffix(f" ({field.unit})")
        self.editor, self._show_value, signal = _editor(field)
        self.editor.setAccessibleName(f"{title} ({field.unit})" if field.unit else title)
        self.editor.setAccessibleDescription(field.help)
        label = QLabel(title)
        label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        label.setFixedWidth(LABEL_PX)
        label.setWordWrap(True)
        label.setBuddy(self.editor)
        tip = f"Back to the default: {shown_value(field.default)}"
        self._reset = IconButton("reset", f"Default of {title}", tip)
        self._reset.setSizePolicy(_kept_when_hidden(self._reset))
        line = QHBoxLayout()
        line.setSpacing(theme.GAP)
        line.addWidget(label)
        line.addWidget(self.editor, 1 if isinstance(self.editor, QLineEdit) else 0)
        if field.unit and not isinstance(self.editor, QSpinBox | QDoubleSpinBox):
            line.addWidget(QLabel(field.unit))
        line.addWidget(self._reset)
        if not isinstance(self.editor, QLineEdit):
            line.addStretch(1)
        self._help, self._fault = QLabel(field.help), QLabel()
        for note in (self._help, self._fault):
            note.setWordWrap(True)
            note.setContentsMargins(LABEL_PX + theme.GAP, 0, 0, 0)
            note.setFont(theme.scaled(self.font(), 0.92))
        self._help.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._help.setVisible(bool(field.help))
        self._fault.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addLayout(line)
        column.addWidget(self._help)
        column.addWidget(self._fault)
        self.show_value(field.current)
        signal(self._on_edited)
        self._reset.clicked.connect(lambda: self.changed.emit(field.section, field.field, field.default))

    @property
    def key(self) -> tuple[str, str]:
        """(section, field)."""
        return self._field.section, self._field.field

    def show_value(self, value: Any) -> None:
        """Show a value as the one in force; whatever fault was shown is over."""
        with QSignalBlocker(self.editor):
            self._show_value(value)
        self._reset.setVisible(value != self._field.default)
        self._fault.hide()
        self._help.setVisible(bool(self._field.help))

    def show_fault(self, error: AppError) -> None:
        """Say beside the field why a value was not taken."""
        palette = QPalette(self.palette())
        palette.setColor(QPalette.ColorRole.WindowText, QColor("#ff8a80" if theme.is_dark(palette) else "#b3261e"))
        self._fault.setPalette(palette)
        self._fault.setText(f"{error} {error.hint}")
        self._fault.show()
        self._help.hide()

    def _on_edited(self, value: Any) -> None:
        self.changed.emit(*self.key, value)


def shown_value(value: Any) -> str:
    """A default in words."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or "none"
    return str(value) if value not in ("", None) else "empty"


def _kept_when_hidden(widget: QWidget) -> Any:
    policy = widget.sizePolicy()
    policy.setRetainSizeWhenHidden(True)
    return policy


def _editor(field: SettingField) -> tuple[QWidget, Callable[[Any], object], Callable[[Callable[[Any], None]], object]]:
    """The control for a setting's schema: (widget, show a value, connect to edits)."""
    schema = field.schema
    if "enum" in schema:
        return _choice([str(choice) for choice in schema["enum"]])
    kind = schema.get("type")
    if kind == "boolean":
        check = QCheckBox()
        return check, check.setChecked, check.toggled.connect
    if kind in ("integer", "number"):
        return _number(field, whole=kind == "integer")
    line = QLineEdit()
    line.setMinimumWidth(220)
    if kind == "array" and schema.get("items", {}).get("type") != "string":
        return _entries(line)
    if kind == "array":
        line.setPlaceholderText("separated by commas")

        def connect_list(told: Callable[[Any], None]) -> object:
            return line.editingFinished.connect(
                lambda: (
                    told([item.strip() for item in line.text().split(",") if item.strip()])
                    if line.isModified()
                    else None
                )
            )

        return line, lambda value: line.setText(", ".join(map(str, value))), connect_list
    line.setPlaceholderText(shown_value(field.default) if field.default else "")
    return (
        line,
        lambda value: line.setText("" if value is None else str(value)),
        lambda told: line.editingFinished.connect(lambda: told(line.text().strip()) if line.isModified() else None),
    )


def _entries(line: QLineEdit) -> tuple[QWidget, Callable[[Any], object], Callable[[Callable[[Any], None]], object]]:
    """A list of things with fields, as one line of YAML: what is not one is refused beside the field."""
    line.setPlaceholderText("[{id: …, url: …}]")

    def show(value: Any) -> None:
        plain = [getattr(one, "model_dump", lambda one=one: one)() for one in value]
        text = yaml.safe_dump(plain, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6)
        line.setText(text.strip() if plain else "")

    def connect(told: Callable[[Any], None]) -> object:
        def on_finished() -> None:
            if line.isModified():
                try:
                    told(yaml.safe_load(line.text()) or [])
                except yaml.YAMLError:
                    told(line.text())

        return line.editingFinished.connect(on_finished)

    return line, show, connect


def _choice(choices: list[str]) -> tuple[QWidget, Callable[[Any], object], Callable[[Callable[[Any], None]], object]]:
    box = QComboBox()
    for choice in choices:
        box.addItem(choice.replace("_", " ").capitalize(), choice)
    return (
        box,
        lambda value: box.setCurrentIndex(box.findData(value)),
        lambda told: box.activated.connect(lambda _index: told(box.currentData())),
    )


def _number(
    field: SettingField, *, whole: bool
) -> tuple[QWidget, Callable[[Any], object], Callable[[Callable[[Any], None]], object]]:
    """Limits are left to the schema, which says what is wrong; only the sign and the size of an int are held here."""
    schema = field.schema
    low = schema.get("minimum", schema.get("exclusiveMinimum", -_BIG))
    high = schema.get("maximum", schema.get("exclusiveMaximum", _BIG))
    spin: QSpinBox | QDoubleSpinBox
    if whole:
        spin = QSpinBox()
        spin.setRange(int(low), int(high))
    else:
        spin = QDoubleSpinBox()
        spin.setDecimals(3 if abs(float(field.default)) < 10 else 1)
        spin.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
        spin.setRange(float(low), float(high))
    spin.setMinimumWidth(110)
    spin.setKeyboardTracking(False)
    spin.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    if field.unit:
        spin.setSuffix(f" {field.unit}")
    return spin, cast("Callable[[Any], object]", spin.setValue), spin.valueChanged.connect
