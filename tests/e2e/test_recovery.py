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


def test_three_repairs_in_a_row_are_made_shown_and_kept(bench: Workbench, given: dict[str, Any]) -> None:
    """A level written another way, a column that says what another says; the third changes the question: it waits."""
    contrast = given["contrast"] | {"treated": "TREATED"}
    wanted = given | {"contrast": contrast, "design": "~ batch + site + plate + condition"}
    waiting = run(bench, **wanted)
    assert waiting.error is not None
    assert waiting.error.code == "omics.confounded"
    made = [repair["code"] for repair in json.loads(waiting.error.details["repairs"])]
    assert made == ["use_level:condition=treated", "drop_term:batch"]
    (offer,) = json.loads(waiting.error.details["offers"])
    assert (offer["code"], offer["asks"]) == ("drop_term:plate", True)
    job = run(bench, **wanted, accept=[offer["code"]])
    assert job.state is JobState.DONE, job.error
    result = AnalysisResult.model_validate(job.result)
    assert [repair.code for repair in result.repairs] == [*made, "drop_term:plate"]
    assert result.plan.design == "~ site + condition"
    report = (result.out_dir / "report.md").read_text()
    for repair in result.repairs:
        assert any(repair.what in warning and repair.after in warning for warning in job.warnings)
        assert repair.what.split("“")[0] in report
    trail = bench.store.read("SELECT what, by FROM audit WHERE job_id = ? ORDER BY seq", [job.id])
    by = [row["by"] for row in trail if row["what"].startswith("repair ")]
    assert by == ["rule:recovery", "rule:recovery", "person"]
    assert any("repair 3 of at most 3" in line for line in bench.runtime.log_lines(job.id))


def test_no_gene_is_left_because_too_many_reads_are_asked_for(bench: Workbench, given: dict[str, Any]) -> None:
    plan = {"design": "~ condition", "contrast": given.pop("contrast"), "min_total_count": 10**9}
    job = run(bench, **given, plan=plan)
    assert job.state is JobState.DONE, job.error
    result = AnalysisResult.model_validate(job.result)
    assert [repair.code for repair in result.repairs] == ["lower_min_count"]
    assert result.plan.min_total_count == 10
    assert result.summary.n_significant > 0


def test_no_gene_is_left_because_a_sample_is_nearly_empty(
    bench: Workbench, given: dict[str, Any], tmp_path: Path
) -> None:
    table = rows()
    for number, line in enumerate(table[1:]):
        line[3] = "9" if number < 2 else "0"
        line[1] = "0" if number < 2 else line[1]
    write(tmp_path, text(table), sheet(FACTORS))
    job = run(bench, **given, design="~ condition", accept=["omics.strange_column"])
    assert job.error is not None
    assert job.error.code == "omics.no_common_genes"
    (offer,) = json.loads(job.error.details["offers"])
    assert offer["code"] == "drop_empty_samples"
    assert (offer["what"], offer["after"]) == ("Leave out c3.", "5 samples")


@pytest.mark.parametrize(
    ("contrast", "design", "code", "offered"),
    [
        pytest.param("condition,treatd,control", "~ condition", "omics.unknown_level", "use_level", id="level typo"),
        pytest.param("conditoin,treated,control", "~ batch", "omics.unknown_factor", "use_factor", id="factor typo"),
        pytest.param(
            "condition,treated,control", "~ bach + condition", "omics.unknown_factor", "use_factor", id="column"
        ),
        pytest.param(
            "condition,treated,control", "~ batch", "omics.unknown_factor", "add_term", id="not in the design"
        ),
        pytest.param(
            "condition,treated,control", "~ plate + condition", "omics.confounded", "drop_term", id="singular"
        ),
    ],
)
def test_what_is_offered_before_anything_runs(
    contrast: str, design: str, code: str, offered: str, bench: Workbench, given: dict[str, Any]
) -> None:
    names = dict(zip(("factor", "treated", "control"), contrast.split(","), strict=True))
    job = run(bench, **(given | {"contrast": names, "design": design}))
    assert job.error is not None
    assert job.error.code == code
    assert json.loads(job.error.details["offers"])[0]["code"].startswith(f"{offered}:")
    assert not any(bench.paths.scratch.iterdir())


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
