"""Agreement with R, and processor time and memory beside it: the whole of benchmarks/parity.md.

    python -m benchmarks.parity [--no-stock] [--only shared|counts|arrays|sets]

On the shared sets against R's recorded references; on sets made up for the purpose against R itself, in the same run,
where Rscript and the packages are installed (Debian: r-bioc-deseq2, r-bioc-limma, r-cran-statmod; apeglm and fgsea if
they are there). What cannot be compared says why. --only prints its part and writes nothing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from benchmarks.parity_arrays import array_rows
from benchmarks.parity_counts import count_rows, r_cpu_s
from benchmarks.parity_gene_sets import gene_set_rows
from benchmarks.parity_shared import CASES, COUNTS, ROOT, in_a_child
from benchmarks.r_process import version_of, why_not

Row = dict[str, Any]
MEASURES = (
    ("R", "n_r", ".0f"),
    ("ours", "n_ours", ".0f"),
    ("J", "jaccard", ".4f"),
    ("Spearman p", "spearman", ".7f"),
    ("99.9 % dLFC", "lfc_q999", ".1e"),
    ("p mask", "na_p", ".0f"),
    ("padj mask", "na_padj_given_p", ".0f"),
    ("shrinkage off", "shrink_off_pct", ".2f"),
)


def table(rows: Iterable[Row], columns: Iterable[tuple[str, str, str]]) -> list[str]:
    """Markdown: (title, key, format) a column; a row without the key leaves its cell empty."""
    columns = tuple(columns)
    lines = [f"| {' | '.join(title for title, _, _ in columns)} |", f"|{' --- |' * len(columns)}"]
    for row in rows:
        cells = [f"{row[key]:{form}}" if key in row else "" for _, key, form in columns]
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return lines


def shared(no_stock: bool) -> list[str]:
    if not COUNTS.is_dir():
        return ["The shared reference data is not beside this checkout: nothing measured."]
    recorded = json.loads((COUNTS.parent / "baseline_pydeseq2_0.5.4_vs_R.json").read_text())["cpu_seconds"]
    missing = why_not("DESeq2")
    rows: list[Row] = []
    cpu: list[Row] = []
    for case in CASES:
        ours = in_a_child("ours", case)
        stock = {} if no_stock else in_a_child("stock", case)
        for name, row in ours["rows"].items():
            by_stock = stock.get("rows", {}).get(name, {})
            rows.append({"set": case.folder, "test": name, **row, **{f"stock_{k}": v for k, v in by_stock.items()}})
        r_s = recorded[case.folder]["R_DESeq_plus_results"] if missing else r_cpu_s(case)
        times = {"cpu_s": ours["cpu_s"], "r_s": r_s, "over_r": ours["cpu_s"] / r_s}
        if stock:
            times |= {"stock_s": stock["cpu_s"], "stock_over": stock["cpu_s"] / ours["cpu_s"]}
        cpu.append({"set": case.folder, **times, "shrink_s": ours["shrink_cpu_s"], "peak": ours["peak_mib"]})
    jaccards = [row["jaccard"] for row in rows]
    when = "recorded with the references, on another day" if missing else "in the same run"
    return [
        "References: R 4.2.2, DESeq2 1.38.3, apeglm 1.27.0; alpha 0.05.",
        "",
        *table(rows, [("set", "set", ""), ("test", "test", ""), *MEASURES, ("J stock", "stock_jaccard", ".4f")]),
        "",
        f"Mean J {np.mean(jaccards):.4f}, lowest {min(jaccards):.4f}.",
        "",
        f"Processor seconds of the fit and one Wald test with one thread, and peak memory; R's {when}.",
        "",
        *table(
            cpu,
            [
                ("set", "set", ""),
                ("ours", "cpu_s", ".2f"),
                ("R", "r_s", ".2f"),
                ("ours / R", "over_r", ".2f"),
                ("stock pydeseq2", "stock_s", ".1f"),
                ("stock / ours", "stock_over", ".1f"),
                ("our shrinkage", "shrink_s", ".2f"),
                ("our peak MiB", "peak", ".0f"),
            ],
        ),
    ]


def counts(_: bool) -> list[str]:
    if missing := why_not("DESeq2"):
        return [f"Not compared: {missing}."]
    rows = []

    def kept() -> Iterable[Row]:
        for row in count_rows():
            rows.append(row)
            yield row

    columns = [("set", "set", ""), ("test", "test", ""), *MEASURES, ("of it, R lower", "r_lower_pct", ".2f")]
    lines = table(kept(), [*columns, ("CPU s ours / R", "cpu", "")])
    jaccards = [row["jaccard"] for row in rows if "jaccard" in row]
    apeglm = version_of("apeglm") or "not installed"
    return [
        f"Run with DESeq2 {version_of('DESeq2')}, apeglm {apeglm}. Sets: `parity_count_sets.py`.",
        "",
        *lines,
        "",
        f"{len(jaccards)} tests: mean J {np.mean(jaccards):.4f}, lowest {min(jaccards):.4f}.",
    ]


def arrays(_: bool) -> list[str]:
    if missing := why_not("limma") or why_not("statmod"):
        return [f"Not compared: {missing}."]
    return [
        f"Run with limma {version_of('limma')}. Largest differences over all genes, relative (of t absolute below 1).",
        "",
        *table(
            array_rows(),
            [
                ("set", "set", ""),
                ("limma", "n", "d"),
                ("ours", "n_ours", "d"),
                ("t or F", "t", ".1e"),
                ("p", "p", ".1e"),
                ("padj", "padj", ".1e"),
                ("p mask", "mask", "d"),
                ("CPU s ours / R", "cpu", ""),
            ],
        ),
    ]


def sets(_: bool) -> list[str]:
    if missing := why_not("stats"):
        return [f"Not compared: {missing}."]
    fgsea = version_of("fgsea")
    return [
        "Over-representation against R's phyper and p.adjust (largest relative difference); the ranked test against "
        + (f"fgsea {fgsea}: score, leading edges" if fgsea else "fgsea was not possible: R has none of it;")
        + " that differ, NES (95th percentile, relative), p above 1e-8 as a ratio of the two random draws.",
        "",
        *table(
            gene_set_rows(),
            [
                ("list", "set", ""),
                ("ORA p", "over_p", ".1e"),
                ("ORA padj", "over_padj", ".1e"),
                ("fgsea", "n_r", "d"),
                ("ours", "n_ours", "d"),
                ("J", "jaccard", ".3f"),
                ("score", "es", ".1e"),
                ("edges", "leading", "d"),
                ("NES", "nes", ".3f"),
                ("Spearman p", "spearman", ".4f"),
                ("p ours / fgsea, 5 %", "ratio_low", ".2f"),
                ("95 %", "ratio_high", ".2f"),
                ("CPU s ours / R", "cpu", ""),
            ],
        ),
    ]


PARTS: dict[str, tuple[str, Callable[[bool], list[str]]]] = {
    "shared": ("The shared sets", shared),
    "counts": ("Other counts", counts),
    "arrays": ("Arrays", arrays),
    "sets": ("Gene sets", sets),
}
WORDS = """# Agreement with R

Made by `python -m benchmarks.parity`. J: Jaccard index of genes with padj < .05. Spearman of p to the ten digits that
are written. Masks: genes whose missingness differs (padj: given R's own p). Shrinkage off: percent of significant genes
more than 0.25 from apeglm; "of it, R lower": where apeglm's answer has the lower posterior, a mode its path did not
leave. The rest is genes with replaced outliers: apeglm is given the outlier, we are not (ADR 0006).
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-stock", action="store_true", help="leave out stock pydeseq2 (about two minutes)")
    parser.add_argument("--only", choices=PARTS)
    options = parser.parse_args()
    if options.only:
        PARTS[options.only][1](options.no_stock)
        return
    text = WORDS
    for title, part in PARTS.values():
        print(f"## {title}", flush=True)
        text += "\n".join(["", f"## {title}", "", *part(options.no_stock)]) + "\n"
    (ROOT / "benchmarks" / "parity.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
