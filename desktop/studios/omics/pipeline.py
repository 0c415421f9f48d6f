"""The Omics jobs, as the way data takes: read → plan → script → check → sandbox → report → one finished folder.

Nothing appears at the place of the results until everything is there; a run that fails or is stopped leaves only its
script and log among the logs. Heavy work is in child processes (`run_parts.py`), what follows a script in `running.py`,
second tries in `recovery.py`. Scripts that no template wrote come through `free_script.py`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from desktop.core.ports import JobContext, Limits, RunOutcome, Verdict
from desktop.studios.omics import repo, run_parts
from desktop.studios.omics.asking import plan_by_model, tell_results
from desktop.studios.omics.errors import (
    AnalysisFailedError,
    DamagedRunError,
    UnclearQuestionError,
    UnknownFactorError,
)
from desktop.studios.omics.own_gene_sets import FOLDER as OWN_SETS
from desktop.studios.omics.recovery import Attempt, with_repairs
from desktop.studios.omics.results import load_json
from desktop.studios.omics.run_folder import RunFolder, disk_error, open_run_folder
from desktop.studios.omics.running import (
    Prepared,
    Timings,
    answered,
    checked,
    data_facts,
    inspected,
    isolation_of,
    keep,
    publish,
    published,
    ran,
    run_dir,
)
from desktop.studios.omics.schema import (
    AnalysisParams,
    AnalysisResult,
    CompareParams,
    CompareResult,
    ContrastResult,
    Inspection,
    InspectParams,
    Plan,
    Repair,
    RunIsolation,
    ScriptParams,
    ScriptResult,
    Summary,
)
from desktop.studios.omics.script_run import run_script
from desktop.studios.omics.steps.model_plan import reader_of


async def run_inspect(ctx: JobContext, params: InspectParams) -> Inspection:
    """Look at the data: what is there, what would be used, the samples and the design they suggest."""
    with ctx.step("Read the data", upto=1.0):
        return await inspected(ctx, params.data, params.samples, allow_net=params.allow_net)


async def run_analysis(ctx: JobContext, params: AnalysisParams) -> AnalysisResult | ScriptResult:
    """One analysis. A stored script that is not as Benchtop wrote it runs as what it is, a script of one's own."""
    theirs = await _changed_script(ctx, params) if params.stored_run else None
    return await analyse(ctx, params) if theirs is None else await run_script(ctx, theirs)


async def analyse(ctx: JobContext, params: AnalysisParams) -> AnalysisResult:
    """One analysis from data and question (or plan) to a finished folder; a failure that is known is repaired first.

    raises   InputError and its kinds before anything runs; NoSandboxError; AnalysisFailedError and its kinds
    """
    settings = ctx.settings("omics")
    limits = Limits(wall_s=settings.run_timeout_s, memory_mb=settings.run_memory_mb)

    async def run(attempt: Attempt[AnalysisParams]) -> AnalysisResult:
        return await _analysed(ctx, attempt)

    return await with_repairs(ctx, Attempt(params, limits), run)


async def run_compare(ctx: JobContext, params: CompareParams) -> CompareResult:
    """How far two finished runs agree; leaves a folder with table, figure and report."""
    out_dir = params.out_dir or ctx.paths.runs / f"compare-{ctx.job_id}"
    left, right = (run_dir(ctx, name) for name in (params.left, params.right))
    folder = await ctx.io(open_run_folder, out_dir, ctx.job_id, ctx.paths.scratch)
    try:
        with ctx.step("Compare", upto=1.0):
            contrasts = (params.left_contrast, params.right_contrast)
            result = await ctx.cpu(run_parts.compare_into, left, right, folder, contrasts)
    except OSError as error:
        raise disk_error(error, out_dir) from error
    finally:
        folder.remove()
    return result


