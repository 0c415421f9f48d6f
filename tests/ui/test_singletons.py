"""Thousands of Qt calls do not bring the interpreter down (see `desktop.ui`)."""

from __future__ import annotations

import os
import subprocess
import sys

CODE = """
import sys, desktop.ui
from PySide6.QtWidgets import QApplication, QLabel
app = QApplication([])
label = QLabel()
for _ in range(30_000):
    label.setText("x"); label.setVisible(False); label.parent()
print("alive")
"""


def test_many_calls_leave_the_interpreter_alive() -> None:
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    out = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert out.stdout == "alive\n", out.stderr
