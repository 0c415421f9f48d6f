"""Gene sets that two runs share: those significant in both, of the sets that both tested. Writes gene_sets.csv."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from desktop.studios.omics.results import RunView
from desktop.studios.omics.results_enrichment import load_enrichment
from desktop.studios.omics.steps.compare import Overlap, overlap

N_SHOWN = 25
MIN_SETS = 10  # tested by both, below which a correlation says nothing


@dataclass(frozen=True, slots=True)
class SharedSets:
    """What the two runs' gene sets have in common; `skipped` says why nothing was compared.

    by_direction   "up", "down" → how many sets are significant on each side and both
    nes_spearman   of the ranked test's scores over all sets that both tested, NaN below ten
    top            rows for the report: sets significant in both, the surest first
    """

    skipped: str = ""
    by_direction: dict[str, Overlap] = field(default_factory=dict)
    n_ranked: int = 0
    nes_spearman: float = float("nan")
    top: list[dict[str, Any]] = field(default_factory=list)


def shared_sets(left: RunView, right: RunView, folder: Path) -> SharedSets:
    """Compare over-representation by direction and the ranked scores; DamagedRunError for tables that are not whole."""
    for view in (left, right):
        told = view.summary.get("enrichment")
        if not isinstance(told, dict) or "gene_sets" not in told:
            why = str(told.get("skipped", "")) if isinstance(told, dict) else ""
            name = view.manifest.get("run_id", view.out_dir.name)
            return SharedSets(skipped=f"The run {name} tested no gene sets. {why}".strip())
    one, two = (load_enrichment(view.out_dir / view.folder) for view in (left, right))
    kept = ["key", "set_id", "direction", "name", "collection", "fold_enrichment", "padj", "genes"]
    both = one.overlap[kept].merge(two.overlap[["key", "fold_enrichment", "padj", "genes"]], on="key", suffixes=_SIDES)
    for side, view in zip(_SIDES, (left, right), strict=True):
        both[f"called{side}"] = both[f"padj{side}"] < view.plan.alpha
    sides = {name: both[both["direction"] == name] for name in ("up", "down")}
    ranked = one.ranked[["set_id", "nes"]].merge(two.ranked[["set_id", "nes"]], on="set_id", suffixes=_SIDES)
    scores = ranked[np.isfinite(ranked["nes_left"]) & np.isfinite(ranked["nes_right"])]
    called = both[both["called_left"] & both["called_right"] & both["direction"].isin(list(sides))]
    called = called.assign(worse=called[["padj_left", "padj_right"]].max(axis=1)).sort_values(["worse", "key"])
    both.drop(columns=["set_id"]).to_csv(
        folder / "gene_sets.csv", index=False, float_format="%.10g", lineterminator="\n"
    )
    return SharedSets(
        by_direction={
            name: overlap(side["called_left"].to_numpy(dtype=bool), side["called_right"].to_numpy(dtype=bool))
            for name, side in sides.items()
        },
        n_ranked=len(scores),
        nes_spearman=_spearman(scores),
        top=[
            {**row, "shared_genes": _shared_genes(row)}
            for row in ({str(k): v for k, v in found.items()} for found in called.head(N_SHOWN).to_dict("records"))
        ],
    )


_SIDES = ("_left", "_right")


def _spearman(scores: pd.DataFrame) -> float:
    if len(scores) < MIN_SETS or scores["nes_left"].nunique() < 2 or scores["nes_right"].nunique() < 2:
        return float("nan")
    return float(stats.spearmanr(scores["nes_left"], scores["nes_right"]).statistic)


def _shared_genes(row: dict[str, Any]) -> str:
    """Symbols of the set's changed genes that both runs have, at most eight."""
    theirs = set(str(row["genes_right"]).split(";"))
    shared = [gene for gene in str(row["genes_left"]).split(";") if gene in theirs]
    return ", ".join(shared[:8]) + (f" and {len(shared) - 8} more" if len(shared) > 8 else "")
