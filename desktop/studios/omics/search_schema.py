"""What goes into a search of GEO and what comes out of it, as pydantic types."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Assay = Literal["expression", "rna_seq", "array", "any"]


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SearchParams(_Schema):
    """Words, and filters that all must hold. `allow_net` is the person's consent for this one search.

    text         words, or "a phrase"; may be empty when a filter is given
    organism     "human", "mouse" or a scientific name; empty is any
    assay        what was measured: "expression" is sequencing or arrays
    since_year   first released in that year or later; until_year in that year or before
    start        how many of the hits to pass over: the next page
    """

    text: str = Field(default="", max_length=500)
    organism: str = Field(default="", max_length=100)
    assay: Assay = "expression"
    min_samples: int | None = Field(default=None, ge=1, le=100_000)
    max_samples: int | None = Field(default=None, ge=1, le=100_000)
    since_year: int | None = Field(default=None, ge=2000, le=2200)
    until_year: int | None = Field(default=None, ge=2000, le=2200)
    limit: int = Field(default=20, ge=1, le=100)
    start: int = Field(default=0, ge=0, le=9_000)
    allow_net: bool = False


class SeriesHit(_Schema):
    """One series of GEO. `published` is YYYY-MM-DD; `files` the kinds of supplementary files, such as TAR, TXT."""

    accession: str
    title: str
    organism: str = ""
    assay: str = ""
    n_samples: int = 0
    platforms: list[str] = Field(default_factory=list)
    published: str = ""
    files: list[str] = Field(default_factory=list)
    pubmed_ids: list[str] = Field(default_factory=list)
    summary: str = ""


class SearchResult(_Schema):
    """The hits of one page, as GEO orders them; `query` is what was sent, `notes` what a person must know of it."""

    query: str
    total: int
    start: int
    hits: list[SeriesHit] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
