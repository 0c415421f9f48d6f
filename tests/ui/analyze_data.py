"""Made-up results in the shapes a run leaves, for tests that need no run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.cluster.hierarchy import linkage

from desktop.core.ports import Finding
from desktop.studios.omics.schema import Contrast, Plan
from desktop.ui.itemmodels.gene_results import GeneResults
from desktop.ui.itemmodels.run_results import RunResults, Spread


def make_genes(n_genes: int = 2000, seed: int = 7) -> GeneResults:
    """Genes with a tenth changed, a zero p, missing padj of each kind."""
    rng = np.random.default_rng(seed)
    base_mean = 10 ** rng.normal(2, 1, n_genes)
    change = rng.normal(0, 0.4, n_genes)
    is_changed = rng.random(n_genes) < 0.1
    change[is_changed] += rng.normal(0, 2.0, int(is_changed.sum()))
    strength = np.where(is_changed, np.abs(change) ** 1.5 * rng.gamma(2, 3, n_genes), rng.exponential(0.4, n_genes))
    pvalue = 10.0**-strength
    order = np.argsort(pvalue, kind="stable")
    base_mean, change, pvalue = base_mean[order], change[order], pvalue[order]
    padj = np.minimum.accumulate((pvalue * n_genes / np.arange(1, n_genes + 1))[::-1])[::-1].clip(max=1.0)
    pvalue[0] = padj[0] = 0.0
    change[0] = 4.0
    reasons = [""] * n_genes
    for row, reason in ((n_genes - 1, "all_zero"), (n_genes - 2, "outlier"), (n_genes - 3, "low_mean")):
        padj[row], reasons[row] = np.nan, reason
        if reason != "low_mean":
            pvalue[row] = np.nan
    base_mean[n_genes - 1] = 0.0
    change[n_genes - 1] = np.nan
    columns = {
        "base_mean": base_mean,
        "log2_fold_change": change,
        "lfc_se": np.full(n_genes, 0.2),
        "stat": change / 0.2,
        "pvalue": pvalue,
        "padj": padj,
    }
    ids = [f"ENSG{number:011d}" for number in range(n_genes)]
    symbols = [f"GENE{number}" if number % 5 else "" for number in range(n_genes)]
    return GeneResults.of(ids, symbols, columns, reasons)


def make_results(folder: Path, n_genes: int = 2000, n_samples: int = 8, *, is_reduced: bool = True) -> RunResults:
    """A whole run over made-up samples."""
    rng = np.random.default_rng(3)
    genes = make_genes(n_genes)
    samples = tuple(f"SRR10395{number:02d}" for number in range(n_samples))
    dex = ["trt" if number % 2 else "untrt" for number in range(n_samples)]
    cell = [f"N{61311 + number // 2}" for number in range(n_samples)]
    scores = rng.normal(size=(n_samples, 4)) * [20, 10, 5, 2]
    heat = rng.normal(size=(50, n_samples))
    padj, change = genes.columns["padj"], genes.columns["log2_fold_change"]
    changed = padj < 0.05
    counts = (int(np.isfinite(padj).sum()), int(changed.sum()), int((changed & (change > 0)).sum()),
              int((changed & (change < 0)).sum()))  # fmt: skip
    plan = Plan(
        question="Which genes does dexamethasone change, accounting for cell line?",
        design="~ cell + dex",
        contrast=Contrast(factor="dex", treated="trt", control="untrt"),
        alpha=0.05,
        lfc_threshold=0.0,
        min_total_count=0,
        n_top_genes=500,
        n_heatmap_genes=50,
    )
    mean = genes.columns["base_mean"][1 : n_genes // 2]
    trend = 0.02 + 3 / mean
    return RunResults(
        out_dir=folder,
        run_id="made-up",
        plan=plan,
        headline=f"Dexamethasone changes {counts[1]:,} of {counts[0]:,} genes: {counts[2]:,} go up, {counts[3]:,} down.",
        counts=counts,
        isolation="child process with limits" if is_reduced else "Docker, no network, read-only",
        is_reduced=is_reduced,
        validation="Passed: the policy found nothing to refuse.",
        findings=(Finding("import", 3, 0, "os is not allowed.", "Use pathlib."),) if is_reduced else (),
        cautions=("Two samples a group and cell line: small changes will be missed.",),
        genes=genes,
        samples=samples,
        factors={"dex": dex, "cell": cell},
        colour_by="dex",
        pca_scores=scores,
        pca_frac=np.array([0.5, 0.2, 0.1, 0.05]),
        heatmap=heat,
        heatmap_rows=tuple(range(50)),
        heatmap_names=tuple(genes.name(row) for row in range(50)),
        heatmap_samples=samples,
        distances=np.abs(np.subtract.outer(scores[:, 0], scores[:, 0])),
        quality=tuple(
            {
                "sample": sample,
                "library_size": float(rng.integers(15e6, 30e6)),
                "genes_detected": 16000.0 + number,
                "size_factor": 1.0,
                "median_correlation": 0.98,
                "max_correlation": 0.99,
                "closest_sample": samples[0],
                "is_outlier": False,
                "reason": "",
            }
            for number, sample in enumerate(samples)
        ),
        spread=Spread("dispersion", mean, trend * rng.chisquare(4, len(mean)) / 4, trend, trend),
        code='"""Made-up script."""\n# a comment\nimport os\nprint("ok")\n' + "x = 1\n" * 40,
        report="# Report\n\nSome words.\n\n| a | b |\n| - | - |\n| 1 | 2 |\n",
        timings={"fit": 3.2},
        loadings={f"PC{k}": [(f"GENE{k}{n}", 0.4 / n * (-1) ** n) for n in range(1, 26)] for k in range(1, 5)},
        joins=linkage(scores, method="average"),
    )
