"""Tables of reads of many characters, made up from fixed seeds or cut from the shared sets, for `parity`.

Each has a design that R and formulaic read alike, and the tests to be made, said once for R and once for us. None of
them was looked at while the engine was written: they say how it does on data it was not tuned on.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.parity_shared import CASES, COUNTS, load_case

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Ask:
    """One test: `r` are the arguments of R's results() as R text; `compare` and `within` are those of our contrast.

    kind          "wald" or "lrt", the latter against `reduced`
    threshold     log2, with R's name of the alternative
    shrink        R's name of the coefficient to shrink, or "" for none; `relevel` says "factor=level" if it needs one
    """

    name: str
    r: str
    compare: dict[str, tuple[str, ...]] = field(default_factory=dict)
    within: dict[str, str] = field(default_factory=dict)
    kind: Literal["wald", "lrt"] = "wald"
    reduced: str = ""
    threshold: float = 0.0
    alternative: Literal["greaterAbs", "lessAbs", "greater", "less"] = "greaterAbs"
    shrink: str = ""
    relevel: str = ""


@dataclass(frozen=True)
class CountSet:
    """counts (S, G); samples: text columns are factors with levels in order of appearance, numbers are covariates.

    normalisation   (S, G) factors instead of size factors, or None
    """

    name: str
    counts: Counts
    samples: pd.DataFrame
    design: str
    asks: tuple[Ask, ...]
    genes: tuple[str, ...] = ()
    normalisation: Floats | None = None


def two_groups(shrink: bool = True) -> tuple[Ask, ...]:
    """B against A of `condition`."""
    name = "condition_B_vs_A"
    return (
        Ask("B vs A", "contrast = c('condition', 'B', 'A')", {"condition": ("B", "A")}, shrink=name if shrink else ""),
    )


def of(**columns: Any) -> pd.DataFrame:
    """A table of samples."""
    table = pd.DataFrame(columns)
    return table.set_axis([f"s{k + 1:02d}" for k in range(len(table))])


def groups(*sizes: int) -> pd.DataFrame:
    return of(condition=[letter for letter, size in zip("ABCDEFGH", sizes, strict=False) for _ in range(size)])


@dataclass(frozen=True)
class Made:
    """How reads are made: each gene a mean, a dispersion about a trend, and effects of the design's columns.

    mean         median reads of a gene; `spread` of its natural log
    dispersion   (floor, extra at a mean of one), times exp(normal * scatter) and the mean to the `power`
    changed      share of genes a column changes, with this standard deviation of log2
    depth        standard deviation of the samples' log depth
    """

    n_genes: int = 8000
    mean: float = 90.0
    spread: float = 2.0
    dispersion: tuple[float, float] = (0.04, 3.0)
    scatter: float = 0.6
    power: float = 0.0
    changed: float = 0.2
    size: float = 1.0
    depth: float = 0.25

    def __call__(self, samples: pd.DataFrame, seed_of: str, effects: dict[str, Any] | None = None) -> Counts:
        """(S, G) reads. Every level but the first of every column, and every covariate's unit, changes some genes."""
        random = np.random.default_rng(zlib.crc32(seed_of.encode()))
        log_mean = np.log(self.mean) + self.spread * random.standard_normal(self.n_genes)
        eta = np.tile(log_mean, (len(samples), 1))
        for column in samples:
            values = samples[column]
            if values.dtype.kind in "if":
                parts = [((values - values.mean()) / values.std()).to_numpy()]
            else:
                parts = [(values == level).to_numpy(dtype=float) for level in list(dict.fromkeys(values))[1:]]
            for part in parts:
                moved = random.random(self.n_genes) < self.changed
                eta += part[:, None] * moved * self.size * np.log(2) * random.standard_normal(self.n_genes)
        depth = self.depth * random.standard_normal(len(samples))
        base = np.exp(log_mean)
        trend = (self.dispersion[0] + self.dispersion[1] / base) * base**self.power
        alpha = trend * np.exp(self.scatter * random.standard_normal(self.n_genes))
        mu = np.exp(eta + depth[:, None])
        return random.poisson(mu * random.gamma(1.0 / alpha, alpha, size=mu.shape)).astype(np.int64)


