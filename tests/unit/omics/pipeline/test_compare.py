"""Two runs side by side: numbers by hand, folders end to end, and runs that cannot be compared."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from desktop.studios.omics.compare_report import RunsDoNotMatchError, write_comparison
from desktop.studios.omics.results import load_run
from desktop.studios.omics.schema import Plan
from desktop.studios.omics.steps.compare import agreement
from tests.stand_ins.finished_run import drug_plan, finished_run, some_counts, two_groups


def test_numbers_by_hand() -> None:
    left = np.array([2.0, 1.0, -1.0, 0.1, 0.0, -0.2])
    right = np.array([1.8, -1.2, -0.8, 0.2, 0.1, -0.1])
    called_left = np.array([True, True, True, False, False, False])
    called_right = np.array([True, True, False, True, False, False])
    p = np.array([1e-9, 1e-5, 1e-4, 0.2, 0.5, 0.9])
    found = agreement(left, p, called_left, right, p, called_right)
    assert (found.n_common, found.n_left, found.n_right, found.n_both) == (6, 3, 3, 2)
    assert found.jaccard == pytest.approx(0.5)
    assert found.n_opposite == 1
    assert found.overlap_pvalue == pytest.approx((9 + 1) / 20)  # C(3,2)C(3,1)+C(3,3) of C(6,3)
    assert found.lfc_spearman == pytest.approx(stats.spearmanr(left, right)[0])


def test_nothing_called_is_no_overlap() -> None:
    zeros, p, none = np.zeros(5), np.ones(5), np.zeros(5, dtype=bool)
    found = agreement(zeros, p, none, zeros, p, none)
    assert found.overlap_pvalue == pytest.approx(1.0)
    assert np.isnan(found.lfc_pearson)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    where = tmp_path_factory.mktemp("compare")
    made = [
        finished_run(where / name, some_counts(seed=s), two_groups(), drug_plan()) for name, s in (("a", 1), ("b", 2))
    ]
    other = where / "c"
    shutil.copytree(made[0], other)
    for name in ("results.csv", "genes_without_padj.csv"):
        (other / name).write_text((other / name).read_text().replace("\ngene", "\nENSX"))
    pca = finished_run(where / "d", some_counts(), two_groups(), Plan(kind="pca"))
    return [*made, other, pca]


def test_a_run_agrees_with_itself(runs: list[Path], tmp_path: Path) -> None:
    view = load_run(runs[0])
    result = write_comparison(view, view, tmp_path)
    assert result.jaccard == 1.0
    assert result.lfc_pearson == pytest.approx(1.0)
    assert result.n_opposite_direction == 0
    assert result.overlap_pvalue < 1e-20


def test_two_runs_leave_table_figure_and_report(runs: list[Path], tmp_path: Path) -> None:
    result = write_comparison(load_run(runs[0]), load_run(runs[1]), tmp_path)
    table = pd.read_csv(tmp_path / "genes.csv")
    assert len(table) == result.n_common_genes
    assert (table["called_left"] & table["called_right"]).sum() == result.n_both > 40
    assert json.loads((tmp_path / "comparison.json").read_text())["n_both"] == result.n_both
    assert (tmp_path / "lfc.svg").exists()
    text = (tmp_path / "report.html").read_text()
    assert f"{result.n_both:,} genes are called by both runs" in text
    assert "http" not in text.split("<body>")[1].replace("http-equiv", "")


def test_runs_that_name_genes_differently_are_refused(runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(RunsDoNotMatchError, match="ENSX"):
        write_comparison(load_run(runs[0]), load_run(runs[2]), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_a_test_is_refused(runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(RunsDoNotMatchError, match="tested no genes"):
        write_comparison(load_run(runs[3]), load_run(runs[0]), tmp_path)
