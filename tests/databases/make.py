"""Makes `core-<version>.sqlite` with the present code."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from desktop.core.events import EventBus
from desktop.core.jobs import JobRecord, JobState
from desktop.store import backup, jobs
from desktop.store.db import Database


class FixedClock:
    def now_s(self) -> float:
        return 1_800_000_000.0

    def monotonic_s(self) -> float:
        return 0.0


def main(version: str) -> None:
    target = Path(__file__).with_name(f"core-{version}.sqlite")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        store = Database.open(home / "s.sqlite", {}, backups_dir=home, bus=EventBus(), clock=FixedClock())
        job = JobRecord(
            id="0123456789ab",
            kind="omics.inspect_data",
            title="kept from that version",
            studio="omics",
            project="default",
            lane="cpu",
            state=JobState.DONE,
            params={},
            created_s=1_800_000_000.0,
        )
        store.write_now(lambda db: jobs.write_new(db, job))
        made = backup.make(home / "s.sqlite", home / "b", FixedClock(), reason="daily")
        store.close()
        target.write_bytes(made.read_bytes())


if __name__ == "__main__":
    main(sys.argv[1])
