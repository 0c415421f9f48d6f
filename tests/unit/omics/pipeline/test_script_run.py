"""Whatever a script leaves becomes a folder that can be read, and nothing it left is believed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desktop.studios.omics import queries
from desktop.studios.omics.errors import DamagedRunError
from desktop.studios.omics.failed_run import load_failed_run
from tests.stand_ins.script_run import script_run

HEADER = "gene_id,gene_symbol,base_mean,log2_fold_change,lfc_se,stat,pvalue,padj\n"


@pytest.mark.parametrize(
    ("results", "n_genes"),
    [
        pytest.param(HEADER + "g1,A,10,1.5,0.1,15,0.001,0.01\ng2,,5,0.1,0.1,1,,\n", 2, id="the known columns"),
        pytest.param("gene,score\ng1,2\n", 0, id="other columns"),
        pytest.param(HEADER + "g1,A,ten,1,1,1,1,1\n", 0, id="text for numbers"),
        pytest.param("\0\0\0", 0, id="no table"),
        pytest.param("", 0, id="empty"),
    ],
)
def test_a_results_table_is_one_when_its_columns_are(results: str, n_genes: int, tmp_path: Path) -> None:
    out = script_run(tmp_path / "out", lambda folder: (folder / "results.csv").write_text(results))
    view = queries.load_results(out)
    assert len(view.gene_ids) == n_genes
    assert ("genes change" in view.headline) == bool(n_genes)
    manifest = json.loads((out / "manifest.json").read_text())
    assert [one["name"] for one in manifest["outputs"]] == ["results.csv"]


def test_names_that_are_ours_are_left_out_and_that_is_said(tmp_path: Path) -> None:
    def leave(folder: Path) -> None:
        for name in ("manifest.json", "report.html", "plan.json", "counts.csv.gz", "analysis.py"):
            (folder / name).write_text("<script>not ours</script>")
        (folder / "summary.json").write_text('{"n_significant": "many", "enrichment": 3, "versions": [1]}')
        (folder / "mine.csv").write_text("a,b\n1,=cmd()\n")

    out = script_run(tmp_path / "out", leave)
    manifest = json.loads((out / "manifest.json").read_text())
    assert [one["name"] for one in manifest["outputs"]] == ["mine.csv", "summary.json"]
    assert sum("was left out" in text for text in manifest["warnings"]) == 5
    assert "<script>" not in (out / "report.html").read_text()
    assert queries.load_results(out).summary == {}
    assert queries.load_gene_sets(out).skipped


@settings(deadline=None, max_examples=25)
@given(said=st.text(max_size=200), name=st.text(st.characters(codec="ascii", categories=("L", "P")), max_size=20))
def test_the_report_shows_what_was_printed_as_text(
    said: str, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    where = tmp_path_factory.mktemp("script") / "out"
    table = f'{name.replace(chr(34), "")},b\n"<img src=x>",{name}\n'
    out = script_run(where, lambda folder: (folder / "t.csv").write_text(table), log=f"<script>{said}</script>")
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<img src=x" not in page


def test_a_record_that_is_damaged_or_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(DamagedRunError):
        load_failed_run(tmp_path / "gone")
    record = tmp_path / "record"
    record.mkdir()
    (record / "manifest.json").write_text('{"policy": 3, "warnings": null, "script": []}')
    (record / "failure.json").write_text('{"error": [], "repairs": 7}')
    (record / "analysis.py").write_bytes(b"x = '\xff'\n")
    failed = load_failed_run(record)
    assert (failed.origin, failed.repairs, failed.error) == ("person", (), {})
    assert failed.code.startswith("x = ")
