"""A table of samples (sample sheet, SRA run table) joined to the columns of an expression table, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from desktop.studios.omics.errors import DuplicateIdError, SamplesDoNotMatchError, UnreadableTableError
from desktop.studios.omics.schema import Caution, SampleTable
from desktop.studios.omics.sources.tables import Table
from desktop.studios.omics.steps.gene_ids import duplicated
from desktop.studios.omics.steps.sample_match import Match, fold_name, match_samples
from desktop.studios.omics.steps.sample_table import make_sample_table


@dataclass(frozen=True)
class Joined:
    """The sample table in the order of the expression table's columns; `kept` are the places of those columns."""

    samples: SampleTable
    kept: list[int]
    cautions: list[Caution]
    match: Match


def sheet_columns(table: Table) -> dict[str, list[str]]:
    """Heading → values as written; unnamed columns get a number.

    raises   UnreadableTableError if two columns have the same name but differ
    """
    columns: dict[str, list[str]] = {}
    for at, heading in enumerate(table.heading):
        name = heading or ("row name" if at == 0 else f"column {at + 1}")
        values = table.texts(at)
        if name in columns and columns[name] != values:
            raise UnreadableTableError(
                f"{table.name} has two columns called {name!r}.",
                hint="Give every column its own name.",
                file=table.name,
            )
        columns[name] = values
    return columns


def join_sheet(names: Sequence[str], columns: Mapping[str, Sequence[str]], *, sheet: str, counts: str) -> Joined:
    """Pair the rows of a sheet with the samples of the expression table.

    raises   SamplesDoNotMatchError with the names left over on both sides
    """
    match = match_samples(names, columns)
    if match is None or len(match.pairs) < 2:
        label = next(iter(columns), "")
        shown = list(columns.get(label, []))
        raise SamplesDoNotMatchError(
            f"The samples of {sheet} are not those of {counts}: none of {_some(shown)} is among {_some(names)}.",
            hint="One column of the table of samples has to hold the names of the columns of the counts table.",
            columns=list(names)[:50],
            rows=shown[:50],
        )
    cautions: list[Caution] = []
    rows = list(columns[match.label])
    twice = [name for name in duplicated(rows) if fold_name(name) in set(map(fold_name, names))]
    if twice:
        raise DuplicateIdError(
            f"{sheet} lists {len(twice)} sample(s) more than once: {_some(twice)}.",
            hint="Give each sample one row.",
            samples=twice,
        )
    if match.is_proposed:
        pairs = ", ".join(f"{names[column]} = {rows[row]}" for column, row in list(match.pairs.items())[:12])
        cautions.append(
            Caution(
                code="omics.samples_do_not_match",
                text=f"The sample names differ between {counts} and {sheet}. They pair one to one by "
                f"{match.by}: {pairs}. "
                "Confirm this, or correct the names.",
                blocks=True,
            )
        )
    elif match.by != "the same names":
        cautions.append(
            Caution(code="omics.samples_matched", text=f"Samples were matched through {match.label!r} by {match.by}.")
        )
    lone_columns = [names[at] for at in match.unmatched_columns]
    lone_rows = [rows[at] for at in match.unmatched_rows]
    if lone_columns:
        also = f", and {sheet} has {_some(lone_rows)}, not in the counts" if lone_rows else ""
        cautions.append(
            Caution(
                code="omics.samples_unmatched",
                text=(
                    f"{len(lone_columns)} sample(s) of {counts} are not in {sheet} and are left out: "
                    f"{_some(lone_columns)}{also}."
                ),
                blocks=bool(lone_rows),
            )
        )
    elif lone_rows:
        cautions.append(
            Caution(
                code="omics.samples_unmatched",
                text=f"{len(lone_rows)} sample(s) of {sheet} are not in {counts} and are left out: {_some(lone_rows)}.",
            )
        )
    kept = sorted(match.pairs)
    factors = {
        label: [str(values[match.pairs[at]]) for at in kept]
        for label, values in columns.items()
        if not (label == match.label and match.by == "the same names")
    }
    return Joined(make_sample_table([names[at] for at in kept], factors), kept, cautions, match)


def _some(items: Sequence[str], most: int = 6) -> str:
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")
