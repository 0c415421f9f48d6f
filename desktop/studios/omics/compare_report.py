"""Two finished runs side by side: a table of genes, a figure and a small report, written into a folder."""

from __future__ import annotations

import base64
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd

from desktop.core.errors import InputError
from desktop.core.paths import resources_dir
from desktop.studios.omics.compare_sets import SharedSets, shared_sets
from desktop.studios.omics.results import RunView
from desktop.studios.omics.run_folder import write_json
from desktop.studios.omics.schema import CompareResult
from desktop.studios.omics.steps.compare import Agreement, RankRank, agreement, rank_rank

MIN_COMMON = 10
_STRATA = {"up": "Up in both", "down": "Down in both", "discordant": "Up in one, down in the other"}


class RunsDoNotMatchError(InputError):
    """Two runs that share too few gene identifiers, or that tested nothing."""

    code = "omics.runs_do_not_match"


def write_comparison(left: RunView, right: RunView, folder: Path) -> CompareResult:
    """Write genes.csv, gene_sets.csv where both tested some, figures (lfc, ranks), comparison.json and report.html.

    returns  the numbers

    raises   RunsDoNotMatchError when the runs have no test, or name their genes differently
    """
    for view in (left, right):
        if view.contrast is None:
            raise RunsDoNotMatchError(
                f"The run in {view.out_dir.name} tested no genes ({view.plan.kind}).",
                hint="Compare two differential-expression runs.",
            )
    both, n_only = _common(left, right)
    found = agreement(
        both["lfc_left"].to_numpy(),
        both["p_left"].to_numpy(),
        both["called_left"].to_numpy(),
        both["lfc_right"].to_numpy(),
        both["p_right"].to_numpy(),
        both["called_right"].to_numpy(),
    )
    ranks = rank_rank(*(both[name].to_numpy() for name in ("lfc_left", "p_left", "lfc_right", "p_right")))
    sets = shared_sets(left, right, folder)
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
        n_only_left=n_only[0],
        n_only_right=n_only[1],
        rank_overlap={name: point.signal for name in ("up", "down", "discordant") if (point := getattr(ranks, name))},
        n_sets_both={name: one.n_both for name, one in sets.by_direction.items()},
        sets_skipped=sets.skipped,
        nes_spearman=sets.nes_spearman if np.isfinite(sets.nes_spearman) else None,
        headline=_headline(found),
    )
    both.to_csv(folder / "genes.csv", float_format="%.10g", lineterminator="\n")
    _draw(both, found, folder)
    _draw_ranks(ranks, folder)
    write_json(folder / "comparison.json", result.model_dump(mode="json", exclude={"out_dir", "status"}))
    _write_report(left, right, both, found, ranks, sets, result, folder)
    return result


def _common(left: RunView, right: RunView) -> tuple[pd.DataFrame, tuple[int, int]]:
    """Genes that both runs tested, by identifier; and how many only one of them did."""
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
    n_only = (len(tables[0]) - len(common), len(tables[1]) - len(common))
    return common.sort_values(["p_left", "p_right"], kind="stable"), n_only


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


def _draw_ranks(ranks: RankRank, folder: Path) -> None:
    """The map of rank-rank overlap; the corner where both are most up is at the lower left."""
    from desktop.studios.omics.steps.figures import new_axes, save_figure

    figure, axes = new_axes(5.4, 4.6, right=0.92)
    most = max(2.0, float(np.abs(ranks.signal).max())) if ranks.signal.size else 2.0
    extent = (0, 100, 0, 100)
    signal = ranks.signal.T if ranks.signal.size else np.zeros((1, 1))
    drawn = axes.imshow(signal, origin="lower", extent=extent, cmap="PuOr_r", vmin=-most, vmax=most, aspect="auto")
    axes.set(xlabel="left run: most up → most down (% of genes)", ylabel="right run: most up → most down (%)")
    axes.set_title("Overlap of ranks")
    figure.colorbar(drawn, ax=axes, label="−log10 p (negative: fewer than chance)")
    save_figure(figure, folder, "ranks")


def _picture(folder: Path, name: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode((folder / f"{name}.svg").read_bytes()).decode()


def _write_report(
    left: RunView,
    right: RunView,
    both: pd.DataFrame,
    found: Agreement,
    ranks: RankRank,
    sets: SharedSets,
    result: CompareResult,
    folder: Path,
) -> None:
    opposite = both[
        both["called_left"] & both["called_right"] & (np.sign(both["lfc_left"]) != np.sign(both["lfc_right"]))
    ]
    content = {
        "result": result,
        "found": found,
        "sides": [("left", left), ("right", right)],
        "opposite": opposite.head(50).reset_index().to_dict("records"),
        "ranks": [(words, getattr(ranks, name)) for name, words in _STRATA.items() if getattr(ranks, name)],
        "sets": sets,
        "figures": {name: _picture(folder, name) for name in ("lfc", "ranks")},
    }
    loader = jinja2.FileSystemLoader(resources_dir() / "templates" / "omics")
    html = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    text = html.get_template("compare.html.j2").render(content)
    (folder / "report.html").write_text(text, encoding="utf-8", newline="\n")