async def _analysed(ctx: JobContext, attempt: Attempt[AnalysisParams]) -> AnalysisResult:
    """One attempt; nothing of it stays when it fails but its record among the logs."""
    params = attempt.params
    out_dir = (params.out_dir or ctx.paths.runs / ctx.job_id).expanduser().absolute()
    earlier = repo.read_run(ctx.store, await ctx.io(run_parts.run_id_in, out_dir))
    if earlier is not None and earlier.published_s is None:  # a crash came right after the folder was in its place
        return await _result(ctx, earlier, await published(ctx, earlier), attempt.repairs)
    folder = await ctx.io(open_run_folder, out_dir, ctx.job_id, ctx.paths.scratch)
    clock = Timings(ctx)
    try:
        if not params.stored_run:
            await ctx.sandbox.choose(params.isolation, "template")  # nowhere to run it is known before any work
        made = await (_stored if params.stored_run else _prepared)(ctx, attempt, folder, clock)
        with clock.step("Check the script", upto=0.34):
            verdict = await checked(ctx, made)
        with clock.step("Run", upto=0.9):
            outcome = await ran(ctx, folder, made, verdict, params.isolation, attempt.limits)
        with clock.step("Report", upto=1.0):
            row = await _finished(ctx, folder, made, outcome, verdict, dict(clock.spent_s))
            result = await _result(ctx, row, await publish(ctx, folder, row), attempt.repairs)
        return result.model_copy(update={"timings": dict(clock.spent_s)})
    except OSError as error:
        raise disk_error(error, out_dir) from error
    finally:
        folder.remove()


async def _prepared(ctx: JobContext, attempt: Attempt[AnalysisParams], folder: RunFolder, clock: Timings) -> Prepared:
    """Read, plan, and write the script with its inputs."""
    params = attempt.params
    with clock.step("Read the data", upto=0.2):
        if attempt.inspection is None:
            found = await inspected(ctx, params.data, params.samples, allow_net=params.allow_net)
            if params.sample_table is not None:
                found = found.model_copy(update={"samples": params.sample_table})
            attempt.inspection = found
        inspection = attempt.inspection
        own_sets = ctx.paths.home / OWN_SETS
        own = await ctx.io(run_parts.add_own_sets, params, own_sets, ctx.clock.now_s())
    hashes = {Path(file.path).name: file.sha256 for file in inspection.files if file.chosen}
    with clock.step("Plan", upto=0.25):
        try:
            plan = await ctx.cpu(run_parts.plan_for, params, inspection)
        except (UnclearQuestionError, UnknownFactorError) as unclear:
            plan = await plan_by_model(ctx, params, inspection, unclear)
        plan = attempt.plan = plan.model_copy(update={"gene_sets": own})
        is_confirmed = params.plan is not None
        found_cautions = [*inspection.warnings, *plan.warnings]
        agreed = await answered(ctx, found_cautions, params.accept, is_confirmed=is_confirmed)
        by = "person" if is_confirmed else reader_of(plan) or "rule:plan"
        compared = "; ".join(map(str, plan.contrasts))
        said = f"{plan.kind}, design {plan.design}, contrast {compared}" if compared else plan.kind
        await ctx.decide(f"analyse: {said}", by=by, because=plan.question or "a plan was given", inputs=hashes)
    with clock.step("Write the script", upto=0.32):
        script, done = await ctx.cpu(run_parts.write_inputs, inspection, plan, folder.inputs, own_sets)
    texts = [caution.text for caution in (*found_cautions, *done) if not caution.blocks]
    return Prepared(
        script=script,
        origin="template",
        data=data_facts(inspection),
        plan=plan,
        question=plan.question,
        cautions=list(dict.fromkeys([*attempt.told, *agreed, *texts])),
    )


async def _stored(ctx: JobContext, attempt: Attempt[AnalysisParams], folder: RunFolder, clock: Timings) -> Prepared:
    """Take data, plan and our own script from a finished run."""
    run_folder = run_dir(ctx, attempt.params.stored_run)
    with clock.step("Read the data", upto=0.32):
        script, plan = await ctx.cpu(run_parts.copy_stored, run_folder, folder.inputs)
        manifest = await ctx.io(load_json, run_folder / "manifest.json")
    data = manifest.get("data")
    return Prepared(
        script=script,
        origin="template",
        data=data if isinstance(data, dict) else {},
        plan=plan,
        question=plan.question,
        cautions=list(attempt.told),
    )


