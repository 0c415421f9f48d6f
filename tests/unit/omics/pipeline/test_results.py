"""A finished folder read back: as it was written, and typed errors when somebody touched it."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from desktop.studios.omics.errors import DamagedRunError
from desktop.studios.omics.results import load_run
from desktop.studios.omics.schema import SampleTable
from tests.stand_ins.finished_run import drug_plan, finished_run, some_counts, two_groups


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    samples = two_groups()
    samples = SampleTable(
        samples=samples.samples, factors={**samples.factors, "note": ["null", "NA", "", "nan", "None", "x, y"]}
    )
    values = some_counts()
    values[:, -1] = 0
    return finished_run(tmp_path_factory.mktemp("results") / "run", values, samples, drug_plan())


def test_values_come_back(run: Path) -> None:
    view = load_run(run)
    n = len(view.gene_ids)
    assert n == 400
    assert all(len(a) == n for a in (view.base_mean, view.log2_fold_change, view.pvalue, view.padj, view.padj_reason))
    assert view.pca_scores.shape[0] == 6 == len(view.sample_names)
    assert view.heatmap.shape == (len(view.heatmap_genes), 6)
    assert sorted(view.heatmap_samples) == sorted(view.sample_names)
    np.testing.assert_allclose(view.distances, view.distances.T)
    assert view.samples.factors["note"] == ["null", "NA", "", "nan", "None", "x, y"]
    silent = view.gene_ids.index("gene0399")
    assert view.padj_reason[silent] == "all_zero"
    assert np.isnan(view.padj[silent])
    assert all((reason == "") == np.isfinite(padj) for reason, padj in zip(view.padj_reason, view.padj, strict=True))
    assert [row["rank"] for row in view.loadings if row["component"] == "PC1"] == list(range(1, 26))
    assert view.joins.shape == (5, 4)
    assert view.joins[-1, 3] == 6
    assert set(view.figures) >= {"volcano", "ma", "pca", "heatmap"}
    assert view.headline


def test_a_view_crosses_to_another_process(run: Path) -> None:
    view = pickle.loads(pickle.dumps(load_run(run)))
    assert view.gene_ids[0] == load_run(run).gene_ids[0]


def damage_missing(folder: Path) -> None:
    (folder / "results.csv").unlink()


def damage_columns(folder: Path) -> None:
    text = (folder / "results.csv").read_text()
    (folder / "results.csv").write_text(text.replace("log2_fold_change", "lfc", 1))


def damage_text(folder: Path) -> None:
    lines = (folder / "results.csv").read_text().splitlines()
    lines[3] = "gene,sym,oops,1,1,1,1,1"
    (folder / "results.csv").write_text("\n".join(lines))


def damage_binary(folder: Path) -> None:
    (folder / "heatmap.csv").write_bytes(b"\xff\xfe\x00garbage\x00" * 50)


def damage_plan(folder: Path) -> None:
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps(plan | {"alpha": 7}))


def damage_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("[1, 2]")


def damage_depth(folder: Path) -> None:
    (folder / "summary.json").write_text("[" * 100_000)


def damage_empty(folder: Path) -> None:
    (folder / "pca.csv").write_text("")


def damage_samples(folder: Path) -> None:
    (folder / "samples.csv").write_text("sample,arm\nother,ctrl\n")


@pytest.mark.parametrize(
    "damage",
    [
        damage_missing,
        damage_columns,
        damage_text,
        damage_binary,
        damage_plan,
        damage_manifest,
        damage_depth,
        damage_empty,
        damage_samples,
    ],
)
def test_a_damaged_folder_is_one_typed_error(damage, run: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    damage(folder)
    with pytest.raises(DamagedRunError) as caught:
        load_run(folder)
    assert caught.value.hint


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DamagedRunError, match="not there"):
        load_run(tmp_path / "nothing")
