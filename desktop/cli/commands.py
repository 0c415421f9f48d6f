"""The commands and their options as typer sees them; each hands over to the module that does the work."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from desktop import __version__

if TYPE_CHECKING:
    from desktop.cli.house import House

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; allows the network for an accession.")]
Data = Annotated[str, typer.Argument(help="A counts table, a folder of GEO files, or an accession such as GSE52778.")]
Samples = Annotated[Path | None, typer.Option("--samples", help="The sample sheet (csv, tsv, xlsx).")]
Accept = Annotated[
    list[str] | None,
    typer.Option("--accept", metavar="CODE", help="Agree to a caution or repair by its code; may be repeated."),
]
ModelId = Annotated[str, typer.Argument(metavar="MODEL", help="Its name, as `models list` shows it.")]
ModelName = Annotated[str, typer.Option("--name", help="What to call it; made from the file's name without.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]
TemplateName = Annotated[str, typer.Argument(metavar="NAME", help="The template's name.")]
Replace = Annotated[bool, typer.Option("--replace", help="In the place of one of that name.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder for the results; made when missing.")]


class IsolationOption(StrEnum):
    """Where the analysis script runs."""

    AUTO = "auto"
    DOCKER = "docker"
    OS = "os"
    PROCESS = "process"


class AssayOption(StrEnum):
    """What a series measured."""

    EXPRESSION = "expression"
    RNA_SEQ = "rna_seq"
    ARRAY = "array"
    ANY = "any"


class ScriptIsolationOption(StrEnum):
    """Where a script nobody has to trust may run."""

    DOCKER = "docker"
    OS = "os"


def command_line(house: House) -> Any:
    """The whole command line as one command to be invoked."""
    app = typer.Typer(
        name="benchtop",
        help="Right answers out of data that should not leave this machine. Without arguments the window opens.",
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    @app.callback(invoke_without_command=True)
    def root(
        version: Annotated[bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)] = False,
    ) -> None:
        if version:
            typer.echo(f"Benchtop {__version__}")
            raise typer.Exit

    _add_studio_commands(app, house)
    _add_model_commands(app, house)
    _add_machine_commands(app, house)
    app.add_typer(_search_commands(house), name="search")
    app.add_typer(_template_commands(house), name="templates")
    app.add_typer(_jobs_commands(house), name="jobs")
    app.add_typer(_models_commands(house), name="models")
    app.add_typer(_sandbox_commands(house), name="sandbox")
    app.add_typer(_settings_commands(house), name="settings")
    return typer.main.get_command(app)


class TierOption(StrEnum):
    """How large a model."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


def _add_model_commands(app: typer.Typer, house: House) -> None:
    @app.command()
    def generate(
        prompt: Annotated[str, typer.Argument(help="What to ask; - reads standard input.")],
        tier: Annotated[TierOption | None, typer.Option("--tier", help="How large a model; chosen without it.")] = None,
        model: Annotated[str, typer.Option("--model", help="One model by its id.")] = "",
        schema: Annotated[Path | None, typer.Option("--schema", help="A JSON Schema the answer must satisfy.")] = None,
        system: Annotated[str, typer.Option("--system", help="Instructions in front of the prompt.")] = "",
        max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, max=131_072, help="Longest answer.")] = 1024,
        temperature: Annotated[float, typer.Option("--temperature", min=0, max=2, help="0: the likeliest.")] = 0,
        may_leave: Annotated[
            bool, typer.Option("--may-leave", help="The prompt may go to a model server that net.allowed names.")
        ] = False,
        json: Json = False,
    ) -> int:
        """Ask a model; the answer comes as it is written."""
        from desktop.cli import generate as asking

        wish = asking.Wish(
            prompt=prompt,
            tier=tier.value if tier else None,
            model=model,
            schema=schema,
            system=system,
            max_tokens=max_tokens,
            temperature=temperature,
            may_leave=may_leave,
        )
        return asking.generate(house, wish, as_json=json)

    @app.command()
    def embed(
        texts: Annotated[list[str], typer.Argument(help="Texts; - reads one a line from standard input.")],
        query: Annotated[bool, typer.Option("--query", help="They are questions to search with.")] = False,
        json: Json = False,
    ) -> int:
        """Vectors of texts from the embedding model."""
        from desktop.cli import generate as asking

        return asking.embed(house, texts, is_query=query, as_json=json)

    @app.command()
    def serve(
        port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8765,
        json: Json = False,
    ) -> int:
        """Serve the local API to programs on this machine, until Ctrl-C."""
        from desktop.cli import generate as asking

        return asking.serve(house, port, as_json=json)


