"""The heavy parts of a script's run, as functions for a child process: lay its inputs, make its folder whole.

A script that no template wrote may have left anything under any name: what it wrote is listed and hashed, never
believed. Nothing is run here.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

import desktop
from desktop.core.errors import AppError
from desktop.sandbox.previews import content_type
from desktop.studios.omics.errors import DamagedRunError, NotCountsError
from desktop.studios.omics.gene_sets import GENE_MAP, GENE_SETS
from desktop.studios.omics.results import load_json, load_results_table
from desktop.studios.omics.run_folder import RunFolder, file_hashes, write_json
from desktop.studios.omics.run_parts import RunFacts, write_inputs
from desktop.studios.omics.schema import Caution, Inspection, Plan, Summary
from desktop.studios.omics.script_inputs import (
    COUNTS,
    LENGTHS,
    SAMPLES,
    VALUES,
    load_samples,
    write_counts,
    write_samples,
)

OURS = ("analysis.py", "manifest.json", "plan.json", "report.html", "report.md", "run.log")
INPUTS = (COUNTS, VALUES, SAMPLES, LENGTHS, GENE_MAP, GENE_SETS)
TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
FIGURES = (".png", ".svg", ".jpg", ".jpeg", ".pdf")


@dataclass(frozen=True, slots=True)
class ScriptDone:
    """A script that ended well: its bytes, what it was for, what it printed; `alpha` decides what counts as changed."""

    script: bytes
    plan: Plan | None
    question: str
    log: str
    alpha: float


def write_script_inputs(inspection: Inspection, plan: Plan | None, folder: Path, own_sets: Path) -> list[Caution]:
    """Write the table and its samples into `folder`, as a template's script would find them; returns what was done.

    plan       when there is one, gene sets are laid beside them as for this plan
    own_sets   the folder of the person's gene sets
    raises     NotCountsError when the table holds no expression values
    """
    if plan is not None:
        return write_inputs(inspection, plan, folder, own_sets)[1]
    from desktop.studios.omics.sources.dataset import load_matrix

    matrix = load_matrix(inspection)
    values, done = matrix.values, list[Caution]()
    if matrix.value_type in ("not_expression", "unknown"):
        raise NotCountsError(
            "The table holds no values of expression.",
            hint="Give a table of genes by samples.",
            value_type=matrix.value_type,
        )
    if matrix.value_type in ("counts", "expected_counts"):
        if matrix.value_type == "expected_counts":
            text = "Expected counts are fractions of reads; they were rounded to whole reads."
            done.append(Caution(code="omics.rounded", text=text))
        values = np.rint(values).astype(np.int64)
    else:
        values = np.where(np.isfinite(values), values, np.nan)
    write_counts(folder, values, matrix.gene_ids, matrix.gene_symbols, matrix.samples)
    write_samples(folder, inspection.samples)
    return done


def inspect_inputs(run_dir: Path) -> Inspection:
    """A finished run's inputs, as far as who writes a script for them must know: samples and kind of values."""
    manifest = load_json(run_dir / "manifest.json")
    summary, is_counts = manifest.get("summary"), (run_dir / COUNTS).exists()
    try:
        samples = load_samples(run_dir / SAMPLES)
    except (OSError, ValueError, IndexError) as error:
        raise DamagedRunError("The samples of this run are missing or damaged.", hint="Run it again.") from error
    n_genes = summary.get("n_genes") if isinstance(summary, dict) else 0
    return Inspection(
        source=str(run_dir),
        value_type="counts" if is_counts else "log_intensity",
        n_genes=n_genes if isinstance(n_genes, int) else 0,
        samples=samples,
    )


def copy_inputs(run_dir: Path, folder: Path) -> Plan | None:
    """Put the inputs of a finished run into `folder`; returns its plan, if it had one."""
    found = [name for name in INPUTS if (run_dir / name).is_file()]
    if SAMPLES not in found or not {COUNTS, VALUES} & set(found):
        raise DamagedRunError(
            f"The run in {run_dir.name} has lost the data it ran on.", hint="Give the data themselves with --data."
        )
    for name in found:
        shutil.copyfile(run_dir / name, folder / name)
    try:
        return Plan.model_validate(load_json(run_dir / "plan.json"))
    except (DamagedRunError, ValidationError):
        return None


