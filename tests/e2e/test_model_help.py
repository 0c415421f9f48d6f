"""Models beside the rules, through the real runtime, policy and sandbox: read a sentence, tell a run, write a script.

The model is a stand-in that says what the test tells it; gateway, checks, jobs, files and audit trail are the real ones.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from desktop.app import build
from desktop.core.config import SettingsStore
from desktop.core.events import EventBus
from desktop.core.jobs import JobRecord, JobState, resolve
from desktop.core.paths import Paths
from desktop.engines.engine import Call
from desktop.sandbox.config import SandboxSettings
from desktop.sandbox.service import SandboxService
from desktop.store.db import Database
from desktop.studios import jobs, studios
from desktop.studios.omics import report_told
from desktop.workers.runtime import JobRuntime
from desktop.workers.workbench import settings_sections
from tests.e2e.tables import rows, sheet, text, write
from tests.stand_ins.fleet import PretendModel, make_house
from tests.stand_ins.model_server import ModelServerStandIn

FACTORS = {"agent": ["veh", "veh", "veh", "cpd-7", "cpd-7", "cpd-7"], "run_day": "abcabc"}
READING = {
    "comparison": {"factor": "agent", "treated": "cpd-7", "control": "veh"},
    "adjust_for": ["run_day"],
    "only": [],
}
UNCLEAR = "does the new molecule do anything at all?"


@dataclass
class Bench:
    """A runtime with two stand-in models, small and medium, and what was said to them."""

    runtime: JobRuntime
    paths: Paths
    store: Database
    small: PretendModel
    medium: PretendModel

    def run(self, job: str, **params: Any) -> JobRecord:
        return self.runtime.wait(self.runtime.submit(job, params), 300)

    def audit(self, job: str) -> list[tuple[str, str]]:
        found = self.store.read("SELECT what, by FROM audit WHERE job_id = ? ORDER BY seq", [job])
        return [(row["what"], row["by"]) for row in found]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    paths, bus = Paths(tmp_path / "home"), EventBus()
    house = make_house(paths.home)
    store = Database.open(
        paths.store, {s.key: resolve(s.migrations) for s in studios()}, backups_dir=paths.backups, bus=bus
    )
    settings = SettingsStore(paths.settings, settings_sections(studios()), bus, environ={})
    runtime = JobRuntime(
        store,
        jobs(),
        sandbox=SandboxService(SandboxSettings, paths),
        net=None,  # type: ignore[arg-type]  # nothing here may go out
        models=house.gateway,
        settings=settings,
        bus=bus,
        paths=paths,
    )
    runtime.start()
    built = Bench(runtime, paths, store, house.fleet.add("small-one", "small"), house.fleet.add("medium-one", "medium"))
    yield built
    runtime.stop()
    store.close()


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    write(tmp_path, text(rows()), sheet(FACTORS))
    return {"data": str(tmp_path / "counts.csv"), "samples": str(tmp_path / "samples.csv")}


def says(*answers: object) -> Any:
    """What a model says, one answer after the other, the last one for ever."""
    left = [one if isinstance(one, str) else json.dumps(one) for one in answers]

    def answer(call: Call) -> str:
        return left.pop(0) if len(left) > 1 else left[0]

    return answer


def test_a_sentence_the_rules_cannot_read_is_read_by_a_model_and_waits_for_a_yes(
    bench: Bench, given: dict[str, Any]
) -> None:
    told = {"sentences": ["[[n_changed]] of [[n_tested]] genes change, 99 of them strongly."]}
    for model in (bench.small, bench.medium):
        model.says = lambda call: json.dumps(READING if "comparison" in json.dumps(call.schema) else told)
    asked = given | {"question": UNCLEAR, "isolation": "process"}
    first = bench.run("omics.run_analysis", **asked)
    assert first.error is not None
    assert first.error.code == "omics.needs_answer", bench.runtime.log_lines(first.id)
    (doubt,) = json.loads(first.error.details["accept"])
    assert "cpd-7 over veh in agent, allowing for run_day" in doubt["text"]
    assert first.result is None

    done = bench.run("omics.run_analysis", **asked, accept=[doubt["code"]])
    assert done.state is JobState.DONE, done.error
    assert done.result is not None
    plan = done.result["plan"]
    assert (plan["contrast"]["treated"], plan["contrast"]["control"]) == ("cpd-7", "veh")
    assert any(reason["by"].startswith("model:") for reason in plan["reasons"])
    assert (f"go on with {doubt['code']}", "person") in bench.audit(done.id)
    folder = Path(done.result["out_dir"])
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert 'id="told"' in report
    assert '<del title="This number is not in the results.">99</del>' in report
    n_changed = f"{done.result['summary']['n_significant']:,}"
    assert f'data-where="count:padj &lt; 0.05">{n_changed}</a>' in report
    assert "(99: This number is not in the results)" in (folder / "report.md").read_text(encoding="utf-8")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert "told.json" in manifest["files"]


def test_a_reading_that_names_what_is_not_there_is_not_taken(bench: Bench, given: dict[str, Any]) -> None:
    wrong = READING | {"comparison": {"factor": "agent", "treated": "placebo", "control": "veh"}}
    bench.small.says = bench.medium.says = says(wrong)
    job = bench.run("omics.run_analysis", **given, question=UNCLEAR, isolation="process")
    assert job.error is not None
    assert job.error.code in ("omics.unclear_question", "omics.unknown_factor")
    assert len(bench.small.calls) >= 2  # asked again with what was wrong, before a larger one was asked
    assert bench.medium.calls
    assert "A model was asked, too" in job.error.hint


def test_a_sentence_the_rules_can_read_needs_no_model(bench: Bench, given: dict[str, Any]) -> None:
    bench.small.says = bench.medium.says = says({"sentences": ["It is done."]})
    job = bench.run("omics.run_analysis", **given, question="cpd-7 versus veh in agent", isolation="process")
    assert job.state is JobState.DONE, job.error
    assert all("comparison" not in json.dumps(call.schema) for call in (*bench.small.calls, *bench.medium.calls))


GOOD = """```python
from pathlib import Path
import pandas as pd
folder = Path(__file__).parent
counts = pd.read_csv(folder / "counts.csv.gz", index_col="gene_id").drop(columns="gene_symbol")
print("[step 1/1] Add up")
counts.sum().rename("reads").to_csv("depth.csv")
```"""


def test_a_script_that_fails_goes_back_to_the_model(bench: Bench, given: dict[str, Any]) -> None:
    """Refused by the policy, then failing, then right: each try kept."""
    refused = "import os\nos.system('id')\n"
    failing = "import pandas as pd\npd.DataFrame({'a': [1]})['b']\n"
    bench.medium.says = says(refused, failing, GOOD)
    job = bench.run("omics.write_script", **given, question="How deep was each sample read?", isolation="os")
    if job.error is not None and job.error.code == "sandbox.none":
        pytest.skip("no sandbox of the operating system here")
    assert job.state is JobState.DONE, job.error
    assert job.result is not None
    assert job.result["outputs"] == ["depth.csv"]
    assert not bench.small.calls  # code is not for the small one
    _, second, third = (call.messages[-1].content for call in bench.medium.calls)
    assert "os.system" in second
    assert "line 2" in second
    assert "“b”" in third
    trail = bench.audit(job.id)
    assert [by for what, by in trail if what == "wrote a script"] == ["model:medium-one"] * 3
    kept = sorted(path.name for path in (bench.paths.logs / "runs").iterdir())
    assert kept == [f"{job.id}-try1", f"{job.id}-try2"]


@pytest.mark.parametrize(
    ("scripts", "n_tries"),
    [
        pytest.param([f"import {name}\n" for name in ("socket", "ctypes", "subprocess", "pty")], 3, id="three at most"),
        pytest.param(["import os\nos.system('id')\n"], 2, id="the same twice"),
        pytest.param(["import socket\n", "import socket  # needed\n"], 2, id="the same failure"),
    ],
)
def test_tries_end(scripts: list[str], n_tries: int, bench: Bench, given: dict[str, Any]) -> None:
    bench.medium.says = says(*scripts)
    asked = given | {"question": "How deep was each sample read?"}
    job = bench.run("omics.write_script", **asked, isolation="os")
    assert job.error is not None
    assert job.error.code == "omics.script_refused"
    tries = json.loads(job.error.details["tries"])
    assert len(tries) == len(bench.medium.calls) == n_tries
    assert all(one["findings"] and one["problem"] for one in tries)
    assert not any(bench.paths.scratch.iterdir())

    draft = bench.run("omics.draft_script", **asked)  # the same for a person to look at: nothing runs
    assert draft.state is JobState.DONE, draft.error
    assert draft.result is not None
    assert len(draft.result["tries"]) == n_tries
    assert draft.result["tries"][-1]["findings"]


def test_a_draft_changes_the_script_that_is_there(bench: Bench, given: dict[str, Any]) -> None:
    bench.medium.says = says("import socket\n", GOOD)
    asked = given | {"question": "Add up the reads.", "script": "x = 1\n", "problem": "There is no column “b”."}
    job = bench.run("omics.draft_script", **asked)
    assert job.result is not None, job.error
    refused, taken = job.result["tries"]
    assert refused["findings"]
    assert "to_csv" in taken["script"]
    assert taken["problem"] == ""
    first = bench.medium.calls[0].messages[-1].content
    assert "x = 1" in first
    assert "no column “b”" in first
    trail = bench.store.read("SELECT inputs FROM audit WHERE job_id = ? ORDER BY seq", [job.id])
    assert [sorted(json.loads(row["inputs"])) for row in trail] == [["prompt", "script"]] * 2


def test_a_model_that_says_nothing_is_stopped_at_once(bench: Bench, given: dict[str, Any]) -> None:
    bench.medium.hang = 0
    for kind, asked in (
        ("omics.write_script", {"question": "How deep?"}),
        ("omics.run_analysis", {"question": UNCLEAR, "isolation": "process"}),
    ):
        bench.small.hang = 0
        before = len(bench.small.calls) + len(bench.medium.calls)
        job = bench.runtime.submit(kind, given | asked)
        until = time.monotonic() + 60
        while len(bench.small.calls) + len(bench.medium.calls) == before and time.monotonic() < until:
            time.sleep(0.02)
        bench.runtime.cancel(job)
        assert bench.runtime.wait(job, 10).state is JobState.CANCELLED
        assert not any(bench.paths.scratch.iterdir())
        assert not any(bench.paths.runs.glob("*"))
    assert bench.small.running == bench.medium.running == 0


def test_a_reading_that_cannot_be_run_goes_back_with_the_reason(bench: Bench, given: dict[str, Any]) -> None:
    """Confounded; then right. The person is told of the first one; both are on record with the prompt's hash."""
    write(Path(given["data"]).parent, text(rows()), sheet(FACTORS | {"lot": "ppqqqq", "plate": "xxxyyy"}))
    bench.small.says = bench.medium.says = says(READING | {"adjust_for": ["plate"]}, READING)
    job = bench.run("omics.run_analysis", **given, question=UNCLEAR, isolation="process")
    assert job.error is not None
    assert job.error.code == "omics.needs_answer", job.error
    (doubt,) = json.loads(job.error.details["accept"])
    assert "could not be run" in doubt["text"]
    assert "allowing for run_day" in doubt["text"]
    trail = bench.store.read("SELECT what, by, because, inputs FROM audit WHERE job_id = ? ORDER BY seq", [job.id])
    refused, taken = trail[:2]
    assert refused["what"].startswith("refused a reading: agent: cpd-7 vs veh, design ~ plate + agent")
    assert taken["what"].startswith("read the sentence as agent: cpd-7 vs veh, design ~ run_day + agent")
    assert taken["by"].startswith("model:")
    assert len(json.loads(taken["inputs"])["prompt"]) == 64
    assert json.loads(refused["inputs"])["prompt"] != json.loads(taken["inputs"])["prompt"]


