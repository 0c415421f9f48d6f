"""What goes into a batch and what comes out of it, as pydantic types. Imports no numerics."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from desktop.core.jobs import JobError
from desktop.studios.omics.schema import AnalysisParams

BATCH_FILE, OUTCOMES_FILE = "batch.json", "outcomes.csv"
MAX_ITEMS = 1000
ItemStatus = Literal["waiting", "running", "done", "failed"]


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BatchParams(_Schema):
    """Many analyses as one job, each as it would be given alone; their `out_dir` and `stored_run` stay empty.

    out_dir  the folder that gets one results folder an item, and the table of outcomes; a folder where the same batch
             was cut off is gone on with
    """

    items: list[AnalysisParams] = Field(min_length=1, max_length=MAX_ITEMS)
    out_dir: Path | None = None


class ItemError(_Schema):
    """Why an item has no results, as a person reads it."""

    code: str
    message: str
    hint: str

    @classmethod
    def of(cls, error: JobError) -> ItemError:
        """The part of a job's error that is shown in the table."""
        return cls(code=error.code, message=error.message, hint=error.hint)


class BatchOutcome(_Schema):
    """One row of the table. Numbers are None until the item is done; `folder` is its results, within the batch's."""

    number: int
    dataset: str
    data: str
    question: str = ""
    contrast: str = ""
    status: ItemStatus = "waiting"
    n_significant: int | None = None
    up: int | None = None
    down: int | None = None
    headline: str = ""
    run_id: str = ""
    folder: str = ""
    seconds: float | None = None
    warnings: list[str] = Field(default_factory=list)
    error: ItemError | None = None


class BatchResult(_Schema):
    """The table of outcomes. `benchtop batch --json` prints this; batch.json in the batch's folder is the same."""

    status: Literal["running", "done"] = "done"
    out_dir: Path
    headline: str = ""
    n_done: int = 0
    n_failed: int = 0
    fingerprint: str = ""  # of everything that was asked, and of the files it was asked about
    items: list[BatchOutcome] = Field(default_factory=list)