async def _changed_script(ctx: JobContext, params: AnalysisParams) -> ScriptParams | None:
    """The stored script, unless its hash is that of a template's in the store: only then we know that we wrote it."""
    folder = run_dir(ctx, params.stored_run)
    manifest = await ctx.io(load_json, folder / "manifest.json")
    script = await ctx.io(_script_bytes, folder)
    row = repo.read_run(ctx.store, params.stored_run) or repo.read_run(ctx.store, str(manifest.get("run_id", "")))
    sha256 = hashlib.sha256(script).hexdigest()
    if row is not None and row.script_origin == "template" and row.script_sha256 == sha256:
        return None
    if params.isolation == "process":
        await ctx.sandbox.choose("process", "person")  # raises: such a script never runs as a plain process
    return ScriptParams(
        script=script.decode("utf-8", "replace"),
        data=str(folder),
        question=params.question,
        isolation="auto" if params.isolation == "process" else params.isolation,
        out_dir=params.out_dir,
        accept=params.accept,
    )


def _script_bytes(folder: Path) -> bytes:
    try:
        return (folder / "analysis.py").read_bytes()
    except OSError as error:
        raise DamagedRunError(
            f"The stored run in {folder.name} cannot be run again: its script is missing.",
            hint="Run the analysis from its data and question instead.",
        ) from error


async def _finished(
    ctx: JobContext,
    folder: RunFolder,
    made: Prepared,
    outcome: RunOutcome,
    verdict: Verdict,
    timings: dict[str, float],
) -> repo.RunRow:
    """Make the folder whole; returns the row that will stand for it."""
    assert made.plan is not None
    plan, data = made.plan, made.data
    facts = run_parts.RunFacts(
        run_id=ctx.job_id,
        data=data,
        isolation=isolation_of(outcome, made),
        verdict=verdict,
        origin=made.origin,
        timings=timings,
        cautions=made.cautions,
        created_s=ctx.clock.now_s(),
    )
    try:
        manifest = await ctx.cpu(run_parts.finish, folder, made.script, plan, facts)
        manifest = await tell_results(ctx, folder, manifest)
    except DamagedRunError as error:
        raise AnalysisFailedError(
            f"The script ended, but its results are not whole: {error}",
            hint="The log in Details says more; run it again.",
            record=await keep(ctx, made, outcome.log, verdict),
        ) from error
    others = f" and {len(plan.other_contrasts)} more" if plan.other_contrasts else ""
    title = data.get("accession") or data.get("title") or data.get("source") or folder.out_dir.name
    return repo.RunRow(
        id=ctx.job_id,
        job_id=ctx.job_id,
        project=ctx.project,
        kind=plan.kind,
        title=f"{title}: {plan.contrast}{others}" if plan.contrast else str(title),
        question=plan.question,
        headline=manifest["headline"],
        accession=str(data.get("accession", "")),
        source=str(data.get("source", "")),
        out_dir=str(folder.out_dir),
        script_sha256=manifest["script"]["sha256"],
        script_origin=made.origin,
        created_s=facts.created_s,
        summary=manifest["summary"],
        hashes={name: str(file["sha256"]) for name, file in manifest["files"].items()},
    )


async def _result(ctx: JobContext, row: repo.RunRow, manifest: dict[str, Any], repairs: list[Repair]) -> AnalysisResult:
    out_dir = Path(row.out_dir)
    return AnalysisResult(
        run_id=row.id,
        out_dir=out_dir,
        plan=Plan.model_validate(await ctx.io(load_json, out_dir / "plan.json")),
        summary=Summary.model_validate(row.summary),
        contrasts=[_contrast_result(out_dir, told) for told in manifest["contrasts"]],
        isolation=RunIsolation.model_validate(manifest["isolation"]),
        warnings=manifest["warnings"],
        timings=manifest["timings_s"],
        headline=row.headline,
        repairs=repairs,
    )


def _contrast_result(out_dir: Path, told: dict[str, Any]) -> ContrastResult:
    """A contrast as the manifest has it, its folder made whole."""
    rest = {name: value for name, value in told.items() if name != "folder"}
    return ContrastResult(**rest, out_dir=out_dir / told["folder"])
