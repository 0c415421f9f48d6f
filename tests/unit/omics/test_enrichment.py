"""Gene-set tests: against counting by hand, identifiers of every kind, and whole runs from table to report."""

from __future__ import annotations

import gzip
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.stats import false_discovery_control

from desktop.studios.omics.gene_sets import GENE_MAP, GENE_SETS, why_not, write_gene_sets
from desktop.studios.omics.human_genes import human_genes, map_genes
from desktop.studios.omics.run_parts import copy_stored
from desktop.studios.omics.steps import enrichment
from desktop.studios.omics.steps.enrichment import GeneSets, find_enriched, over_representation, ranked_enrichment

REPOSITORY = Path(__file__).resolve().parents[3]


def some_sets(members: list[list[int]], n_genes: int, collections: list[str] | None = None) -> GeneSets:
    """Sets over genes "1" to "n", all annotated."""
    held = np.zeros((len(members), n_genes))
    for row, genes in enumerate(members):
        held[row, genes] = 1
    collections = collections or ["BP"] * len(members)
    return GeneSets(
        ids=np.array([f"GO:{row:07d}" for row in range(len(members))]),
        names=np.array([f"set {row}" for row in range(len(members))]),
        collections=np.array(collections),
        genes=np.array([str(k + 1) for k in range(n_genes)]),
        members=csr_matrix(held),
        is_annotated={name: np.ones(n_genes, dtype=bool) for name in set(collections)},
    )


def running_score(stat: np.ndarray, inside: np.ndarray) -> tuple[float, int]:
    """The largest deviation and its place, gene by gene as the definition reads; `stat` is in order, best first."""
    total = sum(abs(s) for s, here in zip(stat, inside, strict=True) if here)
    n_out = int((~inside).sum())
    score, best, at = 0.0, 0.0, 0
    for place, (s, here) in enumerate(zip(stat, inside, strict=True)):
        score += abs(s) / total if here else -1 / n_out
        if abs(score) > abs(best) + 1e-12:
            best, at = score, place
    return best, at


# ---- over-representation ---------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_over_representation_counts_as_by_hand(data: st.DataObject) -> None:
    n_genes = data.draw(st.integers(12, 60))
    genes = st.integers(0, n_genes - 1)
    members = data.draw(st.lists(st.lists(genes, unique=True, max_size=n_genes), min_size=1, max_size=6))
    universe, study, known = (
        np.isin(np.arange(n_genes), data.draw(st.lists(genes, unique=True, min_size=1))) for _ in range(3)
    )
    sets = some_sets(members, n_genes)
    sets.is_annotated["BP"][:] = known
    table = over_representation(sets, universe, study)
    population = set(np.flatnonzero(universe & known))
    drawn = population & set(np.flatnonzero(study))
    wanted = [row for row, one in enumerate(members) if 10 <= len(population & set(one)) <= 500 and drawn]
    assert table["row"].tolist() == wanted
    for _, row in table.iterrows():
        inside = population & set(members[int(row["row"])])
        n, k, m, hits = len(population), len(drawn), len(inside), len(inside & drawn)
        ways = sum(math.comb(m, i) * math.comb(n - m, k - i) for i in range(hits, min(m, k) + 1))
        assert (row["hits"], row["study_size"], row["set_size"], row["universe_size"]) == (hits, k, m, n)
        assert row["pvalue"] == pytest.approx(ways / math.comb(n, k), rel=1e-9)
    if len(table):
        np.testing.assert_allclose(table["padj"], false_discovery_control(table["pvalue"]), rtol=1e-12)


def test_only_sets_of_10_to_500_tested_genes_and_each_ontology_apart() -> None:
    sizes = [9, 10, 500, 501]
    sets = some_sets([list(range(size)) for size in sizes] * 2, 600, ["BP"] * 4 + ["MF"] * 4)
    study = np.arange(600) < 10
    table = over_representation(sets, np.ones(600, dtype=bool), study)
    assert sorted(table["set_size"]) == [10, 10, 500, 500]
    assert table.loc[table["set_size"] == 10, "padj"].tolist() == pytest.approx(2 * [2 * table["pvalue"].min()])


