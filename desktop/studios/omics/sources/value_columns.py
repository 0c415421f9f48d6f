"""Which columns of a table of genes hold values of samples: not identifiers, coordinates, statistics or totals.

Of several measures of a sample the reads are kept. What the values are is decided in `value_type`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from desktop.studios.omics.errors import NothingAnalysableError
from desktop.studios.omics.schema import Caution
from desktop.studios.omics.sources.tables import Table
from desktop.studios.omics.steps.vocabulary import fold, vocabulary

_STATISTIC = re.compile(
    r"\b(log2? ?(fold ?change|fc)|padj|p ?adj|p ?val(ue)?|q ?val(ue)?|fdr|fold ?change|basemean)\b"
    r"|\bdetection p"
    r"|\b(conf lo|conf hi|variance|uncertainty var|dispersion var|std ?err|stdev)$"
)


def value_columns(table: Table, id_column: int, cautions: list[Caution]) -> list[int]:
    numeric = [column for column in range(len(table.heading)) if column != id_column and table.is_numeric(column)]
    words = vocabulary()
    kept: list[int] = []
    left_out: list[str] = []
    for column in numeric:
        name = table.heading[column]
        bare = re.sub(r"[^a-z0-9]+", " ", name.lower()).strip()
        if (
            words.has("annotation_headers", name)
            or _is_result(name, bare)
            or is_serial(table.frame[column].tolist()[:5000])
            or _is_key(table, column)
        ):
            left_out.append(name or f"column {column + 1}")
        else:
            kept.append(column)
    kept = _one_measure(table, kept, left_out)
    if len(kept) <= 2 and _n_results(left_out) >= 2:
        raise NothingAnalysableError(
            f"{table.name} holds the results of an analysis, not values of samples.",
            hint="Give the table of counts that the analysis was made from.",
            file=table.name,
            columns=table.heading[:30],
        )
    kept = _without_totals(table, kept, left_out)
    if left_out:
        cautions.append(Caution(code="omics.columns_left_out", text=f"Not samples, so left out: {listed(left_out)}."))
    if not kept:
        raise NothingAnalysableError(
            f"{table.name} has no column of expression values.",
            hint="Give a table with one row a gene and one column a sample.",
            file=table.name,
            columns=table.heading[:30],
        )
    return kept


def _is_result(name: str, bare: str) -> bool:
    """A heading of statistics: a fold change, a p-value, a variance, the bounds of an interval."""
    if len(bare) > 2 and vocabulary().has("result_headers", name):
        return True
    return bool(_STATISTIC.search(bare))


def _n_results(names: Sequence[str]) -> int:
    """How many of the headings are a fold change or a p-value."""
    return sum(bool(_STATISTIC.search(re.sub(r"[^a-z0-9]+", " ", name.lower()).strip())) for name in names)


def _is_key(table: Table, column: int) -> bool:
    """Whole numbers of which nearly each stands once: an identifier or a coordinate, never reads."""
    cells = table.frame[column].to_numpy()
    if len(cells) < 200 or not np.issubdtype(cells.dtype, np.integer):
        return False
    return len(np.unique(cells)) > 0.97 * len(cells)


def is_serial(cells: Sequence[Any]) -> bool:
    """1, 2, 3 … or 0, 1, 2 …"""
    try:
        numbers = [int(float(cell)) for cell in cells]
    except (TypeError, ValueError, OverflowError):
        return False
    return len(numbers) > 1 and numbers[0] in (0, 1) and all(b - a == 1 for a, b in pairwise(numbers))


def _one_measure(table: Table, columns: list[int], left_out: list[str]) -> list[int]:
    """Where each sample has several measures ("A_count", "A_FPKM"), keep the reads; of a bead array the signal."""
    signals = [column for column in columns if re.search(r"(avg|average)[ _.]?signal", table.heading[column].lower())]
    if len(signals) >= 2:
        left_out += [table.heading[column] for column in columns if column not in set(signals)]
        return signals
    measures = {column: _measure(table.heading[column]) for column in columns}
    kinds = Counter(measures.values())
    counted = [column for column in columns if measures[column] == "counts"]
    if len(counted) >= 2 and len(kinds) > 1 and (kinds["normalised"] or kinds["counts"] * 2 >= kinds[""]):
        left_out += [table.heading[column] for column in columns if measures[column] != "counts"]
        return counted
    if (
        kinds["normalised"]
        and kinds[""] >= 2
        and all(
            np.issubdtype(table.frame[column].to_numpy().dtype, np.integer)
            for column in columns
            if not measures[column]
        )
    ):
        left_out += [table.heading[column] for column in columns if measures[column]]
        return [column for column in columns if not measures[column]]
    return columns


def _measure(name: str) -> str:
    padded = f" {fold(re.sub(r'[(:)]|[.](?=[A-Za-z])', ' ', name))} "
    for kind, which in (("normalised", "normalised_suffixes"), ("counts", "count_suffixes")):
        for word in vocabulary().lists[which]:
            if padded.endswith(f" {word} ") or padded.startswith(f" {word} "):
                return kind
    return ""


def _without_totals(table: Table, columns: list[int], left_out: list[str]) -> list[int]:
    """Leave out a column that is the sum or mean of all the others."""
    if len(columns) < 3:
        return columns
    values = table.frame[columns].to_numpy(dtype=float)
    total = values.sum(axis=1)
    for at, column in enumerate(columns):
        others = total - values[:, at]
        if np.any(others > 0) and (
            np.allclose(values[:, at], others, rtol=1e-4, atol=1e-6)
            or np.allclose(values[:, at], others / (len(columns) - 1), rtol=1e-4, atol=1e-6)
        ):
            left_out.append(table.heading[column])
            return [other for other in columns if other != column]
    return columns


def listed(items: Sequence[str], most: int = 6) -> str:
    shown = ", ".join(items[:most])
    return shown + (f" and {len(items) - most} more" if len(items) > most else "")
