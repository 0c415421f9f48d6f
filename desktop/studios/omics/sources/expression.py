"""A table of genes to an expression table: which column is the identifier, which are annotation, which are samples.

Numeric identifiers, serial numbers, coordinates and totals never become samples.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from desktop.studios.omics.errors import DuplicateIdError, UnreadableTableError
from desktop.studios.omics.human_genes import human_genes
from desktop.studios.omics.schema import Caution, IdType, ValueType
from desktop.studios.omics.sources.tables import Table
from desktop.studios.omics.sources.value_columns import is_serial, listed, value_columns
from desktop.studios.omics.steps.gene_ids import duplicated, eaten_symbols, id_type_of, is_date_like
from desktop.studios.omics.steps.value_type import value_type
from desktop.studios.omics.steps.vocabulary import fold, vocabulary

_SUFFIX = re.compile(
    r"(?:[._-]?(?:sorted|sort|dedup|markdup|mkdup|rmdup|unique|uniq|trimmed|star|hisat2?|tophat|accepted hits|filtered"
    r"|aligned\.?sortedbycoord\.?out|aligned|sortedbycoord|readspergene|out|htseq|htseqcount|htseq[-_]counts?"
    r"|gene[-_]?counts?|featurecounts?"
    r"|counts?|read[-_]?counts?|raw[-_]?counts?|rsem|genes|isoforms|results|quant|abundance|bam|sam|cram|txt"
    r"|tsv|csv|tab|gz|sf|fastq|fq|avg[._ -]signal))++$|(?:_S\d{1,3})?(?:_L00\d)?_R[12](?:_001)?$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Pools:
    """What each column was added up from, where the table was made of single cells; one entry a column everywhere.

    sample    whom the cells are from        n_cells   how many
    kind      their type, or "all cells"     factors   labels that all cells of a sample share
    kind_name the column of types, "" where the cells have none
    """

    sample: list[str]
    n_cells: list[int]
    kind_name: str
    kind: list[str]
    factors: dict[str, list[str]]


@dataclass(frozen=True)
class ExpressionTable:
    """values (G, S) numbers in the table's order; names are the columns made readable, columns as written."""

    values: NDArray[Any]
    gene_ids: list[str]
    gene_symbols: list[str]
    names: list[str]
    columns: list[str]
    value_type: ValueType
    id_type: IdType
    why: str
    cautions: list[Caution] = field(default_factory=list)
    lengths: NDArray[np.float64] | None = None  # (G, S) average length of the transcripts, bases
    pools: Pools | None = None


