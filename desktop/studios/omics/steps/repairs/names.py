"""Levels and factors that the samples do not have: another way of writing one is taken, another one is offered."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from desktop.core.errors import AppError
from desktop.studios.omics.schema import (
    Contrast,
    Repair,
    SampleTable,
)
from desktop.studios.omics.steps.formula import parse_formula
from desktop.studios.omics.steps.repairs.circumstances import Circumstances
from desktop.studios.omics.steps.repairs.likeness import design_repair, key_of, like, quoted, why

_NAME = re.compile(r"`([^`]+)`|([^\W\d][\w.]*)")


def level_repairs(error: AppError, found: Circumstances) -> list[Repair]:
    samples, contrast, plan = found.samples, found.contrast, found.plan or found.params.plan
    if samples is None:
        return []
    if contrast is not None and (offers := _side(contrast, samples, lambda new: {"contrast": new.model_dump()})):
        return offers
    for number, other in enumerate(plan.other_contrasts if plan else []):

        def changed(new: Contrast, at: int = number) -> dict[str, Any]:
            assert plan is not None
            others = [new if k == at else one for k, one in enumerate(plan.other_contrasts)]
            return {"plan": plan.model_copy(update={"other_contrasts": others}).model_dump()}

        if offers := _side(other, samples, changed):
            return offers
    return _kept_level(found, samples)


def _side(contrast: Contrast, samples: SampleTable, params: Callable[[Contrast], dict[str, Any]]) -> list[Repair]:
    """Levels for the side of a contrast that no sample has; `params` puts a changed contrast in its place."""
    if contrast.factor not in samples.factors:
        return []
    levels = list(samples.levels(contrast.factor))
    for side, other in (("treated", contrast.control), ("control", contrast.treated)):
        asked = getattr(contrast, side)
        if asked in levels:
            continue
        is_same, close = like(asked, [level for level in levels if level != other])
        new = {level: contrast.model_copy(update={side: level}) for level in close}
        return [
            Repair(
                code=f"use_level:{contrast.factor}={level}",
                what=f"Compare “{level}” of {contrast.factor}, not “{asked}”.",
                why=why(asked, level, is_same),
                before=str(contrast),
                after=str(new[level]),
                asks=not is_same,
                params=params(new[level]),
            )
            for level in close
        ]
    return []


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
    samples, contrast, design = found.samples, found.contrast, found.design
    if samples is None:
        return []
    if contrast is not None and contrast.factor not in samples.factors and ":" not in contrast.factor:
        is_same, close = like(contrast.factor, list(samples.factors))
        return [
            Repair(
                code=f"use_factor:{name}",
                what=f"Compare levels of {name}, not of “{contrast.factor}”.",
                why=why(contrast.factor, name, is_same),
                before=str(contrast),
                after=str(contrast.model_copy(update={"factor": name})),
                asks=not is_same,
                params={"contrast": contrast.model_copy(update={"factor": name}).model_dump()},
            )
            for name in close
            if is_same or {contrast.treated, contrast.control} <= set(samples.factors[name])
        ]
    try:
        formula = parse_formula(design, samples)
    except AppError:
        return _design_name(design, samples)
    if contrast is not None and ":" not in contrast.factor and contrast.factor not in formula.names:
        after = f"{design} + {quoted(contrast.factor)}"
        return [
            design_repair("add_term", contrast.factor, design, after, asks=True, why="What is compared must be in it.")
        ]
    return []


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
