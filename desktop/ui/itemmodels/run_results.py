"""Everything the window shows of one run, read in a child process so that the window never waits. No Qt.

The numbers come from `queries.load_results`; the rest is the run's own files, read as text and capped.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desktop.core.ports import Finding
from desktop.studios.omics.schema import Contrast, Plan
from desktop.ui.itemmodels.gene_results import NUMBER_COLUMNS, GeneResults

Floats = NDArray[np.float64]
_MOST_TEXT = 2_000_000  # characters of script and report


@dataclass(frozen=True, slots=True)
class Spread:
    """How much each fitted gene varies, by itself, as expected, and as the test used it; (G,) each.

    kind   "dispersion" of reads, or "variance" of log2 values
    """

    kind: str
    base_mean: Floats
    genewise: Floats
    trend: Floats
    final: Floats


@dataclass(frozen=True, slots=True)
class Output:
    """One file a script left: name relative to the run's folder, type by content, size."""

    name: str
    kind: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class RunResults:
    """One finished run. S samples in the order of `samples`, N genes in the heatmap, K components.

    contrasts     what each contrast of a run with several is called, the first one first; () where there is one
    number        which of them this is, from 0: headline, counts, genes and heatmap are its own
    counts        tested, significant, up, down; None where the run tested nothing
    factors       factor → (S,) levels; `colour_by` is the one that matters most
    pca_frac      (K,) fraction of variance
    loadings      component ("PC1") → its genes by name and their loadings, largest first
    outputs       what a script that no template wrote left; is_script says that one did
    joins         (S - 1, 4) the samples' clustering: the two joined (S + k is join k), distance, size
    heatmap       (N, S') z-scores, rows and columns in clustered order; heatmap_rows are rows of `genes`, -1 if absent
    """

    out_dir: Path
    run_id: str
    plan: Plan
    headline: str
    counts: tuple[int, int, int, int] | None
    isolation: str
    is_reduced: bool
    validation: str
    findings: tuple[Finding, ...]
    cautions: tuple[str, ...]
    genes: GeneResults
    samples: tuple[str, ...]
    factors: dict[str, list[str]]
    colour_by: str
    pca_scores: Floats
    pca_frac: Floats
    heatmap: Floats
    heatmap_rows: tuple[int, ...]
    heatmap_names: tuple[str, ...]
    heatmap_samples: tuple[str, ...]
    distances: Floats
    quality: tuple[dict[str, Any], ...]
    spread: Spread | None
    code: str
    report: str
    pvalue_reading: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)
    loadings: Mapping[str, list[tuple[str, float]]] = field(default_factory=dict)
    joins: Floats = field(default_factory=lambda: np.empty((0, 4)))
    is_script: bool = False
    outputs: tuple[Output, ...] = ()
    contrasts: tuple[str, ...] = ()
    number: int = 0

    def has_tab(self, name: str) -> bool:
        """Whether there is anything to show in a tab of the results."""
        has_genes, has_samples = bool(self.genes.gene_ids), bool(self.samples)
        has = {"PCA": has_samples, "Heatmap": has_samples, "QC": has_samples, "Table": has_genes}
        tested = has_genes and self.has_test
        has |= {"Volcano": tested, "MA": tested, "Gene sets": tested and has_samples, "Files": self.is_script}
        return has.get(name, True)

    @property
    def are_reads(self) -> bool:
        """Whether the values are counts of reads, and not on a log scale."""
        return self.plan.values in ("counts", "expected_counts")

    @property
    def has_test(self) -> bool:
        """Whether genes were tested, so that there is a volcano."""
        return self.counts is not None


def load_run_results(out_dir: Path, number: int = 0) -> RunResults:
    """Read one contrast of a finished run's folder. Raises the AppErrors of `queries.load_results`."""
    from desktop.studios.omics import queries

    view = queries.load_results(out_dir, number)
    genes = GeneResults.of(
        view.gene_ids,
        view.gene_symbols,
        {name: getattr(view, name) for name in NUMBER_COLUMNS},
        view.padj_reason,
        is_log=view.plan.values not in ("counts", "expected_counts"),
    )
    summary, manifest = view.summary, view.manifest
    has_test = bool(np.isfinite(view.padj).any() or "n_significant" in summary)
    row_of = {gene: row for row, gene in enumerate(view.gene_ids)}
    names = zip(view.heatmap_symbols, view.heatmap_genes, strict=True)
    isolation = _mapping(manifest.get("isolation"))
    is_script = manifest.get("kind") == "script"
    has_several = len(view.plan.contrasts) > 1 and not is_script
    titles, sentence = queries.tell_contrasts(view) if has_several else ([], "")
    return RunResults(
        out_dir=view.out_dir,
        run_id=str(manifest.get("run_id", "")),
        plan=view.plan,
        headline=sentence or view.headline,
        counts=_counts(summary) if has_test else None,
        isolation=str(isolation.get("detail") or isolation.get("kind") or "not recorded"),
        is_reduced=bool(isolation.get("is_reduced")),
        validation=_verdict(manifest),
        findings=_findings(manifest),
        cautions=_cautions(view.plan, manifest),
        genes=genes,
        samples=tuple(view.sample_names),
        factors=_factors(view.samples.samples, view.samples.factors, view.sample_names),
        colour_by=_colour_by(view.contrast, view.plan, view.samples.factors),
        pca_scores=view.pca_scores,
        pca_frac=view.pca_percent / 100.0,
        heatmap=view.heatmap,
        heatmap_rows=tuple(row_of.get(gene, -1) for gene in view.heatmap_genes),
        heatmap_names=tuple(symbol or gene for symbol, gene in names),
        heatmap_samples=tuple(view.heatmap_samples),
        distances=view.distances,
        quality=tuple(view.quality),
        spread=_spread(view.out_dir),
        code=_text(view.out_dir / "analysis.py"),
        report=_text(view.out_dir / "report.md"),
        pvalue_reading=str(summary.get("pvalue_reading", "")),
        loadings=_loadings(view.loadings),
        joins=view.joins,
        is_script=is_script,
        contrasts=tuple(titles),
        number=number,
        outputs=_outputs(manifest),
        timings={str(step): float(s) for step, s in _mapping(manifest.get("timings_s")).items() if _is_number(s)},
    )


