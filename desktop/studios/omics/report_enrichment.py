"""The report's part on gene sets: what was tested, what was lost on the way, the top sets; numbers with their sources.

Reads `summary.json`, `enrichment.csv` and `enrichment_ranked.csv` of a run; one without gene sets has a reason instead.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from desktop.studios.omics.report_numbers import Number, Sentence, small
from desktop.studios.omics.results import RunView
from desktop.studios.omics.results_enrichment import load_enrichment

N_TOP_SETS = 10
N_SHOWN_GENES = 8
COLLECTIONS = {"BP": "biological process", "MF": "molecular function", "CC": "cellular component"}
GO_CITATIONS = (
    (
        "Ashburner M et al. Gene Ontology: tool for the unification of biology. Nature Genetics 25:25-29 (2000).",
        "10.1038/75556",
    ),
    (
        "The Gene Ontology Consortium. The Gene Ontology resource. Nucleic Acids Research 49:D325-D334 (2021).",
        "10.1093/nar/gkaa1113",
    ),
)
CITATIONS = (
    (
        (
            "Subramanian A et al. Gene set enrichment analysis: a knowledge-based approach for interpreting "
            "genome-wide expression profiles. PNAS 102:15545-15550 (2005)."
        ),
        "10.1073/pnas.0506580102",
    ),
)


@dataclass(frozen=True, slots=True)
class EnrichmentPart:
    """`skipped` says why there is nothing; else `tables` holds (title, file, column of the effect, rows)."""

    skipped: str = ""
    gene_sets: str = ""
    sentences: list[Sentence] = field(default_factory=list)
    tables: list[tuple[str, str, str, list[dict[str, Any]]]] = field(default_factory=list)
    methods: str = ""
    is_bundled: bool = True


def enrichment_part(view: RunView) -> EnrichmentPart | None:
    """What the report says of gene sets; None for a run that never looked for any."""
    found = view.summary.get("enrichment")
    if not isinstance(found, dict):
        return None
    if "gene_sets" not in found:
        return EnrichmentPart(skipped=str(found["skipped"])) if found.get("skipped") else None
    tables = load_enrichment(view.out_dir / view.folder)
    shown = []
    for direction, title in (("up", "Sets of genes that go up"), ("down", "Sets of genes that go down")):
        side = tables.overlap[tables.overlap["direction"] == direction]
        shown.append((title, "enrichment.csv", "Fold", _rows(side, view.plan.alpha, "fold_enrichment", "hits", "key")))
    for sign, title in ((1, "Sets at the top of the ranking"), (-1, "Sets at the bottom of the ranking")):
        side = tables.ranked[tables.ranked["nes"] * sign > 0]
        rows = _rows(side, view.plan.alpha, "nes", "leading_edge", "set_id")
        shown.append((title, "enrichment_ranked.csv", "NES", rows))
    return EnrichmentPart(
        gene_sets=str(found["gene_sets"]),
        sentences=_sentences(found, view.plan.alpha),
        tables=[table for table in shown if table[3]],
        methods=_methods(found),
        is_bundled=is_bundled(found),
    )


def enrichment_citations(part: EnrichmentPart | None) -> tuple[tuple[str, str], ...]:
    """What the part rests on; nothing for a run without gene sets."""
    if part is None or part.skipped:
        return ()
    return (*(GO_CITATIONS if part.is_bundled else ()), *CITATIONS)


def is_bundled(found: dict[str, Any]) -> bool:
    """Whether the bundled Gene Ontology was among the sets, and so genes are human ones."""
    return bool(set(COLLECTIONS) & set(found["n_annotated"]))


def _sentences(found: dict[str, Any], alpha: float) -> list[Sentence]:
    def said(*path: str) -> Number:
        value: Any = found
        for step in path:
            value = value[int(step) if isinstance(value, list) else step]
        return Number(f"{value:,}", "summary.json", "json:/enrichment/" + "/".join(path))

    universe: Sentence = [
        "The universe is the genes with a p value: of ",
        said("n_ids_tested"),
        " identifiers tested ",
        said("n_ids_mapped"),
        " lead to ",
        said("n_universe"),
        " human genes (Entrez); " if is_bundled(found) else " genes; ",
        said("n_ids_to_several"),
        " identifiers lead to more than one ",
        *(
            [
                "and are left out; of several identifiers of a gene the one with the highest average stands for it; ",
                said("n_ids_used"),
                " are used. ",
            ]
            if found.get("one_each")
            else ["and count for each. "]
        ),
        "The collections say something about ",
    ]
    for k, name in enumerate(found["n_annotated"]):
        universe += [", " if k else "", said("n_annotated", name), f" ({COLLECTIONS.get(name, name)})"]
    sentences = [[*universe, " of them; only these are counted."]]
    for k, own in enumerate(found.get("own", [])):
        sentences.append(
            [
                f"Sets of the file {own['file']} ({own['name']}): ",
                said("own", str(k), "n_ids_here"),
                " of its ",
                said("own", str(k), "n_ids"),
                " identifiers are genes of this table; ",
                said("own", str(k), "n_sets_here"),
                " of its ",
                said("own", str(k), "n_sets"),
                f" sets have enough of them. SHA-256 {own['sha256']}.",
            ]
        )
    for direction in ("up", "down"):
        study: Sentence = [f"Called {direction}: ", said("study", direction, "n_ids"), " identifiers, of which "]
        study += [
            said("study", direction, "n_ids_mapped"),
            " lead to ",
            said("study", direction, "n_genes"),
            " genes; ",
        ]
        for k, name in enumerate(found["study"][direction]["n_annotated"]):
            study += [
                ", " if k else "",
                said("study", direction, "n_annotated", name),
                f" ({COLLECTIONS.get(name, name)})",
            ]
        sentences.append([*study, " are annotated and take part."])
    if found.get("left_out"):
        sentences.append([f"The Gene Ontology that comes with Benchtop was left out: {found['left_out']}."])
    called = f"padj < {alpha!r}"
    counts: Sentence = []
    for k, direction in enumerate(("up", "down", "both")):
        n_sets = found["n_significant"][direction]
        number = Number(f"{n_sets:,}", "enrichment.csv", f"count:direction == {direction!r} and {called}")
        words = {"up": " sets hold more genes that go up than chance gives", "down": " more that go down"}
        counts += [", " if k else "", number, words.get(direction, " more that change either way")]
    n_ranked = Number(f"{found['n_significant']['ranked']:,}", "enrichment_ranked.csv", f"count:{called}")
    counts += [
        "; ",
        n_ranked,
        " lie together at an end of the ranking. Sets with mostly the same genes are told once: ",
    ]
    for k, test in enumerate(("up", "down", "both", "ranked")):
        counts += [", " if k else "", said("n_representative", test), f" ({test})"]
    return [*sentences, [*counts, " stand for all."]]


def _rows(side: pd.DataFrame, alpha: float, effect: str, hits: str, key: str) -> list[dict[str, Any]]:
    """The significant sets that stand for themselves, smallest p first."""
    file = "enrichment.csv" if key == "key" else "enrichment_ranked.csv"
    found = side[(side["padj"] < alpha) & (side["representative"] == side["set_id"])]
    rows = []
    for row in found.sort_values(["pvalue", "set_id"], kind="stable").head(N_TOP_SETS).to_dict("records"):
        genes = str(row["genes"]).split(";")
        cells = {
            name: Number(text, file, f"cell:{key}={row[key]};{column}")
            for name, column, text in (
                ("effect", effect, f"{row[effect]:+.2f}" if effect == "nes" else f"{row[effect]:.2f}"),
                ("hits", hits, f"{row[hits]:,}"),
                ("size", "set_size", f"{row['set_size']:,}"),
                ("pvalue", "pvalue", small(row["pvalue"])),
                ("padj", "padj", small(row["padj"])),
            )
        }
        named = ", ".join(genes[:N_SHOWN_GENES]) + (" …" if len(genes) > N_SHOWN_GENES else "")
        rows.append(
            {"set_id": row["set_id"], "name": row["name"], "collection": row["collection"], "genes": named, **cells}
        )
    return rows


def _methods(found: dict[str, Any]) -> str:
    return (
        f" Gene sets: {found['gene_sets']}"
        + ("; a gene counts for a term and all above it (is a, part of, regulates)" if is_bundled(found) else "")
        + (
            ". Identifiers that lead to several genes were left out; of several identifiers of a gene the one with the "
            "highest average value stood for it"
            if found.get("one_each")
            else ""
        )
        + ". Over-representation: one-sided hypergeometric test of the called genes, up, down and together, among all "
        "genes with a p value that the collection annotates; sets with 10 to 500 of these. Ranked: weighted running "
        "score (exponent 1; Subramanian et al. 2005) of the annotated genes by their test statistic, of each gene's "
        f"identifiers the one with the highest average, against {found['n_permutations']:,} random gene sets of that "
        f"size (above 40 genes of a size within 2.5 %, scaled; seed {found['seed']}); where fewer than 10 of these lie "
        "as far out, p is extrapolated from their tail and never below 1e-10. p values adjusted by Benjamini and "
        "Hochberg within each collection and direction. Sets whose hits overlap (Jaccard at least 0.5) are represented "
        "by the one with the smallest p."
    )
