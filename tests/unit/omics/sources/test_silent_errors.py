"""Tables that look sound and would give a wrong answer in silence: each is put right, left out or asked about."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import gmean

from desktop.studios.omics.errors import NothingAnalysableError
from desktop.studios.omics.schema import Inspection
from desktop.studios.omics.sources.dataset import inspect_data, load_matrix
from tests.unit.omics.cell_files import barcodes
from tests.unit.omics.geo_trees import (
    Series,
    case_control,
    gene_names,
    make_counts,
    packed,
    table_text,
    write,
    write_series,
    write_tar,
)

GENES = gene_names(400)
NAMES = ["c1", "c2", "c3", "t1", "t2", "t3"]
COUNTS = make_counts(400, 6)
CELLS = np.random.default_rng(0).poisson(np.random.default_rng(1).lognormal(-1.5, 1.5, (400, 1)), (400, 240))


def blocking(found: Inspection) -> list[str]:
    return [caution.code for caution in found.warnings if caution.blocks]


def said(found: Inspection) -> str:
    return " ".join(caution.text for caution in found.warnings)


def per_sample(root: Path, write_one: dict[str, object]) -> Inspection:
    """A RAW.tar of one file a sample and ending, each written by a function of (genes, values)."""
    members = {
        f"GSM10{k}_{name}.{ending}.gz": packed(make(COUNTS[:, k]))  # type: ignore[operator]
        for k, name in enumerate(NAMES)
        for ending, make in write_one.items()
    }
    write_tar(root / "x" / "GSE1_RAW.tar", members)
    return inspect_data(root / "x")


def assert_counts(found: Inspection) -> None:
    matrix = load_matrix(found)
    assert matrix.samples == [f"GSM10{k}" for k in range(6)]
    np.testing.assert_array_equal(matrix.values, COUNTS.T)


def plain(values: np.ndarray, heading: str = "gene_id\tcount\n") -> str:
    return heading + "".join(f"{gene}\t{value}\n" for gene, value in zip(GENES, values, strict=True))


def fpkm(values: np.ndarray) -> str:
    return "gene_id\tFPKM\n" + "".join(f"{g}\t{v / 3.7:.4f}\n" for g, v in zip(GENES, values, strict=True))


def rsem(values: np.ndarray, first: str = "ENSG") -> str:
    heading = f"{'gene' if first == 'ENSG' else 'transcript'}_id\tlength\teffective_length\texpected_count\tTPM\tFPKM\n"
    rows = zip(GENES, values, strict=True)
    return heading + "".join(f"{g.replace('ENSG', first)}\t1000\t900\t{v}\t1\t1\n" for g, v in rows)


def summary(_values: np.ndarray) -> str:
    return "Status\tx.bam\nAssigned\t1000\nUnassigned_Unmapped\t3\nUnassigned_NoFeatures\t3\n"


# ---- files of one sample each ------------------------------------------------------------------------------------------


def test_reads_and_fpkm_of_each_sample_are_not_twelve_samples(tmp_path: Path) -> None:
    found = per_sample(tmp_path, {"counts.txt": plain, "fpkm.txt": fpkm})
    assert_counts(found)
    assert blocking(found) == []
    assert "GSM100_c1.fpkm.txt.gz" in said(found)


def test_genes_and_isoforms_of_rsem_are_not_twelve_samples(tmp_path: Path) -> None:
    found = per_sample(tmp_path, {"genes.results": rsem, "isoforms.results": lambda v: rsem(v, "ENST")})
    assert_counts(found)


def test_summaries_of_feature_counts_are_no_samples(tmp_path: Path) -> None:
    assert_counts(per_sample(tmp_path, {"txt": plain, "txt.summary": summary}))


def test_files_with_and_without_a_heading_are_all_used(tmp_path: Path) -> None:
    members = {
        f"GSM10{k}_{name}.txt.gz": packed(plain(COUNTS[:, k], "gene\tcount\n" if k % 2 else ""))
        for k, name in enumerate(NAMES)
    }
    write_tar(tmp_path / "x" / "GSE1_RAW.tar", members)
    assert_counts(inspect_data(tmp_path / "x"))


def test_samples_of_another_program_are_not_lost_in_silence(tmp_path: Path) -> None:
    members = {f"GSM10{k}_{n}.txt.gz": packed((rsem if k > 3 else plain)(COUNTS[:, k])) for k, n in enumerate(NAMES)}
    write_tar(tmp_path / "x" / "GSE1_RAW.tar", members)
    found = inspect_data(tmp_path / "x")
    assert "omics.files_left_out" in blocking(found)
    assert "samples that no other file holds: GSM104, GSM105" in said(found)


def test_star_samples_of_different_strands_ask(tmp_path: Path) -> None:
    def star(values: np.ndarray, is_reverse: bool) -> str:
        most, few = (values * 0.97).astype(int), (values * 0.02).astype(int)
        sides = (few, most) if is_reverse else (most, few)
        rows = zip(GENES, values, *sides, strict=True)
        return "N_unmapped\t1\t1\t1\nN_noFeature\t1\t1\t1\n" + "".join("\t".join(map(str, row)) + "\n" for row in rows)

    members = {f"GSM10{k}_{n}.tab.gz": packed(star(COUNTS[:, k], k < 4)) for k, n in enumerate(NAMES)}
    write_tar(tmp_path / "x" / "GSE1_RAW.tar", members)
    found = inspect_data(tmp_path / "x")
    assert "omics.strands_differ" in blocking(found)
    assert_counts(found)


def test_groups_in_the_names_of_an_archive_are_read(tmp_path: Path) -> None:
    found = per_sample(tmp_path, {"txt": plain})
    assert found.samples.factors["condition"] == ["c", "c", "c", "t", "t", "t"]


# ---- cells as columns --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [barcodes(240), [f"cell_{k}" for k in range(240)]], ids=["barcodes", "numbered"])
def test_cells_as_columns_are_not_samples(tmp_path: Path, columns: list[str]) -> None:
    with pytest.raises(NothingAnalysableError, match=r"240 columns of cells\.csv are single cells"):
        inspect_data(write(tmp_path / "cells.csv", table_text(GENES, columns, CELLS, sep=",")))


@pytest.mark.parametrize("shape", ["{sample}_{code}", "{code}_{sample}", "{sample}.{number}"])
def test_cells_as_columns_become_the_samples_in_their_names(tmp_path: Path, shape: str) -> None:
    samples = [f"{arm}{donor}" for arm in ("ctrl", "stim") for donor in "ABC"]
    columns = [shape.format(sample=samples[k % 6], code=code, number=k) for k, code in enumerate(barcodes(240))]
    found = inspect_data(write(tmp_path / "cells.csv", table_text(GENES, columns, CELLS, sep=",")))
    assert found.samples.samples == samples
    np.testing.assert_array_equal(load_matrix(found).values[1], CELLS[:, 1::6].sum(axis=1))
    assert "cells are no replicates" in said(found)
    assert blocking(found) == (["omics.columns_are_cells"] if "number" in shape else [])


def test_many_bulk_samples_stay_samples(tmp_path: Path) -> None:
    counts = make_counts(400, 120)
    found = inspect_data(write(tmp_path / "a.csv", table_text(GENES, [f"p{k}" for k in range(120)], counts, sep=",")))
    assert len(found.samples.samples) == 120


# ---- numbers -----------------------------------------------------------------------------------------------------------


def test_normalised_counts_rounded_to_whole_numbers_ask(tmp_path: Path) -> None:
    counts, genes = make_counts(4000, 6), gene_names(4000)
    seen = counts[(counts > 0).all(axis=1)]
    factors = np.median(seen / gmean(seen, axis=1)[:, None], axis=0)
    scaled = np.rint(counts / factors).astype(int)
    found = inspect_data(write(tmp_path / "a.csv", table_text(genes, NAMES, scaled, sep=",")))
    assert blocking(found) == ["omics.already_normalised"]
    raw = inspect_data(write(tmp_path / "b.csv", table_text(genes, NAMES, counts, sep=",")))
    assert blocking(raw) == []
    level = np.random.default_rng(3).lognormal(3.5, 2.0, (4000, 1))
    same_depth = np.random.default_rng(4).poisson(level * np.random.default_rng(5).lognormal(0, 0.3, (4000, 6)))
    even = inspect_data(write(tmp_path / "c.csv", table_text(genes, NAMES, same_depth, sep=",")))
    assert blocking(even) == []


def test_rounded_log_values_are_not_counts(tmp_path: Path) -> None:
    logs = np.rint(np.log2(COUNTS * 50 + 1)).astype(int)
    assert (
        inspect_data(write(tmp_path / "a.csv", table_text(GENES, NAMES, logs, sep=","))).value_type == "log_intensity"
    )


def test_lengths_as_tximport_gives_them_are_not_counts(tmp_path: Path) -> None:
    counts = COUNTS + np.where(np.arange(400)[:, None] % 3 == 0, 0.37, 0.0)
    lengths = np.random.default_rng(0).lognormal(7.5, 0.7, (400, 1)) + 4.5 * np.arange(6)
    for name, values in (
        ("txi_counts", counts),
        ("txi_abundance", COUNTS / COUNTS.sum(0) * 1e6),
        ("txi_length", lengths),
    ):
        write(tmp_path / "x" / f"{name}.csv", table_text(GENES, NAMES, values, sep=","))
    found = inspect_data(tmp_path / "x")
    assert Path(found.chosen or "").name == "txi_counts.csv"
    assert blocking(found) == []
    write(tmp_path / "y" / "length.csv", table_text(GENES, NAMES, np.rint(lengths).astype(int), sep=","))
    with pytest.raises(NothingAnalysableError):
        inspect_data(tmp_path / "y")


def z_scores() -> np.ndarray:
    logs = np.log2(COUNTS + np.random.default_rng(1).uniform(0.5, 1.5, COUNTS.shape))
    return (logs - logs.mean(axis=1, keepdims=True)) / logs.std(axis=1, ddof=1, keepdims=True)


@pytest.mark.parametrize(
    ("ids", "values"),
    [
        pytest.param(GENES, z_scores(), id="z-scores"),
        pytest.param(GENES, np.random.default_rng(0).beta(2, 5, (400, 6)), id="fractions"),
        pytest.param(
            [f"cg{k:08d}" for k in range(400)], np.random.default_rng(0).normal(0, 3, (400, 6)), id="methylation"
        ),
        pytest.param([f"chr{k % 22 + 1}:{k * 1000 + 100}-{k * 1000 + 600}" for k in range(400)], COUNTS, id="peaks"),
        pytest.param([f"chrX_{k * 1000 + 100}_{k * 1000 + 600}" for k in range(400)], COUNTS, id="peaks, underscores"),
    ],
)
def test_what_is_no_expression_of_genes_is_not_analysed(tmp_path: Path, ids: list[str], values: np.ndarray) -> None:
    write(tmp_path / "x" / "a.csv", table_text(ids, NAMES, values, sep=","))
    with pytest.raises(NothingAnalysableError):
        inspect_data(tmp_path / "x")
    found = inspect_data(write(tmp_path / "b.csv", table_text(ids, NAMES, values, sep=",")))
    assert found.value_type == "not_expression"


def test_centred_log_ratios_stay_what_they_are(tmp_path: Path) -> None:
    logs = np.log2(COUNTS + 1.0)
    text = table_text([f"{k}_at" for k in range(400)], NAMES, logs - logs.mean(axis=1, keepdims=True), sep=",")
    assert inspect_data(write(tmp_path / "a.csv", text)).value_type == "log_intensity"


# ---- shapes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ensembl", "symbol"])
def test_a_small_panel_with_genes_in_columns_is_turned(tmp_path: Path, kind: str) -> None:
    symbols = ["TP53", "BRCA1", "EGFR", "MYC", "KRAS", "PTEN", "GAPDH", "ACTB", "XIST", "CD4", "CD8A", "IL6", "TNF"]
    genes = (
        GENES[:60]
        if kind == "ensembl"
        else [*symbols, *(f"CCL{k}" for k in range(1, 29)), *(f"IL{k}" for k in range(7, 26))]
    )
    names = [f"{'ctrl' if k % 2 else 'case'}_{k}" for k in range(40)]
    pd.DataFrame(make_counts(len(genes), 40).T, index=names, columns=genes).to_csv(tmp_path / "a.csv")
    found = inspect_data(tmp_path / "a.csv")
    assert (found.samples.samples, found.n_genes) == (names, len(genes))
    assert found.samples.levels("condition") == {"case": 20, "ctrl": 20}


def test_two_sheets_of_counts_ask(tmp_path: Path) -> None:
    with pd.ExcelWriter(tmp_path / "a.xlsx") as book:
        pd.DataFrame(COUNTS, index=GENES, columns=NAMES).to_excel(book, sheet_name="raw")
        pd.DataFrame(COUNTS[:300] // 2, index=GENES[:300], columns=NAMES).to_excel(book, sheet_name="deduplicated")
    found = inspect_data(tmp_path / "a.xlsx")
    assert blocking(found) == ["omics.several_tables"]
    assert found.n_genes == 400


def test_genes_come_before_transcripts_and_the_choice_is_asked_about(tmp_path: Path) -> None:
    write(tmp_path / "x/gene_counts.csv", table_text(GENES[:200], NAMES, COUNTS[:200], sep=","))
    names = [gene.replace("ENSG", "ENST") for gene in GENES]
    write(tmp_path / "x/a_transcript_counts.csv", table_text(names, NAMES, COUNTS, sep=","))
    found = inspect_data(tmp_path / "x")
    assert Path(found.chosen or "").name == "gene_counts.csv"
    assert blocking(found) == ["omics.several_tables"]


@pytest.mark.parametrize("mark", ["_L00{}", "_lane{}", "_techrep{}", ".tech{}"])
def test_lanes_and_technical_repeats_in_names_are_not_replicates(tmp_path: Path, mark: str) -> None:
    names = [f"{name}{mark.format(lane)}" for name in ("ctrl1", "ctrl2", "drug1", "drug2") for lane in (1, 2)]
    found = inspect_data(write(tmp_path / "a.csv", table_text(GENES, names, make_counts(400, 8), sep=",")))
    assert "omics.technical_replicates" in blocking(found)
    assert found.samples.levels("condition") == {"ctrl": 4, "drug": 4}


def test_small_rna_beside_messenger_rna_is_left_out(tmp_path: Path) -> None:
    series = case_control("GSE990022")
    samples = [
        dataclasses.replace(one, strategy="miRNA-Seq" if k in (2, 5) else "RNA-Seq")
        for k, one in enumerate(series.samples)
    ]
    folder = write_series(tmp_path, Series("GSE990022", samples))
    columns = [one.accession for one in samples]
    write(folder / "suppl" / "GSE990022_counts.txt.gz", table_text(GENES, columns, COUNTS))
    found = inspect_data(folder)
    assert len(found.samples.samples) == 4
    assert "another assay are left out: Vehicle rep 3, Drug rep 3" in said(found)


@pytest.mark.parametrize("start", [b"RDX3\n", b"X\n\x00\x00\x00\x03\x00"])
def test_r_objects_are_named_with_the_way_out(tmp_path: Path, start: bytes) -> None:
    path = write(tmp_path / "x" / "GSE1_seurat.rds.gz", start + b"\x00\x01" * 500)
    for given in (path, path.parent):
        with pytest.raises(NothingAnalysableError) as caught:
            inspect_data(given)
        assert "R object" in str(caught.value) + caught.value.hint
