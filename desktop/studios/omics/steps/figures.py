"""The figures of an analysis, as matplotlib draws them for the report: volcano, MA, PCA, heatmap and the checks.

Each `draw_` takes arrays and returns a Figure; `save_figure` writes SVG (text stays text) and PNG with the same bytes
every time. Colours are Okabe and Ito's, told apart by colour-blind readers; labels never overlap: one that finds no
room is left out. `script.py` copies this file into every analysis script, so it imports nothing of Benchtop.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import Bbox
from numpy.typing import NDArray
from scipy.cluster.hierarchy import dendrogram

Matrix = NDArray[np.float64]

INK, GREY, PALE = "#222222", "#9a9a9a", "#c8c8c8"
UP, DOWN = "#D55E00", "#0072B2"
UP_AND_DOWN = LinearSegmentedColormap.from_list("up_and_down", [DOWN, "#f7f7f7", UP])
GROUP_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LABEL_RADII = (3, 10, 18, 30, 42, 56, 72)  # points between a dot and its label, tried in turn
LABEL_SIDES = ((1, 0), (0.7, 0.7), (0.7, -0.7), (0, 1), (-0.7, 0.7), (-1, 0), (0, -1), (-0.7, -0.7))  # outward first
N_POINTS_AS_IMAGE = 2000  # more points than this are drawn as one image inside the SVG

matplotlib.rcParams.update(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "benchtop",
        "text.parse_math": False,  # a sample may be called "$x"
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans", "Helvetica", "Arial"],
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": INK,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "legend.frameon": False,
        "legend.fontsize": 8,
        "savefig.dpi": 150,
    }
)


def new_axes(width: float = 5.6, height: float = 4.4, right: float = 0.97) -> tuple[Figure, Axes]:
    """A figure of `width` x `height` inches with one pair of axes; `right` leaves room for a legend beside it."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    figure.subplots_adjust(left=0.13, right=right, top=0.9, bottom=0.13)
    return figure, axes