def to_expression(table: Table) -> ExpressionTable:
    """Take the expression values out of a table of genes.

    raises   UnreadableTableError, DuplicateIdError, NothingAnalysableError (no column of values)
    """
    cautions: list[Caution] = [Caution(code="omics.read_note", text=note) for note in table.notes]
    if _is_transposed(table):
        cautions.append(
            Caution(code="omics.transposed", text=f"{table.name} has its genes in columns; it was turned round.")
        )
        table = _transposed(table, cautions)
    id_column = _id_column(table)
    ids = table.texts(id_column)
    symbol_column = _symbol_column(table, id_column)
    symbols = table.texts(symbol_column) if symbol_column is not None else [""] * len(ids)
    columns = value_columns(table, id_column, cautions)
    for column in columns:
        if column in table.junk:
            row, cell = table.junk[column]
            raise UnreadableTableError(
                (
                    f"{table.name} has {cell[:40]!r} where a number should be: row {row + 1} of column "
                    f"{table.heading[column]!r}."
                ),
                hint="Correct the cell, or leave it empty if the value is not known.",
                file=table.name,
            )
    rows = _gene_rows(ids, table.name, cautions)
    values = table.frame[columns].to_numpy()[rows]
    ids, symbols = [ids[row] for row in rows], [symbols[row] for row in rows]
    verdict = value_type(values)
    kind = verdict.value_type
    if kind in ("counts", "expected_counts") and not np.isfinite(np.asarray(values, dtype=float)).all():
        n_missing = int((~np.isfinite(np.asarray(values, dtype=float))).any(axis=1).sum())
        raise UnreadableTableError(
            f"{table.name} has no value in some cells of {n_missing} genes.",
            hint="Reads are 0 where there are none; fill in or remove these rows.",
            file=table.name,
        )
    if kind == "counts":
        values = values.astype(np.int64)
    id_type = id_type_of(ids)
    if id_type == "entrez" and fold(table.heading[id_column]) == "id ref" and _are_spots(ids):
        id_type = "probe"
    why = verdict.why
    if kind == "counts" and id_type == "probe":
        kind, why = "linear_intensity", "The rows are probes of an array: intensities in whole numbers, not reads."
    if kind == "linear_intensity" and id_type != "probe" and np.nanmin(values) < 0:
        kind = "not_expression"
        why = f"{verdict.why} On an array that is a background taken off; here something was taken off counts."
    if kind == "expected_counts" and id_type == "probe":
        kind, why = "linear_intensity", "The rows are probes of an array: intensities, not reads."
    no_genes = _no_genes(ids)
    if no_genes:
        kind, why = "not_expression", f"The rows are {no_genes}, not genes."
    ids = _report_ids(ids, id_type, table.name, cautions)
    written = [table.heading[column] or f"column {column + 1}" for column in columns]
    repeated = duplicated(written)
    if repeated:
        raise DuplicateIdError(
            f"{table.name} names {len(repeated)} sample(s) more than once: {', '.join(list(repeated)[:5])}.",
            hint="Give every column its own name.",
            columns=list(repeated),
        )
    return ExpressionTable(values, ids, symbols, readable_names(written), written, kind, id_type, why, cautions)


def _are_spots(ids: Sequence[str]) -> bool:
    """Numbers close to one another, as Agilent numbers the spots of an array; those of genes lie far apart."""
    numbers = [int(identifier) for identifier in ids if identifier.isdigit()]
    return len(numbers) > 50 and max(numbers) - min(numbers) < 2.5 * len(numbers)


def _no_genes(ids: Sequence[str]) -> str:
    """What most rows are when their names say that they are no genes; "" otherwise."""
    for what, pattern in (
        ("regions of the genome", r"(chr)?[\dXYMTUn]{1,2}[\w.]*[:_.-]\d{2,}[:_.-]\d{2,}.*"),
        ("peaks", r"(\w+[_.-])?(peaks?|interval|region|macs2?|narrowpeak|merged|dhs)([_.-]\w+)*[_.-]?\d+\w?"),
        ("parts of genes (exons, bins)", r"[\w.+-]{3,}:(E|exon[_.-]?|\d{3})\d*"),
        ("methylation sites", r"c[gh]\d{7,8}(\..*|_.*)?|ch\.\d+\.\d+[FR]"),
    ):
        if sum(bool(re.fullmatch(pattern, one, re.IGNORECASE)) for one in ids[:2000]) > 0.5 * min(len(ids), 2000):
            return what
    return ""


def _is_transposed(table: Table) -> bool:
    """Genes in columns: far more columns than rows, headed by identifiers of genes."""
    width = len(table.heading)
    kind = id_type_of(table.heading[1:])
    if width >= 20 and _known(table.heading[1:]) > 0.7 > 0.1 > _known(table.texts(0)):
        return True
    if width >= 20 and kind in ("ensembl", "flybase", "refseq") and id_type_of(table.texts(0)) != kind:
        return True
    if (
        width >= 20
        and kind in ("symbol", "wormbase")
        and _known(table.heading[1:]) > 0.5 > 0.1 > _known(table.texts(0))
    ):
        return True
    if width < 100 or width < 5 * len(table.frame):
        return False
    return kind in ("ensembl", "flybase", "wormbase", "refseq", "symbol", "entrez")


@lru_cache(maxsize=1)
def _human_symbols() -> frozenset[str]:
    return frozenset(symbol.upper() for symbol in human_genes().symbol)


