"""Moderated t and F beside limma on made-up intensities of many characters: the arrays' part of `benchmarks.parity`.

R's side is `parity_arrays.R`. Both get the same values and the same design matrix.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.r_process import run_r
from desktop.studios.omics.steps.moderated_t import fit_intensities, moderated_f_test, moderated_t_test
from desktop.studios.omics.steps.sample_weights import sample_weights

Floats = NDArray[np.float64]
Row = dict[str, Any]


@dataclass(frozen=True)
class ArraySet:
    """values (S, G) log2, NaN where missing; design (S, P), its last column tested unless `contrast` says otherwise.

    tested   columns left out by the reduced design of an F test; none for a t test
    """

    name: str
    values: Floats
    design: Floats
    contrast: tuple[float, ...] = ()
    tested: tuple[int, ...] = ()
    block: tuple[int, ...] = ()
    weigh: bool = False
    trend: bool = False
    robust: bool = False
    threshold: float = 0.0

    @property
    def weights(self) -> Floats:
        return np.array(self.contrast or [0.0] * (self.design.shape[1] - 1) + [1.0])


def two_groups(*sizes: int) -> Floats:
    return np.column_stack([np.ones(sum(sizes)), np.repeat([0.0, 1.0], sizes)])


def of_levels(n_levels: int, n_each: int) -> Floats:
    level = np.repeat(np.arange(n_levels), n_each)
    return np.column_stack([np.ones(len(level)), *(level == k for k in range(1, n_levels))]).astype(float)


def paired(n_pairs: int) -> Floats:
    pair = np.tile(np.arange(n_pairs), 2)
    columns = [np.ones(2 * n_pairs), *(pair == k for k in range(1, n_pairs)), np.repeat([0.0, 1.0], n_pairs)]
    return np.column_stack(columns).astype(float)


def intensities(
    name: str, design: Floats, n_genes: int = 4000, prior_df: float = 4.0, missing: float = 0.0, wild: float = 0.0,
    block: Any = None, poor: int = 0, rising: float = 0.0,
) -> Floats:  # fmt: skip
    """(S, G) values: variances scaled inverse chi-square, a tenth of the genes changed by every column.

    missing   share of spots, more of them among faint genes     wild    share of genes that vary ten times more
    block     of each sample: half of the variance is theirs     poor    so many samples vary three times more
    rising    how much log variance falls with the mean
    """
    random = np.random.default_rng(zlib.crc32(name.encode()))
    n_samples = len(design)
    mean = random.gamma(4.0, 2.0, n_genes)
    spread = np.full(n_genes, 0.3)
    if np.isfinite(prior_df):
        spread = np.sqrt(0.1 * prior_df / random.chisquare(prior_df, n_genes))
    spread = spread * np.exp(-rising * (mean - 8.0))
    spread[random.random(n_genes) < wild] *= 10.0
    scale = np.ones(n_samples)
    scale[:poor] = 3.0
    noise = random.standard_normal((n_samples, n_genes)) * scale[:, None]
    if block is not None:
        labels = np.asarray(block)
        noise += random.standard_normal((labels.max() + 1, n_genes))[labels]
    effects = random.standard_normal((design.shape[1], n_genes)) * (random.random((design.shape[1], n_genes)) < 0.1)
    effects[0] = mean
    values = np.asarray(design @ effects + spread * noise)
    if missing:
        chance = missing * 2.0 / (1.0 + np.exp(values - np.median(values)))
        values[random.random(values.shape) < chance] = np.nan
    return values


def array_sets() -> Iterator[ArraySet]:
    def made(name: str, design: Floats, *, of: dict[str, Any] | None = None, **options: Any) -> ArraySet:
        return ArraySet(name, intensities(name, design, **(of or {})), design, **options)

    gaps: dict[str, Any] = {"missing": 0.1}
    wild: dict[str, Any] = {"wild": 0.03, "rising": 0.1}
    both: dict[str, Any] = {"robust": True, "trend": True}
    yield made("2 v 2", two_groups(2, 2))
    yield made("3 v 3, trend", two_groups(3, 3), of={"rising": 0.1}, trend=True)
    yield made("3 v 5, robust", two_groups(3, 5), of={"wild": 0.03}, robust=True)
    yield made("4 v 4, trend and robust", two_groups(4, 4), of={"wild": 0.03, "rising": 0.1}, trend=True, robust=True)
    yield made("variances alike", two_groups(4, 4), of={"prior_df": np.inf})
    yield made("variances alike, robust", two_groups(4, 4), of={"prior_df": np.inf, "wild": 0.02}, robust=True)
    yield made("variances alike, robust, none wild", two_groups(4, 4), of={"prior_df": np.inf}, robust=True)
    yield made("200 genes, robust", two_groups(3, 3), of={"n_genes": 200, "wild": 0.05}, robust=True)
    yield made("8 genes, robust, trend", two_groups(3, 3), of={"n_genes": 8}, robust=True, trend=True)
    yield made("5 pairs", paired(5))
    yield made("4 levels, C vs B", of_levels(4, 3), contrast=(0.0, -1.0, 1.0, 0.0))
    yield made("4 levels, F", of_levels(4, 3), tested=(1, 2, 3))
    yield made("age", np.column_stack([np.ones(9), [23.0, 31, 44, 58, 63, 29, 35, 47, 51]]))
    yield made("threshold", two_groups(4, 4), threshold=0.5)
    yield made("threshold, robust, trend", two_groups(4, 4), threshold=0.3, robust=True, trend=True, of={"wild": 0.02})
    yield made("values missing", two_groups(4, 4), of=gaps)
    yield made("values missing, trend", two_groups(4, 4), of={**gaps, "rising": 0.1}, trend=True)
    yield made("values missing, robust", two_groups(4, 4), of={**gaps, "wild": 0.03}, robust=True)
    yield made("values missing, both", two_groups(4, 4), of=gaps | wild, **both)
    yield made("half missing, 3 v 3", two_groups(3, 3), of={"missing": 0.5})
    yield made("values missing, pairs", paired(4), of={"missing": 0.15})
    yield made("values missing, 4 levels", of_levels(4, 2), of={"missing": 0.3})
    donors = (0, 0, 1, 1, 2, 2, 3, 4, 5, 5)
    crossed = np.column_stack([np.ones(10), [0.0, 1] * 5])
    yield made("blocks", crossed, of={"block": donors}, block=donors)
    yield made("blocks, values missing", crossed, of={"block": donors, **gaps}, block=donors)
    yield made("blocks, robust, trend", crossed, of={"block": donors, **wild}, block=donors, **both)
    thrice = tuple(np.repeat(np.arange(4), 3).tolist())
    yield made("blocks within groups", two_groups(6, 6), of={"block": thrice}, block=thrice)
    yield made("arrays weighed", two_groups(5, 5), of={"poor": 2}, weigh=True)
    yield made("arrays weighed, robust, trend", two_groups(4, 4), of={"poor": 1, **wild}, weigh=True, **both)
    yield made("arrays weighed, pairs", paired(5), of={"poor": 2}, weigh=True)
    yield made("arrays weighed, values missing", two_groups(5, 5), of={"poor": 2, **gaps}, weigh=True)
    yield made("arrays weighed, 4 levels, F", of_levels(4, 3), of={"poor": 1}, weigh=True, tested=(1, 2, 3))


def r_text(one: ArraySet) -> str:
    def vector(values: Any) -> str:
        return "c(" + ", ".join(repr(value) for value in values) + ")" if len(values) else "NULL"

    flags = {"weigh": one.weigh, "trend": one.trend, "robust": one.robust}
    lines = [f"{name} <- {str(value).upper()}" for name, value in flags.items()]
    lines += [f"contrast <- {vector(one.weights.tolist())}", f"block <- {vector(one.block)}"]
    lines += [f"tested <- {vector([k + 1 for k in one.tested])}", f"threshold <- {one.threshold}"]
    return "\n".join(lines) + "\n"


def compare(one: ArraySet, folder: Path) -> Row:
    """Largest relative differences of t and p (absolute below 1), and of the masks of p."""
    r = pd.read_csv(folder / "t.csv")
    began = time.process_time()
    design = pd.DataFrame(one.design)
    fit = fit_intensities(
        one.values,
        design,
        trend=one.trend,
        robust=one.robust,
        block=np.array(one.block) if one.block else None,
        weights=sample_weights(one.values, one.design) if one.weigh else None,
    )
    table = moderated_t_test(fit, one.weights, lfc_threshold=one.threshold)
    if one.tested:
        kept = [k for k in range(one.design.shape[1]) if k not in one.tested]
        table = table.assign(**moderated_f_test(fit, design.iloc[:, kept]))
    cpu_s = time.process_time() - began
    both = (table["pvalue"].notna() & r["p"].notna()).to_numpy()

    def off(ours: str, theirs: str, *, floor: float) -> float:
        a, b = table[ours].to_numpy()[both], r[theirs].to_numpy()[both]
        return float((np.abs(a - b) / np.maximum(np.abs(b), floor)).max())

    return {
        "set": one.name,
        "n": int((r["padj"] < 0.05).sum()),
        "n_ours": int((table["padj"] < 0.05).sum()),
        "t": off("stat", "t", floor=1.0),
        "p": off("pvalue", "p", floor=1e-300),
        "padj": off("padj", "padj", floor=1e-300),
        "mask": int((table["pvalue"].isna() != r["p"].isna()).sum()),
        "cpu": f"{cpu_s:.2f} / {float((folder / 'cpu.txt').read_text()):.2f}",
    }


def array_rows(names: tuple[str, ...] = ()) -> Iterator[Row]:
    """A row for each set, made by R and by us in this run."""
    chosen = [one for one in array_sets() if not names or one.name in names]

    def write(folder: Path) -> None:
        for place, one in enumerate(chosen):
            here = folder / f"{place:02d}"
            here.mkdir()
            samples = [f"s{k}" for k in range(len(one.values))]
            values = pd.DataFrame(one.values.T, columns=samples)
            values.to_csv(here / "values.tsv", sep="\t", float_format="%.17g", na_rep="NA")
            pd.DataFrame(one.design).to_csv(here / "design.tsv", sep="\t", float_format="%.17g")
            (here / "case.R").write_text(r_text(one), encoding="utf-8")

    with run_r("parity_arrays.R", write) as folder:
        for place, one in enumerate(chosen):
            yield compare(one, folder / f"{place:02d}")
