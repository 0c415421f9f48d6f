"""The Omics jobs, as the way data takes: read → plan → script → check → sandbox → report → one finished folder.

Nothing appears at the place of the results until everything is there; a run that fails or is stopped leaves only its
script and log among the logs. Heavy work is in child processes (`run_parts.py`); the store is written last.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from desktop.core.ports import JobContext, Limits, Origin, RunOutcome, RunSpec, Verdict
from desktop.studios.omics import repo, run_parts
from desktop.studios.omics.errors import AnalysisFailedError, DamagedRunError, NeedsAnswerError, UnknownRunError
from desktop.studios.omics.outcome import failure, step_of
from desktop.studios.omics.results import load_json
from desktop.studios.omics.run_folder import RunFolder, disk_error, open_run_folder, write_json
from desktop.studios.omics.schema import (
    AnalysisParams,
    AnalysisResult,
    Caution,
    CompareParams,
    CompareResult,
    Inspection,
    InspectParams,
    Plan,
    RunIsolation,
    Summary,
)
from desktop.studios.omics.sources.geo_urls import is_accession, recognise


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A script ready to run, its inputs written: what it is, who wrote it, what it works on."""

    script: bytes
    plan: Plan
    origin: Origin
    data: dict[str, Any]
    cautions: list[str]


@dataclass(slots=True)
class _Timings:
    """The job's steps, with how long each took."""

    ctx: JobContext
    spent_s: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str, *, upto: float) -> Iterator[None]:
        began_s = self.ctx.clock.monotonic_s()
        with self.ctx.step(name, upto=upto):
            yield
        self.spent_s[name] = round(self.ctx.clock.monotonic_s() - began_s, 3)


async def run_inspect(ctx: JobContext, params: InspectParams) -> Inspection:
    """Look at the data: what is there, what would be used, the samples and the design they suggest."""
    with ctx.step("Read the data", upto=1.0):
        return await _inspected(ctx, params.data, params.samples, allow_net=params.allow_net)


async def run_analysis(ctx: JobContext, params: AnalysisParams) -> AnalysisResult:
    """One analysis from data and question (or plan) to a finished folder.

    raises   InputError and its kinds before anything runs; NoSandboxError; AnalysisFailedError and its kinds
    """
    out_dir = (params.out_dir or ctx.paths.runs / ctx.job_id).expanduser().absolute()
    earlier = repo.read_run(ctx.store, await ctx.io(run_parts.run_id_in, out_dir))
    if earlier is not None and earlier.published_s is None:  # a crash came right after the folder was in its place
        return await _published(ctx, earlier)
    folder = await ctx.io(open_run_folder, out_dir, ctx.job_id, ctx.paths.scratch)
    clock = _Timings(ctx)
    try:
        if not params.stored_run:
            await ctx.sandbox.choose(params.isolation, "template")  # nowhere to run it is known before any work
        made = await (_stored if params.stored_run else _prepared)(ctx, params, folder, clock)
        with clock.step("Check the script", upto=0.34):
            verdict = await _checked(ctx, made)
        with clock.step("Run", upto=0.9):
            outcome = await _ran(ctx, params, folder, made, verdict)
        with clock.step("Report", upto=1.0):
            row = await _finished(ctx, folder, made, outcome, verdict, dict(clock.spent_s))
            await ctx.store.write(lambda db: repo.write_run(db, row))
            await ctx.io(folder.publish)
            result = await _published(ctx, row)
        return result.model_copy(update={"timings": dict(clock.spent_s)})
    except OSError as error:
        raise disk_error(error, out_dir) from error
    finally:
        folder.remove()


async def run_compare(ctx: JobContext, params: CompareParams) -> CompareResult:
    """How far two finished runs agree; leaves a folder with table, figure and report."""
    out_dir = params.out_dir or ctx.paths.runs / f"compare-{ctx.job_id}"
    left, right = (run_dir(ctx, name) for name in (params.left, params.right))
    folder = await ctx.io(open_run_folder, out_dir, ctx.job_id, ctx.paths.scratch)
    try:
        with ctx.step("Compare", upto=1.0):
            result = await ctx.cpu(run_parts.compare_into, left, right, folder)
    except OSError as error:
        raise disk_error(error, out_dir) from error
    finally:
        folder.remove()
    return result


def run_dir(ctx: JobContext, name: str) -> Path:
    """The results folder a run id or a path means."""
    row = repo.read_run(ctx.store, name)
    path = Path(row.out_dir) if row else Path(name).expanduser()
    if not path.is_dir():
        raise UnknownRunError(
            f"There is no run {name!r}.", hint="Give a run's id from `benchtop jobs list`, or its results folder."
        )
    return path


