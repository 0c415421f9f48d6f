"""A job that only fetches an accession, so that the real runtime and net are under test."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from desktop.core.ports import JobContext
from desktop.studios.omics.sources.accession import fetch_accession


class FetchParams(BaseModel):
    accession: str
    allow_net: bool = True


class FetchResult(BaseModel):
    folder: Path


async def run_fetch(ctx: JobContext, params: FetchParams) -> FetchResult:
    return FetchResult(folder=await fetch_accession(ctx, params.accession, allow_net=params.allow_net))