def save_figure(figure: Figure, folder: Path, name: str) -> None:
    """`name`.svg and `name`.png without date or version, so that the same numbers give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
    figure.savefig(folder / f"{name}.png", metadata={"Software": None})


def shown(text: str, longest: int = 24) -> str:
    """A name from the data as one short printable line; of a long one both ends, where names often differ."""
    line = "".join(c if c.isprintable() else " " for c in text)
    n_last = (longest - 1) // 3
    return line if len(line) <= longest else f"{line[: longest - 1 - n_last]}…{line[len(line) - n_last :]}"


def set_title(axes: Axes, text: str) -> None:
    """A title over the axes, in smaller letters where it would leave the figure."""
    title = axes.set_title(shown(text, 90))
    figure = axes.figure
    extent = title.get_window_extent(FigureCanvasAgg(figure).get_renderer())  # type: ignore[arg-type, no-untyped-call]
    room = figure.get_figwidth() * figure.dpi * 0.98 - extent.x0  # type: ignore[union-attr]
    title.set_fontsize(title.get_fontsize() * min(1.0, room / max(extent.width, 1.0)))


def use_log_scale(axis: Axis, most: int = 9) -> None:
    """A log axis with plain numbers on it: whole decades, or 1, 2 and 5 (or 1 and 3) where there are few decades.

    most   ticks there is room for
    """
    if isinstance(axis, XAxis):
        axis.axes.set_xscale("log")
    else:
        axis.axes.set_yscale("log")
    low, high = axis.get_data_interval()
    decades = float(np.log10(max(high, 1e-300) / max(low, 1e-300)))
    inside = next((subs for subs in ((1.0, 2.0, 5.0), (1.0, 3.0)) if (decades + 1) * len(subs) <= most), (1.0,))
    axis.set_major_locator(LogLocator(subs=inside, numticks=most))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def place_labels(axes: Axes, points: Sequence[tuple[float, float, str]], marker: float = 2.0) -> int:
    """Write each (x, y, text) near its point where it overlaps no other label and no named point; returns how many fit.

    marker   radius of the points' marks, in points
    A label that stands apart from its point is tied to it by a line; its ground lets the points below shine through.
    """
    axes.get_xlim(), axes.get_ylim()  # limits are set late; until then the points' places are not known
    canvas = FigureCanvasAgg(axes.figure)  # type: ignore[arg-type]
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    frame = axes.get_window_extent(renderer)
    scale = axes.figure.dpi / 72.0
    dots = [axes.transData.transform((x, y)) for x, y, _ in points]
    middle = (frame.x0 + frame.x1) / 2
    taken: list[Bbox] = []
    for (x, y, text), (px, py) in zip(points, dots, strict=True):
        side = 1.0 if px >= middle else -1.0
        name = shown(text)
        probe = axes.annotate(name, (x, y), fontsize=7)
        size = probe.get_window_extent(renderer)
        probe.remove()
        width, height = size.width, size.height
        for radius, (dx, dy) in itertools.product(LABEL_RADII, LABEL_SIDES):
            away = (radius + marker) * scale
            ax, ay = px + side * dx * away, py + dy * away
            left = ax - width * (0.5 if abs(dx) < 0.3 else float(side * dx < 0))
            low = ay - height * (0.5 if abs(dy) < 0.3 else float(dy < 0))
            box = Bbox.from_bounds(left, low, width, height).padded(1)
            is_inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
            is_hit = any(box.overlaps(one) for one in taken)
            is_hit = is_hit or any(box.padded((marker + 1.5) * scale).contains(*dot) for dot in dots)
            if is_inside and not is_hit:
                axes.annotate(
                    name,
                    (x, y),
                    xytext=((left + width / 2 - px) / scale, (low + height / 2 - py) / scale),
                    textcoords="offset points",
                    ha="center",
                    va="center",
                    fontsize=7,
                    color=INK,
                    bbox={"boxstyle": "square,pad=0.05", "fc": "white", "ec": "none", "alpha": 0.75},
                    arrowprops={"arrowstyle": "-", "lw": 0.4, "color": GREY, "shrinkA": 1, "shrinkB": 2}
                    if radius > LABEL_RADII[0]
                    else None,
                )
                taken.append(box)
                break
    return len(taken)


def draw_volcano(results: pd.DataFrame, alpha: float, lfc_threshold: float, title: str, n_labels: int = 15) -> Figure:
    """-log10 adjusted p against log2 fold change, both thresholds dashed, the surest genes named.

    p = 0 (below the smallest float) is drawn as a triangle at the top edge, a change far beyond others' as one at the
    side. Genes without an adjusted p are left out.
    """
    tested = results[results["padj"].notna() & results["log2_fold_change"].notna()]
    p, lfc = tested["padj"].to_numpy(), tested["log2_fold_change"].to_numpy()
    limit = _change_limit(lfc)
    beyond = np.abs(lfc) > limit
    place = np.clip(lfc, -limit, limit)
    is_capped = p == 0
    height = -np.log10(np.where(is_capped, 1.0, p))
    top = max(1.0, float(height.max(initial=0.0))) * (1.08 if is_capped.any() else 1.0)
    height[is_capped] = top
    significant = p < alpha
    figure, axes = new_axes()
    for mask, colour in (
        (~significant, PALE),
        (significant & (lfc > 0), UP),
        (significant & (lfc < 0), DOWN),
    ):
        for where, marker in (
            (~is_capped & ~beyond, "o"),
            (is_capped, "^"),
            (~is_capped & beyond & (lfc < 0), "<"),
            (~is_capped & beyond & (lfc > 0), ">"),
        ):
            here = mask & where
            if here.any():
                size = 7 if marker == "o" else 26
                many = here.sum() > N_POINTS_AS_IMAGE
                axes.scatter(
                    place[here], height[here], s=size, c=colour, marker=marker, lw=0, alpha=0.75, rasterized=many
                )
    axes.axhline(-np.log10(alpha), color=GREY, lw=0.7, ls="--")
    for edge in (-lfc_threshold, lfc_threshold) if lfc_threshold > 0 else ():
        axes.axvline(edge, color=GREY, lw=0.7, ls="--")
    axes.set(xlabel="log2 fold change", ylabel="−log10 adjusted p")
    set_title(axes, title)
    axes.set_ylim(-0.02 * top, top * 1.1)
    n_up, n_down = int((significant & (lfc > 0)).sum()), int((significant & (lfc < 0)).sum())
    handles = [Patch(color=UP, label=f"up {n_up:,}"), Patch(color=DOWN, label=f"down {n_down:,}")]
    figure.legend(handles=handles, loc="upper right", bbox_to_anchor=(0.98, 0.985), ncols=2, borderpad=0)
    marked = [f"▲ p below 1e-308: {int(is_capped.sum())}"] if is_capped.any() else []
    marked += [f"◀ ▶ beyond ±{limit:.1f}: {int((beyond & ~is_capped).sum())}"] if (beyond & ~is_capped).any() else []
    axes.text(0.01, 0.99, "   ".join(marked), transform=axes.transAxes, va="top", size=7)
    names = np.where(tested["gene_symbol"] != "", tested["gene_symbol"], tested["gene_id"])
    best = np.flatnonzero(significant)
    best = best[np.lexsort((-np.abs(lfc[best]), p[best]))[:n_labels]]
    place_labels(axes, [(place[i], height[i], str(names[i])) for i in best])
    return figure


def _change_limit(lfc: Matrix) -> float:
    """|log2 fold change| where the axis ends: a little beyond all but a few genes."""
    return max(1.0, float(np.quantile(np.abs(lfc), 0.998)) * 1.15) if len(lfc) else 1.0


def draw_ma(
    results: pd.DataFrame, alpha: float, title: str, shown_as: str, *, is_log: bool, n_labels: int = 10
) -> Figure:
    """log2 fold change against the mean of what `shown_as` says, the surest genes named; points beyond the axis are
    triangles at its edge."""
    seen = results["base_mean"].notna() if is_log else results["base_mean"] > 0
    tested = results[seen & results["log2_fold_change"].notna()]
    mean, lfc = tested["base_mean"].to_numpy(), tested["log2_fold_change"].to_numpy()
    significant = (tested["padj"] < alpha).to_numpy()
    limit = _change_limit(lfc)
    beyond = np.abs(lfc) > limit
    clipped = np.clip(lfc, -limit, limit)
    figure, axes = new_axes()
    for mask, colour in ((~significant, PALE), (significant & (lfc > 0), UP), (significant & (lfc < 0), DOWN)):
        for is_beyond, marker, size in ((False, "o", 6), (True, "^", 12)):
            here = mask & (beyond == is_beyond)
            if here.any():
                many = here.sum() > N_POINTS_AS_IMAGE
                axes.scatter(
                    mean[here], clipped[here], s=size, c=colour, marker=marker, lw=0, alpha=0.7, rasterized=many
                )
    axes.axhline(0, color=INK, lw=0.7)
    if len(mean) and not is_log:
        use_log_scale(axes.xaxis)
    axes.set(xlabel=f"mean of {shown_as}", ylabel="log2 fold change", ylim=(-limit * 1.05, limit * 1.05))
    set_title(axes, title)
    names = np.where(tested["gene_symbol"] != "", tested["gene_symbol"], tested["gene_id"])
    best = np.flatnonzero(significant)
    best = best[np.argsort(tested["padj"].to_numpy()[best], kind="stable")[:n_labels]]
    place_labels(axes, [(mean[i], clipped[i], str(names[i])) for i in best])
    return figure


def draw_pca(
    scores: Matrix, percent: Matrix, names: list[str], factors: dict[str, list[str]], colour_by: str, shape_by: str
) -> Figure:
    """PC1 against PC2: colour by one factor, marker by another ("" for none); percent of variance on the axes."""
    figure, axes = new_axes(6.6, 4.4, right=0.74)
    colours = dict(zip(dict.fromkeys(factors.get(colour_by, [])), GROUP_COLOURS * 40, strict=False))
    shapes = dict(zip(dict.fromkeys(factors.get(shape_by, [])), MARKERS * 40, strict=False))
    second = scores[:, 1] if scores.shape[1] > 1 else np.zeros(len(names))
    for i in range(len(names)):
        colour = colours[factors[colour_by][i]] if colours else INK
        marker = shapes[factors[shape_by][i]] if shapes else "o"
        axes.scatter(scores[i, 0], second[i], s=46, c=colour, marker=marker, edgecolors="white", lw=0.6)
    axes.margins(0.12)
    axes.set(xlabel=f"PC1: {percent[0]:.1f} % of variance")
    axes.set(ylabel=f"PC2: {percent[1]:.1f} % of variance" if len(percent) > 1 else "")
    axes.set_title("Samples, principal components")
    patches = [Patch(color=c, label=shown(level, 18)) for level, c in list(colours.items())[:10]]
    marks = [axes.scatter([], [], c=GREY, marker=m, label=shown(level, 18)) for level, m in list(shapes.items())[:10]]
    above = 1.0
    legends: tuple[tuple[str, Sequence[Artist]], ...] = ((colour_by, patches), (shape_by, marks))
    for factor, handles in legends:
        if handles:
            figure.legend(
                handles=handles,
                title=shown(factor, 18),
                loc="upper left",
                bbox_to_anchor=(0.75, 0.9 * above),
                alignment="left",
            )
            above -= 0.1 + 0.052 * len(handles)
    if len(names) <= 40:
        place_labels(axes, [(scores[i, 0], second[i], names[i]) for i in range(len(names))], marker=3.5)
    return figure


def draw_clustering(joins: Matrix, names: list[str], levels: list[str], colour_by: str) -> Figure:
    """The samples' tree, like ones together, distance to the right; names coloured by `levels` ([] for none).

    joins   (S - 1, 4) as `clustering` gives them
    """
    height = max(2.2, min(14.0, 0.9 + 0.2 * len(names)))
    figure = Figure(figsize=(8.4, height))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.035, 0.5 / height, 0.53, 1 - 0.8 / height))
    axes.set_title("Samples, clustered", size=10, loc="left")
    if len(joins):
        tree = dendrogram(joins, no_plot=True)
        for x, y in zip(tree["dcoord"], tree["icoord"], strict=True):
            axes.plot(x, y, color=INK, lw=0.9, solid_joinstyle="miter")
        order = tree["leaves"]
    else:
        order = list(range(len(names)))
    farthest = float(joins[:, 2].max()) if len(joins) else 0.0
    axes.set_xlim(1.02 * farthest or 1.0, 0.0)  # the tree opens to the names
    axes.set_ylim(10 * len(names), 0)
    axes.set_xlabel("Euclidean distance of transformed values, average linkage", size=8.5)
    axes.yaxis.tick_right()
    axes.set_yticks([10 * k + 5 for k in range(len(names))], [shown(names[k], 24) for k in order])
    axes.tick_params(axis="y", labelsize=7.5 if len(names) <= 60 else 3, length=0)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    colours = dict(zip(dict.fromkeys(levels), GROUP_COLOURS * 40, strict=False))
    if colours:
        for label, k in zip(axes.get_yticklabels(), order, strict=True):
            label.set_color(colours[levels[k]])
        patches = [Patch(color=colour, label=shown(level, 18)) for level, colour in list(colours.items())[:10]]
        figure.legend(handles=patches, title=shown(colour_by, 18), loc="upper left", bbox_to_anchor=(0.78, 0.98))
    return figure


def draw_heatmap(
    z: Matrix,
    genes: list[str],
    names: list[str],
    factors: dict[str, list[str]],
    levels: dict[str, list[str]],
    transformed_as: str,
) -> Figure:
    """Genes (rows) by samples (columns) in clustered order, z-scores of transformed values, one colour strip a factor.

    z         (N, S) in the order to draw; blue is below the gene's mean, orange above
    factors   factor -> one level a sample, in the drawn order
    levels    factor -> its levels in the order of their colours, the same as in the other figures
    """
    n_genes, n_samples = z.shape
    height = 1.9 + 0.34 * len(factors) + max(2.4, min(12.0, 0.125 * n_genes))
    width = 3.4 + max(2.6, min(11.0, 0.24 * n_samples))
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        len(factors) + 1,
        1,
        height_ratios=[0.16] * len(factors) + [max(2.4, min(12.0, 0.125 * n_genes))],
        left=0.2 / width,
        right=1 - 2.6 / width,
        top=1 - 0.45 / height,
        bottom=1.15 / height,
        hspace=0.03,
    )
    figure.suptitle(
        f"Genes by samples, clustered ({transformed_as}, z-score by gene)", x=0.2 / width, ha="left", size=10
    )
    legend_y = 1 - 0.45 / height
    offset = 0
    for row, (factor, ones) in enumerate(factors.items()):
        axes = figure.add_subplot(grid[row])
        order = levels[factor]
        colours = [GROUP_COLOURS[(offset + k) % len(GROUP_COLOURS)] for k in range(len(order))]
        codes = np.array([[order.index(level) for level in ones]])
        axes.imshow(codes, aspect="auto", cmap=ListedColormap(colours), vmin=-0.5, vmax=len(order) - 0.5)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        handles = [Patch(color=c, label=shown(level, 18)) for level, c in list(zip(order, colours, strict=True))[:10]]
        figure.legend(
            handles=handles,
            title=shown(factor, 18),
            loc="upper left",
            bbox_to_anchor=(1 - 1.55 / width, legend_y),
            alignment="left",
        )
        legend_y -= (0.32 + 0.19 * len(handles)) / height
        offset += len(order)
    axes = figure.add_subplot(grid[len(factors)])
    limit = min(3.0, max(1.0, float(np.abs(z).max(initial=1.0))))
    image = axes.imshow(z, aspect="auto", cmap=UP_AND_DOWN, vmin=-limit, vmax=limit, interpolation="nearest")
    axes.spines[:].set_visible(False)
    if n_genes <= 100:
        axes.set_yticks(range(n_genes), [shown(gene, 18) for gene in genes], fontsize=5.5)
        axes.yaxis.tick_right()
    else:
        axes.set_yticks([])
    if n_samples <= 60:
        axes.set_xticks(range(n_samples), [shown(name, 18) for name in names], rotation=90, fontsize=6.5)
    else:
        axes.set_xticks([])
    axes.tick_params(length=0)
    bar = figure.add_axes((1 - 1.5 / width, max(0.05, legend_y - 1.35 / height), 0.12 / width, 1.0 / height))
    figure.colorbar(image, cax=bar, label="z-score")
    return figure


def draw_spread(spread: pd.DataFrame, spread_as: str, shown_as: str, *, is_log: bool) -> Figure:
    """How much each gene varies before and after shrinking towards what is expected at its mean.

    spread   one row a gene: mean, spread by itself, expected, used
    """
    mean, gene_wise, fitted, final = (spread.iloc[:, k].to_numpy(dtype=float) for k in range(4))
    figure, axes = new_axes()
    figure.subplots_adjust(left=0.16)
    seen = np.isfinite(gene_wise) & np.isfinite(fitted) & (is_log | (mean > 0)) & (gene_wise > 1e-7)
    if seen.any():
        many = bool(seen.sum() > N_POINTS_AS_IMAGE)
        axes.scatter(mean[seen], gene_wise[seen], s=3, c=PALE, lw=0, label="gene by itself", rasterized=many)
        axes.scatter(mean[seen], final[seen], s=3, c="#56B4E9", lw=0, alpha=0.6, label="used", rasterized=many)
        order = np.argsort(mean[seen])
        axes.plot(mean[seen][order], fitted[seen][order], c=UP, lw=1.4, label="expected")
        if not is_log:
            use_log_scale(axes.xaxis)
        use_log_scale(axes.yaxis)
        axes.legend(loc="lower left", markerscale=3)
    else:
        axes.text(0.5, 0.5, "no gene varies more than chance gives", ha="center", transform=axes.transAxes)
    axes.set(xlabel=f"mean of {shown_as}", ylabel=spread_as)
    axes.set_title("Variability of the genes")
    return figure


def draw_pvalue_histogram(pvalue: Matrix, reading: str) -> Figure:
    """p values in 40 bins with a reading of the histogram's shape above. pvalue: of genes with an adjusted p value."""
    figure, axes = new_axes(5.6, 3.8)
    axes.hist(pvalue[np.isfinite(pvalue)], bins=40, range=(0, 1), color="#56B4E9", edgecolor="white", lw=0.4)
    axes.set(xlabel="p value", ylabel="genes", xlim=(0, 1))
    lines = textwrap.wrap(shown(reading, 220), 68)
    axes.set_title("\n".join(lines), size=8.5)
    figure.subplots_adjust(top=0.97 - 0.05 * max(1, len(lines)))
    return figure


