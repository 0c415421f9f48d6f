"""The report's fixed words: names of kinds, what each figure shows, the methods paragraph, the citations. Only text."""

from __future__ import annotations

from typing import Any

from desktop.studios.omics.schema import Plan, SampleTable
from desktop.studios.omics.steps.contrasts import title_of

KINDS = {
    "differential_expression": "Differential expression",
    "pca": "Principal components",
    "clustering": "Clustering",
    "sample_qc": "Sample quality",
}
REASONS = {
    "all_zero": "no reads in any sample",
    "outlier": "one count lies far from its replicates (Cook's distance)",
    "low_mean": "too few reads to ever be significant (independent filtering)",
    "too_few_values": "too few values",
    "few_reads": "fewer reads in total than the plan asks for",
}
FIGURES = {
    "contrasts": (
        "The contrasts side by side",
        (
            "Left, the genes each contrast calls, up and down; right, how many genes each two of them share. "
            "Numbers stand for the contrasts named on the left."
        ),
    ),
    "volcano": (
        "Volcano",
        (
            "Each point is a gene: change to the right means more in the treated samples; higher means surer. "
            "The dashed line is the threshold. "
            "Triangles at the top edge have a p value below the smallest number the computer holds."
        ),
    ),
    "ma": ("Mean and change", "Change against mean expression; triangles lie beyond the axis."),
    "heatmap": (
        "Heatmap",
        (
            "Genes by samples, both clustered; colours are z-scores of transformed values, blue below and orange "
            "above the gene's own mean."
        ),
    ),
    "top_genes": ("Top genes", "The genes with the smallest p values, sample by sample; lines join paired samples."),
    "pca": ("Principal components", "Samples that lie together have similar expression."),
    "sample_qc": (
        "Sample checks",
        "Likeness to the others and, of reads, depth and genes detected; flagged ones in red.",
    ),
    "sample_clustering": (
        "Sample clustering",
        "Samples joined early, at a small distance, have similar expression; names are coloured by group.",
    ),
    "pvalue_histogram": (
        "p values",
        "A peak near 0 on a flat floor is what a sound test with real changes looks like.",
    ),
    "enrichment": (
        "Gene sets",
        (
            "Sets that hold more called genes than chance gives, the surest first; sets with mostly the same genes are "
            "shown once. Larger dots: more genes; deeper colour: smaller adjusted p."
        ),
    ),
    "enrichment_ranked": (
        "Gene sets in the ranking",
        (
            "The running score rises at each gene of the set: an early peak is a set that goes up, a late dip one that "
            "goes down."
        ),
    ),
    "variance": (
        "Variability",
        "How much each row varies between replicates, before and after sharing information.",
    ),
    "dispersion": (
        "Variability",
        "How much each gene varies between replicates, before and after sharing information.",
    ),
}
_DESEQ2 = (
    (
        "Love MI, Huber W, Anders S. Moderated estimation of fold change and dispersion for RNA-seq data with DESeq2. "
        "Genome Biology 15:550 (2014)."
    ),
    "10.1186/s13059-014-0550-8",
)
_COUNT_METHODS = (
    _DESEQ2,
    (
        (
            "Muzellec B, Teleńczuk M, Cabeli V, Andreux M. PyDESeq2: a python package for bulk RNA-seq differential "
            "expression analysis. Bioinformatics 39:btad547 (2023)."
        ),
        "10.1093/bioinformatics/btad547",
    ),
    (
        "Anders S, Huber W. Differential expression analysis for sequence count data. Genome Biology 11:R106 (2010).",
        "10.1186/gb-2010-11-10-r106",
    ),
    (
        (
            "Zhu A, Ibrahim JG, Love MI. Heavy-tailed prior distributions for sequence count data: removing the noise "
            "and preserving large differences. Bioinformatics 35:2084-2092 (2019)."
        ),
        "10.1093/bioinformatics/bty895",
    ),
)
_INTENSITY_METHODS = (
    (
        (
            "Smyth GK. Linear models and empirical Bayes methods for assessing differential expression in microarray "
            "experiments. Statistical Applications in Genetics and Molecular Biology 3:3 (2004)."
        ),
        "10.2202/1544-6115.1027",
    ),
    (
        (
            "Ritchie ME et al. limma powers differential expression analyses for RNA-sequencing and microarray "
            "studies. Nucleic Acids Research 43:e47 (2015)."
        ),
        "10.1093/nar/gkv007",
    ),
)
_ALWAYS = (
    (
        (
            "Benjamini Y, Hochberg Y. Controlling the false discovery rate. Journal of the Royal Statistical Society B "
            "57:289-300 (1995)."
        ),
        "10.1111/j.2517-6161.1995.tb02031.x",
    ),
    ("Harris CR et al. Array programming with NumPy. Nature 585:357-362 (2020).", "10.1038/s41586-020-2649-2"),
    ("Virtanen P et al. SciPy 1.0. Nature Methods 17:261-272 (2020).", "10.1038/s41592-019-0686-2"),
    (
        "Hunter JD. Matplotlib: a 2D graphics environment. Computing in Science & Engineering 9:90-95 (2007).",
        "10.1109/MCSE.2007.55",
    ),
)


