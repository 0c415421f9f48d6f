"""Values that are not reads, through the real jobs: arrays tested with moderated t, normalised tables only looked at."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from desktop.app import build
from desktop.core.jobs import JobRecord, JobState
from desktop.core.paths import Paths
from desktop.workers.workbench import Workbench

NAMES = ["c1", "c2", "c3", "d1", "d2", "d3"]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    workbench = build(Paths(tmp_path_factory.mktemp("home")))
    yield workbench
    workbench.close()


def run(bench: Workbench, **params: Any) -> JobRecord:
    return bench.runtime.wait(bench.runtime.submit("omics.run_analysis", {"isolation": "process", **params}), 300)


def write_table(folder: Path, values: np.ndarray, ids: list[str]) -> dict[str, str]:
    """A table (6, G) and its sheet; returns the job's parameters."""
    with (folder / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *NAMES])
        for k, name in enumerate(ids):
            writer.writerow([name, *("" if np.isnan(v) else repr(float(v)) for v in values[:, k])])
    rows = "".join(f"{name},{'control' if name[0] == 'c' else 'drug'}\n" for name in NAMES)
    (folder / "sheet.csv").write_text("sample,arm\n" + rows)
    return {"data": str(folder / "table.csv"), "samples": str(folder / "sheet.csv")}


def log_values(n_genes: int = 600, n_changed: int = 50) -> np.ndarray:
    """(6, n_genes) log2 intensities; the first `n_changed` are 2 higher in the last three samples."""
    rng = np.random.default_rng(5)
    values = rng.uniform(4, 13, n_genes) + rng.normal(0, 0.25, (6, n_genes))
    values[3:, :n_changed] += 2.0
    return values


def affy(n: int) -> list[str]:
    return [f"{200000 + k}_at" for k in range(n)]


def results_of(job: JobRecord) -> pd.DataFrame:
    assert job.state is JobState.DONE, job.error
    return pd.read_csv(Path((job.result or {})["out_dir"]) / "results.csv", dtype={"gene_id": str}).set_index("gene_id")


@pytest.mark.shared
def test_a_series_matrix_and_a_sentence_give_limma_s_numbers(
    bench: Workbench, shared_data: Path, tmp_path: Path
) -> None:
    geo = shared_data / "omics" / "geo"
    (tmp_path / "series_matrix.txt.gz").write_bytes((geo / "GSE42872_series_matrix.txt.gz").read_bytes())
    job = run(bench, data=str(tmp_path), question="Which genes does vemurafenib change?")
    ours = results_of(job)
    limma = pd.read_csv(
        geo / "R_limma_reference" / "GSE42872_vemurafenib_vs_control.csv.gz", index_col="probe", dtype={"probe": str}
    )
    ours = ours.loc[limma.index]
    np.testing.assert_allclose(ours["stat"], limma["t"], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(ours["log2_fold_change"], limma["logFC"], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(ours["pvalue"], limma["P.Value"], rtol=1e-6)
    np.testing.assert_allclose(ours["base_mean"], limma["AveExpr"], rtol=1e-6)
    plan = (job.result or {})["plan"]
    assert plan["values"] == "log_intensity"
    assert any(reason["about"] == "model" and "moderated t" in reason["text"] for reason in plan["reasons"])
    text = (Path((job.result or {})["out_dir"]) / "report.md").read_text()
    assert "Smyth GK" in text
    assert "Ritchie ME" in text
    assert "Love MI" not in text.split("## Methods")[1]


def test_the_natural_scale_gives_the_same_answer_as_its_logarithm(bench: Workbench, tmp_path: Path) -> None:
    logs = log_values()
    tables = []
    for name, values in (("log", logs), ("linear", 2.0**logs)):
        (tmp_path / name).mkdir()
        job = run(bench, **write_table(tmp_path / name, values, affy(600)), question="drug against control")
        tables.append(results_of(job))
        summary = json.loads((Path((job.result or {})["out_dir"]) / "summary.json").read_text())
        assert ("log2-transformed" in summary["notes"][0]) == (name == "linear")
    numbers = ["base_mean", "log2_fold_change", "stat"]
    np.testing.assert_allclose(tables[0][numbers], tables[1].loc[tables[0].index, numbers], rtol=1e-6, atol=1e-7)
    called = set(tables[0].index[tables[0]["padj"] < 0.05])
    assert set(affy(600)[:50]) <= called
    assert len(called) < 65


def test_missing_spots_are_missing_and_say_so(bench: Workbench, tmp_path: Path) -> None:
    values = log_values()
    values[0, 100] = np.nan
    values[:, 101] = np.nan
    values[:5, 102] = np.nan
    job = run(bench, **write_table(tmp_path, values, affy(600)), question="drug against control")
    table = results_of(job)
    assert np.isfinite(table.loc[affy(600)[100], "padj"])
    assert np.isnan(table.loc[affy(600)[102], "padj"])
    out_dir = Path((job.result or {})["out_dir"])
    missing = pd.read_csv(out_dir / "genes_without_padj.csv").set_index("gene_id")
    assert missing.loc[affy(600)[102], "reason"] == "too_few_values"
    assert "values are missing" in (out_dir / "report.md").read_text()


def test_tpm_is_refused_for_a_test_and_taken_for_a_look(bench: Workbench, tmp_path: Path) -> None:
    values = 2.0 ** log_values(3000)
    given = write_table(
        tmp_path, values / values.sum(axis=1, keepdims=True) * 1e6, [f"ENSG{k:011d}" for k in range(3000)]
    )
    job = run(bench, **given, question="drug against control")
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error.code == "omics.not_counts"
    assert "raw counts" in job.error.hint
    look = run(bench, **given, question="Do the samples group? Show a PCA.")
    assert look.state is JobState.DONE, look.error
    assert any("raw counts would answer better" in text for text in (look.result or {})["warnings"])
    out_dir = Path((look.result or {})["out_dir"])
    assert (out_dir / "figures" / "pca.svg").exists()
    assert "library" not in (out_dir / "sample_qc.csv").read_text().splitlines()[1]
    assert "nan" not in (out_dir / "report.html").read_text().split("<h2>Samples</h2>")[1].split("</table>")[0]


def test_log_values_of_genes_are_tested_only_where_the_sentence_says_so(bench: Workbench, tmp_path: Path) -> None:
    given = write_table(tmp_path, log_values(), [f"ENSG{k:011d}" for k in range(600)])
    job = run(bench, **given, question="drug against control")
    assert job.error is not None
    assert job.error.code == "omics.not_counts"
    assert '"log2 values"' in job.error.hint
    said = run(bench, **given, question="drug against control on these log2 values")
    assert (results_of(said)["padj"] < 0.05).sum() >= 50
    assert any("raw counts would answer better" in text for text in (said.result or {})["warnings"])


def test_a_run_of_intensities_runs_again_from_its_folder(bench: Workbench, tmp_path: Path) -> None:
    first = run(bench, **write_table(tmp_path, log_values(), affy(600)), question="drug against control")
    out_dir = Path((first.result or {})["out_dir"])
    again = run(bench, data=str(out_dir), stored_run=(first.result or {})["run_id"], out_dir=str(tmp_path / "again"))
    assert again.state is JobState.DONE, again.error
    for name in ("results.csv", "variances.csv", "log2_values.csv.gz"):
        assert (tmp_path / "again" / name).read_bytes() == (out_dir / name).read_bytes()
    assert gzip.decompress((out_dir / "values.csv.gz").read_bytes()).startswith(b"gene_id,gene_symbol,c1")
