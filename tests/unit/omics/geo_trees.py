"""Builds GEO folders in miniature around generated counts, for tests of discovery. Accessions are invented."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def gene_names(count: int) -> list[str]:
    return [f"ENSG{number:011d}" for number in range(1, count + 1)]


def make_counts(genes: int, samples: int, seed: int = 1) -> NDArray[np.int64]:
    """(G, S) reads with depth differences between samples, gene effects and zeros."""
    random = np.random.default_rng(seed)
    level = random.lognormal(3.5, 2.0, size=(genes, 1))
    depth = random.uniform(0.6, 1.6, size=(1, samples))
    noise = random.lognormal(0.0, 0.35, size=(genes, samples))
    return random.poisson(level * depth * noise).astype(np.int64)


@dataclass
class Sample:
    accession: str
    title: str
    characteristics: Sequence[str] = ()
    source: str = "cells"
    strategy: str = "RNA-Seq"
    library_source: str = "transcriptomic"
    organism: str = "Homo sapiens"
    platform: str = "GPL11154"
    relations: Sequence[str] = ()


@dataclass
class Series:
    accession: str
    samples: Sequence[Sample]
    title: str = "A series"
    type: str = "Expression profiling by high throughput sequencing"
    relations: Sequence[str] = ()
    tables: Mapping[str, str] = field(default_factory=dict)  # platform → text of the value table


def table_text(
    ids: Sequence[str], columns: Sequence[str], values: NDArray[np.generic], *, sep: str = "\t", corner: str = "gene_id"
) -> str:
    lines = [sep.join([corner, *columns])]
    lines += [sep.join([identifier, *map(str, row.tolist())]) for identifier, row in zip(ids, values, strict=True)]
    return "\n".join(lines) + "\n"


def write(path: Path, text: str | bytes) -> Path:
    """Write text, packed where the name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


def write_series(root: Path, series: Series) -> Path:
    """The series' folder in GEO's layout: matrix, soft, an empty suppl."""
    folder = root / "series" / f"{series.accession[:-3]}nnn" / series.accession
    platforms = list(dict.fromkeys(sample.platform for sample in series.samples))
    for platform in platforms:
        own = [sample for sample in series.samples if sample.platform == platform]
        name = f"{series.accession}{'-' + platform if len(platforms) > 1 else ''}_series_matrix.txt.gz"
        write(folder / "matrix" / name, _matrix(series, own, series.tables.get(platform, "")))
    write(folder / "soft" / f"{series.accession}_family.soft.gz", _family(series))
    (folder / "suppl").mkdir()
    return folder


def _matrix(series: Series, samples: Sequence[Sample], table: str) -> str:
    def row(name: str, values: Sequence[str]) -> str:
        return "\t".join([f"!{name}", *(f'"{value}"' for value in values)])

    lines = [
        row("Series_title", [series.title]),
        row("Series_geo_accession", [series.accession]),
        row("Series_type", [series.type]),
    ]
    lines += [row("Series_relation", [relation]) for relation in series.relations]
    lines += [
        "",
        row("Sample_title", [s.title for s in samples]),
        row("Sample_geo_accession", [s.accession for s in samples]),
    ]
    lines += [
        row("Sample_source_name_ch1", [s.source for s in samples]),
        row("Sample_organism_ch1", [s.organism for s in samples]),
    ]
    for number in range(max((len(s.characteristics) for s in samples), default=0)):
        lines.append(
            row(
                "Sample_characteristics_ch1",
                [(list(s.characteristics)[number : number + 1] or [""])[0] for s in samples],
            )
        )
    lines += [
        row("Sample_library_strategy", [s.strategy for s in samples]),
        row("Sample_library_source", [s.library_source for s in samples]),
    ]
    lines += [row("Sample_platform_id", [s.platform for s in samples]), "!series_matrix_table_begin"]
    body = table or "\t".join(['"ID_REF"', *(f'"{s.accession}"' for s in samples)]) + "\n"
    return "\n".join(lines) + "\n" + body + "!series_matrix_table_end\n"


def _family(series: Series) -> str:
    lines = [
        "^DATABASE = GeoMiame",
        f"^SERIES = {series.accession}",
        f"!Series_title = {series.title}",
        f"!Series_geo_accession = {series.accession}",
    ]
    lines += [f"!Series_relation = {relation}" for relation in series.relations]
    for sample in series.samples:
        lines += [
            f"^SAMPLE = {sample.accession}",
            f"!Sample_title = {sample.title}",
            f"!Sample_geo_accession = {sample.accession}",
        ]
        lines += [f"!Sample_source_name_ch1 = {sample.source}", f"!Sample_organism_ch1 = {sample.organism}"]
        lines += [f"!Sample_characteristics_ch1 = {text}" for text in sample.characteristics]
        lines += [f"!Sample_library_strategy = {sample.strategy}", f"!Sample_library_source = {sample.library_source}"]
        lines += [
            f"!Sample_platform_id = {sample.platform}",
            *(f"!Sample_relation = {relation}" for relation in sample.relations),
        ]
    return "\n".join(lines) + "\n"


def write_tar(path: Path, members: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def packed(text: str) -> bytes:
    return gzip.compress(text.encode(), mtime=0)


def case_control(accession: str = "GSE990001", per_group: int = 3) -> Series:
    """Two groups told by a characteristic whose key repeats nothing."""
    samples = [
        Sample(f"GSM99{group}{number:03d}", f"{name} rep {number}", ["cell type: fibroblast", f"treatment: {value}"])
        for group, (name, value) in enumerate([("Vehicle", "DMSO"), ("Drug", "drug X 10 uM")], start=1)
        for number in range(1, per_group + 1)
    ]
    return Series(accession, samples)