def draw_sample_quality(quality: pd.DataFrame) -> Figure:
    """Library size and genes detected, where there are reads, and likeness to the others; flagged samples red-brown."""
    names = [shown(str(name), 16) for name in quality.index]
    parts = [
        ("library_size", "library size (million reads)", 1e-6),
        ("genes_detected", "genes detected (thousand)", 1e-3),
        ("median_correlation", "median correlation with the others", 1.0),
    ]
    parts = [part for part in parts if np.isfinite(quality[part[0]].to_numpy(dtype=float)).any()] or parts[-1:]
    width = 2.0 + 2.2 * max(len(parts), 2)
    figure = Figure(figsize=(width, max(2.2, min(12.0, 0.9 + 0.2 * len(names)))))
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(parts), sharey=True, squeeze=False)[0]
    figure.subplots_adjust(left=1.4 / width, right=0.98, top=0.88, bottom=0.2, wspace=0.12)
    colours = [UP if flag else DOWN for flag in quality["is_outlier"]]
    for axes, (column, title, scale) in zip(panels, parts, strict=True):
        values = quality[column].to_numpy(dtype=float) * scale
        axes.scatter(values, range(len(names)), c=colours, s=22, lw=0)
        axes.set_title(title, size=8.5)
        axes.grid(axis="y", lw=0.3, color=PALE)
        axes.xaxis.set_major_locator(MaxNLocator(3 if column == "median_correlation" else 5))
        axes.tick_params(axis="x", labelsize=8)
        if column == "median_correlation":
            axes.margins(x=0.08)
        else:
            axes.set_xlim(0, 1.06 * max(float(np.nanmax(values)), 1e-9))
    panels[0].set_yticks(range(len(names)), names, fontsize=7 if len(names) <= 60 else 3)
    panels[0].invert_yaxis()
    return figure


