"""Single cells to samples: sums that are right, samples that are samples, and a refusal wherever that is in doubt."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata.io import write_elem

from desktop.core.errors import AppError
from desktop.studios.omics.errors import (
    MixedCellsError,
    NothingAnalysableError,
    TooFewReplicatesError,
    UnclearQuestionError,
    UnreadableTableError,
)
from desktop.studios.omics.run_parts import check_plan, plan_for, write_inputs
from desktop.studios.omics.schema import AnalysisParams, Inspection, Plan
from desktop.studios.omics.sources.dataset import inspect_data, load_matrix
from tests.unit.omics.cell_files import Cells, barcodes, some_cells, write_h5, write_h5ad, write_tenx


def whole(found: Inspection) -> dict[str, np.ndarray]:
    """Sample → its reads, of the columns that stand for all cells."""
    matrix = load_matrix(found)
    return {name: row for name, row in zip(matrix.samples, matrix.values, strict=True) if "·" not in name}


def assert_sums(found: Inspection, cells: Cells, names: dict[str, str] | None = None) -> None:
    sums = whole(found)
    units = list(dict.fromkeys(cells.unit))
    assert list(sums) == [(names or {}).get(unit, unit) for unit in units]
    for name, unit in zip(sums, units, strict=True):
        np.testing.assert_array_equal(sums[name], cells.counts[cells.unit == unit].sum(axis=0))


def codes(found: Inspection, blocking: bool = False) -> set[str]:
    return {caution.code for caution in found.warnings if caution.blocks or not blocking}


# ---- h5ad ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("places", "chosen"),
    [
        ({"X": sp.csr_matrix}, "X"),
        ({"X": np.asarray}, "X"),
        ({"X": lambda x: sp.csr_matrix(np.log1p(x)), "counts": sp.csc_matrix}, "layers/counts"),
        ({"X": lambda x: np.log1p(x) - 1, "raw": sp.csr_matrix}, "raw/X"),
        ({"X": sp.csr_matrix, "data": lambda x: sp.csr_matrix(np.log1p(x))}, "X"),
        ({"X": lambda x: sp.csr_matrix((x > 0).astype("f4")), "umis": sp.csr_matrix}, "layers/umis"),
        ({"spliced": lambda x: sp.csr_matrix(x // 2), "X": sp.csr_matrix}, "X"),
    ],
    ids=["sparse X", "dense X", "layer by column", "raw", "log layer", "binary X", "velocity"],
)
def test_raw_counts_are_found_by_content(tmp_path: Path, places: dict, chosen: str) -> None:
    cells = some_cells()
    counts = cells.counts.astype("f4")
    found = inspect_data(
        write_h5ad(tmp_path / "a.h5ad", cells, **{name: make(counts) for name, make in places.items()})
    )
    assert f"{chosen} holds raw counts" in found.why
    assert_sums(found, cells)
    assert found.value_type == "counts"
    assert (found.proposal.formula, found.proposal.groups, found.proposal.pairing) == (
        "~ donor + stim",
        "stim",
        "donor",
    )


@pytest.mark.parametrize(
    "make", [np.log1p, lambda x: x / x.sum(axis=1, keepdims=True) * 1e4, lambda x: np.log1p(x) - 1]
)
def test_log_and_normalised_values_are_never_added_up(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    cells = some_cells()
    path = write_h5ad(tmp_path / "a.h5ad", cells, X=sp.csr_matrix(make(cells.counts.astype(float))))
    with pytest.raises(NothingAnalysableError, match=r"no raw counts: X (holds fractions|has values below 0)"):
        inspect_data(path)


def test_fractions_deep_in_the_matrix_are_found(tmp_path: Path) -> None:
    cells = some_cells(per_type=60)
    counts = sp.csr_matrix(np.pad(cells.counts, ((0, 0), (0, 400)), constant_values=2).astype("f4"))
    cells.genes = [f"G{k}" for k in range(counts.shape[1])]
    assert inspect_data(write_h5ad(tmp_path / "a.h5ad", cells, X=counts)).value_type == "counts"
    n, whole_ones = len(counts.data), counts.copy()
    for part in (slice(n // 8, n // 2 - n // 16), slice(n // 2 + n // 8, n - n // 16)):  # not where it is looked first
        counts.data[part] = np.log1p(counts.data[part])
    with pytest.raises(NothingAnalysableError, match=r"no whole numbers, up to .*: not raw counts"):
        inspect_data(write_h5ad(tmp_path / "b.h5ad", cells, X=counts))
    found = inspect_data(write_h5ad(tmp_path / "c.h5ad", cells, X=counts, counts=whole_ones))
    assert "layers/counts" in found.why
    whole_ones.data[n // 4] = np.inf
    with pytest.raises(NothingAnalysableError, match="not raw counts"):
        inspect_data(write_h5ad(tmp_path / "d.h5ad", cells, X=whole_ones))


def test_packed_h5ad_gives_the_same(tmp_path: Path) -> None:
    cells = some_cells()
    plain = write_h5ad(tmp_path / "a.h5ad", cells, X=sp.csr_matrix(cells.counts))
    packed = tmp_path / "b.h5ad.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert_sums(inspect_data(packed), cells)


def test_damaged_and_foreign_hdf5_is_one_typed_error(tmp_path: Path) -> None:
    cells = some_cells()
    good = write_h5ad(tmp_path / "a.h5ad", cells, X=sp.csr_matrix(cells.counts)).read_bytes()
    for number, data in enumerate((good[: len(good) // 2], good[:100], b"\x89HDF\r\n\x1a\n" + b"\x00" * 500)):
        path = tmp_path / f"cut{number}.h5ad"
        path.write_bytes(data)
        with pytest.raises(UnreadableTableError):
            inspect_data(path)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = [1, 2, 3]
    with pytest.raises(NothingAnalysableError, match="without cells"):
        inspect_data(tmp_path / "other.h5")


def test_a_file_that_leads_to_another_is_refused(tmp_path: Path) -> None:
    cells = some_cells()
    write_h5ad(tmp_path / "secret.h5ad", cells, X=sp.csr_matrix(cells.counts))
    path = write_h5ad(tmp_path / "a.h5ad", cells)
    with h5py.File(path, "a") as file:
        file["X"] = h5py.ExternalLink("secret.h5ad", "/X")
    with pytest.raises(UnreadableTableError, match="leads to another file"):
        inspect_data(path)


def test_indices_outside_the_matrix_are_refused(tmp_path: Path) -> None:
    cells = some_cells()
    path = write_h5ad(tmp_path / "a.h5ad", cells, X=sp.csr_matrix(cells.counts))
    with h5py.File(path, "a") as file:
        file["X/indices"][5] = 9999
    with pytest.raises(UnreadableTableError):
        inspect_data(path)


# ---- what a sample is ------------------------------------------------------------------------------------------------------


def h5ad_of(tmp_path: Path, cells: Cells, labels: pd.DataFrame) -> Path:
    return write_h5ad(tmp_path / "a.h5ad", cells, labels, X=sp.csr_matrix(cells.counts))


def test_cells_without_samples_are_refused_not_taken_for_replicates(tmp_path: Path) -> None:
    cells = some_cells()
    with pytest.raises(NothingAnalysableError, match="no label says which sample"):
        inspect_data(h5ad_of(tmp_path, cells, cells.labels[["stim", "cell_type"]]))


def test_one_sample_an_arm_has_no_p_values(tmp_path: Path) -> None:
    cells = some_cells(n_donors=1)
    labels = cells.labels.assign(sample=cells.unit)[["sample", "stim"]]
    found = inspect_data(h5ad_of(tmp_path, cells, labels))
    with pytest.raises(TooFewReplicatesError):
        plan_for(AnalysisParams(data="a", question="Which genes change with stim against ctrl?"), found)


def test_a_sample_column_is_taken_and_its_labels_come_along(tmp_path: Path) -> None:
    cells = some_cells()
    labels = cells.labels.assign(
        sample_id=cells.unit, age=np.where(cells.labels["donor"] == "P1", "34", "51"), n_counts="7"
    )
    found = inspect_data(h5ad_of(tmp_path, cells, labels[["sample_id", "stim", "donor", "age", "cell_type"]]))
    assert_sums(found, cells)
    assert set(found.samples.factors) == {"stim", "donor", "age", "cells_of", "cell_type", "n_cells"}


def test_libraries_of_one_donor_and_arm_are_added_up(tmp_path: Path) -> None:
    cells = some_cells()
    lane = np.where(np.arange(len(cells.unit)) % 2, "L1", "L2")
    labels = cells.labels.assign(sample=[f"{u}_{k}" for u, k in zip(cells.unit, lane, strict=True)], lane=lane)
    found = inspect_data(h5ad_of(tmp_path, cells, labels))
    assert len(whole(found)) == 6
    assert "omics.technical_replicates_summed" in codes(found)


def test_pooled_donors_are_told_apart_and_unknown_ones_left_out(tmp_path: Path) -> None:
    cells = some_cells()
    donor = cells.labels["donor"].where(np.arange(len(cells.labels)) % 10 > 0, "unknown")
    found = inspect_data(h5ad_of(tmp_path, cells, cells.labels.assign(sample="pool", donor=donor)))
    assert set(whole(found)) == set(cells.unit)
    assert "omics.cells_left_out" in codes(found)


def test_one_label_a_cell_names_no_samples(tmp_path: Path) -> None:
    cells = some_cells()
    labels = cells.labels.assign(sample_id=cells.labels.index)
    assert_sums(inspect_data(h5ad_of(tmp_path, cells, labels)), cells)


def test_counts_of_chosen_genes_only_are_said(tmp_path: Path) -> None:
    cells = some_cells()
    path = write_h5ad(tmp_path / "a.h5ad", cells, X=sp.csr_matrix(cells.counts))
    with h5py.File(path, "a") as file:
        write_elem(file, "raw/X", sp.csr_matrix(np.log1p(np.hstack([cells.counts] * 3))))
        write_elem(file, "raw/var", pd.DataFrame(index=[f"G{k}" for k in range(3 * len(cells.genes))]))
    assert "omics.genes_chosen" in codes(inspect_data(path))


def test_a_batch_in_place_of_a_sample_asks(tmp_path: Path) -> None:
    cells = some_cells()
    labels = pd.DataFrame({"batch": cells.unit, "stim": cells.labels["stim"].to_numpy()}, index=cells.labels.index)
    assert "omics.samples_unclear" in codes(inspect_data(h5ad_of(tmp_path, cells, labels)), blocking=True)


def test_few_cells_are_left_out_and_said(tmp_path: Path) -> None:
    cells = some_cells()
    found = inspect_data(h5ad_of(tmp_path, cells, cells.labels))
    told = next(caution.text for caution in found.warnings if caution.code == "omics.too_few_cells")
    assert told == "Left out for fewer than 10 cells: P3_stim · T (4)."
    numbers = dict(zip(found.samples.samples, found.samples.factors["n_cells"], strict=True))
    assert (numbers["P1_ctrl"], numbers["P3_stim"], numbers["P1_ctrl · T"]) == ("42", "32", "14")


# ---- the question ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kang(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cells, Inspection]:
    cells = some_cells()
    folder = tmp_path_factory.mktemp("cells")
    return cells, inspect_data(write_h5ad(folder / "a.h5ad", cells, X=sp.csr_matrix(cells.counts)))


@pytest.mark.parametrize(
    ("question", "kept"),
    [
        ("Which genes change with stimulation?", ["all cells"]),
        ("Which genes change in B cells between stim and ctrl?", ["B cells"]),
        ("In CD14 monocytes, what does stim do compared with ctrl?", ["CD14+ Monocytes"]),
        ("stim vs ctrl in T cells", ["T"]),
        ("Does T matter? stim vs ctrl", ["all cells"]),
        ("Compare B cells with T cells", ["B cells", "T"]),
    ],
)
def test_the_question_chooses_the_cells(kang: tuple[Cells, Inspection], question: str, kept: list[str]) -> None:
    plan = plan_for(AnalysisParams(data="a", question=question), kang[1])
    assert plan.keep["cell_type"] == kept
    assert any(reason.about == "cells" for reason in plan.reasons)
    assert plan.contrast is not None
    assert plan.contrast.factor == ("cell_type" if len(kept) > 1 else "stim")


@pytest.mark.parametrize("question", ["stim vs ctrl in each cell type", "stim vs ctrl in B cells and T cells"])
def test_several_types_are_several_runs(kang: tuple[Cells, Inspection], question: str) -> None:
    with pytest.raises(UnclearQuestionError, match="One run tests the cells of one type"):
        plan_for(AnalysisParams(data="a", question=question), kang[1])


def test_types_of_a_sample_never_count_as_replicates(kang: tuple[Cells, Inspection]) -> None:
    plan = plan_for(AnalysisParams(data="a", question="stim vs ctrl"), kang[1])
    with pytest.raises(MixedCellsError):
        check_plan(plan.model_copy(update={"keep": {}}), kang[1].samples)
    with pytest.raises(MixedCellsError):
        check_plan(Plan(kind="pca", keep={"cell_type": ["all cells", "T"]}), kang[1].samples)


def test_the_script_gets_the_sums_of_the_type_asked_for(kang: tuple[Cells, Inspection], tmp_path: Path) -> None:
    cells, found = kang
    plan = plan_for(AnalysisParams(data="a", question="stim vs ctrl in B cells"), found)
    script, _ = write_inputs(found, plan, tmp_path, tmp_path / "own")
    assert "KEEP: dict[str, list[str]] = {'cell_type': ['B cells']}" in script.decode()
    table = pd.read_csv(tmp_path / "counts.csv.gz", index_col=0)
    here = (cells.unit == "P2_stim") & (cells.labels["cell_type"] == "B cells").to_numpy()
    np.testing.assert_array_equal(table["P2_stim · B cells"], cells.counts[here].sum(axis=0))


# ---- 10x --------------------------------------------------------------------------------------------------------------------


def tenx_tree(root: Path, cells: Cells, layout: str) -> Path:
    """The same six samples as folders, as GEO's prefixed files, or as archives of either."""
    for number, unit in enumerate(dict.fromkeys(cells.unit)):
        part = cells.counts[cells.unit == unit]
        given = (part, barcodes(len(part), number), cells.genes)
        if layout in ("folders", "nested"):
            write_tenx(root / "x" / unit / "outs" / "filtered_feature_bc_matrix", "", *given)
            raw = (np.vstack([part, np.zeros_like(part)]), barcodes(2 * len(part), number), cells.genes)
            if layout == "folders":
                write_tenx(root / "x" / unit / "outs" / "raw_feature_bc_matrix", "", *raw)
        else:
            write_tenx(root / "x", f"GSM10000{number}_{unit}_", *given, old=True)
    if layout in ("folders", "prefixed"):
        return root / "x"
    target = root / "GSE1_RAW.tar"
    with tarfile.open(target, "w") as archive:
        for number, path in enumerate(sorted((root / "x").iterdir())):
            if layout == "tar":
                archive.add(path, path.name)
                continue
            data = io.BytesIO()
            with tarfile.open(fileobj=data, mode="w:gz") as inner:
                inner.add(path / "outs" / "filtered_feature_bc_matrix", "filtered_feature_bc_matrix")
            member = tarfile.TarInfo(f"GSM10000{number}_{path.name}.tar.gz")
            member.size = len(data.getvalue())
            data.seek(0)
            archive.addfile(member, data)
    return target


