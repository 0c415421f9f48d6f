"""From a script with its inputs to a finished folder: check, run, keep what failed, put on record what is done.

Both doors lead through here: analyses whose script a template wrote (`pipeline.py`), and scripts a person or a model
wrote (`free_script.py`). Knows nothing of plans or of what a result means; raises typed errors and leaves no folder
half made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from desktop.core.ports import IsolationWish, JobContext, Limits, Origin, RunOutcome, RunSpec, Verdict
from desktop.studios.omics import repo
from desktop.studios.omics.errors import NeedsAnswerError, ScriptRefusedError, UnknownRunError
from desktop.studios.omics.failed_run import FailedRun, keep_failed_run
from desktop.studios.omics.outcome import failure, step_of
from desktop.studios.omics.results import load_json
from desktop.studios.omics.run_folder import RunFolder
from desktop.studios.omics.schema import Caution, Inspection, Plan, RunIsolation
from desktop.studios.omics.script_inputs import columns_in
from desktop.studios.omics.sources.geo_urls import is_accession, recognise


@dataclass(slots=True)
class Prepared:
    """A script ready to run, its inputs written: who wrote it, what it works on, the plan when it came of one."""

    script: bytes
    origin: Origin
    data: dict[str, Any]
    plan: Plan | None = None
    question: str = ""
    cautions: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Timings:
    """The job's steps, with how long each took."""

    ctx: JobContext
    spent_s: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str, *, upto: float) -> Iterator[None]:
        began_s = self.ctx.clock.monotonic_s()
        with self.ctx.step(name, upto=upto):
            yield
        spent_s = self.ctx.clock.monotonic_s() - began_s
        self.spent_s[name] = round(self.spent_s.get(name, 0.0) + spent_s, 3)


def run_dir(ctx: JobContext, name: str) -> Path:
    """The results folder a run id or a path means."""
    row = repo.read_run(ctx.store, name)
    path = Path(row.out_dir) if row else Path(name).expanduser()
    if not path.is_dir():
        raise UnknownRunError(
            f"There is no run {name!r}.", hint="Give a run's id from `benchtop jobs list`, or its results folder."
        )
    return path


async def inspected(ctx: JobContext, data: str, samples: Path | None, *, allow_net: bool) -> Inspection:
    """What is in the data; an accession is fetched first, when the person allows it."""
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


def data_facts(inspection: Inspection) -> dict[str, Any]:
    """What a manifest says of the data: names and hashes, no path of this machine."""
    return {
        "source": Path(inspection.source).name,
        "accession": inspection.accession,
        "title": inspection.title,
        "organism": inspection.organism,
        "files": [
            {"path": Path(file.path).name, "role": file.role, "sha256": file.sha256}
            for file in inspection.files
            if file.chosen
        ],
    }


async def answered(ctx: JobContext, cautions: list[Caution], accepted: list[str], *, is_confirmed: bool) -> list[str]:
    """Stop at a blocking caution that nobody has answered; what was accepted is put on record and returned as text.

    accepted       codes the person named
    is_confirmed   the person gave the plan and has seen its cautions
    raises         NeedsAnswerError, which says what to pass to go on
    """
    open_ones = list({caution.text: caution for caution in cautions if caution.blocks}.values())
    unanswered = [caution for caution in open_ones if not is_confirmed and caution.code not in accepted]
    if unanswered:
        raise NeedsAnswerError(
            " ".join(caution.text for caution in unanswered),
            hint="Look at the data and the plan: change what is wrong, or say that it is right as it is.",
            accept=[{"code": caution.code, "text": caution.text} for caution in unanswered],
        )
    for caution in open_ones:
        await ctx.decide(f"go on with {caution.code}", by="person", because=caution.text)
    return [f"{caution.text} The person who started the run chose to go on." for caution in open_ones]


async def checked(ctx: JobContext, made: Prepared) -> Verdict:
    """The policy's verdict, given in a child: a long script keeps the interpreter busy for most of a second."""
    verdict = await ctx.cpu(ctx.sandbox.check, made.script)
    said = [f"line {f.line}, column {f.column}: {f.message} ({f.rule}) – {f.remedy}" for f in verdict.findings]
    for line in said:
        ctx.log(line)
    if not verdict.allowed:
        first = verdict.findings[0] if verdict.findings else None
        where = f" at line {first.line}: {first.message.rstrip('.')}" if first else ""
        error = ScriptRefusedError(
            f"The policy check refused the script{where}.",
            hint=first.remedy if first else "Change the script, then run it again.",
            findings=[asdict(finding) for finding in verdict.findings],
        )
        error.facts["record"] = await keep(ctx, made, "The policy check refused the script.\n", verdict)
        raise error
    return verdict


async def ran(
    ctx: JobContext, folder: RunFolder, made: Prepared, verdict: Verdict, isolation: IsolationWish, limits: Limits
) -> RunOutcome:
    """Run it in the sandbox; an outcome that is ok, else the typed error with the folder of the kept record."""

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
        isolation=isolation,
        limits=limits,
        verdict=verdict,
    )
    outcome = await ctx.sandbox.run(spec, on_line=on_line)
    for name, why in outcome.dropped:
        ctx.log(f"left out: {name} ({why})")
    if outcome.status != "ok":
        text, columns = made.script.decode("utf-8", "replace"), await ctx.io(columns_in, folder.inputs)
        raise failure(outcome, await keep(ctx, made, outcome.log, verdict), script=text, columns=columns)
    return outcome


async def keep(ctx: JobContext, made: Prepared, log: str, verdict: Verdict) -> str:
    """Keep script, log, plan and verdict of a run that failed; returns the folder, named in the error."""
    failed = FailedRun(
        run_id=ctx.job_id,
        code=made.script.decode("utf-8", "replace"),
        log=log,
        origin=made.origin,
        data=made.data,
        verdict=verdict,
        cautions=tuple(made.cautions),
        plan=made.plan,
        question=made.question,
    )
    record = ctx.paths.logs / "runs" / ctx.job_id
    await ctx.io(keep_failed_run, record, failed)
    return str(record)


async def publish(ctx: JobContext, folder: RunFolder, row: repo.RunRow) -> dict[str, Any]:
    """Store the run, then let its folder appear; returns the manifest."""
    await ctx.store.write(lambda db: repo.write_run(db, row))
    await ctx.io(folder.publish)
    return await published(ctx, row)


async def published(ctx: JobContext, row: repo.RunRow) -> dict[str, Any]:
    """The folder is in its place: say so in the store and the trail; returns the manifest."""
    published_s = ctx.clock.now_s()
    await ctx.store.write(lambda db: repo.write_published(db, row.id, published_s))
    results = {name: sha256 for name, sha256 in row.hashes.items() if name in ("results.csv", "analysis.py")}
    await ctx.decide("finished an analysis", by=f"script:{row.script_origin}", because=row.headline, inputs=results)
    manifest = await ctx.io(load_json, Path(row.out_dir) / "manifest.json")
    for text in manifest["warnings"]:
        ctx.warn(text)
    return manifest


def isolation_of(outcome: RunOutcome, made: Prepared) -> RunIsolation:
    """Where it ran, for the manifest; reduced isolation is a caution of the run."""
    choice = outcome.isolation
    if choice.is_reduced:
        made.cautions.append(f"The script ran with reduced isolation: {choice.detail}.")
    return RunIsolation(kind=choice.kind, is_reduced=choice.is_reduced, detail=choice.detail)