# ---- ranks -----------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.integers(10, 30), n_genes=st.integers(40, 90))
def test_scores_are_those_of_the_definition(seed: int, size: int, n_genes: int) -> None:
    rng = np.random.default_rng(seed)
    stat = rng.normal(rng.normal(), 2, n_genes)
    chosen = rng.choice(n_genes, size, replace=False)
    sets = some_sets([list(chosen)], n_genes)
    table, order = ranked_enrichment(sets, stat, n_permutations=20)
    assert (np.diff(stat[order]) <= 0).all()
    inside = np.isin(order, chosen)
    score, at = running_score(stat[order], inside)
    assert abs(table["es"][0]) == pytest.approx(abs(score), abs=1e-9)
    if table["es"][0] == pytest.approx(score, abs=1e-9):  # two extremes may be equally far
        leading = inside[: at + 1].sum() if score > 0 else inside[at + 1 :].sum()
        assert table["leading"][0] == leading


def test_permutation_p_is_that_of_brute_force() -> None:
    """Another generator, every score by the definition, sizes on and off the grid."""
    rng = np.random.default_rng(5)
    stat = np.sort(rng.normal(0.2, 1.5, 400))[::-1]
    starts = {15: (0, 90), 47: (0, 260), 58: (140, 400)}
    members = [list(rng.choice(np.arange(*where), size, replace=False)) for size, where in starts.items()]
    table, _ = ranked_enrichment(some_sets([*members, list(rng.choice(400, 30, replace=False))], 400), stat)
    n_draws = 3000
    for row in range(4):
        score, size = table["es"][row], int(table["set_size"][row])
        null = []
        for _ in range(n_draws):
            inside = np.zeros(400, dtype=bool)
            inside[rng.choice(400, size, replace=False)] = True
            null.append(running_score(stat, inside)[0])
        same = np.array([abs(one) for one in null if one * score > 0])
        p = (1 + (same >= abs(score)).sum()) / (1 + len(same))
        error = 4 * math.sqrt(p * (1 - p) * (1 / len(same) + 1 / 1500)) + 0.003
        assert table["pvalue"][row] == pytest.approx(p, abs=error + 0.12 * p), size
        assert table["nes"][row] == pytest.approx(score / same.mean(), rel=0.04)


def test_tail_is_careful_where_permutations_end() -> None:
    rng = np.random.default_rng(11)
    weight = np.abs(np.sort(rng.normal(0, 2, 5000))[::-1])
    null = enrichment.null_scores(weight, np.array([25]), 120_000, 1)[0]
    up = np.sort(null[null > 0])
    far = np.array([up[-int(len(up) * q)] for q in (1e-3, 2e-4)])
    samples = [np.sort(rng.choice(up, 2500, replace=False)) for _ in range(20)]
    found = np.array([enrichment.tail_probability(sample, far)[0] for sample in samples])
    ratio = np.exp(np.log(found).mean(axis=0)) / np.array([1e-3, 2e-4])
    assert (ratio > 0.7).all()
    assert (ratio < 3).all()
    steps, _ = enrichment.tail_probability(up[:2500], np.linspace(0.01, 1, 300))
    assert (np.diff(steps) <= 1e-12).all(), "a farther score is never likelier"
    assert steps.min() >= enrichment.MIN_P


def test_random_sets_are_seldom_significant_and_a_planted_one_is() -> None:
    rng = np.random.default_rng(2)
    stat = rng.standard_t(4, 3000)
    chance = [list(rng.choice(3000, int(size), replace=False)) for size in rng.integers(10, 200, 300)]
    planted = [list(np.argsort(-stat)[:600:20]), list(np.argsort(stat)[:600:20])]
    table, _ = ranked_enrichment(some_sets([*chance, *planted], 3000), stat)
    p = table["pvalue"].to_numpy()
    assert (table["padj"][:300] < 0.05).sum() <= 3
    assert 0.02 < (p[:300] < 0.05).mean() < 0.09
    assert (table["padj"][300:] < 1e-4).all()
    assert table["nes"][300] > 2
    assert table["nes"][301] < -2
    again, _ = ranked_enrichment(some_sets([*chance, *planted], 3000), stat)
    pd.testing.assert_frame_equal(table, again)


# ---- what is told once -----------------------------------------------------------------------------------------------


def test_sets_with_mostly_the_same_hits_are_told_once() -> None:
    hits = [list(range(10)), list(range(5, 25)), list(range(9)), list(range(12)), list(range(30, 40)), [39]]
    found = enrichment.representatives([np.array(one) for one in hits])
    assert found.tolist() == [0, 1, 0, 0, 4, 5]
    assert enrichment.representatives([]).tolist() == []


