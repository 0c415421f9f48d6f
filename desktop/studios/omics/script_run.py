"""The job `omics.run_script`: a script that no template wrote, on a dataset, through policy and sandbox to a run.

A person or a model wrote it; both come through here. The policy is asked before the data are read. The script runs in a
container or, when asked for by name, in the operating system's sandbox; never with less because there is none.
The contract between script and Benchtop is docs/guide/scripts.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from desktop.core.ports import JobContext, Limits, RunOutcome, Verdict
from desktop.studios.omics import repo, script_run_parts
from desktop.studios.omics.errors import UnknownRunError
from desktop.studios.omics.own_gene_sets import FOLDER as OWN_SETS
from desktop.studios.omics.recovery import Attempt, with_repairs
from desktop.studios.omics.results import load_json
from desktop.studios.omics.run_folder import RunFolder, disk_error, open_run_folder
from desktop.studios.omics.run_parts import RunFacts, run_id_in
from desktop.studios.omics.running import (
    Prepared,
    Timings,
    answered,
    checked,
    data_facts,
    inspected,
    isolation_of,
    publish,
    published,
    ran,
    run_dir,
)
from desktop.studios.omics.schema import Repair, RunIsolation, ScriptParams, ScriptResult, Summary


async def run_script(ctx: JobContext, params: ScriptParams, *, made: Sequence[Repair] = ()) -> ScriptResult:
    """Check, run, collect, report.

    made     what was changed before this script came to be; counts among the repairs

    raises   ScriptRefusedError before anything else; NoSandboxError; InputError and its kinds for the data;
             RunFailedError and its kinds, with the folder of the kept record
    """
    settings = ctx.settings("omics")
    limits = Limits(wall_s=settings.run_timeout_s, memory_mb=settings.run_memory_mb)

    async def run(attempt: Attempt[ScriptParams]) -> ScriptResult:
        return await _run(ctx, attempt)

    first = Attempt(params, limits, origin=params.origin, plan=params.plan, repairs=list(made))
    return await with_repairs(ctx, first, run)


async def _run(ctx: JobContext, attempt: Attempt[ScriptParams]) -> ScriptResult:
    params = attempt.params
    out_dir = (params.out_dir or ctx.paths.runs / ctx.job_id).expanduser().absolute()
    earlier = repo.read_run(ctx.store, await ctx.io(run_id_in, out_dir))
    if earlier is not None and earlier.published_s is None:  # a crash came right after the folder was in its place
        return _result(earlier, await published(ctx, earlier), attempt.repairs)
    folder = await ctx.io(open_run_folder, out_dir, ctx.job_id, ctx.paths.scratch)
    clock = Timings(ctx)
    made = Prepared(
        script=params.script.encode("utf-8"),
        origin=params.origin,
        data={"source": Path(params.data).name},
        plan=params.plan,
        question=params.question,
        cautions=list(attempt.told),
    )
    try:
        with clock.step("Check the script", upto=0.05):
            verdict = await checked(ctx, made)
        await ctx.sandbox.choose(params.isolation, params.origin)
        with clock.step("Read the data", upto=0.3):
            await _lay_inputs(ctx, attempt, folder, made)
            by = "person" if params.origin == "person" else "model:script"
            because = params.question or "a script was given"
            await ctx.decide("run a script", by=by, because=because, inputs={"analysis.py": verdict.sha256})
        with clock.step("Run", upto=0.9):
            outcome = await ran(ctx, folder, made, verdict, params.isolation, attempt.limits)
        with clock.step("Report", upto=1.0):
            row = await _finished(ctx, folder, made, outcome, verdict, dict(clock.spent_s))
            result = _result(row, await publish(ctx, folder, row), attempt.repairs)
        return result.model_copy(update={"timings": dict(clock.spent_s)})
    except OSError as error:
        raise disk_error(error, out_dir) from error
    finally:
        folder.remove()


async def _lay_inputs(ctx: JobContext, attempt: Attempt[ScriptParams], folder: RunFolder, made: Prepared) -> None:
    """The files the script may read: of a finished run its own, of anything else the table and its samples."""
    params = attempt.params
    stored = await ctx.io(stored_run, ctx, params.data)
    if stored is not None:
        plan = await ctx.cpu(script_run_parts.copy_inputs, stored, folder.inputs)
        made.plan = attempt.plan = params.plan or plan
        data = (await ctx.io(load_json, stored / "manifest.json")).get("data")
        made.data = data if isinstance(data, dict) else {}
        return
    if attempt.inspection is None:
        found = await inspected(ctx, params.data, params.samples, allow_net=params.allow_net)
        attempt.inspection = found.model_copy(update={"samples": params.sample_table or found.samples})
    inspection = attempt.inspection
    made.data = data_facts(inspection)
    agreed = await answered(ctx, inspection.warnings, params.accept, is_confirmed=params.plan is not None)
    done = await ctx.cpu(
        script_run_parts.write_script_inputs, inspection, params.plan, folder.inputs, ctx.paths.home / OWN_SETS
    )
    texts = [caution.text for caution in (*inspection.warnings, *done) if not caution.blocks]
    made.cautions = list(dict.fromkeys([*made.cautions, *agreed, *texts]))


def stored_run(ctx: JobContext, data: str) -> Path | None:
    """The folder of a finished run, when that is what `data` names."""
    try:
        folder = run_dir(ctx, data)
    except UnknownRunError:
        return None
    return folder if run_id_in(folder) else None


async def _finished(
    ctx: JobContext,
    folder: RunFolder,
    made: Prepared,
    outcome: RunOutcome,
    verdict: Verdict,
    timings: dict[str, float],
) -> repo.RunRow:
    data = made.data
    made.cautions += [f"{name} was left out: {why}." for name, why in outcome.dropped]
    facts = RunFacts(
        run_id=ctx.job_id,
        data=data,
        isolation=isolation_of(outcome, made),
        verdict=verdict,
        origin=made.origin,
        timings=timings,
        cautions=made.cautions,
        created_s=ctx.clock.now_s(),
    )
    alpha = made.plan.alpha if made.plan else ctx.settings("omics").alpha
    done = script_run_parts.ScriptDone(made.script, made.plan, made.question, outcome.log, alpha)
    manifest: dict[str, Any] = await ctx.cpu(script_run_parts.finish_script, folder, done, facts)
    title = data.get("accession") or data.get("title") or data.get("source") or folder.out_dir.name
    return repo.RunRow(
        id=ctx.job_id,
        job_id=ctx.job_id,
        project=ctx.project,
        kind="script",
        title=f"{title}: script",
        question=made.question,
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


def _result(row: repo.RunRow, manifest: dict[str, Any], repairs: list[Repair]) -> ScriptResult:
    return ScriptResult(
        run_id=row.id,
        out_dir=Path(row.out_dir),
        outputs=[str(one["name"]) for one in manifest["outputs"]],
        summary=Summary.model_validate(row.summary) if row.summary else None,
        isolation=RunIsolation.model_validate(manifest["isolation"]),
        warnings=manifest["warnings"],
        timings=manifest["timings_s"],
        headline=row.headline,
        repairs=repairs,
    )
