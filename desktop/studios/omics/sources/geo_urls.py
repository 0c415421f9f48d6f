"""GEO's addresses and page shapes: accession → folder, index page → file names, brief record → fields. No fetching.

Sources: GEO's file tree (ftp.ncbi.nlm.nih.gov/geo), its acc.cgi text records, and its download page for the
counts that NCBI makes itself, which no metadata interface lists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Literal
from urllib.parse import parse_qs, quote, unquote, urlsplit

from desktop.studios.omics.errors import UnknownAccessionError

AccessionKind = Literal["GSE", "GSM", "GPL", "GDS", "SRA", "PRJ", "PMID", "DOI"]
_GEO = re.compile(r"(GSE|GSM|GPL|GDS)(\d{1,10})\Z", re.IGNORECASE)
_SRA = re.compile(r"[SED]R[PRXS]\d{5,12}\Z", re.IGNORECASE)
_PMID = re.compile(r"(?:(?:pmid|pubmed)[:\s]*|https?://pubmed\.ncbi\.nlm\.nih\.gov/)(\d{1,8})/?\Z", re.IGNORECASE)
_DOI = re.compile(r"(?:doi:\s*|https?://(?:dx\.)?doi\.org/)?(10\.\d{4,9}/[^\s\"<>\[\]]{1,200})\Z", re.IGNORECASE)
_PARENT = re.compile(r"<Study acc=\"([SED]RP\d{5,12})\"|<Bioproject>(PRJ[A-Z]{2}\d{1,10})</Bioproject>")
_PRJ = re.compile(r"PRJ(NA|EB|DB)\d{1,10}\Z", re.IGNORECASE)
_SKIPPED = re.compile(
    r"\.(cel|chp|idat|fast[aq]|f[aq]|sra|bam|bai|sam|cram|bw|bigwig|bb|bigbed|wig|bedgraph|bdg|bed\d*|tdf|hic|m?cool"
    r"|narrowpeak|broadpeak|gappedpeak|vcf|bcf|gtf|gff3?|pdf|png|jpe?g|tiff?|svg|docx?|pptx?|rds|rda|rdata)"
    r"(\.(gz|bz2|zip|xz|tar))*\Z",
    re.IGNORECASE,
)
_SIZE = re.compile(r"\s(\d+(?:\.\d+)?)([KMGT]?)\s*\Z")
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


@dataclass(frozen=True, slots=True)
class Accession:
    """What was typed, in capitals: `text` "GSE42872", `kind` "GSE"; a paper is "PMID:24926665", or its DOI."""

    kind: AccessionKind
    text: str


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A row of an index page. `size_bytes` is what the page says, rounded as there; None when it says nothing."""

    name: str
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class GeoUrls:
    """Addresses under the three bases of the net settings."""

    geo: str
    ncbi: str
    eutils: str

    def series_folder(self, series: str) -> str:
        """…/series/GSE42nnn/GSE42872/"""
        return f"{self.geo}/{series_path(series)}/"

    def record(self, accession: str) -> str:
        """The brief text record of one GEO accession."""
        return f"{self.ncbi}/geo/query/acc.cgi?acc={accession}&targ=self&form=text&view=brief"

    def download_page(self, series: str) -> str:
        """The page that lists the counts NCBI made for a series, when it made any."""
        return f"{self.ncbi}/geo/download/?acc={series}"

    def eutil(self, name: str, **params: str) -> str:
        """An E-utilities call that answers in JSON."""
        query = "&".join(f"{key}={quote(value)}" for key, value in params.items())
        return f"{self.eutils}/{name}.fcgi?{query}&retmode=json"


def is_accession(text: str) -> bool:
    """Whether the text has the shape of an accession, or is an address of one."""
    return _recognised(text) is not None


def recognise(text: str) -> Accession:
    """GSE, GSM, GPL, GDS, SRA and BioProject accessions, PMIDs and DOIs, typed or pasted as an address.

    raises   UnknownAccessionError
    """
    found = _recognised(text)
    if found is None:
        raise UnknownAccessionError(
            f"“{text.strip()[:80]}” is neither a file on this machine nor an accession.",
            hint="Give a file, a folder, or an accession such as GSE52778 (GSE, GSM, GDS, SRP, PRJNA, PMID: or DOI).",
        )
    return found


