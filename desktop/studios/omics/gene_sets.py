"""Gene sets matched to a table's identifiers and written beside its values: the bundled ones and the person's own.

Bundled is the Gene Ontology for human genes (`human_genes.py`); where it does not fit the data there is a reason in
plain English. Sets of the person's own fit any species; where they do not fit it is an error, since somebody asked for
them. Tests nothing; `steps/enrichment.py` does that.
"""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desktop.studios.omics.errors import GeneSetsDoNotFitError
from desktop.studios.omics.gmt import GmtSet
from desktop.studios.omics.human_genes import bundled_lines, human_genes, map_genes, names_in, release
from desktop.studios.omics.own_gene_sets import KeptSets
from desktop.studios.omics.schema import IdType

GENE_MAP, GENE_SETS = "gene_map.csv.gz", "gene_sets.gmt.gz"
MIN_GENES, MAX_GENES = 10, 600  # of the genes with values; the script takes 10 to 500 of those with a p value
MIN_MAPPED = 0.3  # of the identifiers, as a gene's id or current symbol: less is not human
_VERSION = re.compile(r"(ENS[A-Z]{0,6}G\d{11})\.\d+.*")
_HUMAN = ("homo sapiens", "human", "9606")


@dataclass(frozen=True, slots=True)
class SetsWritten:
    """What travels with the script: `title` names the sets, "" when there are none; `skipped` why not, or why not the
    bundled ones.

    own   what was found of each file of the person's: name, file, sha256, n_sets, n_sets_here, n_ids, n_ids_here
    """

    title: str = ""
    skipped: str = ""
    own: list[dict[str, Any]] = field(default_factory=list)


class TableGenes:
    """The genes that a table's identifiers lead to. A gene is its Entrez id, or for other species its symbol or id.

    keys   for each identifier its genes          ways   how each was found: "ensembl" … "alias", "own", ""
    """

    def __init__(self, ids: Sequence[str], symbols: Sequence[str], id_type: IdType, organism: str) -> None:
        rows, ways = map_genes(ids, symbols, id_type)
        self.ids = list(ids)
        self.not_human = why_not(organism, id_type, ways, [bool(one.strip()) for one in symbols])
        entrez, symbol = human_genes().entrez, human_genes().symbol
        self.names: dict[str, str] = {}  # gene -> what it is called
        self.keys: list[list[str]] = []
        self.ways: list[str] = []
        for identifier, beside, found, way in zip(ids, symbols, rows, ways, strict=True):
            if found and not self.not_human:
                self.keys.append([entrez[row] for row in found])
                self.ways.append(way)
                self.names.update((entrez[row], symbol[row]) for row in found)
            else:
                own = names_in(beside) or [_plain(identifier)]
                self.keys.append(own)
                self.ways.append("own")
                self.names.update((one, one) for one in own)
        self._meant: dict[str, list[str]] | None = None

    def meant_by(self, names: Sequence[str], id_type: IdType) -> list[list[str]]:
        """For each name of a set the genes of the table that it means."""
        if self._meant is None:
            self._meant = self._by_name()
        by_human: list[list[int]] = [[] for _ in names]
        if not self.not_human:
            by_human, _ = map_genes(names, [""] * len(names), id_type)
        entrez = human_genes().entrez
        here = [[entrez[row] for row in rows if entrez[row] in self.names] for rows in by_human]
        return [genes or self._meant.get(name, []) for name, genes in zip(names, here, strict=True)]

    def _by_name(self) -> dict[str, list[str]]:
        """Identifier, identifier without version, and own gene -> the genes of the table."""
        found: dict[str, dict[str, None]] = {}
        for identifier, keys, way in zip(self.ids, self.keys, self.ways, strict=True):
            names = (identifier, _plain(identifier), *(keys if way == "own" else ()))
            for name in names:
                found.setdefault(name, {}).update(dict.fromkeys(keys if name not in keys else [name]))
        return {name: list(keys) for name, keys in found.items()}


def why_not(organism: str, id_type: IdType, ways: Sequence[str], is_named: Sequence[bool]) -> str:
    """Why these genes cannot be tested against the bundled sets; "" when they can. `ways` as `map_genes` gives them.

    is_named   whether a symbol stands beside each; of probes only these are expected to lead to a gene
    """
    if organism and not any(name in organism.lower() for name in _HUMAN):
        return f"the data are of {organism}, and the gene sets that come with Benchtop are human"
    if id_type == "probe":
        if not any(is_named):
            return "the probes have no genes beside them; the platform's annotation or family file would name them"
        ways = [way for way, named in zip(ways, is_named, strict=True) if named]
    share = sum(way in ("ensembl", "entrez", "symbol") for way in ways) / max(1, len(ways))
    if share < MIN_MAPPED:
        kind = {"unknown": "", "probe": " (they are probes)"}.get(id_type, f" (they look like {id_type} identifiers)")
        return f"only {100 * share:.0f} % of the gene identifiers are those of human genes{kind}"
    return ""


