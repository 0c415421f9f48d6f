"""A batch on disk: what is asked (a YAML or CSV file), the folder it fills, and the table of outcomes in it.

The table is written anew whenever a row changes, whole or not at all, so that a batch that was cut off is gone on with
from its own folder, whichever program looks at it next.
"""

from __future__ import annotations

import csv
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from desktop.core.errors import InputError
from desktop.core.files import write_atomic
from desktop.studios.omics.batch_schema import (
    BATCH_FILE,
    MAX_ITEMS,
    OUTCOMES_FILE,
    BatchOutcome,
    BatchParams,
    BatchResult,
)
from desktop.studios.omics.errors import DamagedRunError, OutputFolderError
from desktop.studios.omics.run_folder import slug
from desktop.studios.omics.schema import AnalysisParams, Contrast

_MAX_BYTES = 8 * 1024 * 1024
_LOCK = ".batch.lock"
_COLUMNS = ("data", "samples", "question", "design", "contrast", "alpha", "lfc")
_TABLE = (
    "number", "dataset", "data", "question", "contrast", "status", "n_significant", "up", "down", "folder", "seconds",
)  # fmt: skip


class BatchFileError(InputError):
    """A file of batch items that cannot be understood."""

    code = "omics.batch_file"


# ---- what is asked --------------------------------------------------------------------------------------------------


