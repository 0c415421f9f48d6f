"""The sandbox's settings, each declared once with default, unit and help."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class SandboxSettings(BaseModel):
    """How scripts are isolated on this machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine: str = Field(
        "", title="Docker engine", description="Address such as unix:///path/docker.sock; empty finds one by itself."
    )
    image: str = Field("benchtop-sandbox:1", title="Image", description="The image scripts run in.")
    warm: int = Field(
        1,
        ge=0,
        le=4,
        title="Warm containers",
        description="Containers kept ready after a run while the window is open, so that the next starts at once.",
    )
    python: str = Field(
        "",
        title="Python without Docker",
        description="Interpreter for runs without a container; empty takes the one Benchtop runs in.",
    )