@pytest.mark.parametrize("layout", ["folders", "prefixed", "tar", "nested"])
def test_tenx_in_the_ways_it_is_given(tmp_path: Path, layout: str) -> None:
    cells = some_cells()
    found = inspect_data(tenx_tree(tmp_path, cells, layout))
    units = dict.fromkeys(cells.unit)
    names = {} if layout == "folders" else {unit: f"GSM10000{number}" for number, unit in enumerate(units)}
    assert_sums(found, cells, names)
    assert found.proposal.groups == "condition"
    assert found.samples.factors["condition"] == ["ctrl", "stim"] * 3
    assert [file.role for file in found.files if file.chosen] == ["single_cell"]
    assert load_matrix(found).gene_symbols[3] == "S3"


def test_an_aggregated_h5_names_its_libraries_and_drops_antibodies(tmp_path: Path) -> None:
    cells = some_cells()
    units = list(dict.fromkeys(cells.unit))
    named = [
        f"{code[:-1]}{units.index(unit) + 1}" for code, unit in zip(barcodes(len(cells.unit)), cells.unit, strict=True)
    ]
    found = inspect_data(write_h5(tmp_path / "aggr.h5", cells.counts, named, cells.genes, units, n_antibodies=5))
    assert list(whole(found)) == units
    assert found.n_genes == len(cells.genes) - 5
    assert "omics.features_left_out" in codes(found)


