"""templates: plans kept by name, used on other data, given away as files; runs of similar data found again."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop.cli.analysis import print_result, run_folder
from desktop.cli.follow import run_job
from desktop.cli.output import DONE, CommandError, is_interactive, print_json, stderr_console, stdout_console
from desktop.core.clock import SystemClock
from desktop.studios.omics import queries, templates
from desktop.studios.omics.errors import UnknownTemplateError
from desktop.studios.omics.schema import Inspection
from desktop.studios.omics.template_schema import PlanTemplate, TemplateFit

if TYPE_CHECKING:
    from desktop.cli.house import Bench, House


@dataclass(frozen=True, slots=True)
class ApplyWish:
    """What was typed after `templates apply`. `answers` are KEY=VALUE texts."""

    name: str
    data: str
    samples: Path | None = None
    answers: Sequence[str] = field(default_factory=tuple)
    isolation: str = "auto"
    out: Path | None = None
    is_dry: bool = False


def list_all(house: House, *, as_json: bool) -> int:
    """Names and what they do."""
    with house.open_reader() as reader:
        found = templates.list_templates(reader.store) if reader else []
    if as_json:
        print_json({"templates": [one.model_dump(mode="json") for one in found]})
        return DONE
    from rich.table import Table
    from rich.text import Text

    if not found:
        stdout_console().print("No templates yet: benchtop templates save RUN NAME")
        return DONE
    table = Table(box=None, pad_edge=False)
    for heading in ("Name", "Analysis", "Design", "Compares", "Made from"):
        table.add_column(heading, overflow="fold")
    for one in found:
        compares = "; ".join(map(str, one.plan.contrasts))
        cells = (one.name, one.plan.kind.replace("_", " "), one.plan.design, compares, one.made_from)
        table.add_row(*map(Text, cells))
    stdout_console().print(table)
    return DONE


def save(house: House, run: str, name: str, note: str, *, is_replaced: bool, as_json: bool) -> int:
    """Keep the plan of a finished run."""
    folder = Path(run_folder(house, run))
    if not folder.is_dir():
        raise CommandError(f"There is no run {run!r}.", hint="Give a run's id or its results folder.")
    with house.open_bench() as bench:
        made = bench.workbench.runtime.call(templates.template_of_run, folder, name, note).result()
        _keep(bench, made, is_replaced=is_replaced)
    return _said(made, "kept", as_json=as_json)


def delete(house: House, name: str, *, as_json: bool) -> int:
    """Forget one."""
    with house.open_bench(start=False) as bench:
        found = templates.find_template(bench.workbench.store, name)
        asyncio.run(templates.delete_template(bench.workbench.store, name))
    return _said(found, "deleted", as_json=as_json)


def export(house: House, name: str, file: Path | None, *, as_json: bool) -> int:
    """As a YAML file, or on stdout."""
    with house.open_reader() as reader:
        if reader is None:
            raise UnknownTemplateError(f"There is no template “{name}”.", hint="There are none yet.")
        found = templates.find_template(reader.store, name)
    if file is None:
        print_json(found.model_dump(mode="json")) if as_json else sys.stdout.write(templates.template_text(found))
        return DONE
    if file.exists():
        raise CommandError(f"{file} is there already.", hint="Choose another name.")
    try:
        file.write_text(templates.template_text(found), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error.strerror}.", hint="Choose another folder.") from None
    return _said(found, f"written to {file}", as_json=as_json)


def import_(house: House, file: Path, *, is_replaced: bool, as_json: bool) -> int:
    """From a YAML file."""
    made = templates.load_template(file)
    with house.open_bench(start=False) as bench:
        _keep(bench, made, is_replaced=is_replaced)
    return _said(made, "kept", as_json=as_json)


def apply(house: House, wish: ApplyWish, *, is_agreed: bool, as_json: bool) -> int:
    """Fit a template, or a run's plan, to data, ask for what does not fit, and run it."""
    answers = dict(_pair(text) for text in wish.answers)
    with house.open_bench(may_stand_beside=True) as bench:
        runtime = bench.workbench.runtime
        with house.open_reader() as reader:
            store = reader.store if reader else bench.workbench.store
            try:
                template = templates.find_template(store, wish.name)
            except UnknownTemplateError:
                folder = Path(run_folder(house, wish.name))
                if not folder.is_dir():
                    raise
                template = runtime.call(templates.template_of_run, folder, wish.name[:80]).result()
        looked = _looked(wish, is_agreed=is_agreed)
        found = Inspection.model_validate(run_job(runtime, "omics.inspect_data", looked, is_quiet=as_json).result)
        asks = is_interactive() and not as_json and not is_agreed
        fit = _fit(bench, template, found, answers, asks=asks)
        if wish.is_dry:
            print_json(fit.model_dump(mode="json")) if as_json else _print_fit(fit)
            return DONE
        if not as_json:
            _print_fit(fit)
        assert fit.plan is not None
        plan = fit.plan.model_dump(mode="json")
        params = looked | {"plan": plan, "question": fit.plan.question, "isolation": wish.isolation}
        params["out_dir"] = str(wish.out.absolute()) if wish.out else None
        if params["out_dir"] is None and bench.is_beside:
            raise CommandError("Benchtop is open: say where the results go.", hint="Add --out FOLDER.")
        record = run_job(runtime, "omics.run_analysis", params, is_quiet=as_json)
    result = record.result or {}
    print_json(result) if as_json else print_result(result)
    return DONE


