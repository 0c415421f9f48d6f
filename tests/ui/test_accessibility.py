"""Every control can be reached by Tab, has an accessible name, and is not cut off, in small and large windows."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QAbstractItemModel, QModelIndex, Qt
from PySide6.QtGui import QPalette
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QScrollArea,
    QTabBar,
    QTextBrowser,
    QWidget,
)

from desktop.ui import theme
from desktop.ui.frame import PANELS, Frame
from desktop.workers.workbench import Workbench
from tests.ui.conftest import Run, until
from tests.ui.test_library import add_run, library_of

CONTROLS = (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QTabBar,
    QTextBrowser,
)
STOPS = 80


def name_of(widget: QWidget) -> str:
    if widget.accessibleName():
        return widget.accessibleName()
    return widget.text().replace("&", "") if isinstance(widget, QAbstractButton) else ""


def is_inner(widget: QWidget) -> bool:
    """A part of another control (the field of a spin box, the buttons of a tab bar, the headers of a table)."""
    parent = widget.parentWidget()
    return isinstance(parent, QAbstractSpinBox | QComboBox | QTabBar | QAbstractItemView | QLineEdit) or (
        widget.objectName().startswith("qt_")
    )


def tab_stops(window: QWidget) -> list[QWidget]:
    """The widgets that Tab reaches, in order, until the first comes again."""
    found: list[QWidget] = []
    for _ in range(STOPS):
        QTest.keyClick(window.focusWidget() or window, Qt.Key.Key_Tab)
        focused = window.focusWidget()
        if focused is None or (found and focused is found[0]):
            break
        if focused not in found:
            found.append(focused)
    return found


@pytest.mark.parametrize("section", sorted(PANELS))
def test_tab_reaches_only_named_controls(frame: Frame, run: Run[Any], workbench: Workbench, section: str) -> None:
    async def scenario() -> None:
        add_run(workbench, "r1", "Airway")
        await frame.bridge.submit("quick.count", {"upto": 1})
        await library_of(frame, 1)
        frame.show_section("activity")
        await until(lambda: frame.jobs)
        panel = frame.show_section(section)
        assert panel is not None
        frame.inspector.show()
        await asyncio.sleep(0.2)
        stops = tab_stops(frame.window)
        assert len(stops) >= 6
        assert [repr(stop) for stop in stops if not name_of(stop)] == []
        assert any(panel.isAncestorOf(stop) for stop in stops), "Tab comes into the panel"
        assert frame.sidebar in stops

    run(scenario())


@pytest.mark.parametrize("section", sorted(PANELS))
def test_every_visible_control_has_a_name(frame: Frame, run: Run[Any], workbench: Workbench, section: str) -> None:
    async def scenario() -> None:
        add_run(workbench, "r1", "Airway")
        await library_of(frame, 1)
        frame.show_section(section)
        frame.inspector.show()
        await asyncio.sleep(0.2)
        nameless = [
            f"{type(widget).__name__} {widget.objectName()} in {type(widget.parentWidget()).__name__}"
            for widget in frame.window.findChildren(QWidget)
            if isinstance(widget, CONTROLS) and widget.isVisible() and not is_inner(widget) and not name_of(widget)
        ]
        assert nameless == []

    run(scenario())


@pytest.mark.parametrize("section", ["library", "activity"])
def test_every_cell_can_be_read_aloud(frame: Frame, run: Run[Any], workbench: Workbench, section: str) -> None:
    async def scenario() -> None:
        add_run(workbench, "r1", "Airway")
        await frame.bridge.submit("quick.count", {"upto": 1})
        panel = frame.show_section(section)
        assert panel is not None
        model: QAbstractItemModel = panel.findChild(QAbstractItemView).model()  # type: ignore[union-attr]
        await until(lambda: model.rowCount() > 0)
        for column in range(model.columnCount(QModelIndex())):
            assert model.index(0, column).data(Qt.ItemDataRole.AccessibleTextRole)

    run(scenario())


@pytest.mark.parametrize("size", [(800, 560), (1600, 1000)], ids=["small", "large"])
@pytest.mark.parametrize("section", ["library", "activity", "settings"])
def test_nothing_is_cut_off(
    frame: Frame, run: Run[Any], workbench: Workbench, section: str, size: tuple[int, int]
) -> None:
    async def scenario() -> None:
        add_run(workbench, "r1", "Airway")
        frame.window.resize(*size)
        frame.show_section(section)
        await asyncio.sleep(0.3)
        window = frame.window
        if section == "settings":
            window = next(w for w in QApplication.topLevelWidgets() if w.objectName() == "settings" and w.isVisible())
        assert window.minimumSizeHint().width() <= 800
        cut = [
            f"{type(widget).__name__} {name_of(widget)!r}: {widget.size()} < {widget.minimumSizeHint()}"
            for widget in window.findChildren(QWidget)
            if isinstance(widget, CONTROLS)
            and widget.isVisible()
            and not is_inner(widget)
            and (
                widget.width() < widget.minimumSizeHint().width()
                or widget.height() < widget.minimumSizeHint().height()
                or not fits(widget, window)
            )
        ]
        assert cut == []

    run(scenario())


def fits(widget: QWidget, window: QWidget) -> bool:
    """Whether the widget lies in the window, or in something that scrolls to it."""
    parent = widget.parentWidget()
    while parent is not None and parent is not window:
        if isinstance(parent, QScrollArea):
            return True
        parent = parent.parentWidget()
    return window.rect().contains(widget.rect().translated(widget.mapTo(window, widget.rect().topLeft())))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("strong", [False, True], ids=["plain", "more contrast"])
def test_text_stands_out(dark: bool, strong: bool) -> None:
    palette = theme.make_palette(dark=dark, strong=strong)
    roles = QPalette.ColorRole
    pairs = [
        (roles.Text, roles.Base),
        (roles.WindowText, roles.Window),
        (roles.ButtonText, roles.Button),
        (roles.PlaceholderText, roles.Base),
        (roles.PlaceholderText, roles.Window),
        (roles.HighlightedText, roles.Highlight),
        (roles.Link, roles.Base),
        (roles.ToolTipText, roles.ToolTipBase),
    ]
    poor = {f"{ink} on {ground}": contrast(palette, ink, ground) for ink, ground in pairs}
    assert {pair: ratio for pair, ratio in poor.items() if ratio < 4.5} == {}
    if strong:
        quiet = contrast(palette, roles.PlaceholderText, roles.Window)
        assert quiet > contrast(theme.make_palette(dark=dark), roles.PlaceholderText, roles.Window)
        assert quiet >= 7


def contrast(palette: QPalette, ink: QPalette.ColorRole, ground: QPalette.ColorRole) -> float:
    """WCAG contrast ratio."""

    def luminance(role: QPalette.ColorRole) -> float:
        parts = palette.color(role).getRgbF()[:3]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(ink), luminance(ground)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_changing_to_dark_repaints_without_a_restart(
    qapp: QApplication, frame: Frame, run: Run[Any], tmp_path: Path
) -> None:
    async def scenario() -> None:
        light = frame.window.grab().toImage().pixelColor(5, 300)
        theme.apply_theme(qapp, "dark")
        await asyncio.sleep(0.1)
        dark = frame.window.grab().toImage().pixelColor(5, 300)
        assert light.lightness() > 200
        assert dark.lightness() < 80
        theme.apply_theme(qapp, "light")

    run(scenario())
