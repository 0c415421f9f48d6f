"""A run's genes as plain arrays, and as text for files. No Qt: made in a child process, read by table and plots.

G genes, one row each, in the order of results.csv.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
TEXT_COLUMNS = ("gene_symbol", "gene_id")
NUMBER_COLUMNS = ("base_mean", "log2_fold_change", "lfc_se", "stat", "pvalue", "padj")


@dataclass(frozen=True, slots=True)
class GeneResults:
    """One row a gene, all of one length G; `reasons` are keys of REASONS, "" where padj is there."""

    gene_ids: Sequence[str]
    gene_symbols: Sequence[str]
    columns: Mapping[str, Floats]  # "base_mean", "log2_fold_change", "lfc_se", "stat", "pvalue", "padj"
    reasons: Sequence[str] = ()
    names: Sequence[str] = ()  # lower-case "symbol id", for searching
    is_log: bool = False  # base_mean is an average log2 value, not a mean of counts
    ranks: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)  # text column → (G,) alphabetical rank

    @classmethod
    def of(
        cls,
        gene_ids: Sequence[str],
        gene_symbols: Sequence[str],
        columns: Mapping[str, Floats],
        reasons: Sequence[str] = (),
        *,
        is_log: bool = False,
    ) -> GeneResults:
        """With the searching and sorting of texts prepared: 0.2 s for 60,000 genes, so not on the window's thread."""
        names = [f"{symbol} {gene}".lower() for symbol, gene in zip(gene_symbols, gene_ids, strict=True)]
        ranks = {"gene_symbol": _alphabetical(gene_symbols), "gene_id": _alphabetical(gene_ids)}
        return cls(gene_ids, gene_symbols, columns, reasons, names, is_log, ranks)

    def name(self, row: int) -> str:
        """The symbol, or the id where there is none."""
        return self.gene_symbols[row] or self.gene_ids[row]

    def reason(self, row: int) -> str:
        """Why this gene has no adjusted p, in a few words; "" when it has one."""
        if not math.isnan(self.columns["padj"][row]):
            return ""
        return REASONS.get(self._reason(row), ("no p", ""))[0]

    def explanation(self, row: int) -> str:
        """Why this gene has no adjusted p, as a sentence; "" when it has one."""
        if not math.isnan(self.columns["padj"][row]):
            return ""
        return REASONS.get(self._reason(row), ("", "This analysis gives no p-values."))[1]

    def _reason(self, row: int) -> str:
        return self.reasons[row] if self.reasons else ""


REASONS = {
    "all_zero": ("no reads", "All counts are zero: there is nothing to test."),
    "outlier": ("outlier", "One sample is far from the others (Cook's distance), so the test is not trusted."),
    "low_mean": (
        "low mean",
        "Too few reads to reach significance; left out before adjusting p (independent filtering).",
    ),
    "too_few_values": ("few values", "Too few samples have a value here; not tested."),
    "few_reads": ("few reads", "Fewer reads than the plan asks for; not tested."),
}


def _alphabetical(texts: Sequence[str]) -> NDArray[np.int64]:
    """(G,) rank of each text ignoring case, -1 for an empty one."""
    folded = [text.casefold() for text in texts]
    rank = np.empty(len(folded), dtype=np.int64)
    rank[sorted(range(len(folded)), key=folded.__getitem__)] = np.arange(len(folded))
    rank[[at for at, text in enumerate(folded) if not text]] = -1
    return rank


def format_p(value: float) -> str:
    """A p-value to read: plain above 0.001, with an exponent below, never a bare 0."""
    if value == 0:
        return "< 1e−300"
    return f"{value:.4f}" if value >= 0.001 else f"{value:.2e}".replace("-", "−")


def table_text(results: GeneResults, keys: Sequence[str], rows: Sequence[int], *, separator: str) -> str:
    """Rows with a header of column keys, numbers in full, missing ones "NA"; no cell can start a formula."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    writer.writerow(keys)
    for row in rows:
        writer.writerow([_cell(results, key, row) for key in keys])
    return out.getvalue()


def _cell(results: GeneResults, key: str, row: int) -> str:
    if key in TEXT_COLUMNS:
        text = results.gene_symbols[row] if key == "gene_symbol" else results.gene_ids[row]
        return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
    value = float(results.columns[key][row])
    return "NA" if math.isnan(value) else repr(value)
