"""Make the sandbox's base image out of this machine's own Python, where no image registry can be reached.

    python resources/sandbox/make_base_image.py --tag benchtop-base:local [--cache FOLDER] [--save FILE]

Linux only (the image holds this machine's binaries). Packages come from requirements.txt through pip; the root file
system is interpreter, packages, /bin/sh and the libraries they are linked with. Needs a Docker engine (DOCKER_HOST).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
LEFT_OUT = ("test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "site-packages", "__pycache__")
CHANGES = [
    "ENV PATH=/opt/py/bin:/bin",
    "ENV PYTHONDONTWRITEBYTECODE=1 MPLBACKEND=Agg MPLCONFIGDIR=/tmp/mpl HOME=/tmp",
    "USER 10001:10001",
    "WORKDIR /output",
]


def fingerprint() -> str:
    """What the image depends on: this script, the pins, the launcher, the interpreter."""
    parts = [
        platform.machine(),
        sys.version,
        *((HERE / n).read_text() for n in ("requirements.txt", Path(__file__).name)),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def install_packages(site: Path) -> None:
    """Pinned packages into a folder of their own."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-qq",
        "--disable-pip-version-check",
        "--no-compile",
        "--require-hashes",
    ]
    subprocess.run([*command, "--target", str(site), "-r", str(HERE / "requirements.txt")], check=True)


def linked_libraries(root: Path) -> set[Path]:
    """Every library the ELF files below `root` are linked with, transitively (ldd resolves them all)."""
    files = [p for p in root.rglob("*") if p.is_file() and not p.is_symlink() and _is_elf(p)]
    own = {p.name for p in files}
    found: set[Path] = set()
    for start in range(0, len(files), 100):
        env = {**os.environ, "LD_LIBRARY_PATH": str(root / "opt/py/lib")}
        listing = subprocess.run(
            ["ldd", *map(str, files[start : start + 100])], capture_output=True, text=True, check=False, env=env
        ).stdout
        for line in listing.splitlines():
            words = line.split()
            if "=>" in words and len(words) > 2 and words[2].startswith("/"):
                found.add(Path(words[2]))
            elif words and words[0].startswith("/") and "ld-" in words[0]:
                found.add(Path(words[0]))
    return {p for p in found if root not in p.parents and (p.name not in own or p.name.startswith("ld-"))}


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def assemble(root: Path, site: Path) -> None:
    """The whole root file system below `root`."""
    python = root / "opt/py"
    stdlib = Path(sysconfig.get_path("stdlib"))
    target = python / f"lib/python{VERSION}"
    skip = shutil.ignore_patterns(*LEFT_OUT, "config-*", "*.a", "_tkinter*")
    shutil.copytree(stdlib, target, ignore=skip, symlinks=True)
    shutil.copytree(
        site, target / "site-packages", ignore=shutil.ignore_patterns("tests", "__pycache__", "bin"), symlinks=True
    )
    (python / "bin").mkdir(parents=True)
    shutil.copy2(Path(sys.base_prefix) / f"bin/python{VERSION}", python / f"bin/python{VERSION}")
    for name in ("python", "python3"):
        (python / "bin" / name).symlink_to(f"python{VERSION}")
    for library in Path(sysconfig.get_config_var("LIBDIR") or "").glob(f"libpython{VERSION}*.so*"):
        shutil.copy2(library, python / "lib" / library.name)
        loader_dir = root / "usr/lib"
        loader_dir.mkdir(parents=True, exist_ok=True)
        shutil.copy2(library, loader_dir / library.name)
    (root / "bin").mkdir()
    shutil.copy2(Path("/bin/sh").resolve(), root / "bin/sh")
    for name in ("mkdir", "env"):  # the Dockerfile's own steps
        shutil.copy2(Path(shutil.which(name) or f"/bin/{name}").resolve(), root / "bin" / name)
    for library in sorted(linked_libraries(root)):
        copy = root / str(library).lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(library.resolve(), copy)
    for folder in ("input", "output", "tmp", "proc", "sys", "dev", "etc", "opt/benchtop"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\nsandbox:x:10001:10001:sandbox:/tmp:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nsandbox:x:10001:\n")
    (root / "etc/nsswitch.conf").write_text("hosts: files\npasswd: files\ngroup: files\n")
    compile_all = [sys.executable, "-m", "compileall", "-q", "-j2", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([*compile_all, "-s", str(root), str(target)], check=False, stdout=subprocess.DEVNULL)


def pack(root: Path, archive: Path) -> None:
    """A tar with neutral owners and times, so that equal inputs give equal bytes."""

    def neutral(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        entry.mtime = 0
        return entry

    partial = archive.with_suffix(".partial")
    with tarfile.open(partial, "w") as tar:
        tar.add(root, arcname=".", filter=neutral)
    partial.rename(archive)


def load(archive: Path, tag: str) -> None:
    """Import the tar as an image with the sandbox's user and environment."""
    import docker

    client = docker.APIClient(base_url=os.environ.get("DOCKER_HOST"), timeout=600)
    try:
        repository, _, version = tag.partition(":")
        with archive.open("rb") as file:
            chunks = iter(lambda: file.read(1 << 20), b"")  # an iterator is sent in chunks; a file is sent wrongly
            answer = client.import_image_from_stream(chunks, repository=repository, tag=version, changes=CHANGES)
        last = json.loads(str(answer).strip().splitlines()[-1])
        if "error" in last:
            raise SystemExit(f"the engine refused the image: {last['error']}")
    finally:
        client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tag", default="benchtop-base:local")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/benchtop-sandbox")
    options = parser.parse_args()
    if sys.platform != "linux":
        raise SystemExit("This script packs a Linux Python. On macOS build from an official image instead.")
    started = time.perf_counter()
    options.cache.mkdir(parents=True, exist_ok=True)
    archive = options.cache / f"base-{fingerprint()}.tar"
    if not archive.exists():
        work = options.cache / f"work-{os.getpid()}"
        try:
            install_packages(work / "site")
            print(f"packages installed after {time.perf_counter() - started:.0f} s", flush=True)
            assemble(work / "root", work / "site")
            pack(work / "root", archive)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        for old in options.cache.glob("base-*.tar"):
            if old != archive:
                old.unlink()
    load(archive, options.tag)
    print(f"{options.tag} ready after {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
