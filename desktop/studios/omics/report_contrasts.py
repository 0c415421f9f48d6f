"""What the report says of one contrast: top genes, genes without a p value, figures, gene sets; how contrasts agree.

The first contrast's part stands in the report's own places; each further one of the same fit has a section. All numbers
name the file of the contrast's own folder.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from desktop.studios.omics.report_enrichment import EnrichmentPart, enrichment_part
from desktop.studios.omics.report_headline import sentence_of
from desktop.studios.omics.report_numbers import Number, Sentence, signed, small
from desktop.studios.omics.report_words import FIGURES, REASONS
from desktop.studios.omics.results import RunView, load_run, load_table
from desktop.studios.omics.steps.contrasts import in_words, title_of

N_TOP_GENES = 25
SHOWN_OF_OTHERS = ("volcano", "heatmap", "top_genes")  # figures of further contrasts; the rest are in their folders


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure with its words; `data_uri` is the SVG itself."""

    name: str
    title: str
    text: str
    data_uri: str


@dataclass(frozen=True, slots=True)
class ContrastPart:
    """The report's part on one contrast; `folder` is "" for the first, else ends in "/"."""

    number: int
    title: str
    words: str
    folder: str
    sentence: Sentence
    up: list[dict[str, Any]]
    down: list[dict[str, Any]]
    missing: list[tuple[str, Number]]
    figures: list[Picture]
    enrichment: EnrichmentPart | None


def contrast_part(view: RunView) -> ContrastPart:
    """What is said of the contrast a view is of."""
    enrichment = enrichment_part(view)
    return ContrastPart(
        number=view.number + 1,
        title=title_of(view.contrast, view.samples) if view.contrast else "",
        words=in_words(view.contrast, view.samples) if view.contrast else "",
        folder=view.folder,
        sentence=sentence_of(view),
        up=top_genes(view, up=True),
        down=top_genes(view, up=False),
        missing=missing_counts(view),
        figures=pictures(view),
        enrichment=_in_folder(enrichment, view.folder) if enrichment and view.folder else enrichment,
    )


def other_parts(view: RunView) -> list[ContrastPart]:
    """The contrasts beside the first one, read from their folders."""
    return [contrast_part(load_run(view.out_dir, number)) for number in range(1, len(view.plan.contrasts))]


def overlap_rows(view: RunView) -> list[dict[str, Any]]:
    """Each two contrasts: genes called by both, of them in one direction, likeness of all fold changes."""
    table = load_table(view.out_dir / "contrast_overlap.csv", texts=("pair", "left", "right"))
    rows = []
    for row in table.to_dict("records"):
        cells = {
            column: Number(shown, "contrast_overlap.csv", f"cell:pair={row['pair']};{column}")
            if shown != "nan"
            else "–"
            for column, shown in (
                ("n_both", f"{row['n_both']:,.0f}"),
                ("n_same_direction", f"{row['n_same_direction']:,.0f}"),
                ("jaccard", f"{row['jaccard']:.2f}"),
                ("lfc_spearman", f"{row['lfc_spearman']:.2f}"),
            )
        }
        rows.append({"left": row["left"], "right": row["right"], **cells})
    return rows


def _in_folder(part: EnrichmentPart, folder: str) -> EnrichmentPart:
    """The same part with its files named from the run's folder."""

    def moved(item: Any) -> Any:
        return replace(item, file=folder + item.file) if isinstance(item, Number) else item

    return replace(
        part,
        sentences=[[moved(word) for word in sentence] for sentence in part.sentences],
        tables=[
            (title, folder + file, effect, [{key: moved(cell) for key, cell in row.items()} for row in rows])
            for title, file, effect, rows in part.tables
        ],
    )


def top_genes(view: RunView, *, up: bool) -> list[dict[str, Any]]:
    """The called genes with the smallest p, one direction, each cell with its source."""
    direction = view.log2_fold_change > 0 if up else view.log2_fold_change < 0
    rows = []
    for i in np.flatnonzero((view.padj < view.plan.alpha) & direction)[:N_TOP_GENES]:
        gene = view.gene_ids[i]
        cells = {
            column: Number(shown, f"{view.folder}results.csv", f"cell:gene_id={gene};{column}")
            for column, shown in (
                ("base_mean", f"{view.base_mean[i]:,.1f}"),
                ("log2_fold_change", signed(view.log2_fold_change[i])),
                ("lfc_se", signed(view.lfc_se[i]).lstrip("+")),
                ("pvalue", small(view.pvalue[i])),
                ("padj", small(view.padj[i])),
            )
        }
        rows.append({"gene_id": gene, "gene_symbol": view.gene_symbols[i], **cells})
    return rows


def missing_counts(view: RunView) -> list[tuple[str, Number]]:
    """Why genes have no adjusted p value, and how many."""
    found: dict[str, int] = {}
    for reason in view.padj_reason:
        if reason:
            found[reason] = found.get(reason, 0) + 1
    return [
        (
            REASONS.get(reason, reason),
            Number(f"{n:,}", f"{view.folder}genes_without_padj.csv", f"count:reason == {reason!r}"),
        )
        for reason, n in sorted(found.items(), key=lambda item: -item[1])
    ]


def pictures(view: RunView) -> list[Picture]:
    """The figures there are, in the report's order."""
    return [
        Picture(
            name, title, text, f"data:image/svg+xml;base64,{base64.b64encode(view.figures[name].read_bytes()).decode()}"
        )
        for name, (title, text) in FIGURES.items()
        if name in view.figures and (view.number == 0 or name in SHOWN_OF_OTHERS)
    ]
