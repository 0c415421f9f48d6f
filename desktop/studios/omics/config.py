"""The Omics studio's own settings, each declared once with default, unit and help."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class OmicsSettings(BaseModel):
    """Defaults of an analysis; a plan may change them for one run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    alpha: float = Field(
        0.05, gt=0, lt=1, title="Significance", description="Adjusted p-value below which a gene counts as changed."
    )
    lfc_threshold: float = Field(
        0.0, ge=0, title="Minimum change", description="log2 fold change tested against; 0 tests for any change."
    )
    n_heatmap_genes: int = Field(
        50, ge=2, le=500, title="Heatmap genes", description="Genes shown in the clustered heatmap."
    )
    run_timeout_s: float = Field(1800, gt=0, title="Time limit (s)", description="A run is stopped after this long.")
    run_memory_mb: int = Field(4096, ge=256, title="Memory limit (MB)", description="A run is stopped above this.")