def finish_script(folder: RunFolder, done: ScriptDone, facts: RunFacts) -> dict[str, Any]:
    """From the sandbox's outputs to the finished folder, report and manifest included; returns the manifest.

    Outputs under names that are Benchtop's own or an input's are left out, and that is said.
    """
    from desktop.studios.omics.script_report import write_script_report

    for name in (*OURS, *INPUTS):
        if (taken := folder.outputs / name).exists():
            shutil.rmtree(taken) if taken.is_dir() else taken.unlink()
            facts.cautions.append(f"{name} of the script was left out: Benchtop writes a file of that name.")
    outputs = [
        {"name": path.relative_to(folder.outputs).as_posix(), "bytes": path.stat().st_size, "type": content_type(path)}
        for path in sorted(folder.outputs.rglob("*"))
        if path.is_file() and not path.is_symlink()
    ]
    folder.gather()
    out = folder.finished
    (out / "analysis.py").write_bytes(done.script)
    (out / "run.log").write_text(done.log, encoding="utf-8", errors="replace")
    if done.plan is not None:
        write_json(out / "plan.json", done.plan.model_dump(mode="json"))
    summary = _summary(out, done.alpha)
    manifest: dict[str, Any] = {
        "format": 1,
        "kind": "script",
        "run_id": facts.run_id,
        "app": {"name": "Benchtop", "version": desktop.__version__},
        "created": datetime.datetime.fromtimestamp(facts.created_s, datetime.UTC).isoformat(timespec="seconds"),
        "headline": _headline(outputs, summary, done.alpha),
        "question": done.question,
        "alpha": done.alpha,
        "data": facts.data,
        "isolation": facts.isolation.model_dump(),
        "policy": asdict(facts.verdict),
        "script": {"sha256": hashlib.sha256(done.script).hexdigest(), "origin": facts.origin},
        "packages": _versions(out),
        "timings_s": facts.timings,
        "warnings": facts.cautions,
        "summary": summary.model_dump() if summary else {},
        "outputs": outputs,
        "files": file_hashes(out),
    }
    write_script_report(out, manifest, done.log)
    manifest["files"] = file_hashes(out)
    write_json(out / "manifest.json", manifest)
    return manifest


def _summary(out: Path, alpha: float) -> Summary | None:
    """Counted in results.csv, when the script left one of the known columns."""
    if not (out / "results.csv").is_file():
        return None
    try:
        table = load_results_table(out)
    except AppError:
        return None
    called, change = table["padj"].to_numpy() < alpha, table["log2_fold_change"].to_numpy()
    return Summary(
        n_genes=len(table),
        n_significant=int(called.sum()),
        up=int((called & (change > 0)).sum()),
        down=int((called & (change < 0)).sum()),
    )


def _headline(outputs: list[dict[str, Any]], summary: Summary | None, alpha: float) -> str:
    if summary is not None:
        return (
            f"{summary.n_significant:,} of {summary.n_genes:,} genes change: {summary.up:,} up and "
            f"{summary.down:,} down (adjusted p < {alpha:g}), by a script of one's own."
        )
    names = [str(one["name"]).lower() for one in outputs]
    kinds = {
        "table": sum(name.endswith(TABLES) for name in names),
        "figure": sum(name.endswith(FIGURES) for name in names),
    }
    kinds["other file"] = len(names) - sum(kinds.values())
    parts = [f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in kinds.items() if count]
    if not parts:
        return "The script ended well and left no file; what it printed is in the log."
    return f"The script left {', '.join(parts[:-1])}{' and ' if len(parts) > 1 else ''}{parts[-1]}."


def _versions(out: Path) -> dict[str, str]:
    """The packages that a template's script notes in its summary.json; {} when there is none."""
    try:
        versions = json.loads((out / "summary.json").read_text(encoding="utf-8")).get("versions")
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}
    return {str(name): str(text) for name, text in versions.items()} if isinstance(versions, dict) else {}
