"""run: a script of one's own on a dataset, through the same door as every script that no template wrote."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop.cli.analysis import absolute, may_use_net, print_warnings, run_folder
from desktop.cli.follow import run_agreeing
from desktop.cli.machine import ScriptFileError, read_script
from desktop.cli.output import DONE, CommandError, JobFailed, is_interactive, print_json, stderr_console, stdout_console

if TYPE_CHECKING:
    from desktop.cli.house import House


@dataclass(frozen=True, slots=True)
class ScriptWish:
    """What was typed after `run`."""

    script: Path | None  # None: a model writes it
    data: str
    samples: Path | None = None
    question: str = ""
    isolation: str = "auto"
    out: Path | None = None
    accept: tuple[str, ...] = ()


def run_script(house: House, wish: ScriptWish, *, is_agreed: bool, as_json: bool) -> int:
    """Run it; refusals are printed at their lines."""
    asks = not is_agreed and not as_json and is_interactive()
    if wish.script is None and not wish.question.strip():
        raise CommandError("There is neither a script nor a question.", hint="Give a script, or --question TEXT.")
    job = "omics.run_script" if wish.script else "omics.write_script"
    params: dict[str, Any] = {
        **({"script": _text(wish.script)} if wish.script else {}),
        "data": run_folder(house, absolute(wish.data)),
        "samples": str(wish.samples.absolute()) if wish.samples else None,
        "question": wish.question,
        "isolation": wish.isolation,
        "out_dir": str(wish.out.absolute()) if wish.out else None,
        "allow_net": may_use_net(house, wish.data, is_agreed=is_agreed, asks=asks),
        "accept": list(wish.accept),
    }
    with house.open_bench(may_stand_beside=True) as bench:
        if params["out_dir"] is None and bench.is_beside:
            params["out_dir"] = str(house.paths.runs / f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}")
        try:
            runtime = bench.workbench.runtime
            record = run_agreeing(runtime, job, params, asks=asks, is_quiet=as_json)
        except JobFailed as failed:
            for one in () if as_json else json.loads(failed.error.details.get("findings", "[]")):
                where = f"{wish.script or 'analysis.py'}:{one['line']}:{one['column'] + 1}"
                stderr_console().print(f"{where}: {one['rule']}: {one['message']} {one['remedy']}", markup=False)
            raise
    result = record.result or {}
    print_json(result) if as_json else print_script_result(result)
    return DONE


def print_script_result(result: dict[str, Any]) -> None:
    """What it left, its warnings on stderr."""
    from rich.table import Table
    from rich.text import Text

    folder = Path(result["out_dir"])
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    rows = [("Left", name) for name in result["outputs"]]
    rows += [
        ("Isolation", result["isolation"]["detail"]),
        ("Report", str(folder / "report.html")),
        ("Folder", str(folder)),
    ]
    for name, value in rows:
        table.add_row(name, Text(value))
    stdout_console().print(Text(result.get("headline", ""), style="bold"))
    stdout_console().print(table)
    print_warnings(result.get("warnings", []))


def _text(file: Path) -> str:
    try:
        return read_script(file).decode("utf-8")
    except UnicodeDecodeError as fault:
        message = f"{file} is not UTF-8 text (byte {fault.start + 1})."
        raise ScriptFileError(message, hint="Save it as UTF-8.") from None
