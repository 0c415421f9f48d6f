"""A finished run's folder read back as plain values: for the window, the report and the comparison of runs.

The folder may have been edited, damaged or put together by somebody else: whatever is wrong with it is one typed error.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from desktop.studios.omics.errors import DamagedRunError, UnknownRunError
from desktop.studios.omics.schema import Contrast, Plan, SampleTable
from desktop.studios.omics.script_inputs import load_samples
from desktop.studios.omics.steps.contrasts import folder_of
from desktop.studios.omics.steps.technical_runs import collapse_samples

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
RESULT_COLUMNS = ("gene_id", "gene_symbol", "base_mean", "log2_fold_change", "lfc_se", "stat", "pvalue", "padj")
QUALITY_NUMBERS = ("library_size", "genes_detected", "size_factor", "median_correlation", "max_correlation")
MAX_FILE_BYTES = 512 * 1024 * 1024
PERCENT_ROW = "percent_variance"


@dataclass(frozen=True, slots=True)
class RunView:
    """Everything the window shows of a run. G genes in the order of results.csv, S samples, N heatmap genes.

    number        which of the plan's contrasts the results are of, from 0; `folder` is where they lie, "" for the first
    padj_reason   "" or why padj is missing: all_zero, outlier, low_mean, few_reads
    pca_scores    (S, K); pca_percent (K,) percent of variance
    loadings      one dict a component and gene: component, rank, gene_id, gene_symbol, loading; largest first
    joins         (S - 1, 4) the samples' clustering as scipy writes it: clusters joined, distance, size
    heatmap       (N, S) z-scores in clustered order, rows as heatmap_genes, columns as heatmap_samples
    distances     (S, S) between samples, as in sample_names
    quality       one dict a sample: sample, library_size, genes_detected, size_factor, median_correlation,
                  max_correlation, closest_sample, is_outlier, reason
    samples       the whole sample table, also the samples the plan leaves out
    figures       name → SVG, those of the contrast and, of the first one, those of the whole run
    """

    out_dir: Path
    plan: Plan
    manifest: dict[str, Any]
    summary: dict[str, Any]
    samples: SampleTable
    gene_ids: list[str]
    gene_symbols: list[str]
    base_mean: Floats
    log2_fold_change: Floats
    lfc_se: Floats
    stat: Floats
    pvalue: Floats
    padj: Floats
    padj_reason: list[str]
    sample_names: list[str]
    pca_scores: Floats
    pca_percent: Floats
    heatmap_genes: list[str]
    heatmap_symbols: list[str]
    heatmap_samples: list[str]
    heatmap: Floats
    distances: Floats
    quality: list[dict[str, Any]]
    loadings: list[dict[str, Any]] = field(default_factory=list)
    joins: Floats = field(default_factory=lambda: np.empty((0, 4)))
    figures: dict[str, Path] = field(default_factory=dict)
    number: int = 0

    @property
    def contrast(self) -> Contrast | None:
        """The contrast the results are of."""
        return self.plan.contrasts[self.number] if self.plan.contrasts else None

    @property
    def folder(self) -> str:
        """Where the results of the contrast lie in the run's folder: "" or "contrasts/2_b_vs_control/"."""
        folder = folder_of(self.contrast, self.number) if self.contrast else ""
        return f"{folder}/" if folder else ""

    @property
    def report_html(self) -> Path:
        return self.out_dir / "report.html"

    @property
    def script(self) -> Path:
        return self.out_dir / "analysis.py"

    @property
    def headline(self) -> str:
        return str(self.manifest.get("headline", ""))


