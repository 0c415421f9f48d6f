"""The system-call filter, interpreted here instruction by instruction for both architectures."""

from __future__ import annotations

import importlib.util
import struct
from types import ModuleType

import pytest

from desktop.core.paths import resources_dir

ALLOW, EPERM, ENOSYS, EAFNOSUPPORT = 0x7FFF0000, 0x50001, 0x50026, 0x50061
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


@pytest.fixture(scope="module")
def launch() -> ModuleType:
    spec = importlib.util.spec_from_file_location("launch", resources_dir() / "sandbox" / "launch.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def verdict(program: bytes, arch: int, number: int, first: int = 0) -> int:
    """Run the filter as the kernel does on a call with this number and first argument."""
    data = struct.pack("<IIQ6Q", number, arch, 0, first, 0, 0, 0, 0, 0)
    code = [struct.unpack_from("=HBBI", program, i) for i in range(0, len(program), 8)]
    at = accumulator = 0
    while True:
        op, yes, no, k = code[at]
        at += 1
        if op == 0x20:
            accumulator = struct.unpack_from("<I", data, k)[0]
        elif op == 0x15:
            at += yes if accumulator == k else no
        elif op == 0x35:
            at += yes if accumulator >= k else no
        elif op == 0x45:
            at += yes if accumulator & k else no
        elif op == 0x06:
            return int(k)
        else:
            pytest.fail(f"unknown instruction {op:#x}")


@pytest.mark.parametrize("machine", ARCH)
def test_refused_calls_are_refused_and_others_pass(launch: ModuleType, machine: str) -> None:
    program = launch.filter_program(machine)
    column = list(ARCH).index(machine)
    refused = {pair[column] for pair in launch.REFUSED.values()} - {None}
    clone, clone3 = launch._CLONE[column], launch._CLONE3[column]
    socket_call = launch._SOCKET[column]
    for family in range(50):
        expected = (
            ALLOW if family in (1, 2, 10, 16) else EAFNOSUPPORT
        )  # unix, internet, netlink; no vsock, no kernel crypto
        assert verdict(program, ARCH[machine], socket_call, family) == expected, family
    for number in set(range(470)) - {socket_call}:
        expected = EPERM if number in refused else ENOSYS if number == clone3 else ALLOW
        assert verdict(program, ARCH[machine], number) == expected, number
    assert verdict(program, ARCH[machine], clone, 0x003D0F00) == ALLOW  # a thread
    assert verdict(program, ARCH[machine], clone, 17) == ALLOW  # a fork
    for flag in (0x10000000, 0x00020000, 0x40000000, 0x20000000, 0x08000000, 0x04000000, 0x02000000):
        assert verdict(program, ARCH[machine], clone, flag | 17) == EPERM


def test_another_architectures_numbers_are_refused(launch: ModuleType) -> None:
    assert verdict(launch.filter_program("x86_64"), 0x40000003, 0) == EPERM  # i386
    assert verdict(launch.filter_program("x86_64"), ARCH["x86_64"], 0x40000000) == EPERM  # x32
    assert launch.filter_program("riscv64") == b""


def test_numbers_are_unique_in_each_architecture(launch: ModuleType) -> None:
    for column in (0, 1):
        numbers = [pair[column] for pair in launch.REFUSED.values() if pair[column] is not None]
        assert len(numbers) == len(set(numbers))
