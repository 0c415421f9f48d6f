"""Several contrasts on one fit: the numbers of single runs, a folder and a section each, and how they agree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from desktop.studios.omics.errors import UnknownRunError
from desktop.studios.omics.results import RunView, load_run
from desktop.studios.omics.schema import Contrast, Plan, SampleTable, join_levels, split_levels
from tests.stand_ins.finished_run import finished_run
from tests.unit.omics.pipeline.test_report import Page, look_up

SAMPLES = SampleTable(
    samples=[f"s{k}" for k in range(9)],
    factors={"arm": ["ctrl"] * 3 + ["A"] * 3 + ["B"] * 3, "batch": list("xyz") * 3},
)
A, B = (Contrast(factor="arm", treated=level, control="ctrl") for level in "AB")
B_OVER_A = Contrast(factor="arm", treated="B", control="A")


def reads() -> np.ndarray:
    rng = np.random.default_rng(3)
    fold = np.ones((9, 220))
    fold[3:6, :40] = 5
    fold[6:9, 20:60] = 5
    return rng.negative_binomial(8, 8 / (8 + rng.lognormal(4.5, 1.2, 220) * fold))


def plan(*contrasts: Contrast) -> Plan:
    design = "~ batch + arm"
    return Plan(question="A, B?", design=design, contrast=contrasts[0], other_contrasts=list(contrasts[1:]))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory.mktemp("several") / "run", reads(), SAMPLES, plan(A, B, B_OVER_A))


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory.mktemp("single") / "run", reads(), SAMPLES, plan(B))


def test_each_contrast_has_the_numbers_of_a_run_of_its_own(run: Path, single: Path) -> None:
    second = run / "contrasts" / "2_B_vs_ctrl"
    for name in ("results.csv", "genes_without_padj.csv", "shrunken.csv"):
        assert (second / name).read_bytes() == (single / name).read_bytes()
    assert (run / "dispersions.csv").read_bytes() == (single / "dispersions.csv").read_bytes()
    assert (run / "results.csv").read_bytes() != (single / "results.csv").read_bytes()


def test_the_third_contrast_is_the_difference_of_the_first_two(run: Path) -> None:
    first, second, third = (load_run(run, number) for number in range(3))

    def change(view: RunView) -> pd.Series:
        return pd.Series(view.log2_fold_change, index=view.gene_ids)

    expected = (change(second) - change(first)).reindex(third.gene_ids)
    np.testing.assert_allclose(third.log2_fold_change, expected, atol=1e-8)
    assert third.contrast == B_OVER_A
    assert third.summary["n_tested"] == int(np.isfinite(third.padj).sum())


def test_shared_genes_are_those_that_several_call(run: Path) -> None:
    shared = pd.read_csv(run / "shared_genes.csv").set_index("gene_id")
    called = [set(np.array(view.gene_ids)[view.padj < 0.05]) for view in (load_run(run, k) for k in range(3))]
    assert set(shared.index) == set.union(*called)
    for gene in shared.index:
        assert shared["n_contrasts"][gene] == sum(gene in one for one in called)
    overlap = pd.read_csv(run / "contrast_overlap.csv").set_index("pair")
    assert overlap["n_both"]["1-2"] == len(called[0] & called[1]) > 0
    assert overlap["jaccard"]["1-2"] == pytest.approx(len(called[0] & called[1]) / len(called[0] | called[1]))


def test_every_number_of_the_report_stands_where_it_says(run: Path) -> None:
    page = Page((run / "report.html").read_text())
    files = {file for _, file, _, _ in page.numbers}
    assert {"results.csv", "contrasts/2_B_vs_ctrl/results.csv", "contrast_overlap.csv"} <= files
    for text, file, where, _ in page.numbers:
        shown = text.replace(",", "").removeprefix("< ").removesuffix(" %")
        assert float(shown) == pytest.approx(look_up(run, file, where), rel=0.05, abs=0.051), (text, file, where)
    headline = load_run(run).headline
    assert "On the same fit: B against ctrl (arm)" in headline
    assert "B against A (arm)" in headline


def test_the_script_run_by_hand_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", str(run / "analysis.py")], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    written = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert Path("contrasts/3_B_vs_A/results.csv") in written
    assert [name for name in written if (tmp_path / name).read_bytes() != (run / name).read_bytes()] == []


def test_a_contrast_that_is_not_there_is_said(run: Path) -> None:
    with pytest.raises(UnknownRunError, match="no contrast 4"):
        load_run(run, 3)


def test_a_plan_of_before_is_read() -> None:
    stored = {"design": "~ arm", "contrast": {"factor": "arm", "treated": "A", "control": "ctrl"}}
    assert Plan.model_validate(stored).contrasts == (A,)


@pytest.mark.parametrize("levels", [["ko", "yes"], ["12:00", "a\\b"], ["", ""], ["x\\", ":"]])
def test_levels_of_an_interaction_come_back(levels: list[str]) -> None:
    assert split_levels(join_levels(levels)) == levels
