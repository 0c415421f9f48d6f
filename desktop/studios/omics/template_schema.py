"""A plan kept as a template, and what becomes of it on other data, as pydantic types. Imports no numerics."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from desktop.studios.omics.schema import Plan, Reason

LEAVE_OUT = "(leave out)"


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TemplateFactor(_Schema):
    """A column the plan names: what it was called, what it was good for, its labels where a person may compare them."""

    name: str
    role: str  # "group", "batch", "pairing", "numeric", …: `steps.factors.Role`
    levels: list[str] = Field(default_factory=list)


class PlanTemplate(_Schema):
    """Analysis kind, design, comparisons, thresholds and filters of a plan, in the names of the table it was made for.

    made_from   what kind of data that was, in words; never a path
    """

    format: Literal[1] = 1
    name: str = Field(min_length=1, max_length=80)
    note: str = Field("", max_length=2000)
    made_from: str = ""
    plan: Plan
    factors: list[TemplateFactor] = Field(default_factory=list)


class OpenQuestion(_Schema):
    """What does not fit by itself. `key` names it in the answers: "dex" for a column, "dex=trt" for a label of it."""

    key: str
    text: str
    choices: list[str]


class TemplateFit(_Schema):
    """A template on other data: the plan when nothing is open, else what a person has to say first."""

    plan: Plan | None = None
    columns: dict[str, str] = Field(default_factory=dict)  # the template's name → the column here
    reasons: list[Reason] = Field(default_factory=list)
    open: list[OpenQuestion] = Field(default_factory=list)


class SimilarRun(_Schema):
    """A finished run of data like these, why it is alike, and its plan in the names of these data."""

    run_id: str
    title: str
    headline: str
    out_dir: str
    created_s: float
    why: list[str]
    score: float
    plan: Plan
