"""What the Analyze panel asks about a plan, as functions for a child process. No Qt; answers, changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from desktop.core.errors import AppError
from desktop.core.jobs import JobError
from desktop.studios.omics.schema import Caution, Inspection, Plan, SampleTable


@dataclass(frozen=True, slots=True)
class PlanReview:
    """A plan, as far as it can run: its cautions, its design in words, the samples of each combination of levels.

    fault   why it cannot run at all, None when it can
    """

    cautions: tuple[Caution, ...] = ()
    reading: str = ""
    factors: tuple[str, ...] = ()
    counts: dict[tuple[str, ...], int] = field(default_factory=dict)
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
    reading = ""
    if plan.design:
        try:
            reading = queries.read_formula(plan.design, samples)
        except AppError as error:
            fault = fault or to_fault(error)
    factors = _factors(plan, samples)
    counts = queries.level_counts(samples, list(factors)) if factors else {}
    return PlanReview(tuple(cautions), reading, factors, counts, fault)


def to_fault(error: AppError) -> JobError:
    """An expected error as the window shows errors."""
    return JobError(error.code, str(error), error.hint, error.retryable, error.details())


def _factors(plan: Plan, samples: SampleTable) -> tuple[str, ...]:
    """Categorical factors that the design or the contrast names, the contrast's last."""
    compared = [name for contrast in plan.contrasts for name in (*contrast.within, *contrast.factors)]
    words = plan.design.replace("~", " ").replace("+", " ").replace("*", " ").replace(":", " ").split()
    named = [name for name in samples.factors if name in words or f"`{name}`" in plan.design or name in compared]
    few = [name for name in named if len(samples.levels(name)) <= 24]
    return tuple(sorted(few, key=lambda name: name in compared))
