"""analyze, inspect and compare: parameters in, a job, its result out."""

from __future__ import annotations

import contextlib
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop.cli.follow import cancelled, run_agreeing, run_job
from desktop.cli.output import DONE, CommandError, ask, is_interactive, print_json, stderr_console, stdout_console
from desktop.core.errors import AppError
from desktop.studios.omics import queries

if TYPE_CHECKING:
    from desktop.cli.house import Bench, House
    from desktop.studios.omics.schema import Inspection, Plan


@dataclass(frozen=True, slots=True)
class Wish:
    """What was typed after `analyze`."""

    data: str
    question: str = ""
    samples: Path | None = None
    design: str | None = None
    contrasts: tuple[str, ...] = ()
    alpha: float | None = None
    lfc: float | None = None
    gene_sets: tuple[Path, ...] = ()
    isolation: str = "auto"
    out: Path | None = None
    accept: tuple[str, ...] = ()


def analyze(house: House, wish: Wish, *, is_agreed: bool, as_json: bool) -> int:
    """Run one analysis; without --yes and on a terminal the plan is shown and asked about first."""
    if not wish.question and not (wish.contrasts or wish.design):
        raise CommandError(
            "What do you want to know?",
            hint="Add --question 'Which genes change with treatment?', or --design and --contrast.",
        )
    asks = not is_agreed and not as_json and is_interactive()
    params = _params(wish, allow_net=may_use_net(house, wish.data, is_agreed=is_agreed, asks=asks))
    with house.open_bench(may_stand_beside=True) as bench:
        _say_beside(bench)
        if params["out_dir"] is None and bench.is_beside:
            params["out_dir"] = str(house.paths.runs / f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}")
        if asks:
            _agree_on_plan(bench, params)
        runtime = bench.workbench.runtime
        record = run_agreeing(runtime, "omics.run_analysis", params, asks=asks, is_quiet=as_json)
    result = record.result or {}
    print_json(result) if as_json else print_result(result)
    return DONE


def inspect(house: House, data: str, samples: Path | None, *, is_agreed: bool, as_json: bool) -> int:
    """Look at the data."""
    asks = not is_agreed and not as_json and is_interactive()
    params = {
        "data": absolute(data),
        "samples": str(samples.absolute()) if samples else None,
        "allow_net": may_use_net(house, data, is_agreed=is_agreed, asks=asks),
    }
    with house.open_bench(may_stand_beside=True) as bench:
        record = run_job(bench.workbench.runtime, "omics.inspect_data", params, is_quiet=as_json)
    result = record.result or {}
    print_json(result) if as_json else _print_inspection(result)
    return DONE


def compare(house: House, left: str, right: str, out: Path | None, *, as_json: bool) -> int:
    """Compare two runs, named by id or by folder; "#2" after it means the run's second contrast."""
    sides = [_side(left), _side(right)]
    params: dict[str, Any] = {
        "left": run_folder(house, sides[0][0]),
        "right": run_folder(house, sides[1][0]),
        "left_contrast": sides[0][1],
        "right_contrast": sides[1][1],
        "out_dir": str(out.absolute()) if out else None,
    }
    with house.open_bench(may_stand_beside=True) as bench:
        if params["out_dir"] is None and bench.is_beside:
            params["out_dir"] = str(house.paths.runs / f"compare-{uuid.uuid4().hex[:12]}")
        record = run_job(bench.workbench.runtime, "omics.compare_runs", params, is_quiet=as_json)
    result = record.result or {}
    if as_json:
        print_json(result)
    else:
        stdout_console().print(f"{result.get('headline', '')}\n{result.get('out_dir', '')}", markup=False)
    return DONE


def _side(text: str) -> tuple[str, int]:
    """A run, and which of its contrasts, from 1."""
    run, mark, number = text.rpartition("#")
    is_number = bool(mark) and number.isascii() and number.isdigit() and not Path(text).exists()
    return (run, max(1, int(number))) if is_number else (text, 1)