def _add_studio_commands(app: typer.Typer, house: House) -> None:
    @app.command()
    def analyze(
        data: Data,
        question: Annotated[str, typer.Option("--question", "-q", help="What you want to know, in one sentence.")] = "",
        samples: Samples = None,
        design: Annotated[str | None, typer.Option("--design", help="Formula, such as '~ cell + dex'.")] = None,
        contrast: Annotated[
            list[str] | None,
            typer.Option(
                "--contrast",
                help="FACTOR,TREATED,CONTROL[,OTHER=LEVEL], or FACTOR for the change per unit; may be given again.",
            ),
        ] = None,
        alpha: Annotated[float | None, typer.Option("--alpha", help="Adjusted p-value of a finding [0.05].")] = None,
        lfc: Annotated[float | None, typer.Option("--lfc", help="log2 fold change tested against [0].")] = None,
        gene_sets: Annotated[
            list[Path] | None, typer.Option("--gene-sets", help="A GMT file to test as well; may be given again.")
        ] = None,
        isolation: Annotated[
            IsolationOption, typer.Option("--isolation", help="Where the analysis script runs.")
        ] = IsolationOption.AUTO,
        out: Out = None,
        accept: Accept = None,
        yes: Yes = False,
        json: Json = False,
    ) -> int:
        """Answer a question about a dataset: plan, script, sandboxed run, figures, table, report."""
        from desktop.cli import analysis

        wish = analysis.Wish(
            data=data,
            samples=samples,
            question=question,
            design=design,
            contrasts=tuple(contrast or ()),
            alpha=alpha,
            lfc=lfc,
            gene_sets=tuple(gene_sets or ()),
            isolation=isolation.value,
            out=out,
            accept=tuple(accept or ()),
        )
        return analysis.analyze(house, wish, is_agreed=yes, as_json=json)

    @app.command("run")
    def run_script(
        data: Annotated[str, typer.Option("--data", help="Table, folder, accession, or a finished run.")],
        script: Annotated[
            Path | None,
            typer.Argument(
                metavar="SCRIPT",
                help="A Python script, see docs/guide/scripts.md; without one a model writes it for the question.",
            ),
        ] = None,
        samples: Samples = None,
        question: Annotated[str, typer.Option("--question", "-q", help="What it answers; its title.")] = "",
        isolation: Annotated[
            ScriptIsolationOption | None, typer.Option("--isolation", help="Which one; a container by default.")
        ] = None,
        out: Out = None,
        accept: Accept = None,
        yes: Yes = False,
        json: Json = False,
    ) -> int:
        """Run a script of your own on a dataset: policy, sandbox, tables, figures, report."""
        from desktop.cli import scripts

        wish = scripts.ScriptWish(
            script=script,
            data=data,
            samples=samples,
            question=question,
            isolation=isolation.value if isolation else "auto",
            out=out,
            accept=tuple(accept or ()),
        )
        return scripts.run_script(house, wish, is_agreed=yes, as_json=json)

    @app.command()
    def inspect(data: Data, samples: Samples = None, yes: Yes = False, json: Json = False) -> int:
        """Say what is in a dataset, which table would be analysed and why, and the design its samples suggest."""
        from desktop.cli import analysis

        return analysis.inspect(house, data, samples, is_agreed=yes, as_json=json)

    @app.command()
    def compare(
        left: Annotated[
            str, typer.Argument(metavar="RUN", help="A run id or results folder; RUN#2: its second contrast.")
        ],
        right: Annotated[str, typer.Argument(metavar="RUN", help="Another one.")],
        out: Out = None,
        json: Json = False,
    ) -> int:
        """Compare two finished runs."""
        from desktop.cli import analysis

        return analysis.compare(house, left, right, out, as_json=json)

    @app.command()
    def export(
        run: Annotated[str, typer.Argument(metavar="RUN", help="A run id or a results folder.")],
        out: Annotated[
            Path | None, typer.Option("--out", help="The folder or zip to make; a free name here without it.")
        ] = None,
        as_zip: Annotated[bool, typer.Option("--zip", help="One zip instead of a folder.")] = False,
        json: Json = False,
    ) -> int:
        """Copy a finished run out, without paths of this machine, to be read and run again anywhere."""
        from desktop.cli import export as leaving

        return leaving.export(house, run, out, as_zip=as_zip, as_json=json)

    @app.command()
    def batch(
        data: Annotated[
            list[str], typer.Argument(help="A YAML or CSV file that lists analyses; or tables, folders, accessions.")
        ],
        question: Annotated[
            list[str] | None, typer.Option("--question", "-q", help="Asked of each dataset; may be given again.")
        ] = None,
        isolation: Annotated[
            IsolationOption, typer.Option("--isolation", help="Where the analysis scripts run.")
        ] = IsolationOption.AUTO,
        out: Out = None,
        yes: Yes = False,
        json: Json = False,
    ) -> int:
        """Run many analyses as one job with a table of outcomes; the same command goes on where it was cut off."""
        from desktop.cli import batch as several

        wish = several.BatchWish(data, question or [], isolation.value, out)
        return several.batch(house, wish, is_agreed=yes, as_json=json)

    @app.command()
    def demo(
        out: Annotated[Path, typer.Option("--out", help="Folder for the results.")] = Path("demo"),
        json: Json = False,
    ) -> int:
        """Run the main job offline on the bundled airway data, then show the results."""
        from desktop.cli import demo as demonstration

        return demonstration.demo(house, out, as_json=json)


