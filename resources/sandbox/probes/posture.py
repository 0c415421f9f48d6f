"""Looks from inside for every layer of the isolation and says which are missing: ESCAPED or HELD, one a line.

Harmless by itself, but it tries what must not work; it starts only where `sandbox-probe.json` lies beside it. That
file says what is expected: memory_bytes, pids, output_bytes, output_entries, port (a listener of the caller's own on
the host's loopback), container (whether the layers only a container has are expected too), platform (as
sys.platform says it).
"""

import contextlib
import ctypes
import errno
import json
import os
import platform
import resource
import socket
import stat
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXPECTED = json.loads((HERE / "sandbox-probe.json").read_text())
IS_CONTAINER = EXPECTED["container"]
LIBC = ctypes.CDLL(None, use_errno=True)
COLUMN = 0 if platform.machine() == "x86_64" else 1
KNOWN_MOUNTS = (
    "/",
    "/proc",
    "/sys",
    "/dev",
    "/tmp",
    "/input",
    "/output",
    "/etc/resolv.conf",
    "/etc/hostname",
    "/etc/hosts",
)
ALLOWED_VARIABLES = {
    "PATH", "HOME", "HOSTNAME", "PYTHONDONTWRITEBYTECODE", "MPLBACKEND", "MPLCONFIGDIR", "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "PYTHONHASHSEED",
    "LC_ALL", "LANG", "TZ", "TMPDIR", "PWD", "GPG_KEY", "PYTHON_VERSION", "PYTHON_SHA256", "PYTHON_PIP_VERSION",
    "PYTHON_SETUPTOOLS_VERSION", "PYTHON_GET_PIP_URL", "PYTHON_GET_PIP_SHA256",
}  # fmt: skip


def status(field):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return line.split()[1]
    return ""


def first_text(*paths):
    for path in paths:
        with contextlib.suppress(OSError):
            return Path(path).read_text().strip()
    return "missing"


def syscall_errno(*numbers):
    """The error of a system call given as (x86-64, arm64) number and arguments; 0 where it is let through."""
    pair, *arguments = numbers
    ctypes.set_errno(0)
    done = LIBC.syscall(pair[COLUMN], *(ctypes.c_long(a) for a in arguments))
    if done >= 0 and pair == (425, 425):
        os.close(done)
    return 0 if done >= 0 else ctypes.get_errno()


def flags(place, *wanted):
    return all(os.statvfs(place).f_flag & flag for flag in wanted)


def size(place):
    return os.statvfs(place).f_blocks * os.statvfs(place).f_frsize


def cannot_write(place):
    try:
        (Path(place) / "probe").write_text("x")
    except OSError:
        return True
    (Path(place) / "probe").unlink()
    return False