async def _inspected(ctx: JobContext, data: str, samples: Path | None, *, allow_net: bool) -> Inspection:
    from desktop.studios.omics.sources.dataset import inspect_data

    path = Path(data).expanduser()
    accession = ""
    if not path.exists() and is_accession(data):
        from desktop.studios.omics.sources.accession import fetch_accession

        accession = recognise(data).text
        path = await fetch_accession(ctx, accession, allow_net=allow_net)
    sheet = samples.expanduser() if samples else None
    found = await ctx.cpu(inspect_data, path, sheet)
    given = {"source": data} | ({"accession": found.accession or accession} if accession else {})
    return found.model_copy(update=given)


async def _prepared(ctx: JobContext, params: AnalysisParams, folder: RunFolder, clock: _Timings) -> _Prepared:
    """Read, plan, and write the script with its inputs."""
    with clock.step("Read the data", upto=0.2):
        inspection = await _inspected(ctx, params.data, params.samples, allow_net=params.allow_net)
        if params.sample_table is not None:
            inspection = inspection.model_copy(update={"samples": params.sample_table})
    files = [file for file in inspection.files if file.chosen]
    hashes = {Path(file.path).name: file.sha256 for file in files}
    with clock.step("Plan", upto=0.25):
        plan = await ctx.cpu(run_parts.plan_for, params, inspection)
        is_confirmed = params.plan is not None
        await _refuse_unanswered(ctx, [*inspection.warnings, *plan.warnings], is_confirmed=is_confirmed)
        by = "person" if is_confirmed else "rule:plan"
        said = f"{plan.kind}, design {plan.design}, contrast {plan.contrast}" if plan.contrast else plan.kind
        await ctx.decide(f"analyse: {said}", by=by, because=plan.question or "a plan was given", inputs=hashes)
    with clock.step("Write the script", upto=0.32):
        script, done = await ctx.cpu(run_parts.write_inputs, inspection, plan, folder.inputs)
    data = {
        "source": Path(inspection.source).name,
        "accession": inspection.accession,
        "title": inspection.title,
        "organism": inspection.organism,
        "files": [{"path": Path(file.path).name, "role": file.role, "sha256": file.sha256} for file in files],
    }
    cautions = [caution.text for caution in (*inspection.warnings, *plan.warnings, *done)]
    return _Prepared(script, plan, "template", data, list(dict.fromkeys(cautions)))


async def _stored(ctx: JobContext, params: AnalysisParams, folder: RunFolder, clock: _Timings) -> _Prepared:
    """Take data, plan and script from a finished run. Only a script we know we wrote counts as our template's."""
    run_folder = run_dir(ctx, params.stored_run)
    with clock.step("Read the data", upto=0.32):
        script, plan = await ctx.cpu(run_parts.copy_stored, run_folder, folder.inputs)
        manifest = await ctx.io(load_json, run_folder / "manifest.json")
    row = repo.read_run(ctx.store, params.stored_run) or repo.read_run(ctx.store, str(manifest.get("run_id", "")))
    is_ours = row is not None and row.script_origin == "template"
    is_ours = is_ours and row is not None and row.script_sha256 == hashlib.sha256(script).hexdigest()
    data = manifest.get("data")
    return _Prepared(script, plan, "template" if is_ours else "person", data if isinstance(data, dict) else {}, [])


async def _refuse_unanswered(ctx: JobContext, cautions: list[Caution], *, is_confirmed: bool) -> None:
    """Stop at a caution that blocks; when a person gave the plan they have seen it, and that is put on record."""
    open_ones = {caution.text: caution for caution in cautions if caution.blocks}
    if open_ones and not is_confirmed:
        raise NeedsAnswerError(
            next(iter(open_ones)),
            hint="Look at the data and the plan, change what is wrong or confirm it, then run it.",
            cautions=[caution.code for caution in open_ones.values()],
        )
    for caution in open_ones.values():
        await ctx.decide(f"go on with {caution.code}", by="person", because=caution.text)


async def _checked(ctx: JobContext, made: _Prepared) -> Verdict:
    """The policy's verdict, given in a child: a long script keeps the interpreter busy for most of a second."""
    verdict = await ctx.cpu(ctx.sandbox.check, made.script)
    said = [f"line {f.line}, column {f.column}: {f.message} ({f.rule}) – {f.remedy}" for f in verdict.findings]
    for line in said:
        ctx.log(line)
    if not verdict.allowed:
        first = verdict.findings[0] if verdict.findings else None
        where = f" at line {first.line}: {first.message}" if first else ""
        raise AnalysisFailedError(
            f"The policy check refused the script{where}.",
            hint=first.remedy if first else "Change the script, then run it again.",
            findings="\n".join(said),
            record=await _keep_failure(ctx, made, "The policy check refused the script.\n", verdict),
        )
    return verdict


