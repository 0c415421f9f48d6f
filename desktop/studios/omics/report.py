"""The report of a run, HTML and Markdown from one content: every number carries the file and place it comes from.

Reads a finished folder and writes `report.html` and `report.md` into it. Everything that comes from data is escaped;
the HTML asks for nothing from outside and runs no script.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from desktop.core.paths import resources_dir
from desktop.studios.omics.report_enrichment import CITATIONS as ENRICHMENT_CITATIONS
from desktop.studios.omics.report_enrichment import enrichment_part
from desktop.studios.omics.report_numbers import Number, Sentence, html_number, plain, small
from desktop.studios.omics.report_words import FIGURES, KINDS, REASONS, citations, methods, notes
from desktop.studios.omics.results import RunView

N_TOP_GENES = 25
N_LOADINGS = 10  # genes a component
_MARKDOWN_SIGNS = str.maketrans({c: f"\\{c}" for c in "\\`*_[]|#~"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"})


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure with its words; `data_uri` is the SVG itself."""

    name: str
    title: str
    text: str
    data_uri: str


def write_report(view: RunView, *, cautions: Sequence[str]) -> str:
    """Write report.html and report.md beside the results; returns the headline as plain text."""
    folder = resources_dir() / "templates" / "omics"
    loader = jinja2.FileSystemLoader(folder)
    answer = headline(view)
    enrichment = enrichment_part(view)
    has_sets = enrichment is not None and not enrichment.skipped
    content = {
        "view": view,
        "plan": view.plan,
        "manifest": view.manifest,
        "kind": KINDS[view.plan.kind],
        "headline": answer,
        "sentence": plain(answer),
        "more": further_sentences(view),
        "cautions": cautions,
        "up": top_genes(view, up=True),
        "down": top_genes(view, up=False),
        "quality": quality_rows(view),
        "loadings": loading_rows(view),
        "missing": missing_counts(view),
        "figures": pictures(view),
        "enrichment": enrichment,
        "methods": methods(view.plan, view.summary, view.samples) + (enrichment.methods if enrichment else ""),
        "citations": (*citations(view.plan), *(ENRICHMENT_CITATIONS if has_sets else ())),
        "notes": notes(view.summary),
        "reasons": REASONS,
        "files": view.manifest.get("files", {}),
    }
    html = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    html.filters["number"] = lambda number: html_number(number, view.manifest.get("files", {}))
    _write(view, "report.html", html.get_template("report.html.j2").render(content))
    markdown = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=True, finalize=_markdown)
    noted: dict[tuple[str, str], str] = {}
    markdown.filters["shown"] = lambda part: plain([part])
    markdown.filters["number"] = lambda number: _noted(number, noted)
    markdown.globals["noted"] = noted
    _write(view, "report.md", markdown.get_template("report.md.j2").render(content))
    return plain(answer)


def headline(view: RunView) -> Sentence:
    """The answer in one sentence, its numbers with their sources."""
    plan, names = view.plan, view.sample_names
    if plan.contrast is None:
        flagged = [row["sample"] for row in view.quality if row["is_outlier"]]
        n_flagged = Number(f"{len(flagged):,}", "sample_qc.csv", "count:is_outlier == True")
        n_samples = Number(f"{len(names):,}", "sample_qc.csv", "count:index == index")
        if plan.kind == "sample_qc":
            return [
                n_flagged,
                " of ",
                n_samples,
                " samples are flagged",
                f": {', '.join(flagged)}." if flagged else ".",
            ]
        share = float(view.pca_percent[:2].sum())
        first_two = [_percent(view, f"PC{k + 1}") for k in range(min(2, len(view.pca_percent)))]
        parts: Sentence = ["The first components hold "]
        parts += [first_two[0]] if len(first_two) < 2 else [first_two[0], " and ", first_two[1]]
        verdict = "most of" if share > 50 else "part of"
        return [
            *parts,
            f" of the variance, {verdict} what tells the samples apart; ",
            n_flagged,
            " of ",
            n_samples,
            " samples are flagged.",
        ]
    contrast, called = plan.contrast, f"padj < {plan.alpha!r}"
    is_called = view.padj < plan.alpha
    change = view.log2_fold_change
    n_called = Number(f"{int(is_called.sum()):,}", "results.csv", f"count:{called}")
    n_tested = Number(f"{int(np.isfinite(view.padj).sum()):,}", "results.csv", "count:padj == padj")
    alpha = Number(f"{plan.alpha:g}", "plan.json", "json:/alpha")
    n_up = Number(
        f"{int((is_called & (change > 0)).sum()):,}", "results.csv", f"count:{called} and log2_fold_change > 0"
    )
    n_down = Number(
        f"{int((is_called & (change < 0)).sum()):,}", "results.csv", f"count:{called} and log2_fold_change < 0"
    )
    against = f" against {plan.reduced}" if plan.reduced else ""
    end: Sentence = [" (adjusted p < ", alpha, f"; design {plan.design}{against})."]
    if plan.lfc_threshold:
        least = Number(f"{plan.lfc_threshold:g}", "plan.json", "json:/lfc_threshold")
        end = [" (tested for a log2 fold change beyond ", least, "; adjusted p < ", alpha, f"; design {plan.design})."]
    if not is_called.any():
        return [
            "No gene of ",
            n_tested,
            f" tested changes detectably across {contrast.factor}"
            if plan.reduced
            else f" tested changes detectably between {contrast.treated} and {contrast.control}",
            *end,
        ]
    if plan.reduced:
        return [
            n_called,
            " of ",
            n_tested,
            f" genes tested change across {contrast.factor}; of them ",
            n_up,
            " are higher and ",
            n_down,
            f" lower in {contrast.treated} than in {contrast.control}",
            *end,
        ]
    if ":" in contrast.factor:
        return [
            "For ",
            n_called,
            " of ",
            n_tested,
            f" genes tested the effects differ ({contrast}): ",
            n_up,
            " more, ",
            n_down,
            " less",
            *end,
        ]
    return [
        n_called,
        " of ",
        n_tested,
        " genes tested change: ",
        n_up,
        " are higher and ",
        n_down,
        f" lower in {contrast.treated} than in {contrast.control}",
        *end,
    ]


