"""Templates through the real command: kept from a run, applied elsewhere, given away; similar runs found again."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.e2e.command import Command
from tests.e2e.tables import GROUPS, rows, sheet, text, write


def dataset(folder: Path, factor: str, groups: dict[str, str]) -> Path:
    folder.mkdir()
    write(folder, text(rows(n_genes=100)), sheet({factor: [groups[group] for group in GROUPS]}))
    return folder


@pytest.mark.slow
def test_a_run_becomes_a_template_that_runs_elsewhere(tmp_path: Path) -> None:
    first = dataset(tmp_path / "first", "treatment", {"control": "vehicle", "treated": "drug"})
    second = dataset(tmp_path / "second", "dex", {"control": "untreated", "treated": "dex"})
    third = dataset(tmp_path / "third", "arm", {"control": "a", "treated": "b"})
    command = Command(tmp_path)
    run = command("analyze", first, "--contrast", "treatment,drug,vehicle", "--alpha", "0.01", "--yes", "--json").json
    again = command("templates", "similar", first, "--json").json["runs"]
    assert [one["run_id"] for one in again] == [run["run_id"]]
    assert "the same comparison: treatment: drug vs vehicle" in again[0]["why"]

    copied = command("export", run["run_id"], "--out", "copy.zip", "--json").json
    assert copied["path"] == str(tmp_path / "copy.zip")
    with zipfile.ZipFile(tmp_path / "copy.zip") as archive:
        assert {"copy/analysis.py", "copy/results.csv", "copy/README.txt"} <= set(archive.namelist())
        assert not [name for name in archive.namelist() if str(tmp_path).encode() in archive.read(name)]
    assert command("templates", "save", run["run_id"], "Two groups", "--json").json["state"] == "kept"
    done = command("templates", "apply", "two groups", second, "--out", "out", "--yes", "--json").json
    assert done["plan"]["contrast"]["factor"] == "dex"
    assert (done["plan"]["contrast"]["treated"], done["plan"]["alpha"]) == ("dex", 0.01)
    assert done["summary"]["up"] >= 5

    asked = command("templates", "apply", "Two groups", third, "--yes", "--json").error
    assert asked["code"] == "omics.template_does_not_fit"
    assert "--set 'treatment=vehicle=…'" in asked["hint"]
    command("templates", "export", "Two groups", "mine.yaml")
    assert str(tmp_path) not in (tmp_path / "mine.yaml").read_text()
