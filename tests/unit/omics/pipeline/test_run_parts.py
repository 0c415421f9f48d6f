"""From an inspection to a plan and to the files a script reads: what is refused, what is rounded, what is kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from desktop.core.errors import AppError
from desktop.studios.omics.run_parts import check_plan, kept_samples, plan_for, write_inputs
from desktop.studios.omics.schema import AnalysisParams, Inspection, Plan, SampleTable
from desktop.studios.omics.script_inputs import load_samples, write_samples
from desktop.studios.omics.sources.dataset import inspect_data
from tests.stand_ins.finished_run import drug_plan, some_counts

NAMES = ["c1", "c2", "c3", "d1", "d2", "d3"]
PLAN = drug_plan()


def inspected(folder: Path, values: np.ndarray) -> Inspection:
    """A table and a sample sheet on disk, looked at."""
    table = pd.DataFrame(values.T, columns=NAMES)
    table.insert(0, "gene_id", [f"gene{k:04d}" for k in range(len(table))])
    table.to_csv(folder / "counts.tsv", sep="\t", index=False)
    sheet = "sample,arm,batch\n" + "".join(f"{n},{'ctrl' if n[0] == 'c' else 'drug'},b{n[1]}\n" for n in NAMES)
    (folder / "sheet.csv").write_text(sheet)
    return inspect_data(folder / "counts.tsv", folder / "sheet.csv")


def test_expected_counts_are_rounded_and_it_is_said(tmp_path: Path) -> None:
    values = some_counts() + np.where(np.arange(400) % 3 == 0, 0.37, 0.0)
    (tmp_path / "in").mkdir()
    script, done = write_inputs(inspected(tmp_path, values), PLAN, tmp_path / "in", tmp_path / "own")
    assert [caution.code for caution in done] == ["omics.rounded"]
    written = pd.read_csv(tmp_path / "in" / "counts.csv.gz")
    np.testing.assert_array_equal(written[NAMES].to_numpy(), np.rint(values).T)
    assert script.startswith(b"# /// script")


def test_values_that_are_no_reads_are_refused(tmp_path: Path) -> None:
    values = some_counts(3000) + 0.5
    values = values / values.sum(axis=1, keepdims=True) * 1e6
    with pytest.raises(AppError) as caught:
        write_inputs(inspected(tmp_path, values), PLAN, tmp_path, tmp_path / "own")
    assert caught.value.code == "omics.not_counts"


def test_no_gene_in_every_sample(tmp_path: Path) -> None:
    values = some_counts()
    values[np.arange(400) % 6, np.arange(400)] = 0
    with pytest.raises(AppError) as caught:
        write_inputs(inspected(tmp_path, values), PLAN, tmp_path, tmp_path / "own")
    assert caught.value.code == "omics.no_common_genes"


def test_samples_the_plan_keeps() -> None:
    table = SampleTable(samples=NAMES, factors={"arm": ["c"] * 3 + ["d"] * 3, "batch": ["1", "2", "3"] * 2})
    assert kept_samples(Plan(keep={"batch": ["1", "3"], "arm": ["c", "d"]}), table).samples == ["c1", "c3", "d1", "d3"]
    with pytest.raises(AppError) as caught:
        check_plan(Plan(kind="pca", keep={"batch": ["1"], "arm": ["c"]}), table)
    assert caught.value.code == "omics.one_group"


def test_a_kept_subset_is_cut_inside_the_script(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    plan = PLAN.model_copy(update={"keep": {"batch": ["b1", "b2"]}})
    script, _ = write_inputs(inspected(tmp_path, some_counts()), plan, folder, tmp_path / "own")
    (folder / "analysis.py").write_bytes(script)
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run([sys.executable, str(folder / "analysis.py")], cwd=out, check=True, capture_output=True)
    assert pd.read_csv(out / "sample_qc.csv")["sample"].tolist() == ["c1", "c2", "d1", "d2"]
    assert len(pd.read_csv(folder / "samples.csv")) == 6


def test_given_parts_replace_what_a_given_plan_says(tmp_path: Path) -> None:
    inspection = inspected(tmp_path, some_counts())
    params = AnalysisParams(data="x", plan=PLAN, design="~ batch + arm", alpha=0.01, lfc_threshold=1.0)
    plan = plan_for(params, inspection)
    assert (plan.design, plan.alpha, plan.lfc_threshold) == ("~ batch + arm", 0.01, 1.0)
    assert plan.contrast == PLAN.contrast


def test_a_confounded_plan_is_refused_even_when_a_person_made_it(tmp_path: Path) -> None:
    inspection = inspected(tmp_path, some_counts())
    table = inspection.samples.model_copy(
        update={"factors": {**inspection.samples.factors, "run": ["r1"] * 3 + ["r2"] * 3}}
    )
    plan = PLAN.model_copy(update={"design": "~ run + arm"})
    with pytest.raises(AppError) as caught:
        plan_for(AnalysisParams(data="x", plan=plan), inspection.model_copy(update={"samples": table}))
    assert caught.value.code == "omics.confounded"


@pytest.mark.parametrize("first", ["sample", "sample_name", "other"])
def test_sample_tables_come_back_as_written(first: str, tmp_path: Path) -> None:
    table = SampleTable(samples=["a,b", 'c"d', "e\nf"], factors={first: ["null", "", "NA"], "ü": ["=1", "-2", "x;y"]})
    write_samples(tmp_path, table)
    assert load_samples(tmp_path / "samples.csv") == table