def draw_top_genes(
    shown_values: Matrix,
    genes: list[str],
    groups: list[str] | list[float],
    pairs: list[str] | None,
    factor: str,
    shown_as: str,
    *,
    is_log: bool,
) -> Figure:
    """Values of the top genes, one small panel a gene; lines join paired samples. (S, N).

    groups   one a sample: a level, or a number, which then is the horizontal axis
    """
    n_genes = len(genes)
    n_columns = min(4, max(1, n_genes))
    n_rows = max(1, -(-n_genes // n_columns))
    levels = [group for group in dict.fromkeys(groups) if isinstance(group, str)]
    ticks = [shown(level, 16) for level in levels]
    is_crowded = len("".join(ticks)) > 22  # side by side they would run into one another
    each = 2.3 if is_crowded else 1.9
    height = each * n_rows + 0.5
    figure = Figure(figsize=(2.1 * n_columns + 0.4, height))
    FigureCanvasAgg(figure)
    panels = figure.subplots(n_rows, n_columns, squeeze=False)
    figure.subplots_adjust(left=0.09, right=0.98, top=1 - 0.55 / height, wspace=0.45)
    figure.subplots_adjust(bottom=(0.75 if is_crowded else 0.4) / height, hspace=0.85 if is_crowded else 0.45)
    x = np.array([levels.index(group) if isinstance(group, str) else group for group in groups], dtype=float)
    colours = [GROUP_COLOURS[int(place) % 8] if levels else GROUP_COLOURS[0] for place in x]
    spread = np.zeros(len(groups))
    if levels:
        spread = np.array([0.16 * ((k * 0.618034) % 1 - 0.5) for k in range(len(groups))])
    for k, axes in enumerate(panels.flat):
        if k >= n_genes:
            axes.set_visible(False)
            continue
        y = shown_values[:, k] if is_log else shown_values[:, k] + 0.5
        for pair in dict.fromkeys(pairs or []):
            here = [i for i, p in enumerate(pairs or []) if p == pair]
            if 1 < len(here) <= len(levels):
                axes.plot(x[here] + spread[here], y[here], c=PALE, lw=0.7, zorder=1)
        axes.scatter(x + spread, y, c=colours, s=16, lw=0, zorder=2)
        if is_log:
            axes.yaxis.set_major_locator(MaxNLocator(4))
        else:
            use_log_scale(axes.yaxis, most=5)
        axes.set_title(shown(genes[k], 18), size=8)
        if levels:
            axes.set_xticks(range(len(levels)), ticks, fontsize=7)
            if is_crowded:
                axes.tick_params(axis="x", rotation=40)
                for tick in axes.get_xticklabels():
                    tick.set(ha="right", rotation_mode="anchor")
            axes.set_xlim(-0.6, len(levels) - 0.4)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.tick_params(axis="x", labelsize=6.5)
        axes.tick_params(axis="y", labelsize=6.5)
    figure.supylabel(shown_as if is_log else f"{shown_as} + 0.5", size=8, x=0.005)
    figure.suptitle(f"Top genes by {shown(factor)}", size=9, x=0.02, ha="left")
    return figure


def draw_contrasts(counts: pd.DataFrame, n_both: NDArray[np.int64]) -> Figure:
    """Genes called by each contrast, up and down, and how many each two of them share. (C,) rows, (C, C)."""
    n = len(counts)
    cell = 0.34
    figure = Figure(figsize=(5.2 + cell * n, 1.3 + max(1.2, cell * n)))
    FigureCanvasAgg(figure)
    width, height = figure.get_size_inches()
    bottom, tall = 0.55 / height, 1 - 1.0 / height
    bars = figure.add_axes((2.6 / width, bottom, 1.9 / width, tall))
    grid = figure.add_axes((4.75 / width, bottom, max(0.5, cell * n) / width, tall))
    places = np.arange(n)
    bars.barh(places, counts["up"], color=UP, height=0.62, label="up")
    bars.barh(places, -counts["down"], color=DOWN, height=0.62, label="down")
    bars.axvline(0, color=INK, lw=0.6)
    names = [
        f"{number}  {shown(title, 34)}" for number, title in zip(counts["number"], counts["contrast"], strict=True)
    ]
    bars.set_yticks(places, names, fontsize=7)
    bars.set_ylim(n - 0.5, -0.5)
    bars.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    bars.xaxis.set_major_formatter(FuncFormatter(lambda number, _place: f"{abs(number):,.0f}"))
    bars.tick_params(axis="x", labelsize=7)
    bars.set_xlabel("genes down, up", size=8)
    most = max(1, int(n_both.max()))
    grid.imshow(n_both, cmap="Blues", vmin=0, vmax=most, aspect="auto")
    for row in range(n):
        for column in range(n):
            ink = "white" if n_both[row, column] > 0.6 * most else INK
            size = 7 if n <= 8 else 5
            grid.text(column, row, f"{n_both[row, column]:,}", ha="center", va="center", size=size, color=ink)
    grid.set_xticks(places, [str(number) for number in counts["number"]], fontsize=7)
    grid.set_yticks([])
    grid.set_title("genes shared", size=8)
    figure.suptitle("The contrasts side by side", size=9, x=0.02, ha="left")
    return figure


def draw_enrichment(table: pd.DataFrame, alpha: float, title: str, n_each: int = 12) -> Figure:
    """Dot plot of the surest sets that go up and down: fold enrichment, hits as size, adjusted p as depth of colour.

    table   as enrichment.csv; sets that another one stands for are left out
    """
    parts = []
    is_told = (table["representative"] == table["set_id"]) | (table["representative"] == "")
    for direction in ("up", "down"):
        side = table[(table["direction"] == direction) & is_told]
        found = side[side["padj"] < alpha]
        parts.append((found if len(found) else side).sort_values(["pvalue", "set_id"], kind="stable").head(n_each))
    rows = pd.concat(parts, ignore_index=True)
    figure, axes = new_axes(7.6, 1.1 + 0.24 * max(4, len(rows)), right=0.8)
    figure.subplots_adjust(left=0.42, top=1 - 0.35 / figure.get_figheight(), bottom=0.55 / figure.get_figheight())
    place = np.arange(len(rows), dtype=float)
    depth = -np.log10(np.maximum(rows["padj"].to_numpy(dtype=float), 1e-300))
    strength = 0.25 + 0.75 * np.minimum(depth / max(float(depth.max(initial=0.0)), 1.0), 1.0)
    hits = rows["hits"].to_numpy(dtype=float)
    area = 8.0 + 110.0 * hits / max(1.0, float(hits.max(initial=0.0)))
    for direction, colour in (("up", UP), ("down", DOWN)):
        here = np.flatnonzero((rows["direction"] == direction).to_numpy())
        x = rows["fold_enrichment"].to_numpy(dtype=float)[here]
        axes.scatter(x, place[here], s=area[here], c=colour, alpha=strength[here], lw=0, label=direction)
    axes.set_yticks(
        place, [shown(name, 40) + f" ({shown(one)})" for name, one in zip(rows["name"], rows["set_id"], strict=True)]
    )
    axes.tick_params(axis="y", labelsize=7, length=0)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.axvline(1.0, color=GREY, lw=0.6, ls="--")
    axes.margins(x=0.08)
    axes.set_xlim(left=0.0)
    axes.grid(axis="y", lw=0.3, color=PALE)
    axes.set_xlabel("fold enrichment over the genes tested")
    is_found = bool((rows["padj"] < alpha).any())
    heading = shown(f"Gene sets: {title}" if is_found else f"No gene set below {alpha:g}: {title}", 90)
    figure.suptitle(heading, x=0.02, y=1 - 0.1 / figure.get_figheight(), ha="left", va="top", size=10)
    most = int(hits.max(initial=1.0))
    some = sorted({max(1, most // 10), max(1, most // 3), most})
    sizes = [
        axes.scatter([], [], s=8.0 + 110.0 * n / some[-1], c=GREY, lw=0, label="1 hit" if n == 1 else f"{n} hits")
        for n in some
    ]
    colours = [Patch(color=UP, label="up"), Patch(color=DOWN, label="down")]
    axes.legend(handles=[*colours, *sizes], loc="upper left", bbox_to_anchor=(1.01, 1.0), labelspacing=0.9)
    return figure


def draw_running_scores(lines: list[dict[str, Any]], stat: Matrix, title: str) -> Figure:
    """Running scores over the ranked genes, one curve a set, with the places of its genes below.

    lines   set_id, name, nes, padj, places (k,), curve (N,); stat (N,) the ranked statistic, highest first
    """
    figure = Figure(figsize=(7.6, 4.8))
    FigureCanvasAgg(figure)
    heights = [4.0, 0.22 * len(lines) + 0.1]
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=heights)
    figure.subplots_adjust(left=0.1, right=0.97, top=0.92, bottom=0.11, hspace=0.06)
    for k, line in enumerate(lines):
        colour = GROUP_COLOURS[k % len(GROUP_COLOURS)]
        corners = np.unique(np.concatenate([[0], line["places"], np.maximum(line["places"] - 1, 0), [len(stat) - 1]]))
        label = f"{shown(line['name'], 48)} ({shown(line['set_id'])})"
        label += f"  NES {line['nes']:+.2f}, adjusted p {line['padj']:.1e}"
        top.plot(corners, line["curve"][corners], color=colour, lw=1.2, label=label)
        below.vlines(line["places"], k + 0.1, k + 0.9, color=colour, lw=0.4, rasterized=True)
    top.axhline(0.0, color=GREY, lw=0.6)
    low, high = top.get_ylim()
    top.set_ylim(low, high + 0.075 * len(lines) * (high - low))
    top.legend(loc="upper right", fontsize=6.5, labelspacing=0.25)
    top.set_ylabel("running score")
    set_title(top, f"Sets at the ends of the ranking: {title}")
    below.set_ylim(len(lines), 0)
    below.set_yticks([])
    turn = int((stat > 0).sum())
    below.set_xlabel(f"genes by test statistic, highest first ({turn:,} of {len(stat):,} above 0)")
    below.set_xlim(0, len(stat))
    return figure
