"""Many analyses as one job, through the real command and the real runtime: outcomes, failures, cancel, resume."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path

import psutil
import pytest

from desktop.app import build
from desktop.core.jobs import JobState
from desktop.core.paths import Paths
from desktop.studios.omics import queries
from tests.e2e.command import Command
from tests.e2e.tables import GROUPS, rows, sheet, text, write

QUESTION = "Which genes differ between treated and control?"


def dataset(folder: Path, n_genes: int = 80) -> Path:
    folder.mkdir()
    write(folder, text(rows(n_genes=n_genes)), sheet({"treatment": GROUPS}))
    return folder


@pytest.mark.slow
def test_two_datasets_and_a_broken_one_give_a_table(tmp_path: Path) -> None:
    one, two = dataset(tmp_path / "liver"), dataset(tmp_path / "kidney", 90)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "counts.csv").write_text("")
    command = Command(tmp_path)
    done = command("batch", one, two, tmp_path / "broken", "-q", QUESTION, "--out", "out", "--json").json
    assert [(item["dataset"], item["status"]) for item in done["items"]] == [
        ("liver", "done"),
        ("kidney", "done"),
        ("broken", "failed"),
    ]
    assert (done["n_done"], done["n_failed"]) == (2, 1)
    assert done["items"][0]["up"] >= 4
    assert done["items"][0]["question"] == QUESTION
    assert done["items"][2]["error"]["hint"]
    out = tmp_path / "out"
    for item in done["items"][:2]:
        manifest = json.loads((out / item["folder"] / "manifest.json").read_text())
        assert manifest["run_id"] == item["run_id"]
    assert sorted(path.name for path in out.iterdir()) == ["1-liver", "2-kidney", "batch.json", "outcomes.csv"]
    with (out / "outcomes.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["status"] for row in table] == ["done", "done", "failed"]
    assert table[2]["error"]
    assert queries.load_batch(out).items[1].run_id == done["items"][1]["run_id"]
    again = command("batch", one, two, "-q", QUESTION, "--out", "out", "--json")
    assert again.error["code"] == "omics.output_folder"


@pytest.mark.slow
def test_a_killed_batch_goes_on_where_it_was(tmp_path: Path) -> None:
    folders = [dataset(tmp_path / name) for name in ("a", "b")]
    command = Command(tmp_path)
    args = ("batch", *folders, "-q", QUESTION, "--out", "out", "--json")
    with command.start(*args) as process:
        until = time.monotonic() + 120
        while time.monotonic() < until and not list((tmp_path / "out").glob("*/manifest.json")):
            time.sleep(0.05)
        process.kill()
        process.communicate()
    whole = {path.parent.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*/manifest.json")}
    assert whole, "one was done before the kill"
    assert queries.load_batch(tmp_path / "out").status == "running"
    done = command(*args).json
    assert [item["status"] for item in done["items"]] == ["done"] * 2
    for name, at_ns in whole.items():
        assert (tmp_path / "out" / name / "manifest.json").stat().st_mtime_ns == at_ns, "done once, not twice"
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.slow
def test_a_stopped_batch_leaves_nothing_half_done_and_is_quick(tmp_path: Path) -> None:
    workbench = build(Paths(tmp_path / "home"))
    try:
        folders = [dataset(tmp_path / name, 4000) for name in ("a", "b", "c")]
        items = [{"data": str(folder), "question": QUESTION} for folder in folders]
        job = workbench.runtime.submit("omics.run_batch", {"items": items, "out_dir": str(tmp_path / "out")})
        until = time.monotonic() + 60
        while time.monotonic() < until:
            now = workbench.runtime.job(job)
            if now is not None and ": Run" in now.note:
                break
            time.sleep(0.02)
        workbench.runtime.cancel(job)
        assert workbench.runtime.wait(job, 30).state is JobState.CANCELLED
        assert not (tmp_path / "out").exists(), "nothing was done, so nothing is left"
        assert not list((tmp_path / "home" / "scratch").iterdir())
        running = [child for child in psutil.Process().children(recursive=True) if child.status() != "zombie"]
        assert not [child for child in running if "analysis.py" in " ".join(child.cmdline())]
    finally:
        workbench.close()


def test_a_bad_list_is_told(tmp_path: Path) -> None:
    command = Command(tmp_path)
    (tmp_path / "list.csv").write_text("data,question\ncounts.csv,\n")
    assert "item 1 asks nothing" in command("batch", "list.csv", "--json").error["message"]
    assert command("batch", "nowhere", "--json").error["code"] == "cli.usage"
