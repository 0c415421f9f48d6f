"""Two finished runs side by side: a table of genes, a figure and a small report, written into a folder."""

from __future__ import annotations

import base64
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd

from desktop.core.errors import InputError
from desktop.core.paths import resources_dir
from desktop.studios.omics.results import RunView
from desktop.studios.omics.run_folder import write_json
from desktop.studios.omics.schema import CompareResult
from desktop.studios.omics.steps.compare import Agreement, agreement

MIN_COMMON = 10


class RunsDoNotMatchError(InputError):
    """Two runs that share too few gene identifiers, or that tested nothing."""

    code = "omics.runs_do_not_match"


def write_comparison(left: RunView, right: RunView, folder: Path) -> CompareResult:
    """Write genes.csv, lfc.svg, lfc.png, comparison.json and report.html; returns the numbers.

    raises   RunsDoNotMatchError when the runs have no test, or name their genes differently
    """
    for view in (left, right):
        if view.plan.contrast is None:
            raise RunsDoNotMatchError(
                f"The run in {view.out_dir.name} tested no genes ({view.plan.kind}).",
                hint="Compare two differential-expression runs.",
            )
    both = _common(left, right)
    found = agreement(
        both["lfc_left"].to_numpy(),
        both["p_left"].to_numpy(),
        both["called_left"].to_numpy(),
        both["lfc_right"].to_numpy(),
        both["p_right"].to_numpy(),
        both["called_right"].to_numpy(),
    )
    result = CompareResult(
        out_dir=folder,
        n_common_genes=found.n_common,
        n_left=found.n_left,
        n_right=found.n_right,
        n_both=found.n_both,
        jaccard=found.jaccard,
        overlap_pvalue=found.overlap_pvalue,
        lfc_spearman=found.lfc_spearman,
        lfc_pearson=found.lfc_pearson,
        n_opposite_direction=found.n_opposite,
        headline=_headline(found),
    )
    both.to_csv(folder / "genes.csv", float_format="%.10g", lineterminator="\n")
    _draw(both, found, folder)
    write_json(folder / "comparison.json", result.model_dump(mode="json", exclude={"out_dir", "status"}))
    _write_reports(left, right, both, found, result, folder)
    return result


def _common(left: RunView, right: RunView) -> pd.DataFrame:
    """Genes that both runs tested, by identifier."""
    tables = []
    for side, view in (("left", left), ("right", right)):
        table = pd.DataFrame(
            {
                "gene_symbol": view.gene_symbols,
                f"lfc_{side}": view.log2_fold_change,
                f"p_{side}": view.pvalue,
                f"padj_{side}": view.padj,
                f"called_{side}": view.padj < view.plan.alpha,
            },
            index=pd.Index(view.gene_ids, name="gene_id"),
        )
        tables.append(table[np.isfinite(view.log2_fold_change) & np.isfinite(view.pvalue)])
    common = tables[0].join(tables[1].drop(columns="gene_symbol"), how="inner")
    smaller = min(len(table) for table in tables)
    if len(common) < max(MIN_COMMON, 0.05 * smaller):
        examples = [next(iter(table.index), "none") for table in tables]
        raise RunsDoNotMatchError(
            f"The two runs share {len(common)} of {smaller} genes; they name them differently: {', '.join(examples)}.",
            hint="Compare runs whose tables use the same gene identifiers.",
        )
    return common.sort_values(["p_left", "p_right"], kind="stable")


def _headline(found: Agreement) -> str:
    chance = "more than" if found.n_both > found.expected_both else "no more than"
    p = "p < 1e-300" if found.overlap_pvalue == 0 else f"p = {found.overlap_pvalue:.2g}"
    return (
        f"{found.n_both:,} genes are called by both runs ({found.n_left:,} and {found.n_right:,} of {found.n_common:,}"
        f"), {chance} the {found.expected_both:,.0f} expected by chance ({p}); fold changes correlate with "
        f"{found.lfc_spearman:.2f} (Spearman), {found.n_opposite:,} go opposite ways."
    )


def _draw(both: pd.DataFrame, found: Agreement, folder: Path) -> None:
    from desktop.studios.omics.steps.figures import PALE, new_axes, place_labels, save_figure

    figure, axes = new_axes(5.4, 5.0)
    left, right = both["called_left"].to_numpy(), both["called_right"].to_numpy()
    groups = (
        (~left & ~right, PALE, "neither"),
        (left & ~right, "#E69F00", "left only"),
        (right & ~left, "#56B4E9", "right only"),
        (left & right, "#009E73", "both"),
    )
    for mask, colour, label in groups:
        rows = both[mask]
        text = f"{label} ({len(rows):,})"
        axes.scatter(rows["lfc_left"], rows["lfc_right"], s=6, c=colour, lw=0, alpha=0.7, label=text, rasterized=True)
    axes.axhline(0, color=PALE, lw=0.6)
    axes.axvline(0, color=PALE, lw=0.6)
    axes.set(xlabel="log2 fold change, left run", ylabel="log2 fold change, right run")
    axes.set_title(f"Pearson {found.lfc_pearson:.3f}, Spearman {found.lfc_spearman:.3f}")
    axes.legend(loc="upper left", markerscale=2)
    top = both[left & right].head(12)
    names = np.where(top["gene_symbol"] != "", top["gene_symbol"], top.index)
    place_labels(axes, list(zip(top["lfc_left"], top["lfc_right"], names, strict=True)))
    save_figure(figure, folder, "lfc")


def _write_reports(
    left: RunView, right: RunView, both: pd.DataFrame, found: Agreement, result: CompareResult, folder: Path
) -> None:
    opposite = both[
        both["called_left"] & both["called_right"] & (np.sign(both["lfc_left"]) != np.sign(both["lfc_right"]))
    ]
    content = {
        "result": result,
        "found": found,
        "sides": [("left", left), ("right", right)],
        "opposite": opposite.head(50).reset_index().to_dict("records"),
        "figure": "data:image/svg+xml;base64," + base64.b64encode((folder / "lfc.svg").read_bytes()).decode(),
    }
    loader = jinja2.FileSystemLoader(resources_dir() / "templates" / "omics")
    html = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    text = html.get_template("compare.html.j2").render(content)
    (folder / "report.html").write_text(text, encoding="utf-8", newline="\n")