def simple(name: str, samples: pd.DataFrame, made: Made | None = None, design: str = "~ condition") -> CountSet:
    return CountSet(name, (made or Made())(samples, name), samples, design, two_groups())


def with_outliers(name: str, n_each: int, design: str = "~ condition") -> CountSet:
    """Every tenth gene has one count two hundred times too high, some of them in genes of few reads."""
    samples = groups(n_each, n_each)
    counts = Made(6000)(samples, name)
    random = np.random.default_rng(zlib.crc32(name.encode()) + 1)
    for gene in range(0, counts.shape[1], 10):
        sample = random.integers(len(samples))
        counts[sample, gene] = counts[sample, gene] * 200 + 500
    return CountSet(name, counts, samples, design, two_groups())


def on_and_off(name: str) -> CountSet:
    """A third of the genes is silent in one of the groups; some have a single read there."""
    samples = groups(3, 3)
    counts = Made(6000)(samples, name)
    random = np.random.default_rng(5)
    off = random.integers(0, 6, counts.shape[1])
    counts[:3, off == 0] = 0
    counts[3:, off == 1] = 0
    counts[0, off == 0] += (random.random((off == 0).sum()) < 0.3).astype(np.int64)
    return CountSet(name, counts, samples, "~ condition", two_groups())


def cells_summed(name: str) -> CountSet:
    """As sums of a few cells: shallow, three quarters of the table zero, a tenth of the depth between samples."""
    samples = of(condition=["A"] * 5 + ["B"] * 5, donor=[f"d{k}" for k in range(5)] * 2)
    made = Made(10000, mean=0.7, spread=2.0, dispersion=(0.15, 1.0), depth=1.0)
    return CountSet(name, made(samples, name), samples, "~ donor + condition", two_groups())


def three_levels(name: str, sizes: tuple[int, ...]) -> CountSet:
    samples = groups(*sizes)
    asks = [
        Ask(
            f"{a} vs {b}",
            f"contrast = c('condition', '{a}', '{b}')",
            {"condition": (a, b)},
            shrink=f"condition_{a}_vs_{b}",
            relevel="" if b == "A" else f"condition={b}",
        )
        for a, b in (("B", "A"), ("C", "A"), ("C", "B"))
    ]
    asks.append(Ask("LRT", "", kind="lrt", reduced="~ 1", compare={"condition": ("C", "A")}))
    return CountSet(name, Made()(samples, name), samples, "~ condition", tuple(asks))


def interaction(name: str) -> CountSet:
    samples = of(genotype=["wt"] * 6 + ["ko"] * 6, drug=(["no"] * 3 + ["yes"] * 3) * 2)
    both = Ask(
        "interaction",
        "name = 'genotypeko.drugyes'",
        {"genotype": ("ko", "wt"), "drug": ("yes", "no")},
        shrink="genotypeko.drugyes",
    )
    within = Ask(
        "drug in ko",
        "contrast = list(c('drug_yes_vs_no', 'genotypeko.drugyes'))",
        {"drug": ("yes", "no")},
        {"genotype": "ko"},
    )
    alone = Ask("drug in wt", "name = 'drug_yes_vs_no'", {"drug": ("yes", "no")}, shrink="drug_yes_vs_no")
    lrt = Ask("LRT", "", {"drug": ("yes", "no")}, kind="lrt", reduced="~ genotype + drug")
    crossed = samples.assign(both=[f"{g}{d}" for g, d in zip(samples["genotype"], samples["drug"], strict=True)])
    counts = Made()(crossed, name)
    return CountSet(name, counts, samples, "~ genotype + drug + genotype:drug", (both, within, alone, lrt))


def measured(name: str, design: str, columns: dict[str, Any], of_what: str) -> CountSet:
    samples = of(**columns)
    asks = [Ask(f"per {of_what}", f"name = '{of_what}'", {of_what: ()}, shrink=of_what)]
    if "condition" in samples:
        asks += two_groups()
    return CountSet(name, Made()(samples, name), samples, design, tuple(asks))


