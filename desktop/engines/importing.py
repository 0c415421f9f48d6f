"""A person's own model becomes one of Benchtop's: a local folder or GGUF file, taken in or linked, or quantised first.

The functions here read and copy whole models: run them in a child process.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path
from typing import Literal

from desktop.core.models import Tier
from desktop.core.progress import report_progress
from desktop.engines.catalog import Capability, CatalogEntry
from desktop.engines.download import check_disk, is_model_file, to_entry
from desktop.engines.errors import BadModelError, EngineMissingError
from desktop.engines.headers import ModelFacts, read_facts
from desktop.engines.installed import Installed, KeptFile, Note

SMALL_BYTES = 3 * 10**9  # of weights: up to here a model of one's own counts as small
_BLOCK = 1 << 22


def import_model(
    installed: Installed,
    source: Path,
    draft: Path,
    name: str = "",
    is_linked: bool = False,
    pooling: Literal["", "mean", "cls", "last"] = "",
    now_s: float = 0.0,
) -> Note:
    """Take a folder (config.json and safetensors) or a .gguf file in under a name; "" makes one of its own name.

    draft      folder to copy into, made here; whoever calls removes it should this process be killed
    is_linked  leave the files where they are; the model is gone when they are
    raises     BadModelError, ModelExistsError, NoDiskSpaceError
    """
    source = source.expanduser().resolve()
    facts = read_facts(source)
    if facts.format == "coreml" and pooling not in ("mean", "cls"):
        raise BadModelError(
            f"{source.name} is a text encoder: it gives vectors and writes nothing.",
            hint="Say how its vectors are pooled, as its description does: benchtop models import … --pooling mean|cls",
        )
    entry = _entry(name or to_name(source), source, facts, pooling)
    installed.check_is_free(entry.id)
    files = model_files(source)
    if is_linked:
        kept = _take_in(files, None)
        link = str(source if source.is_dir() else source.parent)
        return installed.publish(
            Note(entry=entry, files=kept, source=f"import: {source}", link=link, added_s=now_s), None
        )
    check_disk(installed.drafts_dir(), sum(path.stat().st_size for path in files))
    draft.mkdir()
    try:
        kept = _take_in(files, draft)
        return installed.publish(Note(entry=entry, files=kept, source=f"import: {source}", added_s=now_s), draft)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def quantise_model(
    installed: Installed, source: Path, draft: Path, name: str = "", bits: int = 4, now_s: float = 0.0
) -> Note:
    """Make a 4-bit copy (groups of 64) of a full-precision folder, and keep that. Needs the MLX runtime.

    raises  BadModelError (also when it is quantised already), EngineMissingError, ModelExistsError, NoDiskSpaceError
    """
    source = source.expanduser().resolve()
    facts = read_facts(source)
    if facts.format != "mlx" or facts.bits < 16:
        raise BadModelError(
            f"{source.name} is not a full-precision model.",
            hint="Give a folder with config.json and unquantised .safetensors files.",
        )
    name = name or f"{to_name(source)[:70]}-{bits}bit"
    installed.check_is_free(name)
    check_disk(installed.drafts_dir(), facts.weights_bytes * bits // facts.bits * 5 // 4)
    report_progress(0.05, "Reading the weights")
    try:
        _convert(source, draft, bits)
        entry = _entry(name, source, read_facts(draft), "")
        for path in set(draft.iterdir()) - set(model_files(draft)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        kept = _take_in(model_files(draft), None)
        return installed.publish(Note(entry=entry, files=kept, source=f"quantised: {source}", added_s=now_s), draft)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def model_files(source: Path) -> list[Path]:
    """The files of a model a runtime may read; links to somewhere else are followed, folders inside are not."""
    if source.is_file():
        return [source]
    return sorted(path for path in source.iterdir() if path.is_file() and is_model_file(path.name))


def to_name(source: Path) -> str:
    """A model id out of a file or folder name."""
    stem = source.name.removesuffix(".gguf").lower()
    return re.sub(r"[^a-z0-9._-]+", "-", stem).strip("-._")[:80] or "model"


def _convert(source: Path, target: Path, bits: int) -> None:
    os.environ["HF_HUB_OFFLINE"] = "1"  # nothing of a local model is looked up anywhere
    try:
        from mlx_lm import convert
    except ImportError:
        raise EngineMissingError(
            "Quantising needs the MLX runtime, which is not installed.", hint="pip install 'benchtop[mlx]'"
        ) from None
    try:
        convert(str(source), str(target), quantize=True, q_bits=bits, q_group_size=64)
    except (ValueError, KeyError, TypeError, OSError, RuntimeError) as fault:
        raise BadModelError(
            f"{source.name} could not be quantised: {str(fault)[:200] or type(fault).__name__}.",
            hint="Its architecture may not be known to the MLX runtime; sizes must be multiples of 64.",
        ) from fault


def _entry(name: str, source: Path, facts: ModelFacts, pooling: Literal["", "mean", "cls", "last"]) -> CatalogEntry:
    tier: Tier = "small" if facts.weights_bytes <= SMALL_BYTES else "medium"
    capabilities: tuple[Capability, ...] = ("embed",) if pooling else ("chat", "json")
    try:
        return CatalogEntry(
            id=name,
            title=source.name,
            tier=tier,
            engine=facts.format,
            bytes=facts.weights_bytes,
            bits=facts.bits,
            shape=to_entry(facts),
            context_tokens=facts.context_tokens,
            template="none" if pooling else "own",
            licence="the person's own to know",
            capabilities=capabilities,
            pooling=pooling,
        )
    except ValueError:
        raise BadModelError(
            f"{name[:80]!r} cannot be the name of a model.",
            hint="Use small letters, digits, dots and dashes, at most 80.",
        ) from None


def _take_in(files: list[Path], target: Path | None) -> dict[str, KeptFile]:
    """Copy files (or only read them, without a target); size and SHA-256 of each."""
    total = sum(path.stat().st_size for path in files) or 1
    kept: dict[str, KeptFile] = {}
    done = 0
    for path in files:
        digest, begun = hashlib.sha256(), done
        with path.open("rb") as stream, (target / path.name if target else Path(os.devnull)).open("wb") as out:
            while block := stream.read(_BLOCK):
                digest.update(block)
                out.write(block)
                done += len(block)
                report_progress(min(1.0, done / total), f"{done / 1e6:.0f} of {total / 1e6:.0f} MB")
        kept[path.name] = KeptFile(bytes=done - begun, sha256=digest.hexdigest())
    return kept
