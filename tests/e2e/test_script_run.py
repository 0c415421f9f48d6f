"""Scripts that no template wrote, through the real runtime and the system's own sandbox: a whole run, or a reason."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from desktop.app import build
from desktop.core.errors import AppError
from desktop.core.jobs import JobRecord, JobState
from desktop.core.paths import Paths
from desktop.sandbox import bubblewrap, seatbelt
from desktop.studios.omics import queries
from desktop.studios.omics.failed_run import load_failed_run
from desktop.studios.omics.schema import ScriptResult
from desktop.workers.workbench import Workbench
from tests.e2e.command import Command
from tests.e2e.tables import GROUPS, rows, sheet, text, write

needs_os_sandbox = pytest.mark.skipif(
    not (bubblewrap.version() or seatbelt.is_available()), reason="neither bubblewrap nor Seatbelt works here"
)
READ = """from pathlib import Path
import pandas as pd
folder = Path(__file__).parent
counts = pd.read_csv(folder / "counts.csv.gz", index_col="gene_id").drop(columns="gene_symbol")
samples = pd.read_csv(folder / "samples.csv", dtype=str, index_col=0)
"""
RESULT = """
table = pd.DataFrame({"gene_id": counts.index, "gene_symbol": "", "base_mean": counts.mean(axis=1).to_numpy()})
for name in ("log2_fold_change", "lfc_se", "stat"):
    table[name] = 1.0