def _add_machine_commands(app: typer.Typer, house: House) -> None:
    @app.command()
    def doctor(json: Json = False) -> int:
        """Say what works on this machine, and what to do about what does not."""
        from desktop.cli import machine

        return machine.doctor(house, as_json=json)

    @app.command()
    def check(
        file: Annotated[Path, typer.Argument(help="A Python script.")],
        json: Json = False,
    ) -> int:
        """Ask the policy about a script: 0 allowed, 1 refused."""
        from desktop.cli import machine

        return machine.check(house, file, as_json=json)


def _template_commands(house: House) -> typer.Typer:
    templates = typer.Typer(
        help="Plans kept by name, to be used on other data.", no_args_is_help=True, rich_markup_mode=None
    )

    @templates.command("list")
    def list_(json: Json = False) -> int:
        """List the templates."""
        from desktop.cli import templates as kept

        return kept.list_all(house, as_json=json)

    @templates.command()
    def save(
        run: Annotated[str, typer.Argument(metavar="RUN", help="A run id or a results folder.")],
        name: TemplateName,
        note: Annotated[str, typer.Option("--note", help="What it is for.")] = "",
        replace: Replace = False,
        json: Json = False,
    ) -> int:
        """Keep the plan of a finished run as a template."""
        from desktop.cli import templates as kept

        return kept.save(house, run, name, note, is_replaced=replace, as_json=json)

    @templates.command()
    def apply(
        name: Annotated[str, typer.Argument(metavar="NAME", help="A template's name, or a finished run.")],
        data: Data,
        samples: Samples = None,
        answers: Annotated[
            list[str] | None, typer.Option("--set", help="What does not fit by itself: COLUMN=HERE, COLUMN=LABEL=HERE.")
        ] = None,
        isolation: Annotated[
            IsolationOption, typer.Option("--isolation", help="Where the analysis script runs.")
        ] = IsolationOption.AUTO,
        out: Out = None,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and leave.")] = False,
        yes: Yes = False,
        json: Json = False,
    ) -> int:
        """Run a template's plan on other data; what does not fit is asked."""
        from desktop.cli import templates as kept

        wish = kept.ApplyWish(name, data, samples, tuple(answers or ()), isolation.value, out, dry_run)
        return kept.apply(house, wish, is_agreed=yes, as_json=json)

    @templates.command()
    def similar(data: Data, samples: Samples = None, yes: Yes = False, json: Json = False) -> int:
        """Find finished runs of data like these, with why; `templates apply` takes their ids."""
        from desktop.cli import templates as kept

        return kept.similar(house, data, samples, is_agreed=yes, as_json=json)

    @templates.command()
    def delete(name: TemplateName, json: Json = False) -> int:
        """Forget a template."""
        from desktop.cli import templates as kept

        return kept.delete(house, name, as_json=json)

    @templates.command()
    def export(
        name: TemplateName,
        file: Annotated[Path | None, typer.Argument(help="Printed without it.")] = None,
        json: Json = False,
    ) -> int:
        """Write a template as a YAML file."""
        from desktop.cli import templates as kept

        return kept.export(house, name, file, as_json=json)

    @templates.command("import")
    def import_(
        file: Annotated[Path, typer.Argument(help="A template's YAML file.")],
        replace: Replace = False,
        json: Json = False,
    ) -> int:
        """Keep a template from a file."""
        from desktop.cli import templates as kept

        return kept.import_(house, file, is_replaced=replace, as_json=json)

    return templates


