"""Whether a downloaded gzip file is whole, and cached files under many readers."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desktop.net.cache import ContentCache, Entry
from desktop.net.download import is_whole_gzip

WORKABLE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@WORKABLE
@given(members=st.lists(st.binary(max_size=3000), min_size=1, max_size=4), padding=st.integers(0, 600))
def test_members_and_zero_padding_are_whole(tmp_path: Path, members: list[bytes], padding: int) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(b"".join(gzip.compress(member, mtime=0) for member in members) + bytes(padding))
    assert is_whole_gzip(path)


@WORKABLE
@given(content=st.binary(min_size=1, max_size=3000), data=st.data())
def test_every_cut_and_every_changed_checksum_is_noticed(tmp_path: Path, content: bytes, data: st.DataObject) -> None:
    packed = gzip.compress(content, mtime=0)
    path = tmp_path / "x.gz"
    path.write_bytes(packed[: data.draw(st.integers(0, len(packed) - 1))])
    assert not is_whole_gzip(path)
    at = data.draw(st.integers(len(packed) - 8, len(packed) - 1))
    path.write_bytes(packed[:at] + bytes([packed[at] ^ 1]) + packed[at + 1 :])
    assert not is_whole_gzip(path)


@pytest.mark.parametrize("content", [b"", b"plain text", gzip.compress(b"x", mtime=0) + b"<html>"])
def test_other_files_are_not_whole_gzip(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(content)
    assert not is_whole_gzip(path)


def test_a_large_expansion_is_checked_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(bytes(64 * 1024**2)))
    assert is_whole_gzip(path)


@WORKABLE
@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.binary(max_size=40)), min_size=1, max_size=12))
def test_the_cache_gives_back_what_was_kept_last(
    tmp_path_factory: pytest.TempPathFactory, kept: list[tuple[str, bytes]]
) -> None:
    cache = ContentCache(tmp_path_factory.mktemp("cache"))
    latest: dict[str, bytes] = {}
    for url, content in kept:
        part = cache.partial(url)
        part.write_bytes(content)
        cache.keep(Entry(url, 1.0), part)
        latest[url] = content
        for known, expected in latest.items():
            entry = cache.find(known)
            assert entry is not None
            assert cache.path(entry).read_bytes() == expected
    assert cache.size_bytes() == sum(map(len, {content for _, content in kept}))
    assert cache.find("never") is None


@pytest.mark.parametrize(
    "index", ["", "{}", "[]", "not json", '{"url": "a", "fetched_s": 1, "sha256": "00", "bytes": 1}']
)
def test_a_broken_index_row_is_a_miss(tmp_path: Path, index: str) -> None:
    cache = ContentCache(tmp_path)
    part = cache.partial("a")
    part.write_bytes(b"x")
    cache.keep(Entry("a", 1.0), part)
    next((tmp_path / "index").iterdir()).write_text(index)
    assert cache.find("a") is None
