"""What a contrast is called: in words for the report, as the title of a figure, as the name of its folder.

The first contrast's results lie in the run's own folder; every further one has `contrasts/NUMBER_NAME`, with files of
the same names. Only words: what a contrast weighs is in `design_matrix`.
"""

from __future__ import annotations

import re

from desktop.studios.omics.schema import Contrast, SampleTable
from desktop.studios.omics.steps.factors import unit_of

FOLDER = "contrasts"
_UNITS = re.compile(
    r"(?:^|[_\s(\[-])(years?|yrs?|months?|weeks?|wks?|days?|hours?|hrs?|h|minutes?|mins?|min|seconds?|pct|percent|%"
    r"|mg|ug|µg|μg|ng|g|kg|nm|um|µm|μm|mm|pm|m|gy|iu|u|celsius|mmhg|bpm|cm"
    r"|(?:mg|ug|µg|ng|g|u|iu)[_/ ](?:per[_ ])?(?:kg|ml|l|dl|day))[)\]]?$",
    re.IGNORECASE,
)


def folder_of(contrast: Contrast, number: int) -> str:
    """Where the tables of a run's contrast lie, relative to the run; `number` counts from 0."""
    if number == 0:
        return ""
    parts = [contrast.factor, "per_unit"] if contrast.is_slope else [contrast.treated, "vs", contrast.control]
    parts += [f"in_{level}" for level in contrast.within.values()]
    name = re.sub(r"[^A-Za-z0-9]+", "_", "_".join(parts)).strip("_")[:60].strip("_")
    return f"{FOLDER}/{number + 1}_{name}" if name else f"{FOLDER}/{number + 1}"


def unit_in_words(factor: str, samples: SampleTable) -> str:
    """What one unit of a measurement is: "nM of dose" by its values, "year of age" by its name, else "unit of dose"."""
    values = samples.factors.get(factor, [])
    unit = unit_of(values) or ""
    named = _UNITS.search(factor)
    if unit:
        return f"{unit} of {factor}"
    return f"{named[1].replace('_', '/')} of {factor}" if named else f"unit of {factor}"


def without_unit(factor: str) -> str:
    """The name of a measurement without its unit: "weight_kg" is "weight"."""
    named = _UNITS.search(factor)
    return factor[: named.start()] if named and named.start() else factor


def title_of(contrast: Contrast, samples: SampleTable) -> str:
    """A few words for a figure or a list."""
    inside = " and ".join(f"{name} {level}" for name, level in contrast.within.items())
    if contrast.is_slope:
        text = f"per {unit_in_words(contrast.factor, samples)}"
    elif contrast.is_interaction:
        (outer, sides), (inner, levels) = list(contrast.compared.items())[:2]
        text = f"effect of {inner} ({_over(levels)}), {_over(sides)} ({outer})"
    else:
        text = f"{contrast.treated} against {contrast.control}"
        return f"{text} in {inside}" if inside else f"{text} ({contrast.factor})"
    return f"{text} in {inside}" if inside else text


def _over(levels: tuple[str, str]) -> str:
    return f"{levels[0]} against {levels[1]}" if any(levels) else "per unit"


def in_words(contrast: Contrast, samples: SampleTable) -> str:
    """A sentence that also says what a positive change means."""
    inside = "".join(f", in {name} {level}" for name, level in contrast.within.items())
    if contrast.is_slope:
        unit = unit_in_words(contrast.factor, samples)
        return f"log2 fold change per {unit}{inside}. Positive: expression rises with {contrast.factor}."
    if contrast.is_interaction:
        (outer, sides), (inner, levels) = list(contrast.compared.items())[:2]
        effect = (
            f"the effect of {inner} ({' over '.join(levels)})" if any(levels) else f"the change per unit of {inner}"
        )
        return (
            f"how {effect} differs between {outer} {sides[0]} and {sides[1]}{inside}. Positive: larger in {sides[0]}."
        )
    return (
        f"{contrast.treated} against {contrast.control} ({contrast.factor}){inside}. "
        f"Positive log2 fold change: more in {contrast.treated}."
    )