@pytest.mark.parametrize("shape", ["barcode", "sample_barcode"])
def test_a_table_of_labels_beside_the_matrix_is_used(tmp_path: Path, shape: str) -> None:
    cells = some_cells()
    if shape == "barcode":
        write_tenx(tmp_path / "x", "GSE1_", cells.counts, list(cells.labels.index), cells.genes)
        labels = cells.labels
    else:
        tenx_tree(tmp_path, cells, "prefixed")
        labels = cells.labels.copy()
        place = {unit: iter(barcodes(sum(cells.unit == unit), n)) for n, unit in enumerate(dict.fromkeys(cells.unit))}
        names = {unit: f"GSM10000{n}" for n, unit in enumerate(place)}
        labels.index = [f"{names[unit]}_{next(place[unit])}" for unit in cells.unit]
    labels.to_csv(tmp_path / "x" / "GSE1_metadata.csv.gz")
    found = inspect_data(tmp_path / "x")
    assert "omics.cells_labelled" in codes(found)
    assert found.samples.levels("cell_type")["all cells"] == 6
    assert found.proposal.formula == "~ donor + stim"


def test_a_sheet_describes_the_samples(tmp_path: Path) -> None:
    cells = some_cells()
    root = tenx_tree(tmp_path, cells, "folders")
    units = list(dict.fromkeys(cells.unit))
    sheet = pd.DataFrame({"sample": units, "drug": ["no", "yes"] * 3, "mouse": [u[:2] for u in units]})
    sheet.to_csv(tmp_path / "sheet.csv", index=False)
    found = inspect_data(root, tmp_path / "sheet.csv")
    assert found.proposal.formula == "~ mouse + drug"


