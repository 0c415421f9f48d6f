"""Gene sets of the person's own: what is a GMT file, the folder they are kept in, and how their genes are found."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from desktop.studios.omics.errors import BadGeneSetsError, GeneSetsDoNotFitError, UnknownGeneSetsError
from desktop.studios.omics.gene_sets import GENE_MAP, GENE_SETS, SetsWritten, TableGenes, write_gene_sets
from desktop.studios.omics.gmt import parse_gmt
from desktop.studios.omics.own_gene_sets import add_gene_sets, list_gene_sets, load_own_sets, remove_gene_sets
from desktop.studios.omics.run_parts import add_own_sets
from desktop.studios.omics.schema import AnalysisParams, IdType, OwnGeneSets
from desktop.studios.omics.steps.enrichment import find_enriched, read_gene_sets

MOUSE = [f"Abc{k}" for k in range(60)]


def gmt_of(sets: dict[str, list[str]], *, description: str = "na") -> bytes:
    return "".join("\t".join([name, description, *genes]) + "\n" for name, genes in sets.items()).encode()


def kept(folder: Path, sets: dict[str, list[str]], file: str = "mine.gmt") -> list[tuple[object, object]]:
    path = folder / file
    path.write_bytes(gmt_of(sets))
    one = add_gene_sets(folder / "kept", path, 1.0)
    return [load_own_sets(folder / "kept", one.reference)]


def write(folder: Path, ids: list[str], symbols: list[str], own: object, **said: str) -> SetsWritten:
    id_type: IdType = said.get("id_type", "symbol")  # type: ignore[assignment]
    return write_gene_sets(
        folder, ids, symbols, np.ones(len(ids), bool), id_type=id_type, organism=said.get("organism", ""), own=own
    )  # type: ignore[arg-type]


# ---- the file --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"\n# only a remark\n\n", "is empty", id="remarks only"),
        pytest.param(b"gene1,gene2,gene3\nA B C\n", "Line 1 of it.gmt has no tabs", id="commas"),
        pytest.param(b"SET\tna\tA\nwords only\n", "Line 2 of it.gmt has no tabs", id="a line without tabs"),
        pytest.param(b"\tna\tA\tB\n", "without a name", id="no name"),
        pytest.param(b"SET\tna\tA\nSET\tna\tB\n", "1 sets more than once, such as 'SET'", id="twice"),
        pytest.param(b"SET\tna\nOTHER\tna\t\n", "has genes", id="no genes"),
        pytest.param(b"SET\tna\t\xff\xfe\n", "is not text", id="not UTF-8"),
        pytest.param(b"PK\x03\x04\x00\x00\tA\tB\n", "is not text", id="binary"),
        pytest.param(gzip.compress(b"SET\tna\tA\n")[:-6], "cannot be unpacked", id="cut gzip"),
    ],
)
def test_a_bad_file_is_a_typed_error(data: bytes, said: str) -> None:
    with pytest.raises(BadGeneSetsError, match=said) as told:
        parse_gmt(data, "it.gmt")
    assert told.value.hint


def test_forms_in_which_gmt_files_come() -> None:
    data = (
        "\ufeffHALLMARK_HYPOXIA\thttps://example.org/x\tA\tB\tA\t\r\n"
        "GO:0006915\tapoptotic process\tC\r\nmmu04110\tCell cycle\tD,1.0\tE,0.5\r\n"
    ).encode()
    for form in (data, gzip.compress(data)):
        found = parse_gmt(form, "it.gmt")
        assert [one.set_id for one in found] == ["HALLMARK_HYPOXIA", "GO:0006915", "mmu04110"]
        assert [one.name for one in found] == ["HALLMARK_HYPOXIA", "apoptotic process", "Cell cycle"]
        assert [one.genes for one in found] == [("A", "B"), ("C",), ("D", "E")]


# ---- the folder ------------------------------------------------------------------------------------------------------


def test_a_file_is_kept_once_by_its_content_and_named_by_its_hash(tmp_path: Path) -> None:
    folder, path = tmp_path / "kept", tmp_path / "my sets (v1).gmt"
    path.write_bytes(gmt_of({"ONE": MOUSE}))
    first = add_gene_sets(folder, path, 12.0)
    assert (first.name, first.file, first.n_sets, first.n_genes) == ("my_sets_v1", "my sets (v1).gmt", 1, 60)
    assert add_gene_sets(folder, path, 99.0) == first
    path.write_bytes(gmt_of({"TWO": MOUSE}))
    second = add_gene_sets(folder, path, 13.0)
    assert second.name == "my_sets_v1-2"
    assert [one.name for one in list_gene_sets(folder)] == ["my_sets_v1", "my_sets_v1-2"]
    assert load_own_sets(folder, first.reference)[1][0].set_id == "ONE"
    (folder / "my_sets_v1-2.json").write_text("{")
    assert [one.name for one in list_gene_sets(folder)] == ["my_sets_v1"]
    remove_gene_sets(folder, "my_sets_v1")
    remove_gene_sets(folder, "../my sets (v1)")
    assert path.exists()
    with pytest.raises(UnknownGeneSetsError):
        load_own_sets(folder, first.reference)


def test_sets_changed_behind_the_back_are_not_used(tmp_path: Path) -> None:
    path = tmp_path / "mine.gmt"
    path.write_bytes(gmt_of({"ONE": MOUSE}))
    one = add_gene_sets(tmp_path / "kept", path, 1.0)
    (tmp_path / "kept" / "mine.gmt.gz").write_bytes(gzip.compress(gmt_of({"ONE": MOUSE[1:]})))
    with pytest.raises(UnknownGeneSetsError, match="changed"):
        load_own_sets(tmp_path / "kept", one.reference)


def test_a_file_called_as_a_bundled_collection_gets_another_name(tmp_path: Path) -> None:
    path = tmp_path / "BP.gmt"
    path.write_bytes(gmt_of({"ONE": MOUSE}))
    assert add_gene_sets(tmp_path / "kept", path, 1.0).name == "BP-2"


def test_files_given_go_into_the_plan_and_what_the_plan_lacks_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.gmt"
    path.write_bytes(gmt_of({"ONE": MOUSE}))
    params = AnalysisParams(data="x", gene_sets=[path, path])
    found = add_own_sets(params, tmp_path / "kept", 1.0)
    assert [one.name for one in found] == ["mine"]
    gone = AnalysisParams.model_validate(
        {"data": "x", "plan": {"gene_sets": [OwnGeneSets(name="gone", sha256="00").model_dump()]}}
    )
    with pytest.raises(UnknownGeneSetsError, match="gone"):
        add_own_sets(gone, tmp_path / "kept", 1.0)
    with pytest.raises(BadGeneSetsError, match="cannot be read"):
        add_own_sets(AnalysisParams(data="x", gene_sets=[tmp_path / "no.gmt"]), tmp_path / "kept", 1.0)


# ---- genes -----------------------------------------------------------------------------------------------------------


def test_another_species_works_with_sets_of_ones_own(tmp_path: Path) -> None:
    ids = [f"ENSMUSG{k:011d}.3" for k in range(60)]
    own = kept(tmp_path, {"UP": MOUSE[:20], "SMALL": MOUSE[:5], "ELSE": [f"Xyz{k}" for k in range(40)]})
    written = write(tmp_path, ids, MOUSE, own, id_type="ensembl", organism="Mus musculus")
    assert written.title == "mine (1 sets of the file mine.gmt)"
    assert "Mus musculus" in written.skipped
    assert written.own == [
        {"name": "mine", "file": "mine.gmt", "sha256": written.own[0]["sha256"], "n_sets": 3, "n_sets_here": 1,
         "n_ids": 60, "n_ids_here": 20}
    ]  # fmt: skip
    gene_map = pd.read_csv(tmp_path / GENE_MAP, dtype=str, keep_default_na=False)
    sets = read_gene_sets(tmp_path / GENE_SETS, gene_map)
    change = np.where(np.arange(60) < 15, 2.0, -0.1)
    results = pd.DataFrame({"gene_id": ids, "base_mean": 10.0, "log2_fold_change": change, "stat": change * 3})
    results["pvalue"] = np.where(change > 1, 1e-8, 0.6)
    results["padj"] = np.where(change > 1, 1e-6, 0.9)
    table, ranked, counts, _ = find_enriched(results, gene_map, sets, 0.05)
    up = table[table["direction"] == "up"].iloc[0]
    assert (up["set_id"], up["hits"], up["set_size"], up["universe_size"]) == ("UP", 15, 20, 60)
    assert counts["n_universe"] == 60
    assert len(ranked) == 1


@pytest.mark.parametrize(
    ("names", "id_type"),
    [
        pytest.param([f"ENSMUSG{k:011d}" for k in range(60)], "ensembl", id="Ensembl without version"),
        pytest.param([f"ENSMUSG{k:011d}.3" for k in range(60)], "ensembl", id="as written"),
        pytest.param(MOUSE, "symbol", id="symbols beside"),
    ],
)
def test_names_of_every_kind_are_found(names: list[str], id_type: IdType) -> None:
    ids = [f"ENSMUSG{k:011d}.3" for k in range(60)]
    genes = TableGenes(ids, MOUSE, "ensembl", "Mus musculus")
    assert genes.meant_by(names, id_type) == [[one] for one in MOUSE]


@pytest.mark.parametrize(
    ("names", "id_type"),
    [
        pytest.param(["TP53", "no such gene"], "symbol", id="symbols"),
        pytest.param(["ENSG00000141510", "ENSG00000999999"], "ensembl", id="Ensembl"),
        pytest.param(["7157", "99999999"], "entrez", id="Entrez"),
    ],
)
def test_human_sets_are_found_whatever_identifiers_they_use(names: list[str], id_type: IdType) -> None:
    genes = TableGenes(["ENSG00000141510.18", "ENSG00000075624"], ["", ""], "ensembl", "")
    assert genes.meant_by(names, id_type) == [["7157"], []]


def test_a_gene_that_is_no_known_human_gene_counts_where_a_set_names_it(tmp_path: Path) -> None:
    ids = ["TP53", "ACTB", "GAPDH", "MYC", "EGFR", "KRAS", "BRCA1", "BRCA2", "PTEN", "RB1", "NOVEL-1", "NOVEL-2"]
    own = kept(tmp_path, {"MINE": ids[:-1]})
    written = write(tmp_path, ids, [""] * len(ids), own)
    with gzip.open(tmp_path / GENE_MAP, "rt") as file:
        rows = {row["gene_id"]: row for row in csv.DictReader(file)}
    assert rows["NOVEL-1"]["collections"] == "mine"
    assert "NOVEL-2" not in rows
    assert "BP" in rows["TP53"]["collections"].split()
    assert written.own[0]["n_ids_here"] == 11


def test_sets_of_other_identifiers_are_refused_with_both_kinds_named(tmp_path: Path) -> None:
    own = kept(tmp_path, {"MINE": [f"ENSMUSG{k:011d}" for k in range(30)]})
    with pytest.raises(GeneSetsDoNotFitError, match="0 of its 30") as told:
        write(tmp_path, MOUSE, [""] * 60, own, organism="Mus musculus")
    assert "ensembl" in told.value.hint
    assert "symbol" in told.value.hint
    assert not (tmp_path / GENE_MAP).exists()


def test_a_set_called_as_a_bundled_one_stays_apart(tmp_path: Path) -> None:
    ids = ["TP53", "ACTB", "GAPDH", "MYC", "EGFR", "KRAS", "BRCA1", "BRCA2", "PTEN", "RB1", "CDK4", "CDK6", "CCND1"]
    written = write(tmp_path, ids, [""] * len(ids), [])
    with gzip.open(tmp_path / GENE_SETS, "rt") as file:
        bundled = [line.split("\t")[0] for line in file]
    assert written.own == []
    own = kept(tmp_path, {bundled[0]: ids})
    write(tmp_path, ids, [""] * len(ids), own)
    with gzip.open(tmp_path / GENE_SETS, "rt") as file:
        found = [line.split("\t")[0] for line in file]
    assert len(found) == len(set(found))
    assert f"mine:{bundled[0]}" in found


# ---- probes ----------------------------------------------------------------------------------------------------------


def test_of_a_genes_probes_the_brightest_stands_for_it_and_one_of_several_genes_for_none(tmp_path: Path) -> None:
    genes = [f"G{k}" for k in range(14)]
    own = kept(tmp_path, {"MINE": genes[:12]})
    ids = [f"{k}_at" for k in range(14)] + ["dim_at", "bright_at", "mixed_at"]
    write(tmp_path, ids, [*genes, "G0", "G1", "G2 /// G3"], own, id_type="probe", organism="Mus musculus")
    gene_map = pd.read_csv(tmp_path / GENE_MAP, dtype=str, keep_default_na=False)
    sets = read_gene_sets(tmp_path / GENE_SETS, gene_map)
    results = pd.DataFrame({"gene_id": ids, "base_mean": 8.0, "log2_fold_change": 0.1, "stat": 0.3})
    results["pvalue"] = results["padj"] = 0.5
    at = results.set_index("gene_id").index
    for probe, mean in (("dim_at", 2.0), ("bright_at", 12.0), ("mixed_at", 14.0)):
        results.loc[at == probe, ["base_mean", "log2_fold_change", "stat", "pvalue", "padj"]] = (mean, 3, 9, 1e-9, 1e-8)
    table, _, counts, _ = find_enriched(results, gene_map, sets, 0.05, one_each=True)
    up = table[table["direction"] == "up"].iloc[0]
    assert up["genes"] == "G1"
    assert (counts["n_ids_to_several"], counts["n_universe"], counts["n_ids_used"]) == (1, 14, 14)
    assert find_enriched(results, gene_map, sets, 0.05)[0].query("direction == 'up'").iloc[0]["hits"] == 4


def test_probes_without_genes_are_told_what_is_missing(tmp_path: Path) -> None:
    ids = [f"{k}_at" for k in range(30)]
    written = write(tmp_path, ids, [""] * 30, [], id_type="probe", organism="Homo sapiens")
    assert "platform's annotation" in written.skipped


def test_of_probes_only_those_with_a_gene_beside_them_are_asked(tmp_path: Path) -> None:
    human = ["TP53", "ACTB", "GAPDH", "MYC", "EGFR", "KRAS", "BRCA1", "BRCA2", "PTEN", "RB1", "CDK4", "CDK6"]
    ids = [f"{k}_at" for k in range(60)]
    written = write(tmp_path, ids, [*human, *[""] * 48], [], id_type="probe", organism="Homo sapiens")
    assert written.skipped == ""
    assert json.dumps(written.own) == "[]"
