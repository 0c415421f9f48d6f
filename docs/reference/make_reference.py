"""Writes settings.md, commands.md, jobs.md and errors.md from the code; a test fails when they are stale.

python docs/reference/make_reference.py
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import tempfile
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args

import desktop
from desktop.cli.commands import command_line
from desktop.cli.output import exit_code
from desktop.core.config import SettingsStore
from desktop.core.errors import AppError
from desktop.core.events import EventBus
from desktop.core.jobs import resolve
from desktop.studios import machine, studios
from desktop.workers.workbench import settings_sections

_IN_MODEL_PROCESSES = tuple(f"desktop.engines.{name}" for name in ("mlx", "gguf", "coreml", "constraint"))
FOLDER = Path(__file__).resolve().parent
MADE = "Made from the code by `python docs/reference/make_reference.py`; do not edit.\n"


def pages() -> dict[str, str]:
    """File name → what it should contain."""
    return {
        "settings.md": _settings(),
        "commands.md": _commands(),
        "jobs.md": _jobs(),
        "errors.md": _errors(),
    }


def _settings() -> str:
    out = [
        "# Settings",
        MADE,
        (
            "Kept in `config.yaml` in the data folder, by section and field. The environment overrides the file:"
            " `BENCHTOP_<SECTION>__<FIELD>`, such as `BENCHTOP_NET__MODE=never`. Secrets are never here, but in the"
            " system's keychain."
        ),
    ]
    with tempfile.TemporaryDirectory() as folder:
        store = SettingsStore(Path(folder) / "config.yaml", settings_sections(studios()), EventBus(), environ={})
        fields = store.fields()
    section = ""
    for field in fields:
        if field.section != section:
            section = field.section
            out.append(f"\n## {section}\n\n| field | default | what it does |\n| --- | --- | --- |")
        choices = ", ".join(f"`{choice}`" for choice in field.schema.get("enum", ()))
        help_text = _cell(field.help + (f" One of {choices}." if choices else ""))
        out.append(f"| `{field.field}` | `{field.default!r}` | **{field.title}.** {help_text} |")
    return "\n".join(out) + "\n"


def _commands() -> str:
    out = [
        "# Commands",
        MADE,
        (
            "Results go to stdout, everything else to stderr. With `--json`, stdout is one JSON object and an error one"
            " JSON object (`code`, `message`, `hint`) on stderr.\n"
        ),
        (
            "Exit codes: 0 done, 2 bad input, 3 nothing analysable, 4 run failed, 5 no sandbox, 130 cancelled;"
            " `check` leaves with 1 when a script is refused."
        ),
    ]
    root = command_line(None)  # type: ignore[arg-type]  # only read, never run
    out += _command("benchtop", root)
    return "\n".join(out) + "\n"


def _command(name: str, command: Any) -> Iterator[str]:
    children = getattr(command, "commands", {})
    words = " ".join(str(p.metavar or p.name).upper() for p in command.params if p.param_type_name == "argument")
    yield f"\n## `{' '.join(filter(None, (name, words)))}`\n\n{(command.help or '').strip()}\n"
    options = [p for p in command.params if p.name != "help"]
    if options:
        yield "| | what it is |\n| --- | --- |"
    for option in options:
        title = (
            ", ".join(option.opts) if option.param_type_name == "option" else str(option.metavar or option.name).upper()
        )
        kind = option.type_descriptor.annotation
        kinds = [one for one in (kind, *get_args(kind)) if isinstance(one, type) and issubclass(one, Enum)]
        choices = ", ".join(f"`{choice.value}`" for one in kinds for choice in one)
        listed = f" One of {choices}." if choices else ""
        needed = " Needed." if option.required else ""
        yield f"| `{title}` | {_cell((option.help or '') + listed + needed)} |"
    for child in children:
        yield from _command(f"{name} {child}", children[child])


def _jobs() -> str:
    out = ["# Jobs", MADE, "What the window, the command line and the API can ask for."]
    for studio in (*studios(), machine.STUDIO):
        for job in studio.jobs:
            schema = resolve(job.params)
            out.append(
                f"\n## `{job.id}`\n\n{job.title}. Lane `{job.lane}`. {' '.join((schema.__doc__ or '').split())}\n"
            )
            out.append("| parameter | type | default |\n| --- | --- | --- |")
            for name, info in schema.model_fields.items():
                kind = _cell(inspect.formatannotation(info.annotation).replace("desktop.studios.omics.schema.", ""))
                default = "needed" if info.is_required() else f"`{info.get_default(call_default_factory=True)!r}`"
                out.append(f"| `{name}` | `{kind}` | {default} |")
    return "\n".join(out) + "\n"


def _errors() -> str:
    for module in pkgutil.walk_packages(desktop.__path__, "desktop."):
        if not module.name.startswith(("desktop.ui", "desktop.__main__", *_IN_MODEL_PROCESSES)):
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as missing:  # of an extra; what it may raise is told in a module without it
                if (missing.name or "").partition(".")[0] == "desktop":
                    raise
    out = [
        "# Errors",
        MADE,
        "Codes are stable. Each error comes with a message and a hint of what to try.\n",
        "| code | exit | what it means | may be tried again |\n| --- | --- | --- | --- |",
    ]
    kinds = sorted(set(_kinds(AppError)), key=lambda kind: (kind.code, kind.__name__))
    for kind in kinds:
        if "code" in vars(kind):
            words = " ".join((vars(kind).get("__doc__") or _from_name(kind.__name__)).split())
            code = exit_code(kind("", hint=""))
            out.append(f"| `{kind.code}` | {code} | {_cell(words)} | {'yes' if kind.retryable else ''} |")
    return "\n".join(out) + "\n"


def _kinds(kind: type[AppError]) -> Iterator[type[AppError]]:
    """Of the headless half: what the window says beside a field is told there."""
    if kind.__module__.startswith("desktop.") and not kind.__module__.startswith("desktop.ui"):
        yield kind
    for child in kind.__subclasses__():
        yield from _kinds(child)


def _from_name(name: str) -> str:
    """DuplicateIdError → Duplicate id."""
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in name.removesuffix("Error")).strip()
    return words.capitalize() + "."


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    for name, text in pages().items():
        (FOLDER / name).write_text(text, "utf-8")