def further_sentences(view: RunView) -> list[Sentence]:
    """What else the tables say: the p values' shape, the first components, flagged samples."""
    said: list[Sentence] = []
    reading = view.summary.get("pvalue_reading")
    if isinstance(reading, str) and view.plan.contrast is not None:
        said.append([f"p values: {reading}"])
    if len(view.pca_percent) > 1:
        said.append(
            [
                "Samples: the first two principal components hold ",
                _percent(view, "PC1"),
                " and ",
                _percent(view, "PC2"),
                " of the variance.",
            ]
        )
    flagged = [row for row in view.quality if row["is_outlier"]]
    said += [[f"{row['sample']} stands out: {row['reason']}."] for row in flagged]
    return said


def top_genes(view: RunView, *, up: bool) -> list[dict[str, Any]]:
    """The called genes with the smallest p, one direction, each cell with its source."""
    direction = view.log2_fold_change > 0 if up else view.log2_fold_change < 0
    rows = []
    for i in np.flatnonzero((view.padj < view.plan.alpha) & direction)[:N_TOP_GENES]:
        gene = view.gene_ids[i]
        cells = {
            column: Number(shown, "results.csv", f"cell:gene_id={gene};{column}")
            for column, shown in (
                ("base_mean", f"{view.base_mean[i]:,.1f}"),
                ("log2_fold_change", f"{view.log2_fold_change[i]:+.2f}"),
                ("lfc_se", f"{view.lfc_se[i]:.2f}"),
                ("pvalue", small(view.pvalue[i])),
                ("padj", small(view.padj[i])),
            )
        }
        rows.append({"gene_id": gene, "gene_symbol": view.gene_symbols[i], **cells})
    return rows


def quality_rows(view: RunView) -> list[dict[str, Any]]:
    """One row a sample, numbers with their sources."""
    rows = []
    for row in view.quality:
        cells = {
            column: Number(shown, "sample_qc.csv", f"cell:sample={row['sample']};{column}") if shown != "nan" else "–"
            for column, shown in (
                ("library_size", f"{row['library_size']:,.0f}"),
                ("genes_detected", f"{row['genes_detected']:,.0f}"),
                ("size_factor", f"{row['size_factor']:.3f}"),
                ("median_correlation", f"{row['median_correlation']:.4f}"),
            )
        }
        rows.append({"sample": row["sample"], "is_outlier": row["is_outlier"], "reason": row["reason"], **cells})
    return rows


def loading_rows(view: RunView) -> list[dict[str, Any]]:
    """The genes that make the first two components, each loading with its source."""
    return [
        {
            "component": row["component"],
            "gene": row["gene_symbol"] or row["gene_id"],
            "loading": Number(f"{row['loading']:+.3f}", "pca_loadings.csv", f"cell:key={row['key']};loading"),
        }
        for row in view.loadings
        if row["component"] in ("PC1", "PC2") and row["rank"] <= N_LOADINGS
    ]


def missing_counts(view: RunView) -> list[tuple[str, Number]]:
    """Why genes have no adjusted p value, and how many."""
    found: dict[str, int] = {}
    for reason in view.padj_reason:
        if reason:
            found[reason] = found.get(reason, 0) + 1
    return [
        (REASONS.get(reason, reason), Number(f"{n:,}", "genes_without_padj.csv", f"count:reason == {reason!r}"))
        for reason, n in sorted(found.items(), key=lambda item: -item[1])
    ]


def pictures(view: RunView) -> list[Picture]:
    """The figures there are, in the report's order."""
    return [
        Picture(
            name, title, text, f"data:image/svg+xml;base64,{base64.b64encode(view.figures[name].read_bytes()).decode()}"
        )
        for name, (title, text) in FIGURES.items()
        if name in view.figures
    ]


def _percent(view: RunView, component: str) -> Number:
    share = view.pca_percent[int(component[2:]) - 1]
    return Number(f"{share:.1f} %", "pca.csv", f"cell:sample=percent_variance;{component}")


def _markdown(value: Any) -> Any:
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return re.sub(r"\s+", " ", value).translate(_MARKDOWN_SIGNS)


def _noted(part: Number | str, noted: dict[tuple[str, str], str]) -> str:
    """The number's text; where it stands goes into the table at the end."""
    if isinstance(part, str):
        return part
    noted[part.file, part.where] = part.text
    return part.text


def _write(view: RunView, name: str, text: str) -> None:
    (view.out_dir / name).write_text(text, encoding="utf-8", newline="\n")