# ---- identifiers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("identifier", "beside", "id_type", "entrez", "way"),
    [
        pytest.param("ENSG00000141510", "", "ensembl", ["7157"], "ensembl", id="Ensembl"),
        pytest.param("ENSG00000141510.18", "", "ensembl", ["7157"], "ensembl", id="with a version"),
        pytest.param("ENSG00000182378.15_PAR_Y", "", "ensembl", ["55344"], "ensembl", id="second copy on Y"),
        pytest.param("ENSG00000141510|TP53|protein_coding", "", "ensembl", ["7157"], "ensembl", id="with a tail"),
        pytest.param("ENSG99999999999.1", "TP53", "ensembl", ["7157"], "symbol", id="unknown id, symbol beside it"),
        pytest.param("7157", "", "entrez", ["7157"], "entrez", id="Entrez"),
        pytest.param("TP53", "", "symbol", ["7157"], "symbol", id="symbol"),
        pytest.param("MLL", "", "symbol", ["4297"], "alias", id="old name"),
        pytest.param("MLL2", "", "symbol", [], "", id="old name of two genes"),
        pytest.param("201746_at", "TP53", "probe", ["7157"], "symbol", id="probe with a symbol"),
        pytest.param("7157", "", "probe", [], "", id="a probe's number is no Entrez id"),
        pytest.param("Trp53", "", "symbol", [], "", id="mouse"),
        pytest.param("2-Sep", "", "symbol", [], "", id="eaten by a spreadsheet"),
        pytest.param("", "", "unknown", [], "", id="nothing"),
    ],
)
def test_identifiers_lead_to_entrez_genes(
    identifier: str, beside: str, id_type: str, entrez: list[str], way: str
) -> None:
    rows, ways = map_genes([identifier], [beside], id_type)
    assert ([human_genes().entrez[row] for row in rows[0]], ways) == (entrez, [way])


def test_an_id_of_several_genes_keeps_them_and_a_name_of_several_is_not_guessed() -> None:
    genes = human_genes()
    several = next(key for key, rows in genes.of_ensembl.items() if len(rows) > 1)
    rows, _ = map_genes([several], [""], "ensembl")
    assert rows[0] == genes.of_ensembl[several]
    assert all(len(rows) == 1 for rows in genes.of_alias.values())
    assert not genes.of_alias.keys() & genes.of_symbol.keys()


@pytest.mark.parametrize(
    ("organism", "ids", "reason"),
    [
        pytest.param("Homo sapiens", ["TP53", "ACTB"], "", id="human"),
        pytest.param("", ["TP53", "ACTB"], "", id="not said"),
        pytest.param("Mus musculus", ["TP53", "ACTB"], "Mus musculus", id="said to be mouse"),
        pytest.param("", ["Trp53", "Actb", "Gapdh"], "0 %", id="looks like mouse"),
        pytest.param("", ["ENSMUSG00000059552", "ENSMUSG00000029580"], "0 %", id="mouse Ensembl"),
        pytest.param("Homo sapiens", ["1007_s_at", "1053_at"], "0 %", id="probes"),
    ],
)
def test_sets_that_do_not_fit_are_left_out_with_a_reason(organism: str, ids: list[str], reason: str) -> None:
    _, ways = map_genes(ids, [""] * len(ids), "symbol")
    said = why_not(organism, "symbol", ways, [False] * len(ids))
    assert (reason in said) if reason else said == ""


# ---- the results table -----------------------------------------------------------------------------------------------


def results_of(symbols: list[str], changed: set[str], seed: int = 1) -> pd.DataFrame:
    """A table of results in which the changed genes go up."""
    rng = np.random.default_rng(seed)
    is_changed = np.isin(symbols, list(changed))
    stat = np.where(is_changed, 8.0, 0.0) + rng.normal(size=len(symbols))
    return pd.DataFrame(
        {
            "gene_id": symbols,
            "base_mean": rng.lognormal(5, 1, len(symbols)),
            "log2_fold_change": stat / 4,
            "stat": stat,
            "pvalue": np.where(is_changed, 1e-9, 0.5),
            "padj": np.where(is_changed, 1e-6, 0.9),
        }
    )


