"""First paint: our window against a bare PySide6 QMainWindow, each in fresh processes, interleaved; medians.

    python -m benchmarks.first_paint [--runs N] [--json]

Wall time from process start to the end of the first paint. The bar is 1.5 × the bare window in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BAR = 1.5
BARE = """
import sys, time
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QMainWindow
class Window(QMainWindow):
    def paintEvent(self, event):
        super().paintEvent(event)
        QTimer.singleShot(0, done)
def done():
    print(time.time()); sys.stdout.flush()
    import os; os._exit(0)
app = QApplication([])
window = Window(); window.resize(1280, 820); window.show()
app.exec()
"""
OURS = """
import sys, time
from desktop.ui import main_window
class Timed(main_window.Application):
    @staticmethod
    def exit(code=0):
        print(time.time()); sys.stdout.flush()
        import os; os._exit(0)
main_window.Application = Timed
from desktop.app import run_window
run_window(())
"""


def first_paint_s(code: str) -> float:
    """Seconds from the start of a fresh process to its first paint."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "HOME": home}
        environment.pop("BENCHTOP_HOME", None)
        environment.setdefault("QT_QPA_PLATFORM", "offscreen")
        began = time.time()
        out = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            cwd=Path(__file__).resolve().parents[1],
            capture_output=True,
            text=True,
            check=True,
        )
    return float(out.stdout.split()[-1]) - began


def measure(runs: int) -> dict[str, float]:
    """Medians in ms of both, and their ratio."""
    first_paint_s(BARE), first_paint_s(OURS)  # warm the disk cache for both
    bare, ours = [], []
    for _ in range(runs):
        bare.append(first_paint_s(BARE))
        ours.append(first_paint_s(OURS))
    bare_s, ours_s = statistics.median(bare), statistics.median(ours)
    return {"bare_ms": bare_s * 1000, "benchtop_ms": ours_s * 1000, "ratio": ours_s / bare_s, "bar": BAR}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = measure(given.runs)
    if given.json:
        print(json.dumps(figures))
    else:
        print(
            "first paint: bare {bare_ms:.0f} ms, Benchtop {benchtop_ms:.0f} ms, ratio {ratio:.2f} (bar {bar})".format(
                **figures
            )
        )
    return int(figures["ratio"] > BAR)


if __name__ == "__main__":
    sys.exit(main())
