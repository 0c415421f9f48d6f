"""A hostile log becomes capped, printable lines."""

from __future__ import annotations

import asyncio
import contextlib

from hypothesis import given
from hypothesis import strategies as st

from desktop.sandbox.logtap import FOLD_CHARS, LogTap


def lines_of(tap: LogTap) -> list[str]:
    got: list[str] = []
    asyncio.run(tap.flush(got.append))
    return got


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_any_bytes_become_printable_lines(chunks: list[bytes]) -> None:
    tap = LogTap(1 << 16)
    for chunk in chunks:
        tap.feed(chunk)
    tap.end()
    text = tap.text()
    assert not any(ord(c) < 32 and c not in "\n\t" for c in text)
    assert lines_of(tap) == (text.split("\n") if b"".join(chunks) else [])


def test_a_split_character_is_put_together() -> None:
    tap = LogTap(1000)
    for byte in "β→\n".encode():
        tap.feed(bytes([byte]))
    tap.end()
    assert tap.text() == "β→"


def test_the_end_is_kept_and_the_middle_left_out() -> None:
    tap = LogTap(2000)
    for number in range(1000):
        tap.feed(f"line {number}\n".encode())
    tap.end()
    text = tap.text()
    assert tap.is_truncated
    assert text.startswith("line 0\n")
    assert text.endswith("line 999")
    assert "… lines left out …" in text
    assert len(text) <= 2100
    assert lines_of(tap)[-1].startswith("… the log is longer")


def test_one_endless_line_is_folded_and_capped() -> None:
    tap = LogTap(100_000)
    for _ in range(100):
        tap.feed(b"A" * 65_536)
    tap.end()
    assert len(tap.text()) <= 100_500
    assert max(map(len, tap.text().split("\n"))) <= FOLD_CHARS


def test_control_codes_are_shown_not_obeyed() -> None:
    tap = LogTap(1000)
    tap.feed("\x1b]0;title\x07 \u202eabc \x9b\r\n".encode())
    tap.end()
    assert tap.text() == "␛]0;title␇ �abc �"


async def test_lines_are_handed_over_while_the_program_runs() -> None:
    tap, got = LogTap(1000), []
    pump = asyncio.create_task(tap.pump(got.append))
    tap.feed(b"one\ntwo\nthr")
    while len(got) < 2:
        await asyncio.sleep(0.01)
    pump.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await pump
    assert got == ["one", "two"]
