"""Pictures of the real window for the guide and the README: the bundled analysis, run twice.

    python docs/guide/make_screenshots.py [FOLDER]     (docs/guide/images by default)

Needs no display. Every picture is grabbed from the running program; nothing is drawn or filled in by hand. The data
folder is a temporary one that stands as the home folder, and the sample is copied there, so that no place of this
machine is in a picture.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LARGE, SMALL = (1600, 1000), (1180, 740)
SECOND = "Which genes change with dexamethasone?"


async def until(condition: Callable[[], object], limit_s: float = 300) -> None:
    """Wait on Qt's loop."""
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            msg = "the window did not come to the state of the picture"
            raise TimeoutError(msg)
        await asyncio.sleep(0.05)


class Camera:
    """Takes the pictures of one running window."""

    def __init__(self, qt: Any, frame: Any, folder: Path) -> None:
        self.qt, self.frame, self.folder = qt, frame, folder

    async def take(self, name: str, size: tuple[int, int] = SMALL, look: str = "light") -> None:
        """One picture, once the window has settled."""
        from PySide6.QtGui import QImage

        from desktop.ui import theme

        self.frame.window.resize(*size)
        theme.apply_theme(self.qt, theme.wish_of(look))
        await asyncio.sleep(1.2)
        picture = self.frame.window.grab().toImage()
        picture.convertToFormat(QImage.Format.Format_RGB32).save(str(self.folder / f"{name}.png"))

    async def analyse(self, question: str, design: str = "") -> Any:
        """Ask, change the design if one is given, run, and wait for the results."""
        panel = self.frame.show_section("analyze")
        panel.setup.question.setText(question)
        panel.setup.ask.click()
        await until(panel.setup.can_run)
        if design:
            panel.setup.plan.design.setText(design)
            panel.setup.plan.design.textEdited.emit(design)
            await until(panel.setup.can_run)
        before = set(self.frame.jobs)
        panel.run()
        await until(lambda: set(self.frame.jobs) - before)
        (job_id,) = set(self.frame.jobs) - before
        await until(lambda: self.frame.jobs[job_id].state.is_final)
        if self.frame.jobs[job_id].error is not None:
            raise RuntimeError(str(self.frame.jobs[job_id].error))
        await until(lambda: panel.runs.is_in_front and panel.runs.run.run_id == job_id)
        return panel


async def scenes(camera: Camera, sample: Path) -> None:
    from PySide6.QtCore import Qt

    from desktop.ui.life import machine_words

    frame = camera.frame
    frame.seed_jobs([])
    frame.show_machine(*await frame.bridge.read(machine_words, frame.bridge.workbench))
    frame.show_section("analyze")
    await camera.take("open")
    frame.open_data(str(sample / "counts.csv.gz"), str(sample / "samples.csv"))
    panel = frame.panel("analyze")
    await until(panel.setup.ask.isEnabled)
    panel = await camera.analyse(SECOND, "~ dex")
    panel.back_to_plan()
    frame.actions["ui.try_sample"].trigger()
    await until(frame.actions["ui.run"].isEnabled)
    await camera.take("ask", (1180, 900))
    panel = await camera.analyse(panel.setup.question.text())
    await asyncio.sleep(3)
    await camera.take("window", LARGE)
    panel.runs.view.show_tab("Heatmap")
    await camera.take("heatmap", look="dark")
    panel.runs.view.show_tab("Table")
    await camera.take("table")
    panel.runs.view.show_tab("Gene sets")
    await asyncio.sleep(2)
    await camera.take("gene-sets", (1180, 820))
    runs = [job for job in frame.jobs.values() if job.kind == "omics.run_analysis"]
    other = next(job for job in runs if job.id != panel.runs.run.run_id)
    await panel.exports.compare_with(str(other.result["out_dir"]))
    await until(lambda: panel.pages.currentWidget().__class__.__name__ == "ComparisonView")
    await camera.take("compare", (1180, 900))
    frame.show_section("models")
    await camera.take("models", (1180, 820))
    frame.actions["ui.toggle_inspector"].trigger()
    library = frame.show_section("library")
    await until(lambda: library.list.model.rowCount() >= 3)
    library.list.select({f"run:{panel.runs.run.run_id}"})
    library.list.table.setFocus()
    await camera.take("library", (1500, 860))
    frame.actions["ui.open_settings"].trigger()
    settings = next(w for w in frame.window.findChildren(object) if w.__class__.__name__ == "SettingsWindow")
    settings.open_at("Privacy")
    settings.setWindowFlag(Qt.WindowType.Window)
    await asyncio.sleep(1)
    settings.grab().save(str(camera.folder / "settings.png"))
    settings.close()
    await asyncio.sleep(0.5)
    await frame.bridge.close()


def main(folder: Path) -> None:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    import qasync

    from desktop import app as composition
    from desktop.core.paths import Paths
    from desktop.ui.bridge import Bridge
    from desktop.ui.first_paint import Window
    from desktop.ui.frame import Frame
    from desktop.ui.main_window import Application
    from desktop.ui.theme import apply_fonts, apply_theme
    from desktop.ui.window_state import WindowState

    folder.mkdir(parents=True, exist_ok=True)
    qt = Application([])
    qt.setQuitOnLastWindowClosed(False)
    apply_fonts(qt)
    apply_theme(qt, "light")
    with tempfile.TemporaryDirectory() as place:
        home = Path(place).resolve()
        os.environ["HOME"] = str(home)  # shown as ~
        sample = Path(shutil.copytree(ROOT / "resources" / "samples" / "airway", home / "Data" / "airway"))
        workbench = composition.build(Paths(home / "Benchtop"))
        state = WindowState(home / "window.json")
        window = Window(state)
        frame = Frame(window, Bridge(qt), state)
        window.show()

        async def work() -> None:
            frame.bridge.attach(workbench)
            await scenes(Camera(qt, frame, folder), sample)

        loop = qasync.QEventLoop(qt)
        loop.set_default_executor(ThreadPoolExecutor(2))
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(work())
        finally:
            workbench.close()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "guide" / "images")
