"""The job `omics.search_geo`: words and filters to series of GEO. Fetches no data; opening a hit does."""

from __future__ import annotations

import re
from typing import Any

from desktop.core.errors import InputError
from desktop.core.ports import JobContext
from desktop.studios.omics.search_schema import Assay, SearchParams, SearchResult, SeriesHit
from desktop.studios.omics.sources.eutils import Eutils
from desktop.studios.omics.sources.geo_urls import GeoUrls

COMMON_NAMES = {
    "human": "Homo sapiens",
    "mouse": "Mus musculus",
    "rat": "Rattus norvegicus",
    "zebrafish": "Danio rerio",
    "fruit fly": "Drosophila melanogaster",
    "fly": "Drosophila melanogaster",
    "worm": "Caenorhabditis elegans",
    "yeast": "Saccharomyces cerevisiae",
    "arabidopsis": "Arabidopsis thaliana",
    "pig": "Sus scrofa",
    "chicken": "Gallus gallus",
}
_SEQUENCING, _ARRAY = "expression profiling by high throughput sequencing", "expression profiling by array"
ASSAYS: dict[Assay, tuple[str, ...]] = {
    "expression": (_SEQUENCING, _ARRAY),
    "rna_seq": (_SEQUENCING,),
    "array": (_ARRAY,),
    "any": (),
}
_SUMMARY_CHARS = 1500


class EmptySearchError(InputError):
    """A search without words and without filters."""

    code = "omics.empty_search"


async def run_search(ctx: JobContext, params: SearchParams) -> SearchResult:
    """Search GEO's series. Raises EmptySearchError and the net's errors."""
    term = to_term(params)
    net = ctx.settings("net")
    eutils = Eutils(ctx, GeoUrls(net.geo_url, net.ncbi_url, net.eutils_url), allow_net=params.allow_net)
    with ctx.step("Search", upto=0.5):
        found = await eutils.search("gds", term, limit=params.limit, start=params.start)
    with ctx.step("Read the hits", upto=1.0):
        rows = await eutils.summaries("gds", found.ids)
    hits = [hit for row in rows if (hit := _hit(row)) is not None]
    fitting = [hit for hit in hits if fits(hit, params)]
    notes = (
        [f"GEO does not know {', '.join(f'“{word}”' for word in found.unknown_words)}."] if found.unknown_words else []
    )
    if len(fitting) < len(hits):
        notes.append(f"{len(hits) - len(fitting)} hits do not meet the filters after all, and are left out.")
    if found.total > 0 and not rows:
        notes.append("GEO found series, but told nothing of them; try again later.")
    return SearchResult(query=term, total=found.total, start=params.start, hits=fitting, notes=notes)


def to_term(params: SearchParams) -> str:
    """The search in NCBI's query language. Words as typed lose what only that language gives a meaning."""
    text = " ".join("".join(c if c.isprintable() else " " for c in params.text).split())
    text = re.sub(r"[\[\]{}()|&\\:]", " ", text)
    if text.count('"') % 2:
        text = text.replace('"', " ")
    text = " ".join(text.split())
    organism = _organism(params.organism)
    types = " OR ".join(f'"{kind}"[DataSet Type]' for kind in ASSAYS[params.assay])
    parts = [
        f"({text})" if text else "",
        "gse[ETYP]",
        f'"{organism}"[Organism]' if organism else "",
        f"({types})" if types else "",
        _between(params.min_samples, params.max_samples, 1, 100_000, "n_samples"),
        _between(params.since_year, params.until_year, 2000, 2200, "PDAT"),
    ]
    if not any(parts[n] for n in (0, 2, 4, 5)):
        raise EmptySearchError(
            "There is nothing to search for.", hint="Type words such as: asthma dexamethasone, or set a filter."
        )
    return " AND ".join(filter(None, parts))


def fits(hit: SeriesHit, params: SearchParams) -> bool:
    """Whether what is told of a hit meets the filters; what is not told counts as met."""
    organism = _organism(params.organism).lower()
    year = int(hit.published[:4]) if hit.published[:4].isdigit() else None
    kinds = ASSAYS[params.assay]
    return (
        (not organism or not hit.organism or organism in hit.organism.lower())
        and (not kinds or not hit.assay or any(kind in hit.assay.lower() for kind in kinds))
        and (not hit.n_samples or hit.n_samples >= (params.min_samples or 0))
        and (params.max_samples is None or hit.n_samples <= params.max_samples)
        and (year is None or (params.since_year or 0) <= year <= (params.until_year or 9999))
    )


def _organism(text: str) -> str:
    plain = " ".join(re.sub(r'["\[\]()]', " ", text).split())
    return COMMON_NAMES.get(plain.lower(), plain)


def _between(low: int | None, high: int | None, lowest: int, highest: int, field: str) -> str:
    return "" if low is None and high is None else f"{low or lowest}:{high or highest}[{field}]"


def _hit(row: dict[str, Any]) -> SeriesHit | None:
    """A summary as a hit; None for what is no series. The UID is never shown as an accession."""
    accession = str(row.get("accession") or "")
    if row.get("entrytype") != "GSE" or not re.fullmatch(r"GSE\d+", accession):
        return None
    n_samples = str(row.get("n_samples") or "")
    return SeriesHit(
        accession=accession,
        title=_text(row.get("title")) or accession,
        organism=_text(row.get("taxon")),
        assay=_text(row.get("gdstype")),
        n_samples=int(n_samples) if n_samples.isdigit() else 0,
        platforms=[f"GPL{number}" for number in re.findall(r"\d+", str(row.get("gpl") or ""))],
        published=_text(row.get("pdat")).replace("/", "-"),
        files=[part.strip() for part in _text(row.get("suppfile")).split(",") if part.strip()],
        pubmed_ids=[str(uid) for uid in row.get("pubmedids") or [] if str(uid).isdigit()],
        summary=_text(row.get("summary"))[:_SUMMARY_CHARS],
    )


def _text(value: object) -> str:
    """One printable line."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(value or "")).split())
