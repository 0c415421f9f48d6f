"""Gene-set tests against the reference: the airway lists with Gene Ontology sets, p and adjusted p to 1e-9."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from desktop.core.paths import resources_dir
from desktop.studios.omics.gene_sets import GENE_MAP, GENE_SETS, write_gene_sets
from desktop.studios.omics.steps.enrichment import GeneSets, over_representation, read_gene_sets

pytestmark = pytest.mark.shared
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def airway(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[GeneSets, Path]:
    """The bundled sets for the reference's universe, through the files a script reads."""
    reference = shared_data / "omics" / "enrichment_reference"
    universe = (reference / "airway_universe_entrez.txt").read_text().split()
    folder = tmp_path_factory.mktemp("sets")
    written = write_gene_sets(
        folder, universe, [""] * len(universe), np.ones(len(universe), dtype=bool), id_type="entrez", organism=""
    )
    assert "2022-07-01" in written.title
    gene_map = pd.read_csv(folder / GENE_MAP, dtype=str, keep_default_na=False)
    return read_gene_sets(folder / GENE_SETS, gene_map), reference


@pytest.mark.parametrize("direction", ["up", "down"])
def test_over_representation_is_the_reference(airway: tuple[GeneSets, Path], direction: str) -> None:
    sets, reference = airway
    study = np.isin(sets.genes, (reference / f"airway_{direction}_entrez.txt").read_text().split())
    table = over_representation(sets, np.ones(len(sets.genes), dtype=bool), study)
    table["go_id"], table["term"] = sets.ids[table["row"]], sets.names[table["row"]]
    table = table[sets.collections[table["row"]] == "BP"]
    expected = pd.read_csv(reference / f"airway_{direction}_GO_BP_ora.csv.gz")
    assert sorted(table["go_id"]) == sorted(expected["go_id"])
    both = expected.merge(table, on="go_id")
    for ours, theirs in (("hits", "study_hits"), ("study_size", "study_n"), ("set_size", "pop_hits")):
        np.testing.assert_array_equal(both[ours], both[theirs])
    np.testing.assert_array_equal(both["universe_size"], both["pop_n"])
    np.testing.assert_array_equal(both["term_x"], both["term_y"])
    np.testing.assert_allclose(both["pvalue"], both["p"], rtol=1e-9, atol=1e-30)  # ten digits are given
    np.testing.assert_allclose(both["padj"], both["padj_bh"], rtol=1e-9, atol=1e-30)


def test_bundled_sets_are_the_reference_sets(shared_data: Path, tmp_path: Path) -> None:
    """Symbol for symbol, in the 6,482 sets of 10 to 500 genes that were computed apart."""
    with gzip.open(shared_data / "omics" / "annotation" / "GO_BP_human_symbols_10_500.gmt.gz", "rt") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    with gzip.open(resources_dir() / "genesets" / "human_genes.tsv.gz", "rt") as file:
        genes = [line.split("\t") for line in file.read().splitlines()[1:]]
    entrez = [gene[0] for gene in genes]
    write_gene_sets(tmp_path, entrez, [""] * len(entrez), np.ones(len(entrez), bool), id_type="entrez", organism="")
    symbol_of = {gene[0]: gene[1] for gene in genes}
    with gzip.open(tmp_path / GENE_SETS, "rt") as file:
        ours = {row[0]: row[2:] for row in (line.rstrip("\n").split("\t") for line in file)}
    for row in rows:
        assert {symbol_of[gene] for gene in ours[row[1]]} == set(row[2:]), row[0]


def test_the_resource_is_remade_by_one_command(shared_data: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(REPOSITORY / "packaging" / "make_genesets.py")]
    tables = shared_data / "omics" / "annotation"
    subprocess.run([*command, str(tables), "--out", str(tmp_path)], check=True, capture_output=True)
    for path in tmp_path.iterdir():
        kept = resources_dir() / "genesets" / path.name
        read = gzip.decompress if path.suffix == ".gz" else bytes
        assert read(path.read_bytes()) == read(kept.read_bytes()), path.name
