"""What could be changed so that a failed analysis can go on: one rule for each kind of failure that is known.

A rule looks at the typed error, at what was asked and at what is known of the samples; it changes nothing. The order
of the answers is the order in which they should be tried. Text of an error is never read.
"""

from __future__ import annotations

from collections.abc import Callable

from desktop.core.errors import AppError
from desktop.studios.omics.errors import (
    AnalysisFailedError,
    AnalysisTimedOutError,
    ConfoundedError,
    EngineLostError,
    NoCommonGenesError,
    NoGenesLeftError,
    OneGroupError,
    OutOfMemoryError,
    TooFewReplicatesError,
    UnknownFactorError,
    UnknownLevelError,
)
from desktop.studios.omics.schema import Repair
from desktop.studios.omics.steps.repairs.circumstances import Circumstances
from desktop.studios.omics.steps.repairs.designs import empty_sample_repairs, min_count_repairs, singular_repairs
from desktop.studios.omics.steps.repairs.likeness import MOST_OFFERS
from desktop.studios.omics.steps.repairs.limits import engine_repairs, memory_repairs, time_repairs
from desktop.studios.omics.steps.repairs.names import factor_repairs, level_repairs
from desktop.studios.omics.steps.repairs.scripts import script_repairs


def repairs_for(error: AppError, found: Circumstances) -> list[Repair]:
    """What could be changed after this error; [] when no rule knows it."""
    for kind, rule in _RULES:
        if isinstance(error, kind):
            return rule(error, found)[:MOST_OFFERS]
    return []


_Rule = Callable[[AppError, Circumstances], list[Repair]]
_RULES: tuple[tuple[type[AppError], _Rule], ...] = (
    (UnknownLevelError, level_repairs),
    (UnknownFactorError, factor_repairs),
    (ConfoundedError, singular_repairs),
    (TooFewReplicatesError, singular_repairs),
    (OneGroupError, singular_repairs),
    (NoCommonGenesError, empty_sample_repairs),
    (NoGenesLeftError, min_count_repairs),
    (OutOfMemoryError, memory_repairs),
    (AnalysisTimedOutError, time_repairs),
    (EngineLostError, engine_repairs),
    (AnalysisFailedError, script_repairs),
)
