"""What a person types to narrow the gene table: "padj<0.01 |lfc|>1 mean>=50 TNF NFKB". Parsed here, never evaluated.

Conditions must all hold; names are looked for in id and symbol, and a gene needs to match one of them. Not a query
language: no brackets, no "or" between conditions.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from desktop.core.errors import InputError

Floats = NDArray[np.float64]

COLUMNS = {
    "padj": "padj",
    "fdr": "padj",
    "q": "padj",
    "p": "pvalue",
    "pvalue": "pvalue",
    "lfc": "log2_fold_change",
    "log2fc": "log2_fold_change",
    "log2foldchange": "log2_fold_change",
    "mean": "base_mean",
    "basemean": "base_mean",
    "stat": "stat",
    "se": "lfc_se",
}
_COMPARE: dict[str, Callable[[Floats, float], NDArray[np.bool_]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}
_CONDITION = re.compile(r"^(\|)?([a-z_0-9]+)(\|)?(<=|>=|<|>|=)(.*)$", re.IGNORECASE)
_SPACED = re.compile(r"\s*(<=|>=|<|>|=)\s*")


class BadFilterError(InputError):
    code = "ui.bad_filter"


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a column with a number; `absolute` compares its size without the sign."""

    column: str
    compare: str
    value: float
    absolute: bool


@dataclass(frozen=True, slots=True)
class GeneFilter:
    """A parsed filter; empty keeps every gene."""

    conditions: tuple[Condition, ...] = ()
    words: tuple[str, ...] = ()

    def mask(self, columns: Mapping[str, Floats], names: Sequence[str]) -> NDArray[np.bool_]:
        """(G,) which genes stay. `names` are lower-case "symbol id" texts; a NaN never meets a condition."""
        keep = np.ones(len(names), dtype=bool)
        for condition in self.conditions:
            values = np.abs(columns[condition.column]) if condition.absolute else columns[condition.column]
            with np.errstate(invalid="ignore"):
                keep &= _COMPARE[condition.compare](values, condition.value)
        if self.words:
            named = np.zeros(len(names), dtype=bool)
            for word in self.words:
                named |= np.array([word in name for name in names], dtype=bool)
            keep &= named
        return keep


def parse_filter(text: str) -> GeneFilter:
    """Read a filter. Raises BadFilterError, which names the part that was not understood."""
    conditions: list[Condition] = []
    words: list[str] = []
    for part in _SPACED.sub(r"\1", text.replace(",", " ")).split():
        if not any(sign in part for sign in "<>="):
            words.append(part.lower())
            continue
        found = _CONDITION.match(part)
        column = COLUMNS.get(found[2].lower().replace("_", "")) if found else None
        if found is None or column is None or bool(found[1]) != bool(found[3]):
            raise BadFilterError(
                f"“{part}” is not a condition.", hint="Write, for example: padj<0.01 |lfc|>1 mean>50 or a gene's name."
            )
        try:
            value = float(found[5])
        except ValueError:
            raise BadFilterError(f"“{part}” needs a number.", hint="Write, for example: padj<0.01") from None
        conditions.append(Condition(column, found[4], value, bool(found[1])))
    return GeneFilter(tuple(conditions), tuple(words))
