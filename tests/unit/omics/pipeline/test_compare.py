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
from desktop.studios.omics.errors import UnknownRunError
from desktop.studios.omics.results import load_run
from desktop.studios.omics.results_enrichment import OVERLAP_NUMBERS, RANKED_NUMBERS
from desktop.studios.omics.run_folder import open_run_folder
from desktop.studios.omics.run_parts import compare_into
from desktop.studios.omics.schema import Contrast, Plan, SampleTable
from desktop.studios.omics.steps.compare import agreement, overlap, rank_rank
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


def test_ranks_of_a_run_with_itself_and_with_its_mirror() -> None:
    rng = np.random.default_rng(3)
    change = rng.normal(size=400)
    p = np.exp(-np.abs(change) * 4)
    same, mirror = rank_rank(change, p, change, p), rank_rank(change, p, -change, p)
    assert same.up is not None
    assert same.down is not None
    assert same.discordant is not None
    assert same.up.n_both == same.up.n_left == same.up.n_right
    assert same.up.signal > 50
    assert same.down.signal > 50
    assert same.discordant.signal < 1
    assert mirror.discordant is not None
    assert mirror.discordant.signal > 50
    assert mirror.up is not None
    assert mirror.up.signal < 1
    np.testing.assert_allclose(same.signal, same.signal.T)


def test_a_point_of_the_rank_map_by_hand() -> None:
    rng = np.random.default_rng(5)
    left, right = rng.normal(size=(2, 120))
    p = np.full(120, 0.5)
    found = rank_rank(left, p, right, p)
    at = int(np.searchsorted(found.depths, 30))
    depth = int(found.depths[at])
    tops = [set(np.argsort(-one)[:depth]) for one in (left, right)]
    n_both = len(tops[0] & tops[1])
    more, less = stats.hypergeom.sf(n_both - 1, 120, depth, depth), stats.hypergeom.cdf(n_both, 120, depth, depth)
    expected = -np.log10(more) if n_both >= depth * depth / 120 else np.log10(less)
    assert found.signal[at, at] == pytest.approx(expected)


def test_ranks_of_few_genes_are_no_error() -> None:
    few = np.array([1.0, -1.0])
    assert rank_rank(few, few * 0 + 0.5, few, few * 0 + 0.5).up is None


def test_overlap_by_hand() -> None:
    left, right = np.array([True, True, True, False, False]), np.array([True, True, False, False, False])
    found = overlap(left, right)
    assert (found.n_common, found.n_left, found.n_right, found.n_both) == (5, 3, 2, 2)
    assert found.pvalue == pytest.approx(3 / 10)


def with_gene_sets(run: Path, folder: Path, called: dict[str, float]) -> Path:
    """A copy of a run that says it tested twelve gene sets, these of them with these adjusted p values."""
    shutil.copytree(run, folder)
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps(summary | {"enrichment": {"gene_sets": "Sets of this test"}}))
    ids = [f"GO:{n}" for n in range(12)]
    texts = {"name": "a set", "collection": "BP", "representative": "", "genes": "gene0001;gene0002;gene0003"}
    numbers = dict.fromkeys((*OVERLAP_NUMBERS, *RANKED_NUMBERS), 1.0)
    overlap = pd.DataFrame(
        [
            {"set_id": one, "direction": "up", "key": f"up {one}", **texts, **numbers, "padj": called.get(one, 0.9)}
            for one in ids
        ]
    )
    ranked = pd.DataFrame([{"set_id": one, **texts, **numbers, "nes": n / 5 - 1} for n, one in enumerate(ids)])
    overlap.to_csv(folder / "enrichment.csv", index=False)
    ranked.to_csv(folder / "enrichment_ranked.csv", index=False)
    return folder


def test_shared_gene_sets_are_told(runs: list[Path], tmp_path: Path) -> None:
    left = with_gene_sets(runs[0], tmp_path / "a", {"GO:1": 0.01, "GO:2": 0.001, "GO:3": 0.02})
    right = with_gene_sets(runs[1], tmp_path / "b", {"GO:2": 0.03, "GO:3": 0.001, "GO:4": 0.001})
    (tmp_path / "out").mkdir()
    result = write_comparison(load_run(left), load_run(right), tmp_path / "out")
    assert result.n_sets_both == {"up": 2, "down": 0}
    assert result.nes_spearman == pytest.approx(1.0)
    assert result.sets_skipped == ""
    table = pd.read_csv(tmp_path / "out" / "gene_sets.csv")
    assert list(table[table["called_left"] & table["called_right"]]["key"]) == ["up GO:2", "up GO:3"]
    text = (tmp_path / "out" / "report.html").read_text()
    assert text.index("0.02") < text.index("0.03"), "the surer one, by its worse side, comes first"
    assert "gene0001, gene0002, gene0003" in text
    assert "hypergeometric" in text.lower()


def test_a_run_without_gene_sets_is_no_reason_to_fail(runs: list[Path], tmp_path: Path) -> None:
    result = write_comparison(load_run(runs[0]), load_run(runs[1]), tmp_path)
    assert "tested no gene sets" in result.sets_skipped
    assert not (tmp_path / "gene_sets.csv").exists()
    assert (tmp_path / "ranks.png").is_file()


def test_contrasts_of_one_run_are_compared(tmp_path: Path) -> None:
    samples = SampleTable(samples=[f"s{k}" for k in range(6)], factors={"arm": ["ctrl", "ctrl", "a", "a", "b", "b"]})
    plan = Plan(
        design="~ arm",
        contrast=Contrast(factor="arm", treated="a", control="ctrl"),
        other_contrasts=[Contrast(factor="arm", treated="b", control="ctrl")],
    )
    run = finished_run(tmp_path / "run", some_counts(), samples, plan)
    folder = open_run_folder(tmp_path / "out", "0123456789ab", tmp_path / "scratch")
    result = compare_into(run, run, folder, (1, 2))
    assert result.n_common_genes > 100
    assert result.lfc_pearson < 0.999, "two comparisons, not one twice"
    assert "arm: b vs ctrl" in (tmp_path / "out" / "report.html").read_text()
    with pytest.raises(UnknownRunError, match="no contrast 3"):
        compare_into(run, run, open_run_folder(tmp_path / "more", "0123456789ac", tmp_path / "scratch"), (1, 3))