def read_batch_file(path: Path) -> list[AnalysisParams]:
    """The items of a YAML or CSV file; paths in it are relative to it.

    YAML    a list of items, or `datasets:` and `questions:`, of which every pair is an item; `contrast` may be a list
    CSV     a heading with `data` and any of samples, question, design, contrast (FACTOR,TREATED,CONTROL), alpha, lfc
    raises  BatchFileError, naming the row
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise BatchFileError(f"{path.name} is too large for a list of analyses.", hint="Give a list of items.")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BatchFileError(f"{path.name} cannot be read: {error}.", hint="Give a YAML or CSV file.") from error
    rows = _csv_rows(text) if path.suffix.lower() == ".csv" else _yaml_rows(text, path.name)
    if not rows:
        raise BatchFileError(f"{path.name} lists no analysis.", hint="Give at least one row with data and question.")
    if len(rows) > MAX_ITEMS:
        raise BatchFileError(f"{path.name} lists {len(rows):,} analyses.", hint=f"Give at most {MAX_ITEMS:,} at once.")
    return [_item(row, number, path) for number, row in enumerate(rows, 1)]


def is_batch_file(path: Path) -> bool:
    """Whether a file lists analyses, rather than being data itself: YAML, or a CSV with a column `data`."""
    if path.suffix.lower() in (".yaml", ".yml"):
        return path.is_file()
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        heading = next(csv.reader([file.readline(10_000)]), [])
    names = {name.strip().lower() for name in heading}
    return "data" in names and names <= set(_COLUMNS) and bool(names & {"question", "contrast", "design"})


def _csv_rows(text: str) -> list[dict[str, Any]]:
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    rows = [{(k or "").strip().lower(): (v or "") for k, v in row.items() if isinstance(v, str)} for row in reader]
    return [row for row in rows if any(value.strip() for value in row.values())]


def _yaml_rows(text: str, name: str) -> list[dict[str, Any]]:
    try:
        read = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        where = getattr(error, "problem_mark", None)
        at = f" at line {where.line + 1}" if where else ""
        raise BatchFileError(f"{name} is not YAML{at}.", hint="See the guide's page on batches.") from error
    if isinstance(read, dict) and {"datasets", "questions"} <= read.keys():
        asked = [q if isinstance(q, dict) else {"question": q} for q in _list(read["questions"])]
        given = [d if isinstance(d, dict) else {"data": d} for d in _list(read["datasets"])]
        common = {key: value for key, value in read.items() if key not in ("datasets", "questions")}
        return [{**common, **data, **question} for data in given for question in asked]
    rows = read.get("items") if isinstance(read, dict) else read
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BatchFileError(
            f"{name} is not a list of analyses.", hint="Write a list of items with data and question, see the guide."
        )
    return rows


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _item(row: dict[str, Any], number: int, path: Path) -> AnalysisParams:
    unknown = sorted(set(map(str, row)) - set(_COLUMNS))
    if unknown:
        raise BatchFileError(
            f"{path.name}, item {number}: there is no setting {unknown[0]!r}.", hint=f"Use {', '.join(_COLUMNS)}."
        )
    given = {key: value for key, value in row.items() if value not in ("", None)}
    if not str(given.get("data", "")).strip():
        raise BatchFileError(f"{path.name}, item {number} names no data.", hint="Give a path or an accession.")
    if not given.keys() & {"question", "contrast", "design"}:
        raise BatchFileError(f"{path.name}, item {number} asks nothing.", hint="Add a question, or a contrast.")
    try:
        contrasts = _contrasts(given["contrast"], number, path) if "contrast" in given else []
        return AnalysisParams(
            data=_place(str(given["data"]), path.parent),
            samples=Path(_place(str(given["samples"]), path.parent)) if "samples" in given else None,
            question=str(given.get("question", "")),
            design=given.get("design"),
            contrast=contrasts[0] if contrasts else None,
            other_contrasts=contrasts[1:] or None,
            alpha=given.get("alpha"),
            lfc_threshold=given.get("lfc"),
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BatchFileError(f"{path.name}, item {number}: {where}: {first['msg']}.", hint="Correct it.") from error


def _place(text: str, folder: Path) -> str:
    """A path beside the file, when there is one, else the text as it is: an accession, or a path to complain of."""
    beside = folder / Path(text.strip()).expanduser()
    return str(beside.absolute()) if beside.exists() or "/" in text else text.strip()


def _contrasts(value: object, number: int, path: Path) -> list[Contrast]:
    """A contrast as it is typed, as a mapping, or as a list of factor, treated, control; or a list of such."""
    if isinstance(value, dict):
        return [Contrast.model_validate(value)]
    if isinstance(value, list):
        texts = [str(part) for part in value if isinstance(part, str | int | float)]
        if len(texts) == len(value) == 3 and not any("," in part for part in texts):
            return [Contrast(factor=texts[0], treated=texts[1], control=texts[2])]
        return [contrast for one in value for contrast in _contrasts(one, number, path)]
    try:
        return [Contrast.of_text(str(value))]
    except ValueError as error:
        raise BatchFileError(f"{path.name}, item {number}: {error}.", hint="Write dex,trt,untrt.") from error


# ---- the folder -----------------------------------------------------------------------------------------------------


def fingerprint(items: Sequence[AnalysisParams]) -> str:
    """A hash of everything that is asked, and of size and date of the files it is asked about."""
    asked = [item.model_dump(mode="json", exclude={"allow_net"}) for item in items]
    stamps = [_stamp(Path(item.data).expanduser()) for item in items]
    return hashlib.sha256(json.dumps([asked, stamps], sort_keys=True).encode()).hexdigest()


def _stamp(path: Path) -> list[Any]:
    files = sorted(p for p in path.rglob("*") if p.is_file())[:10_000] if path.is_dir() else [path]
    return [[p.name, p.stat().st_size, p.stat().st_mtime_ns] for p in files if p.is_file()]


@contextmanager
def claimed_folder(params: BatchParams, runs: Path) -> Iterator[BatchResult]:
    """The folder of a batch, for this program alone until left: a new one, or that of the same batch cut off earlier.

    raises   OutputFolderError when the folder holds anything else, or another program works in it
    """
    key = fingerprint(params.items)
    with _locked(*_choose(params, runs, key)) as (folder, earlier):
        if earlier is None:
            earlier = BatchResult(status="running", out_dir=folder, fingerprint=key)
            write_table(earlier)
        try:
            yield earlier
        finally:
            _forget_empty(folder, key)


def _choose(params: BatchParams, runs: Path, key: str) -> tuple[Path, BatchResult | None]:
    if params.out_dir is not None:
        folder = params.out_dir.expanduser().absolute()
        earlier = _unfinished(folder, key)
        if folder.exists() and not folder.is_dir():
            raise OutputFolderError(f"{folder} is a file", hint="Choose a folder that does not exist yet.")
        if earlier is None and folder.is_dir() and any(folder.iterdir()):
            raise OutputFolderError(
                f"{folder} is not empty", hint="Choose a new folder; earlier results are never overwritten."
            )
        return folder, earlier
    names = (f"batch-{key[:12]}" + (f"-{number}" if number > 1 else "") for number in count(1))
    folder = next(folder for name in names if not (folder := runs / name).exists() or _unfinished(folder, key))
    return folder, _unfinished(folder, key)


def unfinished_batch(params: BatchParams, runs: Path) -> BatchResult | None:
    """The table of this batch as far as it is, while it is under way or was cut off; None when there is none."""
    key = fingerprint(params.items)
    if params.out_dir is not None:
        return _unfinished(params.out_dir.expanduser().absolute(), key)
    return next(filter(None, (_unfinished(folder, key) for folder in sorted(runs.glob(f"batch-{key[:12]}*")))), None)


def _unfinished(folder: Path, key: str) -> BatchResult | None:
    try:
        found = load_batch(folder)
    except DamagedRunError:
        return None
    return found if found.status == "running" and found.fingerprint == key else None


@contextmanager
def _locked(folder: Path, earlier: BatchResult | None) -> Iterator[tuple[Path, BatchResult | None]]:
    """The operating system frees the lock when the program ends, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / _LOCK
    with lock.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputFolderError(
                f"this batch is running already, in {folder}", hint="Wait for it, or stop it first."
            ) from None
        try:
            yield folder, earlier
        finally:
            lock.unlink(missing_ok=True)
            if not any(folder.iterdir()):
                folder.rmdir()


