"""The prompt cache against a plain model of it: what it finds is right, both bounds hold, the last used stays."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desktop.engines.prefix_cache import PrefixCache, common
from desktop.engines.protocol import CacheLimits

KIB = 1024


class _Bytes:
    """States are bytes that begin with their length."""

    def __init__(self, *, is_trimmable: bool = True) -> None:
        self._is_trimmable = is_trimmable

    def save(self, state: bytes, path: Path) -> None:
        path.write_bytes(len(state).to_bytes(4, "big") + state)

    def load(self, path: Path) -> tuple[bytes, int]:
        data = path.read_bytes()
        state = data[4:]
        if len(state) != int.from_bytes(data[:4], "big"):
            raise ValueError("cut")
        return state, len(state)

    def is_trimmable(self, state: bytes) -> bool:
        return self._is_trimmable


def _tokens(first: int, n: int = 200) -> np.ndarray:
    return np.arange(first, first + n, dtype=np.int32)


def _cache(
    folder: Path | None = None, ram: int = 10 * KIB, disk: int = 10 * KIB, key: str = "one"
) -> PrefixCache[bytes]:
    return PrefixCache(_Bytes(), key, CacheLimits(folder, ram, disk))


def test_the_longest_equal_beginning_is_found() -> None:
    cache = _cache()
    cache.put(_tokens(0, 100), b"short", 5)
    cache.put(np.concatenate([_tokens(0, 150), _tokens(900, 50)]), b"long", 4)
    assert cache.find(_tokens(0, 180)) == (b"long", 200, 150)
    assert cache.find(_tokens(5, 100)) is None
    assert cache.find(_tokens(0, 10)) is None


def test_a_state_that_cannot_be_cut_serves_only_prompts_that_go_on_from_it() -> None:
    cache = PrefixCache(_Bytes(is_trimmable=False), "one", CacheLimits(None, 10 * KIB, 0))
    cache.put(_tokens(0, 100), b"state", 5)
    assert cache.find(_tokens(0, 99)) is None
    assert cache.find(_tokens(0, 120)) == (b"state", 100, 100)


def test_a_use_refreshes_and_the_least_recently_used_goes() -> None:
    cache = _cache(ram=300)
    for first in (0, 1000, 2000):
        cache.put(_tokens(first), bytes(100), 100)
    assert cache.find(_tokens(0)) is not None
    cache.put(_tokens(3000), bytes(100), 100)
    assert cache.find(_tokens(1000)) is None
    assert cache.find(_tokens(0)) is not None
    assert cache.ram_bytes == 300
    assert cache.keep(100) == 200
    assert cache.find(_tokens(0)) is not None


def test_what_another_entry_holds_is_not_held_twice() -> None:
    cache = _cache()
    cache.put(_tokens(0, 100), b"a", 1)
    cache.put(_tokens(0, 200), b"bb", 2)
    assert cache.ram_bytes == 2
    assert cache.find(_tokens(0, 100)) == (b"bb", 200, 100)


def test_disk_survives_is_bounded_and_is_shared_by_no_other_model(tmp_path: Path) -> None:
    cache = _cache(tmp_path, disk=2500)
    for n, first in enumerate((0, 1000, 2000)):
        cache.put(_tokens(first), bytes([n]) * 1000, 1000)
        while cache.save_one():
            pass
        for path in tmp_path.glob("*/*.kv"):
            os.utime(path, ns=(path.stat().st_mtime_ns - 10**9,) * 2)
    again = _cache(tmp_path, disk=2500)
    assert again.find(_tokens(0)) is None
    assert again.find(_tokens(1000)) == (bytes([1]) * 1000, 200, 200)
    assert _cache(tmp_path, key="two").find(_tokens(1000)) is None
    again.put(_tokens(3000), bytes(1000), 1000)
    assert again.save_one()
    last = _cache(tmp_path)
    assert last.find(_tokens(1000)) is not None, "it was used after the other"
    assert last.find(_tokens(2000)) is None
    assert sum(path.stat().st_size for path in tmp_path.glob("*/*.kv")) <= 2500
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.glob("*/*.kv"))


@pytest.mark.parametrize("damage", ["cut", "gone", "tokens"])
def test_a_damaged_file_is_a_miss_and_goes(tmp_path: Path, damage: str) -> None:
    cache = _cache(tmp_path)
    cache.put(_tokens(0), bytes(500), 500)
    assert cache.save_one()
    assert not cache.save_one()
    (kv,), (tokens,) = tmp_path.glob("*/*.kv"), tmp_path.glob("*/*.tokens")
    other = _cache(tmp_path)
    match damage:
        case "cut":
            kv.write_bytes(kv.read_bytes()[:100])
        case "gone":
            kv.unlink()
        case "tokens":
            tokens.write_bytes(tokens.read_bytes()[:40])
            other = _cache(tmp_path)
    assert other.find(_tokens(0)) is None
    other.put(_tokens(0), b"new", 3)
    assert other.find(_tokens(0)) == (b"new", 200, 200)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["put", "find", "save", "restart", "keep"]),
            st.lists(st.integers(0, 2), min_size=1, max_size=4),
            st.integers(1, 400),
        ),
        max_size=40,
    )
)
def test_any_trace_keeps_the_bounds_and_never_lies(tmp_path_factory: pytest.TempPathFactory, steps: list) -> None:  # type: ignore[type-arg]
    folder = tmp_path_factory.mktemp("caches")
    cache = _cache(folder, ram=1000, disk=1500)
    for what, parts, size in steps:
        tokens = np.concatenate([_tokens(part * 500, 130) for part in parts])
        match what:
            case "put":
                cache.put(tokens, tokens.tobytes()[:size], size)
            case "find":
                found = cache.find(tokens)
                if found is not None:
                    state, n_tokens, n_same = found
                    assert n_same <= min(n_tokens, len(tokens))
                    n_ints = min(n_same, len(state) // 4)
                    assert common(np.frombuffer(state[: n_ints * 4], np.int32), tokens) == n_ints
            case "save":
                cache.save_one()
            case "keep":
                cache.keep(size)
            case "restart":
                cache = _cache(folder, ram=1000, disk=1500)
        assert 0 <= cache.ram_bytes <= 1000
        assert sum(path.stat().st_size for path in folder.glob("*/*.kv")) <= 1500
        assert not list(folder.glob("*/*.safetensors"))
