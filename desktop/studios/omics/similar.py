"""Finished runs whose plan fits data that are new: found again by kind of values, organism, columns and size.

A run is offered with why, never used by itself. Reads run folders; for a child process.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from desktop.core.errors import AppError
from desktop.studios.omics import run_parts
from desktop.studios.omics.repo import RunRow
from desktop.studios.omics.results import load_json
from desktop.studios.omics.run_parts import check_plan
from desktop.studios.omics.schema import AnalysisParams, Inspection, Plan, SampleTable
from desktop.studios.omics.script_inputs import load_samples
from desktop.studios.omics.steps.technical_runs import collapse_samples
from desktop.studios.omics.steps.template_fit import fit_template, is_complete, to_template
from desktop.studios.omics.steps.vocabulary import fold
from desktop.studios.omics.template_schema import PlanTemplate, SimilarRun, TemplateFit

KINDS = {
    "counts": "raw reads",
    "expected_counts": "raw reads",
    "log_intensity": "intensities",
    "linear_intensity": "intensities",
}
MIN_SCORE = 3.0
MAX_SIZE_RATIO = 8.0


def template_of_run(folder: Path, name: str, *, note: str = "") -> PlanTemplate:
    """A finished run's plan as a template. Raises DamagedRunError."""
    plan = Plan.model_validate(load_json(folder / "plan.json"))
    data = load_json(folder / "manifest.json").get("data")
    about = data if isinstance(data, dict) else {}
    words = [str(about.get("accession") or about.get("source") or ""), str(about.get("organism") or "")]
    made_from = ", ".join(filter(None, [*words, KINDS.get(plan.values, "")]))
    samples = collapse_samples(load_samples(folder / "samples.csv"), plan.collapse)
    return to_template(name, plan, samples, note=note, made_from=made_from)


def fitted(template: PlanTemplate, inspection: Inspection, answers: dict[str, str]) -> TemplateFit:
    """A template on these data, its plan checked against them; raises the errors of a design that cannot be run."""
    fit = fit_template(template, inspection.samples, inspection.proposal, answers)
    if fit.plan is None:
        return fit
    plan = run_parts.plan_for(AnalysisParams(data=inspection.source, plan=fit.plan), inspection)
    return fit.model_copy(update={"plan": plan})


def similar_runs(rows: Sequence[RunRow], inspection: Inspection, limit: int = 3) -> list[SimilarRun]:
    """The runs most like these data, the most alike first; those that do not fit whole are left out."""
    found = []
    for row in rows:
        try:
            one = _similar(row, inspection)
        except (AppError, OSError, ValueError, IndexError, KeyError):
            continue  # damaged, gone, or its design cannot be estimated here
        if one is not None:
            found.append(one)
    found.sort(key=lambda one: (-one.score, -one.created_s))
    once = {str((one.plan.design, one.plan.contrasts, one.plan.alpha, one.plan.keep)): one for one in reversed(found)}
    return sorted(once.values(), key=lambda one: (-one.score, -one.created_s))[:limit]


def _similar(row: RunRow, inspection: Inspection) -> SimilarRun | None:
    folder = Path(row.out_dir)
    template = template_of_run(folder, row.title[:80] or row.id)
    if KINDS.get(template.plan.values) != KINDS.get(inspection.value_type) or template.plan.contrast is None:
        return None
    fit = fit_template(template, inspection.samples, inspection.proposal, {})
    if fit.plan is None or not is_complete(fit, template.factors):
        return None
    samples = load_samples(folder / "samples.csv")
    data = load_json(folder / "manifest.json").get("data")
    organism = str(data.get("organism") or "") if isinstance(data, dict) else ""
    score, why = _alike(template, fit, samples, organism, inspection)
    if score < MIN_SCORE:
        return None
    check_plan(fit.plan, inspection.samples)
    plan = run_parts.plan_for(AnalysisParams(data=inspection.source, plan=fit.plan), inspection)
    return SimilarRun(
        run_id=row.id,
        title=row.question or row.title,
        headline=row.headline,
        out_dir=row.out_dir,
        created_s=row.created_s,
        why=why,
        score=score,
        plan=plan,
    )


def _alike(
    template: PlanTemplate, fit: TemplateFit, samples: SampleTable, organism: str, inspection: Inspection
) -> tuple[float, list[str]]:
    """A score and its reasons; 0 where something speaks against it."""
    n_then, n_now = len(samples.samples), len(inspection.samples.samples)
    ratio = max(n_then, n_now) / max(1, min(n_then, n_now))
    known = [fold(name) for name in (organism, inspection.organism) if name]
    if ratio > MAX_SIZE_RATIO or len(set(known)) > 1:
        return 0.0, []
    why, score = [f"both hold {KINDS[inspection.value_type]}"], 0.0
    if len(known) == 2:
        score += 1
        why.append(f"both are of {inspection.organism}")
    same = [name for name, column in fit.columns.items() if fold(name) == fold(column)]
    if same:
        score += 1.5 * len(same)
        why.append(f"the same columns: {', '.join(same)}")
    others = [f"{name} → {column}" for name, column in fit.columns.items() if name not in same]
    if others:
        score += 0.5 * len(others)
        why.append(f"columns of the same kind: {', '.join(others)}")
    contrast = template.plan.contrast
    if contrast is not None and fit.plan is not None and str(contrast) == str(fit.plan.contrast):
        score += 1.5
        why.append(f"the same comparison: {contrast}")
    score += 1 - math.log2(ratio) / math.log2(MAX_SIZE_RATIO)
    why.append(f"{n_then} samples then, {n_now} now")
    return score, why
