"""Whether the machine runs on its battery now; one small question to the system, False where there is none."""

from __future__ import annotations

import time

_GOOD_FOR_S = 30.0
_last = (-_GOOD_FOR_S, False)


def is_on_battery() -> bool:
    """On battery, as it was within the last half minute: asked for each request."""
    global _last
    now_s = time.monotonic()
    if now_s - _last[0] >= _GOOD_FOR_S:
        import psutil

        battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
        _last = (now_s, battery is not None and not battery.power_plugged)
    return _last[1]
