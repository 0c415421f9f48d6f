"""Settings of the memory budget: how much models may take together, and how long an idle one stays."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from desktop.core.models import Tier


class MemorySettings(BaseModel):
    """A budget of 0 lets the machine decide; an idle time of 0 unloads at once, -1 never."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    budget_gib: float = Field(
        0, ge=0, le=4096, title="Memory for models (GiB)", description="0: three quarters of the machine's memory."
    )
    small_idle_min: float = Field(
        30, ge=-1, title="Keep small models (min)", description="Idle this long, they unload. 0: at once; -1: never."
    )
    medium_idle_min: float = Field(
        5, ge=-1, title="Keep larger models (min)", description="Idle this long, they unload. 0: at once; -1: never."
    )

    def idle_s(self, tier: Tier) -> float:
        """Seconds an idle model of this tier stays; 0 at once, infinite for never."""
        minutes = self.small_idle_min if tier == "small" else self.medium_idle_min
        return float("inf") if minutes < 0 else minutes * 60
