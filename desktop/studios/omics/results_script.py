"""The folder of a script's run read back: as much of a result as the script left, everything else empty.

A results.csv of the known columns is a result of differential expression; the other tables of a template's run count
when all of them are there. Nothing a script left can make the folder unreadable.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from desktop.studios.omics.errors import DamagedRunError
from desktop.studios.omics.results import RESULT_COLUMNS, RunView, load_json, load_results_table, load_run
from desktop.studios.omics.schema import Plan, SampleTable
from desktop.studios.omics.script_inputs import SAMPLES, load_samples


def load_view(out_dir: Path, number: int = 0) -> RunView:
    """Any finished run, with the results of the contrast of that number. Raises DamagedRunError."""
    if not out_dir.is_dir() or not is_script_run(load_json(out_dir / "manifest.json")):
        return load_run(out_dir, number)
    try:
        view = load_run(out_dir, number)  # an edited script of ours leaves all that ours leave
        return replace(view, summary=_mapping(view.manifest.get("summary")))  # counted by Benchtop, not by the script
    except (DamagedRunError, ValueError, KeyError, IndexError):
        return _load_script_run(out_dir)


def is_script_run(manifest: dict[str, Any]) -> bool:
    """Whether the run's script was one that no template wrote."""
    return manifest.get("kind") == "script"


def _load_script_run(out_dir: Path) -> RunView:
    manifest = load_json(out_dir / "manifest.json")
    try:
        samples = load_samples(out_dir / SAMPLES)
    except (OSError, ValueError, IndexError):
        samples = SampleTable(samples=[])
    try:
        table = load_results_table(out_dir)
    except DamagedRunError:
        import pandas as pd

        table = pd.DataFrame({name: [] for name in RESULT_COLUMNS}, dtype=float)
    gene_ids = list(table["gene_id"])
    return RunView(
        out_dir=out_dir,
        plan=_plan(out_dir, manifest),
        manifest=manifest,
        summary=_mapping(manifest.get("summary")),
        samples=samples,
        gene_ids=gene_ids,
        gene_symbols=list(table["gene_symbol"]),
        base_mean=table["base_mean"].to_numpy(),
        log2_fold_change=table["log2_fold_change"].to_numpy(),
        lfc_se=table["lfc_se"].to_numpy(),
        stat=table["stat"].to_numpy(),
        pvalue=table["pvalue"].to_numpy(),
        padj=table["padj"].to_numpy(),
        padj_reason=[""] * len(gene_ids),
        sample_names=[],
        pca_scores=np.empty((0, 0)),
        pca_percent=np.empty(0),
        heatmap_genes=[],
        heatmap_symbols=[],
        heatmap_samples=[],
        heatmap=np.empty((0, 0)),
        distances=np.empty((0, 0)),
        quality=[],
    )


def _plan(out_dir: Path, manifest: dict[str, Any]) -> Plan:
    """The plan the script came of; else one that says no more than what was asked and from where genes count."""
    try:
        return Plan.model_validate(load_json(out_dir / "plan.json"))
    except (DamagedRunError, ValidationError):
        pass
    alpha = manifest.get("alpha")
    given = {"alpha": alpha} if isinstance(alpha, float) and 0 < alpha < 1 else {}
    return Plan.model_validate({"question": str(manifest.get("question", ""))} | given)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