def load_run(out_dir: Path, number: int = 0) -> RunView:
    """Read a run's folder, with the results of the contrast of that number, 0 for the first.

    raises   DamagedRunError naming the file that is missing or wrong; UnknownRunError when it has no such contrast
    """
    out_dir = out_dir.expanduser()
    if not out_dir.is_dir():
        raise DamagedRunError(f"{out_dir} is not there.", hint="Choose the results folder of a run.")
    manifest, summary = load_json(out_dir / "manifest.json"), load_json(out_dir / "summary.json")
    try:
        plan = Plan.model_validate(load_json(out_dir / "plan.json"))
    except ValidationError as error:
        raise damaged(out_dir / "plan.json", f"{error.error_count()} of its entries are not a plan's") from error
    if not 0 <= number < max(1, len(plan.contrasts)):
        n_contrasts = max(1, len(plan.contrasts))
        raise UnknownRunError(
            f"This run has no contrast {number + 1}.",
            hint=f"It has {n_contrasts}: RUN#1{f' to RUN#{n_contrasts}' if n_contrasts > 1 else ''}.",
        )
    own = out_dir / folder_of(plan.contrasts[number], number) if number else out_dir
    if number:
        summary = {**summary, **load_json(own / "summary.json")}
    results = load_results_table(own)
    pca = load_table(out_dir / "pca.csv", texts=("sample",))
    heatmap = load_table(own / "heatmap.csv", texts=("gene_id", "gene_symbol"))
    quality = load_table(out_dir / "sample_qc.csv", texts=("sample", "closest_sample", "reason"))
    distances = load_table(out_dir / "sample_distances.csv", texts=("sample",))
    reasons: dict[str, str] = {}
    if (own / "genes_without_padj.csv").is_file():
        missing = load_table(own / "genes_without_padj.csv", texts=("gene_id", "gene_symbol", "reason"))
        reasons = dict(zip(missing["gene_id"], missing["reason"], strict=True))
    if len(pca) < 2 or pca["sample"].iloc[0] != PERCENT_ROW:
        raise damaged(out_dir / "pca.csv", f"its first row is not {PERCENT_ROW}")
    try:
        samples = collapse_samples(load_samples(out_dir / "samples.csv"), plan.collapse)
    except (OSError, ValueError, IndexError) as error:
        raise damaged(out_dir / "samples.csv", "it is not a table of samples") from error
    if not set(quality["sample"]) <= set(samples.samples):
        raise damaged(out_dir / "sample_qc.csv", "it names samples that are not in samples.csv")
    gene_ids = list(results["gene_id"])
    return RunView(
        out_dir=out_dir,
        plan=plan,
        manifest=manifest,
        summary=summary,
        samples=samples,
        gene_ids=gene_ids,
        gene_symbols=list(results["gene_symbol"]),
        base_mean=results["base_mean"].to_numpy(),
        log2_fold_change=results["log2_fold_change"].to_numpy(),
        lfc_se=results["lfc_se"].to_numpy(),
        stat=results["stat"].to_numpy(),
        pvalue=results["pvalue"].to_numpy(),
        padj=results["padj"].to_numpy(),
        padj_reason=[reasons.get(gene, "") for gene in gene_ids],
        sample_names=list(quality["sample"]),
        pca_scores=to_numbers(pca.iloc[1:, 1:], out_dir / "pca.csv"),
        pca_percent=to_numbers(pca.iloc[:1, 1:], out_dir / "pca.csv")[0],
        heatmap_genes=list(heatmap["gene_id"]),
        heatmap_symbols=list(heatmap["gene_symbol"]),
        heatmap_samples=list(heatmap.columns[2:]),
        heatmap=to_numbers(heatmap.iloc[:, 2:], own / "heatmap.csv"),
        distances=to_numbers(distances.iloc[:, 1:], out_dir / "sample_distances.csv"),
        quality=_records(quality, out_dir / "sample_qc.csv"),
        loadings=_loadings(out_dir / "pca_loadings.csv"),
        joins=_joins(out_dir / "sample_clusters.csv", list(quality["sample"])),
        figures={path.stem: path for path in sorted((own / "figures").glob("*.svg"))},
        number=number,
    )


def load_results_table(out_dir: Path) -> pd.DataFrame:
    """results.csv with exactly RESULT_COLUMNS: text as written, numbers float64, NaN where empty."""
    path = out_dir / "results.csv"
    table = load_table(path, texts=("gene_id", "gene_symbol"))
    if tuple(table.columns) != RESULT_COLUMNS:
        raise damaged(path, f"its columns are not {', '.join(RESULT_COLUMNS)}")
    numbers = list(RESULT_COLUMNS[2:])
    table[numbers] = to_numbers(table[numbers], path)
    return table


