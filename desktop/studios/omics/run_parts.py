"""The heavy parts of the jobs, as functions that run in a child process: plan, write the inputs, finish the folder."""

from __future__ import annotations

import datetime
import hashlib
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

import desktop
from desktop.core.errors import AppError
from desktop.core.models import Prompt
from desktop.core.ports import Verdict
from desktop.studios.omics.errors import (
    AllZeroError,
    BadFormulaError,
    DamagedRunError,
    NoCommonGenesError,
    NoGenesLeftError,
    NotCountsError,
    OneGroupError,
    UnclearQuestionError,
    UnknownFactorError,
    UnknownLevelError,
)
from desktop.studios.omics.gene_sets import GENE_MAP, GENE_SETS, SetsWritten, write_gene_sets
from desktop.studios.omics.own_gene_sets import add_gene_sets, load_own_sets
from desktop.studios.omics.run_folder import RunFolder, file_hashes, write_json
from desktop.studios.omics.schema import (
    AnalysisParams,
    Caution,
    CompareResult,
    Inspection,
    OwnGeneSets,
    Plan,
    Reason,
    RunIsolation,
    SampleTable,
)
from desktop.studios.omics.script_inputs import (
    COUNTS,
    LENGTHS,
    SAMPLES,
    VALUES,
    write_counts,
    write_lengths,
    write_samples,
)

if TYPE_CHECKING:
    from desktop.studios.omics.sources.dataset import ExpressionMatrix

