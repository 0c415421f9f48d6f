"""Ranked gene sets beside fgsea, over-representation beside R's phyper: the gene sets' part of `benchmarks.parity`.

R's side is `parity_gene_sets.R`. fgsea's p and ours are both drawn at random, so they are held to factors, not digits.
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
from scipy.sparse import csr_matrix
from scipy.stats import spearmanr

from benchmarks.r_process import run_r
from desktop.studios.omics.steps.enrichment import GeneSets, over_representation, ranked_enrichment

Row = dict[str, Any]


@dataclass(frozen=True)
class RankedList:
    """stat (U,) of the genes, and 0/1 members (K, U) of the sets; the genes far out are called."""

    name: str
    stat: NDArray[np.float64]
    members: NDArray[np.bool_]

    @property
    def called(self) -> NDArray[np.bool_]:
        return np.asarray(np.abs(self.stat) > np.quantile(np.abs(self.stat), 0.9))


def made(name: str, n_genes: int, n_sets: int, moved: float, tails: float) -> RankedList:
    """A third of the sets is drawn towards one end (`moved`); `tails` the degrees of freedom of the statistics."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    stat = random.standard_t(tails, n_genes)
    members = np.zeros((n_sets, n_genes), dtype=bool)
    for row in range(n_sets):
        size = int(np.exp(random.uniform(np.log(10), np.log(min(480, n_genes / 3)))))
        pull = moved * random.choice([-1.0, 0.0, 1.0])
        weight = np.exp(pull * np.clip(stat, -4, 4))
        members[row, random.choice(n_genes, size, replace=False, p=weight / weight.sum())] = True
    return RankedList(name, stat, members)


def ranked_lists() -> Iterator[RankedList]:
    yield made("12,000 genes, 400 sets", 12000, 400, 0.25, 8.0)
    yield made("strong sets", 8000, 300, 0.8, 8.0)
    yield made("nothing in it", 8000, 300, 0.0, 8.0)
    yield made("heavy tails", 8000, 300, 0.3, 2.0)
    yield made("600 genes", 600, 100, 0.4, 8.0)


def compare(one: RankedList, folder: Path) -> Row:
    names = np.array([f"g{k}" for k in range(len(one.stat))])
    ids = np.array([f"s{k}" for k in range(len(one.members))])
    sets = GeneSets(
        ids=ids,
        names=ids,
        collections=np.repeat("A", len(ids)),
        genes=names,
        members=csr_matrix(one.members.astype(float)),
        is_annotated={"A": one.members.any(axis=0)},
    )
    over = over_representation(sets, np.ones(len(names), dtype=bool), one.called)
    r = pd.read_csv(folder / "over.csv").set_index("id").loc[ids[over["row"].astype(int)]]
    row: Row = {
        "set": one.name,
        "over_p": float((np.abs(over["pvalue"].to_numpy() - r["p"].to_numpy()) / r["p"].to_numpy()).max()),
        "over_padj": float((np.abs(over["padj"].to_numpy() - r["padj"].to_numpy()) / r["padj"].to_numpy()).max()),
    }
    if not (folder / "ranked.csv").exists():
        return row
    began = time.process_time()
    ours = ranked_enrichment(sets, one.stat)[0]
    cpu_s = time.process_time() - began
    r = pd.read_csv(folder / "ranked.csv").set_index("id").loc[ids[ours["row"].astype(int)]].reset_index()
    known = (r["p"].notna() & (r["p"] > 1e-8)).to_numpy()
    ratio = np.log10(ours["pvalue"].to_numpy()[known] / r["p"].to_numpy()[known])
    a, b = ours["padj"].to_numpy() < 0.05, r["padj"].to_numpy() < 0.05
    return row | {
        "n_r": int(b.sum()),
        "n_ours": int(a.sum()),
        "jaccard": float((a & b).sum() / (a | b).sum()) if (a | b).any() else 1.0,
        "es": float(np.abs(ours["es"].to_numpy() - r["es"].to_numpy()).max()),
        "nes": float(np.nanquantile(np.abs(ours["nes"].to_numpy() / r["nes"].to_numpy() - 1.0), 0.95)),
        "leading": int((ours["leading"].to_numpy() != r["n_leading"].to_numpy()).sum()),
        "spearman": float(spearmanr(ours["pvalue"], r["p"], nan_policy="omit")[0]),
        "ratio_low": float(10 ** np.quantile(ratio, 0.05)),
        "ratio_high": float(10 ** np.quantile(ratio, 0.95)),
        "cpu": f"{cpu_s:.1f} / {float((folder / 'cpu.txt').read_text()):.1f}",
    }


def gene_set_rows() -> Iterator[Row]:
    """A row for each list, by R and by us in this run."""
    lists = list(ranked_lists())

    def write(folder: Path) -> None:
        for place, one in enumerate(lists):
            here = folder / f"{place:02d}"
            here.mkdir()
            genes = [f"g{k}" for k in range(len(one.stat))]
            table = pd.DataFrame({"gene": genes, "stat": one.stat, "called": one.called})
            table.to_csv(here / "stats.tsv", sep="\t", index=False, float_format="%.17g")
            lines = [
                "\t".join([f"s{row}", "A", *(genes[k] for k in np.flatnonzero(held))])
                for row, held in enumerate(one.members)
            ]
            (here / "sets.gmt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    with run_r("parity_gene_sets.R", write) as folder:
        for place, one in enumerate(lists):
            yield compare(one, folder / f"{place:02d}")
