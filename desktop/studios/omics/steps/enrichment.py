"""Which gene sets hold more changed genes than chance gives: over-representation, and ranks over all genes.

Two questions, one population. Over-representation asks whether the called genes (up, down, both) are more often in a
set than other tested genes are; the ranked test asks whether a set's genes lie together at an end of the list of all
tested genes ordered by their test statistic. Genes here are what `gene_map` calls them, Entrez ids for human data: the
map from the table's own identifiers and the sets are read from two files that travel with the script. `script.py`
copies this file into every script, so it imports nothing of Benchtop. Not a source of gene sets; it maps no identifier.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.stats import hypergeom

Matrix = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

MIN_SET, MAX_SET = 10, 500  # genes of a set that were tested; smaller ones have no power, larger ones say little
N_PERMUTATIONS = 4000
SEED = 20220701
MIN_P = 1e-10  # of the ranked test
OVERLAP_COLUMNS = ["row", "hits", "study_size", "set_size", "universe_size", "fold_enrichment", "pvalue", "padj"]
RANKED_COLUMNS = ["row", "set_size", "n_ranked", "es", "nes", "null_beyond", "pvalue", "padj", "leading"]
MIN_JACCARD = 0.5  # sets that share half of their hits are told once


@dataclass(frozen=True, slots=True)
class GeneSets:
    """K sets over U genes: `members` (K, U) is 0 or 1; `is_annotated` collection -> (U,) genes it says anything of."""

    ids: NDArray[np.str_]
    names: NDArray[np.str_]
    collections: NDArray[np.str_]
    genes: NDArray[np.str_]
    members: csr_matrix
    is_annotated: dict[str, Booleans]


def read_gene_sets(path: Path, gene_map: pd.DataFrame) -> GeneSets:
    """The sets of a gzipped GMT file (id, "COLLECTION name", genes), with the genes of `gene_map` as their population.

    gene_map   gene_id, gene, symbol, collections ("BP CC"): one row for each pair of identifier and gene
    """
    once = gene_map.drop_duplicates("gene")
    genes = once["gene"].to_numpy(dtype=str)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    column = pd.Index(genes).get_indexer(pd.Index([gene for row in rows for gene in row[2:]], dtype=object))
    row_of = np.repeat(np.arange(len(rows)), [len(row) - 2 for row in rows])[column >= 0]
    column = column[column >= 0]
    members = csr_matrix((np.ones(len(column)), (row_of, column)), shape=(len(rows), len(genes)))
    members.data[:] = 1.0  # a gene named twice counts once
    collections = np.array([row[1].split(" ", 1)[0] for row in rows], dtype=str)
    said = [set(text.split()) for text in once["collections"]]
    return GeneSets(
        ids=np.array([row[0] for row in rows], dtype=str),
        names=np.array([row[1].split(" ", 1)[-1] for row in rows], dtype=str),
        collections=collections,
        genes=genes,
        members=members,
        is_annotated={name: np.array([name in one for one in said], dtype=bool) for name in np.unique(collections)},
    )


def adjusted(pvalue: Matrix) -> Matrix:
    """p values (K,) adjusted by Benjamini and Hochberg; all of them are counted as tests."""
    order = np.argsort(pvalue, kind="stable")[::-1]
    n_tests = len(pvalue)
    steps = pvalue[order] * n_tests / np.arange(n_tests, 0, -1)
    result: Matrix = np.empty(n_tests)
    result[order] = np.minimum(np.minimum.accumulate(steps), 1.0)
    return result


def over_representation(sets: GeneSets, universe: Booleans, study: Booleans) -> pd.DataFrame:
    """One row a set with MIN_SET to MAX_SET genes in its population: hits, sizes, one-sided hypergeometric p, padj.

    universe   (U,) genes that were tested; the population of a set is what its collection annotates of them
    study      (U,) called genes; those outside the population count neither as hits nor as drawn
    padj is adjusted within the collection.
    """
    tables = []
    for name, annotated in sets.is_annotated.items():
        population = universe & annotated
        drawn = study & population
        rows = np.flatnonzero(sets.collections == name)
        part = sets.members[rows]
        size = np.rint(part @ population.astype(float)).astype(np.int64)
        kept = (size >= MIN_SET) & (size <= MAX_SET)
        rows, size = rows[kept], size[kept]
        if not drawn.any() or not len(rows):
            continue
        hits = np.rint(part[kept] @ drawn.astype(float)).astype(np.int64)
        n_population, n_drawn = int(population.sum()), int(drawn.sum())
        cases, which = np.unique(np.column_stack([hits, size]), axis=0, return_inverse=True)  # many sets are alike
        pvalue = np.minimum(hypergeom.sf(cases[:, 0] - 1, n_population, cases[:, 1], n_drawn), 1.0)[which]
        tables.append(
            pd.DataFrame(
                {
                    "row": rows,
                    "hits": hits,
                    "study_size": n_drawn,
                    "set_size": size,
                    "universe_size": n_population,
                    "fold_enrichment": hits * n_population / (n_drawn * size),
                    "pvalue": pvalue,
                    "padj": adjusted(pvalue),
                }
            )
        )
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame({name: [] for name in OVERLAP_COLUMNS})


def extremes(position: Integers, weight: Matrix, n_genes: int) -> tuple[Matrix, Integers]:
    """Running scores' largest deviation from 0, and at which of the set's genes, for P sets of k genes each.

    position   (P, k) ascending places in the ranked list of `n_genes`, best first
    weight     (n_genes,) what a gene of the set adds, its |statistic|; if a set's genes weigh nothing, all count alike
    returns    score (P,) in [-1, 1] and index (P,) of the gene at the extreme
    source     Subramanian et al. 2005, doi:10.1073/pnas.0506580102
    """
    n_sets, k = position.shape
    up = np.cumsum(weight[position], axis=1)
    total = up[:, -1:].copy()
    if not (total > 0).all():
        up = np.where(total > 0, up, np.arange(1, k + 1))
        total = np.where(total > 0, total, float(k))
    up /= total
    missed = (position - np.arange(k)) / max(1, n_genes - k)
    after = up - missed
    top_at = after.argmax(axis=1)
    one = np.arange(n_sets)
    top = after[one, top_at]
    before = after  # the score just before each gene: what the gene itself adds is taken off again
    before[:, 1:] = up[:, :-1] - missed[:, 1:]
    before[:, 0] = -missed[:, 0]
    low_at = before.argmin(axis=1)
    low = before[one, low_at]
    is_up = top >= -low
    return np.where(is_up, top, low), np.where(is_up, top_at, low_at)


def size_grid(sizes: Integers) -> Integers:
    """Set sizes whose null is drawn: every size to 40, then in steps of 5 %; within the sizes that occur."""
    grid, size = [], float(sizes.min())
    while round(size) < sizes.max():
        grid.append(round(size))
        size = size + 1 if size < 40 else size * 1.05
    return np.array([*grid, int(sizes.max())], dtype=np.int64)


def null_scores(weight: Matrix, grid: Integers, n_permutations: int, seed: int) -> Matrix:
    """Scores of random sets, (len(grid), n_permutations): genes drawn without replacement, one stream of draws."""
    n_genes, largest = len(weight), int(grid.max())
    random = np.random.default_rng(seed)
    drawn = np.empty((n_permutations, largest), dtype=np.uint16 if n_genes <= 65535 else np.int64)
    for one in range(n_permutations):
        drawn[one] = random.choice(n_genes, largest, replace=False)
    scores: Matrix = np.empty((len(grid), n_permutations))
    for at, size in enumerate(grid):
        step = max(1, 400_000 // int(size))  # about 3 MB at a time stays in the processor's cache
        for start in range(0, n_permutations, step):
            position = np.sort(drawn[start : start + step, :size], axis=1).astype(np.int64)
            scores[at, start : start + step] = extremes(position, weight, n_genes)[0]
    return scores


def tail_probability(tail: Matrix, score: Matrix) -> tuple[Matrix, Integers]:
    """P(null >= score) for scores in (0, 1], and how many null scores lie as far out.

    tail   (N,) null scores of one sign, ascending
    With 10 or more beyond it is (1 + beyond) / (1 + N). Farther out the permutations say too little, so -log(1 - x²) is
    taken as exponential over the top 6 % (a Brownian bridge's x² is; the logarithm keeps a score below 1). Against
    half a million draws this is 1 to 2.5 times the true p down to 3e-5. Nothing below MIN_P is claimed.
    """
    n_null = len(tail)
    beyond = n_null - np.searchsorted(tail, score, side="left")
    counted = (1 + beyond) / (1 + n_null)
    n_top = round(0.06 * n_null)
    if n_top < 30:
        return counted, beyond
    depth = -np.log1p(-(np.minimum(tail[-n_top - 1 :], 1 - 1e-9) ** 2))
    mean_excess = float((depth[1:] - depth[0]).mean())
    far = -np.log1p(-(np.minimum(score, 1 - 1e-9) ** 2)) - depth[0]
    drawn_out = n_top / n_null * np.exp(-np.maximum(far, 0.0) / max(mean_excess, 1e-12))
    return np.where(beyond >= 10, counted, np.clip(drawn_out, MIN_P, counted)), beyond


def pairs_of_tested(
    results: pd.DataFrame, gene_map: pd.DataFrame, sets: GeneSets, *, one_each: bool = False
) -> tuple[pd.DataFrame, Integers]:
    """The rows of `results` with a p value beside each gene they lead to, and that gene's column in the sets.

    one_each   as for probes: one that leads to several genes is left out, and of a gene's others the one with the
               highest average stands for it
    """
    tested = results[results["pvalue"].notna()]
    pairs = gene_map[["gene_id", "gene"]].merge(tested, on="gene_id")
    if one_each:
        pairs = pairs[~pairs["gene_id"].duplicated(keep=False)]
        pairs = pairs.iloc[most_read_last(pairs)].drop_duplicates("gene", keep="last").sort_index()
    column_of = pd.Series(np.arange(len(sets.genes)), index=sets.genes)
    return pairs, column_of.reindex(pairs["gene"]).to_numpy(dtype=np.int64)


def most_read_last(pairs: pd.DataFrame) -> Integers:
    """The order of pairs in which the last one of a gene is the identifier with the most reads, which ranks it."""
    order: Integers = np.lexsort((pairs["gene_id"].to_numpy(dtype=str), -pairs["base_mean"].to_numpy()))[::-1]
    return order


def ranking(sets: GeneSets, stat: Matrix) -> Integers:
    """Columns of the annotated genes that have a statistic (U,), the highest first."""
    annotated = np.any(list(sets.is_annotated.values()), axis=0) if sets.is_annotated else np.zeros(len(stat), bool)
    ranked = np.flatnonzero(np.isfinite(stat) & annotated)
    order: Integers = ranked[np.lexsort((ranked, -stat[ranked]))]
    return order


def ranked_enrichment(
    sets: GeneSets, stat: Matrix, *, n_permutations: int = N_PERMUTATIONS, seed: int = SEED
) -> tuple[pd.DataFrame, Integers]:
    """One row a set with MIN_SET to MAX_SET ranked genes: es, nes, permutation p, padj, the leading edge.

    stat      (U,) the genes' statistic; NaN for genes that are not ranked
    returns   the table, with `leading` = a set's first or last so many ranked genes and `null_beyond` = null scores of
              the same sign that lie as far out; and the order of the ranked genes
    The null are random sets of the same size from the ranked genes (above 40 genes of a size within 2.5 %, the score
    scaled by the square root). padj is adjusted within the collection.
    """
    order = ranking(sets, stat)
    members = sets.members[:, order].tocsr()
    members.sort_indices()
    size = np.diff(members.indptr)
    rows = np.flatnonzero((size >= MIN_SET) & (size <= min(MAX_SET, len(order) - 1)))
    if not len(rows):
        return pd.DataFrame({name: [] for name in RANKED_COLUMNS}), order
    weight = np.abs(stat[order])
    score, at = np.empty(len(rows)), np.empty(len(rows), dtype=np.int64)
    for k in np.unique(size[rows]):
        same = np.flatnonzero(size[rows] == k)
        first = members.indptr[rows[same]]
        position = members.indices[first[:, None] + np.arange(k)].astype(np.int64)
        score[same], at[same] = extremes(position, weight, len(order))
    grid = size_grid(size[rows])
    null = null_scores(weight, grid, n_permutations, seed)
    nearest = np.abs(np.log(size[rows])[:, None] - np.log(grid)).argmin(axis=1)
    pvalue, nes, beyond = np.ones(len(rows)), np.zeros(len(rows)), np.zeros(len(rows), dtype=np.int64)
    for g in np.unique(nearest):
        here = np.flatnonzero(nearest == g)
        for sign in (1.0, -1.0):
            tail = np.sort(null[g][null[g] * sign > 0] * sign)
            mine = here[score[here] * sign > 0]
            if not len(tail) or not len(mine):
                continue
            scaled = np.minimum(score[mine] * sign * np.sqrt(size[rows][mine] / grid[g]), 1.0)
            pvalue[mine], beyond[mine] = tail_probability(tail, scaled)
            nes[mine] = sign * scaled / tail.mean()
    table = pd.DataFrame({"row": rows, "set_size": size[rows], "n_ranked": len(order), "es": score, "nes": nes})
    table["null_beyond"] = beyond
    table["pvalue"] = pvalue
    table["padj"] = 1.0
    for name in sets.is_annotated:
        here = sets.collections[rows] == name
        table.loc[here, "padj"] = adjusted(pvalue[here])
    table["leading"] = np.where(score >= 0, at + 1, size[rows] - at)
    return table, order


def representatives(hits: list[Integers]) -> Integers:
    """For sets given best first, which earlier set stands for each (itself if none): Jaccard of their hits >= 0.5.

    hits      the set's hits as gene columns
    returns   (K,) index of the set that stands for it; only sets that stand for themselves stand for others
    """
    if not hits:
        return np.zeros(0, dtype=np.int64)
    ends = np.cumsum([0] + [len(one) for one in hits])
    flat = np.concatenate(hits)
    held = csr_matrix((np.ones(len(flat)), flat, ends), shape=(len(hits), int(flat.max(initial=0)) + 1))
    size = np.diff(ends)
    shared = (held @ held.T).tocsr()
    result = np.arange(len(hits))
    for one in range(len(hits)):
        if result[one] != one:
            continue
        row = slice(shared.indptr[one], shared.indptr[one + 1])
        other, n_shared = shared.indices[row], shared.data[row]
        alike = n_shared >= MIN_JACCARD * (size[one] + size[other] - n_shared)
        later = other[alike & (other > one)]
        result[later[result[later] == later]] = one
    return result


def find_enriched(
    results: pd.DataFrame, gene_map: pd.DataFrame, sets: GeneSets, alpha: float, *, one_each: bool = False
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any], dict[str, Any]]:
    """Both tests on a table of results.

    results   one row an identifier: gene_id, base_mean, log2_fold_change, stat, pvalue, padj
    returns   over-representation and ranked table as they are written; the counts for the summary; the top sets'
              running scores for the figure. The universe is the genes with a p value. An identifier counts for every
              gene it leads to; a gene counts as called if any of its identifiers is; its rank is that of the
              identifier with the most reads. With `one_each` (probes) see `pairs_of_tested`.
    """
    tested = results[results["pvalue"].notna()]
    pairs, column = pairs_of_tested(results, gene_map, sets, one_each=one_each)
    to_one = gene_map["gene_id"].isin(tested["gene_id"])
    n_genes_of = gene_map.loc[to_one, "gene_id"].value_counts()
    universe = np.zeros(len(sets.genes), dtype=bool)
    universe[column] = True
    is_called = (pairs["padj"] < alpha).to_numpy()
    change = pairs["log2_fold_change"].to_numpy()
    called = {
        "up": (is_called & (change > 0), (tested["padj"] < alpha) & (tested["log2_fold_change"] > 0)),
        "down": (is_called & (change < 0), (tested["padj"] < alpha) & (tested["log2_fold_change"] < 0)),
        "both": (is_called, tested["padj"] < alpha),
    }
    annotated = {name: int((universe & held).sum()) for name, held in sets.is_annotated.items()}
    counts: dict[str, Any] = {
        "n_ids_tested": len(tested),
        "n_ids_mapped": len(n_genes_of),
        "n_ids_to_several": int((n_genes_of > 1).sum()),
        "n_ids_used": int(pairs["gene_id"].nunique()),
        "one_each": one_each,
        "n_universe": int(universe.sum()),
        "n_annotated": annotated,
        "study": {},
        "n_sets": 0,
        "n_significant": {},
        "n_representative": {},
    }
    once = gene_map.drop_duplicates("gene")
    labels = np.where(once["symbol"] != "", once["symbol"], once["gene"]).astype(str)
    tables = []
    for direction, (pairs_called, ids_called) in called.items():
        study = np.zeros(len(universe), dtype=bool)
        study[column[pairs_called]] = True
        counts["study"][direction] = {
            "n_ids": int(ids_called.sum()),
            "n_ids_mapped": int(pairs.loc[pairs_called, "gene_id"].nunique()),
            "n_genes": int(study.sum()),
            "n_annotated": {name: int((study & held).sum()) for name, held in sets.is_annotated.items()},
        }
        table = over_representation(sets, universe, study)
        held = [_columns(sets, row) for row in table["row"].astype(int)]
        hits = [columns[study[columns]] for columns in held]
        table = _described(table, sets, hits, labels, alpha)
        table.insert(0, "direction", direction)
        table["key"] = [f"{direction} {one}" for one in table["set_id"]]
        counts["n_sets"] = max(int(counts["n_sets"]), len(table))
        _count(counts, direction, table, alpha)
        tables.append(table)
    stat: Matrix = np.full(len(universe), np.nan)
    by_reads = most_read_last(pairs)
    stat[column[by_reads]] = pairs["stat"].to_numpy()[by_reads]
    ranked, order = ranked_enrichment(sets, stat)
    leading = []
    place: Integers = np.full(len(universe), len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    for row, n_leading, score in zip(
        ranked["row"].astype(int), ranked["leading"].astype(int), ranked["es"], strict=True
    ):
        inside = np.sort(place[_columns(sets, row)])
        inside = inside[: np.searchsorted(inside, len(order))]
        leading.append(order[inside[:n_leading] if score >= 0 else inside[::-1][:n_leading]])
    ranked = _described(ranked, sets, leading, labels, alpha).rename(columns={"leading": "leading_edge"})
    _count(counts, "ranked", ranked, alpha)
    counts |= {"n_ranked": len(order), "n_permutations": N_PERMUTATIONS, "seed": SEED}
    counts["n_sets"] = max(int(counts["n_sets"]), len(ranked))
    filled = [table for table in tables if len(table)] or tables[:1]
    return pd.concat(filled, ignore_index=True), ranked, counts, running_scores(ranked, sets, stat, order)


def _columns(sets: GeneSets, row: int) -> Integers:
    found: Integers = sets.members.indices[sets.members.indptr[row] : sets.members.indptr[row + 1]]
    return found


def _described(
    table: pd.DataFrame, sets: GeneSets, hits: list[Integers], labels: NDArray[np.str_], alpha: float
) -> pd.DataFrame:
    """The table with ids, names, representatives of the significant sets, genes; by p as written, then id."""
    rows = table.pop("row").to_numpy(dtype=np.int64)
    ids = sets.ids[rows]
    written = np.array([float(f"{p:.10g}") for p in table["pvalue"]])
    order = np.lexsort((ids, -np.abs(table["nes"].to_numpy()), written) if "nes" in table else (ids, written))
    table = table.iloc[order].reset_index(drop=True)
    rows, hits = rows[order], [hits[k] for k in order]
    collection = sets.collections[rows]
    representative = np.full(len(rows), "", dtype=object)
    is_found = (table["padj"] < alpha).to_numpy()
    sides = np.sign(table["nes"].to_numpy()) if "nes" in table else np.zeros(len(rows))
    for name in sets.is_annotated:
        for side in np.unique(sides):
            found = np.flatnonzero(is_found & (collection == name) & (sides == side))
            representative[found] = sets.ids[rows[found[representatives([hits[k] for k in found])]]]
    table.insert(0, "collection", collection)
    table.insert(0, "name", sets.names[rows])
    table.insert(0, "set_id", sets.ids[rows])
    table["representative"] = representative
    table["genes"] = [";".join(labels[one]) for one in hits]
    return table


def _count(counts: dict[str, Any], test: str, table: pd.DataFrame, alpha: float) -> None:
    found = table[table["padj"] < alpha] if len(table) else table
    counts["n_significant"][test] = len(found)
    counts["n_representative"][test] = int((found["representative"] == found["set_id"]).sum())


def running_scores(
    ranked: pd.DataFrame, sets: GeneSets, stat: Matrix, order: Integers, n_each: int = 3
) -> dict[str, Any]:
    """What the running-score figure needs: for the surest sets of both signs their label, score, places and curve.

    ranked   as written; sets that another one stands for are left out
    """
    row_of = {one: row for row, one in enumerate(sets.ids)}
    lines: list[dict[str, Any]] = []
    for sign in (1.0, -1.0):
        is_told = (ranked["representative"] == ranked["set_id"]) | (ranked["representative"] == "")
        best = ranked[(ranked["nes"] * sign > 0) & is_told].head(n_each)
        for set_id, name, nes, padj in zip(best["set_id"], best["name"], best["nes"], best["padj"], strict=True):
            held = np.zeros(len(stat), dtype=bool)
            held[_columns(sets, row_of[set_id])] = True
            inside = held[order]
            gain = np.where(inside, np.abs(stat[order]), 0.0)
            gain = gain / gain.sum() if gain.any() else inside / inside.sum()
            curve = np.cumsum(gain - ~inside / (~inside).sum())
            places = np.flatnonzero(inside)
            lines.append({"set_id": set_id, "name": name, "nes": nes, "padj": padj, "places": places, "curve": curve})
    return {"lines": lines, "stat": stat[order]}
