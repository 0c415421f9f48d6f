"""What is known when an analysis has failed: asked for, found, allowed. Decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
    def contrasts(self) -> tuple[Contrast, ...]:
        """The comparisons asked for, the first one first: what was typed, else the plan's."""
        given = self.params if isinstance(self.params, AnalysisParams) else None
        plan = self.plan or self.params.plan
        first = (given and given.contrast) or (plan.contrast if plan else None)
        others = given.other_contrasts if given else None
        if others is None and plan is not None:
            others = plan.other_contrasts
        return (*([first] if first else []), *(others or ()))

    def with_contrast(self, number: int, contrast: Contrast) -> dict[str, Any]:
        """The parameters that put `contrast` in the place of that number, from 0."""
        if number == 0:
            return {"contrast": contrast.model_dump()}
        others = [contrast if at == number else one for at, one in enumerate(self.contrasts)][1:]
        return {"other_contrasts": [one.model_dump() for one in others]}

    @property
    def design(self) -> str:
        given = self.params if isinstance(self.params, AnalysisParams) else None
        plan = self.plan or self.params.plan
        return (given and given.design) or (plan.design if plan else "")
