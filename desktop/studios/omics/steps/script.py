"""A plan becomes one standalone Python script.

The script is `quality.py`, `sample_swap.py`, the model of the values (`deseq.py` and `count_model.py`, or
`moderated_t.py` and `intensity_model.py`), `enrichment.py`, `figures.py` and `recipe.py` of this folder, put into one
file word for word, with the plan's own constants in place of the recipe's. It needs nothing of Benchtop:
`python analysis.py` beside the values, `samples.csv` and the gene sets gives the same numbers as the sandbox. Nothing
is run here.
"""

from __future__ import annotations

import ast
import pprint
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files

from desktop.studios.omics.schema import Plan, SampleTable
from desktop.studios.omics.steps.contrasts import folder_of, in_words, title_of
from desktop.studios.omics.steps.factors import swap_factors
from desktop.studios.omics.steps.formula import factor_levels, numeric_factors, parse_formula
from desktop.studios.omics.steps.technical_runs import plan_samples

COUNTS = ("counts", "expected_counts")
PARTS = {  # in the order of the script; the recipe comes last
    True: ("lowess", "deseq", "quality", "sample_swap", "count_model", "design_matrix", "enrichment", "figures"),
    False: (
        "lowess",
        "robust_prior",
        "block_correlation",
        "sample_weights",
        "moderated_t",
        "quality",
        "sample_swap",
        "intensity_model",
        "design_matrix",
        "enrichment",
        "figures",
    ),
}
TITLES = {
    "deseq": "Differential expression of counts: the model, the test, the adjustment",
    "lowess": "A robust curve through points",
    "moderated_t": "Differential expression of log-intensities: the model, the test, the adjustment",
    "robust_prior": "The prior of the variances where a few genes vary wildly",
    "block_correlation": "Correlation of samples that share a block",
    "sample_weights": "Weights of samples by how well they fit",
    "count_model": "Counts: how they are brought to one scale, fitted and tested",
    "intensity_model": "Values on a log scale: how they are brought to one scale, fitted and tested",
    "design_matrix": "The design's columns, and the weights of a contrast",
    "quality": "What the samples look like",
    "sample_swap": "Whether samples are whom their labels name",
    "enrichment": "Gene sets",
    "figures": "Figures",
    "recipe": "The analysis",
}
KIND_TITLES = {
    "differential_expression": "Differential expression",
    "pca": "Principal components",
    "clustering": "Clustering",
    "sample_qc": "Sample quality",
}


def to_script(
    plan: Plan,
    samples: SampleTable,
    *,
    organism: str = "",
    data: str = "",
    gene_sets: str = "",
    own_gene_sets: Sequence[Mapping[str, object]] = (),
    no_gene_sets: str = "",
) -> str:
    """The text of `analysis.py` for this plan.

    samples    the whole sample table; `plan.keep` is applied inside the script, where a reader sees it
    organism   said in the docstring only
    data       what the counts came from, said in the docstring only
    gene_sets  what the gene sets that lie beside the counts are, "" when none do; no_gene_sets says why not;
               own_gene_sets what was found of each of the person's files among them
    """
    constants = to_constants(plan, samples) | {
        "GENE_SETS": gene_sets,
        "OWN_GENE_SETS": [dict(one) for one in own_gene_sets],
        "NO_GENE_SETS": no_gene_sets,
    }
    recipe = _replaced(_source("recipe"), constants)
    bodies = [(part, _source(part)) for part in PARTS[plan.values in COUNTS]] + [("recipe", recipe)]
    imports = sorted_imports(source for _, source in bodies)
    first_constant = recipe.index("# The plan")
    end_mark = "# End of the plan\n"
    plan_block = recipe[first_constant : recipe.index(end_mark)]
    bodies[-1] = ("recipe", recipe.replace(plan_block + end_mark, ""))
    chapters = [f"{_banner(TITLES[part])}\n\n{_without_imports(source).strip()}\n" for part, source in bodies]
    return "\n\n".join(
        [
            f"{_requirements(imports)}\n{_docstring(plan, samples, organism, data)}\n\n{imports}",
            f"{_banner('The plan')}\n\n{plan_block.removeprefix('# The plan').strip()}\n",
            *chapters,
        ]
    )