def _known(names: Sequence[str]) -> float:
    """Share of the names that are symbols of human genes, in capitals or not."""
    known = _human_symbols()
    return sum(name.strip().upper() in known for name in names) / max(1, len(names))


def _transposed(table: Table, cautions: list[Caution]) -> Table:
    """The table with genes in rows; columns that describe the samples (words, or named for it) are left out."""
    facts = [column for column in range(1, len(table.heading)) if _describes_samples(table, column)]
    if facts:
        text = f"Columns of {table.name} that describe its samples are no genes, so left out: "
        text += f"{listed([table.heading[column] for column in facts])}. Give them as a table of samples."
        cautions.append(Caution(code="omics.columns_left_out", text=text))
    numeric = [column for column in range(1, len(table.heading)) if column not in set(facts)]
    values = table.frame[numeric].to_numpy().T
    frame = pd.DataFrame(values)
    frame.insert(0, "id", [table.heading[column] for column in numeric])
    frame.columns = pd.RangeIndex(frame.shape[1])
    return Table(table.name, ["gene_id", *table.texts(0)], frame, False, table.comments, table.notes)


def _describes_samples(table: Table, column: int) -> bool:
    words, name = vocabulary(), table.heading[column]
    which = ("group_names", "batch_names", "pairing_names", "replicate_names", "numeric_names", "technical_facts")
    return not table.is_numeric(column) or fold(name) in ("sex", "gender") or any(words.has(one, name) for one in which)


def readable_names(columns: Sequence[str]) -> list[str]:
    """Names of samples without folders and the endings of alignment and counting files, where they stay distinct."""
    if not _are_paths(columns):
        return [name.strip() for name in _without_endings(columns)]
    names = [
        PureWindowsPath(PurePosixPath(column).name).name if re.search(r"[/\\]", column) else column
        for column in columns
    ]
    if len(set(names)) < len(names):
        parts = [re.split(r"[/\\]", column) for column in columns]
        different = [at for at in range(min(map(len, parts))) if len({part[at] for part in parts}) == len(parts)]
        names = [part[different[-1]] for part in parts] if different else list(columns)
    return [name.strip() for name in _without_endings(names)]


def _are_paths(columns: Sequence[str]) -> bool:
    """Slashes part folders, as in "bam/a.bam"; not so in "Tet2+/+ 1" or "10 ng/ml"."""
    if any(re.search(r"[+\-\u2212][/\\][+\-\u2212]", column) for column in columns):
        return False
    return all(re.search(r"[/\\]", column) for column in columns) or any(
        re.match(r"(~|\.{0,2}|[A-Za-z]:)[/\\]", column) for column in columns
    )


def _without_endings(names: Sequence[str]) -> list[str]:
    """The names without the endings of alignment and counting files, where all have one and stay distinct."""
    bare = [_SUFFIX.sub("", name) for name in names]
    if all(_SUFFIX.search(name) for name in names) and len(set(bare)) == len(bare) and all(bare):
        return bare
    return list(names)


def _id_column(table: Table) -> int:
    """The column of identifiers: of a known kind first, then the first of distinct words."""
    n_rows = len(table.frame)
    head = min(n_rows, 3000)
    best: tuple[float, int] | None = None
    for column in range(min(len(table.heading), 40)):
        name = table.heading[column]
        if table.is_numeric(column) and fold(name) not in (
            "geneid",
            "gene id",
            "entrez",
            "entrezid",
            "entrez id",
            "id ref",
            "entrez gene id",
            "entrez gene",
        ):
            continue
        cells = table.texts(column)[:head]
        filled = [cell for cell in cells if cell]
        if len(filled) < 0.9 * head:
            continue
        distinct = len(set(filled)) / len(filled)
        if distinct < 0.5:
            continue
        kind = id_type_of(filled)
        score = {
            "ensembl": 6,
            "flybase": 6,
            "wormbase": 5,
            "refseq": 4,
            "probe": 4,
            "symbol": 3,
            "entrez": 2,
            "unknown": 1,
        }[kind] + distinct
        if vocabulary().has("gene_id_headers", name) or (not name and column == 0):
            score += 2
        elif vocabulary().has("annotation_headers", name):
            score -= 2
        if kind == "entrez" and is_serial(cells) and not vocabulary().has("gene_id_headers", name):
            score -= 4
        if column == 0:
            score += 0.5
        if best is None or score > best[0]:
            best = (score, column)
    if best is None:
        return 0
    return best[1]


