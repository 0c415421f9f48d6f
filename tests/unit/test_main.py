"""The packaged application as the Python of its own scripts, and its test of itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

PACKAGED = "import sys; sys.frozen = True; from desktop.__main__ import main; sys.exit(main())"


def packaged(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What a packaged Benchtop does with these arguments; its executable stands in the place of `-c CODE`."""
    command = [sys.executable, "-c", PACKAGED, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_a_script_runs_with_its_arguments_and_exit_code(tmp_path: Path) -> None:
    script = tmp_path / "analysis.py"
    script.write_text("import sys, json; print(json.dumps([__name__, __file__, sys.argv])); sys.exit(7)")
    done = packaged("-I", "-B", "-u", str(script), "one", "two")
    assert done.returncode == 7
    assert json.loads(done.stdout) == ["__main__", str(script), [str(script), "one", "two"]]


def test_code_runs_and_nothing_is_an_error() -> None:
    assert packaged("-I", "-c", "print(6 * 7)").stdout == "42\n"
    assert packaged("-I", "-S").returncode == 2


def test_a_copy_tests_itself(tmp_path: Path) -> None:
    environment = {**os.environ, "BENCHTOP_HOME": str(tmp_path / "never made")}
    command = [sys.executable, "-m", "desktop", "--self-test"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "self-test: window opened, scripts have their libraries\n")
    assert not (tmp_path / "never made").exists()
