"""jobs list, show, cancel, rerun. Listing and showing work beside an open window; the others need the store."""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop.cli.follow import follow
from desktop.cli.output import DONE, print_json, stdout_console
from desktop.core.jobs import JobRecord
from desktop.workers.errors import UnknownJobError

if TYPE_CHECKING:
    from desktop.cli.house import House
    from desktop.core.ports import Store


def list_jobs(house: House, limit: int, *, as_json: bool) -> int:
    """Newest first."""
    with house.open_reader() as reader:
        jobs = reader.runtime.jobs(limit=limit) if reader else []
    if as_json:
        print_json({"jobs": [_plain(job) for job in jobs]})
        return DONE
    if not jobs:
        stdout_console().print("No jobs yet.")
        return DONE
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in ("Job", "Began", "What", "State", "About"):
        table.add_column(heading, no_wrap=heading != "About")
    for job in jobs:
        about = (
            job.error.message if job.error else str((job.result or {}).get("headline") or job.params.get("data", ""))
        )
        table.add_row(job.id, _when(job.created_s), Text(job.title), job.state.value, Text(about))
    stdout_console().print(table)
    return DONE


def show(house: House, job_id: str, *, as_json: bool) -> int:
    """One job and the end of its log."""
    with house.open_reader() as reader:
        job = reader.runtime.job(job_id) if reader else None
        if job is None or reader is None:
            raise UnknownJobError(f"There is no job {job_id}.", hint="benchtop jobs list shows the jobs there are.")
        log = reader.runtime.log_lines(job_id, tail=50)
    if as_json:
        print_json(_plain(job) | {"log": log})
        return DONE
    from rich.text import Text

    out = stdout_console()
    out.print(Text(f"{job.title}: {job.state.value}", style="bold"))
    for name, value in (("id", job.id), ("began", _when(job.created_s)), ("step", job.step)):
        if value:
            out.print(Text(f"  {name:8} {value}"))
    if job.error:
        out.print(Text(f"  {job.error.message}\n  {job.error.hint}"))
    if job.result and job.result.get("out_dir"):
        out.print(Text(f"  folder   {job.result['out_dir']}"))
    for line in log:
        out.print(Text(f"  | {line}", style="dim"))
    return DONE


def cancel(house: House, job_id: str, *, as_json: bool) -> int:
    """Stop a job that waits."""
    with house.open_bench(start=False) as bench:
        runtime = bench.workbench.runtime
        runtime.cancel(job_id)
        job = runtime.job(job_id)
    if as_json:
        print_json(_plain(job) if job else {})
    elif job:
        stdout_console().print(f"{job.id}: {job.state.value}")
    return DONE


def rerun(house: House, job_id: str, *, as_json: bool) -> int:
    """Run it again and follow it. A finished analysis runs its own stored script on its own stored data."""
    with house.open_bench() as bench:
        runtime = bench.workbench.runtime
        old = runtime.job(job_id)
        params = _again(bench.workbench.store, bench.workbench.paths.runs, old) if old else None
        record = follow(runtime, runtime.rerun(job_id, params), is_quiet=as_json)
    result = record.result or {}
    if as_json:
        print_json(_plain(record))
    elif "items" in result:
        from desktop.cli.batch import print_outcomes

        print_outcomes(result)
    elif "outputs" in result:
        from desktop.cli.scripts import print_script_result

        print_script_result(result)
    elif "summary" in result:
        from desktop.cli.analysis import print_result

        print_result(result)
    else:
        stdout_console().print(f"{record.id}: {record.state.value}")
    return DONE


def _again(store: Store, runs: Path, old: JobRecord) -> dict[str, Any]:
    """The parameters of the second run; its results go beside those of the first, never over them."""
    from desktop.studios.omics import queries
    from desktop.studios.omics.batch_schema import BatchParams
    from desktop.studios.omics.errors import UnknownRunError

    params = dict(old.params)
    if old.kind == "omics.run_batch" and queries.unfinished_batch(BatchParams.model_validate(params), runs):
        return params  # it goes on in its own folder
    if old.kind == "omics.run_script":  # its own parameters hold the script; data that are gone are taken from the run
        if old.result and not Path(str(params["data"])).exists() and Path(str(old.result["out_dir"])).is_dir():
            params["data"] = str(old.result["out_dir"])
        if params.get("out_dir"):
            params["out_dir"] = str(_free_folder(Path(params["out_dir"])))
        return params
    with contextlib.suppress(UnknownRunError):  # a failed one, or one that is gone: from its data again
        stored = queries.rerun_params(store, str((old.result or {}).get("run_id", "")))
        params = stored.model_dump(mode="json") | {name: params.get(name) for name in ("isolation", "out_dir")}
    if params.get("out_dir"):
        params["out_dir"] = str(_free_folder(Path(params["out_dir"])))
    return params


def _free_folder(folder: Path) -> Path:
    """The folder itself while nothing is in it, else the next free one beside it: results, results-2, results-3."""
    numbered = re.fullmatch(r"(.+)-(\d{1,3})", folder.name)
    name, number = (numbered.group(1), int(numbered.group(2))) if numbered else (folder.name, 1)
    free = folder
    while free.exists() and not (free.is_dir() and not any(free.iterdir())):
        number += 1
        free = folder.with_name(f"{name}-{number}")
    return free


def _plain(job: JobRecord) -> dict[str, Any]:
    return asdict(job) | {"state": job.state.value}


def _when(epoch_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(epoch_s))
