"""Inputs as people really deposit them: each is read right, asked about or refused; none is taken wrongly in silence."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from desktop.studios.omics.errors import NothingAnalysableError, UnknownFactorError
from desktop.studios.omics.run_parts import kept_samples, plan_for, write_inputs
from desktop.studios.omics.schema import AnalysisParams, Inspection, Plan
from desktop.studios.omics.sources.dataset import inspect_data, load_matrix
from tests.unit.omics.geo_trees import (
    Sample,
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

GENES = gene_names(600)
NAMES = ["WT_1", "WT_2", "WT_3", "KO_1", "KO_2", "KO_3"]
COUNTS = make_counts(600, 6)
DEPTH = np.array([0.7, 0.9, 1.1, 1.3, 0.8, 1.2])
SYMBOLS = [f"GEN{k // 26}{chr(65 + k % 26)}" for k in range(600)]


def table(
    path: Path,
    values: NDArray[np.generic] | Sequence[Sequence[object]],
    *,
    ids: Sequence[str] = GENES,
    columns: Sequence[str] = NAMES,
    sep: str = "\t",
) -> Path:
    return write(path, table_text(ids, columns, np.asarray(values, dtype=object), sep=sep))


def look(path: Path, sheet: str = "") -> Inspection:
    return inspect_data(path, write(path.parent / "samples.csv", sheet) if sheet else None)


def blocking(found: Inspection) -> list[str]:
    return [caution.code for caution in found.warnings if caution.blocks]


def codes(found: Inspection) -> list[str]:
    return [caution.code for caution in found.warnings]


def assert_counts(found: Inspection, values: NDArray[np.int64] = COUNTS) -> None:
    assert found.value_type == "counts"
    np.testing.assert_array_equal(load_matrix(found).values, values.T)


# ---- values that are no reads ------------------------------------------------------------------------------------------


def scaled_down(random: np.random.Generator) -> NDArray[np.float64]:
    """FPKM in whole numbers: reads over lengths and depth, much smaller than the reads were."""
    level = random.lognormal(5.5, 1.6, (4000, 1))
    reads = random.poisson(level * random.lognormal(0.0, 0.2, (4000, 6)))
    return np.rint(reads / random.uniform(40, 90, (4000, 1)))


@pytest.mark.parametrize(
    ("spoil", "kind", "code"),
    [
        (lambda _: np.where(np.arange(600)[:, None] == 5, -3, COUNTS), "not_expression", ""),
        (lambda r: np.round(COUNTS - 5 * r.random(COUNTS.shape), 3), "not_expression", ""),
        (lambda _: np.where(np.arange(6) > 2, np.round(np.log2(COUNTS + 1), 4), COUNTS), "not_expression", ""),
        (lambda _: COUNTS * 2, "counts", "omics.already_normalised"),
        (lambda _: COUNTS * 1000, "counts", "omics.already_normalised"),
        (scaled_down, "counts", "omics.already_normalised"),
    ],
    ids=["negative", "batch taken off", "logs beside counts", "both mates", "thousands", "rounded FPKM"],
)
def test_numbers_that_are_no_reads(tmp_path: Path, spoil, kind: str, code: str) -> None:  # type: ignore[no-untyped-def]
    values = spoil(np.random.default_rng(1))
    values = values.astype(int) if (values == np.rint(values)).all() else values
    found = look(table(tmp_path / "counts.txt", values, ids=gene_names(len(values))))
    assert found.value_type == kind
    assert blocking(found) == ([code] if code else [])


@pytest.mark.parametrize("least", [0, 1, 10], ids=["all genes", "seen everywhere", "ten reads in all"])
def test_reads_are_not_taken_for_rounded_values(tmp_path: Path, least: int) -> None:
    reads = np.random.default_rng(0).poisson(np.random.default_rng(1).lognormal(1, 2, (4000, 1)) * np.ones((1, 6)))
    kept = (reads >= 1).all(axis=1) if least == 1 else reads.sum(axis=1) >= least
    found = look(table(tmp_path / "a.txt", reads[kept], ids=gene_names(int(kept.sum()))))
    assert_counts(found, reads[kept])
    assert blocking(found) == []


@pytest.mark.parametrize(
    "ids",
    [
        [f"peak_{k}" for k in range(600)],
        [f"MACS2_peak{k}" for k in range(600)],
        [f"{g}:E{k % 9:03d}" for k, g in enumerate(GENES)],
    ],
    ids=["peaks", "MACS", "exons"],
)
def test_peaks_and_exons_are_no_genes(tmp_path: Path, ids: list[str]) -> None:
    assert look(table(tmp_path / "a.txt", COUNTS, ids=ids)).value_type == "not_expression"


def test_counts_and_tpm_side_by_side_keep_the_counts(tmp_path: Path) -> None:
    tpm = np.round(COUNTS / COUNTS.sum(axis=0) * 1e6, 3).astype(object)
    columns = [f"{name}.{kind}" for kind in ("raw", "tpm") for name in NAMES]
    assert_counts(look(table(tmp_path / "a.txt", np.hstack([COUNTS.astype(object), tpm]), columns=columns)))


# ---- columns that are no samples ---------------------------------------------------------------------------------------


def test_facts_about_genes_are_no_samples(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    facts = np.column_stack([random.integers(1, 22, 600), random.random(600) * 60, random.integers(1, 9, 600)])
    values = np.hstack([facts.astype(object), COUNTS.astype(object)])
    known = look(
        table(
            tmp_path / "a.txt",
            values,
            columns=["chromosome_name", "percentage_gene_gc_content", "transcript_count", *NAMES],
        )
    )
    assert_counts(known)
    strange = look(table(tmp_path / "b.txt", values[:, 2:], columns=["cpgs", *NAMES]))
    assert blocking(strange) == ["omics.strange_column"]


def test_a_failed_library_is_said(tmp_path: Path) -> None:
    values = COUNTS.copy()
    values[:, 2] = np.random.default_rng(1).binomial(values[:, 2], 0.01)
    found = look(table(tmp_path / "a.txt", values))
    assert "omics.small_library" in codes(found)
    assert blocking(found) == []


def test_of_a_bead_array_the_signal_is_used(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    signal = 2 ** random.normal(8, 2, (600, 6))
    columns = [f"{name}.{what}" for name in NAMES for what in ("AVG_Signal", "Detection Pval", "Avg_NBEADS")]
    values = np.stack([signal, random.random((600, 6)), random.integers(9, 40, (600, 6))], axis=2).reshape(600, 18)
    found = look(
        table(tmp_path / "a.txt", np.round(values, 3), ids=[f"ILMN_{k + 1650000}" for k in range(600)], columns=columns)
    )
    assert found.value_type == "linear_intensity"
    assert found.samples.samples == NAMES


@pytest.mark.parametrize(
    "heading",
    [
        ["logFC", "logCPM", "LR", "PValue", "FDR"],
        ["logFC", "AveExpr", "t", "P.Value", "adj.P.Val", "B"],
        ["sample_1", "sample_2", "value_1", "value_2", "log2(fold_change)", "test_stat", "p_value", "q_value"],
    ],
    ids=["edgeR", "limma", "cuffdiff"],
)
def test_results_are_not_values(tmp_path: Path, heading: list[str]) -> None:
    values = np.round(np.random.default_rng(1).random((600, len(heading))), 5)
    with pytest.raises(NothingAnalysableError, match=r"results of an analysis|no column of expression values"):
        look(table(tmp_path / "a.txt", values, columns=heading))


# ---- shapes of tables --------------------------------------------------------------------------------------------------


def test_dots_between_thousands(tmp_path: Path) -> None:
    cells = [[f"{value:,}".replace(",", ".") for value in row] for row in (COUNTS * 7 + 1).tolist()]
    assert_counts(look(table(tmp_path / "a.csv", cells, sep=";")), COUNTS * 7 + 1)


def test_three_decimals_stay_decimals(tmp_path: Path) -> None:
    log = np.random.default_rng(1).uniform(2, 14, (600, 6))
    found = look(table(tmp_path / "a.txt", [[f"{value:.3f}" for value in row] for row in log]))
    assert load_matrix(found).values.max() < 15


def test_rows_that_are_no_genes(tmp_path: Path) -> None:
    lines = table_text(GENES, NAMES, COUNTS, sep=",").splitlines()
    text = "\n".join(
        ["Table S2: raw counts,,,,,,", lines[0], "group,WT,WT,WT,KO,KO,KO", *lines[1:], ",,,,,,", "Note: x,,,,,,"]
    )
    assert_counts(look(write(tmp_path / "a.csv", text + "\n")))


def test_groups_over_names_that_repeat_tell_samples_apart(tmp_path: Path) -> None:
    lines = table_text(GENES, ["rep1", "rep2", "rep3"] * 2, COUNTS, sep=",").splitlines()
    found = look(write(tmp_path / "a.csv", "\n".join([",WT,,,KO,,", *lines]) + "\n"))
    assert_counts(found)
    assert found.samples.samples == ["WT_rep1", "WT_rep2", "WT_rep3", "KO_rep1", "KO_rep2", "KO_rep3"]
    assert found.samples.factors["condition"] == ["WT"] * 3 + ["KO"] * 3


def test_samples_in_rows_with_their_groups(tmp_path: Path) -> None:
    rows = [[name[:2], k % 2 + 1, *COUNTS[:, k]] for k, name in enumerate(NAMES)]
    found = look(table(tmp_path / "a.csv", rows, ids=NAMES, columns=["group", "batch", *GENES], sep=","))
    assert_counts(found)
    assert "omics.columns_left_out" in codes(found)


def test_days_of_a_spreadsheet_are_eaten_symbols(tmp_path: Path) -> None:
    found = look(table(tmp_path / "a.txt", COUNTS, ids=["44256", "44441", *SYMBOLS[2:]]))
    assert "omics.symbols_eaten" in codes(found)


def test_an_array_of_which_one_sample_is_not_logged_is_not_used(tmp_path: Path) -> None:
    values = np.random.default_rng(3).normal(7, 3, (600, 6))  # some below 0
    values[:, 4] = 2 ** values[:, 4]
    found = look(table(tmp_path / "a.txt", np.round(values, 4), ids=[f"{k + 1000}_at" for k in range(600)]))
    assert found.value_type == "not_expression"


def test_numbered_spots_of_an_array_are_no_genes(tmp_path: Path) -> None:
    text = table_text(
        [str(k + 12) for k in range(600)], NAMES, np.random.default_rng(1).normal(0, 0.6, (600, 6)), corner="ID_REF"
    )
    assert look(write(tmp_path / "a.txt", text)).id_type == "probe"


# ---- files of one sample each ------------------------------------------------------------------------------------------


def raw_tar(root: Path, make) -> Inspection:  # type: ignore[no-untyped-def]
    members = {f"GSM10{k}_{name}.txt.gz": packed(make(k)) for k, name in enumerate(NAMES)}
    write_tar(root / "x" / "GSE1_RAW.tar", members)
    return inspect_data(root / "x")


def lines(ids: Sequence[str], values: Sequence[int]) -> str:
    return "".join(f"{one}\t{value}\n" for one, value in zip(ids, values, strict=True))


def test_feature_counts_with_names_of_genes(tmp_path: Path) -> None:
    def make(k: int) -> str:
        head = "# Program:featureCounts v2.0.1\nGeneid\tChr\tStart\tEnd\tStrand\tLength\tgene_name\ta.bam\n"
        return head + "".join(
            f"{g}\tchr1\t1\t90\t+\t90\tN{j}\t{c}\n" for j, (g, c) in enumerate(zip(GENES, COUNTS[:, k], strict=True))
        )

    assert_counts(raw_tar(tmp_path, make))


def test_files_of_other_genes_are_asked_about(tmp_path: Path) -> None:
    mouse = [gene.replace("ENSG", "ENSMUSG") for gene in GENES]
    found = raw_tar(tmp_path, lambda k: lines(GENES if k < 3 else mouse, COUNTS[:, k]))
    assert "omics.genes_differ" in blocking(found)


def test_files_of_other_versions_are_joined(tmp_path: Path) -> None:
    found = raw_tar(tmp_path, lambda k: lines([f"{gene}.{k % 2 + 3}" for gene in GENES], COUNTS[:, k]))
    assert_counts(found)
    assert "omics.versions_differ" in codes(found)


# ---- samples -----------------------------------------------------------------------------------------------------------


def test_names_of_reads_are_no_part_of_a_samples_name(tmp_path: Path) -> None:
    columns = [f"{name}_S{k + 1}_L001_R1_001" for k, name in enumerate(NAMES)]
    sheet = "sample,genotype\n" + "".join(f"{name},{name[:2]}\n" for name in reversed(NAMES))
    found = look(table(tmp_path / "a.txt", COUNTS, columns=columns), sheet)
    assert found.samples.factors["genotype"] == [name[:2] for name in NAMES]


def twelve(tmp_path: Path, heading: str, row) -> Inspection:  # type: ignore[no-untyped-def]
    names = [f"s{k}" for k in range(12)]
    sheet = f"sample,{heading}\n" + "".join(f"s{k},{row(k)}\n" for k in range(12))
    return look(table(tmp_path / "a.txt", make_counts(600, 12), columns=names), sheet)


@pytest.mark.parametrize(
    ("heading", "row", "asks"),
    [
        ("patient,status", lambda k: f"P{k // 2},{'tumor' if k < 6 else 'normal'}", True),
        ("biological_replicate,genotype", lambda k: f"m{k // 2},{'WT' if k < 6 else 'KO'}", True),
        ("patient,status", lambda k: f"P{k // 2},{'tumor' if k % 2 else 'normal'}", False),
        (
            "patient,arm,time",
            lambda k: f"P{k // 2},{'drug' if k < 6 else 'placebo'},{'post' if k % 2 else 'pre'}",
            False,
        ),
        (
            "replicate,genotype,drug",
            lambda k: f"{k // 2 % 3},{'WT' if k < 6 else 'KO'},{'yes' if k % 2 else 'no'}",
            False,
        ),
        ("cell_line,drug", lambda k: f"{'A549' if k < 6 else 'H1299'},{'yes' if k % 2 else 'no'}", False),
    ],
    ids=["patient twice", "mouse twice", "paired", "paired in time", "replicates of cells", "cell lines"],
)
def test_one_patient_twice_in_a_group_is_asked_about(tmp_path: Path, heading: str, row, asks: bool) -> None:  # type: ignore[no-untyped-def]
    found = twelve(tmp_path, heading, row)
    assert blocking(found) == (["omics.technical_replicates"] if asks else [])


def geo(tmp_path: Path, samples: Sequence[Sample]) -> Inspection:
    folder = write_series(tmp_path, Series("GSE990001", samples))
    table(folder / "suppl" / "GSE990001_counts.txt.gz", COUNTS, columns=[sample.accession for sample in samples])
    return inspect_data(folder)


def test_one_characteristic_in_several_spellings(tmp_path: Path) -> None:
    keys = ["Genotype: {}", "genotype : {}", "GENOTYPE:{}"]
    levels = ["WT", "WT", "wt", "KO", "KO", "ko"]
    sex = ["M", "Male", "male", "M", "F", "Female"]
    found = geo(
        tmp_path,
        [Sample(f"GSM99{k}", f"s{k}", [keys[k % 3].format(levels[k]), f"Sex: {sex[k]}"]) for k in range(6)],
    )
    assert found.samples.factors["Genotype"] == ["WT"] * 3 + ["KO"] * 3
    assert found.samples.levels("Sex") == {"M": 4, "F": 2} or len(found.samples.levels("Sex")) == 2
    assert found.proposal.groups == "Genotype"


def test_short_words_of_titles_contradict_too(tmp_path: Path) -> None:
    levels = ["WT", "WT", "KO", "WT", "KO", "KO"]
    found = geo(tmp_path, [Sample(f"GSM99{k}", n, [f"genotype: {levels[k]}"]) for k, n in enumerate(NAMES)])
    assert blocking(found) == ["omics.labels_conflict"]


@pytest.mark.parametrize("alone", [False, True], ids=["folder", "file"])
def test_the_tables_of_a_soft_family_are_read(tmp_path: Path, alone: bool) -> None:
    series = case_control()
    values = np.round(np.random.default_rng(3).normal(8, 2, (600, 6)), 4)
    text = "^SERIES = GSE990001\n!Series_geo_accession = GSE990001\n"
    for k, sample in enumerate(series.samples):
        text += f"^SAMPLE = {sample.accession}\n!Sample_title = {sample.title}\n!Sample_geo_accession = {sample.accession}\n"
        text += "".join(f"!Sample_characteristics_ch1 = {one}\n" for one in sample.characteristics)
        text += "!Sample_platform_id = GPL570\n!sample_table_begin\nID_REF\tVALUE\tABS_CALL\n"
        text += "".join(f"{1000 + j}_at\t{value}\tP\n" for j, value in enumerate(values[:, k]))
        text += "!sample_table_end\n"
    path = write(tmp_path / "f" / "GSE990001_family.soft.gz", text)
    found = inspect_data(path if alone else path.parent)
    assert (found.value_type, found.id_type, found.proposal.groups) == ("log_intensity", "probe", "treatment")
    np.testing.assert_array_equal(load_matrix(found).values, values.T)


# ---- runs of one sample ------------------------------------------------------------------------------------------------


def script_of(found: Inspection, plan: Plan, folder: Path) -> ModuleType:
    """The plan's script beside its inputs, as a module."""
    folder.mkdir()
    script, _ = write_inputs(found, plan, folder, folder)
    (folder / "analysis.py").write_bytes(script)
    spec = importlib.util.spec_from_file_location("written_analysis", folder / "analysis.py")
    assert spec is not None
    assert spec.loader is not None
    analysis = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = analysis
    try:
        spec.loader.exec_module(analysis)
    finally:
        del sys.modules[spec.name]
    return analysis


