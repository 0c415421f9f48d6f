"""export: a finished run as one folder or zip."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from desktop.cli.analysis import run_folder
from desktop.cli.follow import run_job
from desktop.cli.output import DONE, print_json, stderr_console, stdout_console

if TYPE_CHECKING:
    from desktop.cli.house import House


def export(house: House, run: str, out: Path | None, *, as_zip: bool, as_json: bool) -> int:
    """Export a run named by id or folder; a name that ends in .zip means a zip."""
    place = out.expanduser().absolute() if out else None
    params = {
        "run": run_folder(house, run),
        "into": str(place.parent if place else Path.cwd()),
        "name": place.name if place else "",
        "as_zip": as_zip or (place is not None and place.suffix == ".zip"),
    }
    with house.open_bench(may_stand_beside=True) as bench:
        record = run_job(bench.workbench.runtime, "omics.export_run", params, is_quiet=as_json)
    result = record.result or {}
    if as_json:
        print_json(result)
        return DONE
    from rich.text import Text

    for warning in record.warnings:
        stderr_console().print(Text("Warning: ", style="bold yellow").append(warning, style="not bold default"))
    stdout_console().print(Text(f"{result['path']}\n{result['n_files']} files, {result['size_bytes']:,} bytes"))
    return DONE