def _symbol_column(table: Table, id_column: int) -> int | None:
    for column in range(len(table.heading)):
        if (
            column != id_column
            and not table.is_numeric(column)
            and vocabulary().has("symbol_headers", table.heading[column])
        ):
            return column
    return id_column if id_type_of(table.texts(id_column)[:2000]) == "symbol" else None


def _gene_rows(ids: Sequence[str], name: str, cautions: list[Caution]) -> list[int]:
    words = vocabulary()
    tallies = [
        row
        for row, identifier in enumerate(ids)
        if identifier[:2] in ("__", "N_") or words.has("tally_rows", identifier)
    ]
    tail = range(max(0, len(ids) - 5), len(ids))
    totals = [row for row in [*tail, 0] if words.has("total_rows", ids[row])] if ids else []
    blank = [row for row, identifier in enumerate(ids) if not identifier]
    dropped = sorted({*tallies, *totals, *blank})
    if dropped:
        shown = [ids[row] or "(no name)" for row in dropped]
        cautions.append(
            Caution(
                code="omics.rows_left_out",
                text=f"{len(dropped)} row(s) of {name} are not genes, so left out: {listed(shown)}.",
            )
        )
    kept = [row for row in range(len(ids)) if row not in set(dropped)]
    if not kept:
        raise UnreadableTableError(f"{name} has no genes in it.", hint="Choose a table with one row a gene.", file=name)
    return kept


def _report_ids(ids: list[str], id_type: IdType, name: str, cautions: list[Caution]) -> list[str]:
    if is_date_like(ids):
        raise UnreadableTableError(
            f"The first column of {name} holds dates, not genes.",
            hint="Take the table from before it was opened in a spreadsheet.",
            file=name,
        )
    eaten = eaten_symbols(ids, are_symbols=id_type == "symbol")
    if eaten:
        cautions.append(
            Caution(
                code="omics.symbols_eaten",
                text=f"A spreadsheet turned {len(eaten)} gene symbol(s) into dates or numbers: {listed(eaten)}. "
                "They are kept as they stand; which genes they were cannot be told.",
            )
        )
    return unique_ids(ids, id_type, name, cautions)


def unique_ids(ids: list[str], id_type: IdType, name: str, cautions: list[Caution]) -> list[str]:
    """The identifiers, those that stand more than once numbered; DuplicateIdError where that hides an error."""
    twice = duplicated(ids)
    if not twice:
        return ids
    if id_type in ("ensembl", "entrez", "flybase", "probe") or len(twice) > 0.2 * len(set(ids)):
        raise DuplicateIdError(
            f"{name} has {len(twice)} gene identifier(s) more than once: {listed(list(twice))}.",
            hint="Each gene needs one row: remove the copies, or add up the rows that belong together.",
            duplicates=list(twice)[:50],
        )
    cautions.append(
        Caution(
            code="omics.duplicate_ids",
            text=f"{len(twice)} gene name(s) stand more than once: {listed(list(twice))}. Each row is tested "
            f"by itself; "
            "the second and later ones are numbered.",
        )
    )
    taken = set(ids)
    seen: Counter[str] = Counter()
    unique: list[str] = []
    for identifier in ids:
        seen[identifier] += 1
        new = identifier
        number = seen[identifier]
        while number > 1 and (new == identifier or new in taken):
            new = f"{identifier} ({number})"
            number += 1
        taken.add(new)
        unique.append(new)
    return unique
