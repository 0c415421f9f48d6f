"""Levels and factors that the samples do not have: another way of writing one is taken, another one is offered."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from desktop.core.errors import AppError
from desktop.studios.omics.schema import (
    Contrast,
    Repair,
    SampleTable,
    join_levels,
)
from desktop.studios.omics.steps.formula import parse_formula
from desktop.studios.omics.steps.repairs.circumstances import Circumstances
from desktop.studios.omics.steps.repairs.likeness import design_repair, key_of, like, quoted, why

_NAME = re.compile(r"`([^`]+)`|([^\W\d][\w.]*)")


def level_repairs(error: AppError, found: Circumstances) -> list[Repair]:
    samples = found.samples
    if samples is None:
        return []
    for number, contrast in enumerate(found.contrasts):
        if offers := _unknown_level(contrast, samples, partial(found.with_contrast, number)):
            return offers
    return _kept_level(found, samples)


def _unknown_level(
    contrast: Contrast, samples: SampleTable, params: Callable[[Contrast], dict[str, Any]]
) -> list[Repair]:
    """Levels for the first of a contrast's that no sample has; `params` puts a changed contrast in its place."""
    for name, (treated, control) in contrast.compared.items():
        for side, asked in (("treated", treated), ("control", control)):
            if name in samples.factors and asked and asked not in samples.levels(name):
                changed = partial(_with_side, contrast, name, side)
                other = control if side == "treated" else treated
                levels = [level for level in samples.levels(name) if level != other]
                return _use_level("Compare", contrast, name, asked, levels, changed, params)
    for name, asked in contrast.within.items():
        if name in samples.factors and asked not in samples.levels(name):
            changed = partial(_with_place, contrast, name)
            levels = list(samples.levels(name))
            return _use_level("Compare in", contrast, name, asked, levels, changed, params)
    return []


def _with_side(contrast: Contrast, name: str, side: str, level: str) -> Contrast:
    if not contrast.is_interaction:
        return contrast.model_copy(update={side: level})
    at = ("treated", "control").index(side)
    levels = [level if one == name else pair[at] for one, pair in contrast.compared.items()]
    return contrast.model_copy(update={side: join_levels(levels)})


def _with_place(contrast: Contrast, name: str, level: str) -> Contrast:
    return contrast.model_copy(update={"within": contrast.within | {name: level}})


def _use_level(
    verb: str,
    contrast: Contrast,
    name: str,
    asked: str,
    levels: Sequence[str],
    changed: Callable[[str], Contrast],
    params: Callable[[Contrast], dict[str, Any]],
) -> list[Repair]:
    is_same, close = like(asked, levels)
    return [
        Repair(
            code=f"use_level:{name}={level}",
            what=f"{verb} “{level}” of {name}, not “{asked}”.",
            why=why(asked, level, is_same),
            before=str(contrast),
            after=str(changed(level)),
            asks=not is_same,
            params=params(changed(level)),
        )
        for level in close
    ]


def _kept_level(found: Circumstances, samples: SampleTable) -> list[Repair]:
    """A level that the plan keeps and no sample has."""
    plan = found.params.plan
    for factor, kept in (plan.keep if plan else {}).items():
        known = (
            samples.samples if factor == "sample" else list(samples.levels(factor)) if factor in samples.factors else []
        )
        for asked in kept:
            if asked in known or plan is None:
                continue
            is_same, close = like(asked, known)
            return [
                Repair(
                    code=f"keep_level:{factor}={level}",
                    what=f"Keep the samples whose {factor} is “{level}”, not “{asked}”.",
                    why=why(asked, level, is_same),
                    before=f"{factor}: {', '.join(kept)}",
                    after=f"{factor}: {', '.join(level if one == asked else one for one in kept)}",
                    asks=not is_same,
                    params={
                        "plan": plan.model_copy(
                            update={"keep": plan.keep | {factor: [level if one == asked else one for one in kept]}}
                        ).model_dump()
                    },
                )
                for level in close
            ]
    return []


def factor_repairs(error: AppError, found: Circumstances) -> list[Repair]:
    samples, design = found.samples, found.design
    if samples is None:
        return []
    for number, contrast in enumerate(found.contrasts):
        for asked in (*contrast.factors, *contrast.within):
            if asked not in samples.factors:
                return _use_factor(contrast, asked, samples, partial(found.with_contrast, number))
    try:
        formula = parse_formula(design, samples)
    except AppError:
        return _design_name(design, samples)
    for contrast in found.contrasts:
        missing = [name for name in (*contrast.factors, *contrast.within) if name not in formula.names]
        if missing:
            after, reason = f"{design} + {quoted(missing[0])}", "What is compared must be in it."
            return [design_repair("add_term", missing[0], design, after, asks=True, why=reason)]
        products = [contrast.factors] if contrast.is_interaction else []
        products += [[*contrast.factors, *contrast.within]] if contrast.within else []
        for product in products:
            if not any(set(term) >= set(product) for term in formula.terms):
                together = ":".join(quoted(name) for name in formula.names if name in product)
                reason = f"{contrast} is about how the effect differs, so the design has to let it differ."
                return [design_repair("add_term", together, design, f"{design} + {together}", asks=True, why=reason)]
    return []


def _use_factor(
    contrast: Contrast, asked: str, samples: SampleTable, params: Callable[[Contrast], dict[str, Any]]
) -> list[Repair]:
    """A factor for one that the samples do not have, if it has the levels that are named of it."""
    is_same, close = like(asked, list(samples.factors))
    named = contrast.compared.get(asked) or (contrast.within[asked],)
    needed = {level for level in named if level}
    new = {
        name: contrast.model_copy(
            update={
                "factor": ":".join(name if one == asked else one for one in contrast.factors),
                "within": {name if one == asked else one: level for one, level in contrast.within.items()},
            }
        )
        for name in close
    }
    return [
        Repair(
            code=f"use_factor:{name}",
            what=f"Compare levels of {name}, not of “{asked}”.",
            why=why(asked, name, is_same),
            before=str(contrast),
            after=str(new[name]),
            asks=not is_same,
            params=params(new[name]),
        )
        for name in close
        if is_same or needed <= set(samples.factors[name])
    ]


def _design_name(design: str, samples: SampleTable) -> list[Repair]:
    """A name in the design that no column has."""
    for match in _NAME.finditer(design):
        asked = match[1] or match[2]
        if asked == "C" or key_of(asked) in {key_of(name) for name in samples.factors}:
            continue
        _, close = like(asked, list(samples.factors))
        return [
            design_repair(
                "use_factor",
                name,
                design,
                f"{design[: match.start()]}{quoted(name)}{design[match.end() :]}",
                asks=True,
                why=why(asked, name, is_same=False),
            )
            for name in close
        ]
    return []
