"""What this machine's memory is like now, and what one process holds: the few numbers the budget rests on.

One small port with an implementation for macOS and one for Linux. Knows no model. Every reading takes well under a
millisecond and none of them imports a model runtime.

"Used" means what the system itself would hold against a process when memory gets scarce: `phys_footprint` on macOS
(resident size misses compressed and GPU memory there), proportional set size on Linux (shared pages counted once).
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import functools
import struct
import sys
from pathlib import Path
from typing import Literal, Protocol

Pressure = Literal["normal", "warning", "critical"]

_RUSAGE_INFO_V0_BYTES = 96  # 16 bytes of uuid, then ten 64-bit numbers; the eighth is ri_phys_footprint
_FOOTPRINT_AT = 16 + 7 * 8
_LINUX_WARNING_FRAC, _LINUX_CRITICAL_FRAC = 0.10, 0.05  # of RAM still available


class Machine(Protocol):
    """The numbers, each read when asked for."""

    def total_bytes(self) -> int:
        """RAM of this machine."""

    def available_bytes(self) -> int:
        """What programs could still take without swapping, caches that can be given back included."""

    def recommended_bytes(self) -> int | None:
        """Metal's recommended working set; None where there is no Metal."""

    def pressure(self) -> Pressure:
        """How scarce the system itself says memory is."""

    def footprint_bytes(self, pid: int) -> int:
        """What a process holds; 0 for one that is gone or not ours to ask about."""


def this_machine() -> Machine:
    """The implementation for the system this runs on."""
    return MacMachine() if sys.platform == "darwin" else LinuxMachine()


class LinuxMachine:
    """Numbers from /proc. `proc` is another folder of the same shape in tests."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc

    def total_bytes(self) -> int:
        return _field_bytes(self._proc / "meminfo", "MemTotal:")

    def available_bytes(self) -> int:
        return _field_bytes(self._proc / "meminfo", "MemAvailable:")

    def recommended_bytes(self) -> int | None:
        return None

    def pressure(self) -> Pressure:
        left_frac = self.available_bytes() / max(1, self.total_bytes())
        if left_frac < _LINUX_CRITICAL_FRAC:
            return "critical"
        return "warning" if left_frac < _LINUX_WARNING_FRAC else "normal"

    def footprint_bytes(self, pid: int) -> int:
        folder = self._proc / str(pid)
        with contextlib.suppress(OSError):  # smaps_rollup may be refused where the plain status is not
            return _field_bytes(folder / "smaps_rollup", "Pss:")
        with contextlib.suppress(OSError):
            return _field_bytes(folder / "status", "VmRSS:")
        return 0


def _field_bytes(path: Path, name: str) -> int:
    """The value of "Name:   123 kB", in bytes; 0 when the file has no such line."""
    for line in path.read_text("ascii", "replace").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return 0


class MacMachine:
    """Numbers from libproc, sysctl and Metal, through ctypes."""

    def total_bytes(self) -> int:
        import psutil

        return int(psutil.virtual_memory().total)

    def available_bytes(self) -> int:
        import psutil

        return int(psutil.virtual_memory().available)

    def recommended_bytes(self) -> int | None:
        return _metal_working_set_bytes()

    def pressure(self) -> Pressure:
        level = ctypes.c_int32(1)
        size = ctypes.c_size_t(ctypes.sizeof(level))
        name = b"kern.memorystatus_vm_pressure_level"
        failed = _libc().sysctlbyname(name, ctypes.byref(level), ctypes.byref(size), None, ctypes.c_size_t(0))
        return "normal" if failed else to_pressure(level.value)

    def footprint_bytes(self, pid: int) -> int:
        buffer = ctypes.create_string_buffer(_RUSAGE_INFO_V0_BYTES)
        if _libc().proc_pid_rusage(ctypes.c_int(pid), ctypes.c_int(0), buffer) != 0:
            return 0
        return to_footprint_bytes(buffer.raw)


def to_pressure(level: int) -> Pressure:
    """macOS's pressure level: 1 normal, 2 warning, 4 critical."""
    if level >= 4:
        return "critical"
    return "warning" if level >= 2 else "normal"


def to_footprint_bytes(rusage_info_v0: bytes) -> int:
    """ri_phys_footprint of a `struct rusage_info_v0` (96 bytes, see <sys/resource.h>)."""
    (footprint,) = struct.unpack_from("=Q", rusage_info_v0, _FOOTPRINT_AT)
    return int(footprint)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(ctypes.util.find_library("System") or "/usr/lib/libSystem.B.dylib", use_errno=True)


@functools.cache
def _metal_working_set_bytes() -> int | None:
    """`recommendedMaxWorkingSetSize` of the default Metal device; asked once, it does not change."""
    try:
        metal = ctypes.CDLL("/System/Library/Frameworks/Metal.framework/Metal")
        objc = ctypes.CDLL(ctypes.util.find_library("objc") or "/usr/lib/libobjc.A.dylib")
        metal.MTLCreateSystemDefaultDevice.restype = ctypes.c_void_p
        objc.sel_registerName.restype, objc.sel_registerName.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
        objc.objc_msgSend.restype = ctypes.c_uint64
        objc.objc_msgSend.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        device = metal.MTLCreateSystemDefaultDevice()
        selector = objc.sel_registerName(b"recommendedMaxWorkingSetSize")
        return int(objc.objc_msgSend(device, selector)) or None if device else None
    except (OSError, AttributeError):
        return None
