"""A run's gene-set tests as plain arrays for table and plots, read in a child process. No Qt.

One `SetTest` for each question asked of the sets: more of them up, down or either way than chance gives, or together at
an end of the ranking. K sets a test, best first; N ranked genes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
TESTS = {"up": "Up", "down": "Down", "both": "Either way", "ranked": "Ranking"}
OVERLAP_COLUMNS = ("hits", "set_size", "fold_enrichment", "pvalue", "padj")
RANKED_COLUMNS = ("leading_edge", "set_size", "es", "nes", "pvalue", "padj")


@dataclass(frozen=True, slots=True)
class SetTest:
    """The sets of one test, all of one length K.

    columns          hits or leading_edge, set_size, fold_enrichment or es and nes, pvalue, padj; (K,) each
    representatives  the set that stands for each among the significant ones, "" for the others
    genes            the symbols of the hits, or of the leading edge
    """

    key: str
    set_ids: Sequence[str]
    names: Sequence[str]
    collections: Sequence[str]
    columns: Mapping[str, Floats]
    representatives: Sequence[str]
    genes: Sequence[Sequence[str]]

    @property
    def effect(self) -> str:
        """The column that says how strong: "nes" or "fold_enrichment"."""
        return "nes" if self.key == "ranked" else "fold_enrichment"

    @property
    def number(self) -> str:
        """The column that counts the genes found: "leading_edge" or "hits"."""
        return "leading_edge" if self.key == "ranked" else "hits"


@dataclass(frozen=True, slots=True)
class GeneSetResults:
    """All tests of a run, or `skipped`: why there are none.

    provenance   which sets and release; notes: the universe and what was lost on the way, one sentence each
    rows         set id → rows of the results that were tested and lead to a gene of the set
    places       set id → its genes' places in the ranking, ascending
    ranked       (N,) row of the results for each place; stat (N,) its statistic, the highest first
    """

    skipped: str = ""
    provenance: str = ""
    notes: tuple[str, ...] = ()
    alpha: float = 0.05
    tests: Mapping[str, SetTest] = field(default_factory=dict)
    rows: Mapping[str, Integers] = field(default_factory=dict)
    places: Mapping[str, Integers] = field(default_factory=dict)
    ranked: Integers = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    stat: Floats = field(default_factory=lambda: np.empty(0))

    def found_rows(self, test: SetTest, at: int, change: Floats, padj: Floats) -> Integers:
        """Rows of the genes that make the set stand out: its called genes of that direction, or its leading edge.

        change, padj   (G,) of the run's results
        """
        set_id = test.set_ids[at]
        if test.key == "ranked":
            places, n_leading = self.places[set_id], int(test.columns["leading_edge"][at])
            is_top = test.columns["es"][at] >= 0
            return self.ranked[places[:n_leading] if is_top else places[::-1][:n_leading]]
        rows = self.rows[set_id]
        with np.errstate(invalid="ignore"):
            called = padj[rows] < self.alpha
        if test.key == "both":
            return rows[called]
        return rows[called & ((change[rows] > 0) if test.key == "up" else (change[rows] < 0))]

    def running_score(self, set_id: str) -> tuple[Floats, Floats]:
        """The corners of the running score, places (M,) and score (M,), as the ranked test computed it.

        source   Subramanian et al. 2005, doi:10.1073/pnas.0506580102
        """
        places, n_genes = self.places[set_id], len(self.stat)
        weight = np.abs(self.stat[places])
        up = np.cumsum(weight) / weight.sum() if weight.sum() > 0 else np.arange(1, len(places) + 1) / len(places)
        missed = (places - np.arange(len(places))) / max(1, n_genes - len(places))
        before = np.concatenate([[0.0], up[:-1]]) - missed
        across = np.concatenate([[0.0], np.repeat(places, 2).astype(float), [float(n_genes)]])
        return across, np.concatenate([[0.0], np.column_stack([before, up - missed]).ravel(), [0.0]])


def load_gene_set_results(out_dir: Path, number: int = 0) -> GeneSetResults:
    """Read the gene sets of one contrast of a finished run. Raises the AppErrors of `queries.load_gene_sets`."""
    from desktop.studios.omics import queries

    view = queries.load_gene_sets(out_dir, number)
    if view.tables is None or view.members is None:
        return GeneSetResults(skipped=view.skipped)
    overlap, members = view.tables.overlap, view.members
    tests = {key: _test(key, overlap[overlap["direction"] == key]) for key in TESTS if key != "ranked"}
    tests["ranked"] = _test("ranked", view.tables.ranked)
    return GeneSetResults(
        provenance=view.provenance,
        notes=view.notes,
        alpha=view.alpha,
        tests={key: test for key, test in tests.items() if len(test.set_ids)},
        rows=dict(zip(members.set_ids, members.rows, strict=True)),
        places=dict(zip(members.set_ids, members.places, strict=True)),
        ranked=members.ranked,
        stat=members.stat,
    )


def _test(key: str, table: pd.DataFrame) -> SetTest:
    columns = RANKED_COLUMNS if key == "ranked" else OVERLAP_COLUMNS
    return SetTest(
        key=key,
        set_ids=tuple(table["set_id"]),
        names=tuple(table["name"]),
        collections=tuple(table["collection"]),
        columns={name: table[name].to_numpy(dtype=np.float64) for name in columns},
        representatives=tuple(table["representative"]),
        genes=tuple(tuple(one.split(";")) if one else () for one in table["genes"]),
    )
