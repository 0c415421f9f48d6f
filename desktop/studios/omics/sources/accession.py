"""An accession → a local folder laid out as GEO lays out its own, which can then be read like any folder.

    <cache>/geo/GSE42872/series/GSE42nnn/GSE42872/{matrix,soft,suppl}/…   as in GEO's file tree
    <cache>/geo/GSE42872/download/…                                      the counts NCBI made itself, when it made any
    <cache>/geo/GSE42872/.provenance.json                                address, size, hash and date of every file

Files are links into the content cache, so offline the same call gives the same folder. What the files mean is not
judged here, except for what can never be analysed (reads, scans, tracks), which is left out and logged.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from desktop.core.errors import AppError
from desktop.core.ports import Fetched, JobContext
from desktop.net.errors import HtmlInsteadOfDataError, NotFoundError, TooLargeError
from desktop.studios.omics.errors import AmbiguousAccessionError, NothingAnalysableError, UnknownAccessionError
from desktop.studios.omics.sources.eutils import DESTINATION, Eutils
from desktop.studios.omics.sources.geo_urls import (
    Accession,
    GeoUrls,
    ListedFile,
    archive_members,
    archive_parents,
    https_url,
    is_skipped,
    listed_files,
    ncbi_count_links,
    page_text,
    recognise,
    record_fields,
    series_path,
)

PAGE_BYTES = 32 * 1024**2
FILE_BYTES = 1024**3  # one supplementary table or series matrix
SOFT_BYTES = 512 * 1024**2
ARCHIVE_BYTES = 1024**3  # RAW.tar, when its members may be tables
EXTRA_ARCHIVE_BYTES = 128 * 1024**2  # RAW.tar beside other tables: only when it costs little
EXPRESSION = "expression profiling"
_LAYING_OUT = threading.Lock()  # two jobs may want the same series; the second finds the folder whole


async def fetch_accession(ctx: JobContext, accession: str, *, allow_net: bool) -> Path:
    """The folder of a GSE, or of the one series a GSM, GDS, SRA or BioProject accession leads to.

    allow_net  the person's consent for this job; without it and without a setting, only the cache answers
    raises     UnknownAccessionError, AmbiguousAccessionError, NothingAnalysableError, net errors
    """
    geo = _Geo(ctx, allow_net)
    series = await geo.series_of(recognise(accession))
    record = await geo.record(series)
    children = [value.split()[-1] for value in _relations(record, "SuperSeries of:")]
    if children:
        series = await geo.one_child(series, children)
        await ctx.decide(f"use {series}", by="rule:superseries", because="the only expression series of a SuperSeries")
    ctx.log(f"{series}: reading the list of files")
    return await geo.collect(series)


class _Geo:
    """One call's conversation with GEO."""

    def __init__(self, ctx: JobContext, allow_net: bool) -> None:
        self._ctx, self._allow = ctx, allow_net
        net = ctx.settings("net")
        self._urls = GeoUrls(net.geo_url, net.ncbi_url, net.eutils_url)
        self._eutils = Eutils(ctx, self._urls, allow_net=allow_net)
        self._files: dict[str, Fetched] = {}  # path within the folder → what was fetched

    async def series_of(self, given: Accession) -> str:
        """The series an accession stands for."""
        if given.kind == "GSE":
            return given.text
        if given.kind == "GPL":
            raise UnknownAccessionError(
                f"{given.text} is a platform: a list of probes, without samples.",
                hint="Give the series (GSE…) whose samples you want to analyse.",
            )
        if given.kind == "GSM":
            record = await self.record(given.text)
            return self._only(given.text, record.get("Sample_series_id", []))
        if given.kind == "GDS":
            found = await self._series_rows([given.text.removeprefix("GDS")])
            return self._only(given.text, [f"GSE{n}" for row in found for n in _split(row.get("gse"))])
        if given.kind in ("PMID", "DOI"):
            rows = await self._of_paper(given)
        else:
            rows = await self._of_archive(given)
        expression = [row for row in rows if row.get("entrytype") == "GSE"]
        return self._only(given.text, [str(row["accession"]) for row in expression], expression)

    async def _of_archive(self, given: Accession) -> list[dict[str, Any]]:
        """What GEO has of an SRA or BioProject accession, by itself or by the project it belongs to."""
        if rows := await self._series_rows((await self._eutils.search("gds", given.text)).ids):
            return rows
        projects = [given.text]
        if given.kind == "SRA":
            runs = await self._eutils.summaries("sra", (await self._eutils.search("sra", given.text, limit=1)).ids)
            projects = [project for run in runs for project in archive_parents(str(run.get("expxml", "")))]
        for project in projects:
            if not project.startswith("PRJ"):
                rows = await self._series_rows((await self._eutils.search("gds", project)).ids)
            elif ids := (await self._eutils.search("bioproject", f"{project}[PRJA]")).ids:
                rows = await self._series_rows(await self._eutils.links("bioproject", "gds", "bioproject_gds", ids[0]))
            if rows:
                return rows
        return []

    async def _of_paper(self, given: Accession) -> list[dict[str, Any]]:
        """The series that PubMed links to a paper."""
        pubmed_id = given.text.removeprefix("PMID:")
        if given.kind == "DOI":
            ids = (await self._eutils.search("pubmed", f"{given.text}[DOI]", limit=2)).ids
            if len(ids) != 1:
                raise UnknownAccessionError(
                    f"PubMed has no one paper with the DOI {given.text}.",
                    hint="Give the GSE accession that the paper names under its data availability.",
                )
            pubmed_id = ids[0]
        return await self._series_rows(await self._eutils.links("pubmed", "gds", "pubmed_gds", pubmed_id))

    async def _series_rows(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        rows = await self._eutils.summaries("gds", list(ids)[:50])
        return [row for row in rows if row.get("accession")]

    async def record(self, accession: str) -> dict[str, list[str]]:
        """The brief record; private, withdrawn and unknown accessions come as web pages with status 200."""
        try:
            text = await self._text(self._urls.record(accession))
        except NotFoundError:
            text = ""
        fields = record_fields(text) if text.lstrip().startswith(("^", "!")) else {}
        if not any(key.endswith("_geo_accession") for key in fields):
            raise _unknown(accession, page_text(text))
        return fields

    async def one_child(self, series: str, children: list[str]) -> str:
        """The one expression series of a SuperSeries; several are never merged, the person chooses."""
        try:
            rows = await self._series_rows([str(200_000_000 + int(child.removeprefix("GSE"))) for child in children])
        except AppError as fault:
            self._ctx.log(f"the parts of {series} could not be described: {fault}")
            rows = []
        described = {str(row.get("accession")): row for row in rows}
        usable = [c for c in children if EXPRESSION in str(described.get(c, {}).get("gdstype", EXPRESSION)).lower()]
        if len(usable) == 1:
            self._ctx.warn(f"{series} is a SuperSeries; its only expression series, {usable[0]}, is used.")
            return usable[0]
        if not usable:
            raise NothingAnalysableError(
                f"{series} is a SuperSeries, and none of its parts measures expression: {_described(children, rows)}.",
                hint="Give another accession.",
            )
        raise _ambiguous(f"{series} is a SuperSeries: {_described(usable, rows)}.", usable)

    async def collect(self, series: str) -> Path:
        """Fetch what may be analysed and lay it out; returns the folder."""
        matrix = [f for f in await self._listing(series, "matrix") if f.name.endswith("_series_matrix.txt.gz")]
        soft = [f for f in await self._listing(series, "soft") if f.name.endswith("_family.soft.gz")]
        supplementary = await self._supplementary(series)
        counts = ncbi_count_links(await self._text(self._urls.download_page(series), is_optional=True))
        wanted = [
            *((f"{series_path(series)}/matrix/{f.name}", FILE_BYTES) for f in matrix),
            *((f"{series_path(series)}/soft/{f.name}", SOFT_BYTES) for f in soft),
            *((f"{series_path(series)}/suppl/{f.name}", FILE_BYTES) for f in supplementary),
        ]
        total = len(wanted) + len(counts)
        for number, (path, limit) in enumerate(wanted):
            self._ctx.progress(number / total, path.rpartition("/")[2])
            await self._file(f"{self._urls.geo}/{path}", path, limit)
        for number, (query, name) in enumerate(counts, len(wanted)):
            self._ctx.progress(number / total, name)
            await self._file(f"{self._urls.ncbi}/geo/download/?{query}", f"download/{name}", FILE_BYTES)
        if not self._files:
            raise NothingAnalysableError(
                f"{series} has no file that Benchtop can analyse.",
                hint="It may hold only raw reads or tracks; look for a counts table with the paper and give that file.",
            )
        return await asyncio.to_thread(self._lay_out, series)

    async def _supplementary(self, series: str) -> list[ListedFile]:
        """Supplementary files worth having: tables, and RAW.tar when its members may be tables and it is needed."""
        listed = await self._listing(series, "suppl")
        tables = [f for f in listed if not is_skipped(f.name) and not f.name.endswith("_RAW.tar")]
        archives = [f for f in listed if f.name.endswith("_RAW.tar")]
        has_other_tables = any(f.name != "filelist.txt" for f in tables)
        for archive in archives:
            members = await self._members(series) if any(f.name == "filelist.txt" for f in listed) else []
            limit = EXTRA_ARCHIVE_BYTES if has_other_tables else ARCHIVE_BYTES
            if members and all(is_skipped(member.name) for member in members):
                self._ctx.log(f"{archive.name} is left out: it holds only reads, scans or tracks")
            elif (archive.size_bytes or 0) > limit:
                self._ctx.warn(f"{archive.name} is left out: it is larger than {limit // 1024**2} MiB.")
            else:
                tables.append(archive)
        for left_out in (f for f in listed if is_skipped(f.name)):
            self._ctx.log(f"{left_out.name} is left out: not a table")
        return tables

    async def _members(self, series: str) -> list[ListedFile]:
        url = f"{self._urls.series_folder(series)}suppl/filelist.txt"
        return archive_members(await self._text(url, is_optional=True))

    async def _listing(self, series: str, folder: str) -> list[ListedFile]:
        url = f"{self._urls.series_folder(series)}{folder}/"
        return listed_files(await self._text(url, is_optional=True))

    async def _file(self, url: str, path: str, limit: int) -> None:
        def on_progress(received: int, total: int | None) -> None:
            if total and received == total:
                self._ctx.log(f"{path.rpartition('/')[2]}: {total:,} bytes")

        try:
            self._files[path] = await self._ctx.net.fetch(
                https_url(url), destination=DESTINATION, max_bytes=limit, allow=self._allow, on_progress=on_progress
            )
        except TooLargeError:
            self._ctx.warn(f"{path.rpartition('/')[2]} is left out: it is larger than {limit // 1024**2} MiB.")
        except (NotFoundError, HtmlInsteadOfDataError) as fault:
            self._ctx.warn(f"{path.rpartition('/')[2]} is listed, but could not be had: {fault}")

    async def _text(self, url: str, *, is_optional: bool = False) -> str:
        try:
            page = await self._ctx.net.fetch(
                url, destination=DESTINATION, max_bytes=PAGE_BYTES, refresh=True, allow=self._allow, page=True
            )
        except NotFoundError:
            if is_optional:
                return ""
            raise
        return page.path.read_bytes().decode("utf-8", errors="replace")

    def _only(self, asked: str, series: list[str], rows: list[dict[str, Any]] | None = None) -> str:
        series = list(dict.fromkeys(series))
        if not series:
            raise UnknownAccessionError(
                f"No GEO series belongs to {asked}.",
                hint="Check it: data that is only in SRA has no counts yet; a paper may name its series in its text.",
            )
        if len(series) > 1:
            raise _ambiguous(f"{asked} belongs to several series: {_described(series, rows or [])}.", series)
        self._ctx.log(f"{asked} belongs to {series[0]}")
        return series[0]

    def _lay_out(self, series: str) -> Path:
        """Build the folder aside and put it in place by one rename; an equal one stays as it is."""
        with _LAYING_OUT:
            return self._laid_out(series)

    def _laid_out(self, series: str) -> Path:
        folder = self._ctx.paths.cache / "geo" / series
        rows = [
            {"path": path, "url": f.url, "bytes": f.bytes, "sha256": f.sha256, "fetched_s": f.fetched_s}
            for path, f in sorted(self._files.items())
        ]
        if _is_laid_out(folder, rows):
            return folder
        self._ctx.paths.scratch.mkdir(parents=True, exist_ok=True)
        draft = self._ctx.paths.scratch / f"geo-{series}-{uuid.uuid4().hex}"
        try:
            for path, fetched in self._files.items():
                target = draft / path
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(fetched.path, target)
                except OSError:
                    shutil.copy2(fetched.path, target)
            (draft / ".provenance.json").write_text(json.dumps(rows, indent=1), "utf-8")
            folder.parent.mkdir(parents=True, exist_ok=True)
            if folder.exists():
                folder.rename(draft.with_suffix(".old"))
            draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
            shutil.rmtree(draft.with_suffix(".old"), ignore_errors=True)
        return folder


def _is_laid_out(folder: Path, rows: list[dict[str, Any]]) -> bool:
    try:
        there = json.loads((folder / ".provenance.json").read_text("utf-8"))
        sizes = [(folder / row["path"]).stat().st_size for row in rows]
    except (OSError, ValueError):
        return False
    return bool(there == rows) and sizes == [row["bytes"] for row in rows]


def _relations(record: dict[str, list[str]], kind: str) -> list[str]:
    return [value for value in record.get("Series_relation", []) if value.startswith(kind)]


def _split(value: object) -> list[str]:
    return [part.strip() for part in str(value or "").split(";") if part.strip()]


def _described(series: list[str], rows: list[dict[str, Any]]) -> str:
    known = {str(row.get("accession")): row for row in rows}
    words = []
    for accession in series:
        row = known.get(accession, {})
        facts = [str(row[k]) for k in ("title", "gdstype") if row.get(k)]
        facts += [f"{row['n_samples']} samples"] if row.get("n_samples") else []
        words.append(f"{accession} ({'; '.join(facts)})" if facts else accession)
    return ", ".join(words)


def _ambiguous(message: str, series: list[str]) -> AmbiguousAccessionError:
    return AmbiguousAccessionError(message, hint=f"Choose one of them: {', '.join(series)}.", choices=", ".join(series))


def _unknown(accession: str, words: str) -> UnknownAccessionError:
    lower = words.lower()
    if "private" in lower and "could not find" not in lower:
        return UnknownAccessionError(
            f"{accession} exists, but is private.", hint="Its authors have not released it yet; try again later."
        )
    if "deleted" in lower or "withdrawn" in lower:
        return UnknownAccessionError(
            f"{accession} was withdrawn.", hint="Look in the paper for the accession that replaces it."
        )
    return UnknownAccessionError(
        f"GEO does not know {accession}.", hint="Check it for typing errors; it looks like GSE52778."
    )