def similar(house: House, data: str, samples: Path | None, *, is_agreed: bool, as_json: bool) -> int:
    """Finished runs of data like these, and why; nothing is run."""
    with house.open_bench(may_stand_beside=True) as bench:
        runtime = bench.workbench.runtime
        looked = _looked(ApplyWish("", data, samples), is_agreed=is_agreed)
        found = Inspection.model_validate(run_job(runtime, "omics.inspect_data", looked, is_quiet=as_json).result)
        with house.open_reader() as reader:
            rows = queries.list_runs(reader.store) if reader else []
        runs = runtime.call(templates.find_similar, rows, found).result()
    if as_json:
        print_json({"runs": [one.model_dump(mode="json") for one in runs]})
        return DONE
    from rich.text import Text

    out = stdout_console()
    if not runs:
        out.print("No finished run is of data like these.")
    for one in runs:
        out.print(Text(f"{one.run_id}  {one.title}", style="bold"))
        out.print(Text(f"  {one.headline}\n  because {'; '.join(one.why)}\n  plan here: {one.plan.design}"))
    if runs:
        out.print(Text(f"benchtop templates apply {runs[0].run_id} {data} runs the first of them.", style="dim"))
    return DONE


def _fit(
    bench: Bench, template: PlanTemplate, found: Inspection, answers: dict[str, str], *, asks: bool
) -> TemplateFit:
    """The complete fit; asks on a terminal, else TemplateDoesNotFitError."""
    while True:
        fit = bench.workbench.runtime.call(templates.fit_to_data, template, found, answers).result()
        if not fit.open:
            return fit
        if not asks:
            raise templates.does_not_fit(template, fit.open)
        from rich.prompt import Prompt

        for question in fit.open:
            if not question.choices:
                raise templates.does_not_fit(template, fit.open)
            said = Prompt.ask(question.text, console=stderr_console(), choices=question.choices)
            answers = answers | {question.key: said}


def _looked(wish: ApplyWish, *, is_agreed: bool) -> dict[str, Any]:
    place = Path(wish.data).expanduser()
    return {
        "data": str(place.absolute()) if place.exists() else wish.data.strip(),
        "samples": str(wish.samples.absolute()) if wish.samples else None,
        "allow_net": is_agreed,
    }


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.rpartition("=")
    if not equals or not key.strip() or not value.strip():
        raise CommandError(f"--set {text!r} is not KEY=VALUE.", hint="Write --set treatment=dex or --set dex=trt=drug.")
    return key.strip(), value.strip()


def _keep(bench: Bench, made: PlanTemplate, *, is_replaced: bool) -> None:
    asyncio.run(templates.save_template(bench.workbench.store, made, SystemClock(), replace=is_replaced))


def _print_fit(fit: TemplateFit) -> None:
    from rich.text import Text

    err = stderr_console()
    if fit.plan is not None:
        err.print(Text(f"Plan: {fit.plan.design or fit.plan.kind}; {'; '.join(map(str, fit.plan.contrasts))}"))
    for reason in fit.reasons:
        err.print(Text(f"  {reason.text}", style="dim"))


def _said(template: PlanTemplate, what: str, *, as_json: bool) -> int:
    if as_json:
        print_json({"name": template.name, "state": what})
    else:
        stdout_console().print(f"{template.name}: {what}", markup=False)
    return DONE
