"""The shared sets and their references from R, and how agreement is told; processor time and memory on them.

`parity.py` runs it; `agreement` and the sets are also what tests/golden/test_deseq_vs_r.py checks.

    python -m benchmarks.parity_shared ours|stock SET       one measurement, in a process of its own
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from formulaic import model_matrix
from scipy.stats import spearmanr

from benchmarks.r_process import ONE_THREAD
from desktop.studios.omics.steps import deseq

ROOT = Path(__file__).resolve().parents[1]
COUNTS = ROOT.parent / "shared" / "data" / "omics" / "counts"


@dataclass(frozen=True)
class Case:
    """A shared set: its design, and factor → reference level; contrasts are file name → (factor, treated, control)."""

    folder: str
    design: str
    reference: tuple[str, str]
    contrasts: dict[str, tuple[str, str, str]]
    reduced: str = ""


CASES = (
    Case("airway_GSE52778", "~ cell + dex", ("dex", "untrt"), {"dex_trt_vs_untrt": ("dex", "trt", "untrt")}),
    Case(
        "pasilla_GSE18508",
        "~ type + condition",
        ("condition", "untreated"),
        {"condition_treated_vs_untreated": ("condition", "treated", "untreated")},
    ),
    Case(
        "hoxa1_GSE37704",
        "~ condition",
        ("condition", "control"),
        {"condition_hoxa1_vs_control": ("condition", "hoxa1", "control")},
    ),
    Case(
        "celegans_3cond",
        "~ replicate + condition",
        ("condition", "cond1"),
        {
            "condition_cond2_vs_cond1": ("condition", "cond2", "cond1"),
            "condition_cond3_vs_cond1": ("condition", "cond3", "cond1"),
            "condition_cond3_vs_cond2": ("condition", "cond3", "cond2"),
        },
        "~ replicate",
    ),
)


def load_case(case: Case, root: Path = COUNTS) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(genes in rows × samples, sample table with the reference level first)."""
    counts = pd.read_csv(root / case.folder / "counts.csv.gz", index_col=0)
    samples = pd.read_csv(root / case.folder / "metadata.csv", index_col=0, keep_default_na=False)
    factor, reference = case.reference
    levels = [reference, *sorted(set(samples[factor]) - {reference})]
    samples[factor] = pd.Categorical(samples[factor], levels)
    return counts[samples.index], samples


def design_of(case: Case, samples: pd.DataFrame, formula: str = "") -> pd.DataFrame:
    return pd.DataFrame(model_matrix(formula or case.design, samples))


def contrast_of(design: pd.DataFrame, contrast: tuple[str, str, str]) -> np.ndarray:
    """Weights over the design's columns; a level without a column is the reference."""
    factor, treated, control = contrast
    names = [str(name) for name in design.columns]
    return np.array([(n == f"{factor}[T.{treated}]") - (n == f"{factor}[T.{control}]") for n in names], dtype=float)


def agreement(ours: pd.DataFrame, r: pd.DataFrame, padj: str = "padj_alpha0.05") -> dict[str, float]:
    """How far two tables of the same genes agree; `r` is R's, with its own column names.

    p are ranked by the ten digits a result is written with: the last bits are noise and part genes that tie.
    """
    p, q = ours["pvalue"].to_numpy(), r["pvalue"].to_numpy()
    both = ~np.isnan(p) & ~np.isnan(q)
    a, b = ours["padj"].to_numpy() < 0.05, r[padj].to_numpy() < 0.05
    refiltered = deseq.filter_and_adjust(r["baseMean"].to_numpy(), q, 0.05)[0]
    written = [np.array([float(f"{one:.9e}") for one in values[both]]) for values in (p, q)]  # ties are ties again
    out = {
        "n_r": float(b.sum()),
        "n_ours": float(a.sum()),
        "jaccard": float((a & b).sum() / (a | b).sum()) if (a | b).any() else 1.0,
        "spearman": float(spearmanr(*written)[0]),
        "na_p": float((np.isnan(p) != np.isnan(q)).sum()),
        "na_padj_given_p": float((np.isnan(refiltered) != r[padj].isna().to_numpy()).sum()),
    }
    if "log2FoldChange" in r:
        change = np.abs(ours["log2_fold_change"].to_numpy() - r["log2FoldChange"].to_numpy())
        out["lfc_q999"] = float(np.nanquantile(change, 0.999))
    return out