def time_course(name: str) -> CountSet:
    hours = ["0h", "2h", "6h", "12h", "24h"]
    samples = of(drug=["no"] * 10 + ["yes"] * 10, time=[h for _ in range(2) for h in hours for _ in range(2)])
    crossed = samples.assign(both=[f"{d}{t}" if d == "yes" else d for d, t in zip(*samples.T.to_numpy(), strict=True)])
    asks = (
        Ask("LRT of the interaction", "", {"time": ("24h", "0h")}, kind="lrt", reduced="~ drug + time"),
        Ask("LRT of all that time does", "", {"time": ("24h", "0h")}, kind="lrt", reduced="~ drug"),
        Ask("24 h vs 0 h", "contrast = c('time', '24h', '0h')", {"time": ("24h", "0h")}, shrink="time_24h_vs_0h"),
        Ask("24 h vs 6 h", "contrast = c('time', '24h', '6h')", {"time": ("24h", "6h")}),
    )
    return CountSet(name, Made(5000)(crossed, name), samples, "~ drug + time + drug:time", asks)


def levels_in_time(name: str, n_levels: int) -> CountSet:
    samples = groups(*[3] * n_levels)
    last = "ABCDEFGH"[n_levels - 1]
    asks = (
        Ask("LRT", "", {"condition": (last, "A")}, kind="lrt", reduced="~ 1"),
        Ask(f"{last} vs B", f"contrast = c('condition', '{last}', 'B')", {"condition": (last, "B")}),
    )
    return CountSet(name, Made()(samples, name), samples, "~ condition", asks)


def with_threshold(name: str) -> CountSet:
    samples = groups(4, 4)
    tried = (("greaterAbs", 1.0), ("greaterAbs", 0.3), ("lessAbs", 1.0), ("greater", 0.5), ("less", 0.5))
    asks = tuple(
        Ask(
            f"{alternative} {limit:g}",
            f"contrast = c('condition', 'B', 'A'), lfcThreshold = {limit:g}, altHypothesis = '{alternative}'",
            {"condition": ("B", "A")},
            threshold=limit,
            alternative=alternative,  # type: ignore[arg-type]
        )
        for alternative, limit in tried
    )
    return CountSet(name, Made(changed=0.6, size=2.0)(samples, name), samples, "~ condition", asks)


def with_lengths(name: str) -> CountSet:
    """Average transcript lengths that change between samples, as tximport gives them."""
    samples = groups(4, 4)
    counts = Made()(samples, name)
    random = np.random.default_rng(9)
    lengths = np.exp(0.2 * random.standard_normal(counts.shape)) * 1500.0
    factors = lengths / np.exp(np.log(lengths).mean(axis=0))
    sizes = np.exp(0.3 * random.standard_normal((8, 1)))
    return CountSet(name, counts, samples, "~ condition", two_groups(), normalisation=factors * sizes)


def cut_from_shared(name: str, folder: str, keep: Callable[[pd.DataFrame], Any], thin: float, genes: float) -> CountSet:
    """Some samples and genes of a shared set, its reads thinned to a share; two levels of its factor are compared."""
    case = next(case for case in CASES if case.folder == folder)
    counts, table = load_case(case)
    random = np.random.default_rng(zlib.crc32(name.encode()))
    factor, control = case.reference
    table = table[keep(table)].sort_values(factor)
    kept = random.random(len(counts)) < genes
    values = random.binomial(counts.loc[kept, table.index].to_numpy().T, thin).astype(np.int64)
    treated = str(table[factor].astype(str).iloc[-1])
    ask = Ask(
        f"{treated} vs {control}",
        f"contrast = c('{factor}', '{treated}', '{control}')",
        {factor: (treated, control)},
        shrink=f"{factor}_{treated}_vs_{control}",
    )
    plain = table[[factor]].astype(str)
    return CountSet(name, values, plain, f"~ {factor}", (ask,), tuple(counts.index[kept].astype(str)))