LANES = [f"{name}_L00{lane}" for name in NAMES for lane in (1, 2)]
HALF = np.random.default_rng(1).binomial(COUNTS, 0.4)
RUNS = np.stack([HALF, COUNTS - HALF], axis=2).reshape(600, 12)


@pytest.mark.parametrize(
    ("columns", "sheet", "factor"),
    [
        (LANES, "", "biological_sample"),
        ([f"SRR{k}" for k in range(12)], "Run,BioSample,genotype\n" + "".join(f"SRR{k},SAMN{k // 2},{'WT' if k < 6 else 'KO'}\n" for k in range(12)), "BioSample"),
        ([f"s{k}" for k in range(12)], "sample,mouse,genotype,run\n" + "".join(f"s{k},m{k // 2},{'WT' if k < 6 else 'KO'},r{k}\n" for k in range(12)), "mouse"),
    ],
    ids=["lanes in names", "runs of a biosample", "one mouse twice"],
)  # fmt: skip
def test_runs_of_one_sample_are_added_up_once_agreed(
    tmp_path: Path, columns: list[str], sheet: str, factor: str
) -> None:
    found = look(table(tmp_path / "a.txt", RUNS, columns=columns), sheet)
    assert (blocking(found), found.proposal.collapse) == (["omics.technical_replicates"], factor)
    plan = plan_for(AnalysisParams(data="", question="KO versus WT"), found)
    kept = kept_samples(plan, found.samples)
    assert (plan.collapse, len(kept.samples)) == (factor, 6)
    assert sorted(kept.levels(plan.contrast.factor if plan.contrast else "").values()) == [3, 3]

    analysis = script_of(found, plan, tmp_path / "in")
    counts, _, samples = analysis.read_data(tmp_path / "in")
    np.testing.assert_array_equal(counts.to_numpy(), COUNTS)
    assert list(samples.index) == kept.samples
    assert {name: list(samples[name]) for name in samples} == kept.factors


