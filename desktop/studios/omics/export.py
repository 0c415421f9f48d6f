"""The job `omics.export_run`: a finished run as one folder or zip that anybody can read and run again elsewhere.

The copy has what the run has, with instructions and the packages to install, and no path of this machine. The zip's
bytes depend on nothing but its content. Appears whole or not at all; nothing is ever written over.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import zipfile
from itertools import count
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from desktop.core.ports import JobContext
from desktop.studios.omics.errors import OutputFolderError
from desktop.studios.omics.results import load_json
from desktop.studios.omics.run_folder import disk_error, file_hashes, slug, write_json
from desktop.studios.omics.running import run_dir

SCRUBBED = (".json", ".html", ".md", ".txt", ".log")  # text of our own making, where paths are for reading only
SCRIPTS = (".py",)  # here only what begins with the person's own folders: a question may name a file
_EPOCH = (1980, 1, 1, 0, 0, 0)
_PICTURE = re.compile(r"(data:[a-z]+/[a-z+.-]+;base64,[A-Za-z0-9+/=]+)")
_SOCKET = re.compile(r"(unix|npipe)://[^\s,;\"'<>]+")
_PATH = re.compile(r"(?<![\w/<.:~*\\-])(?:file://)?/(?:[^\s/\"'<>|*?]+/)+([^\s/\"'<>|*?]*)")
_README = """Run {run_id}: {headline}

Read     report.html (in a browser) or report.md; results.csv has every gene.
Again    python -m venv env; env/bin/pip install -r requirements.txt; env/bin/python analysis.py
         analysis.py needs nothing but the files beside it and writes the same tables and figures into the folder it is
         started from; with the same versions of the packages, results.csv has the same bytes.
Check    manifest.json has the SHA-256 of every file, the hashes of the data, versions and settings.
"""


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExportParams(_Schema):
    """A run by id or folder, and where its copy goes: `into` a folder that is there, under `name` or a free one."""

    run: str
    into: Path
    name: str = Field("", max_length=200, pattern=r"^([^./\\\x00][^/\\\x00]*)?$")
    as_zip: bool = False


class ExportResult(_Schema):
    """Where the copy is. `changed` names files that are no longer what the run left."""

    path: Path
    n_files: int
    size_bytes: int
    changed: list[str] = Field(default_factory=list)


async def run_export(ctx: JobContext, params: ExportParams) -> ExportResult:
    """Export one run. Raises UnknownRunError, DamagedRunError, OutputFolderError."""
    folder = run_dir(ctx, params.run)
    machine = [str(path) for path in (folder, ctx.paths.home, Path.home()) if len(path.parts) > 1]
    into = params.into.expanduser().absolute()
    draft = into / f".{ctx.job_id}.export"
    try:
        if not into.is_dir():
            raise OutputFolderError(f"{into} is not a folder", hint="Choose a folder that is there.")
        with ctx.step("Export", upto=1.0):
            result = await ctx.cpu(export_into, folder, params.model_copy(update={"into": into}), draft, machine)
    except OSError as error:
        raise disk_error(error, into) from error
    finally:
        await ctx.io(_remove, draft)
    for name in result.changed:
        ctx.warn(f"{name} is not what the run left: it was changed afterwards, and is exported as it is now.")
    return result


def export_into(folder: Path, params: ExportParams, draft: Path, machine: list[str]) -> ExportResult:
    """Copy, clean, and put in place by one rename. For a child process."""
    manifest = load_json(folder / "manifest.json")
    name = params.name or _name(manifest)
    target = _target(params.into, name, as_zip=params.as_zip, is_exact=bool(params.name))
    told = manifest.get("files")
    before = told if isinstance(told, dict) else {}
    draft.mkdir()
    inner = draft / target.name.removesuffix(".zip")
    changed = copy_clean(folder, inner, manifest, before, machine)
    if params.as_zip:
        write_zip(inner, draft / "whole.zip")
        finished = draft / "whole.zip"
    else:
        finished = inner
    n_files, size_bytes = _extent(inner)
    if target.exists():
        raise OutputFolderError(f"{target} is there already", hint="Choose another name.")
    finished.rename(target)
    if params.as_zip:
        size_bytes = target.stat().st_size
    return ExportResult(path=target, n_files=n_files, size_bytes=size_bytes, changed=changed)


def copy_clean(
    folder: Path, target: Path, manifest: dict[str, Any], before: dict[str, Any], machine: list[str]
) -> list[str]:
    """Copy a run's files without paths of this machine, add instructions; returns files that had been changed."""
    changed = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
        name = path.relative_to(folder).as_posix()
        if any(part.startswith(".") for part in Path(name).parts):
            continue
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        data = path.read_bytes()
        known = before.get(name)
        if isinstance(known, dict) and known.get("sha256") not in (None, hashlib.sha256(data).hexdigest()):
            changed.append(name)
        if path.suffix in SCRUBBED + SCRIPTS:
            data = _scrubbed(data, machine, is_prose=path.suffix in SCRUBBED)
        copy.write_bytes(data)
    script = (target / "analysis.py").read_text(encoding="utf-8") if (target / "analysis.py").is_file() else ""
    told_packages = manifest.get("packages")
    known = [f"{name}=={v}" for name, v in told_packages.items()] if isinstance(told_packages, dict) else []
    if packages := _requirements(script) or [one for one in known if not one.startswith("python==")]:
        (target / "requirements.txt").write_text("\n".join(packages) + "\n", encoding="utf-8", newline="\n")
    kept = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    readme = _README.format(run_id=manifest.get("run_id", ""), headline=kept.get("headline", ""))
    (target / "README.txt").write_text(readme, encoding="utf-8", newline="\n")
    (target / "manifest.json").unlink()
    told = kept.get("script")
    if script and isinstance(told, dict):
        kept["script"] = told | {"sha256": hashlib.sha256(script.encode()).hexdigest()}
    write_json(target / "manifest.json", kept | {"files": file_hashes(target)})
    return changed


