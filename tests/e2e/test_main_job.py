"""The main job through the real runtime, store and sandbox: data and a sentence in, one whole folder out, or nothing."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from desktop.app import build
from desktop.core.clock import SystemClock
from desktop.core.errors import AppError
from desktop.core.events import Event, JobChanged
from desktop.core.jobs import JobRecord, JobState
from desktop.core.paths import Paths
from desktop.sandbox import bubblewrap, seatbelt
from desktop.studios.omics import queries
from desktop.studios.omics.schema import Inspection, Plan
from desktop.workers.workbench import Workbench
from tests.stand_ins.finished_run import some_counts

FOLDER = {
    "analysis.py",
    "counts.csv.gz",
    "dispersions.csv",
    "enrichment.csv",
    "enrichment_ranked.csv",
    "gene_map.csv.gz",
    "gene_sets.gmt.gz",
    "genes_without_padj.csv",
    "heatmap.csv",
    "manifest.json",
    "normalised_counts.csv.gz",
    "pca.csv",
    "pca_loadings.csv",
    "plan.json",
    "report.html",
    "report.md",
    "results.csv",
    "sample_clusters.csv",
    "sample_distances.csv",
    "sample_qc.csv",
    "samples.csv",
    "shrunken.csv",
    "summary.json",
}
needs_os_sandbox = pytest.mark.skipif(
    not (bubblewrap.version() or seatbelt.is_available()), reason="neither bubblewrap nor Seatbelt works here"
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    workbench = build(Paths(tmp_path_factory.mktemp("home")))
    yield workbench
    workbench.close()


@pytest.fixture
def small(tmp_path: Path) -> dict[str, str]:
    """A small dataset on disk: paths of counts and sample sheet."""
    values = some_counts()
    names = ["c1", "c2", "c3", "d1", "d2", "d3"]
    with (tmp_path / "counts.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["gene_id", *names])
        writer.writerows([f"gene{k:04d}", *values[:, k]] for k in range(values.shape[1]))
    sheet = "sample,arm\n" + "".join(f"{name},{'control' if name[0] == 'c' else 'drug'}\n" for name in names)
    (tmp_path / "sheet.csv").write_text(sheet)
    return {"data": str(tmp_path / "counts.csv"), "samples": str(tmp_path / "sheet.csv")}


def run(bench: Workbench, **params: Any) -> JobRecord:
    return bench.runtime.wait(bench.runtime.submit("omics.run_analysis", params), 300)


def leftovers(bench: Workbench) -> list[str]:
    """What lies in the scratch folder; containers and children are taken away just after a run ends."""
    for _ in range(50):
        found = [path.name for path in bench.paths.scratch.iterdir()] if bench.paths.scratch.exists() else []
        if not found:
            break
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def airway(bench: Workbench) -> tuple[JobRecord, list[JobRecord]]:
    """The bundled dataset and its sentence, in a plain process; the job and every change of it that was told."""
    told: list[JobRecord] = []

    def listen(event: Event) -> None:
        if isinstance(event, JobChanged):
            told.append(event.job)

    stop = bench.bus.subscribe(listen)
    sample = queries.sample_dataset()
    job = run(bench, data=str(sample.data), samples=str(sample.samples), question=sample.question, isolation="process")
    stop()
    return job, told


def test_the_sentence_leads_to_the_folder(airway: tuple[JobRecord, list[JobRecord]], bench: Workbench) -> None:
    job, _ = airway
    assert job.state is JobState.DONE, job.error
    assert job.result is not None
    result = job.result
    assert result["plan"]["design"] == "~ cell + dex"
    assert result["plan"]["contrast"].items() >= {"factor": "dex", "treated": "trt", "control": "untrt"}.items()
    out_dir = Path(result["out_dir"])
    assert {path.name for path in out_dir.iterdir()} == FOLDER | {"figures"}
    assert result["summary"]["n_genes"] == 64102
    assert result["summary"]["n_significant"] == result["summary"]["up"] + result["summary"]["down"] > 3000
    assert result["isolation"]["kind"] == "process"
    assert result["isolation"]["is_reduced"]
    assert any("reduced isolation" in text for text in result["warnings"])
    assert set(result["timings"]) == {
        "Read the data",
        "Plan",
        "Write the script",
        "Check the script",
        "Run",
        "Report",
    }
    assert leftovers(bench) == []


def test_progress_only_grows_and_names_its_steps(airway: tuple[JobRecord, list[JobRecord]]) -> None:
    _, told = airway
    shares = [job.done_frac for job in told if job.state is JobState.RUNNING]
    assert shares == sorted(shares)
    assert {"Read the data", "Run", "Report"} <= {job.step for job in told}
    assert any(job.note == "Fit the model" for job in told)


def test_the_same_bytes_by_hand(airway: tuple[JobRecord, list[JobRecord]], tmp_path: Path) -> None:
    assert airway[0].result is not None
    out_dir = Path(airway[0].result["out_dir"])
    subprocess.run([sys.executable, str(out_dir / "analysis.py")], cwd=tmp_path, check=True, capture_output=True)
    made = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert Path("results.csv") in made
    assert [str(name) for name in made if (tmp_path / name).read_bytes() != (out_dir / name).read_bytes()] == []


def test_report_and_table_say_the_same(airway: tuple[JobRecord, list[JobRecord]]) -> None:
    assert airway[0].result is not None
    result = airway[0].result
    text = (Path(result["out_dir"]) / "report.html").read_text()
    heading = re.sub(r"<[^>]+>", "", text.split("<h1", 1)[1].split("</h1>")[0].split(">", 1)[1])
    assert heading.replace("&lt;", "<") == result["headline"]
    assert f"{result['summary']['up']:,}" in result["headline"]


def test_the_run_is_in_the_library_and_the_trail(airway: tuple[JobRecord, list[JobRecord]], bench: Workbench) -> None:
    assert airway[0].result is not None
    run_id = airway[0].result["run_id"]
    row = queries.find_run(bench.store, run_id)
    assert row.summary == airway[0].result["summary"]
    assert row.hashes["results.csv"]
    assert run_id in {found.id for found in queries.search_runs(bench.store, "dexamethasone cell")}
    assert queries.search_runs(bench.store, "dexamethasone 100%_") == []
    trail = bench.store.read("SELECT what, by, inputs FROM audit WHERE job_id = ? ORDER BY seq", [airway[0].id])
    assert [row["by"] for row in trail] == ["rule:plan", "script:template"]
    assert json.loads(trail[0]["inputs"]).keys() >= {"counts.csv.gz", "samples.csv"}


def test_trash_and_back(airway: tuple[JobRecord, list[JobRecord]], bench: Workbench) -> None:
    run_id = airway[0].id
    asyncio.run(queries.trash_run(bench.store, run_id, SystemClock()))
    assert run_id not in {row.id for row in queries.list_runs(bench.store)}
    assert run_id in {row.id for row in queries.list_runs(bench.store, in_trash=True)}
    asyncio.run(queries.restore_run(bench.store, run_id))
    assert run_id in {row.id for row in queries.list_runs(bench.store)}


def test_values_for_the_window_come_from_a_child(airway: tuple[JobRecord, list[JobRecord]], bench: Workbench) -> None:
    assert airway[0].result is not None
    view = bench.runtime.call(queries.load_results, Path(airway[0].result["out_dir"])).result(60)
    assert len(view.gene_ids) == 64102
    assert view.plan.design == "~ cell + dex"


def test_a_stored_run_runs_again_from_its_own_script(
    airway: tuple[JobRecord, list[JobRecord]], bench: Workbench
) -> None:
    first = airway[0].result
    assert first is not None
    params = queries.rerun_params(bench.store, first["run_id"]).model_copy(update={"isolation": "process"})
    again = bench.runtime.wait(bench.runtime.submit("omics.run_analysis", params), 300)
    assert again.result is not None, again.error
    for name in ("results.csv", "analysis.py", "plan.json"):
        assert (Path(again.result["out_dir"]) / name).read_bytes() == (Path(first["out_dir"]) / name).read_bytes()


def test_a_stored_script_that_somebody_changed_is_not_trusted(bench: Workbench, small: dict[str, str]) -> None:
    first = run(bench, **small, question="Which genes change with the drug?", isolation="process")
    assert first.result is not None, first.error
    script = Path(first.result["out_dir"]) / "analysis.py"
    script.write_text(script.read_text().replace("ALPHA: float = 0.05", "ALPHA: float = 0.9"))
    again = run(bench, data="", stored_run=first.id, isolation="process")
    assert again.state is JobState.FAILED
    assert again.error is not None
    assert again.error.code == "app.no_sandbox"
    assert leftovers(bench) == []


def test_results_go_where_asked_and_are_never_put_over_others(
    bench: Workbench, small: dict[str, str], tmp_path: Path
) -> None:
    target = tmp_path / "mine" / "out"
    first = run(bench, **small, question="drug against control", isolation="process", out_dir=str(target))
    assert first.state is JobState.DONE, first.error
    assert [path.name for path in target.parent.iterdir()] == ["out"]
    before = {path: path.stat().st_mtime_ns for path in target.rglob("*")}
    again = run(bench, **small, question="drug against control", isolation="process", out_dir=str(target))
    assert again.error is not None
    assert again.error.code == "omics.output_folder"
    assert before == {path: path.stat().st_mtime_ns for path in target.rglob("*")}


@pytest.mark.parametrize(
    ("setting", "code"),
    [
        pytest.param("run_timeout_s: 1", "omics.timed_out", id="time limit"),
        pytest.param("run_memory_mb: 256", "omics.out_of_memory", id="memory limit"),
    ],
)
def test_a_run_that_fails_leaves_only_its_record(setting: str, code: str, tmp_path: Path) -> None:
    sample = queries.sample_dataset()
    large = {"data": str(sample.data), "samples": str(sample.samples)}
    paths = Paths(tmp_path / "home")
    paths.home.mkdir()
    paths.settings.write_text(f"omics:\n  {setting}\n")
    bench = build(paths)
    try:
        out_dir = tmp_path / "results" / "out"
        job = run(bench, **large, question="trt against untrt", isolation="process", out_dir=str(out_dir))
        assert job.state is JobState.FAILED
        assert job.error is not None
        assert job.error.code == code
        assert "Traceback" not in job.error.message + job.error.hint
        assert not out_dir.exists()
        assert list(out_dir.parent.iterdir()) == []
        assert leftovers(bench) == []
        assert {path.name for path in Path(job.error.details["record"]).iterdir()} == {
            "analysis.py",
            "failure.json",
            "manifest.json",
            "plan.json",
            "run.log",
        }
        assert queries.list_runs(bench.store) == []
    finally:
        bench.close()


def test_a_refused_script_says_where_and_what_to_write_instead(
    bench: Workbench, small: dict[str, str], tmp_path: Path
) -> None:
    first = run(bench, **small, question="drug against control", isolation="process")
    assert first.state is JobState.DONE, first.error
    changed = tmp_path / "changed"
    shutil.copytree(Path(first.result["out_dir"]), changed)  # type: ignore[index]
    script = (changed / "analysis.py").read_text() + "\nimport subprocess\n"
    (changed / "analysis.py").write_text(script)
    job = run(bench, data=str(changed), stored_run=str(changed), out_dir=str(tmp_path / "again"))
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error.code == "omics.script_refused"
    record = Path(job.error.details["record"])
    assert (record / "analysis.py").read_text() == script
    policy = json.loads((record / "manifest.json").read_text())["policy"]
    assert not policy["allowed"]
    finding = policy["findings"][-1]
    assert finding["line"] == len(script.splitlines())
    assert set(finding) == {"rule", "line", "column", "message", "remedy"}
    assert job.error.hint == policy["findings"][0]["remedy"]
    assert json.loads(job.error.details["findings"])[-1] == finding
    assert not (tmp_path / "again").exists()
    assert leftovers(bench) == []


def test_a_sample_named_in_the_sentence_is_left_out(bench: Workbench, small: dict[str, str], tmp_path: Path) -> None:
    job = run(bench, **small, question="drug against control, without d3", isolation="process")
    assert job.state is JobState.DONE, job.error
    result = job.result or {}
    assert result["plan"]["keep"] == {"sample": ["c1", "c2", "c3", "d1", "d2"]}
    out_dir = Path(result["out_dir"])
    with (out_dir / "sample_qc.csv").open(newline="") as file:
        assert [row["sample"] for row in csv.DictReader(file)] == ["c1", "c2", "c3", "d1", "d2"]
    manifest = json.loads((out_dir / "manifest.json").read_text())
    assert manifest["policy"] == {"allowed": True, "findings": [], "sha256": manifest["script"]["sha256"]}


def test_cancel_leaves_nothing(bench: Workbench, small: dict[str, str], tmp_path: Path) -> None:
    out_dir = tmp_path / "results" / "out"
    job_id = bench.runtime.submit(
        "omics.run_analysis",
        {**small, "question": "drug against control", "isolation": "process", "out_dir": str(out_dir)},
    )
    deadline = time.monotonic() + 60
    while (job := bench.runtime.job(job_id)) is not None and job.step != "Run" and time.monotonic() < deadline:
        time.sleep(0.02)
    bench.runtime.cancel(job_id)
    assert bench.runtime.wait(job_id, 10).state is JobState.CANCELLED
    assert leftovers(bench) == []
    assert not out_dir.exists()
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] in ([], ["results"])


@pytest.mark.parametrize(
    ("params", "code"),
    [
        pytest.param(
            {"question": "drug against control", "design": "~ age + arm"},
            "omics.unknown_factor",
            id="a factor that is not there",
        ),
        pytest.param({"data": "nowhere.csv", "question": "x"}, "omics.unreadable_table", id="no such file"),
        pytest.param({"question": "drug against control", "design": "~ arm + "}, "omics.bad_formula", id="formula"),
        pytest.param({"question": "drug against control", "out_dir": "/dev/null/x"}, "omics.output_folder", id="place"),
        pytest.param(
            {"plan": Plan(design="~ arm").model_dump(mode="json")}, "omics.unclear_question", id="plan without contrast"
        ),
        pytest.param(
            {"plan": Plan(kind="pca", keep={"arm": ["mars"]}).model_dump(mode="json")},
            "omics.unknown_level",
            id="plan keeps a level that is not there",
        ),
        pytest.param(
            {"question": "drug against control", "gene_sets": [__file__]}, "omics.bad_gene_sets", id="no gene sets"
        ),
    ],
)
def test_bad_input_is_told_before_anything_runs(
    params: dict[str, Any], code: str, bench: Workbench, small: dict[str, str]
) -> None:
    job = run(bench, **({"isolation": "process", **small} | params))
    assert job.error is not None
    assert job.error.code == code, job.error
    assert job.error.hint
    assert leftovers(bench) == []


def test_gene_sets_of_ones_own_go_through_plan_script_and_report(
    bench: Workbench, small: dict[str, str], tmp_path: Path
) -> None:
    genes = [f"gene{k:04d}" for k in range(400)]
    lines = [["PLANTED", "na", *genes[:40], "unknown"], *(["R", "na", *genes[k : k + 40]] for k in range(100, 360, 20))]
    for k, line in enumerate(lines[1:]):
        line[0] = f"SET_{k}"
    (tmp_path / "mine.gmt").write_text("".join("\t".join(line) + "\n" for line in lines))
    asked = {"question": "Which genes change with the drug?", "isolation": "process"}
    job = run(bench, **small, **asked, gene_sets=[str(tmp_path / "mine.gmt")])
    assert job.result is not None, job.error
    out = Path(job.result["out_dir"])
    kept = bench.paths.home / "gene_sets" / "mine.gmt.gz"
    assert kept.is_file()
    sha256 = hashlib.sha256((tmp_path / "mine.gmt").read_bytes()).hexdigest()
    assert job.result["plan"]["gene_sets"] == [{"name": "mine", "sha256": sha256}]
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["own_gene_sets"][0] | {"n_ids": 0} == {
        "name": "mine", "file": "mine.gmt", "sha256": sha256, "n_sets": 14, "n_sets_here": 14, "n_ids": 0,
        "n_ids_here": manifest["own_gene_sets"][0]["n_ids"] - 1,
    }  # fmt: skip
    first = pd.read_csv(out / "enrichment.csv").iloc[0]
    assert (first["set_id"], first["direction"], first["universe_size"]) == ("PLANTED", "up", 400)
    assert sha256 in (out / "report.md").read_text()
    again = run(bench, data=str(out), stored_run=str(out), isolation="process")
    assert again.result is not None, again.error
    same = Path(again.result["out_dir"]) / "enrichment.csv"
    assert same.read_bytes() == (out / "enrichment.csv").read_bytes()


def test_a_blocking_caution_waits_for_a_person(bench: Workbench, small: dict[str, str]) -> None:
    """Names that only nearly match are a proposal: nothing runs on it until somebody has said yes."""
    sheet = Path(small["samples"])
    header, *rows = sheet.read_text().splitlines()
    sheet.write_text("\n".join([header, *(row.replace(",", "fb,", 1) for row in rows)]))
    question = "Which genes differ between drug and control?"
    job = run(bench, **small, question=question, isolation="process")
    assert job.error is not None
    assert job.error.code == "omics.needs_answer"
    (wanted,) = json.loads(job.error.details["accept"])
    assert wanted["code"] == "omics.samples_do_not_match"
    accepted = run(bench, **small, question=question, isolation="process", accept=[wanted["code"]])
    assert accepted.state is JobState.DONE, accepted.error
    assert wanted["text"] in (Path((accepted.result or {})["out_dir"]) / "report.md").read_text().replace("\\", "")
    inspection = Inspection.model_validate(
        bench.runtime.wait(bench.runtime.submit("omics.inspect_data", small), 60).result
    )
    plan = queries.make_plan(question, inspection)
    confirmed = run(bench, **small, plan=plan.model_dump(mode="json"), isolation="process")
    assert confirmed.state is JobState.DONE, confirmed.error
    for job in (accepted, confirmed):
        trail = bench.store.read("SELECT what, by FROM audit WHERE job_id = ? ORDER BY seq", [job.id])
        assert ("go on with omics.samples_do_not_match", "person") in {(row["what"], row["by"]) for row in trail}


def test_values_on_a_log_scale_are_never_tested_as_counts(bench: Workbench, tmp_path: Path) -> None:
    rows = ["gene_id,a1,a2,b1,b2"]
    rows += [f"g{k},{k % 9 + 0.5},{k % 7 + 0.25},{k % 5 + 0.1},{k % 3 + 0.7}" for k in range(300)]
    (tmp_path / "log.csv").write_text("\n".join(rows))
    (tmp_path / "sheet.csv").write_text("sample,arm\na1,ctrl\na2,ctrl\nb1,drug\nb2,drug\n")
    given = {"data": str(tmp_path / "log.csv"), "samples": str(tmp_path / "sheet.csv")}
    job = run(bench, **given, question="drug against ctrl", isolation="process")
    assert job.error is not None
    assert job.error.code == "omics.not_counts"


@needs_os_sandbox
def test_the_same_bytes_in_the_operating_systems_sandbox(
    airway: tuple[JobRecord, list[JobRecord]], bench: Workbench
) -> None:
    sample = queries.sample_dataset()
    job = run(bench, data=str(sample.data), samples=str(sample.samples), question=sample.question, isolation="os")
    assert job.result is not None, job.error
    assert airway[0].result is not None
    assert job.result["isolation"]["kind"] == "os"
    one, other = (Path(result["out_dir"]) for result in (airway[0].result, job.result))
    assert (one / "results.csv").read_bytes() == (other / "results.csv").read_bytes()


@needs_os_sandbox
def test_a_script_that_stops_is_diagnosed_in_plain_words(bench: Workbench, small: dict[str, str]) -> None:
    first = run(bench, **small, question="Which genes change with the drug?", isolation="process")
    assert first.result is not None, first.error
    script = Path(first.result["out_dir"]) / "analysis.py"
    broken = script.read_text().replace('tell(5, "Fit the model")', 'raise ValueError("the drug ran out")')
    script.write_text(broken)
    again = run(bench, data="", stored_run=first.id, isolation="os")
    assert again.error is not None
    assert again.error.code == "omics.analysis_failed"
    assert again.error.message.startswith("The analysis stopped: the drug ran out. It was at line ")
    assert leftovers(bench) == []


@pytest.mark.docker
def test_the_same_bytes_in_a_container(airway: tuple[JobRecord, list[JobRecord]], bench: Workbench) -> None:
    try:
        asyncio.run(bench.sandbox.choose("docker", "template"))
    except AppError as error:
        pytest.skip(str(error))
    sample = queries.sample_dataset()
    job = run(bench, data=str(sample.data), samples=str(sample.samples), question=sample.question, isolation="docker")
    assert job.result is not None, job.error
    assert airway[0].result is not None
    assert not job.result["isolation"]["is_reduced"]
    one, other = (Path(result["out_dir"]) for result in (airway[0].result, job.result))
    assert (one / "results.csv").read_bytes() == (other / "results.csv").read_bytes()


def test_two_runs_compared(airway: tuple[JobRecord, list[JobRecord]], bench: Workbench) -> None:
    job_id = bench.runtime.submit("omics.compare_runs", {"left": airway[0].id, "right": airway[0].id})
    job = bench.runtime.wait(job_id, 120)
    assert job.result is not None, job.error
    assert job.result["jaccard"] == 1.0
    assert (Path(job.result["out_dir"]) / "report.html").exists()
    missing = bench.runtime.wait(bench.runtime.submit("omics.compare_runs", {"left": "x", "right": "y"}), 60)
    assert missing.error is not None
    assert missing.error.code == "omics.unknown_run"


def test_inspection_says_what_would_be_used(bench: Workbench, small: dict[str, str]) -> None:
    job = bench.runtime.wait(bench.runtime.submit("omics.inspect_data", small), 60)
    assert job.result is not None, job.error
    assert job.result["value_type"] == "counts"
    assert job.result["proposal"]["formula"] == "~ arm"


def test_a_folder_that_was_finished_just_before_a_crash_is_taken_up(
    bench: Workbench, small: dict[str, str], tmp_path: Path
) -> None:
    """The folder was in its place, the store had not heard: the job run again does not fail on its own results."""
    params = {**small, "question": "drug against control", "isolation": "process", "out_dir": str(tmp_path / "out")}
    first = run(bench, **params)
    assert first.result is not None, first.error
    change = "UPDATE omics_runs SET published_s = NULL WHERE id = ?"
    bench.store.write_now(lambda db: db.execute(change, [first.id]).rowcount)
    assert first.id not in {row.id for row in queries.list_runs(bench.store)}
    again = bench.runtime.wait(bench.runtime.rerun(first.id), 60)
    assert again.result is not None, again.error
    assert again.result["run_id"] == first.id
    assert first.id in {row.id for row in queries.list_runs(bench.store)}