table["pvalue"] = table["padj"] = [0.001] * 7 + [0.9] * (len(table) - 7)
table.to_csv("results.csv", index=False)
"""
NOWHERE = "sandbox:\n  engine: unix:///nowhere/docker.sock\n"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    paths = Paths(tmp_path_factory.mktemp("home"))
    paths.settings.write_text(NOWHERE)
    workbench = build(paths)
    yield workbench
    workbench.close()


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    write(tmp_path, text(rows()), sheet({"condition": GROUPS}))
    data, samples = str(tmp_path / "counts.csv"), str(tmp_path / "samples.csv")
    return {"data": data, "samples": samples, "isolation": "os", "question": "What does my script say?"}


def run(bench: Workbench, script: str, **params: Any) -> JobRecord:
    return bench.runtime.wait(bench.runtime.submit("omics.run_script", {"script": script, **params}), 120)


@needs_os_sandbox
def test_what_it_leaves_becomes_a_run(bench: Workbench, given: dict[str, Any]) -> None:
    """Tables, report and hashes; a results.csv of the known columns is a result; the run can be taken up again."""
    script = READ + RESULT + 'Path("report.html").write_text("<script>alert(1)</script>")\nprint("said <b>this</b>")\n'
    job = run(bench, script, **given)
    assert job.state is JobState.DONE, job.error
    result = ScriptResult.model_validate(job.result)
    assert result.outputs == ["results.csv"]
    assert result.summary is not None
    assert (result.summary.n_genes, result.summary.n_significant) == (300, 7)
    assert result.isolation.is_reduced
    manifest = json.loads((result.out_dir / "manifest.json").read_text())
    assert manifest["script"] == {"sha256": hashlib.sha256(script.encode()).hexdigest(), "origin": "person"}
    for name, facts in manifest["files"].items():
        assert hashlib.sha256((result.out_dir / name).read_bytes()).hexdigest() == facts["sha256"]
    page = (result.out_dir / "report.html").read_text()
    assert "<script>" not in page
    assert "said &lt;b&gt;this&lt;/b&gt;" in page
    assert "written by a person" in page
    view = queries.load_results(result.out_dir)
    assert len(view.gene_ids) == 300
    (row,) = [one for one in queries.list_runs(bench.store) if one.id == job.id]
    assert (row.kind, row.script_origin) == ("script", "person")
    again = run(bench, READ + 'samples.to_csv("mine.csv")\n', data=job.id, isolation="os")
    assert again.state is JobState.DONE, again.error
    assert ScriptResult.model_validate(again.result).outputs == ["mine.csv"]


def test_the_policy_is_asked_first_and_nothing_runs_with_less_isolation(
    bench: Workbench, given: dict[str, Any]
) -> None:
    refused = run(bench, READ + "import socket\n", **(given | {"data": "/not/there"}))
    assert refused.error is not None
    assert refused.error.code == "omics.script_refused"
    (finding,) = json.loads(refused.error.details["findings"])
    assert finding["line"] == 6
    assert load_failed_run(Path(refused.error.details["record"])).verdict.findings[0].line == 6
    for origin in ("person", "model"):
        alone = run(bench, READ, **(given | {"isolation": "auto", "origin": origin}))
        assert alone.error is not None
        assert alone.error.code == "app.no_sandbox"
    for strange in ({"isolation": "process"}, {"origin": "template"}):
        with pytest.raises(AppError):
            bench.runtime.submit("omics.run_script", {"script": READ, **given, **strange})


@needs_os_sandbox
@pytest.mark.parametrize(
    ("before", "after", "code", "line"),
    [
        pytest.param('samples["Condtion"]', 'samples["condition"]', "use_column:condition", 6, id="missing column"),
        pytest.param(
            'pd.read_csv(folder / "samples.csv", sep=";")["condition"]',
            'pd.read_csv(folder / "samples.csv", sep=",")["condition"]',
            "comma",
            6,
            id="wrong separator",
        ),
        pytest.param(
            'pd.read_csv(folder / "samples.csv", encoding="utf-16")',
            'pd.read_csv(folder / "samples.csv")',
            "utf8",
            6,
            id="wrong encoding",
        ),
    ],
)
def test_a_known_slip_is_told_with_its_line_and_mended_with_a_yes(
    before: str, after: str, code: str, line: int, bench: Workbench, given: dict[str, Any]
) -> None:
    script = f'{READ}found = {before}\nfound.to_csv("found.csv")\n'
    job = run(bench, script, **given)
    assert job.error is not None
    assert job.error.code == "omics.analysis_failed"
    assert "Traceback" not in job.error.message + job.error.hint
    assert f"line {line}" in job.error.message or code == "utf8"
    (offer,) = json.loads(job.error.details["offers"])
    assert (offer["code"], offer["asks"], offer["after"]) == (code, True, f"found = {after}")
    record = load_failed_run(Path(job.error.details["record"]))
    assert record.code == script
    assert record.error["code"] == "omics.analysis_failed"
    mended = run(bench, script, **given, accept=[code])
    assert mended.state is JobState.DONE, mended.error
    result = ScriptResult.model_validate(mended.result)
    assert (result.out_dir / "analysis.py").read_text() == script.replace(before, after)
    assert any(offer["what"] in warning for warning in result.warnings)


@needs_os_sandbox
@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param("import numpy as np; np.linalg.inv(np.zeros((2, 2)))", "cannot be solved", id="singular"),
        pytest.param('open(folder / "more.csv")', "more.csv", id="file missing"),
        pytest.param('raise ValueError("the dose is not known")', "the dose is not known", id="its own words"),
        pytest.param("raise SystemExit(3)", "without saying why", id="nothing said"),
    ],
)
def test_what_no_rule_mends_ends_with_a_readable_reason(
    line: str, said: str, bench: Workbench, given: dict[str, Any]
) -> None:
    job = run(bench, f"{READ}{line}\n", **given)
    assert job.error is not None
    assert said in job.error.message
    assert job.error.hint
    assert "offers" not in job.error.details
    assert "Traceback" not in job.error.message + job.error.hint
    assert not any(bench.paths.scratch.iterdir())


@needs_os_sandbox
def test_a_script_that_is_stopped_leaves_nothing(bench: Workbench, given: dict[str, Any], tmp_path: Path) -> None:
    out_dir = tmp_path / "results" / "out"
    params = {"script": f"{READ}print('began', flush=True)\nwhile True:\n    pass\n", **given, "out_dir": str(out_dir)}
    job_id = bench.runtime.submit("omics.run_script", params)
    deadline = time.monotonic() + 60
    while "began" not in bench.runtime.log_lines(job_id) and time.monotonic() < deadline:
        time.sleep(0.02)
    bench.runtime.cancel(job_id)
    assert bench.runtime.wait(job_id, 10).state is JobState.CANCELLED
    assert not out_dir.exists()
    assert not any(bench.paths.scratch.iterdir())
    assert job_id not in {run.id for run in queries.list_runs(bench.store)}


@needs_os_sandbox
def test_the_command_line_runs_it_and_runs_it_again(tmp_path: Path) -> None:
    command = Command(tmp_path)
    command.home.mkdir()
    (command.home / "config.yaml").write_text(NOWHERE)
    write(tmp_path, text(rows()), sheet({"condition": GROUPS}))
    (tmp_path / "mine.py").write_text(READ + 'samples.to_csv("mine.csv")\n')
    answer = command(
        "run", "mine.py", "--data", "counts.csv", "--samples", "samples.csv", "--isolation", "os", "--json"
    )
    assert answer.exit_code == 0, answer.stderr
    again = command("jobs", "rerun", answer.json["run_id"], "--json")
    assert again.json["result"]["outputs"] == ["mine.csv"]
    (tmp_path / "mine.py").write_text("import ctypes\n")
    refused = command("run", "mine.py", "--data", "counts.csv")
    assert refused.exit_code == 2
    assert "mine.py:1:1: import" in refused.stderr.replace("\n", "")