def _outputs(manifest: dict[str, Any]) -> tuple[Output, ...]:
    """The outputs a run's manifest lists; what is no entry is left out."""
    found = manifest.get("outputs", [])
    return tuple(
        Output(str(one["name"]), str(one.get("type", "")), int(one.get("bytes", 0)))
        for one in (found if isinstance(found, list) else [])
        if isinstance(one, dict) and isinstance(one.get("bytes", 0), int) and "name" in one
    )


def _counts(summary: Mapping[str, Any]) -> tuple[int, int, int, int]:
    tested = summary.get("n_tested", summary.get("n_genes", 0))
    return int(tested), int(summary.get("n_significant", 0)), int(summary.get("up", 0)), int(summary.get("down", 0))


def _factors(samples: list[str], factors: Mapping[str, list[str]], order: list[str]) -> dict[str, list[str]]:
    at = {sample: number for number, sample in enumerate(samples)}
    return {name: [values[at[sample]] if sample in at else "" for sample in order] for name, values in factors.items()}


def _colour_by(contrast: Contrast | None, plan: Plan, factors: Mapping[str, list[str]]) -> str:
    """The contrast's factor, else the first of the design, else the first with few levels."""
    wanted = contrast.factors[0] if contrast else ""
    if wanted in factors:
        return wanted
    named = [name for name in factors if name in plan.design]
    few = [name for name, values in factors.items() if 1 < len(set(values)) < len(values)]
    return (named or few or list(factors) or [""])[0]


def _loadings(rows: list[dict[str, Any]]) -> dict[str, list[tuple[str, float]]]:
    found: dict[str, list[tuple[str, float]]] = {}
    for row in rows:
        found.setdefault(str(row["component"]), []).append(
            (str(row["gene_symbol"] or row["gene_id"]), float(row["loading"]))
        )
    return found


def _verdict(manifest: Mapping[str, Any]) -> str:
    policy = _mapping(manifest.get("policy"))
    if not policy:
        return "Not recorded."
    return "Passed: the policy found nothing to refuse." if policy.get("allowed", True) else "Refused by the policy."


def _findings(manifest: Mapping[str, Any]) -> tuple[Finding, ...]:
    found = _mapping(manifest.get("policy")).get("findings", [])
    fields = ("rule", "line", "column", "message", "remedy")
    return tuple(
        Finding(str(one["rule"]), int(one["line"]), int(one["column"]), str(one["message"]), str(one["remedy"]))
        for one in (found if isinstance(found, list) else [])
        if isinstance(one, dict) and all(name in one for name in fields)
    )


def _cautions(plan: Plan, manifest: Mapping[str, Any]) -> tuple[str, ...]:
    told = manifest.get("warnings", [])
    texts = [caution.text for caution in plan.warnings]
    texts += [one["text"] if isinstance(one, dict) and "text" in one else str(one)
              for one in (told if isinstance(told, list) else [])]  # fmt: skip
    return tuple(dict.fromkeys(texts))


def _spread(out_dir: Path) -> Spread | None:
    for kind, expected, name in (
        ("dispersion", "dispersion_trend", "dispersions.csv"),
        ("variance", "variance_prior", "variances.csv"),
    ):
        wanted = ("base_mean", f"{kind}_gene", expected, kind)
        if (columns := _columns(out_dir / name, wanted)) is not None:
            return Spread(kind, *columns)
    return None


def _columns(path: Path, wanted: tuple[str, ...]) -> Floats | None:
    """(len(wanted), G) of a table; None where it is not there, or another kind of analysis left none."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            header = next(rows)
            places = [header.index(name) for name in wanted]
            values = np.array([[float(row[at] or "nan") for at in places] for row in rows], dtype=np.float64)
    except (OSError, ValueError, StopIteration, IndexError):
        return None
    return values.T if values.size else None


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_MOST_TEXT)
    except OSError:
        return ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
