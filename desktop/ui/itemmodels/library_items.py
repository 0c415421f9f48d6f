"""What the Library lists: finished runs, and the datasets that were looked at; and what is known of one of them.

Reads only, for threads: nothing here touches Qt. Stars, notes and removed datasets are the person's own marks and live
in a small file beside the store.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from desktop.core.files import write_atomic
from desktop.core.jobs import JobRecord, JobState
from desktop.studios.omics.schema import Contrast
from desktop.ui.itemmodels.names import data_title, home_words

Kind = Literal["Dataset", "Run"]
PREVIEW_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class LibraryItem:
    """One row. `key` is "run:<id>" or "data:<place>"; `place` is a path or an accession; `when_s` UTC epoch seconds."""

    key: str
    kind: Kind
    title: str
    source: str
    when_s: float
    state: str
    place: str
    is_starred: bool = False
    is_trashed: bool = False
    facts: tuple[tuple[str, str], ...] = ()
    words: str = ""  # more to search in
    about: str = ""  # of a run: what was compared

    @property
    def run_id(self) -> str:
        """The run's id, "" for a dataset."""
        return self.key.removeprefix("run:") if self.kind == "Run" else ""


@dataclass(slots=True)
class Marks:
    """Stars, notes and datasets in the Trash, by item key. Every change is on disk when the call returns."""

    path: Path
    stars: set[str] = field(default_factory=set)
    notes: dict[str, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)

    @classmethod
    def load(cls, path: Path) -> Marks:
        """Read them; a broken file is kept aside and counts as empty."""
        marks = cls(path)
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
            marks.stars, marks.removed = {*map(str, read["stars"])}, {*map(str, read["removed"])}
            marks.notes = {str(key): str(text) for key, text in read["notes"].items()}
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            with contextlib.suppress(OSError):
                path.replace(path.with_suffix(".broken.json"))
        return marks

    def save(self) -> None:
        """Write them in one step."""
        kept = {"stars": sorted(self.stars), "notes": self.notes, "removed": sorted(self.removed)}
        write_atomic(self.path, json.dumps(kept, indent=1, ensure_ascii=False).encode())


def dataset_items(jobs: Sequence[JobRecord], marks: Marks) -> list[LibraryItem]:
    """One item for each dataset that was looked at or analysed: from the newest look, else from the newest job."""
    items: dict[str, LibraryItem] = {}
    done = [job for job in jobs if job.state is JobState.DONE and job.params.get("data")]
    for job in sorted(done, key=lambda one: ("files" in (one.result or {}), one.created_s), reverse=True):
        place = str(job.params["data"])
        items.setdefault(f"data:{place}", _dataset(job, place, f"data:{place}", marks))
    return list(items.values())


def _dataset(job: JobRecord, place: str, key: str, marks: Marks) -> LibraryItem:
    found = job.result or {}
    is_inspection = "files" in found
    accession = str(found.get("accession") or "")
    samples = (found.get("samples") or {}).get("samples") or []
    facts: list[tuple[str, str]] = []
    if is_inspection:
        facts = [
            ("Accession", accession),
            ("Organism", str(found.get("organism") or "")),
            ("Size", f"{found.get('n_genes', 0):,} genes × {len(samples)} samples" if samples else ""),
            ("Values", str(found.get("value_type") or "").replace("_", " ")),
            ("Table used", "" if found.get("chosen") == place else home_words(str(found.get("chosen") or ""))),
            ("Why", str(found.get("why") or "")),
            ("Files found", str(len(found.get("files") or []))),
        ]
    is_local = "/" in place
    is_gone = is_local and not Path(place).exists()
    return LibraryItem(
        key,
        "Dataset",
        data_title(place, accession, str(found.get("title") or "")),
        accession or ("Folder" if is_local and Path(place).is_dir() else "File" if is_local else "GEO"),
        job.created_s,
        "Missing" if is_gone else "Ready",
        place,
        key in marks.stars,
        key in marks.removed,
        (*((label, value) for label, value in facts if value), ("Place", home_words(place))),
        f"{place} {accession} {found.get('organism', '')}",
    )


def run_item(run: Any, marks: Marks, data: str = "") -> LibraryItem:
    """A finished run (a row of the studio's own query) as an item; `data` is where its data were taken from."""
    key = f"run:{run.id}"
    named = data_title(data or run.source, run.accession, run.source)
    about = run.title.removeprefix(f"{run.source}: ") if run.source else run.title
    summary: dict[str, Any] = dict(run.summary)
    facts = [("Compared", about), ("Answer", run.headline), ("Data", home_words(data or run.source))]
    numbers = {"n_genes": "Genes", "n_tested": "Tested", "n_significant": "Significant", "up": "Up", "down": "Down"}
    facts += [(words, f"{summary[name]:,}") for name, words in numbers.items() if isinstance(summary.get(name), int)]
    facts.append(("Folder", home_words(run.out_dir)))
    return LibraryItem(
        key,
        "Run",
        run.question or about or run.kind,
        run.accession or named,
        run.created_s,
        "Done" if Path(run.out_dir).is_dir() else "Missing",
        run.out_dir,
        key in marks.stars,
        run.trashed_s is not None,
        tuple((label, value) for label, value in facts if value),
        f"{run.question} {run.headline} {run.accession} {run.source} {run.id} {named} {run.title}",
        about if run.question else "",
    )


@dataclass(frozen=True, slots=True)
class Details:
    """What the preview and the inspector show of a run beyond its row. Empty where a file is missing or damaged."""

    report: str = ""  # Markdown, shortened
    parameters: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    inputs: tuple[tuple[str, str], ...] = ()


def read_details(folder: Path) -> Details:
    """Report, parameters, versions and inputs of a run's folder."""
    report = ""
    with contextlib.suppress(OSError), (folder / "report.md").open(encoding="utf-8", errors="replace") as file:
        report = file.read(PREVIEW_CHARS)
    plan, manifest = _load(folder / "plan.json"), _load(folder / "manifest.json")
    contrasts = [plan.get("contrast"), *_list(plan.get("other_contrasts"))]
    parameters = {
        "Question": plan.get("question"),
        "Analysis": str(plan.get("kind") or "").replace("_", " "),
        "Design": plan.get("design"),
        "Contrast": "; ".join(filter(None, map(_contrast, contrasts))),
        "Significance": plan.get("alpha"),
        "Minimum change": plan.get("lfc_threshold"),
    }
    versions = manifest.get("versions")
    isolation = manifest.get("isolation")
    shown = {str(name): str(value) for name, value in versions.items()} if isinstance(versions, dict) else {}
    if isinstance(isolation, dict) and isolation.get("detail"):
        shown["Isolation"] = str(isolation["detail"])
    source = manifest.get("source") or manifest.get("data")
    return Details(
        report,
        {name: str(value) for name, value in parameters.items() if value not in (None, "")},
        shown,
        ((str(source), str(source)),) if isinstance(source, str) else (),
    )


def _contrast(value: object) -> str:
    """A contrast in words; "" for what is none."""
    try:
        return str(Contrast.model_validate(value))
    except ValidationError:
        return ""


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _load(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}