def test_what_was_given_is_no_matter_of_reading(bench: Bench, given: dict[str, Any]) -> None:
    bench.small.says = bench.medium.says = says(READING)
    contrast = {"factor": "agnt", "treated": "veh", "control": "cpd-7"}
    job = bench.run("omics.run_analysis", **given, question=UNCLEAR, contrast=contrast, isolation="process")
    assert job.error is not None
    assert job.error.code == "omics.unknown_factor"
    assert not bench.small.calls


def test_nothing_private_goes_to_a_server(tmp_path: Path, given: dict[str, Any]) -> None:
    """A server that is allowed and answers is not asked: without a model here it is as if there were none."""
    with ModelServerStandIn(answer=lambda messages: json.dumps(READING)) as server:
        known = {"id": "lab", "url": server.base, "model": "m-1", "tier": "medium"}
        paths = Paths(tmp_path / "home")
        paths.home.mkdir()
        paths.settings.write_text(json.dumps({"servers": {"known": [known]}, "net": {"allowed": ["lab"]}}))
        workbench = build(paths)
        try:
            for kind, question in (
                ("omics.run_analysis", UNCLEAR),
                ("omics.write_script", "How deep was each sample read?"),
                ("omics.draft_script", "How deep was each sample read?"),
            ):
                job = workbench.runtime.submit(kind, given | {"question": question})
                done = workbench.runtime.wait(job, 120)
                assert (done.error.code if done.error else "") in (
                    "omics.unclear_question", "omics.unknown_factor", "models.none", "",
                ), done.error  # fmt: skip
        finally:
            workbench.close()
        assert server.asked == []
    assert report_told.TASK.is_private
