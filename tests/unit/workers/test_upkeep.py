"""What the runtime does by itself: progress and spans stored, settings read again, backups, the doctor's facts."""

from __future__ import annotations

import dataclasses
import gc
import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop.core.events import SettingsChanged
from desktop.core.jobs import JobState
from desktop.core.paths import Paths
from desktop.store import audit, backup
from desktop.store import jobs as rows
from desktop.workers.runtime import JobRuntime
from desktop.workers.workbench import settings_sections, store_checkups
from tests.unit.workers import rig as toys
from tests.unit.workers.family import offspring
from tests.unit.workers.rig import Rig, rig


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path) as built:
        yield built


def until(condition: object, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_another_process_sees_progress_through_the_store(bench: Rig) -> None:
    job_id = bench.runtime.submit("toy.slow", {})
    until(lambda: rows.read_one(bench.store, job_id).done_frac == pytest.approx(0.3))  # type: ignore[union-attr]
    stored = rows.read_one(bench.store, job_id)
    assert stored is not None
    assert (stored.step, stored.note, stored.warnings) == ("middle", "half", ("careful",))


def test_settings_are_read_again_when_the_file_changes(bench: Rig) -> None:
    assert bench.settings.get("general").theme == "system"
    bench.paths.settings.write_text("general:\n  theme: dark\n")
    until(lambda: SettingsChanged(None) in bench.events)
    assert bench.settings.get("general").theme == "dark"


def test_the_head_of_the_audit_trail_is_kept_beside_the_store(bench: Rig) -> None:
    bench.runtime.wait(bench.runtime.submit("toy.child", {}), 30)
    kept = bench.paths.home / audit.HEAD_FILE
    until(kept.exists)
    until(lambda: audit.load_head(kept) == audit.read_head(bench.store))
    facts = {one.name: one for one in store_checkups(bench.store, bench.paths)}
    assert facts["Store"].ok
    assert facts["Audit trail"].ok
    kept.write_text(json.dumps({"count": 5, "hash": "0" * 64}))
    (broken,) = [one for one in store_checkups(bench.store, bench.paths) if one.name == "Audit trail"]
    assert broken.ok is False
    assert broken.remedy


def test_a_synced_folder_is_warned_of(bench: Rig, tmp_path: Path) -> None:
    synced = Paths(tmp_path / "Dropbox (work)" / "Benchtop")
    (fact,) = [one for one in store_checkups(bench.store, synced) if one.name == "Synced folder"]
    assert fact.ok is None


def test_starting_empties_the_scratch_folder_only(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    for folder in (paths.scratch / "half", paths.runs / "whole"):
        folder.mkdir(parents=True)
        (folder / "f").write_text("x")
    with rig(tmp_path):
        assert list(paths.scratch.iterdir()) == []
        assert (paths.runs / "whole" / "f").exists()


def test_a_job_of_a_kind_that_is_gone_fails_with_a_sentence(tmp_path: Path) -> None:
    with rig(tmp_path, start=False) as bench:
        job_id = bench.runtime.submit("toy.quick", {})
        job = bench.runtime.job(job_id)
        assert job is not None
        strange = dataclasses.replace(job, kind="old.kind", lane="submarine")
        bench.store.write_now(lambda db: rows.write_record(db, strange))
    with rig(tmp_path) as bench:
        ended = bench.runtime.wait(job_id, 20)
        assert ended.state is JobState.FAILED
        assert ended.error is not None
        assert ended.error.code == "jobs.unknown"


def test_a_lane_that_does_not_exist_is_a_mistake(bench: Rig) -> None:
    studio, job = toys.JOBS["toy.quick"]
    with pytest.raises(ValueError, match="lane"):
        JobRuntime(
            bench.store,
            {"toy.quick": (studio, dataclasses.replace(job, lane="fast"))},
            sandbox=None,  # type: ignore[arg-type]
            net=None,  # type: ignore[arg-type]
            models=None,  # type: ignore[arg-type]
            settings=bench.settings,
            bus=bench.bus,
            paths=bench.paths,
        )


def test_stopping_does_not_wait_for_ever_and_the_job_is_offered_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="desktop.workers"), rig(tmp_path) as bench:
        job_id = bench.runtime.submit("toy.stubborn", {"seconds": 5})
        until(lambda: bench.runtime.log_lines(job_id) or bench.runtime.job(job_id).state is JobState.RUNNING)  # type: ignore[union-attr]
    with rig(tmp_path) as later:
        assert [job.id for job in later.runtime.interrupted()] == [job_id]


def test_a_job_whose_end_cannot_be_stored_says_so_and_is_offered_again(tmp_path: Path) -> None:
    with rig(tmp_path) as bench:
        job_id = bench.runtime.submit("toy.big_result", {})
        until(lambda: bench.runtime.job(job_id).state is JobState.RUNNING)  # type: ignore[union-attr]
        (pages,) = bench.store.read("PRAGMA page_count")[0].values()
        bench.store.write_now(lambda db: db.conn.execute(f"PRAGMA max_page_count={pages + 20}").fetchall())
        (tmp_path / "go").touch()
        until(lambda: any(getattr(getattr(one, "job", None), "error", None) for one in bench.events))
        assert bench.runtime.wait(job_id, 10).state is JobState.FAILED
        assert [job.state for job in bench.runtime.jobs()] == [JobState.FAILED]
        (told,) = [one.job for one in bench.events if getattr(getattr(one, "job", None), "error", None)]  # type: ignore[union-attr]
        assert told.error.code == "store.disk_full"  # type: ignore[union-attr]
        assert told.result is None
    with rig(tmp_path) as later:
        assert [job.id for job in later.runtime.interrupted()] == [job_id]
        assert later.store.checkup() == []


def test_nothing_is_left_when_it_is_closed(tmp_path: Path) -> None:
    def life(n: int) -> None:
        with rig(tmp_path / str(n)) as bench:
            ended = bench.runtime.wait(bench.runtime.submit("toy.child", {}), 30)
            cut_off = bench.runtime.submit("toy.sleeping_child", {"name": str(tmp_path / "x"), "seconds": 60})
            until(lambda: bench.runtime.job(cut_off).state is JobState.RUNNING)  # type: ignore[union-attr]
            assert ended.state is JobState.DONE

    life(0)
    gc.collect()  # what earlier tests left is not ours to count
    threads, n_files = set(threading.enumerate()), len(list(Path("/dev/fd").iterdir()))
    life(1)
    life(2)
    assert set(threading.enumerate()) <= threads
    assert len(list(Path("/dev/fd").iterdir())) <= n_files
    until(lambda: not offspring())


def test_sections_of_the_settings_file_all_resolve() -> None:
    from desktop.core.jobs import resolve
    from desktop.studios import studios

    sections = settings_sections(studios())
    assert {"general", "net", "sandbox", "omics"} <= set(sections)
    for reference in sections.values():
        assert resolve(reference)().model_dump() is not None


def test_a_daily_backup_is_made_while_jobs_run(bench: Rig) -> None:
    job_id = bench.runtime.submit("toy.forever", {})
    made = bench.store.backup_if_due()
    assert made is not None
    assert backup.check(made) == []
    assert bench.store.backup_if_due() is None
    bench.runtime.cancel(job_id)
    assert bench.runtime.wait(job_id, 10).state is JobState.CANCELLED
