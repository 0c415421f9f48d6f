"""What is known when an analysis has failed: asked for, found, allowed. Decides nothing."""

from __future__ import annotations

from dataclasses import dataclass

from desktop.core.ports import Limits, Origin
from desktop.studios.omics.schema import (
    AnalysisParams,
    Contrast,
    Inspection,
    Plan,
    SampleTable,
    ScriptParams,
)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known when something has failed.

    is_limit_chosen   somebody set the limits of a run: they are raised only with a yes
    free_memory_mb    what the machine has left
    plan              as made or given, as far as the attempt came
    """

    params: AnalysisParams | ScriptParams
    limits: Limits
    is_limit_chosen: bool
    origin: Origin
    free_memory_mb: int
    inspection: Inspection | None = None
    plan: Plan | None = None

    @property
    def samples(self) -> SampleTable | None:
        return self.inspection.samples if self.inspection else None

    @property
    def contrast(self) -> Contrast | None:
        """The comparison asked for: what was typed, else the plan's."""
        given = self.params if isinstance(self.params, AnalysisParams) else None
        plan = self.plan or self.params.plan
        return (given and given.contrast) or (plan.contrast if plan else None)

    @property
    def design(self) -> str:
        given = self.params if isinstance(self.params, AnalysisParams) else None
        plan = self.plan or self.params.plan
        return (given and given.design) or (plan.design if plan else "")