def write_gene_sets(
    folder: Path,
    gene_ids: Sequence[str],
    gene_symbols: Sequence[str],
    has_values: NDArray[np.bool_],
    *,
    id_type: IdType,
    organism: str,
    own: Sequence[tuple[KeptSets, list[GmtSet]]] = (),
) -> SetsWritten:
    """Write `gene_map.csv.gz` and `gene_sets.gmt.gz` for the genes that may be tested, if any sets fit them.

    has_values   (G,) genes that may be tested
    own          files of the person's, tested beside the bundled sets; their population is what those tell of and they
                 name, or every gene of the table where the bundled ones do not fit
    raises       GeneSetsDoNotFitError when none of a file's sets has enough genes of the table
    """
    at = [int(k) for k in np.flatnonzero(has_values)]
    genes = TableGenes([gene_ids[k] for k in at], [gene_symbols[k] for k in at], id_type, organism)
    if genes.not_human and not own:
        return SetsWritten(skipped=genes.not_human)
    said: dict[str, list[str]] = {}  # gene -> the collections that say something of it
    lines: list[str] = [] if genes.not_human else list(_bundled(genes, said))
    titles = [] if not lines else [_bundled_title()]
    told = []
    taken = {line.split("\t", 1)[0] for line in lines}
    known = dict.fromkeys(said) or dict.fromkeys(genes.names)  # a file of sets does not say what it leaves out
    for kept, sets in own:
        written, facts = _own(genes, kept, sets, id_type)
        lines += [f"{kept.name}:{line}" if line.split("\t", 1)[0] in taken else line for line in written]
        taken |= {line.split("\t", 1)[0] for line in written}
        titles.append(f"{kept.name} ({facts['n_sets_here']:,} sets of the file {kept.file})")
        told.append(facts)
        for gene in known | dict.fromkeys(gene for line in written for gene in line.split("\t")[2:]):
            said.setdefault(gene, []).append(kept.name)
    if not lines:
        return SetsWritten(skipped=f"no gene set has {MIN_GENES} or more of the genes in this table")
    _write_map(folder / GENE_MAP, genes, said)
    _write_gzip(folder / GENE_SETS, "\n".join(lines) + "\n")
    return SetsWritten("; ".join(titles), genes.not_human, told)


def _bundled_title() -> str:
    known = release()
    return f"{known['title']} {known['version']}, human genes of {known['genes_version']} ({known['licence']})"


def _bundled(genes: TableGenes, said: dict[str, list[str]]) -> Iterator[str]:
    """The lines of the bundled sets that fit; notes in `said` what each ontology annotates."""
    entrez = np.array(human_genes().entrez)
    is_here = np.isin(entrez, list(genes.names))
    table = [line.split("\t") for line in bundled_lines("human_go.tsv.gz")]
    ends = np.cumsum([0] + [row[3].count(" ") + 1 for row in table])
    gaps = np.array(" ".join(row[3] for row in table).split(), dtype=np.int64)
    annotated: dict[str, NDArray[np.bool_]] = {}
    for (set_id, collection, name, _), start, end in zip(table, ends[:-1], ends[1:], strict=True):
        members = np.cumsum(gaps[start:end])
        annotated.setdefault(collection, np.zeros(len(entrez), dtype=bool))[members] = True
        here = members[is_here[members]]
        if MIN_GENES <= len(here) <= MAX_GENES:
            yield "\t".join([set_id, f"{collection} {name}", *entrez[here]])
    for collection in sorted(annotated):
        for row in np.flatnonzero(annotated[collection] & is_here):
            said.setdefault(str(entrez[row]), []).append(collection)


def _own(genes: TableGenes, kept: KeptSets, sets: list[GmtSet], id_type: IdType) -> tuple[list[str], dict[str, Any]]:
    """The lines of a person's sets that fit, and what was found of the file."""
    names = list(dict.fromkeys(gene for one in sets for gene in one.genes))
    kind: IdType = kept.id_type  # type: ignore[assignment]
    meant = dict(zip(names, genes.meant_by(names, kind), strict=True))
    lines = []
    for one in sets:
        here = dict.fromkeys(gene for name in one.genes for gene in meant[name])
        if MIN_GENES <= len(here) <= MAX_GENES:
            lines.append("\t".join([one.set_id, f"{kept.name} {one.name}", *here]))
    n_here = sum(bool(found) for found in meant.values())
    if not lines:
        looks = {"unknown": "no known kind of identifier"}
        raise GeneSetsDoNotFitError(
            f"No set of {kept.file} has {MIN_GENES} to {MAX_GENES} of the genes in this table: {n_here:,} of its "
            f"{len(names):,} identifiers are there.",
            hint=(
                f"The file's genes look like {looks.get(kind, f'{kind} identifiers')}, the table's like "
                f"{looks.get(id_type, f'{id_type} identifiers')}. Use sets with the table's kind of identifiers, or "
                "add a column of symbols to the table."
            ),
            file=kept.file,
            sets=kind,
            table=id_type,
        )
    facts = {"name": kept.name, "file": kept.file, "sha256": kept.sha256, "n_sets": len(sets)}
    return lines, facts | {"n_sets_here": len(lines), "n_ids": len(names), "n_ids_here": n_here}


def _write_map(path: Path, genes: TableGenes, said: dict[str, list[str]]) -> None:
    """One row a pair. Where genes are human an identifier that is no known gene stands only if a set names it."""
    import pandas as pd

    pairs = [
        (one, key, genes.names[key], way, " ".join(said.get(key, ())))
        for one, keys, way in zip(genes.ids, genes.keys, genes.ways, strict=True)
        for key in keys
        if genes.not_human or way != "own" or key in said
    ]
    table = pd.DataFrame(pairs, columns=["gene_id", "gene", "symbol", "found_by", "collections"])
    text = io.StringIO()
    table.to_csv(text, index=False, lineterminator="\n")
    _write_gzip(path, text.getvalue())


def _write_gzip(path: Path, text: str) -> None:
    path.write_bytes(gzip.compress(text.encode("utf-8"), 4, mtime=0))


def _plain(identifier: str) -> str:
    """An identifier without an Ensembl version."""
    found = _VERSION.fullmatch(identifier.strip())
    return found[1] if found else identifier.strip()
