"""Jobs that bring models to this machine: download one of the catalogue, import one's own, quantise one's own."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from desktop.core.ports import JobContext
from desktop.engines import download
from desktop.engines.errors import BadModelError
from desktop.engines.hub import Hub, download_files, list_files
from desktop.engines.importing import import_model, quantise_model
from desktop.engines.installed import Note
from desktop.studios.machine.queries import fit_of, installed

DESTINATION = "huggingface"


class DownloadModelParams(BaseModel):
    """`model`: an id of the catalogue. `allow_net` is the person's consent for this one job."""

    model_config = ConfigDict(extra="forbid")

    model: str
    allow_net: bool = False


class ImportModelParams(BaseModel):
    """`source`: a folder with config.json and safetensors, or a .gguf file. `link` leaves the files where they are."""

    model_config = ConfigDict(extra="forbid")

    source: Path
    name: str = ""
    link: bool = False
    pooling: Literal["", "mean", "cls", "last"] = ""


class QuantiseModelParams(BaseModel):
    """`source`: a full-precision folder with config.json and safetensors."""

    model_config = ConfigDict(extra="forbid")

    source: Path
    name: str = ""
    bits: Literal[4, 8] = Field(4)


class AddedModel(BaseModel):
    """A model that is on this machine now. `unverified`: files no hash was known of; it is from now on."""

    model: str
    bytes: int
    source: str
    licence: str
    unverified: list[str] = []


async def run_download_model(ctx: JobContext, params: DownloadModelParams) -> AddedModel:
    """Download, check and make known. Stopped or broken off, it goes on where it was.

    raises  UnknownModelError, ModelExistsError, ConsentNeededError, NoDiskSpaceError, ModelGatedError,
            DamagedDownloadError, ServerUnreachableError, ServerBusyError
    """
    models = installed(ctx.paths)
    entry = models.find(params.model).entry
    models.check_is_free(entry.id)
    if not entry.is_local or not entry.repository:
        raise BadModelError(
            f"{entry.title} is not a model to download.", hint="It runs on a server: name the server in the settings."
        )
    models.forget_old_drafts(ctx.clock.now_s())
    fit = fit_of(models, entry.id, ctx.settings("memory"))
    ctx.log(fit.words)
    if fit.verdict == "never":
        ctx.warn(f"{fit.words} It is downloaded all the same.")
    pin = models.pin(entry.repository)
    revision = entry.revision or (pin.revision if pin else None)
    with ctx.step("Asking the hub", upto=0.02):
        where = f"/api/models/{entry.repository}" + (f"/revision/{revision}" if revision else "")
        permit = await ctx.net.permit([where], destination=DESTINATION, allow=params.allow_net)
        hub = Hub(permit.base_url, permit.domains, permit.secret)
        listing = download.needed_files(entry, await ctx.aside(list_files, hub, entry.repository, revision))
    draft = download.draft_dir(models, entry, listing)
    expected = download.expected_hashes(entry, pin, listing)
    download.check_disk(models.drafts_dir(), download.left_to_fetch(draft, listing))
    with ctx.step("Downloading", upto=0.98):
        paths = [f"/{entry.repository}/resolve/{listing.revision}/{file.name}" for file in listing.files]
        await ctx.net.permit(paths, destination=DESTINATION, allow=params.allow_net)
        hashes = await ctx.aside(download_files, hub, listing, draft, expected)
    with ctx.step("Checking", upto=1.0):
        note = await ctx.io(download.finish, models, entry, listing, hashes, ctx.clock.now_s())
    unverified = [name for name, digest in expected.items() if digest is None]
    if unverified:
        ctx.log(f"no hash was known of {', '.join(unverified)}: what came now is what is expected from now on")
    await ctx.decide(
        f"took in the model {entry.id}",
        by="person",
        because=f"downloaded from {listing.repository} at {listing.revision}",
        inputs=hashes,
    )
    return _added(note, unverified)


async def run_import_model(ctx: JobContext, params: ImportModelParams) -> AddedModel:
    """Take a local model in. Raises BadModelError, ModelExistsError, NoDiskSpaceError."""
    models = installed(ctx.paths)
    draft = models.drafts_dir() / f"import-{ctx.job_id}"
    wish = (params.name, params.link, params.pooling, ctx.clock.now_s())
    with ctx.step("Reading the model", upto=1.0):
        note = await _with_draft(ctx, draft, import_model, models, params.source, draft, *wish)
    return await _told(ctx, note)


async def run_quantise_model(ctx: JobContext, params: QuantiseModelParams) -> AddedModel:
    """Make a small copy of a local full-precision model.

    raises  BadModelError, EngineMissingError, ModelExistsError, NoDiskSpaceError
    """
    models = installed(ctx.paths)
    draft = models.drafts_dir() / f"quantise-{ctx.job_id}"
    wish = (params.name, params.bits, ctx.clock.now_s())
    with ctx.step("Quantising", upto=1.0):
        note = await _with_draft(ctx, draft, quantise_model, models, params.source, draft, *wish)
    return await _told(ctx, note)


async def _with_draft(ctx: JobContext, draft: Path, fn: Callable[..., Note], *args: Any) -> Note:
    """Nothing half-made stays, also when the child was killed."""
    try:
        return await ctx.aside(fn, *args)
    finally:
        await asyncio.shield(ctx.io(shutil.rmtree, draft, True))


async def _told(ctx: JobContext, note: Note) -> AddedModel:
    inputs = {name: kept.sha256 for name, kept in note.files.items()}
    await ctx.decide(f"took in the model {note.entry.id}", by="person", because=note.source, inputs=inputs)
    return _added(note, [])


def _added(note: Note, unverified: list[str]) -> AddedModel:
    return AddedModel(
        model=note.entry.id,
        bytes=sum(kept.bytes for kept in note.files.values()),
        source=note.source,
        licence=note.entry.licence,
        unverified=unverified,
    )
