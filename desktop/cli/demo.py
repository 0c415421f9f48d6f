"""The demonstration: the bundled sample through the ordinary job, offline, then the window on the results."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from desktop.cli.analysis import print_result
from desktop.cli.follow import run_job
from desktop.cli.output import DONE, CommandError, print_json
from desktop.studios.omics import queries

if TYPE_CHECKING:
    from desktop.cli.house import House


def demo(house: House, out: Path, *, as_json: bool) -> int:
    """Run, print the summary, open the window where there is a display."""
    sample = queries.sample_dataset()
    out = out.absolute()
    _make_room(out)
    params = {
        "data": str(sample.data),
        "samples": str(sample.samples),
        "question": sample.question,
        "out_dir": str(out),
    }
    with house.open_bench(may_stand_beside=True) as bench:
        record = run_job(bench.workbench.runtime, "omics.run_analysis", params, is_quiet=as_json)
    result = record.result or {}
    if as_json:
        print_json(result)
        return DONE
    print_result(result)
    return house.open_window([str(out)]) if has_display() else DONE


def has_display() -> bool:
    """Whether a window can be shown, and somebody may be looking at it."""
    if os.environ.get("CI") or os.environ.get("QT_QPA_PLATFORM") in ("offscreen", "minimal"):
        return False
    if sys.platform == "darwin":
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _make_room(out: Path) -> None:
    """The results of an earlier demonstration give way; anything else in that place stays and is said."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / "manifest.json").is_file() or not (out / "analysis.py").is_file():
        raise CommandError(f"{out} is in the way.", hint="Choose another folder with --out.")
    shutil.rmtree(out)
