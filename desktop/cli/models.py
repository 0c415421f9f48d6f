"""models list, fit, download, import, quantise, delete, restore: what is on this machine and what would fit it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop.cli.follow import cancelled, run_job
from desktop.cli.output import DONE, ask, is_interactive, print_json, stderr_console, stdout_console
from desktop.studios.machine import queries

if TYPE_CHECKING:
    from desktop.cli.house import House

DOES_NOT_FIT = 1


def list_models(house: House, *, as_json: bool) -> int:
    """Every model by name; works beside an open window."""
    rows = queries.list_models(house.paths)
    if as_json:
        print_json({"models": [asdict(row) for row in rows]})
        return DONE
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in ("Model", "Tier", "Engine", "On disk", "Context", "Good for", "State"):
        table.add_column(heading, no_wrap=heading != "Good for", justify="right" if heading == "On disk" else "left")
    for row in rows:
        size = f"{row.bytes / 1e9:.2f} GB" if row.bytes else ""
        table.add_row(
            row.id, row.tier, row.engine, size, f"{row.context_tokens:,}", Text(", ".join(row.capabilities)), row.state
        )
    stdout_console().print(table)
    return DONE


def fit(house: House, model: str, context: int | None, *, as_json: bool) -> int:
    """0 when it fits, now or after others have gone; 1 when it does not."""
    with house.open_bench(may_stand_beside=True, start=False) as bench:
        settings = bench.workbench.settings.get("memory")
    answer = queries.fit(house.paths, model, settings, context_tokens=context)
    if as_json:
        print_json(asdict(answer))
    else:
        stdout_console().print(f"{answer.words} (context: {answer.context_tokens:,} tokens)", markup=False)
    return DOES_NOT_FIT if answer.verdict == "never" else DONE


def download(house: House, model: str, *, is_agreed: bool, as_json: bool) -> int:
    """Asks before anything leaves, unless --yes or the settings allow it."""
    with house.open_bench() as bench:
        settings = bench.workbench.settings
        answer = queries.fit(house.paths, model, settings.get("memory"))
        if not as_json:
            stderr_console().print(answer.words, markup=False)
        net = settings.get("net")
        is_allowed = net.mode == "allow" or "huggingface" in net.allowed
        if not is_agreed and not is_allowed and net.mode == "ask" and is_interactive() and not as_json:
            question = (
                f"Download {model} from Hugging Face? Its name and this machine's address go there; no data does."
            )
            if not ask(question, default=True):
                raise cancelled()
            is_agreed = True
        params = {"model": model, "allow_net": is_agreed}
        record = run_job(bench.workbench.runtime, "machine.download_model", params, is_quiet=as_json)
    return _print_added(record.result or {}, as_json=as_json)


def import_model(house: House, source: Path, name: str, *, is_linked: bool, pooling: str, as_json: bool) -> int:
    """Copies, or links."""
    params = {"source": str(source.absolute()), "name": name, "link": is_linked, "pooling": pooling}
    return _add(house, "machine.import_model", params, as_json=as_json)


def quantise(house: House, source: Path, name: str, bits: int, *, as_json: bool) -> int:
    """The full-precision folder stays as it is."""
    params = {"source": str(source.absolute()), "name": name, "bits": bits}
    return _add(house, "machine.quantise_model", params, as_json=as_json)


def delete(house: House, model: str, *, as_json: bool) -> int:
    """To the Trash."""
    queries.trash_model(house.paths, model)
    return _say({"model": model, "state": "in Trash"}, f"Moved {model} to the Trash.", as_json=as_json)


def restore(house: House, model: str, *, as_json: bool) -> int:
    """Out of the Trash."""
    queries.restore_model(house.paths, model)
    return _say({"model": model, "state": "on disk"}, f"{model} is back.", as_json=as_json)


def empty_trash(house: House, *, as_json: bool) -> int:
    """For good."""
    freed = queries.empty_trash(house.paths)
    return _say({"freed_bytes": freed}, f"{freed / 1e9:.2f} GB came free.", as_json=as_json)


def _add(house: House, kind: str, params: dict[str, Any], *, as_json: bool) -> int:
    with house.open_bench() as bench:
        record = run_job(bench.workbench.runtime, kind, params, is_quiet=as_json)
    return _print_added(record.result or {}, as_json=as_json)


def _print_added(result: dict[str, Any], *, as_json: bool) -> int:
    words = f"{result['model']}: {result['bytes'] / 1e9:.2f} GB, {result['source']}. Licence: {result['licence']}."
    return _say(result, words, as_json=as_json)


def _say(facts: dict[str, Any], words: str, *, as_json: bool) -> int:
    print_json(facts) if as_json else stdout_console().print(words, markup=False)
    return DONE