def methods(plan: Plan, summary: dict[str, Any], samples: SampleTable) -> str:
    """The paragraph a paper needs, from the plan as run and the versions the script reported."""
    are_reads = plan.values in ("counts", "expected_counts")
    text = (
        (
            "Raw read counts were normalised with median-of-ratios size factors (Anders and Huber 2010). "
            "For principal components, distances and the heatmap, counts were transformed with the "
            "variance-stabilising transformation of DESeq2, blind to the groups"
        )
        if are_reads
        else f"{' '.join(notes(summary)[:1])} Principal components, distances and the heatmap are of these values"
    )
    text += (
        f"; principal components use the {plan.n_top_genes} most variable genes, centred and not scaled. "
        "Clustering is by average linkage on Euclidean distance."
    )
    if plan.lengths:
        text = text.replace(
            "were normalised with median-of-ratios size factors (Anders and Huber 2010)",
            "were normalised by the average transcript length of each gene in each sample (Soneson et al. 2015) and "
            "median-of-ratios size factors (Anders and Huber 2010)",
        )
    if plan.collapse:
        text = f"Reads of technical replicates were added up by {plan.collapse}. {text}"
    if plan.keep:
        kept = "; ".join(f"{factor}: {', '.join(levels)}" for factor, levels in plan.keep.items())
        text = f"Only samples with {kept} were analysed. {text}"
    if plan.contrast is not None:
        compared = "; ".join(title_of(contrast, samples) for contrast in plan.contrasts)
        text += _count_test(plan, summary, compared) if are_reads else _intensity_test(plan, summary, compared)
        if plan.other_contrasts:
            text += (
                f" All {len(plan.contrasts)} contrasts were tested on one fit; p values were adjusted within each "
                "contrast."
            )
    versions = summary.get("versions")
    if isinstance(versions, dict):
        text += f" Software: {', '.join(f'{name} {version}' for name, version in versions.items())}."
    return text


def notes(summary: dict[str, Any]) -> list[str]:
    """What the script noted about the data and the fit, one sentence each."""
    found = summary.get("notes")
    return [str(note) for note in found] if isinstance(found, list) else []


def citations(plan: Plan) -> tuple[tuple[str, str], ...]:
    """(text, doi) of what the analysis rests on."""
    return (*(_COUNT_METHODS if plan.values in ("counts", "expected_counts") else _INTENSITY_METHODS), *_ALWAYS)


def _null(plan: Plan) -> str:
    return f"|log2 fold change| ≤ {plan.lfc_threshold:g}" if plan.lfc_threshold else "no change"


def _count_test(plan: Plan, summary: dict[str, Any], compared: str) -> str:
    trend = {"local": "a local curve", "mean": "one common value"}.get(
        str(summary.get("dispersion_trend")), "the parametric curve a + b / mean"
    )
    test = f"Wald tests of {compared}"
    test += f" for the null hypothesis of {_null(plan)}"
    if plan.reduced:
        test = f"likelihood-ratio tests against the design {plan.reduced} (log2 fold changes are those of {compared})"
    text = (
        f" Differential expression was tested with the negative binomial model of DESeq2 (Love et al. 2014), as "
        f"written out in analysis.py, with the design {plan.design}: gene-wise dispersions by Cox-Reid adjusted "
        f"likelihood, shrunken towards {trend}; {test}; outlying counts by Cook's distance; p values adjusted by "
        f"Benjamini and Hochberg with independent filtering at {plan.alpha:g}. Log2 fold changes in results.csv are "
        "maximum-likelihood estimates; shrunken.csv has them shrunken by an adaptive heavy-tailed prior (Zhu et al. "
        "2019), for ranking."
    )
    if plan.min_total_count:
        text += f" Genes with fewer than {plan.min_total_count} reads over all samples were not tested."
    return text


def _intensity_test(plan: Plan, summary: dict[str, Any], compared: str) -> str:
    prior = "following the mean" if summary.get("variance_trend") == "mean" else "one value for all genes"
    test = f"moderated t-tests of {compared}"
    test += f" for the null hypothesis of {_null(plan)}"
    if plan.reduced:
        test = (
            f"moderated F-tests of what the design {plan.reduced} leaves out (log2 fold changes are those of "
            f"{compared})"
        )
    if plan.robust:
        prior += ", estimated so that few wildly varying rows do not move it (Phipson et al. 2016)"
    blocks = " Samples were weighed by how well they fit (Ritchie et al. 2006)." if plan.weigh_samples else ""
    if plan.block:
        rho = summary.get("block_correlation")
        blocks = f" Samples of one {plan.block} count as correlated ({rho}; Smyth, Michaud and Scott 2005)."
    return (
        f" Differential expression was tested with a linear model of every row and the design {plan.design}, its "
        f"variance moderated by empirical Bayes (Smyth 2004) as in limma (Ritchie et al. 2015), the prior variance "
        f"{prior}, as written out in analysis.py: {test}; p values adjusted by Benjamini and Hochberg.{blocks} Rows "
        "are the table's own (probes stay probes; one that means several genes keeps them all). base_mean is the "
        "average log2 value."
    )
