"""The chat template inside a GGUF file: Jinja written by strangers, so it runs in Jinja's sandbox."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any, NoReturn

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from desktop.engines.errors import BadModelError
from desktop.engines.prompting import Turns


def compile_template(source: str, bos: str, eos: str) -> Callable[[Turns], str]:
    """A function from turns to the prompt's text. Raises BadModelError when the template is not Jinja."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.datetime.now().astimezone().strftime(form)
    try:
        template = environment.from_string(source)
    except jinja2.TemplateError as error:
        raise BadModelError(
            f"The model's chat template cannot be read: {error}"[:300],
            hint="Import the model again with a template that fits it.",
        ) from error

    def render(turns: Turns) -> str:
        return template.render(
            messages=turns, add_generation_prompt=True, enable_thinking=False, bos_token=bos, eos_token=eos
        )

    return render


def _to_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)