def test_droplets_ask_and_a_matrix_cut_off_or_without_lists_is_refused(tmp_path: Path) -> None:
    cells = some_cells()
    root = tenx_tree(tmp_path, cells, "prefixed")
    matrix = next(root.glob("*P1_ctrl_matrix.mtx.gz"))
    whole_text = gzip.decompress(matrix.read_bytes())
    matrix.write_bytes(gzip.compress(whole_text[: len(whole_text) // 2].rpartition(b"\n")[0] + b"\n"))
    with pytest.raises(AppError, match="cut off"):
        inspect_data(root)
    matrix.write_bytes(gzip.compress(whole_text))
    next(root.glob("*P1_ctrl_barcodes.tsv.gz")).unlink()
    with pytest.raises(NothingAnalysableError, match="no list of barcodes"):
        inspect_data(root)
    empty = np.zeros((21_000, len(cells.genes)), dtype=int)
    empty[:60] = np.random.default_rng(1).poisson(20, (60, len(cells.genes)))
    for number in range(2):
        write_tenx(tmp_path / "raw", f"s{number}_", empty, barcodes(len(empty), number), cells.genes)
    found = inspect_data(tmp_path / "raw")
    assert "omics.empty_droplets" in codes(found, blocking=True)
    assert found.samples.factors["n_cells"] == ["60", "60"]


@pytest.mark.shared
def test_shared_single_cells_are_refused_with_the_reason(shared_data: Path) -> None:
    folder = shared_data / "omics/single_cell"
    with pytest.raises(NothingAnalysableError, match="no raw counts"):
        inspect_data(folder / "10x_pbmc68k_reduced.h5ad")
    for path in ("10x_v3/filtered_feature_bc_matrix.h5", "10x_v3/filtered_feature_bc_matrix", "10x_v3"):
        with pytest.raises(NothingAnalysableError, match=r"1,107 cells of one sample"):
            inspect_data(folder / path)