def _search_commands(house: House) -> typer.Typer:
    search = typer.Typer(help="Look for data elsewhere.", no_args_is_help=True, rich_markup_mode=None)

    @search.command()
    def geo(
        words: Annotated[list[str] | None, typer.Argument(help='Words, or "a phrase".')] = None,
        organism: Annotated[str, typer.Option("--organism", help="human, mouse, or a scientific name.")] = "",
        assay: Annotated[AssayOption, typer.Option("--assay", help="What was measured.")] = AssayOption.EXPRESSION,
        min_samples: Annotated[int | None, typer.Option("--min-samples", min=1, help="At least so many.")] = None,
        max_samples: Annotated[int | None, typer.Option("--max-samples", min=1, help="At most so many.")] = None,
        since: Annotated[int | None, typer.Option("--since", min=2000, help="Released in that year or later.")] = None,
        until: Annotated[int | None, typer.Option("--until", min=2000, help="Released in that year or before.")] = None,
        limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="Hits on a page.")] = 20,
        start: Annotated[int, typer.Option("--start", min=0, max=9000, help="Hits to pass over.")] = 0,
        yes: Yes = False,
        json: Json = False,
    ) -> int:
        """Search GEO for series; `benchtop analyze` takes the accession of a hit."""
        from desktop.cli import search as looking

        wish = {
            "text": " ".join(words or []),
            "organism": organism,
            "assay": assay.value,
            "min_samples": min_samples,
            "max_samples": max_samples,
            "since_year": since,
            "until_year": until,
            "limit": limit,
            "start": start,
        }
        return looking.search_geo(house, wish, is_agreed=yes, as_json=json)

    return search


def _jobs_commands(house: House) -> typer.Typer:
    jobs = typer.Typer(help="The jobs there are and were.", no_args_is_help=True, rich_markup_mode=None)

    @jobs.command("list")
    def list_(
        limit: Annotated[int, typer.Option("--limit", min=1, help="How many, newest first.")] = 50,
        json: Json = False,
    ) -> int:
        """List jobs, newest first."""
        from desktop.cli import jobs as work

        return work.list_jobs(house, limit, as_json=json)

    @jobs.command()
    def show(job: JobId, json: Json = False) -> int:
        """Show one job with the end of its log."""
        from desktop.cli import jobs as work

        return work.show(house, job, as_json=json)

    @jobs.command()
    def cancel(job: JobId, json: Json = False) -> int:
        """Stop a job that waits or was left over."""
        from desktop.cli import jobs as work

        return work.cancel(house, job, as_json=json)

    @jobs.command()
    def rerun(job: JobId, json: Json = False) -> int:
        """Run an ended job again; a finished analysis with its stored script and data, into a new folder."""
        from desktop.cli import jobs as work

        return work.rerun(house, job, as_json=json)

    return jobs


def _models_commands(house: House) -> typer.Typer:
    models = typer.Typer(help="Language and embedding models.", no_args_is_help=True, rich_markup_mode=None)

    @models.command("list")
    def list_(json: Json = False) -> int:
        """List the models of the catalogue, on this machine and in the Trash."""
        from desktop.cli import models as work

        return work.list_models(house, as_json=json)

    @models.command()
    def fit(
        model: ModelId,
        context: Annotated[int | None, typer.Option("--context", min=1, help="Tokens it must hold.")] = None,
        json: Json = False,
    ) -> int:
        """Say whether a model fits into memory, and why not: 0 fits, 1 does not."""
        from desktop.cli import models as work

        return work.fit(house, model, context, as_json=json)

    @models.command()
    def ps(json: Json = False) -> int:
        """Show what the running Benchtop (the window, or `serve`) has in memory."""
        from desktop.cli import models as work

        return work.ps(house, as_json=json)

    @models.command()
    def load(model: ModelId, json: Json = False) -> int:
        """Have the running Benchtop load a model ahead of its use."""
        from desktop.cli import models as work

        return work.load(house, model, as_json=json)

    @models.command()
    def unload(model: ModelId, json: Json = False) -> int:
        """Have the running Benchtop unload a model and give its memory back."""
        from desktop.cli import models as work

        return work.unload(house, model, as_json=json)

    @models.command()
    def download(
        model: ModelId,
        yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; allows the network.")] = False,
        json: Json = False,
    ) -> int:
        """Download a model of the catalogue; one that was stopped goes on where it was."""
        from desktop.cli import models as work

        return work.download(house, model, is_agreed=yes, as_json=json)

    @models.command("import")
    def import_(
        source: Annotated[Path, typer.Argument(help="A folder with config.json and safetensors, or a .gguf file.")],
        name: ModelName = "",
        link: Annotated[bool, typer.Option("--link", help="Leave the files where they are, do not copy.")] = False,
        pooling: Annotated[str, typer.Option("--pooling", help="Of an embedding model: mean, cls or last.")] = "",
        json: Json = False,
    ) -> int:
        """Take in a model of your own."""
        from desktop.cli import models as work

        return work.import_model(house, source, name, is_linked=link, pooling=pooling, as_json=json)

    @models.command()
    def quantise(
        source: Annotated[Path, typer.Argument(help="A full-precision folder with config.json and safetensors.")],
        name: ModelName = "",
        bits: Annotated[int, typer.Option("--bits", help="4 or 8.")] = 4,
        json: Json = False,
    ) -> int:
        """Make a small copy of a full-precision model of your own."""
        from desktop.cli import models as work

        return work.quantise(house, source, name, bits, as_json=json)

    @models.command()
    def delete(model: ModelId, json: Json = False) -> int:
        """Move a model to the Trash; `restore` brings it back."""
        from desktop.cli import models as work

        return work.delete(house, model, as_json=json)

    @models.command()
    def restore(model: ModelId, json: Json = False) -> int:
        """Put a model back from the Trash."""
        from desktop.cli import models as work

        return work.restore(house, model, as_json=json)

    @models.command("empty-trash")
    def empty_trash(json: Json = False) -> int:
        """Delete the models in the Trash for good."""
        from desktop.cli import models as work

        return work.empty_trash(house, as_json=json)

    return models


