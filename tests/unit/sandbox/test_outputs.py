"""The collector takes regular files only, under safe names, within caps, and never looks outside its source."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import tarfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.core.ports import Limits
from desktop.sandbox.outputs import Collected, OutputExistsError, collect_folder, collect_tar, safe_name

LIMITS = Limits(output_bytes=1 << 20, output_entries=50)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def names(collected: Collected) -> list[str]:
    return [f.name for f in collected.outputs]


def test_regular_files_come_out_with_size_and_hash(source: Path, tmp_path: Path) -> None:
    (source / "figures").mkdir()
    (source / "figures" / "a.svg").write_bytes(b"<svg/>")
    (source / "results.csv").write_bytes(b"gene\n")
    collected = collect_folder(source, tmp_path / "out", LIMITS)
    assert names(collected) == ["figures/a.svg", "results.csv"]
    assert collected.outputs[1].bytes == 5
    assert collected.outputs[1].sha256 == hashlib.sha256(b"gene\n").hexdigest()
    assert (tmp_path / "out" / "figures" / "a.svg").read_bytes() == b"<svg/>"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "source"]


def test_links_pipes_sockets_and_second_names_stay_behind(source: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    (source / "link").symlink_to(secret)
    (source / "folder").symlink_to(tmp_path)
    (source / "up").symlink_to("../secret.txt")
    os.link(secret, source / "hard")
    os.mkfifo(source / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(source / "sock"))
        collected = collect_folder(source, tmp_path / "out", LIMITS)
    assert names(collected) == []
    assert dict(collected.dropped) == {
        "link": "is a link, not a file",
        "folder": "is a link, not a file",
        "up": "is a link, not a file",
        "hard": "has other links",
        "pipe": "is a pipe, not a file",
        "sock": "is a socket, not a file",
    }


def test_caps_on_bytes_entries_and_depth(source: Path, tmp_path: Path) -> None:
    (source / "big.bin").write_bytes(bytes(2 << 20))
    (source / "small.txt").write_text("x")
    deep = source.joinpath(*"abcdefghij")
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    collected = collect_folder(source, tmp_path / "out", LIMITS)
    assert names(collected) == ["small.txt"]
    assert {reason for _, reason in collected.dropped} == {
        "outputs together are larger than allowed",
        "more than 8 folders deep",
    }
    many = tmp_path / "many"
    many.mkdir()
    for number in range(80):
        (many / f"{number:03}").touch()
    collected = collect_folder(many, tmp_path / "out2", LIMITS)
    assert len(collected.outputs) <= 50
    assert collected.dropped


def test_a_file_of_holes_is_not_expanded(source: Path, tmp_path: Path) -> None:
    with (source / "hole").open("wb") as file:
        file.truncate(50 << 20)
    collected = collect_folder(source, tmp_path / "out", Limits(output_bytes=100 << 20))
    assert dict(collected.dropped) == {"hole": "is mostly holes"}


def test_names_that_become_equal_are_not_overwritten(source: Path, tmp_path: Path) -> None:
    (source / "a:b").write_text("1")
    (source / "a?b").write_text("2")
    collected = collect_folder(source, tmp_path / "out", LIMITS)
    assert names(collected) == ["a_b"]
    assert [reason for _, reason in collected.dropped] == ["another output has the same name"]


def test_an_existing_folder_is_refused_and_nothing_is_left(source: Path, tmp_path: Path) -> None:
    (source / "a").write_text("x")
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").touch()
    with pytest.raises(OutputExistsError):
        collect_folder(source, out, LIMITS)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "source"]


def test_swapping_files_for_links_never_gives_what_is_outside(source: Path, tmp_path: Path) -> None:
    """One thread swaps names and folders for links to a secret while the collector runs, again and again."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.csv").write_text("SECRET")
    (source / "d").mkdir()
    (source / "d" / "a.csv").write_text("fine")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for name, target in (("f", outside / "a.csv"), ("d2", outside)):
                place = source / name
                try:
                    place.unlink(missing_ok=True)
                    if name == "f":
                        place.write_text("fine")
                        place.unlink()
                    place.symlink_to(target)
                except OSError:
                    continue
            try:
                (source / "d").rename(source / "d.real")
                (source / "d").symlink_to(outside)
                (source / "d").unlink()
                (source / "d.real").rename(source / "d")
            except OSError:
                continue

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for number in range(100):
            out = tmp_path / f"out-{number}"
            collect_folder(source, out, LIMITS)
            assert all("SECRET" not in p.read_text() for p in out.rglob("*") if p.is_file())
    finally:
        stop.set()
        thread.join()
    assert (outside / "a.csv").read_text() == "SECRET"
    assert [p.name for p in outside.iterdir()] == ["a.csv"]


