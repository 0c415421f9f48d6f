"""The net against a real server on loopback."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from desktop.core.errors import AppError, OfflineError
from desktop.net.errors import (
    ConnectionLostError,
    ConsentNeededError,
    DamagedFileError,
    HtmlInsteadOfDataError,
    InsecureUrlError,
    NetTimeoutError,
    NotFoundError,
    RefusedError,
    ServerBusyError,
    TooLargeError,
    UnreachableError,
)
from desktop.net.http import Departure, HttpNet
from tests.stand_ins.geo import Fault, GeoServer

MakeNet = Callable[..., HttpNet]
DATA = os.urandom(300_000)
PATH = "/geo/data.tar"


@pytest.fixture(autouse=True)
def _data(server: GeoServer) -> None:
    server.files[PATH] = DATA
    server.files["/geo/table.txt.gz"] = gzip.compress(b"gene\tcount\n" * 5000)


def files_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


async def test_a_fetched_file_is_answered_from_the_cache_afterwards(server: GeoServer, make_net: MakeNet) -> None:
    first = await make_net().fetch(server.base + PATH, destination="ncbi")
    again = await make_net(mode="never").fetch(server.base + PATH, destination="ncbi")
    assert first.path.read_bytes() == DATA
    assert (first.from_cache, again.from_cache) == (False, True)
    assert again.sha256 == first.sha256
    assert server.times_asked(PATH) == 1
    assert not os.access(first.path, os.W_OK) or os.geteuid() == 0


async def test_nothing_is_sent_without_consent(
    server: GeoServer, make_net: MakeNet, departures: list[Departure]
) -> None:
    for changes, allow in [({"mode": "ask"}, False), ({"mode": "never"}, True), ({"mode": "never"}, False)]:
        with pytest.raises(ConsentNeededError) as caught:
            await make_net(**changes).fetch(server.base + PATH, destination="ncbi", allow=allow)
        assert caught.value.hint
    assert server.asked == []
    assert departures == []


@pytest.mark.parametrize(
    ("changes", "allow"),
    [
        pytest.param({"mode": "ask"}, True, id="for one job"),
        pytest.param({"mode": "ask", "allowed": ("ncbi",)}, False, id="for the destination"),
        pytest.param({"mode": "allow"}, False, id="for all"),
    ],
)
async def test_consent_is_enough(
    server: GeoServer, make_net: MakeNet, departures: list[Departure], changes: dict[str, object], allow: bool
) -> None:
    await make_net(**changes).fetch(server.base + PATH, destination="ncbi", allow=allow)
    (departure,) = departures
    assert departure.destination == "ncbi"
    assert departure.url == server.base + PATH
    assert departure.bytes > 50


@pytest.mark.parametrize(
    "url",
    [
        "http://ftp.ncbi.nlm.nih.gov/geo/x",
        "https://example.org/x",
        "https://ncbi.nlm.nih.gov.example.org/x",
        "file:///etc/passwd",
        "https://me:secret@www.ncbi.nlm.nih.gov/x",
        "http://127.0.0.1:1/x",
    ],
)
async def test_addresses_outside_the_destination_are_refused(make_net: MakeNet, url: str) -> None:
    with pytest.raises(InsecureUrlError):
        await make_net().fetch(url, destination="ncbi")


async def test_a_redirect_may_not_leave_the_destination(server: GeoServer, make_net: MakeNet) -> None:
    with GeoServer() as elsewhere:
        elsewhere.files["/x"] = b"x"
        server.fault("/geo/moved", Fault(status=302, headers={"Location": f"{elsewhere.base}/x"}))
        with pytest.raises(InsecureUrlError):
            await make_net().fetch(f"{server.base}/geo/moved", destination="ncbi")
        assert elsewhere.asked == []
    server.heal()
    server.fault("/geo/moved", Fault(status=302, headers={"Location": PATH}))
    moved = await make_net().fetch(f"{server.base}/geo/moved", destination="ncbi")
    assert moved.path.read_bytes() == DATA


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(status=429, headers={"Retry-After": "0"}, times=2), id="429 with Retry-After"),
        pytest.param(Fault(status=503, times=2), id="503"),
        pytest.param(
            Fault(status=503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, times=1),
            id="503 with a date that is past",
        ),
        pytest.param(Fault(status=502, times=1), id="502"),
        pytest.param(Fault(cut_after=100_000, times=2), id="truncated"),
        pytest.param(Fault(cut_after=70_000, reset=True, times=1), id="reset"),
        pytest.param(Fault(silent_s=3, times=1), id="silent"),
    ],
)
async def test_a_passing_fault_is_overcome(server: GeoServer, make_net: MakeNet, fault: Fault) -> None:
    server.fault(PATH, fault)
    fetched = await make_net(idle_timeout_s=1).fetch(server.base + PATH, destination="ncbi")
    assert fetched.path.read_bytes() == DATA


@pytest.mark.parametrize(
    ("fault", "error", "asked"),
    [
        pytest.param(Fault(status=503), ServerBusyError, 2, id="503"),
        pytest.param(Fault(status=429, headers={"Retry-After": "0"}), ServerBusyError, 2, id="429"),
        pytest.param(Fault(status=429, headers={"Retry-After": "86400"}), ServerBusyError, 1, id="429 for a day"),
        pytest.param(Fault(status=403), RefusedError, 1, id="403"),
        pytest.param(Fault(status=410), NotFoundError, 1, id="410"),
        pytest.param(Fault(html=True), HtmlInsteadOfDataError, 1, id="HTML"),
        pytest.param(Fault(silent_s=3), NetTimeoutError, 2, id="silent"),
        pytest.param(Fault(chunk=100, pause_s=0.3), NetTimeoutError, 2, id="trickle"),
        pytest.param(Fault(cut_after=0), ConnectionLostError, 2, id="empty body"),
    ],
)
async def test_a_lasting_fault_is_a_typed_error(
    server: GeoServer, make_net: MakeNet, fault: Fault, error: type[AppError], asked: int
) -> None:
    server.fault(PATH, fault)
    net = make_net(attempts=2, idle_timeout_s=0.6)
    with pytest.raises(error) as caught:
        await net.fetch(server.base + PATH, destination="ncbi")
    assert caught.value.hint
    assert server.times_asked(PATH) == asked
    assert not list((net.cache.folder / "content").rglob("*"))


async def test_a_broken_download_continues_where_it_stopped_even_after_a_restart(
    server: GeoServer, make_net: MakeNet
) -> None:
    server.fault(PATH, Fault(cut_after=200_000, times=1))
    with pytest.raises(ConnectionLostError):
        await make_net(attempts=1).fetch(server.base + PATH, destination="ncbi")
    fetched = await make_net(attempts=1).fetch(server.base + PATH, destination="ncbi")
    assert fetched.path.read_bytes() == DATA
    assert server.asked[-1].headers["Range"] == "bytes=200000-"
    assert server.asked[-1].headers["If-Range"]


@pytest.mark.parametrize("change", ["content", "no ranges", "no validators"])
async def test_a_download_that_cannot_be_continued_begins_again(
    server: GeoServer, make_net: MakeNet, change: str
) -> None:
    server.validators = change != "no validators"
    server.fault(PATH, Fault(cut_after=200_000, times=1))
    with pytest.raises(ConnectionLostError):
        await make_net(attempts=1).fetch(server.base + PATH, destination="ncbi")
    if change == "content":
        server.files[PATH] = DATA[::-1]
    server.ranges = change != "no ranges"
    fetched = await make_net(attempts=1).fetch(server.base + PATH, destination="ncbi")
    assert fetched.path.read_bytes() == server.files[PATH]


async def test_a_gzip_file_that_ends_too_early_is_not_kept(server: GeoServer, make_net: MakeNet) -> None:
    server.fault("*table*", Fault(damaged=True, times=1))
    net, url = make_net(), f"{server.base}/geo/table.txt.gz"
    with pytest.raises(DamagedFileError):
        await net.fetch(url, destination="ncbi")
    assert [name for part in ("content", "index", "partial") for name in files_in(net.cache.folder / part)] == []
    assert gzip.decompress((await net.fetch(url, destination="ncbi")).path.read_bytes()).startswith(b"gene")


async def test_a_file_above_the_cap_is_refused_before_and_during_the_download(
    server: GeoServer, make_net: MakeNet
) -> None:
    net = make_net()
    with pytest.raises(TooLargeError):
        await net.fetch(server.base + PATH, destination="ncbi", max_bytes=1000)
    assert files_in(net.cache.folder / "content") == []


async def test_refresh_asks_whether_the_copy_is_still_good(server: GeoServer, make_net: MakeNet) -> None:
    net, url = make_net(), server.base + PATH
    await net.fetch(url, destination="ncbi")
    same = await net.fetch(url, destination="ncbi", refresh=True)
    assert same.from_cache
    server.files[PATH] = b"newer"
    assert (await net.fetch(url, destination="ncbi", refresh=True)).path.read_bytes() == b"newer"
    assert server.times_asked(PATH) == 3


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(cut_after=10)], ids=["503", "truncated"])
async def test_the_cache_answers_when_the_server_cannot(server: GeoServer, make_net: MakeNet, fault: Fault) -> None:
    net, url = make_net(attempts=1), server.base + PATH
    await net.fetch(url, destination="ncbi")
    server.files[PATH] = b"something newer that never arrives whole"
    server.fault(PATH, fault)
    fetched = await net.fetch(url, destination="ncbi", refresh=True)
    assert fetched.from_cache
    assert fetched.path.read_bytes() == DATA


async def test_no_server_is_offline_at_once(make_net: MakeNet) -> None:
    with GeoServer() as gone:
        base = gone.base
    with pytest.raises(UnreachableError) as caught:
        await make_net(geo_url=f"{base}/geo").fetch(f"{base}/geo/x.gz", destination="ncbi")
    assert isinstance(caught.value, OfflineError)


async def test_a_damaged_cache_is_a_miss(server: GeoServer, make_net: MakeNet) -> None:
    net = make_net()
    fetched = await net.fetch(server.base + PATH, destination="ncbi")
    fetched.path.chmod(0o644)
    fetched.path.write_bytes(b"x" + DATA[1:])
    assert (await net.fetch(server.base + PATH, destination="ncbi")).path.read_bytes() == DATA


async def test_a_missing_file_is_remembered(server: GeoServer, make_net: MakeNet) -> None:
    url = f"{server.base}/geo/none.gz"
    for net in (make_net(), make_net(mode="never")):
        with pytest.raises(NotFoundError):
            await net.fetch(url, destination="ncbi")
    assert len(server.asked) == 1


async def test_the_same_file_is_downloaded_once_for_all_who_ask(server: GeoServer, make_net: MakeNet) -> None:
    server.fault(PATH, Fault(pause_s=0.02))
    nets = [make_net(), make_net()]
    answers = await asyncio.gather(*(nets[i % 2].fetch(server.base + PATH, destination="ncbi") for i in range(6)))
    assert {a.sha256 for a in answers} == {answers[0].sha256}
    assert server.times_asked(PATH) == 1


async def test_cancelling_leaves_no_half_file_in_the_content(server: GeoServer, make_net: MakeNet) -> None:
    server.fault(PATH, Fault(chunk=1000, pause_s=0.05))
    net = make_net()
    begun = asyncio.Event()
    task = asyncio.create_task(
        net.fetch(server.base + PATH, destination="ncbi", on_progress=lambda received, total: begun.set())
    )
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files_in(net.cache.folder / "content") == []
    server.heal()
    assert (await make_net().fetch(server.base + PATH, destination="ncbi")).path.read_bytes() == DATA


async def test_a_cache_that_cannot_be_written_is_a_typed_error(server: GeoServer, make_net: MakeNet) -> None:
    net = make_net()
    net.cache.folder.parent.mkdir(exist_ok=True)
    net.cache.folder.write_text("a file where the folder should be")
    with pytest.raises(AppError) as caught:
        await net.fetch(server.base + PATH, destination="ncbi")
    assert caught.value.code == "net.disk_full"
    assert server.asked == []


PROMPT = {"method": "POST", "url": "https://models.example.org/v1/chat/completions", "size_bytes": 321}


async def test_a_prompt_leaves_only_with_consent_and_a_row(make_net: MakeNet, departures: list[Departure]) -> None:
    for changes in ({"mode": "ask", "allowed": ("ncbi",)}, {"mode": "never", "allowed": ("gpu-box",)}):
        with pytest.raises(ConsentNeededError, match="gpu-box"):
            await make_net(**changes).depart("gpu-box", **PROMPT)
    assert departures == []
    await make_net(mode="ask", allowed=("gpu-box",)).depart("gpu-box", **PROMPT)
    (departure,) = departures
    assert (departure.destination, departure.method, departure.bytes) == ("gpu-box", "POST", 321)


@pytest.mark.parametrize("url", ["http://models.example.org/v1", "https://me:pw@models.example.org/v1", "ftp://x/v1"])
async def test_a_prompt_never_leaves_in_the_clear(make_net: MakeNet, departures: list[Departure], url: str) -> None:
    with pytest.raises(InsecureUrlError):
        await make_net().depart("gpu-box", method="POST", url=url, size_bytes=1)
    assert departures == []
