"""Every setting of the container in one frozen value, so that a test can weaken each in turn and be caught.

Only data: what the engine is told. Who finds the engine is `engine`, who runs is `docker`.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from desktop.core.paths import resources_dir
from desktop.core.ports import Limits

MIB = 1 << 20
LAUNCHER = "/opt/benchtop/launch.py"
LABEL = "app.benchtop.sandbox"
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "LC_ALL": "C.UTF-8",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "MPLBACKEND": "Agg",
}  # the same in every isolation, so that numbers are equal to the byte


LAUNCHER_MARK, CONTENT_MARK = f"{LABEL}.launcher", f"{LABEL}.content"


@functools.cache
def image_marks() -> dict[str, str]:
    """Labels that say what an image was built from, so that one of an older Benchtop is known.

    The launcher's, because runs depend on its words; the content's, because numbers depend on the packages.
    """
    folder = resources_dir() / "sandbox"

    def mark(*names: str) -> str:
        return hashlib.sha256(b"\0".join((folder / name).read_bytes() for name in names)).hexdigest()[:16]

    content = ("Dockerfile", "requirements.txt", "policy.yaml", "policy-names.json")
    return {LAUNCHER_MARK: mark("launch.py"), CONTENT_MARK: mark(*content)}


def launch_word(limits: Mapping[str, int]) -> str:
    """The launcher's LIMITS as the one word it reads."""
    return ",".join(f"{key}={int(value)}" for key, value in limits.items())


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What one container is. Sizes in bytes unless named otherwise; each field has a test that fails without it."""

    image: str
    input_volume: str = ""  # name of the volume shown at /input: copies, so that no path of the host shows inside
    output_volume: str = ""  # name of the sized volume shown at /output
    output_bytes: int | None = 256 * MIB
    output_entries: int | None = 2000
    output_options: str = "nosuid,nodev,noexec"
    input_read_only: bool = True
    network: str = "none"
    read_only_root: bool = True
    user: str = "10001:10001"
    cap_drop: tuple[str, ...] = ("ALL",)
    security: tuple[str, ...] = ("no-new-privileges:true",)
    extra_filter: bool = True
    memory_bytes: int | None = 4096 * MIB
    swap_bytes: int = 0  # beyond memory
    cpus: float | None = 2.0
    pids: int | None = 128
    tmp_options: str = "rw,noexec,nosuid,nodev,size=256m,mode=1777,nr_inodes=16k"
    shm_bytes: int = 64 * MIB
    ipc: str = "private"
    pid_namespace: str | None = None
    open_files: int | None = 1024
    core_bytes: int | None = 0
    file_bytes: int | None = 512 * MIB
    environment: tuple[tuple[str, str], ...] = tuple(ENVIRONMENT.items())
    extra_binds: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = field(default=())

    @classmethod
    def for_limits(cls, image: str, limits: Limits) -> ContainerSpec:
        """The hardened container for a run's limits."""
        return cls(
            image=image,
            output_bytes=limits.output_bytes,
            output_entries=limits.output_entries,
            memory_bytes=limits.memory_mb * MIB,
            cpus=limits.cpus,
            pids=limits.pids,
        )

    def volume_options(self) -> dict[str, str]:
        """Options of the `local` driver for the output volume: a memory file system with hard caps."""
        options = ["uid=10001", "gid=10001", "mode=0700"]
        if self.output_options:
            options.append(self.output_options)
        if self.output_bytes is not None:
            options.append(f"size={self.output_bytes}")
        if self.output_entries is not None:
            options.append(f"nr_inodes={self.output_entries + 1}")  # the folder itself takes one
        return {"type": "tmpfs", "device": "tmpfs", "o": ",".join(options)}

    def host_config(self) -> dict[str, Any]:
        """Keyword arguments of `APIClient.create_host_config`."""
        from docker.types import LogConfig, Mount, Ulimit

        limits = {"core": self.core_bytes, "fsize": self.file_bytes, "nofile": self.open_files}
        config: dict[str, Any] = {
            "network_mode": self.network,
            "read_only": self.read_only_root,
            "tmpfs": {"/tmp": self.tmp_options},
            "cap_drop": list(self.cap_drop),
            "security_opt": list(self.security),
            "ipc_mode": self.ipc,
            "shm_size": self.shm_bytes,
            "init": False,  # the launcher is process 1
            "ulimits": [Ulimit(name=n, soft=v, hard=v) for n, v in limits.items() if v is not None],
            "log_config": LogConfig(type="none"),
            "mounts": [
                Mount("/input", self.input_volume, type="volume", read_only=self.input_read_only, no_copy=True),
                Mount("/output", self.output_volume, type="volume", no_copy=True),
            ],
            "binds": list(self.extra_binds),
            "restart_policy": {"Name": "no"},
        }
        if self.memory_bytes is not None:
            config["mem_limit"] = self.memory_bytes
            config["memswap_limit"] = self.memory_bytes + self.swap_bytes
        if self.cpus is not None:
            config["nano_cpus"] = int(self.cpus * 1e9)
        if self.pids is not None:
            config["pids_limit"] = self.pids
        if self.pid_namespace is not None:
            config["pid_mode"] = self.pid_namespace
        return config

    def filler_config(self) -> dict[str, Any]:
        """The same for the container that only writes the input volume; no script ever runs in it."""
        from docker.types import LogConfig, Mount

        return {
            "network_mode": "none",
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
            "mem_limit": 128 * MIB,
            "pids_limit": 8,
            "log_config": LogConfig(type="none"),
            "mounts": [Mount("/input", self.input_volume, type="volume", no_copy=True)],
        }

    def launch_limits(self) -> dict[str, int]:
        """What the launcher inside adds."""
        return {"filter": self.extra_filter}
