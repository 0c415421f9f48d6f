"""The gene-set part of a finished run read back: both tables, and which genes each set means in the run's own rows.

Tests nothing: the ranking and the members are read with the functions that the script tested them with.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from desktop.studios.omics.gene_sets import GENE_MAP, GENE_SETS
from desktop.studios.omics.results import damaged, load_json, load_results_table, load_table, to_numbers

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_matrix

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
OVERLAP_NUMBERS = ("hits", "study_size", "set_size", "universe_size", "fold_enrichment", "pvalue", "padj")
RANKED_NUMBERS = ("set_size", "n_ranked", "es", "nes", "null_beyond", "pvalue", "padj", "leading_edge")


@dataclass(frozen=True, slots=True)
class Enrichment:
    """Gene-set tests as written, with empty cells as NaN: `overlap` one row a direction and set, `ranked` one a set."""

    overlap: pd.DataFrame
    ranked: pd.DataFrame


@dataclass(frozen=True, slots=True)
class SetMembers:
    """Which genes the tested sets hold. K sets in the order of `set_ids`, N ranked genes.

    rows      for each set the rows of results.csv that lead to one of its genes and were tested, ascending
    places    for each set its genes' places in the ranking, ascending
    ranked    (N,) the row of results.csv that ranks each gene, the highest statistic first; stat (N,) its statistic
    """

    set_ids: list[str]
    rows: list[Integers]
    places: list[Integers]
    ranked: Integers
    stat: Floats


def load_enrichment(out_dir: Path) -> Enrichment:
    """enrichment.csv and enrichment_ranked.csv of a run whose summary says that gene sets were tested."""
    texts = ("set_id", "name", "collection", "representative", "genes")
    overlap = load_table(out_dir / "enrichment.csv", texts=(*texts, "direction", "key"))
    ranked = load_table(out_dir / "enrichment_ranked.csv", texts=texts)
    for table, path, names in (
        (overlap, out_dir / "enrichment.csv", OVERLAP_NUMBERS),
        (ranked, out_dir / "enrichment_ranked.csv", RANKED_NUMBERS),
    ):
        if not set(names) <= set(table.columns):
            raise damaged(path, "it lacks columns")
        to_numbers(table[list(names)], path)
    return Enrichment(overlap, ranked)


def load_members(out_dir: Path, contrast_dir: Path) -> SetMembers:
    """The genes of the sets that were tested, as rows of results.csv. DamagedRunError as `load_enrichment`.

    contrast_dir   where the contrast's own tables lie: `out_dir` itself for the first one
    """
    import pandas as pd
    from scipy.sparse import csr_matrix

    from desktop.studios.omics.steps.enrichment import most_read_last, pairs_of_tested, ranking, read_gene_sets

    results = load_results_table(contrast_dir)
    results["row"] = np.arange(len(results))
    for name in (GENE_MAP, GENE_SETS):
        if not (out_dir / name).is_file():
            raise damaged(out_dir / name, "it is missing")
    try:
        gene_map = pd.read_csv(out_dir / GENE_MAP, dtype=str, keep_default_na=False)
        sets = read_gene_sets(out_dir / GENE_SETS, gene_map)
    except (OSError, EOFError, ValueError, KeyError, IndexError) as error:
        raise damaged(out_dir / GENE_SETS, "it and the map of genes are no gene sets") from error
    told = load_json(contrast_dir / "summary.json").get("enrichment")
    one_each = isinstance(told, dict) and told.get("one_each") is True
    pairs, column = pairs_of_tested(results, gene_map, sets, one_each=one_each)
    row_of: Integers = np.full(len(sets.genes), -1, dtype=np.int64)
    stat: Floats = np.full(len(sets.genes), np.nan)
    by_reads = most_read_last(pairs)
    row_of[column[by_reads]] = pairs["row"].to_numpy()[by_reads]
    stat[column[by_reads]] = pairs["stat"].to_numpy()[by_reads]
    order = ranking(sets, stat)
    place: Integers = np.full(len(sets.genes), -1, dtype=np.int64)
    place[order] = np.arange(len(order))
    leads_to = csr_matrix((np.ones(len(pairs)), (column, pairs["row"])), shape=(len(sets.genes), len(results)))
    rows = _held(sets.members @ leads_to)
    places = [np.sort(here[here >= 0]) for here in (place[columns] for columns in _held(sets.members))]
    return SetMembers([str(one) for one in sets.ids], rows, places, row_of[order], stat[order])


def _held(members: csr_matrix) -> list[Integers]:
    """For each set its columns, ascending."""
    members.sort_indices()
    return [np.asarray(one, dtype=np.int64) for one in np.split(members.indices, members.indptr[1:-1])]
