"""Where results go: found out before the work, there by one rename, nothing left of what failed."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from desktop.studios.omics.errors import OutputFolderError
from desktop.studios.omics.run_folder import open_run_folder


def fill(folder_finished: Path) -> None:
    folder_finished.mkdir()
    (folder_finished / "results.csv").write_text("x")


def test_a_folder_appears_whole_and_nothing_else_stays(tmp_path: Path) -> None:
    folder = open_run_folder(tmp_path / "there" / "out", "job", tmp_path / "scratch")
    assert not (tmp_path / "there" / "out").exists()
    fill(folder.finished)
    folder.publish()
    folder.remove()
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["out"]
    assert list((tmp_path / "scratch").iterdir()) == []
    assert (tmp_path / "there/out/results.csv").read_text() == "x"


def test_an_empty_folder_may_be_given(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    folder = open_run_folder(tmp_path / "out", "job", tmp_path / "scratch")
    fill(folder.finished)
    folder.publish()
    assert (tmp_path / "out/results.csv").exists()


def test_results_are_never_put_over_others(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("keep")
    with pytest.raises(OutputFolderError, match="not empty"):
        open_run_folder(tmp_path / "out", "job", tmp_path / "scratch")
    assert (tmp_path / "out/mine.txt").read_text() == "keep"


def test_a_folder_filled_meanwhile_is_kept(tmp_path: Path) -> None:
    folder = open_run_folder(tmp_path / "out", "job", tmp_path / "scratch")
    fill(folder.finished)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("keep")
    with pytest.raises(OSError, match=r"empty|exists"):
        folder.publish()
    assert (tmp_path / "out/mine.txt").read_text() == "keep"


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputFolderError, match="is a file"):
        open_run_folder(tmp_path / "out", "job", tmp_path / "scratch")
    with pytest.raises(OutputFolderError, match="cannot be written"):
        open_run_folder(tmp_path / "out" / "below", "job", tmp_path / "scratch")


@pytest.mark.skipif(sys.platform != "linux", reason="/sys is read-only on Linux")
def test_a_read_only_place() -> None:
    with pytest.raises(OutputFolderError, match="cannot be written"):
        open_run_folder(Path("/sys/benchtop-results"), "job", Path("/tmp"))


def test_a_full_disk_is_told_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1024))
    with pytest.raises(OutputFolderError, match="MB left"):
        open_run_folder(tmp_path / "out", "job", tmp_path / "scratch")
    assert [path.name for path in tmp_path.iterdir()] == ["scratch"]
    assert list((tmp_path / "scratch").iterdir()) == []


def test_what_a_killed_program_left_beside_the_place_is_removed(tmp_path: Path) -> None:
    dead = 2**22 - 3
    stale, foreign = tmp_path / f".out.job.{dead}.partial", tmp_path / f".other.job.{dead}.partial"
    stale.mkdir()
    foreign.mkdir()
    open_run_folder(tmp_path / "out", "job2", tmp_path / "scratch").remove()
    assert not stale.exists()
    assert foreign.exists()
