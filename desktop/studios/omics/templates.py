"""Templates kept in the store, and as files to give away. Front ends ask here; nothing is run.

`fit_to_data`, `template_of_run` and `find_similar` import numerics: for a child process.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path

import yaml
from pydantic import ValidationError

from desktop.core.clock import Clock
from desktop.core.ports import Store
from desktop.studios.omics import repo
from desktop.studios.omics.errors import (
    BadTemplateError,
    TemplateDoesNotFitError,
    TemplateExistsError,
    UnknownTemplateError,
)
from desktop.studios.omics.repo import RunRow
from desktop.studios.omics.run_folder import slug
from desktop.studios.omics.schema import Inspection, Plan, SampleTable
from desktop.studios.omics.template_schema import OpenQuestion, PlanTemplate, SimilarRun, TemplateFit

_MAX_BYTES = 1024 * 1024


def list_templates(store: Store) -> list[PlanTemplate]:
    """Every template, by name."""
    return repo.read_templates(store)


def find_template(store: Store, name: str) -> PlanTemplate:
    """The template of that name, whatever its case; UnknownTemplateError."""
    found = repo.read_templates(store, name.strip())
    if not found:
        known = ", ".join(one.name for one in repo.read_templates(store)) or "none yet"
        raise UnknownTemplateError(f"There is no template “{name}”.", hint=f"Those there are: {known}.")
    return found[0]


async def save_template(store: Store, template: PlanTemplate, clock: Clock, *, replace: bool = False) -> None:
    """Keep a template; TemplateExistsError where its name is taken and `replace` is not said."""
    if not replace and repo.read_templates(store, template.name):
        raise TemplateExistsError(
            f"There is a template “{template.name}” already.", hint="Choose another name, or replace it."
        )
    now_s = clock.now_s()
    await store.write(lambda db: repo.write_template(db, template, now_s))


async def delete_template(store: Store, name: str) -> None:
    """Forget a template; UnknownTemplateError."""
    found = find_template(store, name)
    await store.write(lambda db: repo.write_template_gone(db, found.name))


def template_text(template: PlanTemplate) -> str:
    """A template as a YAML file to give away."""
    kept = template.model_dump(mode="json", exclude_defaults=True) | {"format": template.format}
    return yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)


def write_template_file(template: PlanTemplate, folder: Path) -> Path:
    """Write a template into a folder under a free name; BadTemplateError where that cannot be."""
    names = (f"{slug(template.name) or 'template'}{f'-{n}' if n > 1 else ''}.yaml" for n in count(1))
    path = next(folder / name for name in names if not (folder / name).exists())
    try:
        path.write_text(template_text(template), encoding="utf-8", newline="\n")
    except OSError as error:
        raise BadTemplateError(f"{path} cannot be written: {error.strerror}.", hint="Choose another folder.") from None
    return path


def load_template(path: Path) -> PlanTemplate:
    """A template from a file; BadTemplateError."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise BadTemplateError(f"{path.name} is too large for a template.", hint="Give a template's YAML file.")
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
        return PlanTemplate.model_validate(read)
    except OSError as error:
        raise BadTemplateError(f"{path.name} cannot be read: {error.strerror}.", hint="Check the path.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadTemplateError(
            f"{path.name} is no template: {where}: {first['msg']}.", hint="Export one to see what it looks like."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise BadTemplateError(f"{path.name} is not YAML.", hint="Export one to see what it looks like.") from error


def template_of_plan(name: str, plan: Plan, samples: SampleTable, made_from: str) -> PlanTemplate:
    """A plan as it stands, as a template. For a child process."""
    from desktop.studios.omics.steps.template_fit import to_template

    return to_template(name, plan, samples, made_from=made_from)


def template_of_run(folder: Path, name: str, note: str = "") -> PlanTemplate:
    """A finished run's plan as a template; DamagedRunError. For a child process."""
    from desktop.studios.omics.similar import template_of_run as made

    return made(folder, name, note=note)


def fit_to_data(template: PlanTemplate, inspection: Inspection, answers: dict[str, str]) -> TemplateFit:
    """A template on other data: its plan, checked, or what has to be said first. For a child process."""
    from desktop.studios.omics.similar import fitted

    return fitted(template, inspection, answers)


def find_similar(rows: list[RunRow], inspection: Inspection) -> list[SimilarRun]:
    """Runs of data like these, out of `queries.list_runs`, with why. For a child process."""
    from desktop.studios.omics.similar import similar_runs

    return similar_runs(rows, inspection)


def does_not_fit(template: PlanTemplate, questions: list[OpenQuestion]) -> TemplateDoesNotFitError:
    """The error where nobody can be asked: what is open, and how to say it."""
    first = questions[0]
    return TemplateDoesNotFitError(
        f"The template “{template.name}” does not fit by itself: {first.text}",
        hint=f"Say --set '{first.key}=…' with one of: {', '.join(first.choices[:20]) or 'no column is left'}.",
        **{question.key: ", ".join(question.choices) for question in questions},
    )