def load_table(path: Path, *, texts: tuple[str, ...]) -> pd.DataFrame:
    """A CSV of a run: the columns `texts` as written, the others as numbers where they are numbers."""
    import pandas as pd

    if not path.is_file():
        raise damaged(path, "it is missing")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise damaged(path, "it is far too large")
    try:
        table = pd.read_csv(
            path, dtype=dict.fromkeys(texts, str), keep_default_na=False, na_values=_blanks(path, texts)
        )
    except (ValueError, csv.Error) as error:  # pandas' own and decoding errors are ValueErrors
        raise damaged(path, "it is not a table") from error
    for name in texts:
        if name not in table:
            raise damaged(path, f"it has no column {name}")
    return table


def _blanks(path: Path, texts: tuple[str, ...]) -> dict[str, list[str]]:
    """For every column that is not text: an empty cell is a missing number."""
    with path.open(encoding="utf-8", newline="") as file:
        header = next(csv.reader([file.readline(1_000_000)]), [])
    return {name: [""] for name in header if name not in texts}


def load_json(path: Path) -> dict[str, Any]:
    """A JSON object of a run."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise damaged(path, "it is far too large")
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise damaged(path, "it is missing") from error
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path, "it cannot be read") from error
    if not isinstance(value, dict):
        raise damaged(path, "it is not an object")
    return value


def to_numbers(table: pd.DataFrame, path: Path) -> Floats:
    """The table as numbers; DamagedRunError naming `path` when it has text where numbers belong."""
    try:
        return np.asarray(table.to_numpy(dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise damaged(path, "it has text where numbers belong") from error


def _records(quality: pd.DataFrame, path: Path) -> list[dict[str, Any]]:
    for name in (*QUALITY_NUMBERS, "is_outlier"):
        if name not in quality:
            raise damaged(path, f"it has no column {name}")
    quality[list(QUALITY_NUMBERS)] = to_numbers(quality[list(QUALITY_NUMBERS)], path)
    quality["is_outlier"] = quality["is_outlier"].astype(str) == "True"
    return [{str(name): value for name, value in row.items()} for row in quality.to_dict("records")]


def _loadings(path: Path) -> list[dict[str, Any]]:
    """The components' genes; none in a run from before they were written."""
    if not path.is_file():
        return []
    table = load_table(path, texts=("key", "component", "gene_id", "gene_symbol"))
    for name in ("rank", "loading"):
        if name not in table:
            raise damaged(path, f"it has no column {name}")
    to_numbers(table[["rank", "loading"]], path)
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _joins(path: Path, samples: list[str]) -> Floats:
    """The samples' clustering; nothing in a run from before it was written."""
    if not path.is_file():
        return np.empty((0, 4))
    table = load_table(path, texts=("join", "left", "right"))
    place = {name: at for at, name in enumerate([*samples, *table["join"]])}
    if not {"distance", "n_samples"} <= set(table.columns) or len(table) != max(0, len(samples) - 1):
        raise damaged(path, "it is not the clustering of these samples")
    numbers = to_numbers(table[["distance", "n_samples"]], path)
    made = len(samples) + np.arange(len(table))[:, None]
    sides = np.array([[place.get(row[side], -1) for side in ("left", "right")] for _, row in table.iterrows()])
    sides = sides.reshape(-1, 2)
    if (
        not np.isfinite(numbers).all()
        or (sides < 0).any()
        or (sides >= made).any()
        or len(np.unique(sides)) < sides.size
    ):
        raise damaged(path, "it is not the clustering of these samples")
    return np.column_stack([sides, numbers]).astype(np.float64)


def damaged(path: Path, what: str) -> DamagedRunError:
    """The error for a file of a run that is not what a run leaves."""
    return DamagedRunError(
        f"{path.name} of this run is damaged: {what}.",
        hint="Run the analysis again, or restore the folder from a backup.",
        file=str(path),
    )
