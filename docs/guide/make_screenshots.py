"""Pictures of the real window for the guide: the bundled analysis, run once, in light and dark.

    python docs/guide/make_screenshots.py [FOLDER]     (docs/guide/images by default)

Needs no display. Every picture is grabbed from the running program; nothing is drawn or filled in by hand.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SIZE = (1280, 800)


async def until(condition: Callable[[], object], limit_s: float = 300) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            msg = "the window did not come to the state of the picture"
            raise TimeoutError(msg)
        await asyncio.sleep(0.05)


def main(folder: Path) -> None:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    import qasync

    from desktop import app as composition
    from desktop.core.jobs import JobState
    from desktop.core.paths import Paths
    from desktop.ui import theme
    from desktop.ui.bridge import Bridge
    from desktop.ui.first_paint import Window
    from desktop.ui.frame import Frame
    from desktop.ui.life import machine_words
    from desktop.ui.main_window import Application
    from desktop.ui.window_state import WindowState

    folder.mkdir(parents=True, exist_ok=True)
    qt = Application([])
    qt.setQuitOnLastWindowClosed(False)
    theme.apply_fonts(qt)
    theme.apply_theme(qt, "light")
    with tempfile.TemporaryDirectory() as home:
        workbench = composition.build(Paths(Path(home)))
        state = WindowState(Path(home) / "window.json")
        window = Window(state)
        window.resize(*SIZE)
        frame = Frame(window, Bridge(qt), state)
        window.show()

        def grab(name: str) -> None:
            window.grab().save(str(folder / f"{name}.png"))

        async def both(name: str) -> None:
            for wish in ("light", "dark"):
                theme.apply_theme(qt, theme.wish_of(wish))
                await asyncio.sleep(1.0)
                grab(f"{name}-{wish}")
            theme.apply_theme(qt, "light")

        async def scenes() -> None:
            frame.bridge.attach(workbench)
            frame.seed_jobs([])
            frame.show_machine(*await frame.bridge.read(machine_words, workbench))
            await asyncio.sleep(1)
            grab("empty-light")
            frame.actions["ui.try_sample"].trigger()
            await until(frame.actions["ui.run"].isEnabled)
            await asyncio.sleep(1)
            await both("setup")
            frame.actions["ui.run"].trigger()
            await until(lambda: any(job.kind == "omics.run_analysis" for job in frame.jobs.values()))
            frame.show_section("activity")
            await until(lambda: any(0.3 < job.done_frac < 1 for job in frame.jobs.values()))
            await both("activity")
            runs = [job for job in frame.jobs.values() if job.kind == "omics.run_analysis"]
            await until(lambda: frame.jobs[runs[0].id].state.is_final)
            if frame.jobs[runs[0].id].state is not JobState.DONE:
                raise RuntimeError(str(frame.jobs[runs[0].id].error))
            frame.show_section("analyze")
            await asyncio.sleep(4)
            await both("results")
            frame.actions["ui.toggle_inspector"].trigger()
            frame.show_section("library")
            await asyncio.sleep(1.5)
            await both("library")
            frame.actions["ui.open_palette"].trigger()
            await asyncio.sleep(0.3)
            grab("palette-light")
            frame.palette.dismiss()
            await frame.bridge.close()

        loop = qasync.QEventLoop(qt)
        loop.set_default_executor(ThreadPoolExecutor(2))
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(scenes())
        finally:
            workbench.close()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "guide" / "images")
