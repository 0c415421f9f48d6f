"""The machine's numbers: real ones here, and macOS's structures read from bytes."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from desktop.engines.footprint import LinuxMachine, MacMachine, this_machine, to_footprint_bytes, to_pressure

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
on_mac = pytest.mark.skipif(sys.platform != "darwin", reason="asks libproc and Metal")


def test_numbers_agree_with_another_reader() -> None:
    machine, memory = this_machine(), psutil.virtual_memory()
    assert machine.total_bytes() == memory.total
    assert machine.available_bytes() == pytest.approx(memory.available, rel=0.2)
    assert machine.pressure() in ("normal", "warning", "critical")
    own = machine.footprint_bytes(os.getpid())
    assert 0.3 * psutil.Process().memory_info().rss < own <= 1.2 * psutil.Process().memory_info().rss


def test_a_process_that_takes_memory_is_seen_and_one_that_is_gone_holds_nothing() -> None:
    code = "import sys; kept = bytearray(b'x' * 100_000_000); print(1, flush=True); sys.stdin.read()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        assert 95_000_000 < this_machine().footprint_bytes(child.pid) < 180_000_000
    finally:
        child.communicate()
    assert this_machine().footprint_bytes(child.pid) == 0


@on_linux
@pytest.mark.parametrize(("available_kb", "level"), [(500, "normal"), (90, "warning"), (40, "critical")])
def test_linux_pressure_is_what_is_left(tmp_path: Path, available_kb: int, level: str) -> None:
    (tmp_path / "meminfo").write_text(f"MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: {available_kb} kB\n")
    assert LinuxMachine(tmp_path).pressure() == level


@on_linux
def test_linux_prefers_proportional_size_and_falls_back(tmp_path: Path) -> None:
    folder = tmp_path / "7"
    folder.mkdir()
    (folder / "status").write_text("Name: x\nVmRSS:\t  300 kB\n")
    assert LinuxMachine(tmp_path).footprint_bytes(7) == 300 * 1024
    (folder / "smaps_rollup").write_text("0-1 ---p 0 00:00 0 [rollup]\nRss: 300 kB\nPss: 120 kB\nPss_Dirty: 5 kB\n")
    assert LinuxMachine(tmp_path).footprint_bytes(7) == 120 * 1024
    assert LinuxMachine(tmp_path).recommended_bytes() is None


def test_macos_structures() -> None:
    """The eighth number after the uuid of rusage_info_v0 is ri_phys_footprint; levels are 1, 2 and 4."""
    numbers = struct.pack("=16s10Q", b"", *range(1, 11))
    assert len(numbers) == 96
    assert to_footprint_bytes(numbers) == 8
    assert [to_pressure(level) for level in (0, 1, 2, 4)] == ["normal", "normal", "warning", "critical"]


@on_mac
def test_metal_recommends_less_than_all() -> None:
    machine = MacMachine()
    recommended = machine.recommended_bytes()
    assert recommended is not None
    assert 0.4 * machine.total_bytes() < recommended < machine.total_bytes()