@pytest.fixture(scope="module")
def few_sets(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], pd.DataFrame, GeneSets]:
    """2,500 annotated human symbols with their map and sets, as a script reads them."""
    genes = human_genes()
    symbols = sorted(name for name in genes.symbol[:18_000:7] if len(genes.of_symbol[name]) == 1)
    folder = tmp_path_factory.mktemp("few")
    written = write_gene_sets(
        folder, symbols, [""] * len(symbols), np.ones(len(symbols), bool), id_type="symbol", organism=""
    )
    assert written.skipped == ""
    gene_map = pd.read_csv(folder / GENE_MAP, dtype=str, keep_default_na=False)
    return symbols, gene_map, enrichment.read_gene_sets(folder / GENE_SETS, gene_map)


def test_every_hit_is_a_called_gene_of_the_set(few_sets: tuple[list[str], pd.DataFrame, GeneSets]) -> None:
    symbols, gene_map, sets = few_sets
    size = np.asarray(sets.members.sum(axis=1)).ravel()
    row = int(np.flatnonzero((size > 30) & (size < 60) & (sets.collections == "BP"))[0])
    symbol_of = dict(zip(gene_map["gene"], gene_map["symbol"], strict=True))
    planted = {symbol_of[gene] for gene in sets.genes[sets.members[row].indices]}
    results = results_of(symbols, planted)
    table, ranked, counts, lines = find_enriched(results, gene_map, sets, 0.05)
    up = table[table["direction"] == "up"]
    first = up[up["collection"] == "BP"].iloc[0]
    assert first["set_id"] in set(up.loc[up["pvalue"] <= up["pvalue"].min() * (1 + 1e-9), "set_id"]) | {sets.ids[row]}
    mine = up[up["set_id"] == sets.ids[row]].iloc[0]
    assert set(mine["genes"].split(";")) == planted
    assert mine["hits"] == mine["set_size"] == len(planted)
    for _, one in up.head(50).iterrows():
        named = [name for name in one["genes"].split(";") if name]
        members = {symbol_of[gene] for gene in sets.genes[sets.members[list(sets.ids).index(one["set_id"])].indices]}
        assert len(named) == one["hits"]
        assert set(named) <= members & planted
    told = up[up["padj"] < 0.05]
    assert set(told["representative"]) <= set(told["set_id"])
    assert (up.loc[up["padj"] >= 0.05, "representative"] == "").all()
    assert counts["study"]["up"]["n_ids"] == len(planted)
    assert counts["n_significant"]["up"] == len(told)
    assert ranked.iloc[0]["nes"] > 0
    assert lines["lines"]
    assert not set(table.loc[table["direction"] == "down", "set_id"]), "nothing goes down, so nothing is tested"


def test_losses_on_the_way_are_counted(few_sets: tuple[list[str], pd.DataFrame, GeneSets]) -> None:
    symbols, gene_map, sets = few_sets
    results = results_of([*symbols, "no such gene", "nor this"], {*symbols[:40], "no such gene"})
    results.loc[results["gene_id"] == symbols[0], ["pvalue", "padj", "stat"]] = np.nan
    counts = find_enriched(results, gene_map, sets, 0.05)[2]
    assert counts["n_ids_tested"] == len(symbols) + 1
    assert counts["n_ids_mapped"] == len(symbols) - 1
    assert counts["study"]["up"]["n_ids"] == 40
    assert counts["study"]["up"]["n_ids_mapped"] == 39
    assert counts["n_universe"] == len(symbols) - 1


def test_two_identifiers_of_one_gene_are_one_gene_ranked_by_the_one_with_more_reads() -> None:
    sets = some_sets([list(range(12))], 40)
    gene_map = pd.DataFrame({"gene_id": [f"g{k}" for k in range(40)] + ["twin"], "gene": [*sets.genes, "1"]})
    gene_map["symbol"], gene_map["collections"] = "", "BP"
    results = results_of(list(gene_map["gene_id"]), {"twin"})
    results["base_mean"] = 10.0
    results.loc[results["gene_id"] == "g0", "base_mean"] = 1000.0
    results["stat"] = np.linspace(3, -3, 41)
    table, ranked, counts, _ = find_enriched(results, gene_map, sets, 0.05)
    assert counts["study"]["up"] == {"n_ids": 1, "n_ids_mapped": 1, "n_genes": 1, "n_annotated": {"BP": 1}}
    assert table.loc[table["direction"] == "up", "hits"].tolist() == [1]
    assert ranked["n_ranked"].tolist() == [40]
    assert ranked["genes"][0].split(";")[0] == "1", "g0 with most reads is first in the ranking, its twin last"


