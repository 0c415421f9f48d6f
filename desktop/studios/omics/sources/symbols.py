"""Gene symbols from an annotation table that lies beside the counts. Maps only what it finds; guesses nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from desktop.core.errors import AppError
from desktop.studios.omics.sources.tables import read_table
from desktop.studios.omics.steps.vocabulary import fold

_HEADINGS = ("symbol", "gene symbol", "gene name", "genename", "external gene name", "hgnc symbol", "mgi symbol")


def symbols_for(gene_ids: Sequence[str], annotations: Sequence[Path]) -> list[str] | None:
    """One symbol a gene ("" where not known) from the first table that knows at least half of them; None otherwise."""
    for path in annotations:
        try:
            table = read_table(path, as_text=True)
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
