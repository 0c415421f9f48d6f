"""A plan's design as a person reads it: in plain English, with the samples of each combination and the measurements.

Over the samples that the plan keeps. Whether it can be estimated is decided in `design`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from desktop.core.errors import AppError
from desktop.studios.omics.schema import Plan, SampleTable
from desktop.studios.omics.steps.contrasts import in_words
from desktop.studios.omics.steps.design import level_counts, read_formula
from desktop.studios.omics.steps.design_matrix import to_number
from desktop.studios.omics.steps.factors import is_measured, unit_of
from desktop.studios.omics.steps.formula import numeric_factors, parse_formula
from desktop.studios.omics.steps.technical_runs import plan_samples

_MOST_LEVELS = 24  # of a factor whose combinations are counted


@dataclass(frozen=True, slots=True)
class DesignReading:
    """factors, counts   the labels of the design, what is compared last, and the samples of each combination
    ranges     measurement of the design → "34 to 73"; they are numbers, and not counted as labels
    measured   every column whose values are numbers: what may be tested per unit
    """

    text: str = ""
    contrasts: tuple[str, ...] = ()  # each in words, what is positive included
    factors: tuple[str, ...] = ()
    counts: dict[tuple[str, ...], int] = field(default_factory=dict)
    ranges: dict[str, str] = field(default_factory=dict)
    measured: tuple[str, ...] = ()


def read_design(plan: Plan, samples: SampleTable) -> DesignReading:
    """What there is to say of a plan's design.

    raises   BadFormulaError, UnknownFactorError when the design cannot be read
    """
    kept = _kept(plan, samples)
    measured = tuple(name for name, values in kept.factors.items() if len(set(values)) > 1 and is_measured(values))
    if not plan.design:
        return DesignReading(measured=measured)
    formula = parse_formula(plan.design, kept)
    known = [one for one in plan.contrasts if {*one.factors, *one.within} <= set(kept.factors)]
    numeric = numeric_factors(kept, formula, known)
    compared = [name for contrast in known for name in (*contrast.within, *contrast.factors)]
    named = [name for name in kept.factors if (name in formula.names or name in compared) and name not in numeric]
    few = [name for name in named if len(kept.levels(name)) <= _MOST_LEVELS]
    factors = tuple(sorted(few, key=lambda name: name in compared))
    return DesignReading(
        text=read_formula(plan.design, kept, known),
        contrasts=tuple(in_words(contrast, kept) for contrast in known),
        factors=factors,
        counts=level_counts(kept, factors) if factors else {},
        ranges={name: _range(kept.factors[name]) for name in numeric},
        measured=measured,
    )


def _kept(plan: Plan, samples: SampleTable) -> SampleTable:
    """The samples the plan keeps; all of them when it keeps none, or by what is not there."""
    try:
        kept = plan_samples(plan, samples)
    except (AppError, KeyError):
        return samples
    return kept if kept.samples else samples


def _range(values: list[str]) -> str:
    """The smallest and the largest value with their unit, and how many there are."""
    numbers = sorted({to_number(value) for value in values})
    unit = unit_of(values) or ""
    return f"{numbers[0]:g} to {numbers[-1]:g}{f' {unit}' if unit else ''} ({len(numbers)} values)"
