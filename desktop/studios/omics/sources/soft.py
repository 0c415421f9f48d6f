"""GEO's own files: series matrices and SOFT families to series and samples, as GEO says them. Interprets nothing."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pandas as pd

from desktop.studios.omics.errors import UnreadableTableError
from desktop.studios.omics.sources.tables import Table, finish_table, parse_table

_MAX_SAMPLES = 20_000
_ACCESSION = re.compile(r"(?:SRX|ERX|DRX|SAMN|SAMEA|SAMD|SRS)\d+")


@dataclass
class GeoSample:
    """One GSM. `characteristics` are (key, value) as written, key "" where there is none; they may repeat."""

    accession: str
    title: str = ""
    source_name: str = ""
    organism: str = ""
    molecule: str = ""
    strategy: str = ""
    library_source: str = ""
    platform: str = ""
    description: str = ""
    characteristics: list[tuple[str, str]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    relations: list[str] = field(default_factory=list)
    n_rows: int | None = None
    channels: int = 1

    def linked(self, prefix: str) -> str:
        """The accession of a kind (SRX, SAMN …) that the record links to, or ""."""
        found = [hit for relation in self.relations for hit in _ACCESSION.findall(relation) if hit.startswith(prefix)]
        return found[0] if found else ""


@dataclass
class GeoSeries:
    """One GSE with its samples in GEO's order."""

    accession: str = ""
    title: str = ""
    summary: str = ""
    overall_design: str = ""
    types: list[str] = field(default_factory=list)
    relations: list[str] = field(default_factory=list)
    platforms: list[str] = field(default_factory=list)
    samples: dict[str, GeoSample] = field(default_factory=dict)

    @property
    def children(self) -> list[str]:
        """The series a SuperSeries is made of."""
        return [
            hit
            for relation in self.relations
            if relation.lower().startswith("superseries of")
            for hit in re.findall(r"GSE\d+", relation)
        ]


def is_series_matrix(head: str) -> bool:
    """GEO's table of samples in columns."""
    return head.lstrip("\ufeff").startswith("!Series_") or "\n!series_matrix_table_begin" in head[:200_000]


def is_soft(head: str) -> bool:
    """A SOFT family, series, sample or platform file."""
    return bool(re.match(r"\ufeff?\^(DATABASE|SERIES|SAMPLE|PLATFORM|DATASET)\s*=", head))


def is_platform_annotation(head: str) -> bool:
    """GEO's own annotation of a platform (GPL….annot)."""
    return bool(re.match(r"\ufeff?\^ANNOTATION\b", head, re.IGNORECASE))


def platform_tables(text: str) -> list[list[list[str]]]:
    """The probe tables of a SOFT family, platform or annotation file: rows of cells, the heading first."""
    tables: list[list[list[str]]] = []
    for part in re.split(r"(?m)^!platform_table_begin\s*$", text)[1:]:
        body = re.split(r"(?m)^!platform_table_end\s*$", part, maxsplit=1)[0]
        rows = [line.split("\t") for line in body.splitlines() if line]
        if len(rows) > 1:
            tables.append(rows)
    return tables


def split_characteristic(text: str) -> tuple[str, str]:
    """ "cell line: A549: clone 3" → ("cell line", "A549: clone 3"); without a key the key is ""."""
    key, mark, value = text.partition(":")
    if mark and key.strip() and len(key) <= 60 and not key.strip().lower().startswith(("http", "ftp")):
        return key.strip(), value.strip()
    return "", text.strip()


def read_series_matrix(text: str) -> tuple[GeoSeries, str]:
    """The series, and the text of its value table ("" when there is no row in it).

    raises   UnreadableTableError if the file ends inside its table
    """
    series = GeoSeries()
    columns: list[GeoSample] = []
    start = text.find("!series_matrix_table_begin")
    head = text if start < 0 else text[:start]
    for row in csv.reader(head.split("\n"), delimiter="\t"):
        if not row or not row[0].startswith("!"):
            continue
        key, values = row[0][1:], row[1:]
        if key.startswith("Series_"):
            for value in values:
                _series_field(series, key[7:], value)
        elif key.startswith("Sample_"):
            if not columns:
                columns = [GeoSample(accession="") for _ in values[:_MAX_SAMPLES]]
            for sample, value in zip(columns, values, strict=False):
                _sample_field(sample, key[7:], value)
    series.samples = {sample.accession: sample for sample in columns if sample.accession}
    if start < 0:
        return series, ""
    end = text.find("!series_matrix_table_end", start)
    if end < 0:
        raise UnreadableTableError(
            f"The series matrix of {series.accession or 'the series'} is cut off inside its table.",
            hint="Download the file again.",
            accession=series.accession,
        )
    table = text[text.index("\n", start) + 1 : end]
    return series, table if table.count("\n") > 1 else ""


