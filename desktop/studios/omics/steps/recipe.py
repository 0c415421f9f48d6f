"""The analysis itself, in the order a reader follows it. `script.py` copies this file to the end of every script.

The constants below stand for the plan: each script has its own in their place. Reads the table of values (DATA_FILE)
and `samples.csv` beside this file; writes tables and figures to the current working directory. What depends on the
kind of the values is in `count_model.py` or, with the same names, in `intensity_model.py`.
"""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import formulaic
import matplotlib
import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import NDArray

from desktop.studios.omics.steps.count_model import (
    DATA_FILE,
    SHOWN_FILE,
    SPREAD_FILE,
    compare_genes,
    fit_model,
    is_testable,
    prepare,
)
from desktop.studios.omics.steps.design_matrix import contrast_weights, design_columns, to_number, typed_factors
from desktop.studios.omics.steps.enrichment import find_enriched, read_gene_sets
from desktop.studios.omics.steps.figures import (
    draw_clustering,
    draw_contrasts,
    draw_enrichment,
    draw_heatmap,
    draw_ma,
    draw_pca,
    draw_pvalue_histogram,
    draw_running_scores,
    draw_sample_quality,
    draw_spread,
    draw_top_genes,
    draw_volcano,
    save_figure,
)
from desktop.studios.omics.steps.quality import (
    Tested,
    clustered_order,
    clustering,
    gene_z_scores,
    most_variable,
    principal_components,
    sample_distances,
    sample_quality,
    top_loadings,
)
from desktop.studios.omics.steps.sample_swap import swapped_samples

Matrix = NDArray[np.float64]

# The plan
QUESTION: str = ""
KIND: str = "differential_expression"  # or pca, clustering, sample_qc: the same without the test
VALUES: str = "counts"  # or expected_counts, log_intensity, linear_intensity, tpm, fpkm
DESIGN: str = "~ condition"
CONTRASTS: list[dict[str, Any]] = [  # the first one's results are results.csv; "within": at these levels of others
    {
        "title": "treated against control (condition)",
        "folder": "",
        "compare": {"condition": ["treated", "control"]},  # two factors: their interaction; []: per unit of a number
        "within": {},
    }
]
REDUCED: str = ""  # a design: tested is all that it leaves out, and the contrast is only reported
BLOCK_FACTOR: str = ""  # a factor: samples of one level are correlated (log2 values only)
ROBUST: bool = False  # let no few genes that vary wildly move the prior variance (log2 values only)
WEIGH_SAMPLES: bool = False  # let samples that fit poorly count for less (log2 values only)
ALPHA: float = 0.05  # adjusted p value below which a gene counts as changed
LFC_THRESHOLD: float = 0.0  # tested: is |log2 fold change| greater than this?
MIN_TOTAL_COUNT: int = 0  # genes with fewer reads over all samples are not tested
COLLAPSE: str = ""  # a factor: columns of one level are runs of one sample, and their reads are added up
LENGTHS: bool = False  # lengths.csv.gz has each gene's length in each column: differences are allowed for
KEEP: dict[str, list[str]] = {}  # factor: levels analysed ("sample": their names); empty keeps every sample
LEVELS: dict[str, list[str]] = {"condition": ["control", "treated"]}  # reference level first
NUMERIC: list[str] = []  # factors that are numbers, not groups
COLOUR_BY: str = "condition"
SHAPE_BY: str = ""
STATED_SEX: str = ""  # factor held against the sex genes
DONOR: str = ""  # factor held against the samples' likeness, after taking off what SWAP_CELLS explain
SWAP_CELLS: list[str] = []
N_TOP_GENES: int = 500  # principal components: most variable genes
N_HEATMAP_GENES: int = 50
GENE_SETS: str = ""  # what the sets in gene_sets.gmt.gz are; empty: none are tested
OWN_GENE_SETS: list[dict[str, object]] = []  # files of the person's among them, and what was found of each
NO_GENE_SETS: str = ""  # why none are tested, or why not those that come with Benchtop
# End of the plan

NUMBER_FORMAT = "%.10g"
RESULT_COLUMNS = ["base_mean", "log2_fold_change", "lfc_se", "stat", "pvalue", "padj"]
N_STEPS = 9 if GENE_SETS else 8


def tell(step: int, name: str) -> None:
    """Say which step begins; Benchtop shows it as progress."""
    sys.stdout.write(f"[step {step}/{N_STEPS}] {name}\n")
    sys.stdout.flush()