def to_constants(plan: Plan, samples: SampleTable) -> dict[str, object]:
    """The recipe's constants for this plan: name -> literal."""
    kept = plan_samples(plan, samples)
    contrasts = plan.contrasts
    formula = parse_formula(plan.design, kept) if contrasts else None
    numeric = numeric_factors(kept, formula, contrasts) if formula else []
    levels = factor_levels(kept, formula, contrasts) if formula else {}
    used = formula.names if formula else []
    compared = [name for contrast in contrasts for name in (*reversed(contrast.factors), *contrast.within)]
    shown = list(dict.fromkeys(name for name in compared if name in samples.factors))
    shown += [factor for factor in levels if factor not in shown]
    shown += [
        f
        for f, v in samples.factors.items()
        if f not in shown and f not in used and 1 < len(set(v)) <= 8 and len(set(v)) < len(v)
    ]
    shown = [factor for factor in shown if factor not in numeric or len(kept.levels(factor)) <= 8]
    for factor in shown[:2]:
        if factor not in numeric:
            levels.setdefault(factor, list(kept.levels(factor)))
    swap = swap_factors(kept)
    return {
        "QUESTION": plan.question,
        "KIND": plan.kind,
        "VALUES": plan.values,
        "DESIGN": formula.formulaic if formula else "",
        "CONTRASTS": [
            {
                "title": title_of(contrast, kept),
                "folder": folder_of(contrast, number),
                "compare": {name: [level for level in pair if level] for name, pair in contrast.compared.items()},
                "within": contrast.within,
            }
            for number, contrast in enumerate(contrasts)
        ],
        "REDUCED": parse_formula(plan.reduced, kept).formulaic if plan.reduced else "",
        "BLOCK_FACTOR": plan.block,
        "ROBUST": plan.robust,
        "WEIGH_SAMPLES": plan.weigh_samples,
        "ALPHA": plan.alpha,
        "LFC_THRESHOLD": plan.lfc_threshold,
        "MIN_TOTAL_COUNT": plan.min_total_count,
        "COLLAPSE": plan.collapse,
        "LENGTHS": plan.lengths,
        "KEEP": plan.keep,
        "LEVELS": levels,
        "NUMERIC": numeric,
        "COLOUR_BY": shown[0] if shown else "",
        "SHAPE_BY": shown[1] if len(shown) > 1 else "",
        "STATED_SEX": swap.sex,
        "DONOR": swap.donor,
        "SWAP_CELLS": list(swap.cells),
        "N_TOP_GENES": plan.n_top_genes,
        "N_HEATMAP_GENES": plan.n_heatmap_genes,
    }


def requirements(script: str) -> list[str]:
    """The pinned requirements the script's header declares, "name==version"."""
    lines = script.split("# ///\n", 1)[0].splitlines()
    return [line.strip('#", ') for line in lines if "==" in line]


@cache
def _source(part: str) -> str:
    return files("desktop.studios.omics.steps").joinpath(f"{part}.py").read_text(encoding="utf-8")


def _banner(title: str) -> str:
    return f"# {'-' * 118}\n# {title}\n# {'-' * 118}"


def _requirements(imports: str) -> str:
    """The PEP 723 header: every library the script imports, pinned to the version that is here now."""
    found = {line.split()[1].partition(".")[0] for line in imports.splitlines() if line.startswith(("import", "from"))}
    pinned = [f'#   "{name}=={version(name)}",' for name in sorted(found - sys.stdlib_module_names)]
    return "\n".join(
        ["# /// script", '# requires-python = ">=3.11"', "# dependencies = [", *pinned, "# ]", "# ///", ""]
    )


