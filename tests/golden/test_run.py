"""The bundled dataset through the script, run by hand in a plain process: the numbers, and that they never change."""

from __future__ import annotations

import ast
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from desktop.core.paths import resources_dir
from desktop.studios.omics.schema import AnalysisKind, Contrast, Plan, SampleTable
from desktop.studios.omics.script_inputs import write_counts, write_samples
from desktop.studios.omics.steps.script import requirements, to_script
from tests.stand_ins.finished_run import finished_run, some_counts, two_groups

HEADER = ["gene_id", "gene_symbol", "base_mean", "log2_fold_change", "lfc_se", "stat", "pvalue", "padj"]
AIRWAY = resources_dir() / "samples" / "airway"


def airway_samples() -> SampleTable:
    sheet = pd.read_csv(AIRWAY / "samples.csv", dtype=str, keep_default_na=False)
    return SampleTable(samples=list(sheet["sample"]), factors={f: list(sheet[f]) for f in ("cell", "dex")})


def write_inputs(folder: Path, plan: Plan) -> Path:
    """The bundled dataset and its script in `folder`; returns the script."""
    folder.mkdir(parents=True)
    table = pd.read_csv(AIRWAY / "counts.csv.gz", keep_default_na=False)
    samples = airway_samples()
    write_counts(folder, table[samples.samples].to_numpy().T, table["gene_id"], table["gene_name"], samples.samples)
    write_samples(folder, samples)
    script = folder / "analysis.py"
    script.write_text(to_script(plan, samples, organism="Homo sapiens", data="GSE52778"), encoding="utf-8")
    return script


def run_by_hand(script: Path, where: Path, **env: str) -> Path:
    """`python analysis.py` from another folder, with nothing of Benchtop on the path; returns that folder."""
    where.mkdir()
    done = subprocess.run(
        [sys.executable, "-I", str(script)], cwd=where, capture_output=True, text=True, env={**os.environ, **env}
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "[step 1/8] Read the data"
    return where


def de_plan() -> Plan:
    return Plan(
        question="Which genes change with dexamethasone, allowing for the cell line?",
        design="~ cell + dex",
        contrast=Contrast(factor="dex", treated="trt", control="untrt"),
    )


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("golden") / "a", de_plan())


@pytest.fixture(scope="module")
def run(script: Path) -> Path:
    return run_by_hand(script, script.parent.parent / "out")


def results_of(run: Path) -> pd.DataFrame:
    return pd.read_csv(run / "results.csv", dtype={"gene_symbol": str}, keep_default_na=True, na_values=[""])