def read_family(text: str) -> GeoSeries:
    """The series of a SOFT family with its samples."""
    series = GeoSeries()
    sample: GeoSample | None = None
    kind = ""
    for line in _outside_tables(text):
        if line.startswith("^"):
            kind, _, accession = (part.strip() for part in line[1:].partition("="))
            kind = kind.upper()
            if kind == "SAMPLE":
                if len(series.samples) >= _MAX_SAMPLES:
                    break
                sample = series.samples.setdefault(accession, GeoSample(accession=accession))
            elif kind == "SERIES" and not series.accession:
                series.accession = accession
        elif line.startswith("!"):
            key, _, value = (part.strip() for part in line[1:].partition("="))
            if kind == "SERIES" and key.startswith("Series_"):
                _series_field(series, key[7:], value)
            elif kind == "SAMPLE" and sample is not None and key.startswith("Sample_"):
                _sample_field(sample, key[7:], value)
    return series


def family_table(text: str, name: str) -> Table | None:
    """The values of the samples of a SOFT family, of the platform with the most of them; None where it holds none.

    Probes in rows by the samples' accessions; a probe that a sample leaves out is missing there.
    raises   UnreadableTableError if the file ends inside a table
    """
    found: dict[str, dict[str, dict[str, str]]] = {}  # platform → sample → probe → value
    for part in re.split(r"(?m)^\^SAMPLE\s*=\s*", text)[1:]:
        begin = re.search(r"(?m)^!sample_table_begin[^\n]*\n", part)
        if begin is None:
            continue
        end = part.find("\n!sample_table_end", begin.end() - 1)
        if end < 0:
            raise UnreadableTableError(f"{name} is cut off inside a table.", hint="Download it again.", file=name)
        heading, *rows = [line.split("\t") for line in part[begin.end() : end].split("\n") if line.strip()] or [[]]
        if "VALUE" not in heading or not rows:
            continue
        at = heading.index("VALUE")
        platform = re.search(r"(?m)^!Sample_platform_id\s*=\s*(\S+)", part)
        held = found.setdefault(platform.group(1) if platform else "", {})
        held[part[: part.index("\n")].strip()] = {row[0]: row[at] for row in rows if len(row) > at}
    if not found:
        return None
    samples = max(found.values(), key=len)
    probes = list(dict.fromkeys(probe for values in samples.values() for probe in values))
    columns = [[values.get(probe, "") for probe in probes] for values in samples.values()]
    frame = pd.DataFrame(dict(enumerate([probes, *columns])))
    made = finish_table(
        frame, ["ID_REF", *samples], name=name, separator="\t", as_text=False, comments=[], notes=[], is_made=False
    )
    return made if all(made.is_numeric(column) for column in range(1, len(made.heading))) else None


def _outside_tables(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        line = text[at:end]
        at = end + 1
        if re.match(r"!\w+_table_begin", line):
            kind = line[1:].split("_")[0]
            close = text.find(f"\n!{kind}_table_end", end)
            at = len(text) if close < 0 else close + 1
        elif line[:1] in ("^", "!"):
            yield line


def _series_field(series: GeoSeries, key: str, value: str) -> None:
    value = value.strip()
    if key == "geo_accession":
        series.accession = value
    elif key == "title":
        series.title = series.title or value
    elif key == "summary":
        series.summary = f"{series.summary} {value}".strip()
    elif key == "overall_design":
        series.overall_design = f"{series.overall_design} {value}".strip()
    elif key == "type" and value not in series.types:
        series.types.append(value)
    elif key == "relation" and value not in series.relations:
        series.relations.append(value)
    elif key == "platform_id" and value not in series.platforms:
        series.platforms.append(value)


_PLAIN = {
    "title": "title",
    "organism_ch1": "organism",
    "molecule_ch1": "molecule",
    "library_strategy": "strategy",
    "library_source": "library_source",
    "platform_id": "platform",
}


def _sample_field(sample: GeoSample, key: str, value: str) -> None:
    value = value.strip()
    if key == "geo_accession":
        sample.accession = value
    elif key in _PLAIN:
        setattr(sample, _PLAIN[key], getattr(sample, _PLAIN[key]) or value)
    elif key in ("source_name_ch1", "source_name"):
        sample.source_name = sample.source_name or value
    elif re.fullmatch(r"characteristics_ch\d", key) and value:
        name, text = split_characteristic(value)
        sample.characteristics.append((name if key.endswith("1") or not name else f"{name} channel {key[-1]}", text))
    elif key.startswith("supplementary_file") and value and value.upper() != "NONE":
        sample.files.append(value.rsplit("/", 1)[-1])
    elif key == "relation" and value:
        sample.relations.append(value)
    elif key == "description" and value:
        sample.description = f"{sample.description}\n{value}".strip()
    elif key == "data_row_count" and value.isdigit():
        sample.n_rows = int(value)
    elif key == "channel_count" and value.isdigit():
        sample.channels = int(value)


def matrix_table(text: str, name: str) -> Table:
    """The value table of a series matrix."""
    _, table = read_series_matrix(text)
    if not table:
        raise UnreadableTableError(
            f"{name} has no values in its table.", hint="The values are in the supplementary files.", file=name
        )
    return parse_table(table, name=name)