def print_result(result: dict[str, Any]) -> None:
    """A finished analysis as a small table, its warnings on stderr."""
    from rich.table import Table
    from rich.text import Text

    summary, plan, out_dir = result["summary"], result["plan"], Path(result["out_dir"])
    contrasts = result.get("contrasts", [])
    is_one = len(contrasts) < 2
    rows = {
        "Design": plan.get("design", ""),
        "Contrast": contrasts[0]["name"] if contrasts and is_one else "",
        "Genes": f"{summary['n_genes']:,}",
        "Significant": f"{summary['n_significant']:,} ({summary['up']:,} up, {summary['down']:,} down)" * is_one,
        "Isolation": result["isolation"]["detail"],
        "Time": f"{sum(result['timings'].values()):.1f} s",
        "Report": str(out_dir / "report.html"),
        "Table": str(out_dir / "results.csv"),
        "Script": str(out_dir / "analysis.py"),
        "Folder": str(out_dir),
    }
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        if value:
            table.add_row(name, Text(value))
    out = stdout_console()
    out.print(Text(result.get("headline", ""), style="bold"))
    out.print(table)
    if not is_one:
        out.print(_table_of(contrasts, out_dir))
    print_warnings(result.get("warnings", []))


def _table_of(contrasts: list[dict[str, Any]], out_dir: Path) -> Any:
    """One line a contrast: its number, as `compare RUN#2` takes it, what it found, and where."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in ("#", "Contrast", "Significant", "Up", "Down", "Folder"):
        is_number = heading not in ("Contrast", "Folder")
        table.add_column(heading, overflow="fold", justify="right" if is_number else "left")
    for number, one in enumerate(contrasts, start=1):
        found = [f"{one[name]:,}" for name in ("n_significant", "up", "down")]
        folder = Path(one["out_dir"]).relative_to(out_dir).as_posix()
        table.add_row(str(number), Text(one["name"]), *found, Text(folder))
    return table


def _params(wish: Wish, *, allow_net: bool) -> dict[str, Any]:
    contrasts = [_contrast(text) for text in wish.contrasts]
    return {
        "data": absolute(wish.data),
        "samples": str(wish.samples.absolute()) if wish.samples else None,
        "question": wish.question,
        "design": wish.design,
        "contrast": contrasts[0] if contrasts else None,
        "other_contrasts": contrasts[1:] or None,
        "alpha": wish.alpha,
        "lfc_threshold": wish.lfc,
        "gene_sets": [str(path.expanduser().absolute()) for path in wish.gene_sets],
        "isolation": wish.isolation,
        "out_dir": str(wish.out.absolute()) if wish.out else None,
        "allow_net": allow_net,
        "accept": list(wish.accept),
    }


def _contrast(text: str) -> dict[str, Any]:
    from desktop.studios.omics.schema import Contrast

    try:
        return Contrast.of_text(text).model_dump(mode="json")
    except ValueError as error:
        raise CommandError(
            f"--contrast {error}.",
            hint="Write it like --contrast dex,trt,untrt; --contrast dex,trt,untrt,cell=N61311 at one level of another "
            "factor; --contrast age for the change per unit.",
        ) from error


def absolute(data: str) -> str:
    """A path made absolute; an accession as it is."""
    path = Path(data).expanduser()
    return str(path.absolute()) if path.exists() or not queries.is_accession(data) else data.strip()


def may_use_net(house: House, data: str, *, is_agreed: bool, asks: bool) -> bool:
    """Consent for this one job: --yes, or the answer to one question."""
    if Path(data).expanduser().exists() or not queries.is_accession(data):
        return False
    if is_agreed or not asks:
        return is_agreed
    return ask(
        f"{data} is not on this machine. Ask NCBI (GEO) for it? The accession and this machine's address go there;"
        " no data does.",
        default=True,
    )


def _agree_on_plan(bench: Bench, params: dict[str, Any]) -> None:
    """Show what would be done and take the answer into `params`; CancelledByUserError when it is not wanted.

    Where there is no plan there is nothing to agree to yet: the job says why, and what would mend it.
    """
    from desktop.studios.omics.schema import Inspection

    runtime = bench.workbench.runtime
    looked = {name: params[name] for name in ("data", "samples", "allow_net")}
    found = Inspection.model_validate(run_job(runtime, "omics.inspect_data", looked, is_quiet=False).result)
    try:
        plan = runtime.call(_plan_of, found, params).result()
    except AppError:
        return
    _print_plan(plan, [caution.text for caution in found.warnings])
    if not ask("Run it?", default=not any(caution.blocks for caution in (*plan.warnings, *found.warnings))):
        raise cancelled()
    params["plan"] = plan.model_dump(mode="json")


def _plan_of(found: Inspection, params: dict[str, Any]) -> Plan:
    """The plan for what was typed. For a child process: it imports numerics."""
    from desktop.studios.omics.schema import Contrast

    return queries.make_plan(
        params["question"],
        found,
        design=params["design"],
        contrast=Contrast(**params["contrast"]) if params["contrast"] else None,
        other_contrasts=[Contrast(**one) for one in params["other_contrasts"] or []],
        alpha=params["alpha"],
        lfc_threshold=params["lfc_threshold"],
    )


def _print_plan(plan: Plan, cautions: list[str]) -> None:
    from rich.text import Text

    err = stderr_console()
    err.print(Text("Plan", style="bold"))
    err.print(Text(f"  design    {plan.design}"))
    for contrast in plan.contrasts:
        err.print(Text(f"  contrast  {contrast}"))
    if plan.reduced:
        err.print(Text(f"  against   {plan.reduced} (all levels at once)"))
    err.print(Text(f"  alpha     {plan.alpha}, minimum log2 fold change {plan.lfc_threshold}"))
    for reason in plan.reasons:
        err.print(Text(f"  {reason.about}: {reason.text}", style="dim"))
    print_warnings([*cautions, *(caution.text for caution in plan.warnings if caution.text not in cautions)])


def _print_inspection(found: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    out, proposal = stdout_console(), found["proposal"]
    out.print(Text(found.get("title") or found["source"], style="bold"))
    files = Table(box=None, pad_edge=False)
    for heading in ("", "File", "What it is", "Why"):
        files.add_column(heading, overflow="fold")
    for file in found["files"]:
        what = file["role"].replace("_", " ") + (f", {file['value_type']}" if file["value_type"] != "unknown" else "")
        path = file["path"].removeprefix(found["source"]).lstrip("/") or Path(file["path"]).name
        files.add_row("→" if file["chosen"] else "", Text(path), Text(what), Text(file["why"]))
    out.print(files)
    samples = Table(box=None, pad_edge=False)
    factors = found["samples"]["factors"]
    for heading in ("Sample", *factors):
        samples.add_column(heading, overflow="fold")
    for at, sample in enumerate(found["samples"]["samples"]):
        samples.add_row(Text(sample), *(Text(values[at]) for values in factors.values()))
    out.print(samples)
    if proposal.get("formula"):
        out.print(Text(f"Proposed design {proposal['formula']}", style="bold"))
        for reason in proposal["reasons"]:
            out.print(Text(f"  {reason['about']}: {reason['text']}"))
    print_warnings([caution["text"] for caution in found["warnings"]])


def print_warnings(warnings: list[str]) -> None:
    """One line each, on stderr."""
    from rich.text import Text

    for warning in warnings:
        stderr_console().print(Text("Warning: ", style="bold yellow").append(warning, style="not bold default"))


def _say_beside(bench: Bench) -> None:
    if bench.is_beside and sys.stderr.isatty():
        stderr_console().print("Benchtop is open: this run is recorded in its results folder only.", style="dim")


def run_folder(house: House, name: str) -> str:
    """The folder of a run id, looked up in the person's store; anything else is left to the job."""
    from desktop.studios.omics.errors import UnknownRunError

    if Path(name).expanduser().is_dir():
        return str(Path(name).expanduser().absolute())
    with house.open_reader() as reader, contextlib.suppress(UnknownRunError):
        if reader:
            return queries.find_run(reader.store, name).out_dir
    return name