def read_data(folder: Path) -> tuple[pd.DataFrame, pd.Series, pd.DataFrame]:
    """Values (genes x samples), gene symbols by gene id, and the sample table; every label is text as written."""
    samples = pd.read_csv(folder / "samples.csv", dtype=str, keep_default_na=False, index_col=0)
    text = {"gene_id": str, "gene_symbol": str}
    missing = {name: [""] for name in samples.index if name not in text}
    table = pd.read_csv(folder / DATA_FILE, dtype=text, keep_default_na=False, na_values=missing)
    table = table.set_index("gene_id")
    symbols = table.pop("gene_symbol")
    if list(table.columns) != list(samples.index):
        raise SystemExit("samples.csv and the values do not name the same samples in the same order")
    if COLLAPSE:
        table, samples = add_up_runs(table, samples)
    for factor, levels in KEEP.items():
        values = samples.index.to_series() if factor == "sample" else samples[factor]
        samples = samples[values.isin(levels)]
    return table[list(samples.index)], symbols, samples


def read_lengths(folder: Path, samples: pd.DataFrame, gene_ids: NDArray[np.str_]) -> Matrix:
    """(S, G) Length of each gene in each sample, the average over the runs of one."""
    table = pd.read_csv(folder / "lengths.csv.gz", dtype={"gene_id": str}, keep_default_na=False).set_index("gene_id")
    if list(table.index) != list(gene_ids):
        raise SystemExit("lengths.csv.gz and the values do not name the same genes in the same order")
    if COLLAPSE:
        runs = pd.read_csv(folder / "samples.csv", dtype=str, keep_default_na=False, index_col=0)
        table = table.T.groupby(runs[COLLAPSE].reindex(table.columns).to_numpy(), sort=False).mean().T
    return table[list(samples.index)].to_numpy(dtype=np.float64).T