# ---- archives --------------------------------------------------------------------------------------------------------


def archive(*entries: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for info, data in entries:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    buffer.seek(0)
    return buffer


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def test_an_archive_gives_its_regular_files_only(tmp_path: Path) -> None:
    stream = archive(
        (entry("output", tarfile.DIRTYPE), b""),
        (entry("output/a.txt"), b"a"),
        (entry("output/link", tarfile.SYMTYPE, "/etc/passwd"), b""),
        (entry("output/hard", tarfile.LNKTYPE, "output/a.txt"), b""),
        (entry("output/pipe", tarfile.FIFOTYPE), b""),
        (entry("output/dev", tarfile.CHRTYPE), b""),
        (entry("output/../../up.txt"), b"up"),
        (entry("output//etc/x"), b"x"),
        (entry("output/sub/b.txt"), b"b"),
    )
    collected = collect_tar(stream, tmp_path / "in" / "out", LIMITS)
    assert names(collected) == ["a.txt", "etc/x", "sub/b.txt"]
    assert {n for n, _ in collected.dropped} == {"link", "hard", "pipe", "dev", "../../up.txt"}
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.txt", "b.txt", "etc", "in", "out", "sub", "x"]


@pytest.mark.parametrize("damage", [
    pytest.param(lambda raw: raw[:700], id="cut"),
    pytest.param(lambda raw: b"", id="empty"),
    pytest.param(lambda raw: b"\xff" * 2048, id="noise"),
    pytest.param(lambda raw: raw[:512] + b"\0" * 100 + raw[512:], id="shifted"),
])  # fmt: skip
def test_a_broken_archive_gives_what_can_be_read_and_no_exception(damage: object, tmp_path: Path) -> None:
    raw = archive((entry("output/a.txt"), b"a" * 600), (entry("output/b.txt"), b"b")).getvalue()
    collected = collect_tar(io.BytesIO(damage(raw)), tmp_path / "out", LIMITS)  # type: ignore[operator]
    assert all(f.bytes in (600, 1) for f in collected.outputs)


def test_an_archive_larger_than_allowed_is_cut(tmp_path: Path) -> None:
    stream = archive(*((entry(f"output/{i}"), bytes(300 << 10)) for i in range(10)))
    collected = collect_tar(stream, tmp_path / "out", LIMITS)
    assert sum(f.bytes for f in collected.outputs) <= 1 << 20
    assert len(collected.outputs) == 3


# ---- names -----------------------------------------------------------------------------------------------------------


@given(st.text(min_size=1, max_size=300))
def test_any_name_becomes_safe_and_stays_so(name: str) -> None:
    safe = safe_name(name)
    assert 0 < len(safe.encode()) <= 120
    assert not set(safe) & set('/\\:*?"<>|\0\n\t')
    assert safe[0] not in ".-"
    assert safe not in (".", "..")
    assert safe_name(safe) == safe


@pytest.mark.parametrize(("name", "expected"), [
    ("results.csv", "results.csv"),
    ("β.csv", "β.csv"),
    ("e\u0301.csv", "é.csv"),
    ("-rf", "_rf"),
    (".bashrc", "_bashrc"),
    ("nul.txt", "_nul.txt"),
    ("a\u202egnp.exe", "a_gnp.exe"),
    ("a\x1b[2Jb", "a_[2Jb"),
    ("x.", "x"),
    ("\udcff.bin", "�.bin"),
])  # fmt: skip
def test_safe_names(name: str, expected: str) -> None:
    assert safe_name(name) == expected