def _forget_empty(folder: Path, key: str) -> None:
    """A batch that was stopped before anything of it was done leaves nothing to go on with."""
    found = _unfinished(folder, key)
    if found is not None and not any(item.status in ("done", "failed") for item in found.items):
        (folder / BATCH_FILE).unlink(missing_ok=True)


def folder_name(number: int, n_items: int, dataset: str) -> str:
    """The name of an item's results folder: "03-airway"."""
    return "-".join(filter(None, (f"{number:0{len(str(n_items))}d}", slug(dataset, 40))))


# ---- the table of outcomes ------------------------------------------------------------------------------------------


def load_batch(folder: Path) -> BatchResult:
    """The outcomes in a batch's folder; DamagedRunError when there are none, or they cannot be read."""
    try:
        text = (folder / BATCH_FILE).read_text(encoding="utf-8")
        return BatchResult.model_validate(json.loads(text) | {"out_dir": str(folder)})
    except (OSError, ValueError, TypeError, ValidationError) as error:
        raise DamagedRunError(
            f"{folder.name} holds no table of a batch that can be read.", hint="Start the batch again."
        ) from error


def write_table(result: BatchResult) -> None:
    """batch.json and, for a spreadsheet, outcomes.csv; each whole or not at all."""
    kept = result.model_dump(mode="json", exclude={"out_dir"})
    write_atomic(result.out_dir / BATCH_FILE, (json.dumps(kept, indent=2, ensure_ascii=False) + "\n").encode())
    if result.status == "done":
        write_atomic(result.out_dir / OUTCOMES_FILE, outcomes_csv(result.items).encode())
        os.utime(result.out_dir)


def outcomes_csv(items: Sequence[BatchOutcome]) -> str:
    """The table as CSV, one row an item, with the error and its hint where there is one."""
    lines: list[list[str]] = [[*_TABLE, "headline", "error", "hint"]]
    for item in items:
        row = item.model_dump(mode="json")
        told = [item.headline, item.error.message if item.error else "", item.error.hint if item.error else ""]
        lines.append([_cell("" if row[name] is None else str(row[name])) for name in _TABLE] + list(map(_cell, told)))
    return "".join(",".join(line) + "\n" for line in lines)


def _cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    safe = "'" + text if text[:1] in ("=", "+", "-", "@", "\t") else text
    return '"' + safe.replace('"', '""') + '"' if re.search(r'[",\n\r]', safe) else safe