def _docstring(plan: Plan, samples: SampleTable, organism: str, data: str) -> str:
    lines = [_plain(plan.question) or f"{KIND_TITLES[plan.kind]} of {len(samples.samples)} samples.", ""]
    lines.append(f"Analysis: {KIND_TITLES[plan.kind].lower()}.")
    if organism:
        lines.append(f"Organism: {_plain(organism)}.")
    if data:
        lines.append(f"Data: {_plain(data)}.")
    if plan.collapse:
        lines.append(f"Samples: the reads of columns with the same {_plain(plan.collapse)} are added up.")
    for factor, levels in plan.keep.items():
        lines.append(f"Samples: only those whose {_plain(factor)} is {', '.join(map(_plain, levels))}.")
    lines += [f"Comparison: {_plain(in_words(contrast, samples))}" for contrast in plan.contrasts]
    if plan.contrast is not None:
        compared = {name for contrast in plan.contrasts for name in (*contrast.factors, *contrast.within)}
        others = [name for name in parse_formula(plan.design, samples).names if name not in compared]
        if others:
            lines.append(f"Allowed for: {' and '.join(map(_plain, others))}.")
        lines.append(f"Design: {_plain(plan.design)}.")
        change = f"greater than {plan.lfc_threshold:g} on the log2 scale" if plan.lfc_threshold else "other than zero"
        if plan.reduced:
            lines.append(
                f"Test: does the design explain a gene better than {_plain(plan.reduced)}? Called at adjusted p below "
                f"{plan.alpha:g}; the fold change is that of the comparison above."
            )
        else:
            lines.append(f"Test: is a gene's change {change}? Called at adjusted p below {plan.alpha:g}.")
    lines += ["", "Run it with `python analysis.py` (or `uv run analysis.py`) beside the files it was stored with;"]
    lines.append("tables and figures appear in the folder you start it from. Written by Benchtop.")
    wrapped = "\n".join(part for line in lines for part in textwrap.wrap(line, 116) or [""])
    return f'"""{wrapped}\n"""'


def _plain(text: str) -> str:
    """Text that can stand inside a docstring: printable, one line, no quotes or escapes that could end it."""
    kept = "".join(c if c.isprintable() else " " for c in text).replace("\\", "/").replace('"', "'")
    return " ".join(kept.split())


def _without_imports(source: str) -> str:
    """The source without its docstring and imports; all else word for word."""
    lines = source.splitlines(keepends=True)
    for node in ast.parse(source).body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_docstring or isinstance(node, ast.Import | ast.ImportFrom):
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
    return "".join(lines)


def sorted_imports(sources: Iterable[str]) -> str:
    """Every top-level import of the sources once, Benchtop's own left out: __future__, standard library, the rest."""
    whole: set[str] = set()
    named: dict[str, set[str]] = {}
    for source in sources:
        for node in ast.parse(source).body:
            if isinstance(node, ast.Import):
                whole |= {f"import {n.name} as {n.asname}" if n.asname else f"import {n.name}" for n in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith("desktop"):
                names = {f"{n.name} as {n.asname}" if n.asname else n.name for n in node.names}
                named.setdefault(node.module, set()).update(names)
    future = "".join(f"from __future__ import {name}\n" for name in sorted(named.pop("__future__", set())))
    lines = sorted(whole) + [
        f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(named.items())
    ]
    ours = [line for line in lines if line.split()[1].partition(".")[0] in sys.stdlib_module_names]
    theirs = [line for line in lines if line not in ours]
    return f"{future}\n" + "\n".join(ours) + "\n\n" + "\n".join(theirs) + "\n"


def _replaced(recipe: str, constants: Mapping[str, object]) -> str:
    """The recipe with the values of its plan constants exchanged; the comment after a constant stays."""
    lines = recipe.splitlines(keepends=True)
    todo = dict(constants)
    for node in ast.parse(recipe).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id in todo:
            assert node.value is not None
            assert node.end_lineno is not None
            first, last = lines[node.lineno - 1], lines[node.end_lineno - 1]
            literal = pprint.pformat(todo.pop(node.target.id), width=110, sort_dicts=False)
            comment = last[node.value.end_col_offset or 0 :].rstrip("\n")
            lines[node.lineno - 1] = f"{first[: node.value.col_offset]}{literal}{comment}\n"
            lines[node.lineno : node.end_lineno] = [""] * (node.end_lineno - node.lineno)
    assert not todo, f"the recipe has no constant {sorted(todo)}"
    return "".join(lines)
