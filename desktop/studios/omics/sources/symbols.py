"""Gene symbols from an annotation table or a platform's table that lies beside the values.

Maps only what it finds; guesses nothing. A probe that means several genes keeps them all, as written ("A /// B").
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from desktop.core.errors import AppError
from desktop.studios.omics.sources import soft
from desktop.studios.omics.sources import text as texts
from desktop.studios.omics.sources.tables import parse_table
from desktop.studios.omics.steps.vocabulary import fold

_HEADINGS = (
    "symbol",
    "gene symbol",
    "gene sym",
    "genesymbol",
    "ilmn gene",
    "gene name",
    "genename",
    "external gene name",
    "hgnc symbol",
    "mgi symbol",
)


def symbols_for(gene_ids: Sequence[str], annotations: Sequence[Path]) -> list[str] | None:
    """One symbol a gene ("" where not known) from the first table that knows at least half of them; None otherwise."""
    for path in annotations:
        try:
            text, _ = texts.decode(texts.read_bytes(path), name=path.name)
            if soft.is_soft(text) or soft.is_platform_annotation(text):
                found = _in_platform(gene_ids, soft.platform_tables(text))
                if found is not None:
                    return found
                continue
            table = parse_table(text, name=path.name, as_text=True)
        except AppError:
            continue
        places = [at for at, heading in enumerate(table.heading) if fold(heading) in _HEADINGS]
        if not places:
            continue
        symbols = table.texts(places[0])
        for column in range(min(len(table.heading), 12)):
            if column == places[0]:
                continue
            known = dict(zip(table.texts(column), symbols, strict=True))
            found = [known.get(identifier, known.get(identifier.split(".")[0], "")) for identifier in gene_ids]
            if sum(map(bool, found)) >= 0.5 * len(found):
                return found
    return None


def _in_platform(gene_ids: Sequence[str], tables: Sequence[list[list[str]]]) -> list[str] | None:
    """Symbols by the probes of the first platform that knows at least half of them."""
    for heading, *rows in tables:
        folded = [fold(cell) for cell in heading]
        column = next((at for at, name in enumerate(folded) if name in _HEADINGS), None)
        assigned = folded.index("gene assignment") if "gene assignment" in folded else None
        if column is None and assigned is None:
            continue
        known = {}
        for row in rows:
            cell = row[column] if column is not None and column < len(row) else ""
            if column is None and assigned is not None and assigned < len(row):
                cell = _assigned(row[assigned])
            known[row[0].strip()] = cell.strip()
        found = [known.get(identifier, "") for identifier in gene_ids]
        if sum(identifier in known for identifier in gene_ids) >= 0.5 * len(gene_ids):
            return found
    return None


def _assigned(cell: str) -> str:
    """Symbols of Affymetrix' "accession // symbol // name // …" parts, each once."""
    parts = [part.split("//") for part in cell.split("///")]
    symbols = [part[1].strip() for part in parts if len(part) > 1 and part[1].strip() not in ("", "---")]
    return " /// ".join(dict.fromkeys(symbols))