def test_results_have_the_promised_columns_and_every_gene(run: Path) -> None:
    with (run / "results.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == HEADER
    assert len(rows) == 64102 + 1
    assert len({row[0] for row in rows[1:]}) == 64102


def test_results_are_sorted_by_p_value_then_gene(run: Path) -> None:
    table = results_of(run)
    keys = list(zip(table["pvalue"].fillna(2.0), table["gene_id"], strict=True))
    assert keys == sorted(keys)


def test_known_dexamethasone_genes_are_found_up(run: Path) -> None:
    table = results_of(run).set_index("gene_symbol")
    for symbol in ("CRISPLD2", "DUSP1", "KLF15", "PER1", "TSC22D3", "FKBP5", "ZBTB16"):
        assert table.loc[symbol, "padj"] < 1e-10
        assert table.loc[symbol, "log2_fold_change"] > 1


@pytest.mark.shared
def test_calls_agree_with_r(run: Path, shared_data: Path) -> None:
    """Stock pydeseq2 reaches a Jaccard index of 0.905 here."""
    folder = shared_data / "omics/counts/airway_GSE52778/R_reference"
    reference = pd.read_csv(folder / "dex_trt_vs_untrt.csv.gz").set_index("gene_id")
    ours = results_of(run).set_index("gene_id").reindex(reference.index)
    theirs_called, ours_called = reference["padj_alpha0.05"] < 0.05, ours["padj"] < 0.05
    assert (theirs_called & ours_called).sum() / (theirs_called | ours_called).sum() > 0.93


@pytest.mark.shared
def test_principal_components_agree_with_r(run: Path, shared_data: Path) -> None:
    folder = shared_data / "omics/counts/airway_GSE52778/R_reference"
    reference = pd.read_csv(folder / "pca_vst_top500.csv").set_index("sample")
    ours = pd.read_csv(run / "pca.csv").set_index("sample")
    for component in ("PC1", "PC2"):
        theirs = reference[component]
        assert abs(np.corrcoef(ours.loc[theirs.index, component], theirs)[0, 1]) > 0.99
    percent = np.array((folder / "pca_percentVar.txt").read_text().split(","), dtype=float)[:2] * 100
    np.testing.assert_allclose(ours.loc["percent_variance", ["PC1", "PC2"]].to_numpy(float), percent, atol=0.5)


def test_summary_counts_what_the_table_says(run: Path) -> None:
    summary, table = json.loads((run / "summary.json").read_text()), results_of(run)
    called = table[table["padj"] < 0.05]
    assert summary["n_genes"] == len(table)
    assert summary["n_significant"] == len(called) > 3000
    assert (summary["up"], summary["down"]) == (
        (called["log2_fold_change"] > 0).sum(),
        (called["log2_fold_change"] < 0).sum(),
    )


def test_every_gene_without_padj_has_a_reason(run: Path) -> None:
    table = results_of(run)
    missing = pd.read_csv(run / "genes_without_padj.csv")
    assert set(missing["gene_id"]) == set(table.loc[table["padj"].isna(), "gene_id"])
    assert set(missing["reason"]) <= {"all_zero", "outlier", "low_mean", "few_reads"}
    assert (missing.loc[missing["reason"] == "all_zero", "base_mean"] == 0).all()


def test_every_figure_is_there_with_text_as_text(run: Path) -> None:
    expected = {
        "volcano",
        "ma",
        "pca",
        "heatmap",
        "dispersion",
        "pvalue_histogram",
        "sample_clustering",
        "sample_qc",
        "top_genes",
    }
    assert {path.stem for path in (run / "figures").glob("*.svg")} == expected
    assert {path.stem for path in (run / "figures").glob("*.png")} == expected
    volcano = (run / "figures/volcano.svg").read_text()
    assert "log2 fold change</text>" in volcano
    best = [symbol for symbol in results_of(run)["gene_symbol"].head(15) if isinstance(symbol, str)]
    assert sum(f">{symbol}</text>" in volcano for symbol in best) >= 5
    assert "% of variance</text>" in (run / "figures/pca.svg").read_text()


def test_the_same_bytes_from_another_folder_and_with_another_number_of_threads(
    script: Path, run: Path, tmp_path: Path
) -> None:
    twin = write_inputs(tmp_path / "elsewhere", de_plan())
    assert twin.read_bytes() == script.read_bytes()
    assert (twin.parent / "counts.csv.gz").read_bytes() == (script.parent / "counts.csv.gz").read_bytes()
    again = run_by_hand(twin, tmp_path / "out", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", PYTHONHASHSEED="7")
    names = sorted(path.relative_to(run) for path in run.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert [name for name in names if (run / name).read_bytes() != (again / name).read_bytes()] == []


def test_normalised_counts_are_counts_over_size_factors(run: Path) -> None:
    factors = pd.read_csv(run / "sample_qc.csv").set_index("sample")["size_factor"]
    normalised = pd.read_csv(run / "normalised_counts.csv.gz").set_index("gene_id")
    counts = pd.read_csv(AIRWAY / "counts.csv.gz").set_index("gene_id")[list(factors.index)]
    np.testing.assert_allclose(normalised.to_numpy(), (counts / factors).to_numpy(), rtol=1e-8)


@pytest.mark.parametrize("kind", ["pca", "clustering", "sample_qc"])
def test_kinds_without_a_comparison_leave_the_same_files_without_statistics(kind: AnalysisKind, tmp_path: Path) -> None:
    done = finished_run(tmp_path / "run", some_counts(), two_groups(), Plan(kind=kind, question="Do they group?"))
    table = pd.read_csv(done / "results.csv", keep_default_na=False)
    assert list(table.columns) == HEADER
    assert len(table) == 400
    assert set(table["padj"]) == {""}
    assert {path.stem for path in (done / "figures").glob("*.svg")} == {
        "pca",
        "heatmap",
        "sample_clustering",
        "sample_qc",
    }
    assert "flagged" in (done / "report.md").read_text()


def test_the_script_declares_what_it_imports_and_nothing_of_benchtop(script: Path) -> None:
    text = script.read_text()
    imported = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    declared = {line.partition("==")[0] for line in requirements(text)}
    assert declared == imported - sys.stdlib_module_names
    assert "desktop" not in imported


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.tile(some_counts()[:1], (6, 1)), id="all samples alike"),
        pytest.param(some_counts(3, n_changed=1), id="three genes"),
    ],
)
def test_data_with_little_in_it_still_ends_well(values: np.ndarray, tmp_path: Path) -> None:
    plan = Plan(design="~ arm", contrast=Contrast(factor="arm", treated="drug", control="ctrl"))
    done = finished_run(tmp_path / "run", values, two_groups(), plan)
    assert len(pd.read_csv(done / "results.csv")) == values.shape[1]
    assert "<h1" in (done / "report.html").read_text()
