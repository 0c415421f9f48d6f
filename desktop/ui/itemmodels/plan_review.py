"""What the Analyze panel asks about a plan, as functions for a child process. No Qt; answers, changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from desktop.core.errors import AppError
from desktop.core.jobs import JobError
from desktop.studios.omics.schema import Caution, Inspection, Plan, SampleTable


@dataclass(frozen=True, slots=True)
class PlanReview:
    """A plan, as far as it can run: its cautions, its design in words, the samples of each combination of levels.

    reading    the design in words, then what each contrast says
    measured   columns of numbers: what may be tested per unit
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
