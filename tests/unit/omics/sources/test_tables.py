"""Tables of counts however they are written, and what is refused."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desktop.studios.omics.errors import (
    AllZeroError,
    DuplicateIdError,
    NothingAnalysableError,
    SamplesDoNotMatchError,
    UnreadableTableError,
)
from desktop.studios.omics.sources.dataset import inspect_data, load_matrix
from desktop.studios.omics.sources.tables import parse_table
from tests.unit.omics.geo_trees import gene_names, make_counts, table_text

GENES = gene_names(300)
NAMES = ["ctrl_1", "ctrl_2", "ctrl_3", "drug_1", "drug_2", "drug_3"]
COUNTS = make_counts(300, 6)


def read(path: Path) -> np.ndarray:
    matrix = load_matrix(inspect_data(path))
    assert matrix.samples == NAMES
    assert matrix.gene_ids == GENES
    return matrix.values.T


@pytest.mark.parametrize("sep", ["\t", ",", ";", "|", " "])
@pytest.mark.parametrize("corner", ["gene_id", "", "Geneid"])
def test_separators(tmp_path: Path, sep: str, corner: str) -> None:
    if sep == " " and not corner:
        pytest.skip("a blank heading is not told from R's shorter one")
    path = tmp_path / "table.dat"
    path.write_text(table_text(GENES, NAMES, COUNTS, sep=sep, corner=corner))
    np.testing.assert_array_equal(read(path), COUNTS)


@pytest.mark.parametrize("sep", ["\t", ",", ";"])
def test_names_that_hold_a_separator(tmp_path: Path, sep: str) -> None:
    """Transcripts of GENCODE and Trinity are called "ENST1|ENSG1|len=10"."""
    path = tmp_path / "table.csv"
    path.write_text(table_text([f"{gene}|{gene}|len=10" for gene in GENES], NAMES, COUNTS, sep=sep))
    matrix = load_matrix(inspect_data(path))
    assert matrix.samples == NAMES
    np.testing.assert_array_equal(matrix.values.T, COUNTS)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(tmp_path: Path, encoding: str, end: str) -> None:
    text = table_text(GENES, NAMES, COUNTS, corner="Gène").replace("\n", end)
    path = tmp_path / "table.txt"
    path.write_bytes(text.encode(encoding))
    np.testing.assert_array_equal(read(path), COUNTS)


@pytest.mark.parametrize(
    "pack", [gzip.compress, bz2.compress, lzma.compress, lambda data: gzip.compress(gzip.compress(data))]
)
def test_packings_are_told_by_content(tmp_path: Path, pack) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(pack(table_text(GENES, NAMES, COUNTS).encode()))
    np.testing.assert_array_equal(read(path), COUNTS)


def test_heading_of_r_is_one_shorter(tmp_path: Path) -> None:
    lines = table_text(GENES, NAMES, COUNTS).split("\n")
    lines[0] = "\t".join(NAMES)
    path = tmp_path / "r.txt"
    path.write_text("\n".join(lines))
    np.testing.assert_array_equal(read(path), COUNTS)


def test_quoted_cells_with_separators(tmp_path: Path) -> None:
    lines = ['"gene","description",' + ",".join(f'"{name}"' for name in NAMES)]
    lines += [
        f'"{gene}","kinase, ""beta"" (EC 1,2)",' + ",".join(map(str, row))
        for gene, row in zip(GENES, COUNTS.tolist(), strict=True)
    ]
    path = tmp_path / "quoted.csv"
    path.write_text("\n".join(lines))
    np.testing.assert_array_equal(read(path), COUNTS)


def test_comments_titles_and_annotation_columns(tmp_path: Path) -> None:
    lines = [
        "# Program:featureCounts v2.0",
        "Geneid\tChr\tStart\tEnd\tStrand\tLength\t" + "\t".join(f"/data/bam/{n}.sorted.bam" for n in NAMES),
    ]
    lines += [
        f"{g}\tchr1;chr2\t1;5\t9;20\t+;+\t{900 + at}\t" + "\t".join(map(str, row))
        for at, (g, row) in enumerate(zip(GENES, COUNTS.tolist(), strict=True))
    ]
    path = tmp_path / "fc.txt"
    path.write_text("\n".join(lines) + "\n")
    np.testing.assert_array_equal(read(path), COUNTS)


def test_serial_numeric_ids_and_totals_are_not_samples(tmp_path: Path) -> None:
    lines = ["No.\tGeneID\tgene\t" + "\t".join(NAMES) + "\tTotal\tlog2FoldChange\tpadj"]
    for at, (gene, row) in enumerate(zip(GENES, COUNTS.tolist(), strict=True)):
        lines.append("\t".join(map(str, [at + 1, 5000 + 7 * at, gene, *row, sum(row), 0.1 * at, 0.5])))
    lines.append("\t".join(["", "", "Total", *map(str, COUNTS.sum(axis=0).tolist()), str(COUNTS.sum()), "0", "1"]))
    path = tmp_path / "messy.tsv"
    path.write_text("\n".join(lines) + "\n")
    inspection = inspect_data(path)
    matrix = load_matrix(inspection)
    assert matrix.samples == NAMES
    assert matrix.gene_ids == GENES
    np.testing.assert_array_equal(matrix.values.T, COUNTS)
    assert any(warning.code == "omics.columns_left_out" for warning in inspection.warnings)


def test_decimal_commas_and_thousands(tmp_path: Path) -> None:
    values = COUNTS / 7.0
    lines = ["gene;" + ";".join(NAMES)] + [
        g + ";" + ";".join(f"{v:.4f}".replace(".", ",") for v in row) for g, row in zip(GENES, values, strict=True)
    ]
    path = tmp_path / "german.csv"
    path.write_text("\n".join(lines))
    inspection = inspect_data(path)
    assert inspection.value_type == "fpkm"
    np.testing.assert_allclose(load_matrix(inspection).values.T, values, atol=1e-4)
    big = COUNTS * 1000 + 123
    lines = ["gene\t" + "\t".join(NAMES)] + [
        g + "\t" + "\t".join(f"{v:,}" for v in row) for g, row in zip(GENES, big.tolist(), strict=True)
    ]
    path.write_text("\n".join(lines))
    np.testing.assert_array_equal(load_matrix(inspect_data(path)).values.T, big)


def test_both_measures_in_one_table_keeps_the_reads(tmp_path: Path) -> None:
    names = [f"{n}_count" for n in NAMES] + [f"{n}_FPKM" for n in NAMES]
    lines = ["gene_id\t" + "\t".join(names)]
    lines += [
        g + "\t" + "\t".join(map(str, row)) + "\t" + "\t".join(f"{v / 3.7:.3f}" for v in row)
        for g, row in zip(GENES, COUNTS.tolist(), strict=True)
    ]
    path = tmp_path / "both.tsv"
    path.write_text("\n".join(lines))
    assert inspect_data(path).value_type == "counts"
    np.testing.assert_array_equal(read(path), COUNTS)


def test_excel_eaten_symbols_are_reported(tmp_path: Path) -> None:
    symbols = [f"GENE{number}" for number in range(296)] + ["1-Mar", "2-Sep", "Dec-01", "TP53"]
    path = tmp_path / "symbols.csv"
    path.write_text(table_text(symbols, NAMES, COUNTS, sep=","))
    warnings = {warning.code: warning.text for warning in inspect_data(path).warnings}
    assert "1-Mar" in warnings["omics.symbols_eaten"]


def test_duplicate_symbols_stay_apart_and_are_said(tmp_path: Path) -> None:
    symbols = [f"GENE{number}" for number in range(298)] + ["Y_RNA", "Y_RNA"]
    path = tmp_path / "symbols.csv"
    path.write_text(table_text(symbols, NAMES, COUNTS, sep=","))
    inspection = inspect_data(path)
    assert "omics.duplicate_ids" in {warning.code for warning in inspection.warnings}
    assert len(set(load_matrix(inspection).gene_ids)) == 300


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\n\n  \n", id="blank"),
        pytest.param(bytes(range(256)) * 40, id="binary"),
        pytest.param(gzip.compress(table_text(GENES, NAMES, COUNTS).encode())[:-400], id="truncated gzip"),
        pytest.param(gzip.compress(b"x" * 100)[:5] + b"damaged!" * 20, id="damaged gzip"),
        pytest.param(table_text(GENES, NAMES, COUNTS).encode()[:-9], id="last line cut"),
        pytest.param(
            (
                table_text(GENES[:9], NAMES, COUNTS[:9]) + "ENSG1\t1\t2\n" + table_text(GENES[10:], NAMES, COUNTS[10:])
            ).encode(),
            id="ragged",
        ),
        pytest.param(b"gene\ta\tb\n", id="only a heading"),
        pytest.param(b"just some words\nin a few lines of text\nthat are no table, at all\n", id="prose"),
        pytest.param(b"<!DOCTYPE html><html><body>404</body></html>", id="web page"),
        pytest.param(
            table_text(GENES, NAMES, COUNTS).replace("\t0\t", "\toops\t", 1).encode(), id="a word among numbers"
        ),
    ],
)
def test_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "counts.tsv"
    path.write_bytes(content)
    with pytest.raises(UnreadableTableError) as caught:
        inspect_data(path)
    assert caught.value.hint
    assert "counts.tsv" in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableTableError):
        inspect_data(tmp_path / "nowhere.csv")


def test_duplicated_genes_and_samples(tmp_path: Path) -> None:
    path = tmp_path / "twice.tsv"
    path.write_text(table_text([*GENES[:-1], GENES[0]], NAMES, COUNTS))
    with pytest.raises(DuplicateIdError, match=GENES[0]):
        inspect_data(path)
    path.write_text(table_text(GENES, [*NAMES[:-1], NAMES[0]], COUNTS))
    with pytest.raises(DuplicateIdError, match=NAMES[0]):
        inspect_data(path)


def test_no_reads(tmp_path: Path) -> None:
    path = tmp_path / "zero.tsv"
    path.write_text(table_text(GENES, NAMES, np.zeros_like(COUNTS)))
    with pytest.raises(AllZeroError):
        inspect_data(path)
    one = COUNTS.copy()
    one[:, 2] = 0
    path.write_text(table_text(GENES, NAMES, one))
    with pytest.raises(AllZeroError, match="ctrl_3"):
        inspect_data(path)


SHEET = "sample,condition\n" + "".join(f"{name},{name.split('_')[0]}\n" for name in NAMES)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda lines: [lines[0], *reversed(lines[1:])], id="other order"),
        pytest.param(lambda lines: [line.upper() if at else line for at, line in enumerate(lines)], id="other case"),
        pytest.param(lambda lines: [line.replace("_", ".") for line in lines], id="dots"),
        pytest.param(lambda lines: [line.replace("_", "-") for line in lines], id="hyphens"),
        pytest.param(lambda lines: [f"row{at},{line}" for at, line in enumerate(lines)], id="names in another column"),
    ],
)
def test_samples_are_matched_by_name(tmp_path: Path, change) -> None:
    (tmp_path / "counts.tsv").write_text(table_text(GENES, NAMES, COUNTS))
    (tmp_path / "sheet.csv").write_text("\n".join(change(SHEET.strip().split("\n"))) + "\n")
    inspection = inspect_data(tmp_path / "counts.tsv", tmp_path / "sheet.csv")
    assert inspection.samples.samples == NAMES
    assert [value.lower() for value in inspection.samples.factors["condition"]] == ["ctrl"] * 3 + ["drug"] * 3
    assert not any(warning.blocks for warning in inspection.warnings)


def test_r_prefix_is_folded(tmp_path: Path) -> None:
    (tmp_path / "counts.tsv").write_text(table_text(GENES, [f"X{n}.a" for n in range(6)], COUNTS))
    (tmp_path / "sheet.csv").write_text(
        "id,group\n" + "".join(f"{n}-a,{'wt' if n % 2 else 'ko'}\n" for n in reversed(range(6)))
    )
    inspection = inspect_data(tmp_path / "counts.tsv", tmp_path / "sheet.csv")
    assert inspection.samples.factors["group"] == ["ko", "wt"] * 3


def test_other_suffixes_are_proposed_and_must_be_confirmed(tmp_path: Path) -> None:
    (tmp_path / "counts.tsv").write_text(table_text(GENES, NAMES, COUNTS))
    (tmp_path / "sheet.csv").write_text(
        "file,condition\n" + "".join(f"{n}fb,{n.split('_')[0]}\n" for n in reversed(NAMES))
    )
    inspection = inspect_data(tmp_path / "counts.tsv", tmp_path / "sheet.csv")
    assert inspection.samples.factors["condition"] == ["ctrl"] * 3 + ["drug"] * 3
    assert [warning.code for warning in inspection.warnings if warning.blocks] == ["omics.samples_do_not_match"]


@pytest.mark.parametrize(
    "names",
    [
        ["s1", "s2", "s3", "s4", "s5", "s6"],
        ["1", "2", "3", "4", "5", "6"],
        ["patient1", "patient2", "patient3", "patient4", "patient5", "patient6"],
    ],
)
def test_names_are_never_matched_by_position(tmp_path: Path, names: list[str]) -> None:
    (tmp_path / "counts.tsv").write_text(table_text(GENES, NAMES, COUNTS))
    (tmp_path / "sheet.csv").write_text(
        "sample,condition\n" + "".join(f"{n},{'ab'[at % 2]}\n" for at, n in enumerate(names))
    )
    with pytest.raises(SamplesDoNotMatchError) as caught:
        inspect_data(tmp_path / "counts.tsv", tmp_path / "sheet.csv")
    assert caught.value.facts["rows"] == names


def test_unmatched_samples_are_listed(tmp_path: Path) -> None:
    (tmp_path / "counts.tsv").write_text(table_text(GENES, NAMES, COUNTS))
    (tmp_path / "more.csv").write_text(SHEET + "drug_4,drug\n")
    more = inspect_data(tmp_path / "counts.tsv", tmp_path / "more.csv")
    assert any("drug_4" in warning.text and not warning.blocks for warning in more.warnings)
    (tmp_path / "typo.csv").write_text(SHEET.replace("drug_3", "drog_3"))
    typo = inspect_data(tmp_path / "counts.tsv", tmp_path / "typo.csv")
    assert any("drug_3" in warning.text and "drog_3" in warning.text and warning.blocks for warning in typo.warnings)


def test_null_and_na_are_labels(tmp_path: Path) -> None:
    (tmp_path / "counts.tsv").write_text(table_text(GENES, NAMES, COUNTS))
    levels = ["null", "null", "null", "NA", "NA", "None"]
    (tmp_path / "sheet.csv").write_text(
        "sample,genotype,code\n"
        + "".join(f"{n},{v},00{at}\n" for at, (n, v) in enumerate(zip(NAMES, levels, strict=True)))
    )
    inspection = inspect_data(tmp_path / "counts.tsv", tmp_path / "sheet.csv")
    assert inspection.samples.factors["genotype"] == levels
    assert inspection.samples.factors["code"][0] == "000"


def test_groups_are_read_from_column_names(tmp_path: Path) -> None:
    path = tmp_path / "counts.tsv"
    path.write_text(
        table_text(GENES, ["control_Rep1", "control_Rep2", "control_Rep3", "KO_Rep1", "KO_Rep2", "KO_Rep3"], COUNTS)
    )
    inspection = inspect_data(path)
    assert inspection.samples.factors["condition"] == ["control"] * 3 + ["KO"] * 3
    assert inspection.proposal.formula == "~ condition"
    assert any(reason.by == "rule:column_names" for reason in inspection.proposal.reasons)


def test_a_table_of_samples_is_not_a_table_of_genes(tmp_path: Path) -> None:
    path = tmp_path / "metadata.csv"
    path.write_text(
        "sample,condition,batch,RIN\n"
        + "".join(f"{n},{n.split('_')[0]},{at % 2},{7 + at / 10}\n" for at, n in enumerate(NAMES))
    )
    with pytest.raises((NothingAnalysableError, UnreadableTableError)):
        inspect_data(path)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=3000))
def test_no_bytes_are_a_surprise(data: bytes) -> None:
    """Whatever stands in a file, reading it ends in a table or in a typed error."""
    from desktop.core.errors import AppError
    from desktop.studios.omics.sources.tables import read_table

    try:
        table = read_table(data, name="noise")
    except AppError as error:
        said = error.hint
    else:
        said = "read"
        assert len(table.heading) == table.frame.shape[1]
    assert said


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 10**7), min_size=3, max_size=3), min_size=8, max_size=30),
    st.sampled_from(["\t", ",", ";"]),
)
def test_numbers_come_back_as_written(rows: list[list[int]], sep: str) -> None:
    text = table_text(gene_names(len(rows)), ["a1", "b1", "c1"], np.array(rows), sep=sep)
    table = parse_table(text, name="t")
    np.testing.assert_array_equal(table.frame[[1, 2, 3]].to_numpy(), np.array(rows))


def test_genes_in_columns_are_turned_round(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(table_text(NAMES, GENES, COUNTS.T, sep=",", corner="sample"))
    np.testing.assert_array_equal(read(path), COUNTS)


def test_runs_of_one_sample_are_not_replicates(tmp_path: Path) -> None:
    runs = [f"SRR90{n}" for n in range(6)]
    (tmp_path / "counts.tsv").write_text(table_text(GENES, runs, COUNTS))
    sheet = "Run,BioSample,treatment\n" + "".join(
        f"{r},SAMN{at // 2},{'drug' if at > 3 else 'control'}\n" for at, r in enumerate(runs)
    )
    (tmp_path / "runs.csv").write_text(sheet)
    inspection = inspect_data(tmp_path / "counts.tsv", tmp_path / "runs.csv")
    assert "omics.technical_replicates" in {warning.code for warning in inspection.warnings if warning.blocks}


def test_pandas_index_column_is_no_gene(tmp_path: Path) -> None:
    path = tmp_path / "indexed.csv"
    lines = ["," + ",".join(["gene", *NAMES])] + [
        f"{at},{g}," + ",".join(map(str, row)) for at, (g, row) in enumerate(zip(GENES, COUNTS.tolist(), strict=True))
    ]
    path.write_text("\n".join(lines))
    np.testing.assert_array_equal(read(path), COUNTS)


def test_a_sample_listed_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "counts.tsv").write_text(table_text(GENES, NAMES, COUNTS))
    (tmp_path / "sheet.csv").write_text(SHEET + "drug_3,ctrl\n")
    with pytest.raises(DuplicateIdError, match="drug_3"):
        inspect_data(tmp_path / "counts.tsv", tmp_path / "sheet.csv")


def test_weak_designs_are_said(tmp_path: Path) -> None:
    (tmp_path / "counts.tsv").write_text(table_text(GENES, NAMES, COUNTS))
    (tmp_path / "sheet.csv").write_text(
        "sample,group,batch\n" + "".join(f"{n},{'wt' if at < 4 else 'ko'},{at // 2}\n" for at, n in enumerate(NAMES))
    )
    found = inspect_data(tmp_path / "counts.tsv", tmp_path / "sheet.csv")
    assert {"omics.few_replicates", "omics.confounded"} <= {warning.code for warning in found.warnings}


def test_sheet_in_a_workbook_with_a_title(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    for row in [
        ["Samples of the study"],
        [],
        ["Sample ID", "Treatment (24h)", "Donor #"],
        *([n, n.split("_")[0], int(n[-1])] for n in NAMES),
    ]:
        page.append(row)
    book.save(tmp_path / "sheet.xlsx")
    (tmp_path / "counts.tsv").write_text(table_text(GENES, NAMES, COUNTS))
    found = inspect_data(tmp_path / "counts.tsv", tmp_path / "sheet.xlsx")
    assert found.samples.factors == {"Treatment_24h": ["ctrl"] * 3 + ["drug"] * 3, "Donor": ["1", "2", "3"] * 2}
    assert found.proposal.formula == "~ Donor + Treatment_24h"


def test_numbers_in_column_names_only_count_samples(tmp_path: Path) -> None:
    path = tmp_path / "counts.tsv"
    path.write_text(table_text(GENES, ["WT.1.R1", "WT.2.R1", "WT.3.R1", "KO.1.R1", "KO.2.R1", "KO.3.R1"], COUNTS))
    assert inspect_data(path).proposal.formula == "~ condition"