_COUNTS = ("counts", "expected_counts")
_OVERRIDES = ("design", "contrast", "other_contrasts", "alpha", "lfc_threshold")  # of a plan that is given
_INTENSITIES = ("log_intensity", "linear_intensity")
_NORMALISED = {"tpm": "TPM or CPM", "fpkm": "FPKM, RPKM or otherwise normalised values"}
_MODELS = {
    "counts": "The table holds raw reads: the negative binomial model of DESeq2.",
    "expected_counts": "The table holds expected counts: rounded, then the negative binomial model of DESeq2.",
    "log_intensity": (
        "The table holds values on a log scale, not reads: a linear model with moderated t-statistics, as limma."
    ),
    "linear_intensity": (
        "The table holds intensities on the natural scale: log2 (where the 99th percentile is above 100, or the range "
        "above 50 and the lower quartile above 0), then a linear model with moderated t-statistics, as limma."
    ),
}


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the manifest says of a run beside its files."""

    run_id: str
    data: dict[str, Any]
    isolation: RunIsolation
    verdict: Verdict
    origin: str
    timings: dict[str, float] = field(default_factory=dict)
    cautions: list[str] = field(default_factory=list)
    created_s: float = 0.0


def plan_for(params: AnalysisParams, inspection: Inspection) -> Plan:
    """The plan of these parameters, checked against the samples; cautions of the check are in its warnings.

    raises   UnclearQuestionError and the errors of `check_design`
    """
    samples = inspection.samples
    if params.plan is None:
        from desktop.studios.omics.steps.pseudobulk import cells_asked, of_these_cells
        from desktop.studios.omics.steps.question import plan_question

        cells, reason = cells_asked(params.question, samples)
        plan = plan_question(
            params.question,
            inspection.model_copy(update={"samples": of_these_cells(samples, cells)}),
            design=params.design,
            contrast=params.contrast,
            other_contrasts=params.other_contrasts or (),
            alpha=params.alpha,
            lfc_threshold=params.lfc_threshold,
        )
        if reason is not None:
            plan = plan.model_copy(update={"keep": cells | plan.keep, "reasons": [reason, *plan.reasons]})
    else:
        given = {name: getattr(params, name) for name in _OVERRIDES}
        plan = params.plan.model_copy(update={name: value for name, value in given.items() if value is not None})
    plan = _for_values(plan, inspection, is_new=params.plan is None)
    if params.plan is None and params.design is None:
        from desktop.studios.omics.steps.blocks import with_incomplete_pairs

        plan = with_incomplete_pairs(plan, samples, inspection.proposal.pairing)
    found = check_plan(plan, samples)
    known = {(caution.code, caution.text) for caution in plan.warnings}
    return plan.model_copy(update={"warnings": [*plan.warnings, *(c for c in found if (c.code, c.text) not in known)]})


def _for_values(plan: Plan, inspection: Inspection, *, is_new: bool) -> Plan:
    """The plan with the model that its values need, and why; a note where raw counts would be better."""
    values, reasons, cautions = inspection.value_type, list(plan.reasons), list(plan.warnings)
    plan = plan.model_copy(update={"lengths": plan.lengths and inspection.has_lengths})
    if is_new and inspection.has_lengths:
        text = "The files give each gene's average length in each sample: differences are allowed for, as in tximport."
        reasons.append(Reason(about="lengths", text=text, by="rule:lengths"))
        plan = plan.model_copy(update={"lengths": True})
    if plan.kind == "differential_expression" and values in _MODELS:
        reasons = [r for r in reasons if r.about != "model"]
        reasons.append(Reason(about="model", text=_MODELS[values], by="rule:value_type"))
    if values not in _COUNTS and inspection.id_type != "probe":
        text = f"The table holds {_NORMALISED.get(values, 'values on a log scale')}; raw counts would answer better."
        if text not in [caution.text for caution in cautions]:
            cautions.append(Caution(code="omics.not_counts", text=text))
    return plan.model_copy(update={"values": values, "reasons": reasons, "warnings": cautions})


def check_plan(plan: Plan, samples: SampleTable) -> list[Caution]:
    """Whether the plan can be run on these samples: the samples it keeps, its design, its contrast."""
    from desktop.studios.omics.steps.pseudobulk import check_cells

    kept = kept_samples(plan, samples)
    check_cells(plan, samples)
    if len(kept.samples) < 2:
        raise OneGroupError(
            f"The plan keeps {len(kept.samples)} of {len(samples.samples)} samples.", hint="Keep at least two samples."
        )
    if plan.kind != "differential_expression":
        return []
    if plan.contrast is None:
        raise UnclearQuestionError(
            "The plan does not say which groups to compare.",
            hint="Name the two groups, for example: treated against control.",
        )
    from desktop.studios.omics.steps.blocks import check_blocks
    from desktop.studios.omics.steps.design import check_design
    from desktop.studios.omics.steps.formula import parse_formula

    if plan.reduced:
        full, reduced = parse_formula(plan.design, kept).terms, parse_formula(plan.reduced, kept).terms
        if not set(reduced) < set(full):
            raise BadFormulaError(
                f"The design {plan.reduced!r} is not a part of {plan.design!r}, so the two cannot be compared.",
                hint="Leave terms of the design out of the reduced one, and add none.",
            )
    if plan.reduced and plan.other_contrasts:
        raise BadFormulaError(
            "A test of all levels together has one contrast, and the plan has several.",
            hint="Take the further contrasts out, or the reduced design.",
        )
    check_blocks(plan, kept)
    return check_design(kept, plan.design, plan.contrasts)


def kept_samples(plan: Plan, samples: SampleTable) -> SampleTable:
    """The samples a plan analyses."""
    from desktop.studios.omics.steps.technical_runs import collapse_samples, plan_samples

    if plan.collapse and plan.collapse not in samples.factors:
        raise UnknownFactorError(
            f"There is no factor {plan.collapse!r} in the table of samples, by which runs would be added up.",
            hint=f"Use one of: {', '.join(samples.factors)}; or add up none.",
        )
    whole = samples
    samples = collapse_samples(samples, plan.collapse)
    for factor, levels in plan.keep.items():
        if factor != "sample" and factor not in samples.factors:
            raise UnknownFactorError(
                f"There is no factor {factor!r} in the table of samples.",
                hint=f"Use one of: {', '.join(samples.factors)}.",
            )
        known = list(dict.fromkeys(samples.samples if factor == "sample" else samples.factors[factor]))
        for level in levels:
            if level not in known:
                raise UnknownLevelError(
                    f"{factor} has no level {level!r}.", hint=f"Its levels are: {', '.join(known[:50])}."
                )
    return plan_samples(plan, whole)


def add_own_sets(params: AnalysisParams, folder: Path, now_s: float) -> list[OwnGeneSets]:
    """The gene sets of the plan and of the files given, these added to the person's folder.

    raises   BadGeneSetsError, UnknownGeneSetsError
    """
    wanted = list(params.plan.gene_sets) if params.plan else []
    for one in wanted:
        load_own_sets(folder, one)
    wanted += [add_gene_sets(folder, path.expanduser(), now_s).reference for path in params.gene_sets]
    return list({one.sha256: one for one in wanted}.values())


def write_inputs(inspection: Inspection, plan: Plan, folder: Path, own_sets: Path) -> tuple[bytes, list[Caution]]:
    """Write the values, samples and gene sets into `folder`; returns the script and what was done.

    own_sets   the folder of the person's gene sets
    raises   NotCountsError, AllZeroError, NoCommonGenesError
    """
    from desktop.studios.omics.sources.dataset import load_matrix

    matrix = load_matrix(inspection)
    cautions: list[Caution] = []
    if plan.gene_sets and (plan.kind != "differential_expression" or plan.reduced):
        text = "Gene sets are tested where two groups are compared; this plan does not, so they were left out."
        cautions.append(Caution(code="omics.gene_sets_not_tested", text=text))
    is_test = plan.kind == "differential_expression"
    if matrix.value_type not in (*_COUNTS, *_INTENSITIES, *(() if is_test else _NORMALISED)):
        what = _NORMALISED.get(matrix.value_type, "values that are not reads")
        raise NotCountsError(
            f"The table holds {what}, and this analysis needs raw read counts or log-intensities.",
            hint="Look for a table of raw counts (featureCounts, HTSeq, RSEM expected counts) of the same samples.",
            value_type=matrix.value_type,
        )
    plan = plan.model_copy(update={"values": matrix.value_type})
    kept = set(kept_samples(plan, inspection.samples).samples)
    owners = inspection.samples.factors.get(plan.collapse, matrix.samples)
    is_used = [owner in kept for owner in owners]
    names = list(dict.fromkeys(owner for owner in owners if owner in kept))
    values = matrix.values
    if matrix.value_type not in _COUNTS:
        values = np.where(np.isfinite(values), values, np.nan)
        known = np.isfinite(values[is_used]).sum(axis=0)
        if not known.any():
            raise AllZeroError("The samples of this plan have no values.", hint="Check which samples the plan keeps.")
        write_counts(folder, values, matrix.gene_ids, matrix.gene_symbols, matrix.samples)
        return _script(inspection, plan, folder, matrix, known > 2, own_sets), cautions
    if matrix.value_type == "expected_counts":
        values = np.rint(values)
        cautions.append(
            Caution(
                code="omics.rounded", text="Expected counts are fractions of reads; they were rounded to whole reads."
            )
        )
    counts = values.astype(np.int64)
    used = counts[is_used]
    if plan.collapse:
        used = np.stack([counts[[owner == name for owner in owners]].sum(axis=0) for name in names])
    if not used.any():
        raise AllZeroError("The samples of this plan have no reads at all.", hint="Check which samples the plan keeps.")
    if not (used > 0).all(axis=0).any():
        raise NoCommonGenesError(
            "No gene has reads in every sample, so the samples cannot be brought to the same depth.",
            hint="Leave out nearly empty samples; single cells must first be added up by sample.",
            nearly_empty=_nearly_empty(used, names),
        )
    write_counts(folder, counts, matrix.gene_ids, matrix.gene_symbols, matrix.samples)
    plan = plan.model_copy(update={"lengths": plan.lengths and matrix.lengths is not None})
    if plan.lengths:
        write_lengths(folder, matrix.lengths, matrix.gene_ids, matrix.samples)
    totals = used.sum(axis=0)
    if totals.max() < plan.min_total_count:
        raise NoGenesLeftError(
            f"No gene has the {plan.min_total_count:,} reads the plan asks for.",
            hint=f"Ask for at most {int(totals.max()):,}.",
            largest_total=int(totals.max()),
        )
    is_tested = (used > 0).any(axis=0) & (totals >= plan.min_total_count)
    return _script(inspection, plan, folder, matrix, is_tested, own_sets), cautions


def _nearly_empty(counts: NDArray[np.int64], names: list[str]) -> list[str]:
    """Samples with under a tenth of the genes of the middle sample, if some gene has reads in all the others.

    counts   (S, G) of the samples `names`
    """
    n_genes = (counts > 0).sum(axis=1)
    is_empty = n_genes < 0.1 * np.median(n_genes)
    is_cured = is_empty.any() and bool((counts[~is_empty] > 0).all(axis=0).any())
    return [name for name, is_bad in zip(names, is_empty, strict=True) if is_bad] if is_cured else []


def _script(
    inspection: Inspection,
    plan: Plan,
    folder: Path,
    matrix: ExpressionMatrix,
    is_tested: NDArray[np.bool_],
    own_sets: Path,
) -> bytes:
    """Write samples and, for a test between two groups, gene sets; the script for them."""
    from desktop.studios.omics.steps.script import to_script

    write_samples(folder, inspection.samples)
    sets = SetsWritten(skipped="A test across several levels has no one direction.") if plan.reduced else SetsWritten()
    if plan.kind == "differential_expression" and not plan.reduced:
        sets = write_gene_sets(
            folder,
            matrix.gene_ids,
            matrix.gene_symbols,
            is_tested,
            id_type=inspection.id_type,
            organism=inspection.organism,
            own=[load_own_sets(own_sets, one) for one in plan.gene_sets],
        )
    return to_script(
        plan,
        inspection.samples,
        organism=inspection.organism,
        data=inspection.accession or Path(inspection.chosen or inspection.source).name,
        gene_sets=sets.title,
        own_gene_sets=sets.own,
        no_gene_sets=sets.skipped,
    ).encode("utf-8")


def copy_stored(run_dir: Path, folder: Path) -> tuple[bytes, Plan]:
    """Put the stored inputs of a finished run into `folder`; returns its script and its plan."""
    from desktop.studios.omics.results import load_json

    try:
        shutil.copyfile(run_dir / SAMPLES, folder / SAMPLES)
        values = VALUES if (run_dir / VALUES).exists() else COUNTS
        shutil.copyfile(run_dir / values, folder / values)
        for name in (LENGTHS, GENE_MAP, GENE_SETS):
            if (run_dir / name).is_file():
                shutil.copyfile(run_dir / name, folder / name)
        return (run_dir / "analysis.py").read_bytes(), Plan.model_validate(load_json(run_dir / "plan.json"))
    except (FileNotFoundError, ValidationError) as error:
        raise DamagedRunError(
            f"The stored run in {run_dir.name} cannot be run again: its data, script or plan is missing or damaged.",
            hint="Run the analysis from its data and question instead.",
        ) from error


def finish(folder: RunFolder, script: bytes, plan: Plan, facts: RunFacts) -> dict[str, Any]:
    """From the sandbox's outputs to the finished folder, report and manifest included.

    returns   the manifest; its summary is counted anew in results.csv
    raises    DamagedRunError when the outputs are not what a run leaves
    """
    from desktop.studios.omics.report import write_report
    from desktop.studios.omics.report_headline import headline
    from desktop.studios.omics.report_numbers import plain
    from desktop.studios.omics.results import load_json, load_run
    from desktop.studios.omics.steps.contrasts import folder_of, title_of

    folder.gather()
    out = folder.finished
    (out / "analysis.py").write_bytes(script)
    write_json(out / "plan.json", plan.model_dump(mode="json"))
    told = load_json(out / "summary.json")
    versions, enrichment = told.get("versions"), told.get("enrichment")
    manifest: dict[str, Any] = {
        "format": 1,
        "run_id": facts.run_id,
        "app": {"name": "Benchtop", "version": desktop.__version__},
        "created": datetime.datetime.fromtimestamp(facts.created_s, datetime.UTC).isoformat(timespec="seconds"),
        "headline": "",
        "data": facts.data,
        "isolation": facts.isolation.model_dump(),
        "policy": asdict(facts.verdict),
        "script": {"sha256": hashlib.sha256(script).hexdigest(), "origin": facts.origin},
        "packages": versions if isinstance(versions, dict) else {},
        "gene_sets": str(enrichment.get("gene_sets", "")) if isinstance(enrichment, dict) else "",
        "own_gene_sets": enrichment.get("own", []) if isinstance(enrichment, dict) else [],
        "timings_s": facts.timings,
        "warnings": facts.cautions,
        "summary": {},
        "files": file_hashes(out),
    }
    write_json(out / "manifest.json", manifest)
    view = load_run(out)
    counted = _counted(view.log2_fold_change, view.padj, plan.alpha)
    folders = [folder_of(contrast, number) for number, contrast in enumerate(plan.contrasts)]
    write_report(view, cautions=facts.cautions)
    (out / "manifest.json").unlink()
    manifest |= {
        "headline": plain(headline(view)),
        "summary": {"n_genes": len(view.gene_ids)} | counted,
        "contrasts": [
            {"name": title_of(contrast, view.samples), "folder": own}
            | (_counted_in(out / own, plan.alpha) if own else counted)
            for contrast, own in zip(plan.contrasts, folders, strict=True)
        ],
        "files": file_hashes(out),
    }
    write_json(out / "manifest.json", manifest)
    return manifest


def _counted(log2_fold_change: NDArray[np.float64], padj: NDArray[np.float64], alpha: float) -> dict[str, int]:
    """Genes that a contrast calls; both (G,)."""
    called = padj < alpha
    up, down = called & (log2_fold_change > 0), called & (log2_fold_change < 0)
    return {"n_significant": int(called.sum()), "up": int(up.sum()), "down": int(down.sum())}


def _counted_in(folder: Path, alpha: float) -> dict[str, int]:
    """The same of the results in a folder."""
    from desktop.studios.omics.results import load_results_table

    table = load_results_table(folder)
    return _counted(table["log2_fold_change"].to_numpy(), table["padj"].to_numpy(), alpha)


def words_prompt(out: Path) -> Prompt | None:
    """What a model is asked to put this finished folder into words; None when there is nothing to tell."""
    from desktop.studios.omics.report_told import told_facts, told_prompt
    from desktop.studios.omics.results import load_run

    view = load_run(out)
    facts = told_facts(view)
    return told_prompt(view, facts) if facts else None


def add_words(out: Path, told: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Put a model's words into a finished folder and its report; returns the new manifest and how much was struck."""
    from desktop.studios.omics.report import write_report
    from desktop.studios.omics.report_told import FILE, words_of
    from desktop.studios.omics.results import load_json, load_run

    manifest = load_json(out / "manifest.json")
    write_json(out / FILE, told)
    view = load_run(out)
    write_report(view, cautions=manifest["warnings"])
    (out / "manifest.json").unlink()
    manifest["files"] = file_hashes(out)
    write_json(out / "manifest.json", manifest)
    words = words_of(view)
    return manifest, words.n_struck if words else 0


def run_id_in(folder: Path) -> str:
    """The id of the run whose finished folder this is; "" when it is none."""
    from desktop.studios.omics.results import load_json

    try:
        return str(load_json(folder / "manifest.json").get("run_id", ""))
    except AppError:
        return ""


def compare_into(left: Path, right: Path, folder: RunFolder, contrasts: tuple[int, int] = (1, 1)) -> CompareResult:
    """Compare two runs' folders, each with one of its contrasts, and publish the comparison at `folder.out_dir`."""
    from desktop.studios.omics.compare_report import write_comparison
    from desktop.studios.omics.results_script import load_view

    folder.finished.mkdir()
    one, two = (load_view(side, number - 1) for side, number in zip((left, right), contrasts, strict=True))
    result = write_comparison(one, two, folder.finished)
    folder.publish()
    return result.model_copy(update={"out_dir": folder.out_dir})
