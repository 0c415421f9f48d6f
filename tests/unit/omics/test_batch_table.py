"""A batch on disk: what is asked, the folder it claims, the table it leaves."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from desktop.core.errors import AppError
from desktop.studios.omics.batch_schema import BatchOutcome, BatchParams, ItemError
from desktop.studios.omics.batch_table import (
    BatchFileError,
    claimed_folder,
    folder_name,
    is_batch_file,
    load_batch,
    outcomes_csv,
    read_batch_file,
    write_table,
)
from desktop.studios.omics.errors import DamagedRunError, OutputFolderError
from desktop.studios.omics.schema import AnalysisParams, Contrast

PAIRS = """
datasets: [liver.csv, {data: GSE42872, samples: sheet.csv}]
questions: ["What changes?", {contrast: "arm,drug,ctrl", alpha: 0.1}]
"""


def test_every_dataset_is_asked_every_question(tmp_path: Path) -> None:
    (tmp_path / "liver.csv").write_text("x")
    (tmp_path / "list.yaml").write_text(PAIRS)
    items = read_batch_file(tmp_path / "list.yaml")
    assert [(item.data, item.question, item.alpha) for item in items] == [
        (str(tmp_path / "liver.csv"), "What changes?", None),
        (str(tmp_path / "liver.csv"), "", 0.1),
        ("GSE42872", "What changes?", None),
        ("GSE42872", "", 0.1),
    ]
    assert items[1].contrast == Contrast(factor="arm", treated="drug", control="ctrl")
    assert items[2].samples is not None
    assert items[2].samples.name == "sheet.csv"


def test_an_item_may_have_several_contrasts_on_one_fit(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text(
        "- {data: GSE1, contrast: ['arm,a,ctrl', 'arm,b,ctrl,sex=F', age]}\n- {data: GSE2, contrast: [arm, a, ctrl]}\n"
    )
    several, one = read_batch_file(tmp_path / "list.yaml")
    assert several.contrast == one.contrast == Contrast(factor="arm", treated="a", control="ctrl")
    assert several.other_contrasts == [
        Contrast(factor="arm", treated="b", control="ctrl", within={"sex": "F"}),
        Contrast(factor="age"),
    ]
    assert one.other_contrasts is None


def test_a_csv_lists_items(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text('Data,Contrast,lfc\nGSE1,"dex,trt,untrt",1\n\nGSE2,"arm,""a, b"",c",\n')
    items = read_batch_file(path)
    assert [item.lfc_threshold for item in items] == [1, None]
    assert items[1].contrast == Contrast(factor="arm", treated="a, b", control="c")
    assert is_batch_file(path)
    (tmp_path / "counts.csv").write_text("gene_id,s1,s2\ng,1,2\n")
    assert not is_batch_file(tmp_path / "counts.csv")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.yaml", "", "not a list"),
        ("a.yaml", "- [", "not YAML at line 1"),
        ("a.yaml", "just words", "not a list"),
        ("a.yaml", "- {data: x, question: y, colour: red}", "no setting 'colour'"),
        ("a.yaml", "- {question: y}", "names no data"),
        ("a.yaml", "- {data: x}", "asks nothing"),
        ("a.yaml", "- {data: x, contrast: 'a,b'}", "FACTOR,TREATED,CONTROL"),
        ("a.yaml", "- {data: x, question: y, alpha: 7}", "alpha"),
        ("a.yaml", "- {data: x, contrast: {treated: a}}", "factor: Field required"),
        ("a.csv", "data,question\n", "lists no analysis"),
        ("a.csv", "data,question\n" + "x,y\n" * 1001, "at most 1,000"),
        ("missing.csv", None, "cannot be read"),
    ],
)
def test_a_bad_list_is_one_typed_error(tmp_path: Path, name: str, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(BatchFileError) as error:
        read_batch_file(tmp_path / name)
    assert words in f"{error.value} {error.value.hint}"


def params(data: str, out: Path | None = None) -> BatchParams:
    return BatchParams(items=[AnalysisParams(data=data, question="?")], out_dir=out)


def test_the_same_batch_cut_off_is_gone_on_with_and_a_finished_one_is_not(tmp_path: Path) -> None:
    with claimed_folder(params("GSE1"), tmp_path) as first:
        row = BatchOutcome(number=1, dataset="GSE1", data="GSE1", status="done")
        write_table(first.model_copy(update={"items": [row]}))
        with pytest.raises(OutputFolderError, match="running already"), claimed_folder(params("GSE1"), tmp_path):
            pass
    with claimed_folder(params("GSE1"), tmp_path) as second:
        assert second.out_dir == first.out_dir
        assert [item.status for item in second.items] == ["done"]
        write_table(second.model_copy(update={"status": "done"}))
    with claimed_folder(params("GSE1"), tmp_path) as third:
        assert third.out_dir != first.out_dir
        assert third.items == []
    with claimed_folder(params("GSE2"), tmp_path) as other:
        assert other.out_dir not in (first.out_dir, third.out_dir)
    assert not list(tmp_path.rglob(".batch.lock"))


def test_a_batch_stopped_before_anything_was_done_leaves_nothing(tmp_path: Path) -> None:
    with claimed_folder(params("GSE1"), tmp_path) as claimed:
        running = BatchOutcome(number=1, dataset="GSE1", data="GSE1", status="running")
        write_table(claimed.model_copy(update={"items": [running]}))
    assert list(tmp_path.iterdir()) == []


def test_changed_data_are_another_batch(tmp_path: Path) -> None:
    data = tmp_path / "counts.csv"
    data.write_text("1")
    with claimed_folder(params(str(data)), tmp_path / "runs") as first:
        pass
    data.write_text("12")
    with claimed_folder(params(str(data)), tmp_path / "runs") as second:
        assert second.out_dir != first.out_dir


def test_results_are_never_put_over_anything(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(OutputFolderError), claimed_folder(params("GSE1", tmp_path / "out"), tmp_path):
        pass
    with pytest.raises(OutputFolderError), claimed_folder(params("GSE1", tmp_path / "out" / "thesis.txt"), tmp_path):
        pass
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("content", [None, "", "[]", "{", '{"items": 3}'])
def test_a_damaged_table_is_told(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "batch.json").write_text(content)
    with pytest.raises(DamagedRunError) as error:
        load_batch(tmp_path)
    assert isinstance(error.value, AppError)


def test_no_cell_starts_a_formula() -> None:
    bad = ItemError(code="x", message='=1+1, "quoted"', hint="@SUM(A1)\nnext")
    row = BatchOutcome(number=1, dataset="-x", data="a", status="failed", error=bad)
    read = next(csv.DictReader(io.StringIO(outcomes_csv([row]))))
    assert (read["dataset"], read["error"], read["hint"]) == ("'-x", '\'=1+1, "quoted"', "'@SUM(A1)\nnext")


def test_folder_names_are_plain() -> None:
    assert folder_name(3, 12, "../Söme  Data!") == "03-s-me-data"
    assert folder_name(1, 1, "…") == "1"
