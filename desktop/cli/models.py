"""models list, fit, download, import, quantise, delete, restore: what is on this machine and what would fit it.

A command keeps no model in memory: ps, load and unload act on the Benchtop that is running (`workers.door`).
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop.cli.follow import cancelled, run_job
from desktop.cli.output import DONE, JobFailed, ask, is_interactive, print_json, stderr_console, stdout_console
from desktop.core.sizes import size_words
from desktop.studios.machine import queries
from desktop.workers import door

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


def ps(house: House, *, as_json: bool) -> int:
    """What the running Benchtop has in memory; nothing when none runs."""
    try:
        held = _ask(house, "ps")
    except door.NobodyHomeError:
        held = None
    slots = held.get("slots", []) if held else []
    if as_json:
        print_json({"is_running": held is not None, **(held or {}), "slots": slots})
    elif not slots:
        why = "no model is in use or kept." if held else "no Benchtop is running."
        stdout_console().print(f"Nothing is loaded: {why}", markup=False)
    else:
        _print_slots(slots)
        stdout_console().print(
            f"{size_words(held['charged_bytes'])} of {size_words(held['limit_bytes'])} for models.", markup=False
        )
    return DONE


def load(house: House, model: str, *, as_json: bool) -> int:
    """Into the memory of the running Benchtop; Ctrl-C stops it."""
    queries.check_known(house.paths, model)
    _ask(house, "load", model, timeout_s=None)
    return _say({"model": model, "state": "loaded"}, f"{model} is loaded.", as_json=as_json)


def unload(house: House, model: str, *, as_json: bool) -> int:
    """Out of the memory of the running Benchtop; nothing to do when none runs."""
    queries.check_known(house.paths, model)
    try:
        freed = int(_ask(house, "unload", model, timeout_s=None))
        words = f"{model} is unloaded; {size_words(freed)} came free." if freed else f"{model} was not loaded."
    except door.NobodyHomeError:
        freed, words = 0, f"{model} is not loaded: no Benchtop is running."
    return _say({"model": model, "state": "on disk", "freed_bytes": freed}, words, as_json=as_json)


def fit(house: House, model: str, context: int | None, *, as_json: bool) -> int:
    """0 when it fits, now or after others have gone; 1 when it does not. Counts what the running Benchtop holds."""
    queries.check_known(house.paths, model)
    try:
        answer = _ask(house, "fit", model, context=context)
    except door.NobodyHomeError:
        with house.open_bench(may_stand_beside=True, start=False) as bench:
            settings = bench.workbench.settings.get("memory")
        answer = asdict(queries.fit(house.paths, model, settings, context_tokens=context))
    if as_json:
        print_json(answer)
    else:
        stdout_console().print(f"{answer['words']} (context: {answer['context_tokens']:,} tokens)", markup=False)
    return DOES_NOT_FIT if answer["verdict"] == "never" else DONE


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
    """To the Trash, out of the memory of the running Benchtop first."""
    with contextlib.suppress(door.NobodyHomeError):
        if any(slot["id"] == model for slot in _ask(house, "ps").get("slots", ())):
            _ask(house, "unload", model, timeout_s=None)
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


def _ask(house: House, do: str, model: str = "", **more: Any) -> Any:
    """Through the door of the running Benchtop. Raises NobodyHomeError, NotAnsweringError, JobFailed."""
    try:
        return door.ask(house.paths, do, model, **more)
    except door.TurnedDownError as refused:
        raise JobFailed(refused.error) from None
    except KeyboardInterrupt:
        raise cancelled() from None


def _print_slots(slots: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("Model", "Engine", "Tier", "State", "Memory", "Context", "Goes in"):
        table.add_column(heading, no_wrap=True, justify="right" if heading in ("Memory", "Context") else "left")
    for slot in slots:
        state = "answering" if slot["leases"] else slot["state"]
        size = size_words(slot["bytes"])
        table.add_row(
            slot["id"], slot["engine"], slot["tier"], state, size, f"{slot['context_tokens']:,}", _goes_in(slot)
        )
    stdout_console().print(table)


def _goes_in(slot: dict[str, Any]) -> str:
    """When an idle model leaves by itself."""
    if slot["is_pinned"]:
        return "kept"
    if slot["idle_s"] is None:
        return ""
    if slot["idle_limit_s"] is None:
        return "never"
    left_s = max(0.0, slot["idle_limit_s"] - slot["idle_s"])
    return f"{left_s / 60:.0f} min" if left_s >= 60 else f"{left_s:.0f} s"


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