def count_sets() -> Iterator[CountSet]:
    """All of them, made one at a time."""
    yield simple("2 v 2", groups(2, 2))
    yield simple("3 v 3", groups(3, 3))
    yield simple("10 v 10", groups(10, 10))
    yield simple("2 v 6", groups(2, 6))
    yield simple("1 v 3", groups(1, 3))
    yield simple("40 samples", groups(20, 20), Made(5000))
    yield three_levels("three levels", (3, 3, 3))
    yield three_levels("three levels, 1, 3 and 2 samples", (1, 3, 2))
    for n_pairs, name in ((4, "4 pairs"), (3, "3 pairs (2 df)"), (2, "2 pairs (1 df)")):
        pairs = of(pair=list("pqrs"[:n_pairs]) * 2, condition=["A"] * n_pairs + ["B"] * n_pairs)
        yield simple(name, pairs, None, "~ pair + condition")
    batches = of(batch=["x", "x", "y", "y", "z", "z", "x", "y", "y", "z"], condition=["A"] * 5 + ["B"] * 5)
    yield simple("three batches", batches, None, "~ batch + condition")
    yield interaction("interaction")
    ages = [23.0, 31, 44, 58, 63, 29, 35, 47, 51, 70]
    yield measured("age and groups", "~ age + condition", {"age": ages, "condition": ["A", "B"] * 5}, "age")
    yield measured("dose alone", "~ dose", {"dose": [0.0, 0, 0, 1, 1, 1, 3, 3, 3, 10, 10, 10]}, "dose")
    yield measured("small slope", "~ level", {"level": [0.001 * k for k in (1, 2, 3, 5, 8, 13, 21, 22)]}, "level")
    yield cells_summed("sums of cells")
    yield simple("huge dispersion", groups(4, 4), Made(dispersion=(2.5, 5.0), scatter=0.8))
    yield simple("almost Poisson", groups(4, 4), Made(dispersion=(1e-4, 1e-4)))
    yield simple("Poisson", groups(3, 3), Made(dispersion=(1e-9, 1e-9), scatter=0.0))
    yield with_outliers("outliers, 8 v 8", 8)
    yield with_outliers("outliers, 4 v 4", 4)
    yield with_outliers("outliers, 3 v 3", 3)
    yield on_and_off("on or off")
    yield simple("depth 1 to 100", groups(4, 4), Made(mean=40.0, depth=1.3))
    yield simple("200 genes", groups(3, 3), Made(200))
    yield simple("60,000 genes, most silent", groups(3, 3), Made(60000, mean=0.05, spread=3.0))
    yield simple("every gene changed", groups(3, 3), Made(changed=1.0, size=2.0))
    yield simple("no gene changed", groups(4, 4), Made(changed=0.0))
    yield simple("very deep", groups(3, 3), Made(4000, mean=50000.0, spread=1.5))
    yield simple("dispersion that rises", groups(4, 4), Made(dispersion=(0.01, 0.0), power=0.5))
    yield time_course("time course")
    yield levels_in_time("four levels", 4)
    yield levels_in_time("five levels", 5)
    yield with_threshold("thresholds")
    yield with_lengths("transcript lengths")
    yield replace(simple("numbers as names", groups(3, 4), Made(5000)), genes=tuple(map(str, range(1, 5001))))
    if COUNTS.is_dir():
        first_two = lambda t: t["cell"].isin(sorted(t["cell"].unique())[:2])  # noqa: E731
        yield cut_from_shared("airway, 2 v 2", "airway_GSE52778", first_two, 1.0, 1.0)
        yield cut_from_shared("airway, a hundredth", "airway_GSE52778", lambda t: t.index != "", 0.01, 1.0)
        yield cut_from_shared("HOXA1, a tenth of the genes", "hoxa1_GSE37704", lambda t: t.index != "", 1.0, 0.1)
        single = lambda t: t["type"] == t["type"].iloc[-1]  # noqa: E731
        yield cut_from_shared("pasilla, one layout", "pasilla_GSE18508", single, 1.0, 1.0)
        two = lambda t: t["condition"] != "cond3"  # noqa: E731
        yield cut_from_shared("C. elegans, a twentieth", "celegans_3cond", two, 0.05, 1.0)
