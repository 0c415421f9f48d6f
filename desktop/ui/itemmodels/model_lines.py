"""One model as the Models panel shows it: catalogue and disk joined with memory, servers, downloads and figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal, Protocol

from desktop.core.jobs import JobRecord, JobState
from desktop.studios.machine.queries import ModelRow

Place = Literal["on its way", "available", "on disk", "linked", "in Trash", "on a server", "not allowed", "not set up"]
DOWNLOAD = "machine.download_model"
_MAKES = {"machine.import_model": "importing", "machine.quantise_model": "quantising"}
_ORDER = {
    "on its way": 0,
    "on disk": 0,
    "linked": 0,
    "on a server": 1,
    "not allowed": 1,
    "available": 2,
    "not set up": 3,
    "in Trash": 4,
}


class Server(Protocol):
    """What is shown of a model server of the settings."""

    id: str
    url: str
    kind: str
    model: str
    context_tokens: int

    @property
    def tier(self) -> str: ...

    @property
    def embeds(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Fetch:
    """How a model comes here: under way, or a download that did not come to its end.

    verb    what is done · title  of a model that has no other row yet
    """

    job: str
    state: JobState
    done_frac: float
    note: str = ""
    verb: str = "downloading"
    title: str = ""

    @property
    def is_running(self) -> bool:
        return not self.state.is_final


@dataclass(frozen=True, slots=True)
class ModelLine:
    """One model as the panel shows it.

    place     where its files are, or how far a server is set up
    live      its place in memory (`state`, `bytes`, `idle_s`, `leases`, `is_pinned`); {} when it is in none
    figures   what was measured since the start; {} when it was never asked
    rests_s   how long it is left alone after failures
    """

    id: str
    title: str
    engine: str
    tier: str
    place: Place
    bytes: int = 0
    facts: Mapping[str, str] = field(default_factory=dict)
    live: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    breaker: str = "closed"
    rests_s: float = 0.0
    fetch: Fetch | None = None

    @property
    def is_here(self) -> bool:
        """Whether its files are on this machine."""
        return self.place in ("on disk", "linked")

    @property
    def is_server(self) -> bool:
        return self.place in ("on a server", "not allowed")

    @property
    def is_loaded(self) -> bool:
        return self.live.get("state") == "loaded"

    @property
    def state(self) -> str:
        """In words."""
        if self.breaker == "open":
            return f"resting after failures, {self.rests_s:.0f} s"
        if self.breaker != "closed":
            return "failed, tried again next"
        if self.fetch is not None and not self.is_here:
            return _fetch_words(self.fetch)
        state = self.live.get("state")
        if state == "loaded":
            if self.live.get("leases"):
                return "answering"
            idle_s = self.live.get("idle_s")
            pinned = ", kept" if self.live.get("is_pinned") else ""
            return f"loaded, idle {_minutes(idle_s)}{pinned}" if idle_s else f"loaded{pinned}"
        if state:
            return f"{state}…" if str(state).endswith("ing") else str(state)
        return self.place

    @property
    def measured(self) -> str:
        """Its figures since the start as a sentence; "" when it was never asked."""
        figures = self.figures
        if not figures.get("requests"):
            return ""
        failed = sum(figures["failures"].values())
        count = figures["requests"]
        said = [f"{count:,} request{'s' * (count != 1)}{f', {failed:,} failed or stopped' if failed else ''}"]
        if figures["total_s"]["p50"]:
            first, total = figures["first_token_s"], figures["total_s"]
            said.append(f"first word in {_seconds(first['p50'])} (95 % within {_seconds(first['p95'])})")
            said.append(f"whole answer in {_seconds(total['p50'])} (95 % within {_seconds(total['p95'])})")
        fault = figures.get("last_fault")
        return "; ".join(said) + "." + (f" Last failure: {fault}" if fault else "")


def to_lines(
    rows: Sequence[ModelRow],
    status: Mapping[str, Any],
    servers: Sequence[Server] = (),
    fetches: Mapping[str, Fetch] | None = None,
) -> list[ModelLine]:
    """Here first, then servers, then what is to be had. `status` as `ModelRoom.status` gives it."""
    live = {str(slot["id"]): slot for slot in (status.get("memory") or {}).get("slots", ())}
    known = {str(one["id"]): one for one in status.get("models", ())}
    lines = [_local(row, live.get(row.id, {}), known.get(row.id, {}), (fetches or {}).get(row.id)) for row in rows]
    listed = {line.id for line in lines}
    lines += [_server(one, known.get(one.id)) for one in servers if one.id not in listed]
    lines += [
        ModelLine(name, fetch.title, "", "", "on its way", fetch=fetch)
        for name, fetch in (fetches or {}).items()
        if fetch.title
    ]
    return sorted(lines, key=lambda line: _ORDER[line.place])


def fetches_of(jobs: Iterable[JobRecord]) -> dict[str, Fetch]:
    """Models on their way by id, and the last download of each that did not come to its end; imports by job."""
    last: dict[str, JobRecord] = {}
    found: dict[str, Fetch] = {}
    for job in jobs:
        model = str(job.params.get("model", ""))
        if job.kind == DOWNLOAD and (model not in last or last[model].created_s <= job.created_s):
            last[model] = job
        elif job.kind in _MAKES and not job.state.is_final:
            title = str(job.params.get("name") or PurePath(str(job.params.get("source", ""))).name)
            found[f"job:{job.id}"] = Fetch(job.id, job.state, job.done_frac, job.note, _MAKES[job.kind], title)
    return found | {
        model: Fetch(job.id, job.state, job.done_frac, job.note)
        for model, job in last.items()
        if job.state is not JobState.DONE and (job.done_frac > 0 or not job.state.is_final)
    }


def _local(row: ModelRow, live: Mapping[str, Any], known: Mapping[str, Any], fetch: Fetch | None) -> ModelLine:
    return ModelLine(
        row.id,
        row.title,
        row.engine,
        "embedding" if "embed" in row.capabilities else row.tier,
        "not set up" if row.state == "on a server" else row.state,
        row.bytes,
        facts={
            "Context": f"{row.context_tokens:,} tokens",
            "Precision": f"{row.bits} bit",
            "Can": ", ".join(row.capabilities),
            "Licence": row.licence,
            "From": row.source or row.repository,
        },
        live=live,
        figures=known.get("figures") or {},
        breaker=str(known.get("breaker", "closed")),
        rests_s=float(known.get("rests_s", 0.0)),
        fetch=fetch if row.repository else None,
    )


def _server(server: Server, known: Mapping[str, Any] | None) -> ModelLine:
    """`known` is None while the person has not allowed it."""
    facts = {"Model": server.model, "Address": server.url, "Context": f"{server.context_tokens:,} tokens"}
    return ModelLine(
        server.id,
        server.id,
        server.kind,
        "embedding" if server.embeds else server.tier,
        "not allowed" if known is None else "on a server",
        facts=facts,
        figures=(known or {}).get("figures") or {},
        breaker=str((known or {}).get("breaker", "closed")),
        rests_s=float((known or {}).get("rests_s", 0.0)),
    )


def _fetch_words(fetch: Fetch) -> str:
    if fetch.state is JobState.WAITING:
        return f"waiting ({fetch.verb})"
    return f"{fetch.verb if fetch.is_running else 'stopped at'} {fetch.done_frac:.0%}".replace("%", " %")


def _minutes(seconds: Any) -> str:
    minutes = float(seconds) / 60
    return f"{minutes:.0f} min" if minutes >= 1 else f"{float(seconds):.0f} s"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
