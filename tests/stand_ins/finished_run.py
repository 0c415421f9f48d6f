"""A finished run's folder without runtime or sandbox: the real script in a plain process, then the real finish."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from desktop.core.ports import Verdict
from desktop.studios.omics.gene_sets import SetsWritten, write_gene_sets
from desktop.studios.omics.run_folder import open_run_folder
from desktop.studios.omics.run_parts import RunFacts, finish
from desktop.studios.omics.schema import Contrast, Plan, RunIsolation, SampleTable
from desktop.studios.omics.script_inputs import write_counts, write_samples
from desktop.studios.omics.steps.script import to_script


def two_groups(levels: tuple[str, str] = ("ctrl", "drug"), names: list[str] | None = None) -> SampleTable:
    """Three samples of each of two levels of `arm`."""
    names = names or [f"s{k}" for k in range(6)]
    return SampleTable(samples=names, factors={"arm": [levels[0]] * 3 + [levels[1]] * 3})


def some_counts(n_genes: int = 400, seed: int = 1, n_changed: int = 60) -> np.ndarray:
    """(6, n_genes) reads; the first `n_changed` genes are 6-fold higher in the last three samples."""
    rng = np.random.default_rng(seed)
    base = rng.lognormal(4.5, 1.2, n_genes)
    fold = np.ones((6, n_genes))
    fold[3:, :n_changed] = 6.0
    depth = np.array([1.0, 1.3, 0.8, 1.1, 0.9, 1.2])[:, None]
    mean = base * fold * depth
    return rng.negative_binomial(8, 8 / (8 + mean))


def drug_plan(**changes: object) -> Plan:
    plan = Plan(
        question="Does the drug matter?",
        design="~ arm",
        contrast=Contrast(factor="arm", treated="drug", control="ctrl"),
    )
    return plan.model_copy(update=changes)


def finished_run(
    where: Path,
    values: np.ndarray,
    samples: SampleTable,
    plan: Plan,
    *,
    gene_ids: list[str] | None = None,
    gene_symbols: list[str] | None = None,
    cautions: list[str] | None = None,
    organism: str | None = None,
) -> Path:
    """Make and publish a run at `where`; returns it. With an organism, gene sets are looked for by symbol."""
    folder = open_run_folder(where, "0123456789ab", where.parent / "scratch")
    n_genes = values.shape[1]
    ids, names = gene_ids or [f"gene{k:04d}" for k in range(n_genes)], gene_symbols or [""] * n_genes
    write_counts(folder.inputs, values, ids, names, samples.samples)
    write_samples(folder.inputs, samples)
    sets = SetsWritten()
    if organism is not None:
        has_reads = np.asarray(values.any(axis=0))
        sets = write_gene_sets(folder.inputs, ids, names, has_reads, id_type="symbol", organism=organism)
    script = to_script(plan, samples, gene_sets=sets.title, no_gene_sets=sets.skipped).encode()
    (folder.inputs / "analysis.py").write_bytes(script)
    folder.outputs.mkdir()
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", str(folder.inputs / "analysis.py")],
        cwd=folder.outputs,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    facts = RunFacts(
        run_id="0123456789ab",
        data={"source": "counts.csv", "accession": "", "title": "", "organism": "", "files": []},
        isolation=RunIsolation(kind="process", is_reduced=True, detail="child process"),
        verdict=Verdict(True),
        origin="template",
        cautions=cautions or [],
    )
    finish(folder, script, plan, facts)
    folder.publish()
    folder.remove()
    return where
