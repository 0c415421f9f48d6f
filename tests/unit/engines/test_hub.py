"""Downloads from a server that speaks the hub's protocol: whole, resumed, cut, busy, forged, gated, redirected."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop.core.progress import listening
from desktop.engines.errors import (
    DamagedDownloadError,
    ModelExistsError,
    ModelGatedError,
    RequestRefusedError,
    ServerBusyError,
    ServerUnreachableError,
    UnknownModelError,
)
from desktop.engines.hub import Hub, download_files, list_files
from tests.stand_ins.hub import COMMIT, HubServer, Trouble
from tests.unit.engines.model_files import folder_files

REPOSITORY = "someone/a-model"
FILES = folder_files(3_000_000)
WEIGHTS = "model.safetensors"


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer() as running:
        running.repositories[REPOSITORY] = FILES
        yield running


def hub(server: HubServer, token: str | None = None) -> Hub:
    return Hub(server.base, ("hub.example.org",), token)


def fetch(server: HubServer, folder: Path, token: str | None = None, **expected: str) -> dict[str, str]:
    asked = hub(server, token)
    listing = list_files(asked, REPOSITORY, None)
    return download_files(asked, listing, folder, {WEIGHTS: expected.get("weights")})


def test_a_repository_is_listed_and_fetched_whole(server: HubServer, tmp_path: Path) -> None:
    listing = list_files(hub(server), REPOSITORY, COMMIT)
    assert (listing.revision, listing.licence) == (COMMIT, "apache-2.0")
    by_name = {file.name: file for file in listing.files}
    assert by_name[WEIGHTS].sha256 == hashlib.sha256(FILES[WEIGHTS]).hexdigest()
    assert by_name["config.json"].sha256 is None
    told: list[float] = []
    with listening(lambda frac, note: told.append(frac)):
        hashes = fetch(server, tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == FILES
    assert hashes == {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)
    assert [path.name for path in tmp_path.glob("*.part")] == []


def test_an_unfinished_file_goes_on_where_it_was(server: HubServer, tmp_path: Path) -> None:
    (tmp_path / f"{WEIGHTS}.part").write_bytes(FILES[WEIGHTS][:100_000])
    fetch(server, tmp_path)
    assert server.ranges("/lfs/") == ["bytes=100000-"]
    server.asked.clear()
    fetch(server, tmp_path)
    assert server.ranges("/lfs/") == []  # what is whole is not fetched again


def test_two_downloads_of_one_model_do_not_mix(server: HubServer, tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(ModelExistsError):
            fetch(server, tmp_path)
    fetch(server, tmp_path)


def test_a_connection_that_breaks_is_taken_up(server: HubServer, tmp_path: Path) -> None:
    server.trouble[WEIGHTS] = Trouble(cut_after=1_500_000, times=2)
    fetch(server, tmp_path)
    assert (tmp_path / WEIGHTS).read_bytes() == FILES[WEIGHTS]
    assert server.ranges("/lfs/") == ["", "bytes=1048576-", "bytes=2097152-"]


def test_a_busy_hub_is_waited_for(server: HubServer, tmp_path: Path) -> None:
    server.trouble[WEIGHTS] = Trouble(status=429, headers={"Retry-After": "1"}, times=1)
    fetch(server, tmp_path)
    assert (tmp_path / WEIGHTS).read_bytes() == FILES[WEIGHTS]
    server.trouble["api"] = Trouble(status=503)
    with pytest.raises(ServerBusyError):
        list_files(hub(server), REPOSITORY, None)


def test_a_forged_file_is_not_kept(server: HubServer, tmp_path: Path) -> None:
    server.trouble[WEIGHTS] = Trouble(other=FILES[WEIGHTS][:-1] + b"!")
    with pytest.raises(DamagedDownloadError) as raised:
        fetch(server, tmp_path)
    assert raised.value.facts["expected"] == hashlib.sha256(FILES[WEIGHTS]).hexdigest()
    assert not list(tmp_path.glob(f"{WEIGHTS}*"))


def test_a_file_that_differs_from_the_known_hash_is_not_kept(server: HubServer, tmp_path: Path) -> None:
    """The hub itself may have been changed: what was pinned counts, also for a file that is there already."""
    (tmp_path / WEIGHTS).write_bytes(FILES[WEIGHTS])
    with pytest.raises(DamagedDownloadError):
        fetch(server, tmp_path, weights="0" * 64)
    assert not (tmp_path / WEIGHTS).exists()


def test_a_gated_model_wants_a_token_and_it_goes_to_the_hub_alone(server: HubServer, tmp_path: Path) -> None:
    server.token = "hf_secret"
    for token in (None, "hf_wrong"):
        with pytest.raises(ModelGatedError) as raised:
            fetch(server, tmp_path, token)
        assert "benchtop settings key huggingface_token" in raised.value.hint
        assert "hf_" not in str(raised.value)
    fetch(server, tmp_path, "hf_secret")
    assert (tmp_path / WEIGHTS).exists()
    assert "hf_secret" not in repr(hub(server, "hf_secret"))


def test_what_the_hub_does_not_have(server: HubServer) -> None:
    with pytest.raises(UnknownModelError):
        list_files(hub(server), "someone/nothing", None)


def test_no_hub_there() -> None:
    with HubServer() as gone:
        base = gone.base
    with pytest.raises(ServerUnreachableError):
        list_files(Hub(base, ()), REPOSITORY, None)


def test_another_host_is_not_followed(server: HubServer, tmp_path: Path) -> None:
    server.trouble[WEIGHTS] = Trouble(elsewhere="https://storage.elsewhere.invalid")
    with pytest.raises(RequestRefusedError) as raised:
        fetch(server, tmp_path)
    assert "did not agree" in str(raised.value)