def _recognised(text: str) -> Accession | None:
    text = text.strip()
    if paper := _PMID.match(text):
        return Accession("PMID", f"PMID:{paper[1].lstrip('0')}") if paper[1].strip("0") else None
    if paper := _DOI.match(text):
        return Accession("DOI", paper[1].rstrip(".,;"))
    if text.lower().startswith(("http://", "https://")):
        parts = urlsplit(text)
        text = (parse_qs(parts.query).get("acc") or [parts.path.rstrip("/").rpartition("/")[2]])[0]
    text = text.upper()
    if match := _GEO.match(text):
        number = match[2].lstrip("0")
        kinds: dict[str, AccessionKind] = {"GSE": "GSE", "GSM": "GSM", "GPL": "GPL", "GDS": "GDS"}
        return Accession(kinds[match[1]], match[1] + number) if number else None
    if _SRA.match(text):
        return Accession("SRA", text)
    return Accession("PRJ", text) if _PRJ.match(text) else None


def series_path(series: str) -> str:
    """series/GSE42nnn/GSE42872: the last three digits make the shard; below 1000 it is GSEnnn."""
    return f"series/GSE{series.removeprefix('GSE')[:-3]}nnn/{series}"


def https_url(url: str) -> str:
    """Records still print ftp:// addresses of a server that answers https."""
    return "https://" + url.removeprefix("ftp://") if url.startswith("ftp://") else url


def is_skipped(name: str) -> bool:
    """Reads, array scans, tracks, peaks, pictures and R objects: nothing this program analyses."""
    return _SKIPPED.search(name) is not None


def listed_files(html: str) -> list[ListedFile]:
    """Files of an index page: no sort links, no parent folder, no sub-folders, no link that leads elsewhere."""
    page = _Links()
    page.feed(html)
    page.close()
    files: dict[str, ListedFile] = {}
    for href, trailing in page.links:
        if not href or href.startswith(("?", "#", "/", ".")) or "/" in href or ":" in href:
            continue
        name = unquote(href)
        if name not in ("", ".", "..") and "/" not in name and "\\" not in name and "\0" not in name:
            size = _SIZE.search(" " + trailing.strip())
            files[name] = ListedFile(name, int(float(size[1]) * _UNITS[size[2]]) if size else None)
    return list(files.values())


def ncbi_count_links(html: str) -> list[tuple[str, str]]:
    """(query, file name) of the raw counts and the gene annotation on a series' download page; empty when none."""
    page = _Links()
    page.feed(html)
    page.close()
    found: dict[str, str] = {}
    for href, _ in page.links:
        name = (parse_qs(urlsplit(href).query).get("file") or [""])[0]
        is_wanted = "_raw_counts_" in name or name.endswith(".annot.tsv.gz")
        if is_wanted and re.fullmatch(r"[\w.\-]+", name):
            found[name] = urlsplit(href).query
    has_counts = any("_raw_counts_" in name for name in found)
    return [(query, name) for name, query in found.items()] if has_counts else []


def record_fields(text: str) -> dict[str, list[str]]:
    """`!Series_title = …` lines of a brief record: field → values in order."""
    fields: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith(("!", "^")):
            key, _, value = line[1:].partition("=")
            fields.setdefault(key.strip(), []).append(value.strip())
    return fields


def archive_members(filelist: str) -> list[ListedFile]:
    """Members of RAW.tar from the filelist.txt beside it."""
    rows = [line.split("\t") for line in filelist.splitlines()]
    return [
        ListedFile(row[1], int(row[3]) if row[3].isdigit() else None)
        for row in rows
        if len(row) >= 4 and row[0].strip().lower() == "file"
    ]


def archive_parents(expxml: str) -> list[str]:
    """The study and the project (SRP…, PRJNA…) that a summary of the Sequence Read Archive names."""
    found = [study or project for study, project in _PARENT.findall(expxml.replace("&lt;", "<").replace("&gt;", ">"))]
    return list(dict.fromkeys(found))


def page_text(html: str) -> str:
    """The words of a web page, without markup and scripts."""
    page = _Links()
    page.feed(html)
    page.close()
    return " ".join(" ".join(page.words).split())


class _Links(HTMLParser):
    """Every link with the text between it and the next one, and all words."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []
        self.words: list[str] = []
        self._silent = 0
        self._in_link = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in ("script", "style")
        if tag == "a":
            self._in_link = True
            self.links.append((dict(attrs).get("href") or "", ""))

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style") and self._silent > 0
        if tag == "a":
            self._in_link = False

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        self.words.append(data)
        if self.links and not self._in_link:
            href, trailing = self.links[-1]
            self.links[-1] = (href, trailing + data)