def test_nothing_called_and_nothing_tested_end_well(few_sets: tuple[list[str], pd.DataFrame, GeneSets]) -> None:
    symbols, gene_map, sets = few_sets
    table, ranked, counts, _ = find_enriched(results_of(symbols, set()), gene_map, sets, 0.05)
    assert table.empty
    assert len(ranked) > 50
    results = results_of(symbols, set())
    results[["pvalue", "padj", "stat"]] = np.nan
    table, ranked, counts, lines = find_enriched(results, gene_map, sets, 0.05)
    assert table.empty
    assert ranked.empty
    assert counts["n_universe"] == 0
    assert lines["lines"] == []
    assert {"set_id", "genes", "padj", "key"} <= set(table.columns)
    assert {"set_id", "genes", "padj", "leading_edge"} <= set(ranked.columns)


# ---- making the resource ---------------------------------------------------------------------------------------------


def test_annotations_climb_and_old_ids_are_resolved_or_counted(tmp_path: Path) -> None:
    def save(name: str, *rows: str) -> None:
        (tmp_path / f"{name}.tsv.gz").write_bytes(gzip.compress("\n".join(rows).replace(" ", "\t").encode() + b"\n"))

    genes = [str(k) for k in range(1, 13)]
    save("go_terms", "go_id term ontology", "GO:1 root BP", "GO:2 mid BP", "GO:3 leaf BP", "GO:4 other MF")
    save("go_parents", "child parent rel", "GO:2 GO:1 isa", "GO:3 GO:2 part_of", "GO:4 GO:1 regulates")
    save("go_obsolete", "go_id term", "GO:9 gone")
    save("go_alternate", "go_id replaces", "GO:3 GO:8")
    annotated = [f"{gene} {'GO:8' if gene == '1' else 'GO:3'} IDA BP" for gene in genes[:10]]
    annotated += ["11 GO:2 IEA BP", "12 GO:9 IDA BP", "12 GO:7 IDA BP", *(f"{gene} GO:4 IDA MF" for gene in genes)]
    save("human_gene2go_direct", "entrez go_id evidence aspect", *annotated)
    save("human_entrez_symbol", "entrez symbol name", *(f"{gene} S{gene} n" for gene in genes))
    save("human_entrez_ensembl", "entrez ensembl", "1 ENSG00000000001", "1 ENSG00000000002")
    save("human_entrez_alias", "entrez alias", "1 OLD", "2 BOTH", "3 BOTH", "4 S5")
    command = [sys.executable, str(REPOSITORY / "packaging" / "make_genesets.py"), str(tmp_path), "--out"]
    subprocess.run([*command, str(tmp_path / "out")], check=True, capture_output=True)
    lines = gzip.decompress((tmp_path / "out" / "human_go.tsv.gz").read_bytes()).decode().splitlines()[1:]
    sizes = {line.split("\t")[0]: 1 + line.split("\t")[3].count(" ") for line in lines}
    assert sizes == {"GO:1": 11, "GO:2": 11, "GO:3": 10, "GO:4": 12}, "no climbing from one ontology to another"
    rows = gzip.decompress((tmp_path / "out" / "human_genes.tsv.gz").read_bytes()).decode().splitlines()[1:]
    assert rows[0] == "1\tS1\tENSG00000000001 ENSG00000000002\tOLD"
    assert [row.split("\t")[3] for row in rows[1:]] == [""] * 11
    old = json.loads((tmp_path / "out" / "human.json").read_text())["old_ids"]
    assert old == {"annotations": 25, "alternate": 1, "obsolete": 1, "unknown": 1}


def test_stored_gene_sets_go_with_a_run_that_is_run_again(tmp_path: Path) -> None:
    stored, again = tmp_path / "stored", tmp_path / "again"
    stored.mkdir()
    again.mkdir()
    for name in ("counts.csv.gz", "samples.csv", "analysis.py", GENE_MAP, GENE_SETS):
        (stored / name).write_bytes(name.encode())
    (stored / "plan.json").write_text("{}")
    copy_stored(stored, again)
    assert {path.name for path in again.iterdir()} == {"counts.csv.gz", "samples.csv", GENE_MAP, GENE_SETS}