def add_up_runs(table: pd.DataFrame, samples: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The reads of the runs of one sample added up; of the labels those that all its runs share."""
    owners = samples[COLLAPSE]
    alike = [factor for factor in samples if (samples[factor].groupby(owners).nunique() == 1).all()]
    one_each = samples.loc[~owners.duplicated(), alike]
    one_each.index = pd.Index(one_each[COLLAPSE], name=samples.index.name)
    return table.T.groupby(owners.to_numpy(), sort=False).sum().T, one_each


def flag_swapped(
    quality: pd.DataFrame,
    values: Matrix,
    gene_ids: list[str],
    symbols: list[str],
    samples: pd.DataFrame,
    *,
    is_log: bool,
) -> pd.DataFrame:
    """The table of samples' quality, with those flagged whose expression contradicts their stated sex or donor."""
    cells = (
        ["; ".join(row) for row in samples[SWAP_CELLS].itertuples(index=False)] if SWAP_CELLS else [""] * len(samples)
    )
    found = swapped_samples(
        values,
        gene_ids,
        symbols,
        list(quality.index),
        is_log=is_log,
        stated_sex=list(samples[STATED_SEX]) if STATED_SEX else [],
        donors=list(samples[DONOR]) if DONOR else [],
        cells=cells,
    )
    reasons = [[*filter(None, [why]), *found.get(str(name), [])] for name, why in quality["reason"].items()]
    return quality.assign(
        is_outlier=[bool(all_of) for all_of in reasons], reason=["; ".join(all_of) for all_of in reasons]
    )


def table_of_joins(joins: Matrix, names: list[str]) -> pd.DataFrame:
    """The clustering of the samples, one row a join: what was joined (a sample, or an earlier join), how far apart."""
    called = [*names, *(f"join {k + 1}" for k in range(len(joins)))]
    left, right = ([called[int(k)] for k in joins[:, side]] for side in (0, 1))
    table = pd.DataFrame({"join": called[len(names) :], "left": left, "right": right})
    return table.assign(distance=joins[:, 2], n_samples=joins[:, 3].astype(int))


def reading_of_pvalues(pvalue: Matrix) -> str:
    """What the shape of the p-value histogram says, in one sentence. (G,), NaN where there is no adjusted p value."""
    tested = pvalue[np.isfinite(pvalue)]
    if len(tested) < 200:
        return f"Only {len(tested)} genes were tested: too few to read the shape."
    share, _ = np.histogram(tested, bins=20, range=(0.0, 1.0))
    density = share * 20 / len(tested)  # 1 everywhere when nothing differs
    first, middle, last = float(density[0]), float(density[5:15].mean()), float(density[-1])
    if last > 1.6 * max(middle, 0.05) and first > 1.6 * max(middle, 0.05):
        return "Peaks at both ends: real changes, and many p values near 1 (very low counts or a test too careful)."
    if last > 1.6 * max(middle, 0.05):
        return "Piled up near 1: the test is too careful here; the model may leave out a source of variation."
    if middle > 1.4 * first:
        return "A hill in the middle: p values are not well calibrated; look for an unmodelled batch."
    if first > 1.25 * max(middle, 0.05):
        return "A peak near 0 on a flat floor: genes that change, and a well-behaved test for those that do not."
    return "Flat: no more small p values than chance gives; few or no genes change."


def write_table(table: pd.DataFrame, path: str | Path, *, index: bool = True) -> None:
    """A CSV whose bytes depend on nothing but its numbers: ten significant digits, LF, gzip without a date."""
    compression = {"method": "gzip", "mtime": 0} if str(path).endswith(".gz") else None
    table.to_csv(path, index=index, float_format=NUMBER_FORMAT, lineterminator="\n", compression=compression)


def write_summary(summary: dict[str, Any], path: Path) -> None:
    """A JSON file, readable, LF."""
    path.write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")


def look_for_gene_sets(results: pd.DataFrame, out: Path, title: str) -> dict[str, object]:
    """Test the sets in gene_sets.gmt.gz, write tables and figures into `out`; returns the counts for the summary.

    Values on a log scale are probes as a rule: of a gene's probes one stands for it.
    """
    folder = Path(__file__).resolve().parent
    gene_map = pd.read_csv(folder / "gene_map.csv.gz", dtype=str, keep_default_na=False)
    sets = read_gene_sets(folder / "gene_sets.gmt.gz", gene_map)
    table, ranked, counts, lines = find_enriched(results, gene_map, sets, ALPHA, one_each=VALUES.endswith("intensity"))
    write_table(table, out / "enrichment.csv", index=False)
    write_table(ranked, out / "enrichment_ranked.csv", index=False)
    if len(table):
        save_figure(draw_enrichment(table, ALPHA, title), out / "figures", "enrichment")
    if lines["lines"]:
        save_figure(draw_running_scores(lines["lines"], lines["stat"], title), out / "figures", "enrichment_ranked")
    return counts


@dataclass(frozen=True)
class Data:
    """What every contrast is tested and drawn on. S samples, G genes."""

    samples: pd.DataFrame
    gene_ids: NDArray[np.str_]
    labels: list[str]  # (G,) symbol, or identifier where there is none
    shown: Matrix  # (S, G)
    transformed: Matrix  # (S, G)
    shown_as: str
    transformed_as: str
    is_log: bool


@dataclass(frozen=True)
class Answer:
    """A contrast's results: `table` in the order of the data, `order` that of results.csv, `summary` its counts."""

    contrast: dict[str, Any]
    table: pd.DataFrame
    order: NDArray[np.intp]
    summary: dict[str, Any]

    @property
    def out(self) -> Path:
        """The folder its tables and figures go to."""
        return Path(self.contrast["folder"])

    @property
    def ranked(self) -> pd.DataFrame:
        return self.table.iloc[self.order].reset_index(drop=True)


def to_answer(contrast: dict[str, Any], tested: Tested, blank: pd.DataFrame, enough: NDArray[np.bool_]) -> Answer:
    """Put a test of the genes that were `enough` (G,) among all genes, count, and write what only the test knows."""
    results = blank.copy()
    for column in RESULT_COLUMNS:
        results.loc[enough, column] = tested.table[column].to_numpy()
    reason = np.full(len(results), "few_reads", dtype=object)
    reason[enough] = tested.table["reason"].to_numpy()
    missing = results.loc[results["padj"].isna(), ["gene_id", "gene_symbol", "base_mean", "pvalue"]]
    missing = missing.assign(reason=reason[missing.index]).sort_values("gene_id", kind="stable")
    out = Path(contrast["folder"])
    out.mkdir(parents=True, exist_ok=True)
    write_table(missing, out / "genes_without_padj.csv", index=False)
    written = [float(NUMBER_FORMAT % p) for p in results["pvalue"].fillna(2.0)]
    gene_ids = results["gene_id"].to_numpy(dtype=str)
    order = np.lexsort((gene_ids, np.array(written)))  # by p value as it is written, then by gene id
    write_table(results.iloc[order], out / "results.csv", index=False)
    if tested.shrunken is not None:
        shrunken = pd.DataFrame(np.nan, index=results.index, columns=["log2_fold_change_shrunken", "lfc_se"])
        shrunken.loc[enough] = tested.shrunken.to_numpy()
        shrunken.insert(0, "gene_id", gene_ids)
        write_table(shrunken.iloc[order], out / "shrunken.csv", index=False)
    significant = (results["padj"] < ALPHA).to_numpy()
    change = results["log2_fold_change"].to_numpy()
    summary = {
        "n_tested": int(results["padj"].notna().sum()),
        "n_significant": int(significant.sum()),
        "up": int((significant & (change > 0)).sum()),
        "down": int((significant & (change < 0)).sum()),
        "without_padj": {str(name): int(number) for name, number in missing["reason"].value_counts().items()},
        "pvalue_reading": reading_of_pvalues(results["pvalue"].where(results["padj"].notna()).to_numpy()),
        **tested.facts,
    }
    return Answer(contrast, results, order, summary)


def write_heatmap(data: Data, chosen: NDArray[np.intp], symbols: pd.Series, strips: list[str], out: Path) -> None:
    """z-scores of the chosen genes, like beside like: heatmap.csv and the figure, with strips of these factors."""
    z = gene_z_scores(data.transformed[:, chosen]).T  # (genes, samples)
    rows, columns = clustered_order(z), clustered_order(z.T)
    z, chosen = z[np.ix_(rows, columns)], chosen[rows]
    heatmap = pd.DataFrame(z, columns=[data.samples.index[k] for k in columns])
    heatmap.insert(0, "gene_symbol", symbols.to_numpy()[chosen])
    heatmap.insert(0, "gene_id", data.gene_ids[chosen])
    write_table(heatmap, out / "heatmap.csv", index=False)
    groups = {factor: [data.samples[factor].iloc[k] for k in columns] for factor in strips}
    labels = [data.labels[k] for k in chosen]
    levels = {factor: list(dict.fromkeys(data.samples[factor])) for factor in strips}
    figure = draw_heatmap(z, labels, list(heatmap.columns[2:]), groups, levels, data.transformed_as)
    save_figure(figure, out / "figures", "heatmap")


def draw_answer(data: Data, answer: Answer, strips: list[str]) -> None:
    """The figures of one contrast."""
    figures, title, ranked = answer.out / "figures", str(answer.contrast["title"]), answer.ranked
    if ranked["padj"].notna().any():
        chosen = answer.order[: min(N_HEATMAP_GENES, int(ranked["padj"].notna().sum()))]
        chosen = chosen[np.isfinite(answer.table["padj"].to_numpy()[chosen])]
    else:
        chosen = most_variable(data.transformed, N_HEATMAP_GENES)
    write_heatmap(data, chosen, answer.table["gene_symbol"], strips, answer.out)
    save_figure(draw_volcano(ranked, ALPHA, LFC_THRESHOLD, title), figures, "volcano")
    save_figure(draw_ma(ranked, ALPHA, title, data.shown_as, is_log=data.is_log), figures, "ma")
    adjusted = answer.table.loc[answer.table["padj"].notna(), "pvalue"].to_numpy()
    save_figure(draw_pvalue_histogram(adjusted, str(answer.summary["pvalue_reading"])), figures, "pvalue_histogram")
    best = answer.order[:8][np.isfinite(answer.table["pvalue"].to_numpy()[answer.order[:8]])]
    compared = list(answer.contrast["compare"])
    factor = compared[-1]
    pair = next((other for other in [*compared, *strips] if other != factor and other not in NUMERIC), "")
    picture = draw_top_genes(
        data.shown[:, best],
        [data.labels[k] for k in best],
        [to_number(text) for text in data.samples[factor]] if factor in NUMERIC else list(data.samples[factor]),
        list(data.samples[pair]) if pair else None,
        factor,
        data.shown_as,
        is_log=data.is_log,
    )
    save_figure(picture, figures, "top_genes")


def compare_answers(answers: list[Answer]) -> None:
    """How the contrasts agree: contrasts.csv, contrast_overlap.csv, shared_genes.csv and a figure."""
    titles = [str(answer.contrast["title"]) for answer in answers]
    called = np.array([(answer.table["padj"] < ALPHA).to_numpy() for answer in answers])  # (contrasts, genes)
    change = np.array([answer.table["log2_fold_change"].to_numpy(dtype=np.float64) for answer in answers])
    counts = pd.DataFrame([answer.summary for answer in answers])[["n_tested", "n_significant", "up", "down"]]
    counts.insert(0, "folder", [answer.contrast["folder"] for answer in answers])
    counts.insert(0, "contrast", titles)
    counts.insert(0, "number", range(1, len(answers) + 1))
    write_table(counts, "contrasts.csv", index=False)
    rows = []
    for one in range(len(answers)):
        for other in range(one + 1, len(answers)):
            both = called[one] & called[other]
            known = np.isfinite(change[one]) & np.isfinite(change[other])
            alike = scipy.stats.spearmanr(change[one][known], change[other][known])[0] if known.sum() > 2 else np.nan
            either = int((called[one] | called[other]).sum())
            rows.append(
                {
                    "pair": f"{one + 1}-{other + 1}",
                    "left": titles[one],
                    "right": titles[other],
                    "n_both": int(both.sum()),
                    "n_same_direction": int((both & (np.sign(change[one]) == np.sign(change[other]))).sum()),
                    "jaccard": both.sum() / either if either else np.nan,
                    "lfc_spearman": alike,
                }
            )
    write_table(pd.DataFrame(rows), "contrast_overlap.csv", index=False)
    shared = answers[0].table[["gene_id", "gene_symbol"]].copy()
    shared["n_contrasts"] = called.sum(axis=0)
    for number, answer in enumerate(answers, start=1):
        shared[f"log2_fold_change_{number}"] = answer.table["log2_fold_change"]
        shared[f"padj_{number}"] = answer.table["padj"]
    shared = shared[shared["n_contrasts"] > 0].sort_values(["n_contrasts", "gene_id"], ascending=[False, True])
    write_table(shared, "shared_genes.csv", index=False)
    n_both = (called.astype(np.int64)) @ called.T.astype(np.int64)
    save_figure(draw_contrasts(counts, n_both), Path("figures"), "contrasts")


def main() -> None:
    """Read, look at the samples, test, write."""
    figures = Path("figures")

    tell(1, "Read the data")
    folder = Path(__file__).resolve().parent
    table, symbols, samples = read_data(folder)
    names, gene_ids = list(samples.index), table.index.to_numpy(dtype=str)
    strips = [factor for factor in (COLOUR_BY, SHAPE_BY) if factor]
    values = table.to_numpy(dtype=np.float64).T  # (samples, genes)

    tell(2, "Bring the samples to one scale")
    scaled = prepare(values, VALUES, read_lengths(folder, samples, gene_ids) if LENGTHS else None)
    notes = list(scaled.notes)
    if COLLAPSE:
        notes.append(f"Reads of runs of one sample were added up by {COLLAPSE}.")
    write_table(pd.DataFrame(scaled.shown.T, index=pd.Index(gene_ids, name="gene_id"), columns=names), SHOWN_FILE)

    tell(3, "Check the samples")
    quality = sample_quality(values, scaled.transformed, scaled.size_factors, names)
    measured = scaled.shown if scaled.is_log else values
    quality = flag_swapped(quality, measured, list(gene_ids), list(symbols), samples, is_log=scaled.is_log)
    write_table(quality, "sample_qc.csv")
    joins = clustering(scaled.transformed)
    write_table(table_of_joins(joins, names), "sample_clusters.csv", index=False)
    save_figure(
        draw_clustering(joins, names, list(samples[COLOUR_BY]) if COLOUR_BY else [], COLOUR_BY),
        figures,
        "sample_clustering",
    )
    distances = sample_distances(scaled.transformed)
    write_table(pd.DataFrame(distances, index=pd.Index(names, name="sample"), columns=names), "sample_distances.csv")
    save_figure(draw_sample_quality(quality), figures, "sample_qc")

    tell(4, "Principal components")
    top = most_variable(scaled.transformed, N_TOP_GENES)
    if len(top) < 2:
        raise SystemExit("fewer than two genes differ between the samples, so there is nothing to analyse")
    scores, percent = principal_components(scaled.transformed[:, top])
    components = [f"PC{k + 1}" for k in range(scores.shape[1])]
    pca = pd.DataFrame(np.vstack([percent, scores]), columns=components)
    pca.insert(0, "sample", ["percent_variance", *names])  # the first row is the percentage, then one a sample
    write_table(pca, "pca.csv", index=False)
    made_of = [
        pd.DataFrame(rows, columns=["gene", "loading"]) for rows in top_loadings(scaled.transformed[:, top], scores)
    ]
    loadings = pd.concat(made_of, keys=components, names=["component", "rank"]).reset_index()
    genes = top[loadings.pop("gene").to_numpy(dtype=np.intp)]
    loadings["rank"] += 1
    loadings.insert(2, "gene_id", gene_ids[genes])
    loadings.insert(3, "gene_symbol", symbols.to_numpy(dtype=str)[genes])
    loadings.insert(0, "key", loadings["component"] + ":" + loadings["gene_id"])
    write_table(loadings, "pca_loadings.csv", index=False)
    factors = {factor: list(samples[factor]) for factor in strips}
    save_figure(draw_pca(scores, percent, names, factors, COLOUR_BY, SHAPE_BY), figures, "pca")

    results = pd.DataFrame({"gene_id": gene_ids, "gene_symbol": symbols.to_numpy(dtype=str)})
    results["base_mean"] = scaled.transformed.mean(axis=0) if scaled.is_log else scaled.shown.mean(axis=0)
    for column in RESULT_COLUMNS[1:]:
        results[column] = np.nan
    summary: dict[str, Any] = {"kind": KIND, "n_genes": len(results), "n_samples": len(names), "values": VALUES}
    summary["n_outlier_samples"] = int(quality["is_outlier"].sum())
    summary["versions"] = {
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "SciPy": scipy.__version__,
        "pandas": pd.__version__,
        "Matplotlib": matplotlib.__version__,
    }
    summary["percent_variance"] = [round(float(value), 4) for value in percent]
    data = Data(
        samples=samples,
        gene_ids=gene_ids,
        labels=[symbol or gene for symbol, gene in zip(results["gene_symbol"], results["gene_id"], strict=True)],
        shown=scaled.shown,
        transformed=scaled.transformed,
        shown_as=scaled.shown_as,
        transformed_as=scaled.transformed_as,
        is_log=scaled.is_log,
    )

    answers: list[Answer] = []
    if CONTRASTS:
        tell(5, "Fit the model")
        typed = typed_factors(samples, LEVELS, NUMERIC)
        design = design_columns(formulaic.model_matrix(DESIGN, typed))
        reduced = design_columns(formulaic.model_matrix(REDUCED, typed)).frame if REDUCED else None
        enough = is_testable(values, MIN_TOTAL_COUNT)
        blocks = samples[BLOCK_FACTOR] if BLOCK_FACTOR else None
        frame = pd.DataFrame(design.frame)
        fit = fit_model(values, scaled, enough, frame, blocks, robust=ROBUST, weigh=WEIGH_SAMPLES)
        if design.left_out:
            notes.append(f"Columns of the design that others already hold were left out: {', '.join(design.left_out)}.")

        tell(6, "Test every gene")
        for contrast in CONTRASTS:
            weights = contrast_weights(design, typed, contrast["compare"], contrast["within"])
            tested = compare_genes(fit, weights, reduced, alpha=ALPHA, lfc_threshold=LFC_THRESHOLD)
            answers.append(to_answer(contrast, tested, results, enough))
        notes += tested.notes
        spread = tested.spread.copy()
        spread.insert(0, "gene_id", gene_ids[enough])
        write_table(spread[tested.has_spread], SPREAD_FILE, index=False)
        picture = draw_spread(tested.spread, tested.spread_as, scaled.shown_as, is_log=scaled.is_log)
        save_figure(picture, figures, tested.spread_as)
        summary |= answers[0].summary

    tell(7, "Write the tables")
    summary["notes"] = notes
    if not answers:
        write_table(results.iloc[np.argsort(gene_ids, kind="stable")], "results.csv", index=False)
        write_heatmap(data, most_variable(data.transformed, N_HEATMAP_GENES), results["gene_symbol"], strips, Path())
    if len(answers) > 1:
        compare_answers(answers)
        summary["n_contrasts"] = len(answers)
    if GENE_SETS:
        tell(8, "Test the gene sets")
    said = {"gene_sets": GENE_SETS, "own": OWN_GENE_SETS, "left_out": NO_GENE_SETS}
    for answer in answers:
        found = look_for_gene_sets(answer.ranked, answer.out, str(answer.contrast["title"])) if GENE_SETS else {}
        enrichment = said | found if GENE_SETS else {"skipped": NO_GENE_SETS}
        if answer is answers[0]:
            summary["enrichment"] = enrichment
        else:
            write_summary({**answer.summary, "enrichment": enrichment}, answer.out / "summary.json")
    write_summary(summary, Path("summary.json"))

    tell(N_STEPS, "Draw the figures")
    for answer in answers:
        draw_answer(data, answer, strips)


if __name__ == "__main__":
    main()
