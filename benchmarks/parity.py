"""Agreement with R's DESeq2 on the shared sets, and CPU and memory against R and stock pydeseq2.

    python -m benchmarks.parity [--no-stock]        writes benchmarks/parity.md

Each measurement is a fresh process with one BLAS thread. R's CPU seconds are those recorded with the references; stock
pydeseq2 runs in this very session. `agreement` and the sets are also what tests/golden/test_deseq_vs_r.py checks.
"""

from __future__ import annotations

import argparse
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

from desktop.studios.omics.steps import deseq

ROOT = Path(__file__).resolve().parents[1]
COUNTS = ROOT.parent / "shared" / "data" / "omics" / "counts"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1")


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
    """How far two tables of the same genes agree; `r` is R's, with its own column names."""
    p, q = ours["pvalue"].to_numpy(), r["pvalue"].to_numpy()
    both = ~np.isnan(p) & ~np.isnan(q)
    a, b = ours["padj"].to_numpy() < 0.05, r[padj].to_numpy() < 0.05
    refiltered = deseq.filter_and_adjust(r["baseMean"].to_numpy(), q, 0.05)[0]
    out = {
        "n_r": float(b.sum()),
        "n_ours": float(a.sum()),
        "jaccard": float((a & b).sum() / max((a | b).sum(), 1)),
        "spearman": float(spearmanr(p[both], q[both])[0]),
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
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.parity", "--child", kind, case.folder]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **ONE_THREAD}, check=True, capture_output=True, text=True
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def shown(row: dict[str, float], key: str, form: str, unit: str = "") -> str:
    return f"{row[key]:{form}}{unit}" if key in row else ""


def to_markdown(ours: dict[str, dict[str, Any]], stock: dict[str, dict[str, Any]], r_cpu: dict[str, float]) -> str:
    lines = [
        "# Agreement with R",
        "",
        "Made by `python -m benchmarks.parity`. References: R 4.2.2, DESeq2 1.38.3, apeglm 1.27.0; alpha 0.05.",
        "J: Jaccard index of genes with padj < .05. Masks: genes whose missingness differs (padj: given R's own p).",
        "Shrinkage: share of significant genes more than 0.25 from apeglm.",
        "",
        "| set | test | R | ours | J | Spearman p | 99.9 % dLFC | p mask | padj mask | shrinkage off | J stock |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    jaccards = []
    for folder, result in ours.items():
        for name, row in result["rows"].items():
            jaccards.append(row["jaccard"])
            stock_row = stock.get(folder, {}).get("rows", {}).get(name, {})
            cells = [folder, name, shown(row, "n_r", ".0f"), shown(row, "n_ours", ".0f"), shown(row, "jaccard", ".4f")]
            cells += [shown(row, "spearman", ".7f"), shown(row, "lfc_q999", ".1e"), shown(row, "na_p", ".0f")]
            cells += [shown(row, "na_padj_given_p", ".0f"), shown(row, "shrink_off_pct", ".2f", " %")]
            lines.append(f"| {' | '.join([*cells, shown(stock_row, 'jaccard', '.4f')])} |")
    lines += [
        "",
        f"Mean J {np.mean(jaccards):.4f}, lowest {min(jaccards):.4f}.",
        "",
        "## CPU seconds (fit and one Wald test, one thread) and peak memory",
        "",
        "R's were recorded with the references, on another day; stock pydeseq2 ran in the same session as ours.",
        "",
        "| set | ours | R | ours / R | stock pydeseq2 | stock / ours | our shrinkage | our peak MiB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for folder, result in ours.items():
        cpu = {"ours": result["cpu_s"], "r": r_cpu[folder], "over_r": result["cpu_s"] / r_cpu[folder]}
        if folder in stock:
            cpu |= {"stock": stock[folder]["cpu_s"], "times": stock[folder]["cpu_s"] / result["cpu_s"]}
        cells = [folder, shown(cpu, "ours", ".2f"), shown(cpu, "r", ".2f"), shown(cpu, "over_r", ".2f")]
        cells += [shown(cpu, "stock", ".1f"), shown(cpu, "times", ".1f")]
        lines.append(f"| {' | '.join(cells)} | {result['shrink_cpu_s']:.2f} | {result['peak_mib']:.0f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-stock", action="store_true", help="leave out stock pydeseq2 (about two minutes)")
    parser.add_argument("--child", nargs=2, metavar=("KIND", "SET"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    cases = {case.folder: case for case in CASES}
    if options.child:
        kind, folder = options.child
        print(json.dumps((measure_ours if kind == "ours" else measure_stock)(cases[folder])))
        return
    if not COUNTS.is_dir():
        print("the shared reference data is not beside this checkout: nothing measured")
        return
    recorded = json.loads((COUNTS.parent / "baseline_pydeseq2_0.5.4_vs_R.json").read_text())["cpu_seconds"]
    r_cpu = {folder: seconds["R_DESeq_plus_results"] for folder, seconds in recorded.items()}
    ours = {folder: in_a_child("ours", case) for folder, case in cases.items()}
    stock = {} if options.no_stock else {folder: in_a_child("stock", case) for folder, case in cases.items()}
    text = to_markdown(ours, stock, r_cpu)
    (ROOT / "benchmarks" / "parity.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