def _sandbox_commands(house: House) -> typer.Typer:
    sandbox = typer.Typer(help="Where analysis scripts run.", no_args_is_help=True, rich_markup_mode=None)

    @sandbox.command()
    def status(json: Json = False) -> int:
        """Which isolation is in force on this machine."""
        from desktop.cli import machine

        return machine.sandbox_status(house, as_json=json)

    @sandbox.command()
    def build(
        base: Annotated[str, typer.Option("--base", help="An image to build on, without a registry.")] = "",
        json: Json = False,
    ) -> int:
        """Build the container image that scripts run in."""
        from desktop.cli import machine

        return machine.sandbox_build(house, base, as_json=json)

    @sandbox.command("test")
    def self_test(
        isolation: Annotated[
            ScriptIsolationOption | None, typer.Option("--isolation", help="Which one; a container by default.")
        ] = None,
        json: Json = False,
    ) -> int:
        """Prove the isolation on this machine: try what must not work."""
        from desktop.cli import machine

        return machine.sandbox_test(house, isolation.value if isolation else "auto", as_json=json)

    @sandbox.command()
    def run(
        file: Annotated[Path, typer.Argument(help="A Python script.")],
        input_: Annotated[Path, typer.Option("--input", help="Folder the script may read.")],
        output: Annotated[Path, typer.Option("--output", help="Folder for its outputs: empty, or made new.")],
        no_check: Annotated[bool, typer.Option("--no-check", help="Skip the policy, never the isolation.")] = False,
        timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds.")] = 1800.0,
        memory_mb: Annotated[int, typer.Option("--memory-mb", min=32, help="Megabytes.")] = 4096,
        isolation: Annotated[
            ScriptIsolationOption | None, typer.Option("--isolation", help="Which one; a container by default.")
        ] = None,
        json: Json = False,
    ) -> int:
        """Run a script in isolation."""
        from desktop.cli import machine

        return machine.sandbox_run(
            house,
            machine.ScriptRun(
                file, input_, output, not no_check, timeout, memory_mb, isolation.value if isolation else "auto"
            ),
            as_json=json,
        )

    return sandbox


def _settings_commands(house: House) -> typer.Typer:
    settings = typer.Typer(
        help="The settings and the keys in the keychain.", no_args_is_help=True, rich_markup_mode=None
    )

    @settings.command("show")
    def show(json: Json = False) -> int:
        """Show every setting with its present value."""
        from desktop.cli import machine

        return machine.settings_show(house, as_json=json)

    @settings.command("key")
    def key(
        name: Annotated[str, typer.Argument(metavar="NAME", help="Such as ncbi_api_key.")],
        delete: Annotated[bool, typer.Option("--delete", help="Remove it instead.")] = False,
        json: Json = False,
    ) -> int:
        """Keep a key in the system's keychain; it is asked for, or read from standard input, never an argument."""
        from desktop.cli import machine

        return machine.settings_key(house, name, is_deleted=delete, as_json=json)

    return settings
