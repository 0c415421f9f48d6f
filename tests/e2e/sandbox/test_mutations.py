"""Each setting of the container, weakened in turn, is noticed by the probe: none is there for show."""

from __future__ import annotations

import dataclasses
import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from desktop.core.paths import resources_dir
from desktop.core.ports import IsolationChoice, Limits, RunSpec
from desktop.sandbox.container import ContainerSpec
from desktop.sandbox.docker import DockerSandbox
from desktop.sandbox.proof import write_expectation
from tests.e2e.sandbox.conftest import IMAGE

pytestmark = pytest.mark.docker
LIMITS = Limits(wall_s=20, memory_mb=512, cpus=1, pids=64, output_bytes=32 << 20, output_entries=200)
PROBE = (resources_dir() / "sandbox" / "probes" / "posture.py").read_bytes()
CHOICE = IsolationChoice("docker", False, "test")


async def escapes(adapter: DockerSandbox, tmp_path: Path, change: dict[str, object]) -> list[str]:
    """What the probe reports in a container that differs from the hardened one by `change`."""
    given = tmp_path / "given"
    given.mkdir()
    spec = dataclasses.replace(ContainerSpec.for_limits(IMAGE, LIMITS), **change)  # type: ignore[arg-type]
    with socket.create_server(("127.0.0.1", 0)) as server:
        write_expectation(given, LIMITS, server.getsockname()[1], is_container=True)
        slot = adapter.open_slot(spec)
        try:
            run = RunSpec("mutation", PROBE, given, tmp_path / "out", "person", "docker", LIMITS)
            outcome = await adapter.run(run, slot, CHOICE, lambda _: None)
        finally:
            adapter.close_slot(slot)
    words = [line.partition(" ") for line in outcome.log.splitlines()]
    found = [name for word, _, name in words if word == "ESCAPED"]
    if not any(word == "HELD" for word, _, _ in words):
        found.append(f"no run: {outcome.status}")
    return found


# setting → (weakened value, a layer that must be reported); the second part proves that the probe saw the right thing
WEAKENED: dict[str, tuple[Callable[[Path], object], str]] = {
    "output_bytes": (lambda _: None, "output bytes capped"),
    "output_entries": (lambda _: None, "output entries capped"),
    "output_options": (lambda _: "", "output not executable"),
    "input_read_only": (lambda _: False, "input is read-only"),
    "network": (lambda _: "host", "host's loopback out of reach"),
    "read_only_root": (lambda _: False, "root is read-only"),
    "user": (lambda _: "0:0", "not root"),
    "cap_drop": (lambda _: (), "no capabilities"),
    "security": (lambda _: ("seccomp=unconfined", "no-new-privileges:true"), "engine's own filter"),
    "extra_filter": (lambda _: False, "ptrace refused"),
    "memory_bytes": (lambda _: None, "memory capped"),
    "swap_bytes": (lambda _: 1 << 30, "no swap beyond"),
    "cpus": (lambda _: None, "processor capped"),
    "pids": (lambda _: None, "processes capped"),
    "tmp_options": (lambda _: "rw,nosuid,nodev,exec,size=256m,mode=1777,nr_inodes=16k", "scratch not executable"),
    "shm_bytes": (lambda _: 1 << 30, "shared memory bounded"),
    "ipc": (lambda _: "host", "shared memory bounded"),
    "pid_namespace": (lambda _: "host", "own process namespace"),
    "open_files": (lambda _: 2048, "open files capped"),
    "core_bytes": (lambda _: 1 << 30, "no core dumps"),
    "file_bytes": (lambda _: None, "file size capped"),
    "environment": (lambda _: (("MY_API_TOKEN", "x"),), "clean environment"),
    "extra_binds": (lambda path: (f"{path}:/host:ro",), "nothing else mounted"),
}
MORE: dict[str, tuple[dict[str, object], str]] = {
    "no new privileges": ({"security": (), "extra_filter": False}, "no new privileges"),
    "scratch size": ({"tmp_options": "rw,noexec,nosuid,nodev,mode=1777,nr_inodes=16k"}, "scratch bounded"),
    "scratch entries": ({"tmp_options": "rw,noexec,nosuid,nodev,mode=1777,size=256m"}, "scratch entries capped"),
    "group": ({"user": "10001:0"}, "not root"),
    "one capability": ({"cap_drop": ("NET_RAW",)}, "no capabilities"),
}
# What is no wall: which image, where the files lie, and what finds a container again (its own test is in test_leftovers).
NO_WALL = {"image", "input_volume", "output_volume", "labels"}


async def test_the_hardened_container_holds_every_layer(adapter: DockerSandbox, tmp_path: Path) -> None:
    assert await escapes(adapter, tmp_path, {}) == []


def test_every_setting_is_weakened_below() -> None:
    assert {f.name for f in dataclasses.fields(ContainerSpec)} == set(WEAKENED) | NO_WALL


@pytest.mark.parametrize("setting", WEAKENED)
async def test_a_weakened_setting_is_noticed(adapter: DockerSandbox, tmp_path: Path, setting: str) -> None:
    value, layer = WEAKENED[setting]
    change: dict[str, object] = {setting: value(tmp_path)}
    if setting == "extra_filter":
        # the engine's own filter refuses some of the same calls on newer versions; ours must be what is missing
        change["security"] = ("seccomp=unconfined", "no-new-privileges:true")
    assert layer in await escapes(adapter, tmp_path, change)


@pytest.mark.parametrize("name", MORE)
async def test_a_half_weakened_setting_is_noticed(adapter: DockerSandbox, tmp_path: Path, name: str) -> None:
    change, layer = MORE[name]
    assert layer in await escapes(adapter, tmp_path, change)


async def test_an_engine_socket_inside_is_noticed(adapter: DockerSandbox, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "docker.sock"))
        server.listen()
        (tmp_path / "docker.sock").chmod(0o666)
        change = {"extra_binds": (f"{tmp_path}/docker.sock:/var/run/docker.sock",)}
        assert "no engine socket" in await escapes(adapter, tmp_path, change)


async def test_io_uring_is_refused_by_our_filter_alone(adapter: DockerSandbox, tmp_path: Path) -> None:
    """Old engines let it through: with their filter off, ours must hold it, and without ours it must be open."""
    unconfined = ("seccomp=unconfined", "no-new-privileges:true")
    assert "io_uring refused" not in await escapes(adapter, tmp_path, {"security": unconfined})


def test_the_specification_is_what_the_engine_is_told() -> None:
    spec = ContainerSpec(IMAGE, input_volume="i", output_volume="v")
    told = json.dumps(spec.host_config(), default=str)
    assert '"network_mode": "none"' in told
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.network = "host"  # type: ignore[misc]
