"""A disk that is full, for real: a small memory disk that has no room at the start, or loses it while a run goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from desktop.app import build
from desktop.core.jobs import JobRecord, JobState
from desktop.core.paths import Paths
from desktop.studios.omics import queries
from desktop.workers.workbench import Workbench

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0, reason="mounting a small disk needs root on Linux"
)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts an empty disk of so many megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(megabytes: int) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(disk)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("this machine lets nobody mount a disk")
        return disk

    yield mount
    subprocess.run(["umount", str(disk)], capture_output=True)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    workbench = build(Paths(tmp_path / "home"))
    yield workbench
    workbench.close()


def start(bench: Workbench, out_dir: Path) -> str:
    sample = queries.sample_dataset()
    given = {"data": str(sample.data), "samples": str(sample.samples), "question": "trt against untrt"}
    return bench.runtime.submit("omics.run_analysis", {**given, "isolation": "process", "out_dir": str(out_dir)})


def fill(disk: Path) -> None:
    with (disk / "other").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1024 * 1024) if os.statvfs(disk).f_bavail > 256 else bytes(4096))


def said_full(bench: Workbench, job: JobRecord, disk: Path, left: set[str]) -> None:
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error.code == "omics.output_folder"
    assert "Traceback" not in job.error.message
    assert "another disk" in job.error.hint
    assert {path.name for path in disk.iterdir()} == left
    assert queries.list_runs(bench.store) == []


def test_a_disk_with_no_room_is_said_before_any_work(bench: Workbench, small_disk: Callable[[int], Path]) -> None:
    disk = small_disk(20)
    job = bench.runtime.wait(start(bench, disk / "out"), 60)
    said_full(bench, job, disk, set())
    assert job.error is not None
    assert "MB left" in job.error.message


@pytest.mark.parametrize("step", ["Read the data", "Run"])
def test_a_disk_that_fills_up_during_the_run_leaves_nothing(
    step: str, bench: Workbench, small_disk: Callable[[int], Path]
) -> None:
    disk = small_disk(260)
    job_id = start(bench, disk / "out")
    deadline = time.monotonic() + 60
    while (job := bench.runtime.job(job_id)) is not None and job.step != step and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(OSError, match="No space"):
        fill(disk)
    said_full(bench, bench.runtime.wait(job_id, 120), disk, {"other"})
