"""Failing analyses through the real runtime: what is known is repaired and put on record, or waits for a yes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from desktop.app import build
from desktop.core.jobs import JobRecord, JobState
from desktop.core.paths import Paths
from desktop.studios.omics.failed_run import load_failed_run
from desktop.studios.omics.schema import AnalysisResult
from desktop.workers.workbench import Workbench
from tests.e2e.command import Command
from tests.e2e.tables import GROUPS, rows, sheet, text, write

FACTORS = {"condition": GROUPS, "batch": "abcabc", "site": "xyzxyz", "plate": "pppqqq"}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    workbench = build(Paths(tmp_path_factory.mktemp("home")))
    yield workbench
    workbench.close()


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    write(tmp_path, text(rows()), sheet(FACTORS))
    contrast = {"factor": "condition", "treated": "treated", "control": "control"}
    return {
        "data": str(tmp_path / "counts.csv"),
        "samples": str(tmp_path / "samples.csv"),
        "contrast": contrast,
        "isolation": "process",
    }


def run(bench: Workbench, **params: Any) -> JobRecord:
    return bench.runtime.wait(bench.runtime.submit("omics.run_analysis", params), 300)


def test_two_repairs_in_a_row_are_made_shown_and_kept(bench: Workbench, given: dict[str, Any]) -> None:
    """Another way of writing a level, then a column that says what another says."""
    contrast = given["contrast"] | {"treated": "TREATED"}
    job = run(bench, **(given | {"contrast": contrast, "design": "~ batch + site + condition"}))
    assert job.state is JobState.DONE, job.error
    result = AnalysisResult.model_validate(job.result)
    assert [repair.code for repair in result.repairs] == ["use_level:condition=treated", "drop_term:batch"]
    assert result.plan.design == "~ site + condition"
    for repair in result.repairs:
        assert any(repair.what in warning and repair.after in warning for warning in job.warnings)
        assert repair.what.replace("“", "").split()[0] in (result.out_dir / "report.md").read_text()
    trail = bench.store.read("SELECT what, by FROM audit WHERE job_id = ? ORDER BY seq", [job.id])
    made = [row for row in trail if row["what"].startswith("repair ")]
    assert [row["by"] for row in made] == ["rule:recovery"] * 2
    assert any("repair 1 of at most 3" in line for line in bench.runtime.log_lines(job.id))


def test_what_would_change_the_question_waits_for_a_yes(bench: Workbench, given: dict[str, Any]) -> None:
    wanted = given | {"design": "~ plate + condition"}
    job = run(bench, **wanted)
    assert job.error is not None
    assert job.error.code == "omics.confounded"
    (offer,) = json.loads(job.error.details["offers"])
    assert offer["asks"]
    agreed = run(bench, **wanted, accept=[offer["code"]])
    assert agreed.state is JobState.DONE, agreed.error
    trail = bench.store.read("SELECT what, by FROM audit WHERE job_id = ? ORDER BY seq", [agreed.id])
    assert [row["by"] for row in trail if row["what"].startswith("repair drop_term:plate")] == ["person"]


def test_a_limit_somebody_set_is_raised_only_with_a_yes(tmp_path: Path, given: dict[str, Any]) -> None:
    paths = Paths(tmp_path / "home")
    paths.home.mkdir()
    paths.settings.write_text("omics:\n  run_timeout_s: 0.02\n")
    bench = build(paths)
    try:
        job = run(bench, **given, design="~ condition")
        assert job.error is not None
        assert job.error.code == "omics.timed_out"
        assert [offer["code"] for offer in json.loads(job.error.details["offers"])] == ["more_time"]
        again = run(bench, **given, design="~ condition", accept=["more_time"])
        assert again.error is not None
        assert [made["after"] for made in json.loads(again.error.details["repairs"])] == [
            "time limit 0.06 s",
            "time limit 0.18 s",
            "time limit 0.54 s",
        ]
        record = load_failed_run(Path(again.error.details["record"]))
        assert [made["code"] for made in record.repairs] == ["more_time"] * 3
        assert record.error["code"] == "omics.timed_out"
        assert record.code.startswith("# /// script")
    finally:
        bench.close()


def test_the_command_line_says_what_to_pass(tmp_path: Path) -> None:
    command = Command(tmp_path)
    write(tmp_path, text(rows()), sheet(FACTORS))
    asked = ("analyze", "counts.csv", "--samples", "samples.csv", "--design", "~ condition", "--yes", "--out", "out")
    answer = command(*asked, "--contrast", "condition,treatd,control", "--json")
    assert answer.exit_code == 2
    assert json.loads(answer.stderr)["offers"][0]["code"] == "use_level:condition=treated"
    assert "--accept use_level:condition=treated" in answer.error["hint"]
    assert command.leftovers() == []
