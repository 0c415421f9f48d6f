"""What the command line prints and how it leaves: results on stdout, everything else on stderr, never a traceback."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import Any

from desktop.core.errors import (
    AppError,
    CancelledByUserError,
    InputError,
    NoSandboxError,
    NothingToAnalyseError,
    OfflineError,
    RunFailedError,
)
from desktop.core.jobs import JobError

DONE, BAD_INPUT, NOTHING, FAILED, NO_SANDBOX, CANCELLED = 0, 2, 3, 4, 5, 130
_FAMILIES: tuple[tuple[type[AppError], int], ...] = (
    (CancelledByUserError, CANCELLED),
    (NoSandboxError, NO_SANDBOX),
    (NothingToAnalyseError, NOTHING),
    (RunFailedError, FAILED),
    (InputError, BAD_INPUT),
    (OfflineError, BAD_INPUT),
)


class CommandError(InputError):
    """The command line itself cannot be understood."""

    code = "cli.usage"


class JobFailed(Exception):
    """A job ended badly; carries what to print."""

    def __init__(self, error: JobError) -> None:
        super().__init__(error.message)
        self.error = error


def exit_code(error: AppError | JobError) -> int:
    """The exit code of a failure's family; a family nobody named counts as a failed run."""
    kind = type(error) if isinstance(error, AppError) else _kind(error.code)
    return next((code for family, code in _FAMILIES if kind is not None and issubclass(kind, family)), FAILED)


def _kind(code: str) -> type[AppError] | None:
    """The error class of a code. An error that reached us has its class loaded, so the class tree has it."""
    return next((kind for kind in _all_kinds(AppError) if kind.code == code), None)


def _all_kinds(kind: type[AppError]) -> Iterator[type[AppError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _all_kinds(child)


def print_json(value: Any) -> None:
    """One JSON object on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")
    sys.stdout.flush()


def print_error(error: AppError | JobError, *, as_json: bool) -> int:
    """Message and hint, or JSON, on stderr; returns the exit code."""
    message, hint = (str(error), error.hint) if isinstance(error, AppError) else (error.message, error.hint)
    choices = choices_of(error)
    hint = " ".join([hint, *_ways(choices)])
    if as_json:
        told = {"code": error.code, "message": message, "hint": hint} | choices
        sys.stderr.write(json.dumps(told, ensure_ascii=False) + "\n")
    else:
        from rich.text import Text

        console = stderr_console()
        console.print(Text("Error: ", style="bold red").append(message, style="not bold default"))
        if hint:
            console.print(Text(hint, style="dim"))
    sys.stderr.flush()
    return exit_code(error)


def choices_of(error: AppError | JobError) -> dict[str, Any]:
    """What the caller may agree to with --accept, and what was repaired already; only the keys there is something of.

    accept    cautions that wait: [{"code", "text"}]
    offers    repairs that wait, repairs: those that were made: [{"code", "what", "why", "before", "after", …}]
    findings  lines of a script that the policy refused
    """
    details = error.details() if isinstance(error, AppError) else error.details
    found = {}
    for name in ("accept", "offers", "repairs", "findings"):
        with contextlib.suppress(ValueError, KeyError):
            found[name] = json.loads(details[name])
    return found


def _ways(choices: dict[str, Any]) -> list[str]:
    """What to pass to go on, in words."""
    cautions = " ".join(dict.fromkeys(f"--accept {one['code']}" for one in choices.get("accept", ())))
    repairs = "; ".join(f"--accept {one['code']} ({one['what'].rstrip('.')})" for one in choices.get("offers", ()))
    ways = [f"If it is right as it is: {cautions}."] if cautions else []
    return [*ways, *([f"Or agree to a repair: {repairs}."] if repairs else [])]


def print_notice(code: str, message: str, hint: str, *, as_json: bool) -> None:
    """Something a person must know that is no failure, on stderr; with --json one line with the keys of an error."""
    if as_json:
        sys.stderr.write(json.dumps({"code": code, "message": message, "hint": hint}) + "\n")
        return
    from rich.text import Text

    stderr_console().print(Text("Notice: ", style="bold yellow").append(f"{message} {hint}", style="not bold default"))


def stderr_console() -> Any:
    """A rich console on stderr, plain when that is not a terminal."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def stdout_console() -> Any:
    """A rich console on stdout; when that is not a terminal, plain and as wide as the longest path."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 10_000)


def is_interactive() -> bool:
    """Whether a person can be asked."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str, *, default: bool) -> bool:
    """A yes-or-no question on the terminal; Ctrl-C and end of input mean no."""
    from rich.prompt import Confirm

    try:
        return bool(Confirm.ask(question, console=stderr_console(), default=default))
    except EOFError:
        return False
