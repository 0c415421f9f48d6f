"""batch: many analyses as one job, and its table of outcomes."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop.cli.follow import run_job
from desktop.cli.output import DONE, FAILED, CommandError, ask, is_interactive, print_json, stdout_console
from desktop.studios.omics import queries

if TYPE_CHECKING:
    from desktop.cli.house import House

_MOST_NAMED = 3  # datasets named when the net is asked about


@dataclass(frozen=True, slots=True)
class BatchWish:
    """What was typed after `batch`."""

    data: list[str]
    questions: list[str]
    isolation: str = "auto"
    out: Path | None = None


def batch(house: House, wish: BatchWish, *, is_agreed: bool, as_json: bool) -> int:
    """Run them all; 0 when at least one is done, 4 when every one failed."""
    items = _items(wish)
    allow_net = _may_use_net(items, is_agreed=is_agreed, asks=not as_json and is_interactive())
    items = [item | {"isolation": wish.isolation, "allow_net": allow_net} for item in items]
    params: dict[str, Any] = {"items": items, "out_dir": str(wish.out.absolute()) if wish.out else None}
    with house.open_bench(may_stand_beside=True) as bench:
        if params["out_dir"] is None and bench.is_beside:
            params["out_dir"] = str(house.paths.runs / f"batch-{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}")
        record = run_job(bench.workbench.runtime, "omics.run_batch", params, is_quiet=as_json)
    result = record.result or {}
    print_json(result) if as_json else print_outcomes(result)
    return DONE if result.get("n_done") else FAILED


def print_outcomes(result: dict[str, Any]) -> None:
    """The table of outcomes, then the errors with what to try."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in ("#", "Dataset", "Question", "State", "Up", "Down", "Folder"):
        table.add_column(heading, overflow="fold", justify="right" if heading in ("#", "Up", "Down") else "left")
    styles = {"done": "green", "failed": "bold red"}
    for item in result["items"]:
        asked = item["question"] or item["contrast"]
        up, down = ("" if item[name] is None else f"{item[name]:,}" for name in ("up", "down"))
        state = Text(item["status"], style=styles.get(item["status"], ""))
        folder = item["folder"] if item["status"] == "done" else ""
        table.add_row(str(item["number"]), Text(item["dataset"]), Text(asked), state, up, down, Text(folder))
    out = stdout_console()
    out.print(Text(result["headline"], style="bold"))
    out.print(table)
    for item in result["items"]:
        if error := item["error"]:
            out.print(Text(f"{item['number']}: {error['message']}\n   {error['hint']}"))
    out.print(Text(str(result["out_dir"])))


def _items(wish: BatchWish) -> list[dict[str, Any]]:
    files = [Path(data).expanduser() for data in wish.data if queries.is_batch_file(Path(data).expanduser())]
    if files and (wish.questions or len(wish.data) > 1):
        raise CommandError(
            f"{files[0].name} lists its own data and questions.", hint="Give that file alone, without --question."
        )
    if files:
        return [item.model_dump(mode="json") for item in queries.read_batch_file(files[0])]
    if not wish.questions:
        raise CommandError(
            "What do you want to know of these?", hint="Add --question, or give a YAML or CSV file that lists both."
        )
    places = [Path(data).expanduser() for data in wish.data]
    given = [str(place.absolute()) if place.exists() else data for place, data in zip(places, wish.data, strict=True)]
    return [{"data": data, "question": question} for data in given for question in wish.questions]


def _may_use_net(items: list[dict[str, Any]], *, is_agreed: bool, asks: bool) -> bool:
    """Consent for this one batch: --yes, or the answer to one question."""
    away = list(dict.fromkeys(item["data"] for item in items if not Path(item["data"]).exists()))
    away = [data for data in away if queries.is_accession(data)]
    if not away or is_agreed or not asks:
        return is_agreed and bool(away)
    named = ", ".join(away[:_MOST_NAMED]) + (f" and {len(away) - _MOST_NAMED} more" if len(away) > _MOST_NAMED else "")
    return ask(
        f"{named} are not on this machine. Ask NCBI (GEO) for them? The accessions and this machine's address go there;"
        " no data does.",
        default=True,
    )
