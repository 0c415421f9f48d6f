"""What the Analyze panel asks about a plan, as functions for a child process. No Qt; answers, changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from desktop.core.errors import AppError
from desktop.core.jobs import JobError
from desktop.studios.omics.schema import Caution, Inspection, Plan, SampleTable

BY_MODEL = "omics.read_by_model"  # how the codes of cautions on a model's reading begin


@dataclass(frozen=True, slots=True)
class PlanReview:
    """A plan, as far as it can run: its cautions, its design in words, the samples of each combination of levels.

    reading    the design in words, then what each contrast says
    measured   columns of numbers: what may be tested per unit
    cautions   of the check alone: what the plan was made with is in the plan
    fault      why it cannot run at all, None when it can
    """

    cautions: tuple[Caution, ...] = ()
    reading: str = ""
    factors: tuple[str, ...] = ()
    counts: dict[tuple[str, ...], int] = field(default_factory=dict)
    measured: tuple[str, ...] = ()
    fault: JobError | None = None

    @property
    def is_blocked(self) -> bool:
        """Whether a caution has to be answered first."""
        return any(caution.blocks for caution in self.cautions)


def cautions_of(plan: Plan, made_with: Sequence[Caution], found: Sequence[Caution]) -> tuple[Caution, ...]:
    """What the person has to see of a plan as it is now.

    made_with   cautions the plan came with that no check of a plan finds; those on a model's reading go once nothing
                of the reading is left
    """
    is_read = any(reason.by.startswith("model:") for reason in plan.reasons)
    kept = [one for one in made_with if is_read or not one.code.startswith(BY_MODEL)]
    return (*kept, *(one for one in found if one.text not in [caution.text for caution in kept]))


def plan_question(question: str, inspection: Inspection, samples: SampleTable) -> Plan:
    """The plan of a question over the samples as edited. Raises the AppErrors of `queries.make_plan`."""
    from desktop.studios.omics import queries

    return queries.make_plan(question, inspection, samples=samples)


def review_plan(plan: Plan, samples: SampleTable) -> PlanReview:
    """Look a plan over; never raises an AppError."""
    from desktop.studios.omics import queries

    fault: JobError | None = None
    cautions: list[Caution] = []
    try:
        cautions = queries.check_plan(plan, samples)
    except AppError as error:
        fault = to_fault(error)
    try:
        read = queries.read_design(plan, samples)
    except AppError as error:
        return PlanReview(tuple(cautions), fault=fault or to_fault(error))
    ranges = [f"{name} is taken as a number, from {span}." for name, span in read.ranges.items()]
    several = [f"{number}. {text}" for number, text in enumerate(read.contrasts, start=1)]
    reading = "\n".join([" ".join([read.text, *ranges]).strip(), *(several if len(several) > 1 else read.contrasts)])
    return PlanReview(tuple(cautions), reading.strip(), read.factors, read.counts, read.measured, fault)


def to_fault(error: AppError) -> JobError:
    """An expected error as the window shows errors."""
    return JobError(error.code, str(error), error.hint, error.retryable, error.details())
