"""The command line through `app.main`: what it prints, how it leaves, what it leaves alone."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.app import build, main
from desktop.cli.analysis import _contrast
from desktop.cli.output import exit_code
from desktop.core.errors import (
    AppError,
    CancelledByUserError,
    InputError,
    NoSandboxError,
    NothingToAnalyseError,
    OfflineError,
    RunFailedError,
)
from desktop.core.jobs import JobError, JobState
from desktop.core.paths import Paths
from desktop.workers.workbench import Workbench
from tests.e2e.tables import GROUPS, rows, sheet, text, write

COMMANDS = ["analyze", "inspect", "compare", "demo", "doctor", "check", "jobs", "models", "sandbox", "settings"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCHTOP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CI", "true")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def open_benchtop(home: Path) -> Iterator[Workbench]:
    """Another Benchtop, open with the same data folder."""
    workbench = build(Paths(home))
    yield workbench
    workbench.close()


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, Any, Any]:
    """(exit code, JSON on stdout or None, JSON on stderr or None) of a command with --json."""
    code = main([*args, "--json"])
    printed = capsys.readouterr()
    return code, *(json.loads(stream) if stream else None for stream in (printed.out, printed.err))


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in COMMANDS)


@pytest.mark.parametrize("args", [["--help"], ["analyze", "--help"], ["--version"], ["jobs", "list"]])
def test_a_light_command_imports_no_numerics_and_no_qt(args: list[str]) -> None:
    code = (
        "import sys; from desktop.app import main; code = main(sys.argv[1:]);"
        "heavy = {'pandas', 'numpy', 'scipy', 'matplotlib', 'PySide6', 'httpx', 'docker'} & set(sys.modules);"
        "assert not heavy, heavy; assert code == 0"
    )
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "args",
    [
        ["nonsense"],
        ["analyze"],
        ["analyze", "x", "--alpha", "y"],
        ["jobs"],
        ["jobs", "show"],
        ["--nonsense"],
        ["compare", "a"],
    ],
    ids=" ".join,
)
def test_a_command_that_cannot_be_understood(args: list[str], capsys: pytest.CaptureFixture[str], home: Path) -> None:
    if args == ["jobs"]:
        assert main(args) == 2
        return
    code, out, error = run(capsys, *args)
    assert (code, out) == (2, None)
    assert error["code"] == "cli.usage"
    assert error["message"]
    assert not (home / "benchtop.sqlite").exists()


def test_errors_are_message_and_hint_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", "show", "none"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("Error: There is no job none.")
    assert "benchtop jobs list" in printed.err


@pytest.mark.parametrize(
    ("family", "code"),
    [
        (InputError, 2),
        (OfflineError, 2),
        (NothingToAnalyseError, 3),
        (RunFailedError, 4),
        (AppError, 4),
        (NoSandboxError, 5),
        (CancelledByUserError, 130),
    ],
)
def test_exit_codes_follow_the_family_also_by_code_alone(family: type[AppError], code: int) -> None:
    class SomeError(family):  # type: ignore[misc,valid-type]
        code = f"test.{family.__name__}"

    assert exit_code(SomeError("m", hint="h")) == code
    assert exit_code(JobError(SomeError.code, "m", "h")) == code
    assert exit_code(JobError("never.heard_of", "m", "h")) == 4


LEVELS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(
    lambda level: level == level.strip() and '"' not in level
)


@given(LEVELS, LEVELS, LEVELS)
def test_a_contrast_may_hold_any_level(factor: str, treated: str, control: str) -> None:
    quoted = ",".join(f'"{part}"' for part in (factor, treated, control))
    assert _contrast(quoted) == {"factor": factor, "treated": treated, "control": control}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("age", {"factor": "age", "treated": "", "control": ""}),
        ("age,sex=F", {"factor": "age", "treated": "", "control": "", "within": {"sex": "F"}}),
        ("age,,,sex=F,diet=hf", {"factor": "age", "treated": "", "control": "", "within": {"sex": "F", "diet": "hf"}}),
        (
            'd,a=1,b,"cell, type=T, 1"',
            {"factor": "d", "treated": "a=1", "control": "b", "within": {"cell, type": "T, 1"}},
        ),
        ("g:d,ko:yes,wt:no", {"factor": "g:d", "treated": "ko:yes", "control": "wt:no"}),
    ],
)
def test_a_contrast_says_where_it_is_made_or_that_it_is_per_unit(text: str, expected: dict[str, object]) -> None:
    assert _contrast(text) == expected


@pytest.mark.parametrize(
    "bad", ["", ",", "a,b", "a,b,c,d", "a,b=", "a,b,c,d=1,d=2", "a:b", "a,,c", '"a,b,c', "a\nb,c,d"]
)
def test_other_contrasts_are_refused(bad: str) -> None:
    with pytest.raises(InputError):
        _contrast(bad)


def test_no_jobs_yet(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    assert run(capsys, "jobs", "list") == (0, {"jobs": []}, None)
    assert not (home / "benchtop.sqlite").exists()


def test_a_job_is_listed_shown_and_run_again(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    write(tmp_path, text(rows()), sheet({"condition": GROUPS}))
    assert main(["inspect", "counts.csv", "--samples", "samples.csv"]) == 0
    capsys.readouterr()
    _, listed, _ = run(capsys, "jobs", "list")
    (job,) = listed["jobs"]
    assert (job["state"], job["kind"]) == ("done", "omics.inspect_data")
    code, shown, _ = run(capsys, "jobs", "show", job["id"])
    assert (code, shown["id"]) == (0, job["id"])
    assert "log" in shown
    code, again, _ = run(capsys, "jobs", "rerun", job["id"])
    assert (code, again["rerun_of"], again["state"]) == (0, job["id"], "done")
    assert main(["jobs", "list"]) == 0
    assert "Look at the data" in capsys.readouterr().out


def test_a_restored_store_is_said_on_stderr(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    build(Paths(home)).close()
    (home / "benchtop.sqlite").write_bytes(b"SQLite format 3\0" + b"\xff" * 8192)
    assert main(["settings", "show"]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith("Notice: The store was damaged")
    assert "kept as" in printed.err
    assert main(["settings", "show"]) == 0
    assert capsys.readouterr().err == ""
    (home / "benchtop.sqlite").write_bytes(b"SQLite format 3\0" + b"\xff" * 8192)
    code, said, notice = run(capsys, "settings", "show")
    assert (code, bool(said)) == (0, True)
    assert notice["code"].startswith("store.")
    assert set(notice) == {"code", "message", "hint"}


def test_beside_an_open_benchtop_jobs_run_but_are_not_recorded_there(
    open_benchtop: Workbench, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write(tmp_path, text(rows()), sheet({"condition": GROUPS}))
    code, found, _ = run(capsys, "inspect", "counts.csv", "--samples", "samples.csv")
    assert (code, found["n_genes"]) == (0, 300)
    assert open_benchtop.runtime.jobs() == []
    job = open_benchtop.runtime.submit("omics.inspect_data", {"data": str(tmp_path / "counts.csv")})
    assert open_benchtop.runtime.wait(job, 60).state is JobState.DONE
    assert [row["id"] for row in run(capsys, "jobs", "list")[1]["jobs"]] == [job]
    code, _, error = run(capsys, "jobs", "rerun", job)
    assert (code, error["code"]) == (4, "store.in_use")
    assert list(tmp_path.glob("benchtop-*")) == []


def test_a_waiting_job_can_be_cancelled(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workbench = build(Paths(home), start=False)
    job = workbench.runtime.submit("omics.inspect_data", {"data": "x"})
    workbench.close()
    code, cancelled, _ = run(capsys, "jobs", "cancel", job)
    assert (code, cancelled["state"]) == (0, "cancelled")


def test_the_doctor_says_what_works_and_what_to_do(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    home.mkdir()
    (home / "config.yaml").write_text("net:\n  mode: sometimes\n")
    code, said, _ = run(capsys, "doctor")
    checks = {check["name"]: check for check in said["checks"]}
    expected = {
        "Python",
        "SQLite",
        "Store",
        "Docker",
        "System sandbox",
        "Local models",
        "Keychain",
        "Disk",
        "Cache",
        "Settings",
        "Window",
    }
    assert expected <= set(checks)
    assert checks["Settings"]["ok"] is False
    assert "line 2" in checks["Settings"]["detail"]
    assert all(check["remedy"] for check in said["checks"] if not check["ok"])
    assert code == 4
    assert main(["doctor"]) == 4
    assert "config.yaml line 2" in capsys.readouterr().out.replace("\n", " ")


def test_settings_are_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCHTOP_NET__MODE", "never")
    code, said, _ = run(capsys, "settings", "show")
    values = {(row["section"], row["field"]): row["value"] for row in said["settings"]}
    assert (code, values["net", "mode"]) == (0, "never")


@pytest.mark.parametrize(
    ("script", "code", "allowed"),
    [("import pandas as pd\nprint(pd.__version__)\n", 0, True), ("import os\nos.system('x')\n", 1, False)],
    ids=["allowed", "refused"],
)
def test_a_script_is_checked(
    script: str, code: int, allowed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    (tmp_path / "script.py").write_text(script)
    left, said, _ = run(capsys, "check", "script.py")
    assert (left, said["allowed"]) == (code, allowed)
    assert all({"rule", "line", "column", "message", "remedy"} <= set(finding) for finding in said["findings"])
    assert bool(said["findings"]) is not allowed
    assert main(["check", "script.py"]) == code
    assert not (home / "benchtop.sqlite").exists()


def test_a_person_sees_what_was_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, text(rows()), sheet({"condition": GROUPS}))
    assert main(["inspect", "counts.csv", "--samples", "samples.csv"]) == 0
    shown = capsys.readouterr().out
    assert "counts table" in shown
    assert "~ condition" in shown


def test_a_key_is_never_kept_outside_a_keychain(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    from keyring.backends import fail

    monkeypatch.setattr("desktop.net.secrets._system_backend", fail.Keyring)
    monkeypatch.setattr("sys.stdin", io.StringIO("s3cret-key\n"))
    code, _, error = run(capsys, "settings", "key", "ncbi_api_key")
    assert (code, error["code"]) == (2, "net.no_keychain")
    assert all(b"s3cret-key" not in path.read_bytes() for path in home.rglob("*") if path.is_file())
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert run(capsys, "settings", "key", "ncbi_api_key")[2]["code"] == "cli.usage"


def test_a_mistake_of_ours_is_a_sentence_and_a_log(
    capsys: pytest.CaptureFixture[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("api_key=s3cret")

    monkeypatch.setattr("desktop.cli.machine.settings_show", broken)
    code, _, error = run(capsys, "settings", "show")
    assert (code, error["code"]) == (4, "app.bug")
    log = (home / "logs" / "benchtop.log").read_text()
    assert "RuntimeError" in log
    assert "s3cret" not in log


def test_without_a_display_the_window_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if sys.platform != "linux":
        pytest.skip("other systems always have a window server")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert main([]) == 4
    assert "no display" in capsys.readouterr().err


def test_closing_the_reader_early_is_no_error(home: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m desktop settings show | head -1",
        shell=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
        check=False,
    )
    assert done.stderr == ""
