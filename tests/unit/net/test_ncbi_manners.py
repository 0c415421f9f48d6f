"""What NCBI asks of programs: who is calling, how often, and the user's key kept secret."""

from __future__ import annotations

import asyncio
import fcntl
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.net.errors import ServerBusyError
from desktop.net.http import Departure, HttpNet
from desktop.net.limiter import Limiter
from tests.stand_ins.geo import Fault, GeoServer
from tests.unit.net.conftest import MemoryKeyring

MakeNet = Callable[..., HttpNet]


class HandClock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def now_s(self) -> float:
        return self.time_s

    def monotonic_s(self) -> float:
        return self.time_s


@given(
    per_s=st.sampled_from([3.0, 10.0]),
    waits=st.lists(st.one_of(st.just(0.0), st.floats(0, 2), st.floats(0, 0.2)), min_size=1, max_size=80),
)
def test_no_second_holds_more_starts_than_allowed(per_s: float, waits: list[float]) -> None:
    clock = HandClock()
    limiter = Limiter(lambda: per_s, clock)
    starts = []
    for wait in waits:
        clock.time_s += wait
        starts.append(clock.time_s + limiter.reserve())
    assert starts == sorted(starts)
    for begin in starts:
        assert sum(begin <= start <= begin + 1.0 for start in starts) <= per_s


def test_processes_share_one_limit(tmp_path: Path) -> None:
    clock, line = HandClock(), tmp_path / "limits" / "ncbi"
    window, command = Limiter(lambda: 3, clock, line), Limiter(lambda: 3, clock, line)
    waits = [one.reserve() for one in (window, command, command, window, window)]
    assert waits == pytest.approx([0, 0.34, 0.68, 1.02, 1.36], abs=1e-5)
    window.hold(5)
    assert command.reserve() == pytest.approx(5, abs=1e-5)


@pytest.mark.parametrize("content", ["", "x", "nan", "1e300", "inf", "123456789"])
def test_a_line_that_says_nonsense_holds_nobody_up(tmp_path: Path, content: str) -> None:
    (tmp_path / "ncbi").write_text(content)
    limiter = Limiter(lambda: 3, HandClock(), tmp_path / "ncbi")
    assert limiter.reserve() == 0
    assert limiter.reserve() == pytest.approx(0.34, abs=1e-5)


def test_where_the_line_cannot_be_kept_a_process_keeps_the_limit_itself(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    limiter = Limiter(lambda: 3, HandClock(), tmp_path / "file" / "ncbi")
    assert [limiter.reserve() for _ in range(2)] == pytest.approx([0, 0.34])


def test_a_process_that_holds_the_line_for_long_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "ncbi"
    with path.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert Limiter(lambda: 3, HandClock(), path).reserve() == 0


def test_a_pause_the_server_asked_for_holds_everybody() -> None:
    clock = HandClock()
    limiter = Limiter(lambda: 3, clock)
    limiter.reserve()
    limiter.hold(5)
    assert limiter.reserve() == pytest.approx(5)


async def test_all_tasks_share_one_limit(server: GeoServer, make_net: MakeNet) -> None:
    net = make_net()
    for number in range(6):
        server.files[f"/geo/{number}"] = b"x"
    urls = [f"{server.base}/geo/{n}" for n in range(4)] + [f"{server.base}/eutils/esearch.fcgi?n={n}" for n in range(2)]
    await asyncio.gather(*(net.fetch(url, destination="ncbi") for url in urls))
    at = sorted(a.at_s for a in server.asked)
    assert min(b - a for a, b in zip(at, at[3:], strict=False)) > 0.95


async def test_every_task_waits_when_one_was_asked_to(server: GeoServer, make_net: MakeNet) -> None:
    net = make_net(attempts=1)
    server.files["/geo/a"] = server.files["/geo/b"] = b"x"
    server.fault("/geo/a", Fault(status=429, headers={"Retry-After": "2"}, times=1))
    with pytest.raises(ServerBusyError):
        await net.fetch(f"{server.base}/geo/a", destination="ncbi")
    await net.fetch(f"{server.base}/geo/b", destination="ncbi")
    refused, after = server.asked
    assert after.at_s - refused.at_s > 1.95


async def test_the_key_is_sent_to_eutils_only_and_kept_nowhere(
    server: GeoServer, make_net: MakeNet, keychain: MemoryKeyring, departures: list[Departure]
) -> None:
    keychain.values["Benchtop", "ncbi_api_key"] = "k3y-value"
    server.files["/geo/a"] = b"x"
    net = make_net(email="me@example.org")
    await net.fetch(f"{server.base}/eutils/esearch.fcgi?db=gds&term=x", destination="ncbi")
    await net.fetch(f"{server.base}/geo/a", destination="ncbi")
    searched, file = server.asked
    assert "api_key=k3y-value" in searched.query
    assert "tool=benchtop" in searched.query
    assert "email=me%40example.org" in searched.query
    assert file.query == ""
    assert file.headers["User-Agent"].startswith("Benchtop/")
    kept = [p.read_text() for p in (net.cache.folder / "index").glob("*.json")]
    assert len(kept) == 2
    assert "k3y" not in json.dumps(kept) + str(departures)


def test_a_limit_that_is_raised_counts_from_the_next_start_on() -> None:
    clock, limit = HandClock(), [3.0]
    limiter = Limiter(lambda: limit[0], clock)
    limiter.reserve()
    limit[0] = 10.0
    gaps = [limiter.reserve() for _ in range(3)]
    assert gaps[2] - gaps[1] == pytest.approx(0.102)
