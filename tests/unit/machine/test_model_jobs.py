"""Models as jobs of a running Benchtop: download with consent, stop and go on, pin; import and quantise; audit trail."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from desktop.app import build
from desktop.core.jobs import JobRecord, JobState
from desktop.core.paths import Paths
from desktop.store import audit
from desktop.studios.machine import queries
from desktop.workers.workbench import Workbench
from tests.stand_ins.hub import COMMIT, HubServer, Trouble
from tests.unit.engines.model_files import folder_files, write_folder

MODEL, REPOSITORY = "qwen2.5-1.5b-instruct", "mlx-community/Qwen2.5-1.5B-Instruct-4bit"
FILES = folder_files(3_000_000) | {"README.md": b"# about", "evil.py": b"import os"}
WEIGHTS = "model.safetensors"


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer() as running:
        running.repositories[REPOSITORY] = dict(FILES)
        yield running


@pytest.fixture
def bench(server: HubServer, tmp_path: Path) -> Iterator[Workbench]:
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.yaml").write_text(f"net: {{huggingface_url: '{server.base}'}}\n")
    workbench = build(Paths(home))
    yield workbench
    workbench.close()


def run(bench: Workbench, kind: str, **params: Any) -> JobRecord:
    return bench.runtime.wait(bench.runtime.submit(f"machine.{kind}", params), 60)


def states(bench: Workbench) -> dict[str, str]:
    return {row.id: row.state for row in queries.list_models(bench.paths) if row.source}


def test_nothing_is_asked_without_consent(bench: Workbench, server: HubServer) -> None:
    job = run(bench, "download_model", model=MODEL)
    assert job.error is not None
    assert (job.error.code, job.error.details["destination"]) == ("net.consent_needed", "huggingface")
    assert server.asked == []


def test_a_download_is_checked_kept_and_noted(bench: Workbench, server: HubServer) -> None:
    job = run(bench, "download_model", model=MODEL, allow_net=True)
    assert job.error is None
    assert job.result is not None
    assert job.result["source"] == f"hub: {REPOSITORY}@{COMMIT}"
    assert set(job.result["unverified"]) == {"config.json", "tokenizer.json", "tokenizer_config.json"}
    assert states(bench) == {MODEL: "on disk"}
    files = queries.installed(bench.paths).wanted(MODEL).files
    assert {path.name for path in files.path.iterdir()} == set(FILES) - {"README.md", "evil.py"}
    rows = [row["what"] for row in audit.read_entries(bench.store)]
    asked = [row for row in rows if row.startswith("asked huggingface")]
    assert len(asked) == 1 + 4
    assert any(row.endswith(f"/{REPOSITORY}/resolve/{COMMIT}/{WEIGHTS}") for row in asked)
    assert rows[-1] == f"took in the model {MODEL}"
    again = run(bench, "download_model", model=MODEL, allow_net=True)
    assert again.error is not None
    assert again.error.code == "engines.model_exists"


def test_stopped_in_the_middle_it_goes_on_later(bench: Workbench, server: HubServer) -> None:
    server.trouble[WEIGHTS] = Trouble(pause_s=0.05, times=1)
    job_id = bench.runtime.submit("machine.download_model", {"model": MODEL, "allow_net": True})
    parts: list[Path] = []
    until = time.monotonic() + 30
    while time.monotonic() < until and not any(part.stat().st_size > 2**20 for part in parts):
        time.sleep(0.02)
        parts = list((bench.paths.models / ".drafts").glob(f"hub-*/{WEIGHTS}.part"))
    bench.runtime.cancel(job_id)
    assert bench.runtime.wait(job_id, 10).state is JobState.CANCELLED
    begun = parts[0].stat().st_size
    assert 2**20 <= begun < len(FILES[WEIGHTS])
    assert states(bench) == {}
    assert run(bench, "download_model", model=MODEL, allow_net=True).error is None
    assert server.ranges("/lfs/")[1:] == [f"bytes={begun}-"]


def test_the_second_download_must_bring_what_the_first_did(bench: Workbench, server: HubServer) -> None:
    run(bench, "download_model", model=MODEL, allow_net=True)
    queries.trash_model(bench.paths, MODEL)
    queries.empty_trash(bench.paths)
    config = json.loads(FILES["config.json"]) | {"rope_theta": 1}
    server.repositories[REPOSITORY]["config.json"] = json.dumps(config).encode()
    job = run(bench, "download_model", model=MODEL, allow_net=True)
    assert job.error is not None
    assert job.error.code == "engines.damaged_download"
    assert job.error.details["expected"] == hashlib.sha256(FILES["config.json"]).hexdigest()
    assert states(bench) == {}


def test_what_comes_but_is_no_model_is_not_kept(bench: Workbench, server: HubServer) -> None:
    server.repositories[REPOSITORY][WEIGHTS] = FILES[WEIGHTS][:-100]
    job = run(bench, "download_model", model=MODEL, allow_net=True)
    assert job.error is not None
    assert job.error.code == "engines.damaged_download"
    assert states(bench) == {}
    assert list((bench.paths.models / ".drafts").iterdir()) == []


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("../../etc", "engines.unknown_model"),
        ("https://x/y", "engines.unknown_model"),
        ("minimax-m2", "engines.bad_model"),
    ],
)
def test_only_models_of_the_catalogue(bench: Workbench, server: HubServer, model: str, code: str) -> None:
    job = run(bench, "download_model", model=model, allow_net=True)
    assert job.error is not None
    assert job.error.code == code
    assert server.asked == []


def test_import_and_trash(bench: Workbench, tmp_path: Path) -> None:
    source = write_folder(tmp_path / "Mine")
    job = run(bench, "import_model", source=str(source))
    assert job.error is None
    assert states(bench) == {"mine": "on disk"}
    queries.trash_model(bench.paths, "mine")
    assert states(bench) == {"mine": "in Trash"}
    queries.restore_model(bench.paths, "mine")
    linked = run(bench, "import_model", source=str(source), name="linked", link=True)
    assert linked.error is None
    assert states(bench) == {"mine": "on disk", "linked": "linked"}
    broken = run(bench, "import_model", source=str(tmp_path / "nothing"))
    assert broken.error is not None
    assert broken.error.code == "engines.bad_model"
    assert list((bench.paths.models / ".drafts").iterdir()) == []


def test_fit_answers_before_anything_is_fetched(bench: Workbench) -> None:
    settings = bench.settings.get("memory")
    answer = queries.fit(bench.paths, MODEL, settings)
    assert answer.need_bytes > 869_000_000
    tight = settings.model_copy(update={"budget_gib": 0.5})
    refused = queries.fit(bench.paths, MODEL, tight)
    assert refused.verdict == "never"
    assert "does not fit: it needs" in refused.words
    assert refused.limit_bytes == 2**29
    assert queries.fit(bench.paths, "minimax-m2", settings).words.endswith("takes no memory of this machine.")


def test_a_full_precision_model_becomes_a_small_one(bench: Workbench, tmp_path: Path) -> None:
    from tests.unit.engines.tiny_models import Shape, make, why_not

    if reason := why_not("mlx"):
        pytest.skip(reason)
    source = make("mlx", tmp_path / "Full", Shape(bits=32))
    job = run(bench, "quantise_model", source=str(source))
    assert job.error is None
    assert job.result is not None
    assert job.result["model"] == "full-4bit"
    wanted = queries.installed(bench.paths).wanted("full-4bit")
    full = sum(path.stat().st_size for path in source.glob("*.safetensors"))
    assert wanted.need.weights_bytes < 0.25 * full
    assert not list(wanted.files.path.glob("*.md"))
    again = run(bench, "quantise_model", source=str(wanted.files.path), name="twice")
    assert again.error is not None
    assert again.error.code == "engines.bad_model"
