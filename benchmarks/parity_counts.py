"""Counts beside R's DESeq2 and apeglm in the same run, on the sets of `parity_count_sets.py`: a part of `parity`.

R's side is `parity_counts.R`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from formulaic import model_matrix
from numpy.typing import NDArray
from scipy.optimize import minimize

from benchmarks.parity_count_sets import Ask, CountSet, count_sets
from benchmarks.parity_shared import Case, agreement, load_case
from benchmarks.r_process import run_r
from desktop.studios.omics.steps import deseq
from desktop.studios.omics.steps.design_matrix import contrast_weights, design_columns

Floats = NDArray[np.float64]
Row = dict[str, Any]


def is_number(column: pd.Series) -> bool:
    return column.dtype.kind in "if"


def safe(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def r_text(one: CountSet) -> str:
    """The set's design and tests as R text."""

    def quoted(names: list[str]) -> str:
        return "c(" + ", ".join(f"'{name}'" for name in names) + ")"

    lines = [f"design <- {one.design}", f"numeric <- {quoted([c for c in one.samples if is_number(one.samples[c])])}"]
    tests = []
    for ask in one.asks:
        parts = [f"file = '{safe(ask.name)}'", f"kind = '{ask.kind}'", f"arguments = list({ask.r})"]
        parts += [f"shrink = '{ask.shrink}'"] + ([f"reduced = {ask.reduced}"] if ask.reduced else [])
        if ask.relevel:
            factor, level = ask.relevel.split("=")
            parts.append(f"relevel = c({factor} = '{level}')")
        tests.append(f"  list({', '.join(parts)})")
    return "\n".join([*lines, "tests <- list(", ",\n".join(tests), ")"]) + "\n"


def write_set(one: CountSet, folder: Path) -> None:
    folder.mkdir()
    genes = one.genes or tuple(f"g{k + 1:05d}" for k in range(one.counts.shape[1]))
    pd.DataFrame(one.counts.T, index=list(genes), columns=one.samples.index).to_csv(folder / "counts.tsv", sep="\t")
    if one.normalisation is not None:
        table = pd.DataFrame(one.normalisation.T, index=list(genes), columns=one.samples.index)
        table.to_csv(folder / "normalisation.tsv", sep="\t", float_format="%.17g")
    one.samples.to_csv(folder / "samples.tsv", sep="\t")
    (folder / "case.R").write_text(r_text(one), encoding="utf-8")


def compare(one: CountSet, folder: Path) -> list[Row]:
    """A row for each test: our fit beside R's tables in the folder."""
    typed = pd.DataFrame(
        {
            name: column if is_number(column) else pd.Categorical(column, list(dict.fromkeys(column)))
            for name, column in one.samples.items()
        },
        index=one.samples.index,
    )
    built = model_matrix(one.design, typed)
    columns = design_columns(built)
    if (folder / "error.txt").exists():
        said = (folder / "error.txt").read_text().strip()
        return [{"set": one.name, "test": "", "error": f"R: {said}"}]
    began = time.process_time()
    factors = None if one.normalisation is None else {"normalisation": one.normalisation}
    fit = deseq.fit_counts(one.counts, columns.frame, factors=factors)
    rows: list[Row] = []
    for ask in one.asks:
        ours = tested(fit, ask, columns, typed)
        if not rows:
            cpu_s = time.process_time() - began
        file = safe(ask.name)
        r = pd.read_csv(folder / f"{file}.csv").rename(columns={"padj": "padj_alpha0.05"})
        row = agreement(ours, r) if ask.kind == "wald" else agreement(ours, r.drop(columns="log2FoldChange"))
        if (folder / f"{file}.apeglm.csv").exists():
            weights = contrast_weights(columns, typed, ask.compare, ask.within)
            theirs = pd.read_csv(folder / f"{file}.apeglm.csv")["log2FoldChange"].to_numpy()
            row |= shrinkage(fit, weights, theirs, r["padj_alpha0.05"].to_numpy() < 0.05)
        rows.append({"set": one.name, "test": ask.name, **row})
    rows[0]["cpu"] = f"{cpu_s:.2f} / {float((folder / 'cpu.txt').read_text()):.2f}"
    return rows