async def _ran(
    ctx: JobContext, params: AnalysisParams, folder: RunFolder, made: _Prepared, verdict: Verdict
) -> RunOutcome:
    settings = ctx.settings("omics")

    def on_line(line: str) -> None:
        ctx.log(line)
        if (step := step_of(line)) is not None:
            ctx.progress(*step)

    spec = RunSpec(
        run_id=ctx.job_id,
        script=made.script,
        input_dir=folder.inputs,
        output_dir=folder.outputs,
        origin=made.origin,
        isolation=params.isolation,
        limits=Limits(wall_s=settings.run_timeout_s, memory_mb=settings.run_memory_mb),
        verdict=verdict,
    )
    outcome = await ctx.sandbox.run(spec, on_line=on_line)
    for name, why in outcome.dropped:
        ctx.log(f"left out: {name} ({why})")
    if outcome.status != "ok":
        raise failure(outcome, await _keep_failure(ctx, made, outcome.log, verdict))
    return outcome


async def _keep_failure(ctx: JobContext, made: _Prepared, log: str, verdict: Verdict) -> str:
    """Keep script, log, plan and the policy's verdict of a run that failed; returns the folder, named in the error."""

    def keep(record: Path) -> str:
        record.mkdir(parents=True, exist_ok=True)
        (record / "analysis.py").write_bytes(made.script)
        (record / "run.log").write_text(log, encoding="utf-8", errors="replace")
        write_json(record / "plan.json", made.plan.model_dump(mode="json"))
        manifest = {"run_id": ctx.job_id, "data": made.data, "policy": asdict(verdict), "warnings": made.cautions}
        write_json(record / "manifest.json", manifest | {"script": {"sha256": verdict.sha256, "origin": made.origin}})
        return str(record)

    return await ctx.io(keep, ctx.paths.logs / "runs" / ctx.job_id)


async def _finished(
    ctx: JobContext,
    folder: RunFolder,
    made: _Prepared,
    outcome: RunOutcome,
    verdict: Verdict,
    timings: dict[str, float],
) -> repo.RunRow:
    """Make the folder whole; returns the row that will stand for it."""
    choice = outcome.isolation
    if choice.is_reduced:
        made.cautions.append(f"The script ran with reduced isolation: {choice.detail}.")
    facts = run_parts.RunFacts(
        run_id=ctx.job_id,
        data=made.data,
        isolation=RunIsolation(kind=choice.kind, is_reduced=choice.is_reduced, detail=choice.detail),
        verdict=verdict,
        origin=made.origin,
        timings=timings,
        cautions=made.cautions,
        created_s=ctx.clock.now_s(),
    )
    try:
        manifest = await ctx.cpu(run_parts.finish, folder, made.script, made.plan, facts)
    except DamagedRunError as error:
        raise AnalysisFailedError(
            f"The script ended, but its results are not whole: {error}",
            hint="The log in Details says more; run it again.",
            record=await _keep_failure(ctx, made, outcome.log, verdict),
        ) from error
    plan, data = made.plan, made.data
    title = data.get("accession") or data.get("title") or data.get("source") or folder.out_dir.name
    return repo.RunRow(
        id=ctx.job_id,
        job_id=ctx.job_id,
        project=ctx.project,
        kind=plan.kind,
        title=f"{title}: {plan.contrast}" if plan.contrast else str(title),
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


async def _published(ctx: JobContext, row: repo.RunRow) -> AnalysisResult:
    """The folder is in its place: say so in the store and the trail, and give the result from the folder."""
    published_s = ctx.clock.now_s()
    await ctx.store.write(lambda db: repo.write_published(db, row.id, published_s))
    results = {name: row.hashes[name] for name in ("results.csv", "analysis.py")}
    await ctx.decide("finished an analysis", by=f"script:{row.script_origin}", because=row.headline, inputs=results)
    out_dir = Path(row.out_dir)
    manifest = await ctx.io(load_json, out_dir / "manifest.json")
    for text in manifest["warnings"]:
        ctx.warn(text)
    return AnalysisResult(
        run_id=row.id,
        out_dir=out_dir,
        plan=Plan.model_validate(await ctx.io(load_json, out_dir / "plan.json")),
        summary=Summary.model_validate(row.summary),
        isolation=RunIsolation.model_validate(manifest["isolation"]),
        warnings=manifest["warnings"],
        timings=manifest["timings_s"],
        headline=row.headline,
    )