def shrinkage_off(ours: pd.DataFrame, r: pd.DataFrame) -> float:
    """Share of significant genes whose shrunken change differs from apeglm's by more than 0.25, in percent."""
    significant = r["padj_alpha0.05"].to_numpy() < 0.05
    off = np.abs(ours["log2_fold_change"].to_numpy() - r["apeglm_LFC"].to_numpy()) > 0.25
    return float(100.0 * (off & significant).sum() / max(significant.sum(), 1))


def reference(case: Case, name: str, genes: pd.Index, root: Path = COUNTS) -> pd.DataFrame:
    return pd.read_csv(root / case.folder / "R_reference" / f"{name}.csv.gz", index_col=0).loc[genes]


def measure_ours(case: Case) -> dict[str, Any]:
    counts, samples = load_case(case)
    design = design_of(case, samples)
    table = counts.to_numpy().T
    first = next(iter(case.contrasts.values()))
    start = time.process_time()
    fit = deseq.fit_counts(table, design)
    deseq.wald_test(fit, contrast_of(design, first))
    cpu_s = time.process_time() - start
    start = time.process_time()
    deseq.shrink_lfc(fit, contrast_of(design, first))
    shrink_cpu_s = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    rows: dict[str, dict[str, float]] = {}
    for name, contrast in case.contrasts.items():
        r = reference(case, name, counts.index)
        weights = contrast_of(design, contrast)
        rows[name] = agreement(deseq.wald_test(fit, weights), r)
        if "apeglm_LFC" in r:
            rows[name]["shrink_off_pct"] = shrinkage_off(deseq.shrink_lfc(fit, weights), r)
    if case.reduced:
        tested = deseq.likelihood_ratio_test(fit, design_of(case, samples, case.reduced))
        rows[f"LRT against {case.reduced}"] = agreement(tested, reference(case, "LRT_condition", counts.index))
    return {"cpu_s": cpu_s, "shrink_cpu_s": shrink_cpu_s, "peak_mib": peak / 2**20, "rows": rows}


def measure_stock(case: Case) -> dict[str, Any]:
    from pydeseq2.dds import DeseqDataSet
    from pydeseq2.default_inference import DefaultInference
    from pydeseq2.ds import DeseqStats

    counts, samples = load_case(case)
    contrast = next(iter(case.contrasts.values()))
    inference = DefaultInference(n_cpus=1)
    start = time.process_time()
    data = DeseqDataSet(
        counts=counts.T, metadata=samples, design=case.design.replace(" ", ""), inference=inference, quiet=True
    )
    data.deseq2()
    stats = DeseqStats(data, contrast=list(contrast), alpha=0.05, inference=inference, quiet=True)
    stats.summary()
    cpu_s = time.process_time() - start
    ours = stats.results_df.rename(columns={"log2FoldChange": "log2_fold_change"}).loc[counts.index]
    name = next(iter(case.contrasts))
    return {"cpu_s": cpu_s, "rows": {name: agreement(ours, reference(case, name, counts.index))}}


def in_a_child(kind: str, case: Case) -> dict[str, Any]:
    """What `measure_ours` or `measure_stock` gives in a fresh process with one BLAS thread."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.parity_shared", kind, case.folder]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **ONE_THREAD}, check=True, capture_output=True, text=True
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    measure = {"ours": measure_ours, "stock": measure_stock}[sys.argv[1]]
    print(json.dumps(measure(next(case for case in CASES if case.folder == sys.argv[2]))))
