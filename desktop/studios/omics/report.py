"""The report of a run, HTML and Markdown from one content: every number carries the file and place it comes from.

Reads a finished folder and writes `report.html` and `report.md` into it. Everything that comes from data is escaped;
the HTML asks for nothing from outside and runs no script.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import jinja2
from markupsafe import Markup

from desktop.core.paths import resources_dir
from desktop.studios.omics.report_contrasts import contrast_part, other_parts, overlap_rows
from desktop.studios.omics.report_enrichment import enrichment_citations
from desktop.studios.omics.report_headline import headline, percent_of
from desktop.studios.omics.report_numbers import Number, Sentence, Struck, html_number, plain
from desktop.studios.omics.report_told import words_of
from desktop.studios.omics.report_words import KINDS, REASONS, citations, methods, notes
from desktop.studios.omics.results import RunView

N_LOADINGS = 10  # genes a component
_MARKDOWN_SIGNS = str.maketrans({c: f"\\{c}" for c in "\\`*_[]|#~"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"})


def write_report(view: RunView, *, cautions: Sequence[str]) -> str:
    """Write report.html and report.md beside the results; returns the headline as plain text."""
    folder = resources_dir() / "templates" / "omics"
    loader = jinja2.FileSystemLoader(folder)
    answer = headline(view)
    first, others = contrast_part(view), other_parts(view)
    enrichment = first.enrichment
    content = {
        "view": view,
        "plan": view.plan,
        "manifest": view.manifest,
        "kind": KINDS[view.plan.kind],
        "headline": answer,
        "sentence": plain(answer),
        "more": further_sentences(view),
        "told": words_of(view),
        "cautions": cautions,
        "first": first,
        "others": others,
        "parts": [first, *others],
        "overlap": overlap_rows(view) if others else [],
        "quality": quality_rows(view),
        "are_reads": view.plan.values in ("counts", "expected_counts"),
        "loadings": loading_rows(view),
        "enrichment": enrichment,
        "methods": methods(view.plan, view.summary, view.samples) + (enrichment.methods if enrichment else ""),
        "citations": (*citations(view.plan), *enrichment_citations(enrichment)),
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
                percent_of(view, "PC1"),
                " and ",
                percent_of(view, "PC2"),
                " of the variance.",
            ]
        )
    flagged = [row for row in view.quality if row["is_outlier"]]
    said += [[f"{row['sample']} stands out: {row['reason']}."] for row in flagged]
    return said


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


def _markdown(value: Any) -> Any:
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return re.sub(r"\s+", " ", value).translate(_MARKDOWN_SIGNS)


def _noted(part: Number | Struck | str, noted: dict[tuple[str, str], str]) -> str:
    """The number's text; where it stands goes into the table at the end."""
    if isinstance(part, str):
        return part
    if isinstance(part, Struck):
        return str(_markdown(f"({part.text}: {part.why.rstrip('.')})"))
    noted[part.file, part.where] = part.text
    return part.text


def _write(view: RunView, name: str, text: str) -> None:
    (view.out_dir / name).write_text(text, encoding="utf-8", newline="\n")
