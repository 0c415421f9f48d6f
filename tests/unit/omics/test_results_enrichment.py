"""The gene sets of a finished run read back: which rows each set means, and running scores as the test had them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from desktop.studios.omics import queries
from desktop.studios.omics.errors import DamagedRunError
from desktop.studios.omics.human_genes import human_genes
from desktop.ui.itemmodels.gene_set_results import GeneSetResults, load_gene_set_results
from tests.stand_ins.finished_run import drug_plan, finished_run, some_counts, two_groups


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Human symbols; the genes of one strand of the list go up."""
    genes = human_genes()
    symbols = [name for name in dict.fromkeys(genes.symbol) if len(genes.of_symbol[name]) == 1][:900]
    return finished_run(
        tmp_path_factory.mktemp("sets") / "run",
        some_counts(len(symbols), n_changed=200),
        two_groups(),
        drug_plan(),
        gene_ids=symbols,
        organism="Homo sapiens",
    )


@pytest.fixture(scope="module")
def sets(run: Path) -> GeneSetResults:
    return load_gene_set_results(run)


def test_a_sets_rows_are_the_genes_the_test_counted(run: Path, sets: GeneSetResults) -> None:
    view = queries.load_results(run)
    assert set(sets.tests) >= {"up", "both", "ranked"}
    for test in sets.tests.values():
        for at in range(len(test.set_ids)):
            rows = sets.found_rows(test, at, view.log2_fold_change, view.padj)
            assert {view.gene_ids[row] for row in rows} == set(test.genes[at])
            assert len(rows) == test.columns[test.number][at]


def test_the_running_score_on_screen_is_the_tests_own(sets: GeneSetResults) -> None:
    ranked = sets.tests["ranked"]
    for at, set_id in enumerate(ranked.set_ids):
        across, up = sets.running_score(set_id)
        assert across[0] == up[0] == up[-1] == 0.0
        assert across[-1] == len(sets.stat)
        extreme = up[np.abs(up).argmax()]
        assert np.sign(extreme) == np.sign(ranked.columns["es"][at])
        assert extreme == pytest.approx(ranked.columns["es"][at], abs=1e-9)


def test_where_the_sets_come_from_and_the_universe_are_told(sets: GeneSetResults) -> None:
    assert "Gene Ontology" in sets.provenance
    assert "universe" in sets.notes[0]


def test_a_run_without_sets_says_why(run: Path, tmp_path: Path) -> None:
    other = shutil.copytree(run, tmp_path / "run")
    summary = json.loads((other / "summary.json").read_text())
    summary["enrichment"] = {"skipped": "the data are of Mus musculus"}
    (other / "summary.json").write_text(json.dumps(summary))
    found = load_gene_set_results(other)
    assert not found.tests
    assert "Mus musculus" in found.skipped


def test_a_damaged_file_is_a_typed_error(run: Path) -> None:
    sets = run / "gene_sets.gmt.gz"
    whole = sets.read_bytes()
    try:
        sets.write_bytes(b"no gzip")
        with pytest.raises(DamagedRunError):
            queries.load_gene_sets(run)
        sets.unlink()
        with pytest.raises(DamagedRunError):
            queries.load_gene_sets(run)
    finally:
        sets.write_bytes(whole)
