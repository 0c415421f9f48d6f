"""Looks: palettes, fonts, spacing, template icons and the colours plots derive from them.

Everything is a QPalette or a number; there is no style sheet. On macOS the system's own palette is left alone and
only its light or dark mode is chosen; elsewhere, where Qt has no platform theme, ours is used. Imports no numerics:
this module is part of the first paint. That is why Qt's own namespace and what draws icons come late: making the
enums of one takes 30 ms, a class of the other 1 ms.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import QApplication

from desktop.core.paths import resources_dir

if TYPE_CHECKING:
    from PySide6.QtCore import QSize
    from PySide6.QtGui import QIcon, QPixmap, QStyleHints

SchemeWish = Literal["system", "light", "dark"]

GAP = 8  # px between related controls
MARGIN = 12  # px around a group of controls
ROW = 28  # px height of a table or sidebar row

_Role = QPalette.ColorRole
_LIGHT = {
    _Role.Window: "#f4f4f6",
    _Role.WindowText: "#1c1d20",
    _Role.Base: "#ffffff",
    _Role.AlternateBase: "#f8f8fa",
    _Role.Text: "#1c1d20",
    _Role.PlaceholderText: "#6b6d74",
    _Role.Button: "#fcfcfd",
    _Role.ButtonText: "#1c1d20",
    _Role.BrightText: "#ffffff",
    _Role.Light: "#ffffff",
    _Role.Midlight: "#ebebee",
    _Role.Mid: "#c9cad0",
    _Role.Dark: "#b0b2b9",
    _Role.Shadow: "#8d9099",
    _Role.Highlight: "#2160c4",
    _Role.HighlightedText: "#ffffff",
    _Role.Accent: "#2160c4",
    _Role.Link: "#1d57b3",
    _Role.LinkVisited: "#6b3fa0",
    _Role.ToolTipBase: "#ffffff",
    _Role.ToolTipText: "#1c1d20",
}
_DARK = {
    _Role.Window: "#2a2b2f",
    _Role.WindowText: "#e9e9ec",
    _Role.Base: "#1d1e21",
    _Role.AlternateBase: "#222327",
    _Role.Text: "#e9e9ec",
    _Role.PlaceholderText: "#a2a4ac",
    _Role.Button: "#3c3e45",
    _Role.ButtonText: "#e9e9ec",
    _Role.BrightText: "#ffffff",
    _Role.Light: "#4d4f58",
    _Role.Midlight: "#44464e",
    _Role.Mid: "#53555e",
    _Role.Dark: "#141518",
    _Role.Shadow: "#0b0c0e",
    _Role.Highlight: "#2f6bd0",
    _Role.HighlightedText: "#ffffff",
    _Role.Accent: "#6aa3ff",
    _Role.Link: "#7db0ff",
    _Role.LinkVisited: "#c09bf0",
    _Role.ToolTipBase: "#33353b",
    _Role.ToolTipText: "#e9e9ec",
}


class PlotColours(NamedTuple):
    """Colours of a plot, as "#rrggbb"; up, down and the categories are Okabe–Ito, told apart by colour-blind eyes.

    up, down, neutral   genes that rise, fall, or do neither; highlight is the selected one
    categories          groups of samples, in order
    low, middle, high   ends and centre of a diverging scale (heatmap z-scores)
    """

    background: str
    foreground: str
    grid: str
    up: str
    down: str
    neutral: str
    highlight: str
    low: str
    middle: str
    high: str
    categories: tuple[str, ...]


_LIGHT_CATEGORIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a6a00", "#1c1d20")
_DARK_CATEGORIES = ("#56b4e9", "#e69f00", "#2fc79a", "#e29cc4", "#f0e442", "#7f9cff", "#ff8c4a", "#e9e9ec")


def is_dark(palette: QPalette) -> bool:
    """Whether text on this palette is lighter than its ground."""
    return palette.color(_Role.Base).lightnessF() < palette.color(_Role.Text).lightnessF()


def plot_colours(palette: QPalette) -> PlotColours:
    """The colours a plot on this palette uses. Ask again on QEvent.PaletteChange."""
    base, text, accent = (palette.color(role) for role in (_Role.Base, _Role.Text, _Role.Accent))
    dark = is_dark(palette)
    return PlotColours(
        background=base.name(),
        foreground=text.name(),
        grid=mix(base, text, 0.16).name(),
        up="#e69f00" if dark else "#d55e00",
        down="#56b4e9" if dark else "#0072b2",
        neutral=mix(base, text, 0.38).name(),
        highlight=accent.name(),
        low="#56b4e9" if dark else "#0072b2",
        middle=mix(base, text, 0.06).name(),
        high="#e69f00" if dark else "#d55e00",
        categories=_DARK_CATEGORIES if dark else _LIGHT_CATEGORIES,
    )


def mix(one: QColor, other: QColor, share: float) -> QColor:
    """`one` with `share` (0..1) of `other` in it."""
    return QColor.fromRgbF(
        one.redF() + (other.redF() - one.redF()) * share,
        one.greenF() + (other.greenF() - one.greenF()) * share,
        one.blueF() + (other.blueF() - one.blueF()) * share,
    )


def secondary(palette: QPalette) -> QColor:
    """Text that matters less, still at 4.5:1 on the window."""
    return palette.color(_Role.PlaceholderText)


def make_palette(*, dark: bool, strong: bool = False) -> QPalette:
    """Our own palette, for platforms without one; `strong` for people who asked the system for more contrast."""
    palette = QPalette()
    for role, colour in (_DARK if dark else _LIGHT).items():
        palette.setColor(role, QColor(colour))
    if strong:
        ink = QColor("#ffffff" if dark else "#000000")
        for role in (_Role.Text, _Role.WindowText, _Role.ButtonText, _Role.ToolTipText):
            palette.setColor(role, ink)
        for role, share in ((_Role.PlaceholderText, 0.6), (_Role.Mid, 0.5), (_Role.Dark, 0.5)):
            palette.setColor(role, mix(palette.color(role), ink, share))
    text, base, window = (palette.color(role) for role in (_Role.Text, _Role.Base, _Role.Window))
    for role in (_Role.Text, _Role.WindowText, _Role.ButtonText, _Role.HighlightedText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, mix(window, text, 0.45))
    palette.setColor(QPalette.ColorGroup.Disabled, _Role.Highlight, mix(base, text, 0.2))
    palette.setColor(QPalette.ColorGroup.Disabled, _Role.Base, window)
    return palette


def wish_of(text: str) -> SchemeWish:
    """A remembered or configured appearance; anything unknown follows the system."""
    return "light" if text == "light" else "dark" if text == "dark" else "system"


def apply_first_theme(app: QApplication, wish: SchemeWish) -> None:
    """What `apply_theme` would show, soon enough for the first paint; `apply_theme` follows."""
    if wish != "system":
        apply_theme(app, wish)
    elif sys.platform not in ("darwin", "win32"):
        app.setPalette(make_palette(dark=is_dark(app.palette())))  # still the platform's


def apply_theme(app: QApplication, wish: SchemeWish = "system") -> None:
    """Follow the system's light or dark mode, or pin one. May be called again at any time."""
    from PySide6.QtCore import Qt

    hints = app.styleHints()
    schemes = {"system": Qt.ColorScheme.Unknown, "light": Qt.ColorScheme.Light, "dark": Qt.ColorScheme.Dark}
    hints.setColorScheme(schemes[wish])
    if sys.platform in ("darwin", "win32"):
        return
    dark = wish == "dark" or (wish == "system" and hints.colorScheme() == Qt.ColorScheme.Dark)
    app.setPalette(make_palette(dark=dark, strong=wants_contrast(hints)))