def test_a_plan_says_otherwise(tmp_path: Path) -> None:
    found = look(table(tmp_path / "a.txt", RUNS, columns=LANES))
    plan = plan_for(AnalysisParams(data="", question="KO versus WT"), found)
    assert len(kept_samples(plan.model_copy(update={"collapse": ""}), found.samples).samples) == 12
    with pytest.raises(UnknownFactorError, match="runs would be added up"):
        kept_samples(plan.model_copy(update={"collapse": "lane"}), found.samples)


def test_values_that_are_no_reads_are_never_added_up(tmp_path: Path) -> None:
    found = look(table(tmp_path / "a.txt", np.round(np.log2(RUNS + 1), 4), columns=LANES))
    assert (blocking(found), found.proposal.collapse) == (["omics.technical_replicates"], None)


# ---- lengths of genes --------------------------------------------------------------------------------------------------


def test_lengths_of_genes_in_each_sample_are_allowed_for(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    lengths = np.round(random.uniform(300, 4000, (600, 1)) * random.lognormal(0, 0.2, (600, 6)), 2)
    lengths[3, 1] = 0.0
    for k, name in enumerate(NAMES):
        rows = zip(GENES, lengths[:, k], COUNTS[:, k] + 0.25 * (COUNTS[:, k] > 50), strict=True)
        text = "gene_id\tlength\teffective_length\texpected_count\tTPM\n" + "".join(
            f"{gene}\t{length + 200}\t{length}\t{count}\t{count / 7:.3f}\n" for gene, length, count in rows
        )
        write(tmp_path / "x" / f"{name}.genes.results", text)
    found = inspect_data(tmp_path / "x")
    plan = plan_for(AnalysisParams(data="", question="KO versus WT"), found)
    assert (found.has_lengths, plan.lengths) == (True, True)
    analysis = script_of(found, plan, tmp_path / "in")
    counts, _, samples = analysis.read_data(tmp_path / "in")
    read = analysis.read_lengths(tmp_path / "in", samples, counts.index.to_numpy(dtype=str))
    place = [list(samples.index).index(name) for name in NAMES]
    expected = lengths.copy()
    expected[3, 1] = np.exp(np.log(np.delete(lengths[3], 1)).mean())
    np.testing.assert_allclose(read[place].T, expected, rtol=1e-9)
    without = plan_for(AnalysisParams(data="", plan=plan.model_copy(update={"lengths": False})), found)
    assert not without.lengths


def salmon(root: Path, ids: Sequence[str], lengths: NDArray[np.float64], tpm: NDArray[np.float64]) -> None:
    for k, name in enumerate(NAMES):
        rows = zip(ids, lengths[:, k], tpm[:, k], COUNTS[: len(ids), k], strict=True)
        text = "Name\tLength\tEffectiveLength\tTPM\tNumReads\n"
        text += "".join(f"{one}\t{length + 150}\t{length}\t{t}\t{c}.5\n" for one, length, t, c in rows)
        write(root / f"{name}_quant" / "quant.sf", text)


def test_transcripts_become_genes_by_a_table_beside_them(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    ids = [f"ENST{k:011d}.2" for k in range(300)]
    lengths, tpm = np.round(random.uniform(200, 3000, (300, 6)), 1), np.round(random.lognormal(1, 1, (300, 6)), 2)
    tpm[:3, 0] = 0.0  # no transcript of the first gene in the first sample
    salmon(tmp_path / "x", ids, lengths, tpm)
    asked = inspect_data(tmp_path / "x")
    assert blocking(asked) == ["omics.transcripts"]

    pairs = "".join(f"{one.split('.')[0]}\t{GENES[k // 3]}\n" for k, one in enumerate(ids))
    write(tmp_path / "x" / "tx2gene.tsv", "TXNAME\tGENEID\n" + pairs)
    found = inspect_data(tmp_path / "x")
    assert (blocking(found), found.n_genes, found.has_lengths) == ([], 100, True)
    matrix = load_matrix(found)
    order = [matrix.samples.index(name) for name in NAMES]
    summed = (COUNTS[:300] + 0.5).reshape(100, 3, 6).sum(axis=1)
    np.testing.assert_allclose(matrix.values[order].T, summed)
    assert matrix.lengths is not None
    weights = tpm.reshape(100, 3, 6)
    with np.errstate(invalid="ignore"):
        average = (weights * lengths.reshape(100, 3, 6)).sum(axis=1) / weights.sum(axis=1)
    average[0, 0] = np.exp(np.log(average[0, 1:]).mean())  # as tximport: the geometric mean of the other samples
    np.testing.assert_allclose(matrix.lengths[order].T, average)
