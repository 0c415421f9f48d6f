"""search geo: words and filters in, series with their sizes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from desktop.cli.follow import run_job
from desktop.cli.output import DONE, ask, is_interactive, print_json, stdout_console

if TYPE_CHECKING:
    from desktop.cli.house import House

_CONSENT = (
    "Ask NCBI (GEO)? The words and filters of this search and this machine's address go there; no data does. Answers"
    " that came before are in the cache."
)


def search_geo(house: House, wish: dict[str, Any], *, is_agreed: bool, as_json: bool) -> int:
    """Search, with consent by --yes, by the settings, or by the answer to one question."""
    with house.open_bench(may_stand_beside=True) as bench:
        net = bench.workbench.settings.get("net")
        is_open = net.mode == "allow" or "ncbi" in net.allowed
        asks = net.mode == "ask" and not is_agreed and not is_open and not as_json and is_interactive()
        allow_net = ask(_CONSENT, default=True) if asks else is_agreed
        record = run_job(bench.workbench.runtime, "omics.search_geo", wish | {"allow_net": allow_net}, is_quiet=as_json)
    result = record.result or {}
    print_json(result) if as_json else _print_hits(result)
    return DONE


def _print_hits(result: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    out, hits = stdout_console(), result["hits"]
    first = result["start"] + 1
    shown = f"{first:,} to {result['start'] + len(hits):,} of {result['total']:,}" if hits else "None found"
    out.print(Text(f"{shown}.", style="bold"))
    for note in result["notes"]:
        out.print(Text(note, style="yellow"))
    table = Table(box=None, pad_edge=False)
    for heading in ("Accession", "Samples", "Released", "Organism", "Title"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "Samples" else "left")
    for hit in hits:
        size, organism = f"{hit['n_samples']:,}", Text(hit["organism"])
        table.add_row(hit["accession"], size, hit["published"], organism, Text(f"{hit['title']} ({hit['assay']})"))
    if hits:
        out.print(table)
