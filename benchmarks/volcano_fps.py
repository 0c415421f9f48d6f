"""Frames a second of a volcano of 60,000 genes that is panned, each frame painted in full. Prints one JSON object.

Real pan steps through the view box, each painted by QWidget.grab of the plot's viewport, offscreen, no display needed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from PySide6.QtWidgets import QApplication

from desktop.ui.widgets.plots.volcano import VolcanoPlot


def measure(n_genes: int, width: int, height: int, n_frames: int) -> dict[str, float | int]:
    """Frames a second over `n_frames` pan steps, and the slowest frame."""
    rng = np.random.default_rng(1)
    fold_change = rng.normal(0, 1.2, n_genes)
    padj = np.minimum(1.0, 10.0 ** -(np.abs(fold_change) ** 2 * rng.gamma(1.2, 2.0, n_genes)))
    plot = VolcanoPlot()
    plot.resize(width, height)
    plot.show()
    plot.set_results(fold_change, padj)
    plot.set_thresholds(0.01, 1.0)
    plot.plot.viewport().grab()
    frames = []
    cpu = time.process_time()
    for step in range(n_frames):
        start = time.perf_counter()
        plot.plot.getViewBox().translateBy((0.02 if step % 40 < 20 else -0.02, 0.1 if step % 20 < 10 else -0.1))
        plot.plot.viewport().grab()
        frames.append(time.perf_counter() - start)
    cpu = time.process_time() - cpu
    hovers = []
    for step in range(200):
        start = time.perf_counter()
        plot.cloud.nearest(plot.plot.getViewBox().viewRect().center(), 9.0 + step)
        hovers.append(time.perf_counter() - start)
    return {
        "n_genes": n_genes,
        "width": width,
        "height": height,
        "frames_per_s": round(len(frames) / sum(frames), 1),
        "frames_per_cpu_s": round(len(frames) / cpu, 1),  # what a machine with nothing else to do would give
        "median_ms": round(statistics.median(frames) * 1000, 1),
        "slowest_ms": round(max(frames) * 1000, 1),
        "nearest_point_ms": round(statistics.median(hovers) * 1000, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--genes", type=int, default=60_000)
    parser.add_argument("--size", default="1000x700")
    parser.add_argument("--frames", type=int, default=120)
    given = parser.parse_args()
    width, height = (int(part) for part in given.size.split("x"))
    app = QApplication.instance() or QApplication([])
    print(json.dumps(measure(given.genes, width, height, given.frames)))
    app.quit()


if __name__ == "__main__":
    main()
