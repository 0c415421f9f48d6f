"""The command line on good data, in processes of its own: analyze, compare, demo, sandbox, stop."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.command import Command
from tests.e2e.tables import GROUPS, rows, sheet, text, write

RESULT = {"status", "out_dir", "plan", "summary", "warnings", "timings"}
FILES = {
    "results.csv",
    "plan.json",
    "samples.csv",
    "analysis.py",
    "report.md",
    "report.html",
    "manifest.json",
    "figures",
}
QUESTION = ("--question", "Which genes differ between treated and control?")


@pytest.fixture
def command(tmp_path: Path) -> Command:
    write(tmp_path, text(rows()), sheet({"condition": GROUPS}))
    return Command(tmp_path)


def analyze(command: Command, out: str, *more: str) -> dict[str, object]:
    args = ("analyze", "counts.csv", "--samples", "samples.csv", *QUESTION, "--out", out, "--yes", "--json", *more)
    answer = command(*args)
    assert answer.exit_code == 0, answer.stderr
    assert answer.stderr == ""
    return answer.json


def test_one_json_object_and_a_whole_folder(command: Command) -> None:
    done = analyze(command, "out")
    assert set(done) >= RESULT
    assert done["status"] == "done"
    assert done["out_dir"] == str(command.folder / "out")
    summary = done["summary"]
    assert isinstance(summary, dict)
    assert summary["n_genes"] == 300
    assert summary["n_significant"] == summary["up"] + summary["down"]
    assert 28 <= summary["up"] <= 36
    assert {p.name for p in (command.folder / "out").iterdir()} >= FILES


def test_options_change_the_plan(command: Command) -> None:
    done = analyze(command, "out", "--alpha", "0.01", "--lfc", "1", "--contrast", "condition,control,treated")
    plan = done["plan"]
    assert isinstance(plan, dict)
    assert (plan["alpha"], plan["lfc_threshold"]) == (0.01, 1.0)
    assert plan["contrast"] == {"factor": "condition", "treated": "control", "control": "treated"}
    summary = done["summary"]
    assert isinstance(summary, dict)
    assert summary["up"] == 0


def test_a_person_gets_a_table_with_paths(command: Command) -> None:
    answer = command("analyze", "counts.csv", "--samples", "samples.csv", *QUESTION, "--out", "out")
    assert answer.exit_code == 0
    assert " of 300 genes tested change" in answer.stdout
    for name in ("report.html", "results.csv", "analysis.py"):
        assert str(command.folder / "out" / name) in answer.stdout


def test_without_out_the_results_are_in_the_data_folder_and_two_runs_are_compared(command: Command) -> None:
    first = command("analyze", "counts.csv", "--samples", "samples.csv", *QUESTION, "--yes", "--json").json
    assert Path(first["out_dir"]).parent == command.home / "runs"
    second = analyze(command, "out")
    compared = command("compare", first["run_id"], second["out_dir"], "--out", "both", "--json").json
    assert compared["jaccard"] == 1.0
    assert compared["n_both"] == first["summary"]["n_significant"]
    assert (command.folder / "both").is_dir()


def test_a_finished_analysis_runs_its_stored_script_again_beside_the_first(command: Command) -> None:
    first = analyze(command, "out")
    (command.folder / "counts.csv").unlink()  # the run has its own copy
    (job,) = command("jobs", "list", "--json").json["jobs"]
    again = command("jobs", "rerun", job["id"], "--json").json
    assert (again["state"], again["rerun_of"]) == ("done", job["id"])
    assert again["result"]["out_dir"] == str(command.folder / "out-2")
    assert again["params"]["stored_run"] == first["run_id"]
    for name in ("analysis.py", "results.csv", "counts.csv.gz", "samples.csv"):
        assert (command.folder / "out-2" / name).read_bytes() == (command.folder / "out" / name).read_bytes()
    third = command("jobs", "rerun", again["id"], "--json").json
    assert third["result"]["out_dir"] == str(command.folder / "out-3")


def test_an_analysis_that_failed_for_a_full_folder_runs_again_beside_it(command: Command) -> None:
    (command.folder / "out").mkdir()
    (command.folder / "out" / "mine.txt").write_text("precious")
    args = ("analyze", "counts.csv", "--samples", "samples.csv", *QUESTION, "--out", "out", "--yes", "--json")
    assert command(*args).exit_code == 2
    (job,) = command("jobs", "list", "--json").json["jobs"]
    again = command("jobs", "rerun", job["id"], "--json").json
    assert again["result"]["out_dir"] == str(command.folder / "out-2")
    assert [path.name for path in (command.folder / "out").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_leaves_130_and_nothing_else(command: Command, number: signal.Signals) -> None:
    args = ("analyze", "counts.csv", "--samples", "samples.csv", *QUESTION, "--out", "out", "--yes", "--json")
    with command.start(*args) as process:
        lock = command.home / "benchtop.sqlite.lock"
        _until(lambda: lock.exists() and any((command.home / "logs").rglob("jobs/*.log")), process)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert json.loads(err)["code"] == "app.cancelled"
    assert command.leftovers() == []
    (job,) = command("jobs", "list", "--json").json["jobs"]
    assert job["state"] == "cancelled"


def _until(holds: object, process: subprocess.Popen[str]) -> None:
    """Wait until the command has got that far; fail when it ends before."""
    assert callable(holds)
    while not holds():
        assert process.poll() is None, "the command ended before it could be stopped"
        time.sleep(0.02)


def test_the_demonstration_runs_and_opens_no_window_in_ci(command: Command) -> None:
    answer = command("demo", "--out", "demo")
    assert answer.exit_code == 0, answer.stderr
    assert str(command.folder / "demo" / "report.html") in answer.stdout
    assert {p.name for p in (command.folder / "demo").iterdir()} >= FILES
    (command.folder / "demo" / "manifest.json").unlink()
    refused = command("demo", "--out", "demo", "--json")
    assert (refused.exit_code, refused.error["code"]) == (2, "cli.usage")


def test_a_script_runs_in_isolation(command: Command) -> None:
    (command.folder / "in").mkdir()
    (command.folder / "in" / "a.csv").write_text("x\n1\n")
    (command.folder / "s.py").write_text(
        "from pathlib import Path\n"
        "text = (Path(__file__).parent / 'a.csv').read_text()\n"
        "Path('out.csv').write_text(text.upper())\n"
    )
    answer = command("sandbox", "run", "s.py", "--input", "in", "--output", "out", "--isolation", "os", "--json")
    if answer.exit_code == 5:
        pytest.skip("no isolation of the operating system here")
    assert answer.exit_code == 0, answer.stdout + answer.stderr
    assert answer.json["status"] == "ok"
    assert [output["name"] for output in answer.json["outputs"]] == ["out.csv"]
    assert (command.folder / "out" / "out.csv").read_text() == "X\n1\n"
    again = command("sandbox", "run", "s.py", "--input", "in", "--output", "out", "--isolation", "os", "--json")
    assert (again.exit_code, again.error["code"]) == (2, "cli.script_file")
    (command.folder / "empty").mkdir()
    answer = command("sandbox", "run", "s.py", "--input", "in", "--output", "empty", "--isolation", "os", "--json")
    assert (answer.exit_code, (command.folder / "empty" / "out.csv").read_text()) == (0, "X\n1\n")


def test_a_stopped_script_is_cancelled(command: Command) -> None:
    if not command("sandbox", "status", "--json").json["os_sandbox"]:
        pytest.skip("no isolation of the operating system here")
    (command.folder / "in").mkdir()
    (command.folder / "s.py").write_text("open('started', 'w').close()\nwhile True: pass\n")
    args = ("sandbox", "run", "s.py", "--input", "in", "--output", "out", "--isolation", "os", "--json")
    with command.start(*args) as process:
        _until(lambda: any((command.home / "scratch").rglob("started")), process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, json.loads(out)["status"]) == (130, "cancelled"), err
    assert command.leftovers() == []


def test_a_refused_script_does_not_run(command: Command) -> None:
    (command.folder / "in").mkdir()
    (command.folder / "s.py").write_text("import subprocess\n")
    answer = command("sandbox", "run", "s.py", "--input", "in", "--output", "out", "--isolation", "os", "--json")
    if answer.exit_code == 5:
        pytest.skip("no isolation of the operating system here")
    assert (answer.exit_code, answer.json["status"]) == (2, "refused")
    assert command.leftovers() == []


def test_sandbox_status_names_what_is_in_force(command: Command) -> None:
    answer = command("sandbox", "status", "--json")
    assert answer.exit_code == 0
    assert answer.json
