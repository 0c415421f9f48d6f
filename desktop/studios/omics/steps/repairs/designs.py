"""Designs that cannot be solved, and tables that leave no gene.

A term goes by itself only where other terms, beside what is compared, say the same; else with a yes.
"""

from __future__ import annotations

from collections.abc import Sequence

from desktop.core.errors import AppError
from desktop.studios.omics.schema import (
    Contrast,
    Repair,
    SampleTable,
)
from desktop.studios.omics.steps.formula import model_matrix, parse_formula, rank_of
from desktop.studios.omics.steps.repairs.circumstances import Circumstances
from desktop.studios.omics.steps.repairs.likeness import design_repair, quoted
from desktop.studios.omics.steps.technical_runs import plan_samples


def singular_repairs(error: AppError, found: Circumstances) -> list[Repair]:
    """Leave one term out: by itself where the model stays the same one, else with a yes."""
    samples, contrasts, design = found.samples, found.contrasts, found.design
    if samples is None:
        return []
    if not design:
        return _without_batch(error, samples)
    kept = plan_samples(found.plan, samples) if found.plan else samples
    try:
        formula = parse_formula(design, kept)
    except AppError:
        return []
    named = [name for contrast in contrasts for name in (*contrast.factors, *contrast.within)]
    compared = list(dict.fromkeys(named)) or list(formula.terms[-1])
    offers = []
    for term in formula.terms:
        others = [one for one in formula.terms if one != term]
        after = _written(others)
        if set(term) & set(compared):
            continue
        blocks = [one for one in formula.terms if not set(one) & set(compared)]
        is_same = _rank(blocks, kept) == _rank([one for one in blocks if one != term], kept)
        if not is_same and not _is_solvable(after, kept, contrasts):
            continue
        name = ":".join(term)
        why = (
            f"The other terms say all that {name} says: the model is the same without it."
            if is_same
            else f"Whatever differs between levels of {name} is then taken for an effect of {' and '.join(compared)}."
        )
        offers.append(design_repair("drop_term", name, design, after, asks=not is_same, why=why))
    return sorted(offers, key=lambda one: one.asks)


def _is_solvable(design: str, samples: SampleTable, contrasts: Sequence[Contrast]) -> bool:
    from desktop.studios.omics.steps.design import check_design

    try:
        if contrasts:
            check_design(samples, design, contrasts)
            return True
        matrix, _, _ = model_matrix(samples, parse_formula(design, samples))
        return bool(rank_of(matrix) == matrix.shape[1] < len(samples.samples))
    except AppError:
        return False


def _without_batch(error: AppError, samples: SampleTable) -> list[Repair]:
    """A question whose comparison is one of batches as well: compare all the same, knowing it."""
    terms = error.facts.get("terms")
    names = [str(name) for name in terms if str(name) in samples.factors] if isinstance(terms, list) else []
    if len(names) != 2:
        return []
    why = f"Whatever differs between levels of {names[0]} is then taken for an effect of {names[1]}."
    return [design_repair("drop_term", names[0], f"~ {' + '.join(names)}", f"~ {quoted(names[1])}", asks=True, why=why)]


def _rank(terms: Sequence[Sequence[str]], samples: SampleTable) -> int:
    return int(rank_of(model_matrix(samples, parse_formula(_written(terms), samples))[0]))


def _written(terms: Sequence[Sequence[str]]) -> str:
    return f"~ {' + '.join(':'.join(map(quoted, term)) for term in terms) or '1'}"


def empty_sample_repairs(error: AppError, found: Circumstances) -> list[Repair]:
    empty, plan = error.facts.get("nearly_empty"), found.plan
    if not isinstance(empty, list) or not empty or plan is None or found.samples is None:
        return []
    kept = [name for name in plan_samples(plan, found.samples).samples if name not in empty]
    keep = plan.keep | {"sample": kept}
    n_before = len(kept) + len(empty)
    return [
        Repair(
            code="drop_empty_samples",
            what=f"Leave out {', '.join(map(str, empty))}.",
            why="Nearly no gene has reads there, so that no gene is left that has reads in every sample.",
            before=f"{n_before} samples",
            after=f"{len(kept)} samples",
            asks=True,
            params={"plan": plan.model_copy(update={"keep": keep}).model_dump()},
        )
    ]


def min_count_repairs(error: AppError, found: Circumstances) -> list[Repair]:
    plan, largest = found.plan, error.facts.get("largest_total")
    if plan is None or not isinstance(largest, int):
        return []
    after = 10 if largest >= 10 and plan.min_total_count > 10 else 0
    return [
        Repair(
            code="lower_min_count",
            what="Test genes with fewer reads.",
            why=f"No gene has {plan.min_total_count:,} reads; the most any gene has is {largest:,}.",
            before=f"at least {plan.min_total_count:,} reads a gene",
            after=f"at least {after} reads a gene",
            params={"plan": plan.model_copy(update={"min_total_count": after}).model_dump()},
        )
    ]