def shrinkage(fit: deseq.DeseqFit, weights: Floats, theirs: Floats, significant: NDArray[np.bool_]) -> Row:
    """Percent of the significant genes off by more than 0.25, and of those where R's value has the lower posterior."""
    mine = deseq.shrink_lfc(fit, weights)["log2_fold_change"].to_numpy()
    off = np.flatnonzero((np.abs(mine - theirs) > 0.25) & significant)
    pivot = int(weights.argmax())
    turn = np.eye(len(weights))
    turn[pivot] = weights
    x = np.asarray(fit.design, dtype=np.float64) @ np.linalg.inv(turn)
    usable = np.isfinite(fit.dispersion)
    change, error = (column[usable] / deseq.LOG2_E for column in deseq._log2_change(fit, weights))
    scale = min(math.sqrt(deseq._effect_variance(change, error**2)), 1.0)

    def best_at(gene: int, value: float) -> float:
        """The highest posterior with the fold change held at this value."""
        others = [k for k in range(len(weights)) if k != pivot]
        y, nf = fit.counts[:, [gene]].astype(float), fit.normalisation[:, [gene]]

        def lower(rest: Floats) -> float:
            beta = np.insert(rest, pivot, value / deseq.LOG2_E)[:, None]
            return -float(deseq._log_posterior(y, nf, fit.dispersion[[gene]], x, pivot, scale, beta)[0])

        start = (turn @ fit.beta[:, gene])[others]
        return -float(minimize(lower, start, method="Nelder-Mead", options={"maxiter": 4000, "fatol": 1e-8}).fun)

    same = off[~fit.replaced[off]]  # where outliers were replaced R's posterior is of other counts
    n_lower = sum(best_at(gene, theirs[gene]) < best_at(gene, mine[gene]) for gene in same)
    n_significant = max(int(significant.sum()), 1)
    return {"shrink_off_pct": 100.0 * len(off) / n_significant, "r_lower_pct": 100.0 * n_lower / n_significant}


def tested(fit: deseq.DeseqFit, ask: Ask, columns: Any, typed: pd.DataFrame) -> pd.DataFrame:
    weights = contrast_weights(columns, typed, ask.compare, ask.within)
    if ask.kind == "lrt":
        return deseq.likelihood_ratio_test(fit, pd.DataFrame(model_matrix(ask.reduced, typed)), contrast=weights)
    return deseq.wald_test(fit, weights, lfc_threshold=ask.threshold, alternative=ask.alternative)


def count_rows() -> Iterator[Row]:
    """The rows of every set, after one R process went over all of them."""

    def write(folder: Path) -> None:
        for place, one in enumerate(count_sets()):
            write_set(one, folder / f"{place:02d}")

    with run_r("parity_counts.R", write) as folder:
        for place, one in enumerate(count_sets()):
            yield from compare(one, folder / f"{place:02d}")


def r_cpu_s(case: Case) -> float:
    """R's processor seconds for the fit and the first test of a shared set."""
    counts, samples = load_case(case)
    columns = [name.strip() for name in case.design.strip("~ ").split("+")]
    ordered = samples[columns].sort_values(case.reference[0])  # R takes levels in order of appearance
    factor, treated, control = next(iter(case.contrasts.values()))
    ask = Ask("first", f"contrast = c('{factor}', '{treated}', '{control}')")
    one = CountSet(case.folder, counts[ordered.index].to_numpy().T, ordered.astype(str), case.design, (ask,))
    with run_r("parity_counts.R", lambda folder: write_set(one, folder / "set")) as folder:
        return float((folder / "set" / "cpu.txt").read_text())
