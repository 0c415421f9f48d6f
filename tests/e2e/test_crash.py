"""kill -9 at random moments loses nothing that was acknowledged. `python -m benchmarks.crash` does it 200 times."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import crash


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_kill_at_random_moments(tmp_path: Path) -> None:
    tally = crash.run(tmp_path, kills=25, seed=20)
    assert tally.faults == []
    assert tally.kills == 25
    assert len(tally.rows) > 100
    assert len(tally.jobs) > 20
    assert tally.done


def test_the_judge_notices_a_lost_row_and_a_lost_job(tmp_path: Path) -> None:
    tally = crash.Tally()
    store, _, _ = crash.build(tmp_path)
    store.close()
    tally.hear("row never-written\n")
    tally.hear("job never-submitted\n")
    crash.judge(tmp_path, tally)
    assert [fault.split(": ")[1] for fault in tally.faults] == [
        "row never-written lost",
        "job never-submitted is lost and not offered again",
    ]
