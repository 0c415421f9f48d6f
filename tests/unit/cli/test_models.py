"""`benchtop models …` through `app.main`: what it prints and how it leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from desktop.app import main
from tests.stand_ins.hub import HubServer
from tests.unit.engines.model_files import folder_files, write_folder

MODEL, REPOSITORY = "qwen2.5-1.5b-instruct", "mlx-community/Qwen2.5-1.5B-Instruct-4bit"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCHTOP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CI", "true")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer() as running:
        running.repositories[REPOSITORY] = folder_files()
        monkeypatch.setenv("BENCHTOP_NET__HUGGINGFACE_URL", running.base)
        yield running


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, Any]:
    """(exit code, JSON on stdout or else on stderr) of a command with --json."""
    code = main(["models", *args, "--json"])
    printed = capsys.readouterr()
    return code, json.loads(printed.out or printed.err)


def states(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    return {row["id"]: row["state"] for row in run(capsys, "list")[1]["models"]}


def test_list_and_fit(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    code, printed = run(capsys, "list")
    assert code == 0
    assert {row["tier"] for row in printed["models"]} == {"small", "medium", "large"}
    assert not (home / "models").exists()  # looking changes nothing
    code, answer = run(capsys, "fit", MODEL)
    assert (code, answer["verdict"], answer["context_tokens"]) == (0, "fits", 8192)
    monkeypatch.setenv("BENCHTOP_MEMORY__BUDGET_GIB", "0.5")
    code, answer = run(capsys, "fit", MODEL, "--context", "4096")
    assert (code, answer["verdict"], answer["context_tokens"]) == (1, "never", 4096)
    assert main(["models", "list"]) == 0
    assert MODEL in capsys.readouterr().out


@pytest.mark.parametrize("command", ["fit", "download", "delete", "restore"])
def test_a_name_nobody_gave(capsys: pytest.CaptureFixture[str], command: str) -> None:
    code, error = run(capsys, command, "../../etc")
    assert code == 2
    assert error["code"] in ("engines.unknown_model", "engines.not_installed")


def test_download_needs_consent(capsys: pytest.CaptureFixture[str], server: HubServer) -> None:
    code, error = run(capsys, "download", MODEL)
    assert (code, error["code"]) == (2, "net.consent_needed")
    assert server.asked == []
    code, result = run(capsys, "download", MODEL, "--yes")
    assert (code, result["model"], result["licence"]) == (0, MODEL, "Apache-2.0")
    assert states(capsys)[MODEL] == "on disk"


def test_import_delete_restore(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    write_folder(tmp_path / "Mine")
    assert run(capsys, "import", "Mine", "--name", "mine")[0] == 0
    assert run(capsys, "import", "Mine", "--name", "mine")[1]["code"] == "engines.model_exists"
    assert run(capsys, "import", "nothing")[1]["code"] == "engines.bad_model"
    assert run(capsys, "import", "Mine", "--pooling", "sideways")[1]["code"] == "jobs.bad_params"
    assert run(capsys, "quantise", "Mine")[1]["code"] == "engines.bad_model"
    assert run(capsys, "delete", "mine")[0] == 0
    assert states(capsys)["mine"] == "in Trash"
    assert run(capsys, "restore", "mine")[0] == 0
    assert run(capsys, "delete", "mine")[0] == 0
    assert run(capsys, "empty-trash")[1]["freed_bytes"] > 4096
    assert "mine" not in states(capsys)
