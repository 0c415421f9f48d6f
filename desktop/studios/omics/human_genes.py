"""The human genes that come with Benchtop, and identifiers of every kind led to them.

What was released when is in `resources/genesets/human.json`. Another species has no table here.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Sequence
from functools import cache, cached_property
from typing import Any

from desktop.core.paths import resources_dir
from desktop.studios.omics.schema import IdType

_ENSEMBL = re.compile(r"ENSG\d{11}(?!\d)")
_SEVERAL = re.compile(r"\s*///\s*")  # as platforms name the genes of one probe


class HumanGenes:
    """Every human gene of the release. The maps give row numbers; each is made when it is first asked."""

    def __init__(self, lines: Sequence[str]) -> None:
        columns = list(zip(*(line.split("\t") for line in lines), strict=True))
        self.entrez: list[str] = list(columns[0])
        self.symbol: list[str] = list(columns[1])
        self._ensembl, self._aliases = columns[2], columns[3]

    @cached_property
    def of_entrez(self) -> dict[str, list[int]]:
        return _rows_of(self.entrez)

    @cached_property
    def of_ensembl(self) -> dict[str, list[int]]:
        return _rows_of(self._ensembl)

    @cached_property
    def of_symbol(self) -> dict[str, list[int]]:
        return _rows_of(self.symbol)

    @cached_property
    def of_alias(self) -> dict[str, list[int]]:
        return _rows_of(self._aliases)


def release() -> dict[str, Any]:
    """What the bundled sets are: version, licence, source, counts."""
    found: dict[str, Any] = json.loads((resources_dir() / "genesets" / "human.json").read_text(encoding="utf-8"))
    return found


@cache
def human_genes() -> HumanGenes:
    """The bundled table of genes."""
    return HumanGenes(bundled_lines("human_genes.tsv.gz"))


def map_genes(
    gene_ids: Sequence[str], gene_symbols: Sequence[str], id_type: IdType
) -> tuple[list[list[int]], list[str]]:
    """For every identifier the rows of its genes in `human_genes`, and how: "ensembl", "entrez", "symbol", "alias", "".

    An Ensembl id loses its version; one that means several Entrez genes keeps them all. Where an identifier is not
    known the symbol beside it is tried, or all of "A /// B". A symbol in use means that gene; an older name counts if
    it means only one.
    """
    genes = human_genes()
    rows: list[list[int]] = []
    ways: list[str] = []
    for identifier, beside in zip(gene_ids, gene_symbols, strict=True):
        found, how = None, ""
        if match := _ENSEMBL.match(identifier):
            found, how = genes.of_ensembl.get(match[0]), "ensembl"
        elif id_type == "entrez":
            found, how = genes.of_entrez.get(identifier.strip()), "entrez"
        for names in (names_in(identifier), names_in(beside)):
            for known, way in ((genes.of_symbol, "symbol"), (genes.of_alias, "alias")):
                if not found:
                    found, how = list(dict.fromkeys(row for name in names for row in known.get(name, ()))), way
        rows.append(found or [])
        ways.append(how if found else "")
    return rows, ways


def names_in(cell: str) -> list[str]:
    """The names of a cell: one, or the several of "A /// B"."""
    return [name for name in _SEVERAL.split(cell.strip()) if name]


def bundled_lines(name: str) -> list[str]:
    """The lines of a bundled table below its header."""
    with gzip.open(resources_dir() / "genesets" / name, "rt", encoding="utf-8", newline="") as file:
        return file.read().rstrip("\n").split("\n")[1:]


def _rows_of(cells: Sequence[str]) -> dict[str, list[int]]:
    """Name -> the rows in whose cell it stands; a cell may hold several."""
    found: dict[str, list[int]] = {}
    for row, cell in enumerate(cells):
        for name in cell.split():
            found.setdefault(name, []).append(row)
    return found