def wants_contrast(hints: QStyleHints) -> bool:
    """Whether the system was asked for more contrast; False where Qt cannot tell (before 6.10)."""
    from PySide6.QtCore import Qt

    accessibility = getattr(hints, "accessibility", None)
    return accessibility is not None and accessibility().contrastPreference() == Qt.ContrastPreference.HighContrast


def apply_fonts(app: QApplication) -> None:
    """The system's font; where the system names none, a clear face at a readable size."""
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)
    if sys.platform not in ("darwin", "win32") and font.family().lower() in ("", "sans", "sans serif", "sans-serif"):
        font.setFamilies(["Inter", "Noto Sans", "DejaVu Sans"])
        font.setPointSizeF(10)
    app.setFont(font)


def scaled(font: QFont, by: float, *, bold: bool = False) -> QFont:
    """A copy of `font`, `by` times its size."""
    copy = QFont(font)
    copy.setPointSizeF(font.pointSizeF() * by)
    if bold:
        copy.setWeight(QFont.Weight.DemiBold)
    return copy


def fixed_font() -> QFont:
    """The system's fixed-width font, for logs and code."""
    return QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)


def icon(name: str, palette: QPalette | None = None) -> QIcon:
    """The template icon `resources/icons/<name>.svg` in the colours of the palette. Ask again when it changes."""
    from PySide6.QtCore import QSize
    from PySide6.QtGui import QIcon

    colours = palette or QApplication.palette()
    made = QIcon()
    for mode, group, role in (
        (QIcon.Mode.Normal, QPalette.ColorGroup.Active, _Role.ButtonText),
        (QIcon.Mode.Disabled, QPalette.ColorGroup.Disabled, _Role.ButtonText),
        (QIcon.Mode.Selected, QPalette.ColorGroup.Active, _Role.HighlightedText),
    ):
        made.addPixmap(pixmap(name, QSize(18, 18), colours.color(group, role)), mode)
    return made


def pixmap(name: str, size: QSize, colour: QColor) -> QPixmap:
    """A template icon in one colour, drawn for the densest screen there is."""
    return _drawn(name, size.width(), size.height(), colour.name(QColor.NameFormat.HexArgb), _device_pixel_ratio())


def _device_pixel_ratio() -> float:
    app = QApplication.instance()
    return app.devicePixelRatio() if isinstance(app, QApplication) else 1.0


@lru_cache(maxsize=256)
def _drawn(name: str, width: int, height: int, argb: str, ratio: float) -> QPixmap:
    from PySide6.QtCore import QByteArray, QRectF, Qt
    from PySide6.QtGui import QPainter, QPixmap
    from PySide6.QtSvg import QSvgRenderer

    colour = QColor(argb)
    svg = _template(name).replace(b"currentColor", colour.name().encode())
    canvas = QPixmap(round(width * ratio), round(height * ratio))
    canvas.setDevicePixelRatio(ratio)
    canvas.fill(Qt.GlobalColor.transparent)
    painter = QPainter(canvas)
    painter.setOpacity(colour.alphaF())
    QSvgRenderer(QByteArray(svg)).render(painter, QRectF(0, 0, width, height))
    painter.end()
    return canvas


@lru_cache(maxsize=64)
def _template(name: str) -> bytes:
    return (resources_dir() / "icons" / f"{name}.svg").read_bytes()