def cannot_connect(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(2)
        try:
            s.connect(address)
        except OSError:
            return True
    return False


def number_at_most(text, most):
    return text.isdigit() and int(text) <= most


def cannot_start(program):
    """Whether a copy of a program of the system, or the program itself, is refused."""
    try:
        subprocess.run([program], check=False, capture_output=True, timeout=5)
    except OSError:
        return True
    return False


def scratch_program():
    place = Path(os.environ.get("TMPDIR", "/tmp")) / "probe-program"
    place.write_bytes(b"#!" + os.fsencode(sys.executable) + b"\n")
    place.chmod(0o700)
    return str(place)


def cannot_read(place):
    try:
        list(Path(place).iterdir()) if Path(place).is_dir() else Path(place).read_bytes()
    except OSError:
        return True
    return False


def cannot_open(place):
    """For writing; nothing is written."""
    try:
        os.close(os.open(place, os.O_WRONLY))
    except OSError:
        return True
    return False


def has_no_family(number):
    try:
        socket.socket(number, socket.SOCK_STREAM).close()
    except OSError:
        return True
    return False


CHECKS = {
    "not root": lambda: os.getuid() not in (0,) and os.getgid() != 0,
    "no capabilities": lambda: (
        not any(int(status(f) or "0", 16) for f in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"))
    ),
    "no new privileges": lambda: status("NoNewPrivs") == "1",
    "system-call filter": lambda: status("Seccomp") == "2",
    "io_uring refused": lambda: syscall_errno((425, 425), 1, 0) in (errno.EPERM, errno.ENOSYS),
    "ptrace refused": lambda: syscall_errno((101, 117), 16, os.getppid() or 1, 0, 0) == errno.EPERM,
    "user namespaces refused": lambda: syscall_errno((272, 97), 0x10000000) == errno.EPERM,
    "other processes' memory refused": lambda: syscall_errno((310, 270), 1, 0, 0, 0, 0, 0) == errno.EPERM,
    "mount refused": lambda: syscall_errno((165, 40), 0, 0, 0, 0, 0) == errno.EPERM,
    "input is read-only": lambda: flags("/input", os.ST_RDONLY) and cannot_write("/input"),
    "no network interface": lambda: {name for _, name in socket.if_nameindex()} <= {"lo"},
    "host's loopback out of reach": lambda: cannot_connect(socket.AF_INET, ("127.0.0.1", EXPECTED["port"])),
    "no sockets to a machine's host": lambda: has_no_family(40),  # vsock, which no namespace holds
    "kernel settings are read-only": lambda: all(
        cannot_open(p) for p in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger")
    ),
    "no engine socket": lambda: all(
        cannot_connect(socket.AF_UNIX, p)
        for p in (
            "/var/run/docker.sock",
            "/run/docker.sock",
            "/run/containerd/containerd.sock",
            "/run/podman/podman.sock",
        )
    ),
    "clean environment": lambda: set(os.environ) <= ALLOWED_VARIABLES,
    "no core dumps": lambda: resource.getrlimit(resource.RLIMIT_CORE)[1] == 0,
    "open files capped": lambda: 0 < resource.getrlimit(resource.RLIMIT_NOFILE)[1] <= 1024,
    "file size capped": lambda: 0 < resource.getrlimit(resource.RLIMIT_FSIZE)[1] <= 512 << 20,
    "own process namespace": lambda: sum(p.name.isdigit() for p in Path("/proc").iterdir()) < 12,
    "scratch bounded": lambda: size("/tmp") <= 1 << 30,
    "no host secrets": lambda: not any(Path(p).exists() for p in ("/etc/shadow", "/root/.ssh", "/host", "/home")),
}
# What can be asked on macOS, where there is no /proc and the run's folders are the host's own.
MAC_CHECKS = {
    **{name: CHECKS[name] for name in ("host's loopback out of reach", "no engine socket", "clean environment")},
    **{name: CHECKS[name] for name in ("no core dumps", "open files capped", "file size capped")},
    "not root": lambda: os.getuid() != 0,
    "input is read-only": lambda: cannot_write(HERE),
    "home folders cannot be listed": lambda: cannot_read("/Users"),
    "passwords cannot be read": lambda: cannot_read("/etc/master.passwd"),
    "nothing else can be written": lambda: all(
        cannot_write(p) for p in ("/private/tmp", "/private/var/tmp", "/Users/Shared")
    ),
    "system programs do not start": lambda: cannot_start("/bin/ls"),
    "scratch not executable": lambda: cannot_start(scratch_program()),
}
LINUX_CHECKS = {
    "scratch not executable": lambda: (
        LIBC.syscall(444, None, ctypes.c_size_t(0), 1) < 1  # a kernel without Landlock
        or cannot_start(scratch_program())
    ),
}
CONTAINER_CHECKS = {
    "engine's own filter": lambda: syscall_errno((239, 236), 0, 0, 0, 0, 0) == errno.EPERM,  # get_mempolicy
    "root is read-only": lambda: flags("/", os.ST_RDONLY) and cannot_write("/") and cannot_write("/opt/benchtop"),
    "scratch not executable": lambda: flags("/tmp", os.ST_NOEXEC, os.ST_NOSUID, os.ST_NODEV),
    "scratch entries capped": lambda: 0 < os.statvfs("/tmp").f_files <= 1 << 16,
    "output not executable": lambda: flags("/output", os.ST_NOEXEC, os.ST_NOSUID, os.ST_NODEV),
    "output bytes capped": lambda: abs(size("/output") - EXPECTED["output_bytes"]) <= 0.01 * EXPECTED["output_bytes"],
    "output entries capped": lambda: 0 < os.statvfs("/output").f_files <= EXPECTED["output_entries"] + 1,
    "memory capped": lambda: number_at_most(
        first_text("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"), EXPECTED["memory_bytes"]
    ),
    "no swap beyond": lambda: (
        first_text("/sys/fs/cgroup/memory.swap.max") == "0"
        or first_text("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes")
        in ("missing", first_text("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
    ),
    "processes capped": lambda: number_at_most(
        first_text("/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max"), EXPECTED["pids"]
    ),
    "processor capped": lambda: (
        first_text("/sys/fs/cgroup/cpu.max").split()[0].isdigit()
        or number_at_most(first_text("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), 64 * 100_000)
    ),
    "shared memory bounded": lambda: size("/dev/shm") <= 64 << 20,
    "nothing else mounted": lambda: all(
        place in KNOWN_MOUNTS or place.startswith(("/proc/", "/sys/", "/dev/"))
        for place in (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    ),
    "no devices": lambda: not any(stat.S_ISBLK(p.lstat().st_mode) for p in Path("/dev").iterdir()),
}


def main():
    checks = MAC_CHECKS if EXPECTED["platform"] == "darwin" else {**CHECKS, **LINUX_CHECKS}
    if IS_CONTAINER:  # a Linux machine of the engine's own, also on macOS
        checks = {**CHECKS, **CONTAINER_CHECKS}
    held = 0
    for name, check in checks.items():
        try:
            is_held, why = bool(check()), ""
        except OSError as error:
            is_held, why = False, f" ({error})"
        held += is_held
        print(("HELD " if is_held else "ESCAPED ") + name + why)
    Path("posture.txt").write_text(f"{held} of {len(checks)}\n")


main()
