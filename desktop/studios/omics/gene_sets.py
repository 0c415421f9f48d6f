"""The gene sets that come with Benchtop: read, matched to a table's identifiers, and written beside the counts.

Human only, and only the Gene Ontology: what was released when is in `resources/genesets/human.json`. Where the sets do
not fit the data there is a reason in plain English, never an error. Tests nothing; `steps/enrichment.py` does that.
"""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desktop.core.paths import resources_dir
from desktop.studios.omics.schema import IdType

GENE_MAP, GENE_SETS = "gene_map.csv.gz", "gene_sets.gmt.gz"
MIN_GENES, MAX_GENES = 10, 600  # of the genes with reads; the script takes 10 to 500 of those with a p value
MIN_MAPPED = 0.3  # of the identifiers, as a gene's id or current symbol: less is not human
_ENSEMBL = re.compile(r"ENSG\d{11}(?!\d)")
_HUMAN = ("homo sapiens", "human", "9606")


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


@dataclass(frozen=True, slots=True)
class SetsWritten:
    """What travels with the script: `title` names the release; or `skipped` says why there is nothing."""

    title: str = ""
    skipped: str = ""


def release() -> dict[str, Any]:
    """What the bundled sets are: version, licence, source, counts."""
    found: dict[str, Any] = json.loads((resources_dir() / "genesets" / "human.json").read_text(encoding="utf-8"))
    return found


@cache
def human_genes() -> HumanGenes:
    """The bundled table of genes."""
    return HumanGenes(_lines("human_genes.tsv.gz"))


def map_genes(
    gene_ids: Sequence[str], gene_symbols: Sequence[str], id_type: IdType
) -> tuple[list[list[int]], list[str]]:
    """For every identifier the rows of its genes in `human_genes`, and how: "ensembl", "entrez", "symbol", "alias", "".

    An Ensembl id loses its version; one that means several Entrez genes keeps them all. Where an identifier is not
    known the symbol beside it is tried. A symbol in use means that gene; an older name counts if it means only one.
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
        for name in (identifier.strip(), beside.strip()):
            if found is None and name:
                found, how = genes.of_symbol.get(name), "symbol"
            if found is None and name:
                found, how = genes.of_alias.get(name), "alias"
        rows.append(found or [])
        ways.append(how if found else "")
    return rows, ways


def why_not(organism: str, id_type: IdType, ways: Sequence[str]) -> str:
    """Why these genes cannot be tested against the bundled sets; "" when they can. `ways` as `map_genes` gives them."""
    if organism and not any(name in organism.lower() for name in _HUMAN):
        return f"the data are of {organism}, and the gene sets that come with Benchtop are human"
    share = sum(way in ("ensembl", "entrez", "symbol") for way in ways) / max(1, len(ways))
    if share < MIN_MAPPED:
        kind = {"unknown": "", "probe": " (they are probes)"}.get(id_type, f" (they look like {id_type} identifiers)")
        return f"only {100 * share:.0f} % of the gene identifiers are those of human genes{kind}"
    return ""


def write_gene_sets(
    folder: Path,
    gene_ids: Sequence[str],
    gene_symbols: Sequence[str],
    has_reads: NDArray[np.bool_],
    *,
    id_type: IdType,
    organism: str,
) -> SetsWritten:
    """Write `gene_map.csv.gz` and `gene_sets.gmt.gz` for the genes with reads, unless the sets do not fit the data.

    has_reads   (G,) genes that may be tested
    """
    at = [int(k) for k in np.flatnonzero(has_reads)]
    ids, symbols = [gene_ids[k] for k in at], [gene_symbols[k] for k in at]
    found, ways = map_genes(ids, symbols, id_type)
    if reason := why_not(organism, id_type, ways):
        return SetsWritten(skipped=reason)
    genes = human_genes()
    is_here = np.zeros(len(genes.entrez), dtype=bool)
    is_here[[row for rows in found for row in rows]] = True
    collections: dict[str, NDArray[np.bool_]] = {}
    entrez = np.array(genes.entrez)
    lines = []
    table = [line.split("\t") for line in _lines("human_go.tsv.gz")]
    ends = np.cumsum([0] + [row[3].count(" ") + 1 for row in table])
    gaps = np.fromstring(" ".join(row[3] for row in table), dtype=np.int64, sep=" ")
    for (set_id, collection, name, _), start, end in zip(table, ends[:-1], ends[1:], strict=True):
        members = np.cumsum(gaps[start:end])
        collections.setdefault(collection, np.zeros(len(entrez), dtype=bool))[members] = True
        here = members[is_here[members]]
        if MIN_GENES <= len(here) <= MAX_GENES:
            lines.append("\t".join([set_id, f"{collection} {name}", *entrez[here]]))
    if not lines:
        return SetsWritten(skipped=f"no gene set has {MIN_GENES} or more of the genes in this table")
    said = {
        int(row): " ".join(name for name in sorted(collections) if collections[name][row])
        for row in np.flatnonzero(is_here)
    }
    _write_map(folder / GENE_MAP, ids, found, ways, said)
    _write_gzip(folder / GENE_SETS, "\n".join(lines) + "\n")
    known = release()
    title = f"{known['title']} {known['version']}, human genes of {known['genes_version']} ({known['licence']})"
    return SetsWritten(title=title)


def _write_map(path: Path, ids: list[str], found: list[list[int]], ways: list[str], said: dict[int, str]) -> None:
    import pandas as pd

    genes = human_genes()
    pairs = [(one, row, way) for one, rows, way in zip(ids, found, ways, strict=True) for row in rows]
    table = pd.DataFrame(
        {
            "gene_id": [one for one, _, _ in pairs],
            "entrez": [genes.entrez[row] for _, row, _ in pairs],
            "symbol": [genes.symbol[row] for _, row, _ in pairs],
            "found_by": [way for _, _, way in pairs],
            "collections": [said[row] for _, row, _ in pairs],
        }
    )
    text = io.StringIO()
    table.to_csv(text, index=False, lineterminator="\n")
    _write_gzip(path, text.getvalue())


def _write_gzip(path: Path, text: str) -> None:
    path.write_bytes(gzip.compress(text.encode("utf-8"), 4, mtime=0))


def _lines(name: str) -> list[str]:
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