def write_zip(folder: Path, path: Path) -> None:
    """The folder as a zip whose bytes depend on its files alone: sorted names, no dates, no owners."""
    with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            info = zipfile.ZipInfo(f"{folder.name}/{file.relative_to(folder).as_posix()}", _EPOCH)
            info.create_system, info.external_attr, info.compress_type = 3, 0o100644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(info, file.read_bytes(), compresslevel=6)


def _scrubbed(data: bytes, machine: list[str], *, is_prose: bool) -> bytes:
    """Text in which the person's folders are "…", and in prose any path its last name alone; pictures stay."""
    try:
        parts = _PICTURE.split(data.decode("utf-8"))
    except UnicodeDecodeError:
        return data
    for at in range(0, len(parts), 2):
        for prefix in machine:
            parts[at] = re.sub(re.escape(prefix) + r"(?=[/\s\"'<,;:.)]|$)", "…", parts[at])
        if is_prose:
            parts[at] = _PATH.sub(r"…/\1", _SOCKET.sub(r"\1://…", parts[at]))
    return "".join(parts).encode()


def _requirements(script: str) -> list[str]:
    from desktop.studios.omics.steps.script import requirements

    return requirements(script)


def _name(manifest: dict[str, Any]) -> str:
    """A name for people: what was analysed, and the beginning of the run's id."""
    data = manifest.get("data")
    about = data if isinstance(data, dict) else {}
    source = str(about.get("accession") or about.get("source") or "").split(".")[0]
    run_id = str(manifest.get("run_id", ""))
    return slug(f"{source or 'run'} {run_id[:6]}" + (run_id[12:] if len(run_id) > 12 else ""))


def _target(into: Path, name: str, *, as_zip: bool, is_exact: bool) -> Path:
    stem, ending = name.removesuffix(".zip") if as_zip else name, ".zip" if as_zip else ""
    names = (f"{stem}{f'-{number}' if number > 1 else ''}{ending}" for number in count(1))
    target = into / (f"{stem}{ending}" if is_exact else next(one for one in names if not (into / one).exists()))
    if target.exists():
        raise OutputFolderError(f"{target} is there already", hint="Choose another name.")
    return target


def _extent(folder: Path) -> tuple[int, int]:
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return len(sizes), sum(sizes)


def _remove(draft: Path) -> None:
    shutil.rmtree(draft, ignore_errors=True)
