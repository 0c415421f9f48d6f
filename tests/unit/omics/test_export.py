"""An exported run: the same bytes each time, no path of this machine, and the script gives the same results by hand."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from desktop.core.errors import AppError
from desktop.studios.omics.errors import DamagedRunError, OutputFolderError
from desktop.studios.omics.export import ExportParams, export_into
from tests.stand_ins.finished_run import drug_plan, finished_run, some_counts, two_groups


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose manifest and report name paths of this machine."""
    folder = finished_run(
        tmp_path_factory.mktemp("home of a person") / "run",
        some_counts(),
        two_groups(),
        drug_plan(question=f"Does the drug in {Path.home()}/Desktop/counts.csv matter?"),
        cautions=["Read from /private/var/tmp/x/counts.csv, on 2024/10/04."],
    )
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["isolation"]["detail"] = f"Docker 28 at unix:///root/.x/docker.sock, run in {folder}/inputs"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def export(run: Path, into: Path, **how: object) -> Path:
    params = ExportParams.model_validate({"run": str(run), "into": into, **how})
    return export_into(run, params, into / ".draft", [str(run), str(Path.home())]).path


def test_the_script_gives_the_same_results_by_hand(run: Path, tmp_path: Path) -> None:
    made = export(run, tmp_path)
    before = (made / "results.csv").read_bytes()
    subprocess.run([sys.executable, "-I", "analysis.py"], cwd=made, check=True, capture_output=True)
    assert (made / "results.csv").read_bytes() == before == (run / "results.csv").read_bytes()
    assert any(line.startswith("numpy==") for line in (made / "requirements.txt").read_text().splitlines())


def test_no_path_of_this_machine_is_in_it(run: Path, tmp_path: Path) -> None:
    made = export(run, tmp_path)
    for path in made.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            for secret in (
                str(run).encode(),
                f"{Path.home()}/Desktop".encode(),
                b"/private/var",
                b"docker.sock",
                b"home of a person",
            ):
                assert secret not in data, path.name
    manifest = json.loads((made / "manifest.json").read_text())
    assert "…/counts.csv" in manifest["warnings"][0]
    assert "2024/10/04" in manifest["warnings"][0]
    assert "data:image" in (made / "report.html").read_text()
    for name, told in manifest["files"].items():
        assert hashlib.sha256((made / name).read_bytes()).hexdigest() == told["sha256"], name
    assert {"README.txt", "requirements.txt", "analysis.py"} <= manifest["files"].keys()


def test_pictures_in_the_report_stay_as_they_are(run: Path, tmp_path: Path) -> None:
    import re

    pictures = re.compile(r"base64,([A-Za-z0-9+/=]+)")
    made = export(run, tmp_path)
    assert pictures.findall((made / "report.html").read_text()) == pictures.findall((run / "report.html").read_text())


def test_a_zip_has_the_same_bytes_each_time(run: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, two = (export(run, tmp_path / side, as_zip=True) for side in ("a", "b"))
    assert one.name == two.name
    assert one.suffix == ".zip"
    assert one.read_bytes() == two.read_bytes()
    with zipfile.ZipFile(one) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names == sorted(names)
        assert {name.split("/")[0] for name in names} == {one.stem}
        archive.extractall(tmp_path / "out")
    folder = tmp_path / "out" / one.stem
    subprocess.run([sys.executable, "-I", "analysis.py"], cwd=folder, check=True, capture_output=True)
    assert (folder / "results.csv").read_bytes() == (run / "results.csv").read_bytes()


def test_nothing_is_written_over(run: Path, tmp_path: Path) -> None:
    first, second = export(run, tmp_path), None
    for path in tmp_path.glob(".draft"):
        path.rmdir()
    second = export(run, tmp_path)
    assert second.name == f"{first.name}-2"
    for path in tmp_path.glob(".draft"):
        path.rmdir()
    with pytest.raises(OutputFolderError, match="there already"):
        export(run, tmp_path, name=first.name)


def test_a_changed_file_is_said(run: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    (copy / "samples.csv").write_text("edited")
    params = ExportParams(run=str(copy), into=tmp_path)
    assert export_into(copy, params, tmp_path / ".draft", []).changed == ["samples.csv"]


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DamagedRunError):
        export(tmp_path / "empty", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "a\\b"])
def test_a_name_cannot_lead_elsewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises((AppError, ValueError)):
        ExportParams(run="x", into=tmp_path, name=name)
