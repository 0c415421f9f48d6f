"""Makes resources/genesets from tables of the Gene Ontology and of human genes. Run it when a newer release is wanted.

    python packaging/make_genesets.py TABLES [--out resources/genesets]

TABLES is a folder of gzipped, tab-separated tables with a header, as exported from Bioconductor's org.Hs.eg.db and
GO.db: go_terms (go_id, term, ontology), go_parents (child, parent, rel), go_obsolete (go_id, term),
human_gene2go_direct (entrez, go_id, evidence, aspect), human_entrez_symbol, human_entrez_ensembl, human_entrez_alias;
and go_alternate (go_id, replaces), which may be missing. Annotations to alternate ids move to the current id, those to
obsolete or unknown ids are left out and counted. The same tables give the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

RELEASE = {
    "species": "Homo sapiens",
    "title": "Gene Ontology",
    "version": "2022-07-01",
    "genes_version": "2022-09-12",
    "ensembl_version": "2022-06-28",
    "licence": "CC BY 4.0",
    "source": "Gene Ontology 2022-07-01 and NCBI Gene 2022-09-12, through Bioconductor GO.db and org.Hs.eg.db 3.16",
}
ONTOLOGIES = ("BP", "CC", "MF")
MIN_GENES = 10  # a set with fewer human genes cannot reach the smallest size that is tested


def load_rows(tables: Path, name: str) -> list[dict[str, str]]:
    """The rows of one table."""
    with gzip.open(tables / f"{name}.tsv.gz", "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def ancestors_of(parents: dict[str, set[str]]) -> dict[str, frozenset[str]]:
    """Term -> itself and all terms above it, over every relation, for every term that has parents."""
    found: dict[str, frozenset[str]] = {}
    for start in parents:
        stack = [start]
        while stack:
            term = stack[-1]
            missing = [above for above in parents.get(term, ()) if above not in found]
            if missing:
                stack += missing
                continue
            found[term] = frozenset({term}).union(*(found[above] for above in parents.get(term, ())))
            stack.pop()
    return found


def propagated_sets(tables: Path) -> tuple[dict[str, tuple[str, str, set[str]]], dict[str, int]]:
    """Term id -> (ontology, name, Entrez ids of genes annotated to it or below it), and what happened to old ids."""
    terms = {row["go_id"]: row for row in load_rows(tables, "go_terms") if row["ontology"] in ONTOLOGIES}
    obsolete = {row["go_id"] for row in load_rows(tables, "go_obsolete")}
    alternate: dict[str, str] = {}
    if (tables / "go_alternate.tsv.gz").is_file():
        alternate = {row["replaces"]: row["go_id"] for row in load_rows(tables, "go_alternate")}
    parents: dict[str, set[str]] = {term: set() for term in terms}
    for row in load_rows(tables, "go_parents"):
        same = row["parent"] in terms and terms[row["parent"]]["ontology"] == terms[row["child"]]["ontology"]
        if same:
            parents[row["child"]].add(row["parent"])
    above = ancestors_of(parents)
    genes: dict[str, set[str]] = defaultdict(set)
    counts = {"annotations": 0, "alternate": 0, "obsolete": 0, "unknown": 0}
    for row in load_rows(tables, "human_gene2go_direct"):
        term = row["go_id"]
        counts["annotations"] += 1
        if term not in terms and term in alternate:
            counts["alternate"] += 1
            term = alternate[term]
        if term not in terms:
            counts["obsolete" if term in obsolete else "unknown"] += 1
            continue
        for one in above[term]:
            genes[one].add(row["entrez"])
    sets = {
        term: (terms[term]["ontology"], terms[term]["term"], members)
        for term, members in sorted(genes.items())
        if len(members) >= MIN_GENES
    }
    return sets, counts


def gene_rows(tables: Path, annotated: set[str]) -> list[tuple[str, str, str, str]]:
    """(Entrez id, symbol, Ensembl ids, other names), annotated genes first, each part by Entrez id.

    Several ids stand with a space between. Of other names those are kept that mean one gene and are nobody's symbol.
    """
    symbols = {row["entrez"]: row["symbol"] for row in load_rows(tables, "human_entrez_symbol")}
    ensembl: dict[str, list[str]] = defaultdict(list)
    for row in load_rows(tables, "human_entrez_ensembl"):
        ensembl[row["entrez"]].append(row["ensembl"])
    named: dict[str, set[str]] = defaultdict(set)
    for row in load_rows(tables, "human_entrez_alias"):
        named[row["alias"]].add(row["entrez"])
    taken = set(symbols.values())
    aliases: dict[str, list[str]] = defaultdict(list)
    for alias, owners in sorted(named.items()):
        if len(owners) == 1 and alias not in taken and " " not in alias:
            aliases[next(iter(owners))].append(alias)
    order = sorted(symbols.keys() | ensembl.keys() | annotated, key=lambda gene: (gene not in annotated, int(gene)))
    return [
        (gene, symbols.get(gene, ""), " ".join(sorted(ensembl.get(gene, []))), " ".join(aliases.get(gene, [])))
        for gene in order
    ]


def save_table(path: Path, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Tab-separated, gzipped without a date."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None)
    writer.writerow(header)
    writer.writerows(rows)
    path.write_bytes(gzip.compress(text.getvalue().encode("utf-8"), 9, mtime=0))


def main() -> None:
    """Read the tables, write the three files."""
    parser = argparse.ArgumentParser(description="Make resources/genesets.")
    parser.add_argument("tables", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[1] / "resources" / "genesets")
    given = parser.parse_args()
    sets, counts = propagated_sets(given.tables)
    genes = gene_rows(given.tables, set().union(*(members for _, _, members in sets.values())))
    row_of = {gene: number for number, (gene, *_) in enumerate(genes)}
    rows = []
    for term, (ontology, name, members) in sets.items():
        at = sorted(row_of[gene] for gene in members)
        gaps = [after - before for before, after in zip([0, *at], at, strict=False)]
        rows.append((term, ontology, name, " ".join(map(str, gaps))))
    given.out.mkdir(parents=True, exist_ok=True)
    save_table(given.out / "human_go.tsv.gz", ("set_id", "collection", "name", "gaps"), rows)
    save_table(given.out / "human_genes.tsv.gz", ("entrez", "symbol", "ensembl", "aliases"), genes)
    found = RELEASE | {"n_sets": len(sets), "n_genes": len(genes), "old_ids": counts}
    text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    (given.out / "human.json").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
