"""Colour scales for plots, made of the theme's colours so they hold in light and dark. No palette of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QColor

from desktop.ui.theme import PlotColours, mix


def ramp(stops: tuple[str, ...]) -> NDArray[np.uint8]:
    """(256, 4) RGBA running evenly through the stops ("#rrggbb")."""
    colours = [QColor(stop) for stop in stops]
    at = np.linspace(0, 1, len(stops))
    rgb = np.array([(c.red(), c.green(), c.blue()) for c in colours], dtype=float)
    where = np.linspace(0, 1, 256)
    table = np.full((256, 4), 255, dtype=np.uint8)
    for channel in range(3):
        table[:, channel] = np.round(np.interp(where, at, rgb[:, channel]))
    return table


def diverging(colours: PlotColours) -> NDArray[np.uint8]:
    """(256, 4) RGBA, low to high, for values centred on 0; the centre vanishes into the ground."""
    return ramp((colours.low, colours.middle, colours.high))


def sequential(colours: PlotColours) -> NDArray[np.uint8]:
    """(256, 4) RGBA from near (strong) to far (the ground), for distances."""
    ground, near = QColor(colours.background), QColor(colours.down)
    return ramp((near.name(), mix(near, ground, 0.55).name(), mix(near, ground, 0.94).name()))
